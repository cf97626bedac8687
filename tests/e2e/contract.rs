//! The contract as a whole.

use api::method::METHODS;
use authn::{Claims, Role};
use policy::Policy;
use riskmesh_core::TenantId;

#[test]
fn every_method_is_open_to_somebody_and_to_nobody_by_accident() {
    let policy = Policy::new().unwrap();
    let claims = |role, sub: &str| Claims {
        sub: sub.into(),
        user_id: None,
        role,
        tenant: TenantId::new("acme").unwrap(),
        scope: Vec::new(),
        client_id: None,
        iss: String::new(),
        aud: Vec::new(),
        iat: 0,
        nbf: 0,
        exp: i64::MAX,
        jti: String::new(),
    };
    for method in METHODS {
        let callers = [
            claims(Role::Admin, "a"),
            claims(Role::Analyst, "b"),
            claims(Role::Service, "service:analytics"),
        ];
        assert!(callers.iter().any(|caller| policy.allows(caller, method).is_ok()), "nobody may call {}", method.path);
        assert!(policy.allows(&claims(Role::Client, "c"), method).is_err(), "a client without scopes may call {}", method.path);
    }
}
