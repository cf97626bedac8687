//! HTTP rules from a file: the `http` part of a `google.api.Service` document, in YAML or JSON.
//!
//! A rule is found by its selector: a method's full name, or, as `google/api/documentation.proto` has it, a list of
//! names with commas between, where a name may end in `.*` and `*` alone is every method. The last rule that selects
//! a method is the one that it has; the method's annotation then does not count.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::escape::Slash;
use crate::router::ANY_METHOD;
use crate::rule::{Binding, BuildError};

/// What a `google.api.Service` holds besides its rules, in proto names. Such keys are passed over, others refused: a
/// mistyped `http` must not be a service without routes.
const OTHER_KEYS: [&str; 28] = [
    "apis",
    "authentication",
    "backend",
    "billing",
    "config_version",
    "context",
    "control",
    "custom_error",
    "documentation",
    "endpoints",
    "enums",
    "experimental",
    "id",
    "logging",
    "logs",
    "metrics",
    "monitored_resources",
    "monitoring",
    "name",
    "producer_project_id",
    "publishing",
    "quota",
    "source_info",
    "system_parameters",
    "system_types",
    "title",
    "types",
    "usage",
];
/// More than any service needs, and little for a machine.
const MAX_BYTES: usize = 16 << 20;

/// The rules of the files that a builder was given, in their order.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    bindings: Vec<Vec<Binding>>,
    /// From a method's full name to the last rule that names it.
    exact: HashMap<String, usize>,
    /// Prefixes up to the dot (empty for every method), with their rules.
    wildcards: Vec<(String, usize)>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "type")]
    kind: Option<String>,
    http: Option<Http>,
    #[serde(flatten)]
    #[allow(clippy::zero_sized_map_values, reason = "the keys of a map are what can be flattened")]
    rest: BTreeMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    #[serde(default)]
    rules: Vec<HttpRule>,
    #[serde(default, alias = "fullyDecodeReservedExpansion")]
    fully_decode_reserved_expansion: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpRule {
    selector: Option<String>,
    get: Option<String>,
    put: Option<String>,
    post: Option<String>,
    delete: Option<String>,
    patch: Option<String>,
    custom: Option<Custom>,
    #[serde(default)]
    body: String,
    #[serde(default, alias = "responseBody")]
    response_body: String,
    #[serde(default, alias = "additionalBindings")]
    additional_bindings: Vec<HttpRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Custom {
    kind: String,
    path: String,
}

impl Rules {
    /// Adds the rules of a file; says how it wants slashes treated, if it does.
    pub(crate) fn add(&mut self, text: &str) -> Result<Option<Slash>, BuildError> {
        let document = parse(text)?;
        let Some(http) = document.http else { return Ok(None) };
        for (number, rule) in (1..).zip(http.rules) {
            let selector = rule.selector.clone().unwrap_or_default();
            if selector.trim().is_empty() {
                return fail(format!("rule {number} of http has no selector"));
            }
            let bindings = bindings(rule).map_err(|problem| problem_of(&selector, problem))?;
            for name in selector.split(',').map(str::trim) {
                self.select(name, &selector)?;
            }
            self.bindings.push(bindings);
        }
        Ok(http.fully_decode_reserved_expansion.then_some(Slash::Decode))
    }

    /// Lets `name` select the rule that comes next.
    fn select(&mut self, name: &str, selector: &str) -> Result<(), BuildError> {
        let rule = self.bindings.len();
        let prefix = if name == "*" { Some("") } else { name.strip_suffix('*') };
        match prefix {
            Some(prefix) if prefix.contains('*') || !(prefix.is_empty() || prefix.ends_with('.')) => {
                Err(problem_of(
                    selector,
                    "`*` stands alone or for the last parts of a name, as in `pkg.Service.*`",
                ))
            }
            Some(prefix) => {
                self.wildcards.push((prefix.to_owned(), rule));
                Ok(())
            }
            None if name.is_empty() || name.contains('*') => {
                Err(problem_of(selector, "not a list of names, each of which may end in `.*`"))
            }
            None => {
                self.exact.insert(name.to_owned(), rule);
                Ok(())
            }
        }
    }

    /// The bindings of a method, by its full name, if a rule selects it: the last one that does.
    pub(crate) fn of(&self, rpc: &str) -> Option<&[Binding]> {
        let wildcard =
            self.wildcards.iter().rev().find(|(prefix, _)| rpc.starts_with(prefix)).map(|(_, rule)| *rule);
        let rule = self.exact.get(rpc).copied().max(wildcard)?;
        Some(&self.bindings[rule])
    }

    /// Checks that every selector names one of these methods.
    pub(crate) fn check(&self, methods: &[String]) -> Result<(), BuildError> {
        let known: std::collections::HashSet<&str> = methods.iter().map(String::as_str).collect();
        let mut unknown: Vec<String> =
            self.exact.keys().filter(|name| !known.contains(name.as_str())).cloned().collect();
        let wildcards =
            self.wildcards.iter().filter(|(prefix, _)| !methods.iter().any(|rpc| rpc.starts_with(prefix)));
        unknown.extend(wildcards.map(|(prefix, _)| format!("{prefix}*")));
        unknown.sort_unstable();
        match unknown.into_iter().next() {
            None => Ok(()),
            Some(selector) => Err(BuildError::NoMethod { selector }),
        }
    }
}

fn parse(text: &str) -> Result<Document, BuildError> {
    if text.len() > MAX_BYTES {
        return fail(format!("larger than {MAX_BYTES} bytes"));
    }
    // Anchors and aliases are of use in rules, but a few lines of them can stand for gigabytes.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: 64, max_aliases: 1000, max_anchors: 1000 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000, max_replay_stack_depth: 8 },
        with_snippet: false,
    };
    let document: Document =
        serde_saphyr::from_str_with_options(text, options).or_else(|error| fail(error.to_string()))?;
    if let Some(kind) = document.kind.as_deref().filter(|kind| *kind != "google.api.Service") {
        return fail(format!("its type is {kind}, not google.api.Service"));
    }
    let other = |key: &str| {
        let mut name = String::new();
        for c in key.chars() {
            if c.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(c.to_ascii_lowercase());
        }
        OTHER_KEYS.contains(&name.as_str())
    };
    match document.rest.keys().find(|key| !other(key)) {
        None => Ok(document),
        Some(key) => fail(format!("google.api.Service has no field {key}")),
    }
}

