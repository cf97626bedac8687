//! The contract as a whole.

use api::method::METHODS;
use authn::{Claims, Role};
use policy::Policy;
use riskmesh_core::{ErrorCode, TenantId};
use std::fmt::Write as _;

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
            claims(Role::Service, "service:market"),
            claims(Role::Service, "service:operator"),
        ];
        assert!(
            callers.iter().any(|caller| policy.allows(caller, method).is_ok()),
            "nobody may call {}",
            method.path
        );
        assert_eq!(
            policy.allows(&claims(Role::Client, "c"), method).is_ok(),
            method.public,
            "a client without scopes calls {}",
            method.path
        );
    }
}

/// `UPDATE_DOCS=1 cargo test --release -p riskmesh --test e2e error_page` writes the page anew.
#[test]
fn the_error_page_says_what_the_table_says() {
    let mut page = String::from(
        "# Errors\n\nEvery error has one stable code. On gRPC it is the `reason` of `google.rpc.ErrorInfo` (domain `riskmesh`), on REST \
         `errorCode`:\n\n```json\n{\"errorCode\":\"INVALID_INPUT\",\"message\":\"Account ID must be 10 digits\",\"status\":400,\
         \"timestamp\":\"2025-07-30T14:15:00Z\",\"traceId\":\"…\",\n \"details\":[{\"field\":\"accountId\",\"issue\":\"must be 10 \
         digits\",\"expected\":\"^[0-9]{10}$\"}],\"hint\":\"…\"}\n```\n\nWith `Accept: application/problem+json` it is RFC 9457. This page is \
         made from the table in `crates/core/src/error.rs`.\n\nDetails of `INVALID_INPUT` name a field, what is wrong with it, and what is \
         expected: a pattern, a range, values, or a few words. Details of other errors have an empty `expected` where nothing that could \
         be sent would do. Fields that only answers have (`createTime`, `status` of a payment) are passed over in bodies, as AIP-203 asks, \
         so that what was read can be sent back; over gRPC too. A PATCH does not have them: there they are refused, like all that \
         cannot be changed.\n\n| code | HTTP | gRPC | retry | message | hint |\n|---|---|---|---|---|---|\n",
    );
    for code in ErrorCode::ALL {
        let retry = if code.retryable() { "yes" } else { "no" };
        writeln!(
            page,
            "| `{}` | {} | {:?} | {retry} | {} | {} |",
            code.name(),
            code.http(),
            code.grpc(),
            code.message(),
            code.hint()
        )
        .unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), page, "docs/errors.md is out of date");
}
