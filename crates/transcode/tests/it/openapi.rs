//! OpenAPI documents of a contract that the library has never seen.

use std::sync::LazyLock;

use http::StatusCode;
use prost_reflect::{DescriptorPool, FieldDescriptor};
use riskmesh_transcode::openapi::{Api, Binding, Describe};
use riskmesh_transcode::{Builder, Extensions, FieldBehavior, PrintOptions, Problem};
use serde_json::{Map, Value, json};

/// With source information, for the comments.
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto");
    let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    let mut compiler = protox::Compiler::new([root, shared]).unwrap();
    compiler.include_imports(true).include_source_info(true).open_files(["test/shop.proto"]).unwrap();
    DescriptorPool::decode(&*compiler.encode_file_descriptor_set()).unwrap()
});

fn builder() -> Builder {
    Builder::new(POOL.clone()).services(["shop.v1.ShopService"])
}

fn document(builder: Builder) -> Value {
    builder.build(()).unwrap().openapi(&Api::new("Shop", "1"))
}

fn plain() -> Value {
    document(builder())
}

fn item() -> Value {
    plain()["components"]["schemas"]["Item"].clone()
}

fn names(operation: &Value, place: &str) -> Vec<String> {
    let parameters = operation["parameters"].as_array().unwrap().iter();
    let here = parameters.filter(|parameter| parameter["in"] == place);
    here.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
}

fn parameter<'a>(operation: &'a Value, name: &str) -> &'a Value {
    operation["parameters"].as_array().unwrap().iter().find(|parameter| parameter["name"] == name).unwrap()
}

#[test]
fn openapi_has_a_path_for_every_rule() {
    let document = plain();
    let mut found: Vec<String> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        found.extend(item.as_object().unwrap().keys().map(|method| format!("{method} {path}")));
    }
    found.sort_unstable();
    let expected = [
        "get /v1/items",
        "get /v1/items:watch",
        "get /v1/shelves/{shelve}/items",
        "patch /v1/items/{name}",
        "post /v1/files/{path}",
        "post /v1/items:load",
        "post /v1/shelves/{shelve}/items",
        "put /v1/items/{name}",
        "x-additional-operations /v1/files/{path}",
    ];
    assert_eq!(found, expected);
    let fetch = &document["paths"]["/v1/files/{path}"]["x-additional-operations"]["FETCH"];
    assert_eq!(parameter(fetch, "path")["x-multi-segment"], true);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"], json!({ "title": "Shop", "version": "1" }));
}

#[test]
fn a_wrapper_is_what_it_wraps_or_null() {
    let dir = tempfile::tempdir().unwrap();
    let kinds = ["Double", "Float", "Int32", "UInt32", "Int64", "UInt64", "Bool", "String", "Bytes"];
    let fields = kinds
        .iter()
        .zip(1..)
        .map(|(kind, number)| format!("google.protobuf.{kind}Value {} = {number};", kind.to_lowercase()));
    let proto = format!(
        "syntax = 'proto3'; package box; import 'google/protobuf/wrappers.proto';
        message Box {{ {} }} service Boxes {{ rpc Put(Box) returns (Box); }}",
        fields.collect::<String>()
    );
    std::fs::write(dir.path().join("box.proto"), proto).unwrap();
    let mut compiler = protox::Compiler::new([dir.path()]).unwrap();
    compiler.include_imports(true).open_files(["box.proto"]).unwrap();
    let pool = DescriptorPool::decode(&*compiler.encode_file_descriptor_set()).unwrap();
    let properties = |int64_as_numbers| {
        let print = PrintOptions { int64_as_numbers, ..PrintOptions::default() };
        let boxes = Builder::new(pool.clone()).services(["box.Boxes"]).unannotated(true);
        document(boxes.print_options(print))["components"]["schemas"]["Box"]["properties"].clone()
    };
    let found = properties(false);
    for (kind, schema) in [
        ("double", json!({ "anyOf": [{ "type": ["number", "null"], "format": "double" }, TEXTS.clone()] })),
        ("float", json!({ "anyOf": [{ "type": ["number", "null"], "format": "float" }, TEXTS.clone()] })),
        ("int32", json!({ "type": ["integer", "null"], "format": "int32" })),
        (
            "uint32",
            json!({ "type": ["integer", "null"], "format": "int64", "minimum": 0, "maximum": u32::MAX }),
        ),
        ("int64", json!({ "type": ["string", "null"], "format": "int64", "pattern": "^-?[0-9]+$" })),
        ("uint64", json!({ "type": ["string", "null"], "format": "uint64", "pattern": "^[0-9]+$" })),
        ("bool", json!({ "type": ["boolean", "null"] })),
        ("string", json!({ "type": ["string", "null"] })),
        ("bytes", json!({ "type": ["string", "null"], "contentEncoding": "base64" })),
    ] {
        assert_eq!(found[kind], schema, "{kind}");
    }
    // As numbers, where 64 bits are printed so.
    let found = properties(true);
    assert_eq!(found["int64"], json!({ "type": ["integer", "null"], "format": "int64" }));
    assert_eq!(found["uint64"], json!({ "type": ["integer", "null"], "format": "uint64", "minimum": 0 }));
}

