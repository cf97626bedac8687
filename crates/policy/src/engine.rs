//! Cedar: the schema and the policies, checked against each other, and single decisions.

use authn::Role;
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression, Schema, ValidationMode, Validator,
};
use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;
use std::str::FromStr;

const SCHEMA: &str = include_str!("../cedar/riskmesh.cedarschema");
const POLICIES: &str = include_str!("../cedar/riskmesh.cedar");

/// The policies are wrong: found at start, before anything is served.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {problem}")]
pub struct Invalid {
    doing: &'static str,
    problem: String,
}

impl Invalid {
    fn new(doing: &'static str) -> impl Fn(&dyn fmt::Display) -> Self {
        move |problem| Self { doing, problem: problem.to_string() }
    }
}

/// Who asks, as policies see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) role: Role,
    /// Of a service.
    pub(crate) workload: Option<&'a str>,
    pub(crate) scope: &'a [&'a str],
}

pub(crate) struct Engine {
    policies: PolicySet,
    schema: Schema,
    authorizer: Authorizer,
    caller: EntityTypeName,
    action: EntityTypeName,
    contract: EntityUid,
}

impl Engine {
    pub(crate) fn new() -> Result<Self, Invalid> {
        Self::of(SCHEMA, POLICIES)
    }

    fn of(schema: &str, policies: &str) -> Result<Self, Invalid> {
        let bad_schema = Invalid::new("read the policy schema");
        let (schema, warnings) = Schema::from_cedarschema_str(schema).map_err(|error| bad_schema(&error))?;
        if let Some(warning) = warnings.into_iter().next() {
            return Err(bad_schema(&warning));
        }
        let policies =
            PolicySet::from_str(policies).map_err(|error| Invalid::new("read the policies")(&error))?;
        let checked = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        if !checked.validation_passed() {
            return Err(Invalid::new("check the policies against their schema")(&checked));
        }
        let name = |name: &str| {
            EntityTypeName::from_str(name).map_err(|error| Invalid::new("name an entity type")(&error))
        };
        let (caller, action) = (name("Riskmesh::Caller")?, name("Riskmesh::Action")?);
        let contract =
            EntityUid::from_type_name_and_id(name("Riskmesh::Contract")?, EntityId::new("contract"));
        Ok(Self { policies, schema, authorizer: Authorizer::new(), caller, action, contract })
    }

    /// Whether the caller has a permission. An error is one of the policies, or a permission that they do not know.
    pub(crate) fn decide(&self, caller: Caller<'_>, permission: &str) -> Result<bool, Invalid> {
        let wrong = |error: &dyn fmt::Display| {
            Invalid::new("decide on a permission")(&format_args!("{permission}: {error}"))
        };
        let caller = self.entity(caller).map_err(|error| wrong(&error))?;
        let action = EntityUid::from_type_name_and_id(self.action.clone(), EntityId::new(permission));
        let context = [("permission".to_owned(), string(permission))];
        let context = Context::from_pairs(context).map_err(|error| wrong(&error))?;
        let request = Request::new(caller.uid(), action, self.contract.clone(), context, Some(&self.schema));
        let request = request.map_err(|error| wrong(&error))?;
        let entities = Entities::from_entities([caller], Some(&self.schema));
        let entities = entities.map_err(|error| wrong(&error))?;
        let answer = self.authorizer.is_authorized(&request, &self.policies, &entities);
        match answer.diagnostics().errors().next() {
            // Cedar skips a policy that fails; a forbid among those must not be skipped.
            Some(error) => Err(wrong(error)),
            None => Ok(answer.decision() == Decision::Allow),
        }
    }

    fn entity(&self, caller: Caller<'_>) -> Result<Entity, Box<dyn Error + Send + Sync>> {
        let uid = EntityUid::from_type_name_and_id(self.caller.clone(), EntityId::new("caller"));
        let scope = caller.scope.iter().map(|scope| string(scope));
        let mut attributes = HashMap::from([
            ("role".to_owned(), string(caller.role.name())),
            ("scope".to_owned(), RestrictedExpression::new_set(scope)),
        ]);
        if let Some(workload) = caller.workload {
            attributes.insert("workload".to_owned(), string(workload));
        }
        Ok(Entity::new(uid, attributes, HashSet::new())?)
    }
}

fn string(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn error(schema: &str, policies: &str) -> String {
        Engine::of(schema, policies).err().unwrap().to_string()
    }

    #[test]
    fn policies_that_do_not_fit_the_schema_stop_the_start() {
        let misspelt = POLICIES.replace("principal.workload", "principal.worload");
        assert!(error(SCHEMA, &misspelt).starts_with("check the policies"));
        assert!(error(SCHEMA, "permit (principal").starts_with("read the policies"));
        assert!(error("namespace {", POLICIES).starts_with("read the policy schema"));
    }
    #[test]
    fn a_permission_without_an_action_stops_the_start() {
        let engine = Engine::new().unwrap();
        let admin = Caller { role: Role::Admin, workload: None, scope: &[] };
        assert!(engine.decide(admin, "clients.read").unwrap());
        for permission in ["", "clients", "new.thing", "read_client_data", "Clients.read"] {
            let error = engine.decide(admin, permission).unwrap_err().to_string();
            assert!(error.starts_with(&format!("decide on a permission: {permission}: ")), "{error}");
        }
    }
}
