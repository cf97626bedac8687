#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use api::method::METHODS;
use prost_reflect::Kind;
use std::collections::BTreeSet;

const VERSIONS: [&str; 2] = ["v1", "v2"];

fn of(version: &str) -> Value {
    openapi(version).unwrap()
}

/// Every operation: path, HTTP method, operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(|(method, it)| (path.clone(), method.clone(), it.clone()))
    });
    all.collect()
}

fn walk<'a>(value: &'a Value, visit: &mut impl FnMut(&'a Value)) {
    visit(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        Value::Object(fields) => fields.values().for_each(|field| walk(field, visit)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    for version in VERSIONS {
        let document = of(version);
        let mut used = BTreeSet::new();
        walk(&document, &mut |value| {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                assert!(
                    document.pointer(&reference[1..]).is_some_and(Value::is_object),
                    "{version}: {reference}"
                );
                used.insert(reference.to_owned());
            }
        });
        for section in ["schemas", "responses", "headers", "parameters"] {
            for name in document["components"][section].as_object().unwrap().keys() {
                let reference = format!("#/components/{section}/{name}");
                assert!(used.contains(&reference), "{version}: nobody refers to {reference}");
            }
        }
    }
}

#[test]
fn every_method_over_http_is_there_and_no_other() {
    let documented: usize = VERSIONS.iter().map(|version| operations(&of(version)).len()).sum();
    let pool = DescriptorPool::decode(api::DESCRIPTOR_SET).unwrap();
    let bindings = contract::builder(pool).build(()).unwrap().bindings();
    assert_eq!(documented, bindings.len());
    for binding in &bindings {
        let document = of(binding.path().split('/').nth(1).unwrap());
        let operation = &document["paths"][binding.path()][binding.method().to_ascii_lowercase()];
        let service = binding.rpc().parent_service();
        let path = format!("/{}/{}", service.full_name(), binding.rpc().name());
        let method = METHODS.iter().find(|method| method.path == path).unwrap();
        let security = if method.public { json!([]) } else { json!([{ "bearer": [method.permission] }]) };
        assert_eq!(operation["security"], security, "{path}");
        assert_eq!(operation["deprecated"] == true, method.deprecation.is_some(), "{path}");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.contains_key(&method.success_status.to_string()), "{path}");
        assert_eq!(answers.contains_key("403"), !method.public, "{path}");
        for status in ["400", "401", "404", "414", "429", "500", "503", "504"] {
            assert!(answers.contains_key(status), "{path} {status}");
        }
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{path} has no comment");
    }
}

#[test]
fn operations_are_sound_by_themselves() {
    for version in VERSIONS {
        let document = of(version);
        let mut ids = BTreeSet::new();
        for (path, method, operation) in operations(&document) {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
            let parameters: Vec<Value> = operation["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .map(|parameter| match parameter["$ref"].as_str() {
                    Some(reference) => document.pointer(&reference[1..]).unwrap().clone(),
                    None => parameter.clone(),
                })
                .collect();
            let mut seen = BTreeSet::new();
            for parameter in &parameters {
                assert!(
                    seen.insert((parameter["in"].as_str(), parameter["name"].as_str())),
                    "{path}: {parameter}"
                );
                assert!(parameter["schema"].is_object());
                assert!(parameter["in"] != "path" || parameter["required"] == true);
            }
            let in_path: BTreeSet<&str> = parameters
                .iter()
                .filter(|it| it["in"] == "path")
                .map(|it| it["name"].as_str().unwrap())
                .collect();
            let in_template: BTreeSet<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
            assert_eq!(in_path, in_template, "{path}");
            let has_body = operation.get("requestBody").is_some();
            assert_eq!(has_body, ["post", "put", "patch"].contains(&method.as_str()), "{method} {path}");
        }
    }
}