/// How proto3 JSON writes what is no number of JSON.
static TEXTS: LazyLock<Value> =
    LazyLock::new(|| json!({ "type": "string", "enum": ["NaN", "Infinity", "-Infinity"] }));

#[test]
fn a_number_that_may_be_infinite_may_be_a_text() {
    let dir = tempfile::tempdir().unwrap();
    let rules = |rules: &str| {
        let rules: Vec<_> =
            rules.split(' ').map(|rule| format!("(buf.validate.field).double.{rule}")).collect();
        format!("[{}]", rules.join(", "))
    };
    let fields = [
        ("any", String::new()),
        ("finite", rules("finite=true")),
        ("least", rules("gte=0")),
        ("most", rules("lt=9")),
        ("both", rules("gt=0 lte=1")),
        ("outside", rules("gt=9 lt=1")),
        ("only", rules("const=1")),
        ("one_of", "[(buf.validate.field).double = {in: [1, inf]}]".to_owned()),
        ("none_of", "[(buf.validate.field).double = {not_in: [inf, 1]}]".to_owned()),
    ];
    let doubles =
        fields.iter().zip(1..).map(|((name, rules), number)| format!("double {name} = {number} {rules};"));
    let proto = format!(
        "syntax = 'proto3'; package box; import 'buf/validate/validate.proto'; import 'google/protobuf/wrappers.proto';
        message Box {{ {} repeated float many = 20 [(buf.validate.field).repeated.items.float.gte = 0];
            map<string, double> named = 21; google.protobuf.FloatValue wrapped = 22 [(buf.validate.field).float.finite = true]; }}
        service Boxes {{ rpc Put(Box) returns (google.protobuf.DoubleValue); }}",
        doubles.collect::<String>()
    );
    std::fs::write(dir.path().join("box.proto"), proto).unwrap();
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto"));
    let mut compiler = protox::Compiler::new([dir.path(), root]).unwrap();
    compiler.include_imports(true).open_files(["box.proto"]).unwrap();
    let pool = DescriptorPool::decode(&*compiler.encode_file_descriptor_set()).unwrap();
    let document = document(Builder::new(pool).services(["box.Boxes"]).unannotated(true));
    let found = &document["components"]["schemas"]["Box"]["properties"];
    let number = |more: Value| {
        let mut number = json!({ "type": "number", "format": "double" });
        number.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        number
    };
    let or =
        |number: Value, texts: &[&str]| json!({ "anyOf": [number, { "type": "string", "enum": texts }] });
    for (name, schema) in [
        ("any", json!({ "anyOf": [number(json!({})), TEXTS.clone()] })),
        ("finite", number(json!({}))),
        ("least", or(number(json!({ "minimum": 0.0 })), &["Infinity"])),
        ("most", or(number(json!({ "exclusiveMaximum": 9.0 })), &["-Infinity"])),
        ("both", number(json!({ "exclusiveMinimum": 0.0, "maximum": 1.0 }))),
        ("outside", or(number(json!({})), &["Infinity", "-Infinity"])),
        ("only", number(json!({ "const": 1.0 }))),
        ("oneOf", or(number(json!({ "enum": [1.0] })), &["Infinity"])),
        ("noneOf", or(number(json!({ "not": { "enum": [1.0] } })), &["NaN", "-Infinity"])),
        ("wrapped", json!({ "type": ["number", "null"], "format": "float" })),
    ] {
        assert_eq!(found[name], schema, "{name}");
    }
    assert_eq!(found["many"]["items"]["anyOf"][1]["enum"], json!(["Infinity"]));
    assert_eq!(found["named"]["additionalProperties"]["anyOf"][1], *TEXTS);
    let answer =
        &document["paths"]["/box.Boxes/Put"]["post"]["responses"]["200"]["content"]["application/json"];
    assert_eq!(answer["schema"]["anyOf"][1], *TEXTS);
}