fn bindings(mut rule: HttpRule) -> Result<Vec<Binding>, String> {
    let more = std::mem::take(&mut rule.additional_bindings);
    let mut bindings = vec![binding(rule, "the rule")?];
    for rule in more {
        if !rule.additional_bindings.is_empty() {
            return Err("an additional binding has additional bindings".to_owned());
        }
        if rule.selector.is_some() {
            return Err("an additional binding has a selector".to_owned());
        }
        bindings.push(binding(rule, "an additional binding")?);
    }
    Ok(bindings)
}

fn binding(rule: HttpRule, what: &str) -> Result<Binding, String> {
    let HttpRule { get, put, post, delete, patch, custom, body, response_body, .. } = rule;
    let standard = [("GET", get), ("PUT", put), ("POST", post), ("DELETE", delete), ("PATCH", patch)];
    let standard = standard.into_iter().filter_map(|(method, template)| Some((method.to_owned(), template?)));
    let custom = custom
        .map(|Custom { kind, path }| (if kind.is_empty() { ANY_METHOD.to_owned() } else { kind }, path));
    let mut patterns = standard.chain(custom);
    match (patterns.next(), patterns.next()) {
        (Some((method, template)), None) => Ok(Binding { method, template, body, response_body }),
        (None, _) => Err(format!("{what} has no method and path")),
        (Some((first, _)), Some((second, _))) => Err(format!("{what} has both {first} and {second}")),
    }
}

fn problem_of(selector: &str, problem: impl std::fmt::Display) -> BuildError {
    BuildError::RuleFile { problem: format!("{selector}: {problem}") }
}

fn fail<T>(problem: String) -> Result<T, BuildError> {
    Err(BuildError::RuleFile { problem })
}
