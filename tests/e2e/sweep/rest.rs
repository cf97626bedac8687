//! Over REST: each value where the method's HTTP rule has it, in the path, the query or the body. And what JSON and texts can be wrong in
//! beyond that: values of another type, fields that there are not.

use super::{Bad, Place, all_bad, base, methods, places, with};
use crate::support::shared;
use authn::Role;
use bytes::Bytes;
use http::Method;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MethodDescriptor, SerializeOptions};
use riskmesh::http_client::{Answer, Http};
use serde_json::{Map, Value, json};

/// One way to call a method over REST.
struct Route {
    http: Method,
    template: String,
    /// The field that is the body: `*` for the whole request, nothing for none.
    body: String,
}

impl Route {
    /// Every way: the HTTP rule, and its additional bindings.
    fn all(method: &MethodDescriptor) -> Vec<Self> {
        let extension = method.parent_pool().get_extension_by_name("google.api.http").unwrap();
        let options = method.options();
        if !options.has_extension(&extension) {
            return Vec::new();
        }
        let rule = options.get_extension(&extension).as_message().unwrap().clone();
        let more = rule.get_field_by_name("additional_bindings").unwrap();
        let more: Vec<_> =
            more.as_list().unwrap().iter().map(|rule| rule.as_message().unwrap().clone()).collect();
        [rule].into_iter().chain(more).map(|rule| Self::of(&rule)).collect()
    }

    fn of(rule: &DynamicMessage) -> Self {
        let text = |name: &str| rule.get_field_by_name(name).unwrap().as_str().unwrap().to_owned();
        let verbs = ["get", "put", "post", "delete", "patch"];
        let verb = verbs.into_iter().find(|verb| rule.has_field_by_name(verb)).unwrap();
        Self { http: verb.to_uppercase().parse().unwrap(), template: text(verb), body: text("body") }
    }

    /// The variables in the path, as the template names them.
    fn variables(&self) -> Vec<&str> {
        self.template.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0).collect()
    }

    fn binds(&self, place: &[FieldDescriptor]) -> bool {
        let path = place.iter().map(FieldDescriptor::name).collect::<Vec<_>>().join(".");
        self.variables().contains(&path.as_str())
    }

    /// Whether a field is in the body.
    fn in_body(&self, place: &[FieldDescriptor]) -> bool {
        self.body == "*" || self.body == place[0].name()
    }

    /// The request that a message is.
    fn request(&self, message: Value) -> Call {
        let mut message = message;
        let mut path = self.template.clone();
        for variable in self.variables() {
            let value = take(&mut message, variable).unwrap_or_default();
            path = path.replace(&format!("{{{variable}}}"), &escaped(&text(&value)));
        }
        let body = match self.body.as_str() {
            "" => None,
            "*" => Some(std::mem::take(&mut message)),
            field => take(&mut message, field),
        };
        let mut query = Vec::new();
        parameters("", &message, &mut query);
        Call { http: self.http.clone(), path, query, body }
    }

    /// How errors name a field: JSON names, from the body down where it is in the body.
    fn named(&self, place: &Place) -> String {
        let within = self.body == place[0].name();
        if within && place.len() == 1 && !place[0].is_list() {
            return "body".into();
        }
        let name = super::named(place);
        match name.strip_prefix(place[0].json_name()).filter(|_| within) {
            Some(rest) => rest.trim_start_matches('.').to_owned(),
            None => name,
        }
    }
}

/// A request.
#[derive(Clone)]
struct Call {
    http: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Option<Value>,
}

impl Call {
    async fn send(&self, http: &mut Http) -> Answer {
        let query: Vec<String> =
            self.query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let path =
            if query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, query.join("&")) };
        let body = self.body.as_ref().map(|body| Bytes::from(body.to_string()));
        http.send(self.http.clone(), &path, &[], body).await.unwrap()
    }
}

