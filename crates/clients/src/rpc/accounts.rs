//! `riskmesh.clients.v1.AccountsService`.

use super::{account_id, client_id, tenant};
use crate::domain::account::Account;
use crate::masters::{AccountStart, Masters};
use api::clients::v1::accounts_service_server::AccountsService;
use api::clients::v1::{
    Account as Message, CreateAccountRequest, CreateAccountResponse, DeleteAccountRequest,
    DeleteAccountResponse, GetAccountRequest, GetAccountResponse, ListAccountsRequest, ListAccountsResponse,
    UpdateAccountRequest, UpdateAccountResponse,
};
use api::etag::{IfMatch, versioned};
use riskmesh_core::cursor::{Cursors, Scope};
use riskmesh_core::page::{PageRequest, Start};
use riskmesh_core::{Currency, Error};
use tonic::{Request, Response, Status};

/// Reads and maintains accounts.
#[derive(Clone)]
pub(crate) struct AccountsRpc {
    pub(crate) masters: Masters,
    pub(crate) cursors: Cursors,
}

#[tonic::async_trait]
impl AccountsService for AccountsRpc {
    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let page = PageRequest::read(request.limit, request.offset, &request.cursor)?;
        let client = client_id(&request.client_id)?;
        let query = format!("accounts/{client}");
        let scope = Scope { tenant: tenant.as_str(), query: &query };
        let start = match &page.start {
            Start::Offset(offset) => AccountStart::Offset(*offset),
            Start::Cursor(cursor) => {
                let position = self.cursors.open(scope, cursor)?;
                AccountStart::After(
                    String::from_utf8(position).map_err(|_| Error::internal("decode cursor"))?,
                )
            }
        };
        let (accounts, total, more) = self.masters.list_accounts(&tenant, &client, start, page.limit).await?;
        let next = match accounts.last().filter(|_| more) {
            Some(last) => Some(self.cursors.seal(scope, last.id.as_str().as_bytes())?),
            None => None,
        };
        let page = api::page::answer(&page, total, accounts.len(), next);
        Ok(Response::new(ListAccountsResponse {
            accounts: accounts.iter().map(message).collect(),
            page: Some(page),
        }))
    }

    async fn create_account(
        &self,
        request: Request<CreateAccountRequest>,
    ) -> Result<Response<CreateAccountResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let client = client_id(&request.client_id)?;
        let sent = request.account.ok_or_else(|| Error::required("account"))?;
        let id = account_id(&sent.account_id)?;
        let currency = Currency::named("currency", &sent.currency)?;
        let account =
            self.masters.create_account(&tenant, &client, id, currency, sent.r#type, sent.status).await?;
        let version = account.version;
        Ok(versioned(CreateAccountResponse { account: Some(message(&account)) }, version))
    }

    async fn get_account(
        &self,
        request: Request<GetAccountRequest>,
    ) -> Result<Response<GetAccountResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let (client, id) = (client_id(&request.client_id)?, account_id(&request.account_id)?);
        let account = self.masters.account(&tenant, &client, &id).await?;
        let version = account.version;
        Ok(versioned(GetAccountResponse { account: Some(message(&account)) }, version))
    }

    async fn update_account(
        &self,
        request: Request<UpdateAccountRequest>,
    ) -> Result<Response<UpdateAccountResponse>, Status> {
        let tenant = tenant(&request)?;
        let if_match = IfMatch::read(request.metadata())?;
        let request = request.into_inner();
        let client = client_id(&request.client_id)?;
        let patch = request.account.ok_or_else(|| Error::required("account"))?;
        let id = account_id(&patch.account_id)?;
        let mask = request.update_mask.as_ref().map(|mask| mask.paths.as_slice());
        let account = self.masters.update_account(&tenant, &client, &patch, &id, mask, &if_match).await?;
        let version = account.version;
        Ok(versioned(UpdateAccountResponse { account: Some(message(&account)) }, version))
    }

    async fn delete_account(
        &self,
        request: Request<DeleteAccountRequest>,
    ) -> Result<Response<DeleteAccountResponse>, Status> {
        let tenant = tenant(&request)?;
        let if_match = IfMatch::read(request.metadata())?;
        let request = request.into_inner();
        let (client, id) = (client_id(&request.client_id)?, account_id(&request.account_id)?);
        self.masters.delete_account(&tenant, &client, &id, &if_match).await?;
        Ok(Response::new(DeleteAccountResponse {}))
    }
}

fn message(account: &Account) -> Message {
    Message {
        account_id: account.id.to_string(),
        client_id: account.client.to_string(),
        currency: account.currency.code().to_owned(),
        r#type: account.kind.into(),
        status: account.status.into(),
        create_time: Some(api::time::to_proto(account.created_at)),
        update_time: Some(api::time::to_proto(account.updated_at)),
    }
}