#[test]
fn rules_of_a_file_count_too_and_so_do_methods_without_rules() {
    let file = "http: { rules: [ { selector: shop.v1.ShopService.ListItems, get: '/files/{parent}' } ] }";
    let document = document(builder().rules(file).unwrap().unannotated(true));
    assert_eq!(names(&document["paths"]["/files/{parent}"]["get"], "path"), ["parent"]);
    assert!(document["paths"].get("/v1/items").is_none());
    assert!(document["paths"]["/shop.v1.ShopService/Unmapped"]["post"].is_object());
}

#[test]
fn the_query_holds_what_neither_path_nor_body_gives() {
    let document = plain();
    let list = &document["paths"]["/v1/shelves/{shelve}/items"]["get"];
    assert_eq!(names(list, "path"), ["shelve"]);
    let query =
        ["pageSize", "filter.since", "filter.unknown", "colors", "labels", "extra", "limit", "fields"];
    assert_eq!(names(list, "query"), query);
    assert!(names(&document["paths"]["/v1/items"]["get"], "query").contains(&"parent".to_owned()));
    assert_eq!(parameter(list, "pageSize")["schema"]["maximum"], 100);
    assert_eq!(parameter(list, "pageSize")["description"], "The most.");
    assert_eq!(parameter(list, "filter.since")["schema"]["format"], "date-time");
    assert_eq!(parameter(list, "colors")["schema"]["type"], "array");
    assert_eq!(parameter(list, "labels")["style"], "deepObject");
    assert_eq!(parameter(list, "extra")["content"]["application/json"]["schema"]["type"], "object");
    assert_eq!(parameter(list, "limit")["schema"]["type"], json!(["integer"]));
    let create = &document["paths"]["/v1/shelves/{shelve}/items"]["post"];
    assert_eq!(names(create, "query"), ["fields"]);
}

#[test]
fn parameters_of_any_name_are_told_where_they_are_captured() {
    let document = document(builder().capture_parameters("labels"));
    let labels = &document["paths"]["/v1/items"]["get"];
    let labels = parameter(labels, "labels");
    assert_eq!((&labels["style"], &labels["explode"]), (&json!("form"), &json!(true)));
    assert_eq!(labels["schema"]["additionalProperties"]["type"], "string");
}

#[test]
fn a_body_lacks_what_the_path_gives() {
    let document = plain();
    let schemas = &document["components"]["schemas"];
    let body = |path: &str, method: &str| {
        let content = &document["paths"][path][method]["requestBody"]["content"]["application/json"];
        let reference = content["schema"]["$ref"].as_str().unwrap();
        document.pointer(&reference[1..]).unwrap().clone()
    };
    let patch = body("/v1/items/{name}", "patch");
    assert!(patch["properties"].get("name").is_none() && patch["properties"].get("count").is_some());
    assert_eq!(patch.get("required"), None);
    let put = body("/v1/items/{name}", "put");
    assert!(put["properties"]["updateMask"].is_object());
    assert_eq!(put["properties"]["item"]["$ref"], "#/components/schemas/ItemBody");
    assert!(schemas["Item"]["properties"].get("name").is_some());
    let mask =
        parameter(&document["paths"]["/v1/items/{name}"]["patch"], "updateMask")["schema"]["pattern"].clone();
    let mask = mask.as_str().unwrap();
    assert!(
        mask.starts_with("^((count|color|") && !mask.contains("createTime") && !mask.contains("name"),
        "{mask}"
    );
    assert!(mask.contains("|notes(\\.[A-Za-z0-9_.]+)?|"), "{mask}");
    // What is immutable cannot be named, unless nobody looks.
    assert!(!mask.contains("picture"), "{mask}");
    let ignoring = self::document(builder().field_behavior(FieldBehavior::IGNORED));
    let mask = &parameter(&ignoring["paths"]["/v1/items/{name}"]["patch"], "updateMask")["schema"]["pattern"];
    assert!(mask.as_str().unwrap().contains("|picture|"), "{mask}");
}