/// Takes the value at a path of proto names out of a message in JSON.
fn take(message: &mut Value, path: &str) -> Option<Value> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let fields = message.as_object_mut()?;
    match rest {
        Some(rest) => take(fields.get_mut(&json_name(first))?, rest),
        None => fields.remove(&json_name(first)),
    }
}

fn json_name(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| name + &part[..1].to_uppercase() + &part[1..])
}

/// A scalar as a path or a query has it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The query that says what a message says.
fn parameters(above: &str, value: &Value, query: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
                parameters(&name, value, query);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| parameters(above, item, query)),
        value if above.is_empty() => assert!(value.is_null(), "a request is an object"),
        value => query.push((above.to_owned(), text(value))),
    }
}

/// A message in JSON; a time that JSON cannot say is one of the year 10000.
fn in_json(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new().stringify_64_bit_integers(false);
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
}

/// The message in JSON with another value at a place.
fn with_json(message: &mut Value, place: &[FieldDescriptor], value: &Value) {
    let (field, rest) = place.split_first().unwrap();
    let fields = message.as_object_mut().unwrap();
    if rest.is_empty() {
        fields.insert(field.json_name().to_owned(), value.clone());
        return;
    }
    let inner = fields.entry(field.json_name()).or_insert_with(|| Value::Object(Map::new()));
    let inner = if field.is_list() { inner.get_mut(0).unwrap() } else { inner };
    with_json(inner, rest, value);
}

/// What is of no type that a field has; in a query everything is a text.
fn of_another_type(field: &FieldDescriptor, in_query: bool) -> Vec<Value> {
    let texts = match field.kind() {
        Kind::Int32 | Kind::Int64 => vec![json!("many"), json!("1.5"), json!("99999999999999999999")],
        Kind::Enum(_) => vec![json!("nonsense")],
        Kind::Bool => vec![json!("perhaps")],
        Kind::Message(inner) if inner.full_name() == "google.protobuf.Timestamp" => vec![json!("yesterday")],
        _ => Vec::new(),
    };
    if in_query {
        return texts;
    }
    let shapes = match field.kind() {
        _ if field.is_list() => vec![json!("one"), json!({"0": 1})],
        Kind::String => vec![json!({"text": "x"}), json!(["x"]), json!(true)],
        Kind::Int32 | Kind::Int64 => vec![json!(1.5), json!([1]), json!(true)],
        Kind::Enum(_) => vec![json!({}), json!([1]), json!(1.5)],
        Kind::Bool => vec![json!(1), json!("true ")],
        Kind::Message(_) => vec![json!(["x"]), json!(true), json!(7)],
        _ => Vec::new(),
    };
    if field.is_list() { shapes } else { texts.into_iter().chain(shapes).collect() }
}

fn check(what: &str, answer: &Answer, named: &str, expected: &str) {
    let body = &answer.body;
    assert_eq!((answer.status, &body["errorCode"]), (400, &json!("INVALID_INPUT")), "{what}: {body:#}");
    let details = body["details"].as_array().unwrap_or_else(|| panic!("{what}: no details in {body:#}"));
    assert!(!details.is_empty(), "{what}: {body:#}");
    for detail in details {
        let field = detail["field"].as_str().unwrap();
        assert!(field.starts_with(named) || named == "body", "{what}: {field} instead of {named}: {body:#}");
        for told in ["issue", "expected"] {
            assert!(!detail[told].as_str().unwrap().is_empty(), "{what}: no {told}: {body:#}");
        }
        assert!(!body.to_string().contains("_UNSPECIFIED"), "{what}: {body:#}");
    }
    for field in ["message", "hint", "timestamp", "traceId"] {
        assert!(!body[field].as_str().unwrap_or_default().is_empty(), "{what}: {field} in {body:#}");
    }
    let said = details.iter().any(|detail| detail["expected"] == expected);
    assert!(expected.is_empty() || said, "{what}: not {expected:?} but {body:#}");
}

