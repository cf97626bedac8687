//! Parameters: what the path and the query give.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::schemas::Place;
use super::{Binding, Body, Maker, bounds};
use crate::plan::{Bound, Known, MessageId, Taken};

/// The deepest that query parameters reach into messages.
const MAX_DEPTH: usize = 4;

/// How a value stands in a query.
enum Form {
    /// As text, or as texts with one name.
    Plain,
    /// `name[key]=value`
    Keyed,
    /// As a text of JSON.
    Json,
    /// As its fields: `name.field=value`.
    Fields(MessageId),
    /// Not at all.
    No,
}

impl Maker<'_> {
    /// The parameters of a binding; `path` has the names in its path.
    pub(super) fn parameters(&mut self, binding: &Binding, path: &[String]) -> Vec<Value> {
        let mut parameters = Vec::new();
        for (place, name) in binding.places.iter().zip(path) {
            let variable = place.variable.and_then(|(index, whole)| {
                Some((binding.variables.get(index)?.last()?, binding.route.variable_names.get(index)?, whole))
            });
            let mut parameter = match variable {
                Some((field, _, true)) => self.parameter(field, name, Place::Path),
                Some((_, variable, false)) => json!({
                    "name": name,
                    "in": "path",
                    "description": format!("A part of `{variable}`."),
                    "schema": { "type": "string", "minLength": 1 },
                }),
                None => json!({ "name": name, "in": "path", "schema": { "type": "string", "minLength": 1 } }),
            };
            if place.wide {
                // OpenAPI has no parameter of several segments.
                parameter["x-multi-segment"] = json!(true);
            }
            parameter["required"] = json!(true);
            parameters.push(parameter);
        }
        if !matches!(binding.body, Body::Whole) {
            let mut query = Query { binding, parents: vec![binding.route.input], parameters };
            let input = binding.rpc.input();
            self.query(&mut query, (&input, binding.route.input), &binding.route.query_bound, "");
            parameters = query.parameters;
        }
        if let Some(name) = self.selection(binding) {
            parameters.push(json!({
                "name": name,
                "in": "query",
                "description": "Which fields of the answer are wanted, as in `name,author(name)`. Others are left out then, \
                                also where the schema requires them.",
                "schema": { "type": "string", "minLength": 1 },
            }));
        }
        parameters
    }

    /// What the parameter is called that selects fields of the answer, if there is something to select from.
    fn selection(&self, binding: &Binding) -> Option<&'static str> {
        let plans = &self.engine.plans;
        let message = match binding.route.response {
            None => Some(binding.route.output),
            Some(index) => plans.get(binding.route.output).fields[index as usize].message(),
        };
        let has_fields =
            message.is_some_and(|id| plans.get(id).known == Known::No && !plans.get(id).fields.is_empty());
        let taken = plans.get(binding.route.input).names.get(b"fields").is_some();
        (has_fields && binding.route.partial && !binding.route.raw_response).then_some(if taken {
            "$fields"
        } else {
            "fields"
        })
    }

    /// Every field that neither path nor body gives, messages by their fields: `page.limit`.
    fn query(
        &mut self,
        query: &mut Query<'_>,
        (message, id): (&MessageDescriptor, MessageId),
        bound: &Bound,
        prefix: &str,
    ) {
        let mut fields: Vec<FieldDescriptor> = message.fields().collect();
        fields.sort_by_key(|field| field.path().last().copied());
        for field in fields {
            let plan = self.engine.plans.get(id);
            let Some(index) = plan.by_number(field.number()) else { continue };
            let (route, outermost) = (&query.binding.route, query.parents.len() == 1);
            if outermost && matches!(&query.binding.body, Body::Field(body) if *body == field) {
                continue;
            }
            let name = format!("{prefix}{}", self.key(&field));
            let captures = route.capture.as_ref().is_some_and(|capture| *capture.field() == [index as u32]);
            if outermost && captures {
                query.parameters.push(self.captured(&field, &name));
                continue;
            }
            let nothing = Bound::default();
            let inside = match bound.get(index as u32, &plan.fields[index]) {
                Some(Taken::Whole) => continue,
                Some(Taken::Inside(inside)) => inside,
                None => &nothing,
            };
            let form = self.form(&field);
            let mut parameter = match form {
                Form::No => continue,
                Form::Fields(id) => {
                    let kind = field.kind();
                    let deeper = query.parents.len() <= MAX_DEPTH && !query.parents.contains(&id);
                    if let Some(message) = kind.as_message().filter(|_| deeper) {
                        query.parents.push(id);
                        self.query(query, (message, id), inside, &format!("{name}."));
                        query.parents.pop();
                    }
                    continue;
                }
                Form::Plain => self.parameter(&field, &name, Place::Query),
                Form::Keyed => {
                    let mut parameter = self.parameter(&field, &name, Place::Query);
                    parameter["style"] = json!("deepObject");
                    parameter["explode"] = json!(true);
                    parameter
                }
                Form::Json => {
                    let mut parameter = self.parameter(&field, &name, Place::Query);
                    let schema = parameter["schema"].take();
                    parameter["content"] = json!({ "application/json": { "schema": schema } });
                    if let Some(parameter) = parameter.as_object_mut() {
                        parameter.remove("schema");
                    }
                    parameter
                }
            };
            if outermost && query.binding.route.mask == Some(index as u32) {
                self.restrict_mask(&mut parameter, query.binding);
            }
            // Inside a message that need not be there nothing need be.
            if outermost && self.extensions.of(&field).required {
                parameter["required"] = json!(true);
            }
            query.parameters.push(parameter);
        }
    }

    fn form(&self, field: &FieldDescriptor) -> Form {
        let kind = field.kind();
        if field.is_map() {
            let value = kind.as_message().map(MessageDescriptor::map_entry_value_field);
            return match value.map(|value| self.form(&value)) {
                Some(Form::Plain) => Form::Keyed,
                _ => Form::No,
            };
        }
        let Kind::Message(message) = kind else { return Form::Plain };
        let Some(id) = self.engine.plans.message(message.full_name()).filter(|_| !field.is_group()) else {
            return Form::No;
        };
        match self.engine.plans.get(id).known {
            Known::Timestamp | Known::Duration | Known::FieldMask | Known::Wrapper => Form::Plain,
            Known::Struct | Known::Value | Known::ListValue if !field.is_list() => Form::Json,
            Known::No if !field.is_list() => Form::Fields(id),
            _ => Form::No,
        }
    }

    /// The field that takes parameters of any name.
    fn captured(&self, field: &FieldDescriptor, name: &str) -> Value {
        let comment = self.comments.at(field.parent_file().name(), field.path());
        json!({
            "name": name,
            "in": "query",
            "description": if comment.is_empty() { "Parameters of any other name." } else { comment },
            "style": "form",
            "explode": true,
            "schema": { "type": "object", "additionalProperties": { "type": "string" } },
        })
    }

    fn parameter(&mut self, field: &FieldDescriptor, name: &str, place: Place) -> Value {
        let facts = self.extensions.of(field);
        let mut schema = self.field(field, &facts, place);
        let place = if place == Place::Path { "path" } else { "query" };
        let mut parameter =
            Map::from_iter([("name".to_owned(), json!(name)), ("in".to_owned(), json!(place))]);
        if let Some(schema) = schema.as_object_mut() {
            // A parameter has these beside its schema.
            for keyword in ["description", "deprecated"] {
                parameter.extend(schema.remove(keyword).map(|value| (keyword.to_owned(), value)));
            }
            let example = schema.remove("examples").and_then(|examples| examples.get(0).cloned());
            parameter.extend(example.map(|example| ("example".to_owned(), example)));
        }
        parameter.insert("schema".into(), schema);
        parameter.into()
    }

    /// A mask of the body's fields names those.
    fn restrict_mask(&self, parameter: &mut Value, binding: &Binding) {
        let Body::Field(body) = &binding.body else { return };
        let kind = body.kind();
        let Some(message) = kind.as_message() else { return };
        let bound = |field: &FieldDescriptor| {
            binding.variables.iter().any(|variable| variable.ends_with(&[body.clone(), field.clone()]))
        };
        let fixed = |field: &FieldDescriptor| {
            let facts = self.extensions.of(field);
            facts.output_only || facts.immutable && binding.route.behavior.immutable
        };
        let mut fields: Vec<FieldDescriptor> =
            message.fields().filter(|field| !bound(field) && !fixed(field)).collect();
        fields.sort_by_key(|field| field.path().last().copied());
        let path = |field: &FieldDescriptor| {
            let inside = matches!(field.kind(), Kind::Message(_)) && !field.is_list();
            let inside = if inside { "(\\.[A-Za-z0-9_.]+)?" } else { "" };
            // The paths of a mask have JSON names, whatever is printed elsewhere.
            format!("{}{inside}", bounds::escaped(field.json_name()))
        };
        let any = fields.iter().map(path).collect::<Vec<_>>().join("|");
        if !any.is_empty() {
            parameter["schema"]["pattern"] = json!(format!("^(({any})(,({any}))*)?$"));
        }
    }
}

/// The query of a binding, growing.
struct Query<'a> {
    binding: &'a Binding,
    /// The messages from the request down: none comes twice.
    parents: Vec<MessageId>,
    parameters: Vec<Value>,
}