#[test]
fn schemas_are_proto3_json() {
    let item = item();
    let properties = &item["properties"];
    assert_eq!(
        (&properties["count"]["type"], &properties["count"]["format"]),
        (&json!("string"), &json!("int64"))
    );
    assert_eq!(properties["picture"]["contentEncoding"], "base64");
    assert_eq!(properties["createTime"]["format"], "date-time");
    assert_eq!(properties["notes"]["type"], "object");
    assert_eq!(properties["used"]["type"], json!(["boolean", "null"]));
    assert_eq!(properties["parts"]["items"]["$ref"], "#/components/schemas/Item");
    assert_eq!(properties["kin"]["additionalProperties"]["$ref"], "#/components/schemas/Item");
    assert_eq!(properties["kin"]["propertyNames"]["pattern"], "^-?[0-9]+$");
    assert_eq!(item["additionalProperties"], false);
    let color = plain()["components"]["schemas"]["Color"].clone();
    assert_eq!(color["enum"], json!(["COLOR_UNSPECIFIED", "COLOR_RED"]));
    assert_eq!(color["description"], "What colour.\n- `COLOR_UNSPECIFIED`: Not said.\n- `COLOR_RED`");
}

#[test]
fn validation_and_behaviour_are_told() {
    let item = item();
    let properties = &item["properties"];
    assert_eq!(item["required"], json!(["name"]));
    assert_eq!(properties["name"]["pattern"], "^[a-z]+$");
    assert_eq!(properties["name"]["x-immutable"], true);
    assert_eq!(properties["createTime"]["readOnly"], true);
    assert_eq!(properties["secret"]["writeOnly"], true);
    assert_eq!(properties["mail"]["deprecated"], true);
    assert_eq!(properties["mail"].get("format"), None, "it is \"\" where it was never set");
    assert_eq!(properties["id"]["format"], "uuid");
    assert_eq!(properties["count"].get("minimum"), None, "it is a text");
    assert_eq!(properties["picture"]["maxLength"], 8);
    assert_eq!(properties["color"]["not"]["enum"], json!(["COLOR_UNSPECIFIED"]));
    assert_eq!(properties["case_free"], Value::Null);
    assert_eq!(properties["caseFree"].get("pattern"), None, "no pattern of ECMAScript");
    assert_eq!(properties["stock"]["maxProperties"], 3);
    assert_eq!(properties["stock"]["propertyNames"]["maxLength"], 5);
    assert_eq!(properties["stock"]["additionalProperties"]["minimum"], 0);
    let tags = &properties["tags"];
    assert_eq!(
        (&tags["minItems"], &tags["uniqueItems"], &tags["items"]["minLength"]),
        (&json!(1), &json!(true), &json!(2))
    );
    let one = |name: &str| json!({ "required": [name] });
    assert_eq!(item["allOf"], json!([{ "oneOf": [one("person"), one("company")] }]), "one must be set");
    let expected = json!({ "cents": { "properties": { "euros": false } }, "euros": { "properties": { "cents": false } } });
    assert_eq!(item["dependentSchemas"], expected, "one may be set");
}