#[test]
fn schemas_say_what_validation_asks() {
    let document = of("v1");
    let schemas = &document["components"]["schemas"];
    let client = &schemas["Client"];
    assert_eq!(client["required"], json!(["clientId", "name"]));
    assert_eq!(client["properties"]["clientId"]["pattern"], "^[0-9]{1,12}$");
    assert_eq!(client["properties"]["clientId"]["examples"], json!(["424242"]));
    assert_eq!(client["properties"]["name"]["maxLength"], 200);
    assert_eq!(client["properties"]["name"]["minLength"], 1);
    assert_eq!(client["properties"]["createTime"]["readOnly"], true);
    assert_eq!(client["properties"]["createTime"]["format"], "date-time");
    assert_eq!(
        client["properties"]["nationality"]["pattern"], "^([A-Z]{2})?$",
        "it is \"\" where it was never set"
    );
    assert_eq!(client["additionalProperties"], false);
    assert_eq!(client["examples"][0]["clientId"], "424242");
    let lines = &schemas["Address"]["properties"]["lines"];
    assert_eq!(
        (&lines["minItems"], &lines["maxItems"], &lines["items"]["maxLength"]),
        (&json!(1), &json!(5), &json!(120))
    );
    assert_eq!(schemas["ClientStatus"]["enum"], json!(["active", "inactive"]));
    let entry = &schemas["Transaction"]["properties"];
    let amount = &entry["amount"];
    assert_eq!((&amount["type"], &amount["format"]), (&json!(["string", "number"]), &json!("decimal")));
    assert_eq!(entry["currency"]["pattern"], "^[A-Z]{3}$");
    assert_eq!(schemas["Page"]["properties"]["total"]["type"], "integer", "the number option");
}

#[test]
fn what_the_path_gives_is_neither_in_the_query_nor_in_the_body() {
    let document = of("v1");
    let patch = &document["paths"]["/v1/clients/{clientId}"]["patch"];
    let body = patch["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
    let body = document.pointer(&body[1..]).unwrap();
    assert!(body["properties"].get("clientId").is_none() && body["properties"].get("status").is_some());
    let names: Vec<_> =
        patch["parameters"].as_array().unwrap().iter().map(|it| it["name"].as_str()).collect();
    assert!(names.contains(&Some("updateMask")) && names.contains(&Some("clientId")), "{names:?}");
    assert!(!names.contains(&Some("client")));
    let list = &document["paths"]["/v1/clients"]["get"]["parameters"];
    let limit = list.as_array().unwrap().iter().find(|it| it["name"] == "limit").unwrap();
    assert_eq!((&limit["schema"]["minimum"], &limit["schema"]["maximum"]), (&json!(1), &json!(1000)));
    assert_eq!(limit["in"], "query");
}

#[test]
fn deprecation_errors_and_examples_are_told() {
    let document = of("v1");
    let get = &document["paths"]["/v1/analytics/{clientId}"]["get"];
    assert_eq!(get["x-deprecation"]["successor"], "/v2/analytics/{clientId}");
    let answer = &get["responses"]["200"];
    assert!(answer["headers"]["Sunset"].is_object() && answer["headers"]["ETag"].is_object());
    assert_eq!(
        answer["content"]["application/json"]["example"],
        json!({"clientId": "424242", "riskScore": 37})
    );
    let create = &document["paths"]["/v1/clients"]["post"];
    assert_eq!(
        create["requestBody"]["content"]["application/json"]["example"],
        json!({"clientId": "424242", "name": "Ada Example"})
    );
    let responses = &document["components"]["responses"];
    let missing = &responses["Error404"]["content"]["application/json"];
    assert_eq!(missing["examples"]["CLIENT_NOT_FOUND"]["value"]["message"], "Client not found");
    assert!(responses["Error401"]["headers"]["WWW-Authenticate"].is_object());
    assert!(responses["Error404"]["headers"]["RateLimit"].is_object());
    assert!(responses["Error401"]["headers"].get("RateLimit").is_none(), "nobody's quota is counted yet");
}

#[test]
fn what_changes_has_a_version_and_what_has_one_can_be_asked_for_by_it() {
    let document = of("v1");
    for (path, method, if_match, if_none_match, tagged) in [
        ("/v1/clients/{clientId}", "get", false, true, true),
        ("/v1/clients/{clientId}", "patch", true, false, true),
        ("/v1/clients/{clientId}", "delete", true, false, false),
        ("/v1/clients/{clientId}/address", "get", false, true, true),
        ("/v1/clients/{clientId}/address", "put", true, false, true),
        ("/v1/clients/{clientId}/accounts/{accountId}", "patch", true, false, true),
        ("/v1/clients", "post", false, false, true),
        ("/v1/clients", "get", false, false, false),
        ("/v1/transactions:batchCreate", "post", false, false, false),
        ("/v1/analytics/{clientId}", "get", false, true, true),
    ] {
        let operation = &document["paths"][path][method];
        let takes = |name: &str| {
            let reference = json!({ "$ref": format!("#/components/parameters/{name}") });
            operation["parameters"].as_array().unwrap().contains(&reference)
        };
        assert_eq!((takes("IfMatch"), takes("IfNoneMatch")), (if_match, if_none_match), "{method} {path}");
        assert_eq!(operation["responses"].get("304").is_some(), if_none_match, "{method} {path}");
        let answers = operation["responses"].as_object().unwrap();
        let (_, success) = answers.iter().find(|(status, _)| status.starts_with('2')).unwrap();
        assert_eq!(success["headers"].get("ETag").is_some(), tagged, "{method} {path}");
    }
}

#[test]
fn every_answer_of_a_deprecated_method_tells_its_end() {
    let document = of("v1");
    let answers = document["paths"]["/v1/analytics/{clientId}"]["get"]["responses"].as_object().unwrap();
    for (status, answer) in answers {
        let answer = match answer["$ref"].as_str() {
            Some(reference) => document.pointer(&reference[1..]).unwrap(),
            None => answer,
        };
        // Found before it is known which method is called.
        let unrouted = ["414", "431"].contains(&status.as_str());
        for header in ["Deprecation", "Sunset", "Link"] {
            assert_eq!(answer["headers"].get(header).is_some(), !unrouted, "{status} {header}");
        }
    }
    let current = &of("v2")["components"]["responses"];
    assert!(current.get("Error404").is_some() && current.get("DeprecatedError404").is_none());
}

#[test]
fn every_example_is_of_its_schema() {
    for version in VERSIONS {
        let document = of(version);
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            for example in schema["examples"].as_array().into_iter().flatten() {
                for field in example.as_object().unwrap().keys() {
                    assert!(schema["properties"].get(field).is_some(), "{name}: {field}");
                }
            }
        }
        walk(&document, &mut |value| {
            let (Some(pattern), Some(example)) = (value["pattern"].as_str(), value["examples"][0].as_str())
            else {
                return;
            };
            let digits = pattern.contains("[0-9]{1,12}") || pattern.contains("[0-9]{10}");
            assert!(!digits || example.bytes().all(|c| c.is_ascii_digit()), "{pattern}: {example}");
        });
    }
}

