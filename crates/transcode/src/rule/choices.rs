//! What a builder is told that routes depend on.

use std::collections::HashMap;
use std::sync::Arc;

use http::StatusCode;
use prost_reflect::{MethodDescriptor, ServiceDescriptor};

use super::BuildError;
use super::annotation::{Binding, HTTP_EXTENSION, bindings};
use crate::builder::Resume;
use crate::plan::FieldBehavior;
use crate::policy::{MethodPolicy, Policy};
use crate::rules::Rules;

/// A choice that is made for each method.
type OfMethod<T> = Box<dyn Fn(&MethodDescriptor) -> T>;

/// What the builder says of routes.
pub(crate) struct Choices {
    pub(crate) rules: Rules,
    pub(crate) unannotated: bool,
    /// The name of the field that takes unknown query parameters.
    pub(crate) capture: Option<String>,
    pub(crate) behavior: FieldBehavior,
    pub(crate) partial: bool,
    pub(crate) success: OfMethod<StatusCode>,
    pub(crate) resume: OfMethod<Option<Resume>>,
    pub(crate) policy: OfMethod<MethodPolicy>,
    /// Routing headers are sent.
    pub(crate) routing: bool,
    /// What `policy` said, by the method's full name.
    pub(super) policies: HashMap<String, Arc<Policy>>,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            unannotated: false,
            capture: None,
            behavior: FieldBehavior::ENFORCED,
            partial: true,
            success: Box::new(|_| StatusCode::OK),
            resume: Box::new(|_| None),
            policy: Box::new(|_| MethodPolicy::default()),
            routing: false,
            policies: HashMap::new(),
        }
    }
}

impl Choices {
    /// Asks what is asked once a method.
    pub(crate) fn decide(&mut self, services: &[ServiceDescriptor]) -> Result<(), BuildError> {
        for rpc in services.iter().flat_map(ServiceDescriptor::methods) {
            let name = rpc.full_name().to_owned();
            match Policy::new(&rpc, (self.policy)(&rpc)) {
                Ok(policy) => drop(self.policies.insert(name, Arc::new(policy))),
                Err(problem) => return Err(BuildError::Rule { rpc: name, problem }),
            }
        }
        Ok(())
    }

    pub(super) fn policy_of(&self, rpc: &MethodDescriptor) -> Arc<Policy> {
        self.policies.get(rpc.full_name()).cloned().unwrap_or_default()
    }

    /// The bindings that a method has by its rules, or by its annotation.
    pub(super) fn bindings_of(&self, rpc: &MethodDescriptor) -> Result<Vec<Binding>, BuildError> {
        match (self.rules.of(rpc.full_name()), rpc.parent_pool().get_extension_by_name(HTTP_EXTENSION)) {
            (Some(bindings), _) => Ok(bindings.to_vec()),
            (None, Some(extension)) => bindings(rpc, &extension),
            (None, None) => Ok(Vec::new()),
        }
    }
}