#[test]
fn comments_are_words_and_examples() {
    let document = plain();
    let words = "Sells things.\n\nThings are:\n- books\n- lamps";
    assert_eq!(document["tags"], json!([{ "name": "Shop", "description": words }]));
    let create = &document["paths"]["/v1/shelves/{shelve}/items"]["post"];
    assert_eq!(create["summary"], "Makes an item");
    assert_eq!(
        create["requestBody"]["content"]["application/json"]["example"],
        json!({ "name": "lamp", "person": "Ada" })
    );
    let answer = &create["responses"]["200"]["content"]["application/json"];
    assert_eq!(answer["example"], json!({ "name": "lamp", "count": "1", "person": "Ada" }));
    let item = item();
    assert_eq!(
        item["examples"],
        json!([{ "name": "lamp", "count": "1", "person": "Ada" }]),
        "`gone` is none of its fields"
    );
    assert_eq!(item["properties"]["name"]["examples"], json!(["lamp"]));
    let update = &document["paths"]["/v1/items/{name}"]["patch"];
    assert_eq!((&update["deprecated"], &update["summary"]), (&json!(true), &json!("UpdateItem")));
}

#[test]
fn streams_and_raw_bodies_have_their_media_types() {
    let document = plain();
    let answer =
        |path: &str, method: &str| document["paths"][path][method]["responses"]["200"]["content"].clone();
    let keys = |content: &Value| content.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let watch = answer("/v1/items:watch", "get");
    assert_eq!(keys(&watch), ["application/json", "application/x-ndjson", "text/event-stream"]);
    // A stream that fails says so in its last value.
    let one = json!({ "anyOf": [
        { "$ref": "#/components/schemas/Item" },
        { "$ref": "#/components/schemas/Error" },
    ] });
    assert_eq!(watch["application/json"]["schema"]["items"], one);
    assert_eq!(watch["application/x-ndjson"]["schema"], one);
    let load = &document["paths"]["/v1/items:load"]["post"]["requestBody"]["content"];
    assert_eq!(keys(load), ["application/json", "application/x-ndjson"]);
    let fetch = &document["paths"]["/v1/files/{path}"]["x-additional-operations"]["FETCH"];
    assert_eq!(keys(&fetch["responses"]["200"]["content"]), ["*/*"]);
    let upload = &document["paths"]["/v1/files/{path}"]["post"]["requestBody"]["content"];
    assert_eq!(keys(upload), ["*/*"]);
    assert_eq!(answer("/v1/items/{name}", "put")["application/json"]["schema"]["type"], "array");
}

#[test]
fn print_options_change_what_is_told() {
    let print = PrintOptions {
        proto_names: true,
        enums_as_numbers: true,
        int64_as_numbers: true,
        ..PrintOptions::default()
    };
    let document = document(builder().print_options(print));
    let item = &document["components"]["schemas"]["Item"]["properties"];
    assert!(item["create_time"].is_object() && item.get("createTime").is_none());
    assert_eq!((&item["count"]["type"], &item["count"]["maximum"]), (&json!("integer"), &json!(9)));
    // An open enum takes numbers that have no name.
    let color = &document["components"]["schemas"]["Color"];
    assert_eq!((&color["type"], color.get("enum")), (&json!("integer"), None));
    assert_eq!(item["color"]["not"]["enum"], json!([0]));
    let list = &document["paths"]["/v1/items"]["get"];
    assert!(names(list, "query").contains(&"page_size".to_owned()));
}

#[test]
fn what_answers_always_hold_is_within_bounds() {
    let print = PrintOptions {
        always_print_primitive_fields: true,
        int64_as_numbers: true,
        ..PrintOptions::default()
    };
    let document = document(builder().print_options(print));
    let item = &document["components"]["schemas"]["Item"]["properties"];
    assert_eq!(item["count"]["anyOf"], json!([{ "const": 0 }, { "minimum": 1, "maximum": 9 }]));
    assert_eq!(item["color"].get("not"), None);
}

#[test]
fn a_bearer_token_may_be_needed() {
    let transcoder = builder().build(()).unwrap();
    let document = transcoder.openapi(&Api::new("Shop", "1").license("MIT").bearer("JWT"));
    assert_eq!(document["paths"]["/v1/items"]["get"]["security"], json!([{ "bearer": [] }]));
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["bearerFormat"], "JWT");
    assert_eq!(document["info"]["license"], json!({ "name": "MIT", "identifier": "MIT" }));
}

#[test]
fn enums_are_spelled_as_they_are_printed() {
    let extensions = Extensions { strip_enum_prefix: true, ..Extensions::default() };
    let document = document(builder().extensions(extensions));
    assert_eq!(document["components"]["schemas"]["Color"]["enum"], json!(["UNSPECIFIED", "RED"]));
}