#[tokio::test]
async fn each_bad_value_of_each_field_of_each_method_is_named() {
    let mut http = shared().as_role(Role::Admin, "swept").await;
    let (mut routes, mut sent) = (0, 0);
    for method in methods() {
        for route in Route::all(&method) {
            routes += 1;
            let what = format!("{} {}", route.http, route.template);
            let good = base(&method.input(), 0);
            let answer = route.request(in_json(&good)).send(&mut http).await;
            assert_ne!(answer.status, 400, "{what}: {:#}", answer.body);
            for (place, bad) in all_bad(&method.input()) {
                if let Some(call) = bad_call(&route, &good, &place, &bad) {
                    let answer = call.send(&mut http).await;
                    let named = route.named(&place);
                    let expected = if bad.what == "empty" { "" } else { &bad.expected };
                    check(&format!("{what}: {named} {}", bad.what), &answer, &named, expected);
                    sent += 1;
                }
            }
            sent += swept_types(&mut http, &method, &route, &what).await;
        }
    }
    // So that a change of the contract's options cannot silently leave the sweep without work.
    assert!(routes > 45 && sent > 1000, "{routes} routes, {sent} bad values");
}

/// The call with a bad value; none where a path or a query cannot say it.
fn bad_call(route: &Route, good: &DynamicMessage, place: &Place, bad: &Bad) -> Option<Call> {
    let field = place.last()?;
    if route.binds(place) && (bad.value.is_none() || bad.what == "empty") {
        // Another path.
        return None;
    }
    let in_path = |variable: &str| variable.split_once('.').is_some_and(|(within, _)| within == field.name());
    if bad.value.is_none() && place.len() == 1 && route.variables().into_iter().any(in_path) {
        // The path says a part of it.
        return None;
    }
    if !route.in_body(place) && bad.what == "empty" {
        // As if it were not there, and that is told as what is missing.
        return None;
    }
    let mut message = good.clone();
    if bad.what == "beyond all times" {
        let mut message = in_json(&message);
        with_json(&mut message, place, &json!("10000-01-01T00:00:00Z"));
        return Some(route.request(message));
    }
    with(&mut message, place, bad.value.as_ref());
    let mut json = in_json(&message);
    if let Some(prost_reflect::Value::EnumNumber(number)) = &bad.value {
        with_json(&mut json, place, &json!(number));
    }
    if bad.what == "empty" || (field.is_list() && bad.what == "no items") {
        with_json(&mut json, place, &if field.is_list() { json!([]) } else { json!("") });
    }
    Some(route.request(json))
}

/// Values of other types, and fields that there are not. Gives how many.
async fn swept_types(http: &mut Http, method: &MethodDescriptor, route: &Route, what: &str) -> usize {
    let good = base(&method.input(), 0);
    let mut sent = 0;
    let mut found = Vec::new();
    places(&method.input(), &Vec::new(), &mut found);
    for place in found.iter().filter(|place| !route.binds(place)) {
        let field = place.last().unwrap();
        let in_query = !route.in_body(place);
        for value in of_another_type(field, in_query) {
            let mut message = in_json(&good);
            with_json(&mut message, place, &value);
            let answer = route.request(message).send(http).await;
            let named = route.named(place);
            check(&format!("{what}: {named} is {value}"), &answer, &named, "");
            sent += 1;
        }
    }
    let call = route.request(in_json(&good));
    let mut asked = call.clone();
    asked.query.push(("noSuchField".into(), "1".into()));
    if route.body != "*" {
        check(&format!("{what}: an unknown parameter"), &asked.send(http).await, "noSuchField", "");
        sent += 1;
    }
    if let Some(Value::Object(fields)) = &call.body {
        let mut told = call.clone();
        let mut fields = fields.clone();
        fields.insert("noSuchField".into(), json!(1));
        told.body = Some(Value::Object(fields));
        check(&format!("{what}: an unknown field"), &told.send(http).await, "noSuchField", "");
        sent += 1;
    }
    sent
}
