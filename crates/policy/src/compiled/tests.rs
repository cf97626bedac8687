#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use riskmesh_core::TenantId;
use std::fmt::Write as _;
use std::time::Instant;

fn claims(role: Role, sub: &str, scope: &[&str]) -> Claims {
    Claims {
        sub: sub.into(),
        user_id: None,
        role,
        tenant: TenantId::new("sandbox").unwrap(),
        scope: scope.iter().map(|scope| (*scope).to_owned()).collect(),
        client_id: Some("client-1".into()),
        iss: "i".into(),
        aud: vec!["a".into()],
        iat: 0,
        nbf: 0,
        exp: 0,
        jti: "j".into(),
    }
}

/// One caller of each kind: the roles of people, each workload, a client with every scope.
fn callers() -> Vec<(String, Claims)> {
    let all: Vec<&str> = METHODS.iter().map(|method| method.permission).collect();
    let mut callers = Vec::new();
    for role in Role::ALL {
        match role {
            Role::Client => callers.push(("client".into(), claims(role, "client-1", &all))),
            Role::Service => callers.extend(WORKLOADS.map(|workload| {
                let sub = format!("service:{workload}");
                (sub.clone(), claims(role, &sub, &[]))
            })),
            role => callers.push((role.to_string(), claims(role, "user-7", &[]))),
        }
    }
    callers
}

/// The methods that need a token.
fn guarded() -> impl Iterator<Item = &'static Method> {
    METHODS.iter().filter(|method| !method.public)
}

#[test]
fn role_by_method() {
    let policy = Policy::new().unwrap();
    let callers = callers();
    let mut table = String::new();
    for method in METHODS {
        let may: Vec<&str> = callers
            .iter()
            .filter(|(_, claims)| policy.allows(claims, method).is_ok())
            .map(|(name, _)| name.as_str())
            .collect();
        if method.public {
            assert_eq!(may.len(), callers.len(), "{}", method.path);
            writeln!(table, "{} (public): everybody, without a token", method.path).unwrap();
        } else {
            writeln!(table, "{} ({}): {}", method.path, method.permission, may.join(", ")).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

/// The one list of what is public: a method that is added to it is added here by whoever means it.
#[test]
fn nothing_but_reference_data_is_public() {
    for method in METHODS {
        let reference = method.service == "riskmesh.reference.v1.ReferenceService";
        assert_eq!(method.public, reference, "{}", method.path);
        assert_eq!(method.permission.is_empty(), method.public, "{}", method.path);
    }
}

#[test]
fn every_method_has_somebody_who_may_call_it() {
    let policy = Policy::new().unwrap();
    let callers = callers();
    for method in METHODS {
        assert!(
            callers.iter().any(|(_, claims)| policy.allows(claims, method).is_ok()),
            "nobody may call {}: its permission {} has no rule in cedar/",
            method.path,
            method.permission,
        );
    }
}

#[test]
fn the_compiled_table_says_what_cedar_says() {
    let (policy, engine) = (Policy::new().unwrap(), Engine::new().unwrap());
    let scopes: [&[&str]; 5] =
        [&[], &["clients.read"], &["clients.write", "transactions.scan"], &["analytics.read"], &["unknown"]];
    for (name, caller) in callers() {
        for scope in scopes {
            let claims = claims(caller.role, &caller.sub, scope);
            let caller = Caller { role: claims.role, workload: workload(&claims), scope };
            for method in guarded() {
                assert_eq!(
                    policy.allows(&claims, method).is_ok(),
                    engine.decide(caller, method.permission).unwrap(),
                    "{name} with {scope:?} on {}",
                    method.path,
                );
            }
        }
    }
}

#[test]
fn a_client_has_its_scopes_and_nothing_else() {
    let policy = Policy::new().unwrap();
    let reader = claims(Role::Client, "client-1", &["analytics.read"]);
    for method in guarded() {
        assert_eq!(
            policy.allows(&reader, method).is_ok(),
            method.permission == "analytics.read",
            "{}",
            method.path
        );
        let none = claims(Role::Client, "client-1", &[]);
        assert_eq!(policy.allows(&none, method).unwrap_err().code, ErrorCode::PermissionDenied);
    }
}

/// What the operator does knows no tenants, so that no tenant's token may be enough.
#[test]
fn what_the_operator_does_is_for_nobody_else() {
    let policy = Policy::new().unwrap();
    for method in METHODS.iter().filter(|method| method.service.starts_with("riskmesh.operator.")) {
        for (name, caller) in callers() {
            let may = policy.allows(&caller, method).is_ok();
            assert_eq!(may, name == "service:operator", "{name} {}", method.path);
        }
    }
}

#[test]
fn scans_are_for_workloads_whatever_a_token_says() {
    let policy = Policy::new().unwrap();
    let scan = METHODS.iter().find(|method| method.permission == "transactions.scan").unwrap();
    for role in [Role::Admin, Role::Analyst, Role::Reviewer, Role::Auditor, Role::Client] {
        for sub in ["user-7", "service:analytics"] {
            assert!(policy.allows(&claims(role, sub, &["transactions.scan"]), scan).is_err(), "{role} {sub}");
        }
    }
    assert!(policy.allows(&claims(Role::Service, "service:analytics", &[]), scan).is_ok());
    for sub in [
        "analytics",
        "service:",
        "service:analytics2",
        "SERVICE:analytics",
        "service:service:analytics",
        "service:webhooks",
    ] {
        assert!(policy.allows(&claims(Role::Service, sub, &[]), scan).is_err(), "{sub}");
    }
}

#[test]
fn what_is_unknown_is_denied() {
    let policy = Policy::new().unwrap();
    let admin = claims(Role::Admin, "user-7", &[]);
    let method = &METHODS[0];
    let copy = copy_of(method);
    assert!(policy.allows(&admin, &copy).is_err(), "a method that is not in the contract's table");
    assert!(policy.allows(&admin, &Method { public: true, ..copy }).is_err(), "whatever it says of itself");
    assert!(policy.allows(&admin, method).is_ok());
}

fn copy_of(method: &Method) -> Method {
    Method {
        path: method.path,
        service: method.service,
        name: method.name,
        permission: method.permission,
        public: method.public,
        rate_limit: method.rate_limit,
        success_status: method.success_status,
        timeout_ms: method.timeout_ms,
        idempotency: method.idempotency,
        idempotency_key: method.idempotency_key,
        cache: method.cache,
        deprecation: method.deprecation,
        client_streaming: method.client_streaming,
        server_streaming: method.server_streaming,
        http: method.http,
    }
}

/// Prints what a decision costs; see it with `--nocapture`. Asserts nothing about time.
#[test]
fn costs() {
    const ROUNDS: u32 = 2_000;
    let started = Instant::now();
    let policy = Policy::new().unwrap();
    println!("compile: {:?}", started.elapsed());
    let analyst = claims(Role::Analyst, "user-7", &[]);
    let started = Instant::now();
    for _ in 0..ROUNDS {
        std::hint::black_box(policy.allows(&analyst, std::hint::black_box(&METHODS[0]))).ok();
    }
    println!("role x method: {:?}", started.elapsed() / ROUNDS);
}