#[test]
fn errors_have_the_shape_of_the_renderer() {
    for (builder, media, field) in [
        (builder(), "application/json", "error"),
        (builder().error_renderer(Problem), "application/problem+json", "detail"),
    ] {
        let document = document(builder);
        let list = &document["paths"]["/v1/items"]["get"]["responses"];
        let statuses: Vec<&str> = list.as_object().unwrap().keys().map(String::as_str).collect();
        let expected =
            ["200", "400", "401", "403", "404", "406", "409", "429", "499", "500", "501", "503", "504"];
        assert_eq!(statuses, expected);
        let create = &document["paths"]["/v1/shelves/{shelve}/items"]["post"]["responses"];
        assert!(create["413"].is_object() && create["415"].is_object());
        let error = &document["components"]["responses"]["Error404"];
        assert_eq!(error["description"], "Not Found: `NOT_FOUND`.");
        assert_eq!(error["content"][media]["schema"]["$ref"], "#/components/schemas/Error");
        assert!(document["components"]["schemas"]["Error"]["properties"][field].is_object());
    }
}

/// What a product adds.
struct Shop;

impl Describe for Shop {
    fn info(&self) -> Value {
        json!({ "title": "Shop", "version": "2" })
    }

    fn includes(&self, binding: &Binding) -> bool {
        binding.method() == "GET"
    }

    fn security(&self, binding: &Binding) -> Vec<Value> {
        vec![json!({ "key": [binding.rpc().name()] })]
    }

    fn errors(&self, _: &Binding) -> Option<Map<String, Value>> {
        Some(Map::from_iter([("default".to_owned(), json!({ "$ref": "#/components/responses/Bad" }))]))
    }

    fn operation(&self, binding: &Binding, operation: &mut Map<String, Value>) {
        operation.insert("x-template".to_owned(), json!(binding.template()));
    }

    fn field(&self, field: &FieldDescriptor, schema: &mut Map<String, Value>) {
        if field.name() == "company" {
            schema.insert("pattern".to_owned(), json!("^[A-Z]+$"));
        }
    }

    fn components(&self) -> Map<String, Value> {
        let scheme = json!({ "key": { "type": "apiKey", "in": "header", "name": "X-Key" } });
        let responses = json!({ "Bad": { "description": "Bad" }, "Unused": { "description": "Unused" } });
        Map::from_iter([("securitySchemes".to_owned(), scheme), ("responses".to_owned(), responses)])
    }
}

#[test]
fn a_product_adds_what_no_descriptor_says() {
    let transcoder = builder().success_status(|_| StatusCode::ACCEPTED).build(()).unwrap();
    let document = transcoder.openapi(&Shop);
    let list = &document["paths"]["/v1/items"]["get"];
    assert_eq!(list["security"], json!([{ "key": ["ListItems"] }]));
    assert_eq!(list["x-template"], "/v1/items");
    let statuses: Vec<&String> = list["responses"].as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["202", "default"]);
    assert!(document["paths"].as_object().unwrap().values().all(|item| item.get("post").is_none()));
    assert_eq!(document["components"]["responses"], json!({ "Bad": { "description": "Bad" } }));
    assert_eq!(document["components"]["schemas"]["Item"]["properties"]["company"]["pattern"], "^[A-Z]+$");
    assert!(document["components"]["securitySchemes"]["key"].is_object());
}

#[test]
fn bindings_say_what_a_rule_means() {
    let bindings = builder().build(()).unwrap().bindings();
    let patch = bindings.iter().find(|binding| binding.method() == "PATCH").unwrap();
    assert_eq!((patch.template(), patch.path()), ("/v1/items/{item.name}", "/v1/items/{name}"));
    let variable: Vec<&str> = patch.variables()[0].iter().map(FieldDescriptor::name).collect();
    assert_eq!(variable, ["item", "name"]);
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(document: &Value, value: &Value) {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            assert!(document.pointer(&reference[1..]).is_some_and(Value::is_object), "{reference}");
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(document, item)),
            Value::Object(fields) => fields.values().for_each(|field| walk(document, field)),
            _ => {}
        }
    }
    let document = plain();
    walk(&document, &document);
}
