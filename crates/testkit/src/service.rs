//! Services called without an edge before them, and fakes of those that they call.

use authn::{Claims, Role};
use riskmesh_core::{Error, ErrorCode, TenantId};
use std::sync::Arc;
use tonic::{Request, Status};

/// The request of a caller of this role, whose token was checked.
pub fn request_of<T>(role: Role, tenant: TenantId, message: T) -> Request<T> {
    let claims = Claims {
        sub: "test".into(),
        user_id: None,
        role,
        tenant,
        scope: Vec::new(),
        client_id: None,
        iss: "riskmesh".into(),
        aud: vec!["riskmesh-api".into()],
        iat: 0,
        nbf: 0,
        exp: i64::MAX,
        jti: "1".into(),
    };
    let mut request = Request::new(message);
    request.extensions_mut().insert(Arc::new(claims));
    request
}

/// The code of the contract in a status.
pub fn code(status: &Status) -> ErrorCode {
    Error::from_status(status).code
}

/// Methods that a fake of a service does not have, inside its `impl`: `list_clients: ListClientsRequest => ListClientsResponse;`.
/// Written out as `async_trait` has it, which does not look into macros.
#[macro_export]
macro_rules! not_part_of_this {
    ($($method:ident: $request:ty => $response:ty;)*) => { $(
        fn $method<'a, 'b>(
            &'a self,
            _: ::tonic::Request<$request>,
        ) -> ::std::pin::Pin<::std::boxed::Box<
            dyn ::std::future::Future<
                Output = ::std::result::Result<::tonic::Response<$response>, ::tonic::Status>,
            > + ::std::marker::Send + 'b,
        >>
        where
            'a: 'b,
            Self: 'b,
        {
            let status = ::tonic::Status::unimplemented("not part of this");
            ::std::boxed::Box::pin(::std::future::ready(Err(status)))
        }
    )* };
}
