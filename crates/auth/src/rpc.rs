//! `riskmesh.users.v1.UsersService`: from the contract's messages to what the service does, and back; nothing else.

use crate::domain::user::User;
use crate::users::Users;
use api::etag::{IfMatch, versioned};
use api::users::v1::users_service_server::UsersService;
use api::users::v1::{
    CreateUserRequest, CreateUserResponse, GetUserRequest, GetUserResponse, ListUsersRequest,
    ListUsersResponse, SetPasswordRequest, SetPasswordResponse, UpdateUserRequest, UpdateUserResponse,
};
use riskmesh_core::cursor::{Cursors, Scope};
use riskmesh_core::page::PageRequest;
use riskmesh_core::{Error, TenantId, UserId};
use store::list::{Listed, Start};
use tonic::{Request, Response, Status};

/// Reads and maintains users.
#[derive(Clone)]
pub(crate) struct UsersRpc {
    pub(crate) users: Users,
    pub(crate) cursors: Cursors,
}

#[tonic::async_trait]
impl UsersService for UsersRpc {
    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        let tenant = tenant(&request)?;
        let asked = request.into_inner();
        let page = PageRequest::read(asked.limit, asked.offset, &asked.cursor)?;
        // Of one name there is one page, and so no cursor.
        let query = if asked.user_name.is_empty() { "users" } else { "users?userName" };
        let scope = Scope { tenant: tenant.as_str(), query };
        let start = Start::read(&page.start, &self.cursors, scope)?;
        let found = if asked.user_name.is_empty() {
            self.users.list(&tenant, start, page.limit).await?
        } else {
            one(self.users.find(&tenant, &asked.user_name).await?, start)
        };
        let next = found.next_cursor(&self.cursors, scope)?;
        Ok(Response::new(ListUsersResponse {
            users: found.items.iter().map(User::message).collect(),
            page: Some(api::page::answer(&page, found.total, found.places, next)),
        }))
    }

    async fn create_user(
        &self,
        request: Request<CreateUserRequest>,
    ) -> Result<Response<CreateUserResponse>, Status> {
        let tenant = tenant(&request)?;
        let wanted = request.into_inner().user;
        let wanted = wanted.ok_or_else(|| Error::required("user"))?;
        let user = self.users.create(&tenant, wanted).await?;
        Ok(versioned(CreateUserResponse { user: Some(user.message()) }, user.version))
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<GetUserResponse>, Status> {
        let tenant = tenant(&request)?;
        let user = self.users.get(&tenant, &user_id(&request.get_ref().user_id)?).await?;
        Ok(versioned(GetUserResponse { user: Some(user.message()) }, user.version))
    }

    async fn update_user(
        &self,
        request: Request<UpdateUserRequest>,
    ) -> Result<Response<UpdateUserResponse>, Status> {
        let tenant = tenant(&request)?;
        let if_match = IfMatch::read(request.metadata())?;
        let request = request.into_inner();
        let patch = request.user.ok_or_else(|| Error::required("user"))?;
        let mask = request.update_mask.as_ref().map(|mask| mask.paths.as_slice());
        let user = self.users.update(&tenant, &user_id(&patch.user_id)?, &patch, mask, &if_match).await?;
        Ok(versioned(UpdateUserResponse { user: Some(user.message()) }, user.version))
    }

    async fn set_password(
        &self,
        request: Request<SetPasswordRequest>,
    ) -> Result<Response<SetPasswordResponse>, Status> {
        let tenant = tenant(&request)?;
        let SetPasswordRequest { user_id, password } = request.into_inner();
        self.users.set_password(&tenant, &self::user_id(&user_id)?, password).await?;
        Ok(Response::new(SetPasswordResponse {}))
    }
}

/// The list of one user, or of none.
fn one(user: Option<User>, start: Start) -> Listed<User> {
    let total = user.iter().len() as u64;
    let items: Vec<User> = user.into_iter().filter(|_| start == Start::Offset(0)).collect();
    Listed { places: items.len(), items, total, next: None }
}

/// The caller's tenant: the only one whose data a handler ever touches.
fn tenant<T>(request: &Request<T>) -> Result<TenantId, Status> {
    Ok(authn::caller(request)?.tenant.clone())
}

fn user_id(text: &str) -> Result<UserId, Error> {
    UserId::new(text).map_err(|error| error.of("userId"))
}
