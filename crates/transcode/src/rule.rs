//! From the annotations of services to routes that are ready to run.

mod annotation;
mod choices;

pub(crate) use annotation::Binding;
pub(crate) use choices::Choices;

use std::sync::Arc;

use http::StatusCode;
use http::uri::PathAndQuery;
use prost_reflect::{MethodDescriptor, ServiceDescriptor};

use crate::plan::{Bound, FieldBehavior, Kind, Known, MessageId, Plans, Shape};
use crate::policy::Policy;
use crate::request::Capture;
use crate::router::{AddError, Router};
use crate::routing::Routing;
use crate::template::Template;

/// Why a transcoder cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The descriptor set does not decode.
    #[error("the descriptor set does not decode")]
    Descriptors(#[from] prost_reflect::DescriptorError),
    /// The extensions asked for do not fit, or an enum's spellings are ambiguous.
    #[error(transparent)]
    Plan(#[from] crate::plan::Error),
    /// A template that does not parse, or a route that exists already.
    #[error(transparent)]
    Route(#[from] AddError),
    /// A service that was asked for is not in the descriptors.
    #[error("no service {name} in the descriptors")]
    NoService {
        /// The service's full name.
        name: String,
    },
    /// A rule file that is no `google.api.Service`, or holds what no rule may say.
    #[error("the rule file: {problem}")]
    RuleFile {
        /// What is wrong, and where.
        problem: String,
    },
    /// A selector of a rule file that names none of the methods served.
    #[error("the rule file: no method {selector} among those served")]
    NoMethod {
        /// The selector.
        selector: String,
    },
    /// An origin of [`WebSocket`](crate::WebSocket) that no page has.
    #[cfg(feature = "websocket")]
    #[error("{origin} is no origin: that is scheme://host or scheme://host:port")]
    Origin {
        /// The text.
        origin: String,
    },
    /// A rule that does not fit its method.
    #[error("{rpc}: {problem}")]
    Rule {
        /// The method's full name.
        rpc: String,
        /// What is wrong.
        problem: String,
    },
}

/// Where the HTTP body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyRule {
    /// There is none.
    No,
    /// It is the whole request message, but for what the path binds.
    Whole,
    /// It is the field with this index.
    Field(u32),
}

/// A route, ready to run.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts about a route")]
pub(crate) struct RoutePlan {
    pub(crate) rpc: MethodDescriptor,
    pub(crate) template: String,
    /// `/pkg.Service/Method`
    pub(crate) grpc_path: PathAndQuery,
    pub(crate) input: MessageId,
    pub(crate) output: MessageId,
    /// For each variable of the template, its field path as written.
    pub(crate) variable_names: Vec<String>,
    /// For each variable of the template, the field indices from the request message down.
    pub(crate) variables: Vec<Vec<u32>>,
    /// What the path sets.
    pub(crate) bound: Bound,
    /// What path and body set, so that the query must not.
    pub(crate) query_bound: Bound,
    pub(crate) body: BodyRule,
    pub(crate) behavior: FieldBehavior,
    pub(crate) is_patch: bool,
    /// The client may ask for a part of the answer.
    pub(crate) partial: bool,
    /// The body is a `google.api.HttpBody`: taken as it is.
    pub(crate) raw_body: bool,
    /// The field of the response message that is the HTTP body, if not the whole.
    pub(crate) response: Option<u32>,
    /// The answer is a `google.api.HttpBody`: given as it is.
    pub(crate) raw_response: bool,
    /// The update mask of a PATCH, which is inferred from the body of a rule `body: "f"` where the query gives none.
    pub(crate) mask: Option<u32>,
    /// Where unknown query parameters go; otherwise they are errors.
    pub(crate) capture: Option<Capture>,
    pub(crate) success: StatusCode,
    /// How a stream of events that broke off goes on.
    pub(crate) resume: Option<ResumePlan>,
    pub(crate) policy: Arc<Policy>,
    /// Where the routing header comes from, if there is to be one.
    pub(crate) routing: Option<Routing>,
}

/// A [`Resume`](crate::Resume), looked up.
#[derive(Debug)]
pub(crate) struct ResumePlan {
    /// The number of the response's field.
    pub(crate) event_id: u32,
    /// The kind of the response's field: a string, or an integer.
    pub(crate) event_kind: Kind,
    /// The request's field.
    pub(crate) resume_from: String,
}

/// Adds the routes of a service, in the order of its methods; `routes` receives them by the router's index.
pub(crate) fn add_service(
    service: &ServiceDescriptor,
    choices: &Choices,
    plans: &Plans,
    router: &mut Router,
    routes: &mut Vec<Arc<RoutePlan>>,
) -> Result<(), BuildError> {
    for rpc in service.methods() {
        let mut bindings = choices.bindings_of(&rpc)?;
        if bindings.is_empty() && choices.unannotated {
            bindings.push(at_its_path(&rpc));
        }
        for binding in bindings {
            let index = router.add(rpc.full_name(), &binding.method, &binding.template)?;
            let route = plan(&rpc, &binding, &router.routes()[index].template, choices, plans);
            let route = route.map_err(|problem| {
                let problem = format!("{} {}: {problem}", binding.method, binding.template);
                BuildError::Rule { rpc: rpc.full_name().to_owned(), problem }
            })?;
            routes.push(Arc::new(route));
        }
    }
    Ok(())
}

/// The binding of a method at its gRPC path.
fn at_its_path(rpc: &MethodDescriptor) -> Binding {
    Binding {
        method: "POST".to_owned(),
        template: format!("/{}/{}", rpc.parent_service().full_name(), rpc.name()),
        body: "*".to_owned(),
        response_body: String::new(),
    }
}

/// The route of a method at its gRPC path: whole messages both ways, whatever its HTTP rule says.
pub(crate) fn rpc_route(
    rpc: &MethodDescriptor,
    choices: &Choices,
    plans: &Plans,
) -> Result<RoutePlan, BuildError> {
    let binding = at_its_path(rpc);
    let whole = Choices { behavior: FieldBehavior::IGNORED, ..Choices::default() };
    let route = Template::parse(&binding.template)
        .map_err(|error| error.to_string())
        .and_then(|template| plan(rpc, &binding, &template, &whole, plans));
    let failed = |problem| BuildError::Rule { rpc: rpc.full_name().to_owned(), problem };
    let mut route = route.map_err(failed)?;
    route.policy = choices.policy_of(rpc);
    if choices.routing {
        route.routing = Routing::explicit(rpc, route.input, plans).map_err(failed)?;
        if let (None, Some(first)) = (&route.routing, choices.bindings_of(rpc)?.first()) {
            let template = Template::parse(&first.template).map_err(|error| failed(error.to_string()))?;
            route.routing = Some(Routing::implicit(&template, route.input, plans));
        }
    }
    Ok(route)
}

fn plan(
    rpc: &MethodDescriptor,
    binding: &Binding,
    template: &Template,
    choices: &Choices,
    plans: &Plans,
) -> Result<RoutePlan, String> {
    let message = |name: &str| plans.message(name).ok_or_else(|| format!("no message {name}"));
    let (input, output) = (message(rpc.input().full_name())?, message(rpc.output().full_name())?);
    let mut bound = Bound::default();
    let mut variables = Vec::new();
    for variable in &template.variables {
        let name = variable.field_path.join(".");
        let path = resolve(plans, input, &variable.field_path)?;
        if !bound.take(plans, input, &path) {
            return Err(format!("variable {name} sets what another variable sets"));
        }
        variables.push(path);
    }
    let field = |message: MessageId, name: &str| {
        let plan = plans.get(message);
        let index = plan.fields.iter().position(|field| *field.name == *name);
        index.map(|index| index as u32).ok_or_else(|| format!("{} has no field {name}", plan.name))
    };
    let mut query_bound = bound.clone();
    let body = match binding.body.as_str() {
        "" => BodyRule::No,
        "*" => BodyRule::Whole,
        name => {
            let index = field(input, name)?;
            let plan = &plans.get(input).fields[index as usize];
            match bound.get(index, plan) {
                Some(crate::plan::Taken::Whole) => {
                    return Err(format!("the path sets the body's field {name}, or its oneof"));
                }
                Some(crate::plan::Taken::Inside(_)) => {}
                None => drop(query_bound.take(plans, input, &[index])),
            }
            BodyRule::Field(index)
        }
    };
    let response = match binding.response_body.as_str() {
        "" => None,
        name => Some(field(output, name)?),
    };
    let is_http_body = |message: Option<MessageId>| message.is_some_and(|id| plans.get(id).is_http_body());
    let singular = |message: MessageId, index: u32| {
        let field = &plans.get(message).fields[index as usize];
        field.message().filter(|_| field.shape == Shape::Singular)
    };
    let raw_body = match body {
        BodyRule::No => false,
        BodyRule::Whole => is_http_body(Some(input)),
        BodyRule::Field(index) => is_http_body(singular(input, index)),
    };
    let raw_response = is_http_body(response.map_or(Some(output), |index| singular(output, index)));
    let is_resource =
        |index| singular(input, index).is_some_and(|id| plans.get(id).known == Known::No) && !raw_body;
    let updates = match body {
        BodyRule::No => false,
        BodyRule::Whole => binding.method == "PATCH",
        BodyRule::Field(index) => binding.method == "PATCH" && is_resource(index),
    };
    let mask = field(input, "update_mask")
        .ok()
        .filter(|_| updates)
        .filter(|mask| singular(input, *mask).is_some_and(|id| plans.get(id).known == Known::FieldMask));
    let resume = (choices.resume)(rpc).filter(|_| rpc.is_server_streaming() && response.is_none());
    let resume = resume.map(|resume| {
        let index = field(output, &resume.event_id)?;
        field(input, &resume.resume_from)?;
        let field = &plans.get(output).fields[index as usize];
        let is_text =
            matches!(field.kind, Kind::String | Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64);
        if field.shape != Shape::Singular || !is_text {
            return Err(format!("{} cannot be the id of an event", resume.event_id));
        }
        Ok(ResumePlan { event_id: field.number, event_kind: field.kind, resume_from: resume.resume_from })
    });
    let capture = match (&choices.capture, body) {
        // There is no query then, says `google/api/http.proto`.
        (_, BodyRule::Whole) | (None, _) => None,
        (Some(name), _) => Capture::new(plans, input, name)?,
    };
    // A field that path or body set takes nothing else.
    let capture = capture.filter(|capture| query_bound.clone().take(plans, input, capture.field()));
    let grpc_path = format!("/{}/{}", rpc.parent_service().full_name(), rpc.name());
    Ok(RoutePlan {
        rpc: rpc.clone(),
        template: binding.template.clone(),
        grpc_path: grpc_path.parse().map_err(|_| "its name is no path".to_owned())?,
        input,
        output,
        variable_names: template.variables.iter().map(|variable| variable.field_path.join(".")).collect(),
        variables,
        bound,
        query_bound,
        body,
        behavior: choices.behavior,
        partial: choices.partial,
        is_patch: binding.method == "PATCH",
        raw_body,
        response,
        raw_response,
        mask,
        capture,
        success: (choices.success)(rpc),
        resume: resume.transpose()?,
        policy: choices.policy_of(rpc),
        routing: if choices.routing {
            Some(Routing::explicit(rpc, input, plans)?.unwrap_or(Routing::Bindings))
        } else {
            None
        },
    })
}

/// The field indices of a variable, which must end in a field that one text can set.
fn resolve(plans: &Plans, message: MessageId, path: &[String]) -> Result<Vec<u32>, String> {
    let mut at = Some(message);
    let mut indices = Vec::new();
    for (depth, name) in path.iter().enumerate() {
        let plan = at.map(|id| plans.get(id)).ok_or_else(|| format!("{name} is inside a scalar"))?;
        let index = plan.fields.iter().position(|field| *field.name == **name);
        let index = index.ok_or_else(|| format!("{} has no field {name}", plan.name))?;
        let field = &plan.fields[index];
        if field.shape != Shape::Singular {
            return Err(format!("field {name} is repeated"));
        }
        let last = depth + 1 == path.len();
        let fits = match field.kind {
            Kind::Message(id) if last => {
                matches!(
                    plans.get(id).known,
                    Known::Timestamp | Known::Duration | Known::FieldMask | Known::Wrapper
                )
            }
            Kind::Message(id) => plans.get(id).known == Known::No,
            Kind::Group(_) => false,
            _ => last,
        };
        if !fits {
            return Err(format!("field {name} cannot be set from a path"));
        }
        indices.push(index as u32);
        at = field.message();
    }
    Ok(indices)
}