#[test]
fn a_version_that_is_none_has_no_paths() {
    assert_eq!(of("v9")["paths"], json!({}));
}

/// The document says that numbers are finite, so none may come in that nobody checks.
#[test]
fn floating_point_numbers_are_answers_only_and_plain_numbers() {
    let pool = DescriptorPool::decode(api::DESCRIPTOR_SET).unwrap();
    let mut seen = BTreeSet::new();
    let mut left: Vec<_> =
        pool.services().flat_map(|s| s.methods().map(|rpc| rpc.input()).collect::<Vec<_>>()).collect();
    while let Some(message) = left.pop() {
        if !seen.insert(message.full_name().to_owned()) {
            continue;
        }
        for field in message.fields() {
            let name = field.full_name().to_owned();
            match field.kind() {
                Kind::Double | Kind::Float => {
                    panic!("{name} comes in: give it a rule, and the document the texts")
                }
                Kind::Message(inside) => left.push(inside),
                _ => {}
            }
        }
    }
    for version in VERSIONS {
        let document = of(version);
        let mut doubles = 0;
        walk(&document, &mut |value| {
            if value.get("format") == Some(&json!("double")) {
                assert_eq!(value["type"], "number");
                doubles += 1;
            }
            assert_ne!(value, "NaN", "{version}");
        });
        assert!(doubles > 0, "{version}");
    }
}

#[test]
fn dates_begin_with_1900() {
    let pattern = "^(19|[2-9][0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}$";
    let (mut dates, mut unset) = (0, 0);
    walk(&of("v1"), &mut |value| {
        let own =
            value.get("pattern").and_then(Value::as_str).filter(|it| it.ends_with("-[0-9]{2}-[0-9]{2}$"));
        if let Some(own) = own {
            // An answer holds "" for a date that was never set.
            unset += usize::from(own == format!("^$|{pattern}"));
            assert!(own.ends_with(pattern), "{own}");
            dates += 1;
        }
    });
    assert!(dates > unset && unset > 0, "{dates} {unset}");
}

#[test]
fn what_is_made_once_tells_that_it_was_made_before() {
    let document = of("v1");
    let mut told: Vec<_> = operations(&document)
        .into_iter()
        .filter(|(.., operation)| {
            let answers = operation["responses"].as_object().unwrap().values();
            answers.into_iter().any(|answer| answer["headers"].get("Idempotent-Replayed").is_some())
        })
        .map(|(path, method, _)| format!("{method} {path}"))
        .collect();
    told.sort();
    let payments = told.iter().any(|operation| operation.ends_with("/payments"));
    assert!(payments && told.contains(&"post /v1/portfolios/{portfolioId}/trades".to_owned()), "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
}
