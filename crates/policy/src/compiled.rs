//! Role x method, asked of Cedar once and kept as an array.

use crate::engine::{Denied, Engine, Invalid, Resource, workload};
use api::Method;
use api::method::METHODS;
use authn::{Claims, Role};
use riskmesh_core::{Error, ErrorCode, Result, TenantId};
use std::fmt;

/// The workloads of the mesh, by their roles, and whoever runs it: the subjects `service:<workload>` that can be allowed anything.
pub const WORKLOADS: [&str; 12] = [
    "edge",
    "auth",
    "clients",
    "analytics",
    "jobs",
    "screening",
    "webhooks",
    "alerts",
    "audit",
    "reference",
    "market",
    "operator",
];

/// What one method lets through.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// By [`Role`]; a service by its workload instead.
    roles: [bool; Role::ALL.len()],
    /// By place in [`WORKLOADS`].
    workloads: [bool; WORKLOADS.len()],
}

/// The compiled policy; share it in an `Arc`.
pub struct Policy {
    engine: Engine,
    /// By place in [`METHODS`].
    rows: Box<[Row]>,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("methods", &self.rows.len()).finish_non_exhaustive()
    }
}

impl Policy {
    /// Reads, checks and compiles the policies. An error is a defect of the build, not of its configuration.
    pub fn new() -> Result<Self, Invalid> {
        let guarded = METHODS.iter().filter(|method| !method.public);
        let mut permissions: Vec<&'static str> = guarded.map(|method| method.permission).collect();
        permissions.sort_unstable();
        permissions.dedup();
        let engine = Engine::new(&permissions)?;
        let rows = METHODS.iter().map(|method| row(&engine, method.permission)).collect();
        Ok(Self { engine, rows })
    }

    /// Whether the caller may call the method at all: its role allows it and its scopes do not exclude it, or the method is public,
    /// which needs neither. `PERMISSION_DENIED` otherwise. A service is allowed what its workload is.
    pub fn allows(&self, claims: &Claims, method: &Method) -> Result<()> {
        let index = index(method);
        if method.public && index.is_some() {
            return Ok(());
        }
        let row = index.and_then(|index| self.rows.get(index)).copied().unwrap_or_default();
        let by_role = match claims.role {
            Role::Service => workload(claims)
                .and_then(|name| WORKLOADS.iter().position(|known| *known == name))
                .is_some_and(|index| row.workloads[index]),
            role => row.roles[role as usize],
        };
        let unscoped = claims.scope.is_empty() && claims.role != Role::Client;
        if by_role && (unscoped || claims.has_scope(method.permission)) {
            Ok(())
        } else {
            Err(Error::new(ErrorCode::PermissionDenied))
        }
    }

    /// Whether the caller may use a permission on one resource, decided by Cedar: its tenant, its role, its scopes, who owns it.
    ///
    /// The caller of this function answers [`Denied`] as if the resource did not exist; see there.
    pub fn resource(&self, claims: &Claims, permission: &str, resource: &Resource<'_>) -> Result<(), Denied> {
        self.engine.decide(claims, permission, resource)
    }
}

/// The place of a method in [`METHODS`], from its address: methods exist nowhere else.
fn index(method: &Method) -> Option<usize> {
    let offset = std::ptr::from_ref(method).addr().checked_sub(METHODS.as_ptr().addr())?;
    let index = offset / size_of::<Method>();
    METHODS.get(index).is_some_and(|known| std::ptr::eq(known, method)).then_some(index)
}

/// Asks Cedar for every kind of caller, about a resource of its own tenant.
fn row(engine: &Engine, permission: &'static str) -> Row {
    let mut row = Row::default();
    // Which tenant does not matter: caller and resource are of the same.
    let Ok(tenant) = TenantId::new("t") else { return row };
    let ask = |role: Role, sub: &str| {
        let claims = Claims {
            sub: sub.to_owned(),
            user_id: None,
            role,
            tenant: tenant.clone(),
            // A client has what its scopes say: whether a scope may give it this is the question.
            scope: if role == Role::Client { vec![permission.to_owned()] } else { Vec::new() },
            client_id: None,
            iss: String::new(),
            aud: Vec::new(),
            iat: 0,
            nbf: 0,
            exp: 0,
            jti: String::new(),
        };
        let resource = Resource { tenant: tenant.as_str(), kind: "any", id: "any" };
        engine.decide(&claims, permission, &resource).is_ok()
    };
    for role in Role::ALL {
        row.roles[role as usize] = role != Role::Service && ask(role, role.name());
    }
    for (allowed, workload) in row.workloads.iter_mut().zip(WORKLOADS) {
        *allowed = ask(Role::Service, &format!("service:{workload}"));
    }
    row
}

#[cfg(test)]
mod tests;
