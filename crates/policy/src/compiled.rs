//! Role x method, asked of Cedar once and kept as an array.

use crate::engine::{Caller, Engine, Invalid};
use api::Method;
use api::method::METHODS;
use authn::{Claims, Role};
use riskmesh_core::{Error, ErrorCode, Result};

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
#[derive(Debug)]
pub struct Policy {
    /// By place in [`METHODS`].
    rows: Box<[Row]>,
}

impl Policy {
    /// Reads, checks and compiles the policies. An error is a defect of the build, not of its configuration.
    pub fn new() -> Result<Self, Invalid> {
        let engine = Engine::new()?;
        let row = |method: &Method| {
            if method.public { Ok(Row::default()) } else { row(&engine, method.permission) }
        };
        Ok(Self { rows: METHODS.iter().map(row).collect::<Result<_, Invalid>>()? })
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
}

/// The place of a method in [`METHODS`], from its address: methods exist nowhere else.
fn index(method: &Method) -> Option<usize> {
    let offset = std::ptr::from_ref(method).addr().checked_sub(METHODS.as_ptr().addr())?;
    let index = offset / size_of::<Method>();
    METHODS.get(index).is_some_and(|known| std::ptr::eq(known, method)).then_some(index)
}

/// The subject's workload: `service:analytics` is `analytics`.
fn workload(claims: &Claims) -> Option<&str> {
    (claims.role == Role::Service).then(|| claims.sub.strip_prefix("service:")).flatten()
}

/// Asks Cedar for every kind of caller.
fn row(engine: &Engine, permission: &str) -> Result<Row, Invalid> {
    let mut row = Row::default();
    for role in Role::ALL {
        // A client has what its scopes say: whether a scope may give it this is the question.
        let scope: &[&str] = if role == Role::Client { &[permission] } else { &[] };
        row.roles[role as usize] =
            role != Role::Service && engine.decide(Caller { role, workload: None, scope }, permission)?;
    }
    for (allowed, workload) in row.workloads.iter_mut().zip(WORKLOADS) {
        let caller = Caller { role: Role::Service, workload: Some(workload), scope: &[] };
        *allowed = engine.decide(caller, permission)?;
    }
    Ok(row)
}

#[cfg(test)]
mod tests;
