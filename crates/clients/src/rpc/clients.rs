//! `riskmesh.clients.v1.ClientsService`.

use super::{client_id, tenant};
use crate::domain::client::{Client, Profile};
use crate::masters::Masters;
use api::clients::v1::clients_service_server::ClientsService;
use api::clients::v1::{
    Client as Message, ClientStatus, CreateClientRequest, CreateClientResponse, DeleteClientRequest,
    DeleteClientResponse, GetAddressRequest, GetAddressResponse, GetClientRequest, GetClientResponse,
    ListClientsRequest, ListClientsResponse, PutAddressRequest, PutAddressResponse, UpdateClientRequest,
    UpdateClientResponse,
};
use api::etag::{IfMatch, versioned};
use riskmesh_core::cursor::{Cursors, Scope};
use riskmesh_core::page::PageRequest;
use riskmesh_core::{Detail, Error, ErrorCode};
use store::list::Start;
use tonic::{Request, Response, Status};

/// Reads and maintains clients and their addresses.
#[derive(Clone)]
pub(crate) struct ClientsRpc {
    pub(crate) masters: Masters,
    pub(crate) cursors: Cursors,
}

#[tonic::async_trait]
impl ClientsService for ClientsRpc {
    async fn list_clients(
        &self,
        request: Request<ListClientsRequest>,
    ) -> Result<Response<ListClientsResponse>, Status> {
        let tenant = tenant(&request)?;
        let request = request.into_inner();
        let page = PageRequest::read(request.limit, request.offset, &request.cursor)?;
        let status =
            ClientStatus::try_from(request.status).ok().filter(|status| *status != ClientStatus::Unspecified);
        let query = format!("clients/{}", request.status);
        let scope = Scope { tenant: tenant.as_str(), query: &query };
        let start = Start::read(&page.start, &self.cursors, scope)?;
        let found = self.masters.list_clients(&tenant, status, start, page.limit).await?;
        let next = found.next_cursor(&self.cursors, scope)?;
        Ok(Response::new(ListClientsResponse {
            clients: found.items.into_iter().map(message).collect(),
            page: Some(api::page::answer(&page, found.total, found.places, next)),
        }))
    }

    async fn create_client(
        &self,
        request: Request<CreateClientRequest>,
    ) -> Result<Response<CreateClientResponse>, Status> {
        let tenant = tenant(&request)?;
        let sent = request.into_inner().client.ok_or_else(|| Error::required("client"))?;
        let id = client_id(&sent.client_id)?;
        let profile = Profile {
            kind: Profile::kind_or_default(sent.r#type),
            status: Profile::status_or_default(sent.status),
            name: sent.name,
            residence_country: sent.residence_country,
            nationality: sent.nationality,
            incorporation_country: sent.incorporation_country,
            industry: sent.industry,
            ownership_layers: sent.ownership_layers,
            onboarded_on: sent.onboarded_on,
            reviewed_on: sent.reviewed_on,
        };
        let client = self.masters.create_client(&tenant, id, profile).await?;
        let version = client.version;
        Ok(versioned(CreateClientResponse { client: Some(message(client)) }, version))
    }

    async fn get_client(
        &self,
        request: Request<GetClientRequest>,
    ) -> Result<Response<GetClientResponse>, Status> {
        let tenant = tenant(&request)?;
        let client = self.masters.client(&tenant, &client_id(&request.into_inner().client_id)?).await?;
        let version = client.version;
        Ok(versioned(GetClientResponse { client: Some(message(client)) }, version))
    }

    async fn update_client(
        &self,
        request: Request<UpdateClientRequest>,
    ) -> Result<Response<UpdateClientResponse>, Status> {
        let tenant = tenant(&request)?;
        let if_match = IfMatch::read(request.metadata())?;
        let request = request.into_inner();
        let patch = request.client.ok_or_else(|| Error::required("client"))?;
        let id = client_id(&patch.client_id)?;
        let mask = request.update_mask.as_ref().map(|mask| mask.paths.as_slice());
        let client = self.masters.update_client(&tenant, &id, &patch, mask, &if_match).await?;
        let version = client.version;
        Ok(versioned(UpdateClientResponse { client: Some(message(client)) }, version))
    }

    async fn delete_client(
        &self,
        request: Request<DeleteClientRequest>,
    ) -> Result<Response<DeleteClientResponse>, Status> {
        let tenant = tenant(&request)?;
        let if_match = IfMatch::read(request.metadata())?;
        let id = client_id(&request.into_inner().client_id)?;
        self.masters.delete_client(&tenant, &id, &if_match).await?;
        Ok(Response::new(DeleteClientResponse {}))
    }

    async fn get_address(
        &self,
        request: Request<GetAddressRequest>,
    ) -> Result<Response<GetAddressResponse>, Status> {
        let tenant = tenant(&request)?;
        let id = client_id(&request.into_inner().client_id)?;
        let client = self.masters.client(&tenant, &id).await?;
        let address = client.address.ok_or_else(|| {
            Error::new(ErrorCode::AddressNotFound)
                .detail(Detail::new("clientId", format!("{id} has no address")))
        })?;
        Ok(versioned(GetAddressResponse { address: Some(address) }, client.version))
    }

    async fn put_address(
        &self,
        request: Request<PutAddressRequest>,
    ) -> Result<Response<PutAddressResponse>, Status> {
        let tenant = tenant(&request)?;
        let if_match = IfMatch::read(request.metadata())?;
        let request = request.into_inner();
        let id = client_id(&request.client_id)?;
        let address = request.address.ok_or_else(|| Error::required("address"))?;
        let client = self.masters.put_address(&tenant, &id, address, &if_match).await?;
        Ok(versioned(PutAddressResponse { address: client.address }, client.version))
    }
}

fn message(client: Client) -> Message {
    let profile = client.profile;
    Message {
        client_id: client.id.to_string(),
        name: profile.name,
        r#type: profile.kind.into(),
        status: profile.status.into(),
        residence_country: profile.residence_country,
        nationality: profile.nationality,
        incorporation_country: profile.incorporation_country,
        industry: profile.industry,
        ownership_layers: profile.ownership_layers,
        onboarded_on: profile.onboarded_on,
        reviewed_on: profile.reviewed_on,
        create_time: Some(api::time::to_proto(client.created_at)),
        update_time: Some(api::time::to_proto(client.updated_at)),
    }
}
