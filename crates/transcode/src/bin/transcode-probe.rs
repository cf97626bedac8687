//! Asks the transcoder's parts one question a line: JSON lines in, one JSON line out for each, whatever comes in.
//!
//! ```text
//! {"op":"template","template":"/a/{b=c/**}/d:v"}
//! {"op":"match","routes":[{"id":"r1","method":"GET","template":"/a/{x}","body":""}],
//!  "lookups":[{"method":"GET","path":"/a/1","query":"y=2"}]}
//! {"op":"json_to_proto","descriptor_set":"file","message":"pkg.M","json":"…"}
//! {"op":"proto_to_json","descriptor_set":"file","message":"pkg.M","hex":"…"}
//! ```

use std::collections::HashMap;
use std::io::{self, BufRead as _, Write as _};

use prost_reflect::DescriptorPool;
use riskmesh_transcode::router::Router;
use riskmesh_transcode::template::Template;
use riskmesh_transcode::{Extensions, ParseOptions, Plans, PrintOptions, query_parameters};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Question {
    Template { template: String },
    Match { routes: Vec<RouteText>, lookups: Vec<Lookup> },
    JsonToProto { descriptor_set: String, message: String, json: String },
    ProtoToJson { descriptor_set: String, message: String, hex: String },
}

#[derive(Deserialize)]
struct RouteText {
    id: String,
    method: String,
    template: String,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
struct Lookup {
    method: String,
    path: String,
    #[serde(default)]
    query: String,
}

/// The answer, or what an `error` says.
type Answer = Result<Value, String>;

/// The plans of the descriptor sets that were asked for.
#[derive(Default)]
struct Sets(HashMap<String, Plans>);

fn main() -> io::Result<()> {
    let mut sets = Sets::default();
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let question = serde_json::from_slice(&line).map_err(|error| error.to_string());
        let answer = question.and_then(|question| sets.answer(question));
        writeln!(output, "{}", answer.unwrap_or_else(|error| json!({ "error": error })))?;
        output.flush()?;
        line.clear();
    }
    Ok(())
}

impl Sets {
    fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Template { template } => parse_template(&template),
            Question::Match { routes, lookups } => find(&routes, &lookups),
            Question::JsonToProto { descriptor_set, message, json } => {
                let plans = self.plans(descriptor_set)?;
                let id = plans.message(&message).ok_or_else(|| format!("no message {message}"))?;
                let mut out = Vec::new();
                let parsed = plans.parse(id, json.as_bytes(), &ParseOptions::default(), &mut out);
                parsed.map(|()| json!({ "hex": to_hex(&out) })).map_err(|error| error.to_string())
            }
            Question::ProtoToJson { descriptor_set, message, hex } => {
                let plans = self.plans(descriptor_set)?;
                let id = plans.message(&message).ok_or_else(|| format!("no message {message}"))?;
                let wire = from_hex(&hex).ok_or("not hexadecimal")?;
                let mut out = Vec::new();
                plans
                    .print(id, &wire, &PrintOptions::default(), &mut out)
                    .map_err(|error| error.to_string())?;
                Ok(json!({ "json": String::from_utf8_lossy(&out) }))
            }
        }
    }

    fn plans(&mut self, file: String) -> Result<&Plans, String> {
        if !self.0.contains_key(&file) {
            let bytes = std::fs::read(&file).map_err(|error| format!("{file}: {error}"))?;
            let pool = DescriptorPool::decode(&*bytes).map_err(|error| format!("{file}: {error}"))?;
            let plans = Plans::new(&pool, &Extensions::default()).map_err(|error| error.to_string())?;
            self.0.insert(file.clone(), plans);
        }
        self.0.get(&file).ok_or(file)
    }
}

fn parse_template(text: &str) -> Answer {
    let template = Template::parse(text).map_err(|error| error.to_string())?;
    let variables = template.variables.iter().map(|variable| {
        json!({
            "field_path": variable.field_path.join("."),
            "start": variable.start,
            "end": variable.end,
            "wildcard_path": variable.wildcard_path,
        })
    });
    let segments = template.segments.iter().map(ToString::to_string);
    Ok(json!({
        "segments": segments.collect::<Vec<_>>(),
        "verb": template.verb.as_deref().unwrap_or_default(),
        "variables": variables.collect::<Vec<_>>(),
    }))
}

fn find(routes: &[RouteText], lookups: &[Lookup]) -> Answer {
    let mut router = Router::default();
    for route in routes {
        router.add(&route.id, &route.method, &route.template).map_err(|error| error.to_string())?;
    }
    let results = lookups.iter().map(|lookup| look_up(&router, routes, lookup));
    Ok(json!({ "results": results.collect::<Vec<_>>() }))
}

fn look_up(router: &Router, routes: &[RouteText], lookup: &Lookup) -> Value {
    let Ok(found) = router.find(&lookup.method, &lookup.path) else {
        return json!({ "route": null, "bindings": [] });
    };
    let variables = &router.routes()[found.route].template.variables;
    let path = variables.iter().map(|variable| variable.field_path.join(".")).zip(found.bindings);
    let mut bindings: Vec<_> = path.map(|(field_path, value)| binding(&field_path, &value)).collect();
    // With body `*` every field that the path does not bind is in the body, so that a query binds nothing.
    if routes[found.route].body != "*" {
        for parameter in query_parameters(&lookup.query) {
            let Some((field_path, value)) = parameter else {
                return json!({ "route": null, "bindings": [], "error": "a bad escape in the query" });
            };
            bindings.push(binding(&field_path, &value));
        }
    }
    json!({ "route": routes[found.route].id, "bindings": bindings })
}

fn binding(field_path: &str, value: &str) -> Value {
    json!({ "field_path": field_path, "value": value })
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some((digit(high)? << 4 | digit(low)?) as u8)).collect()
}
