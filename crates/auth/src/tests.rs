//! The service on a real embedded store, called as its handlers are.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::tables::USERS;
use crate::{Deps, Service, TABLES};
use api::users::v1::users_service_server::UsersService as _;
use api::users::v1::{
    CreateUserRequest, GetUserRequest, ListUsersRequest, ListUsersResponse, NewUser, PatchUser,
    SetPasswordRequest, UpdateUserRequest, User, UserRole, UserStatus,
};
use authn::Role;
use bus::{Outbox, PendingSource as _};
use riskmesh_core::cipher::{ColumnCipher, Key};
use riskmesh_core::cursor::Cursors;
use riskmesh_core::{ErrorCode, ManualClock, TenantId, Timestamp, UserId};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::list::{List, Lists, Ordinal};
use store::{Store, TokenScan, limits};
use testkit::service::code;
use tonic::{Request, Status};

const PASSWORD: &str = "correct horse battery";

struct World {
    service: Service,
    store: Arc<dyn Store>,
    lists: Lists,
    clock: Arc<ManualClock>,
}

impl World {
    fn open(dir: &Path) -> Self {
        let tables = [store::list::TABLES, bus::TABLES, TABLES].concat();
        let options = store_embedded::Options::new(dir, tables);
        let store: Arc<dyn Store> = Arc::new(store_embedded::Embedded::open(options).unwrap());
        let clock = Arc::new(ManualClock::at(Timestamp(1_767_225_600_000)));
        let lists = Lists::new(store.clone(), clock.clone());
        let key = || Key::new(&[7; 32]).unwrap();
        let service = Service::new(Deps {
            store: store.clone(),
            lists: lists.clone(),
            outbox: Outbox::new(store.clone(), clock.clone(), "test"),
            cipher: ColumnCipher::new(1, BTreeMap::from([(1, key())]), &[7; 32]).unwrap(),
            cursors: Cursors::new(key()),
            clock: clock.clone(),
        });
        Self { service, store, lists, clock }
    }

    async fn create(&self, name: &str, role: UserRole) -> Result<User, Status> {
        let user = NewUser {
            user_name: name.into(),
            role: role.into(),
            password: PASSWORD.into(),
            ..NewUser::default()
        };
        let answer = self.service.rpc.create_user(by("acme", CreateUserRequest { user: Some(user) })).await?;
        Ok(answer.into_inner().user.unwrap())
    }

    async fn get(&self, tenant: &str, id: &str) -> Result<User, Status> {
        let answer = self.service.rpc.get_user(by(tenant, GetUserRequest { user_id: id.into() })).await?;
        Ok(answer.into_inner().user.unwrap())
    }

    async fn list(&self, request: ListUsersRequest) -> Result<ListUsersResponse, Status> {
        Ok(self.service.rpc.list_users(by("acme", request)).await?.into_inner())
    }

    async fn update(&self, patch: PatchUser) -> Result<User, Status> {
        let request = UpdateUserRequest { user: Some(patch), ..UpdateUserRequest::default() };
        Ok(self.service.rpc.update_user(by("acme", request)).await?.into_inner().user.unwrap())
    }

    /// Whether a password is the user's.
    async fn fits(&self, id: &str, password: &str) -> bool {
        let (tenant, id) = (TenantId::new("acme").unwrap(), UserId::new(id).unwrap());
        self.service.rpc.users.get(&tenant, &id).await.unwrap().password.fits(password)
    }
}

fn by<T>(tenant: &str, message: T) -> Request<T> {
    testkit::service::request_of(Role::Admin, TenantId::new(tenant).unwrap(), message)
}

fn names(page: &ListUsersResponse) -> Vec<&str> {
    page.users.iter().map(|user| user.user_name.as_str()).collect()
}

#[tokio::test]
async fn a_user_is_created_read_changed_and_found() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path());
    let ada = world.create("ada", UserRole::Analyst).await.unwrap();
    assert_eq!((ada.user_name.as_str(), ada.display_name.as_str()), ("ada", "ada"));
    assert_eq!((ada.role(), ada.status()), (UserRole::Analyst, UserStatus::Active));
    assert_eq!(world.get("acme", &ada.user_id).await.unwrap(), ada);
    assert!(world.fits(&ada.user_id, PASSWORD).await);

    world.clock.advance(Duration::from_mins(1));
    let patch = PatchUser {
        user_id: ada.user_id.clone(),
        display_name: "Ada Example".into(),
        status: UserStatus::Disabled.into(),
        ..PatchUser::default()
    };
    let changed = world.update(patch.clone()).await.unwrap();
    assert_eq!((changed.display_name.as_str(), changed.status()), ("Ada Example", UserStatus::Disabled));
    assert_ne!(changed.update_time, ada.update_time);
    assert_eq!(world.update(patch).await.unwrap(), changed, "again changes nothing");
    let found = world.list(ListUsersRequest { user_name: "ada".into(), ..ListUsersRequest::default() }).await;
    assert_eq!(found.unwrap().users, [changed]);
}

