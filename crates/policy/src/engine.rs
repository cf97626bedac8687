//! Cedar: the schema and the policies, checked against each other at start, and single decisions.

use authn::{Claims, Role};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression, Schema, ValidationMode, Validator,
};
use std::collections::{HashMap, HashSet};
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

/// The caller may not do that to this resource, or the resource is not of its tenant.
///
/// Answer it as if the resource did not exist (`NOT_FOUND` with the code of its kind, as for an id that was never used): a refusal
/// would tell that it does. It has no outward code of its own for that reason, so `?` does not turn it into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the caller may not see this resource")]
pub struct Denied;

/// One resource, as policies see it.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    /// The tenant it belongs to.
    pub tenant: &'a str,
    /// Its kind, a noun in the singular: `client`, `account`, `webhook`.
    pub kind: &'a str,
    /// Its id within the tenant.
    pub id: &'a str,
}

/// The subject's workload: `service:analytics` is `analytics`.
pub(crate) fn workload(claims: &Claims) -> Option<&str> {
    (claims.role == Role::Service).then(|| claims.sub.strip_prefix("service:")).flatten()
}

pub(crate) struct Engine {
    policies: PolicySet,
    schema: Schema,
    authorizer: Authorizer,
    caller: EntityTypeName,
    resource: EntityTypeName,
    actions: HashMap<String, EntityUid>,
}

impl Engine {
    pub(crate) fn new(permissions: &[&'static str]) -> Result<Self, Invalid> {
        Self::of(SCHEMA, POLICIES, permissions)
    }

    fn of(schema: &str, policies: &str, permissions: &[&'static str]) -> Result<Self, Invalid> {
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
        let action_type = name("Riskmesh::Action")?;
        let declared: HashSet<_> = schema.actions().cloned().collect();
        let mut actions = HashMap::new();
        for permission in permissions {
            let action = EntityUid::from_type_name_and_id(action_type.clone(), EntityId::new(permission));
            if !declared.contains(&action) {
                return Err(Invalid::new("find an action for a permission of the contract")(permission));
            }
            actions.insert((*permission).to_owned(), action);
        }
        let (caller, resource) = (name("Riskmesh::Caller")?, name("Riskmesh::Resource")?);
        Ok(Self { policies, schema, authorizer: Authorizer::new(), caller, resource, actions })
    }

    /// One decision. What cannot be decided, such as an error in a policy or an unknown permission, is denied.
    pub(crate) fn decide(
        &self,
        claims: &Claims,
        permission: &str,
        resource: &Resource<'_>,
    ) -> Result<(), Denied> {
        let action = self.actions.get(permission).ok_or(Denied)?.clone();
        let caller = self.caller_entity(claims)?;
        let resource = self.resource_entity(resource)?;
        let context = [("permission".to_owned(), string(permission))];
        let context = Context::from_pairs(context).map_err(refused)?;
        let request = Request::new(caller.uid(), action, resource.uid(), context, Some(&self.schema));
        let request = request.map_err(refused)?;
        let entities = Entities::from_entities([caller, resource], Some(&self.schema)).map_err(refused)?;
        let answer = self.authorizer.is_authorized(&request, &self.policies, &entities);
        if let Some(error) = answer.diagnostics().errors().next() {
            // Cedar skips a policy that fails; a forbid among those must not be skipped.
            return Err(refused(error));
        }
        if answer.decision() == Decision::Allow { Ok(()) } else { Err(Denied) }
    }

    fn caller_entity(&self, claims: &Claims) -> Result<Entity, Denied> {
        let uid = EntityUid::from_type_name_and_id(self.caller.clone(), EntityId::new(&claims.sub));
        let scope = claims.scope.iter().map(|scope| string(scope));
        let mut attributes = HashMap::from([
            ("role".to_owned(), string(claims.role.name())),
            ("tenant".to_owned(), string(claims.tenant.as_str())),
            ("scope".to_owned(), RestrictedExpression::new_set(scope)),
        ]);
        if let Some(workload) = workload(claims) {
            attributes.insert("workload".to_owned(), string(workload));
        }
        Entity::new(uid, attributes, HashSet::new()).map_err(refused)
    }

    fn resource_entity(&self, resource: &Resource<'_>) -> Result<Entity, Denied> {
        let id = format!("{}/{}/{}", resource.tenant, resource.kind, resource.id);
        let uid = EntityUid::from_type_name_and_id(self.resource.clone(), EntityId::new(id));
        let attributes = HashMap::from([
            ("tenant".to_owned(), string(resource.tenant)),
            ("kind".to_owned(), string(resource.kind)),
        ]);
        Entity::new(uid, attributes, HashSet::new()).map_err(refused)
    }
}

fn string(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn refused(error: impl fmt::Display) -> Denied {
    tracing::error!(%error, "a policy could not be evaluated");
    Denied
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn error(schema: &str, policies: &str, permissions: &[&'static str]) -> String {
        Engine::of(schema, policies, permissions).err().unwrap().to_string()
    }

    #[test]
    fn policies_that_do_not_fit_the_schema_stop_the_start() {
        let misspelt = POLICIES.replace("principal.tenant", "principal.tennant");
        assert!(error(SCHEMA, &misspelt, &[]).starts_with("check the policies"));
        assert!(error(SCHEMA, "permit (principal", &[]).starts_with("read the policies"));
        assert!(error("namespace {", POLICIES, &[]).starts_with("read the policy schema"));
    }

    #[test]
    fn a_permission_without_an_action_stops_the_start() {
        assert!(error(SCHEMA, POLICIES, &["clients.read", "new.thing"]).ends_with("new.thing"));
    }
}