#[tokio::test]
async fn a_password_is_replaced_and_an_unknown_user_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path());
    let ada = world.create("ada", UserRole::Admin).await.unwrap();
    let set = |id: &str| SetPasswordRequest { user_id: id.into(), password: "battery staple horse".into() };
    world.service.rpc.set_password(by("acme", set(&ada.user_id))).await.unwrap();
    assert!(world.fits(&ada.user_id, "battery staple horse").await);
    assert!(!world.fits(&ada.user_id, PASSWORD).await);
    let missing = world.service.rpc.set_password(by("acme", set(&"0".repeat(32)))).await.unwrap_err();
    assert_eq!(code(&missing), ErrorCode::UserNotFound);
    let elsewhere = world.service.rpc.set_password(by("other", set(&ada.user_id))).await.unwrap_err();
    assert_eq!(code(&elsewhere), ErrorCode::UserNotFound);
}

#[tokio::test]
async fn a_name_is_taken_once_in_a_tenant_whoever_comes_at_the_same_time() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path());
    let tries = (0..4).map(|_| world.create("ada", UserRole::Analyst));
    let made = futures::future::join_all(tries).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    assert!(made.iter().filter_map(|made| made.as_ref().err()).all(|e| code(e) == ErrorCode::AlreadyExists));
    assert_eq!(names(&world.list(ListUsersRequest::default()).await.unwrap()), ["ada"]);

    let ada = made.into_iter().find_map(Result::ok).unwrap();
    assert_eq!(code(&world.get("other", &ada.user_id).await.unwrap_err()), ErrorCode::UserNotFound);
    let user = NewUser { user_name: "ada".into(), role: 1, password: PASSWORD.into(), ..NewUser::default() };
    let elsewhere = world.service.rpc.create_user(by("other", CreateUserRequest { user: Some(user) })).await;
    assert_ne!(
        elsewhere.unwrap().into_inner().user.unwrap().user_id,
        ada.user_id,
        "ids say nothing of names"
    );
}

#[tokio::test]
async fn users_are_paged_in_the_order_of_their_creation() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path());
    for name in ["eve", "ada", "bob", "dan", "cem"] {
        world.create(name, UserRole::Reviewer).await.unwrap();
    }
    let ask = |limit, offset, cursor: &str| ListUsersRequest {
        limit: Some(limit),
        offset,
        cursor: cursor.into(),
        ..ListUsersRequest::default()
    };
    let first = world.list(ask(2, None, "")).await.unwrap();
    assert_eq!(names(&first), ["eve", "ada"]);
    let place = first.page.unwrap();
    assert_eq!((place.total, place.next_offset), (5, Some(2)));
    let next = world.list(ask(9, None, &place.next_cursor.unwrap())).await.unwrap();
    assert_eq!(
        (names(&next), next.page.as_ref().unwrap().next_cursor.as_ref()),
        (vec!["bob", "dan", "cem"], None)
    );
    assert_eq!(names(&world.list(ask(1, Some(4), "")).await.unwrap()), ["cem"]);
    let named = ListUsersRequest { user_name: "ada".into(), offset: Some(1), ..ListUsersRequest::default() };
    let beyond = world.list(named).await.unwrap();
    assert_eq!((beyond.users.len(), beyond.page.unwrap().total), (0, 1));
}

#[tokio::test]
async fn a_creation_that_was_cut_off_after_the_row_is_finished_by_the_relay() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path());
    let ada = world.create("ada", UserRole::Analyst).await.unwrap();
    // As if the process had died before the list was written.
    let list = List::new("acme", "users");
    world.lists.remove(&list, Ordinal(0)).await.unwrap();
    assert!(world.list(ListUsersRequest::default()).await.unwrap().users.is_empty());
    let reference = format!("acme\n{}", ada.user_id);
    for _ in 0..2 {
        assert_eq!(world.service.rpc.users.pending(reference.as_bytes()).await.unwrap(), []);
        assert_eq!(names(&world.list(ListUsersRequest::default()).await.unwrap()), ["ada"]);
    }
    let never = format!("acme\n{}", "0".repeat(32));
    assert_eq!(world.service.rpc.users.pending(never.as_bytes()).await.unwrap(), []);
    assert!(world.service.rpc.users.pending(b"nonsense").await.is_err());
}

#[tokio::test]
async fn what_is_personal_or_secret_is_not_in_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::open(dir.path());
    world.create("ada-of-example", UserRole::Analyst).await.unwrap();
    let rows = world.store.token_scan(TokenScan::new(&USERS, limits::PAGE_ROWS)).await.unwrap().rows;
    let stored = format!("{rows:?}");
    assert_eq!(rows.len(), 1);
    for column in ["user_name", "display_name", "password"] {
        let sealed = rows[0].blob(column).unwrap();
        for plain in [&b"ada-of-example"[..], b"argon2", PASSWORD.as_bytes()] {
            assert!(!sealed.windows(plain.len()).any(|window| window == plain), "{column}");
        }
    }
    assert!(!stored.contains("ada-of-example") && !stored.contains("argon2"));
}
