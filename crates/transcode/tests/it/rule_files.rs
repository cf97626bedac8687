//! Rule files: `google.api.Service` documents in YAML and JSON.

use std::fmt::Write as _;

use http::StatusCode;
use riskmesh_transcode::{Builder, Slash};
use serde_json::json;
use tower::ServiceExt as _;

use crate::pool::POOL;
use crate::rest::{Log, Seen, collect, ok, request, service};

fn builder() -> Builder {
    Builder::new(POOL.clone()).services(["test.Features"])
}

fn build_error(document: &str) -> String {
    match builder().rules(document).and_then(|builder| builder.build(()).map(drop)) {
        Ok(()) => panic!("no error: {document}"),
        Err(error) => error.to_string(),
    }
}

/// The status, and what the service saw.
async fn call(builder: Builder, method: &str, uri: &str, body: &str) -> (StatusCode, Option<Seen>) {
    let log = Log::default();
    let upstream = service(log.clone(), |_| ok("FeatureResponse", &json!({})));
    let response = builder.build(upstream).unwrap().oneshot(request(method, uri, body)).await.unwrap();
    let status = collect(response).await.status();
    (status, log.lock().unwrap().pop())
}

const FILE: &str = r#"
type: google.api.Service
config_version: 3
name: features.example.com
title: Features
apis:
- name: test.Features
documentation:
  summary: "anything"
usage: { requirements: [] }
http:
  rules:
  - selector: test.Features.Plain
    get: /first/{id}
  - selector: test.Features.Plain
    post: /plain/{id}
    body: inner
    response_body: text
    additional_bindings:
    - get: /plain/{name=a/**}
    - custom: { kind: "*", path: /plain }
  - selector: test.Features.Methods
    get: /methods/{id}
"#;

#[tokio::test]
async fn rules_of_a_file_map_methods_and_replace_annotations() {
    let with = || builder().rules(FILE).unwrap();
    let (_, seen) = call(with(), "POST", "/plain/7?number=2", r#"{"size":1}"#).await;
    assert_eq!(seen.unwrap().messages, [json!({"id": "7", "inner": {"size": 1}, "number": 2})]);
    let (_, seen) = call(with(), "GET", "/plain/a/b%2Fc", "").await;
    assert_eq!(seen.unwrap().messages, [json!({"name": "a/b%2Fc"})]);
    let (_, seen) = call(with(), "BREW", "/plain", "").await;
    assert_eq!(seen.unwrap().path, "/test.Features/Plain");
    let (_, seen) = call(with(), "GET", "/methods/1", "").await;
    assert_eq!(seen.unwrap().path, "/test.Features/Methods");
    for gone in ["/f/things/1", "/first/1"] {
        assert_eq!(call(with(), "GET", gone, "").await.0, StatusCode::NOT_FOUND, "{gone}");
    }
    let (_, seen) = call(with(), "GET", "/f/give/text", "").await;
    assert!(seen.is_some(), "the annotations of other methods stay");
}

#[tokio::test]
async fn json_is_read_too_with_its_own_names() {
    let file = json!({"http": {"fullyDecodeReservedExpansion": true, "rules": [{
        "selector": "test.Features.Plain", "get": "/p/{name=**}", "responseBody": "text",
        "additionalBindings": [{"get": "/q/{id}"}],
    }]}});
    let with = || builder().rules(&file.to_string()).unwrap();
    let (_, seen) = call(with(), "GET", "/p/a%2Fb/c", "").await;
    assert_eq!(seen.unwrap().messages, [json!({"name": "a/b/c"})]);
    let (_, seen) = call(with(), "GET", "/q/1", "").await;
    assert_eq!(seen.unwrap().messages, [json!({"id": "1"})]);
    let (_, seen) = call(with().slash(Slash::Keep), "GET", "/p/a%2Fb", "").await;
    assert_eq!(seen.unwrap().messages, [json!({"name": "a%2Fb"})], "what is said last counts");
}

#[tokio::test]
async fn selectors_may_be_lists_and_end_in_a_star_and_the_last_rule_wins() {
    let file = r#"
http:
  rules:
  - selector: test.Features.GiveText, test.Features.*
    get: /never/{id}
  - selector: "*"
    post: /never
  - selector: test.Features.Plain , test.Features.Methods
    get: /twice/{id}
"#;
    assert_eq!(build_error(file), "test.Features.Paths and test.Features.Archive both claim POST /never");
    let file = r"
http:
  rules:
  - selector: test.*
    get: /v
  - selector: test.Library.*
    get: /w
";
    let one = || Builder::new(POOL.clone()).services(["test.One"]).rules(file).unwrap();
    assert_eq!(
        one().build(()).unwrap_err().to_string(),
        "the rule file: no method test.Library.* among those served"
    );
    let file = "http: {rules: [{selector: test.One.*, get: /v}, {selector: test.*, get: /w}]}";
    let one = Builder::new(POOL.clone()).services(["test.One"]).rules(file).unwrap().build(()).unwrap();
    assert_eq!(one.routes().iter().map(|route| &*route.1).collect::<Vec<_>>(), ["/w"]);
}

#[tokio::test]
async fn later_files_add_to_earlier_ones() {
    let more = "http: {rules: [{selector: test.Features.Plain, get: '/more/{id}'}]}";
    let with = || builder().rules(FILE).unwrap().rules(more).unwrap();
    assert_eq!(call(with(), "POST", "/plain/7", "{}").await.0, StatusCode::NOT_FOUND);
    assert!(call(with(), "GET", "/more/7", "").await.1.is_some());
    assert!(call(with(), "GET", "/methods/7", "").await.1.is_some());
}

#[test]
fn what_no_rule_file_may_say_is_refused_by_name() {
    let plain = "test.Features.Plain";
    let rule = |rule: &str| build_error(&format!("http:\n  rules:\n  - selector: {plain}\n    {rule}\n"));
    for (error, part) in [
        (rule("gett: /a"), "unknown field `gett`"),
        (build_error("http:\n  rule: []\n"), "unknown field `rule`"),
        (rule("custom: {kind: A, path: /a, more: 1}"), "unknown field `more`"),
        (build_error("htp:\n  rules: []\n"), "the rule file: google.api.Service has no field htp"),
        (
            build_error("type: google.api.Http\n"),
            "the rule file: its type is google.api.Http, not google.api.Service",
        ),
        (build_error("http: {rules: [{get: /a}]}"), "the rule file: rule 1 of http has no selector"),
        (rule("body: x"), "the rule file: test.Features.Plain: the rule has no method and path"),
        (rule("get: /a\n    post: /b"), "the rule file: test.Features.Plain: the rule has both GET and POST"),
        (
            rule("get: /a\n    additional_bindings: [{body: x}]"),
            "the rule file: test.Features.Plain: an additional binding has no method and path",
        ),
        (
            rule("get: /a\n    additional_bindings: [{get: /b, additional_bindings: [{get: /c}]}]"),
            "the rule file: test.Features.Plain: an additional binding has additional bindings",
        ),
        (
            rule("get: /a\n    additional_bindings: [{get: /b, selector: x}]"),
            "the rule file: test.Features.Plain: an additional binding has a selector",
        ),
        (rule("get: /a/{nope}"), "test.Features.Plain: GET /a/{nope}: test.FeatureRequest has no field nope"),
        (rule("get: /a//b"), "test.Features.Plain: template `/a//b`: expected a segment at column 4"),
        (rule("get: /f/give/text"), "both claim GET /f/give/text"),
        (rule("custom: {kind: A B, path: /a}"), "test.Features.Plain: `A B` is not an HTTP method"),
        (
            build_error("http: {rules: [{selector: test.Features.Nope, get: /a}]}"),
            "the rule file: no method test.Features.Nope among those served",
        ),
        (
            build_error("http: {rules: [{selector: test.Library.GetBook, get: /a}]}"),
            "the rule file: no method test.Library.GetBook among those served",
        ),
        (
            build_error("http: {rules: [{selector: 'test.Feat*', get: /a}]}"),
            "stands alone or for the last parts",
        ),
        (build_error("http: {rules: [{selector: 'test.*.Plain', get: /a}]}"), "not a list of names"),
        (build_error("http: {rules: [{selector: 'test.Features.Plain,', get: /a}]}"), "not a list of names"),
        (build_error("http: [\n"), "the rule file: "),
        (build_error("http: {}\nhttp: {}\n"), "the rule file: "),
    ] {
        assert!(error.contains(part), "{error}\n  lacks {part}");
    }
}

#[test]
fn errors_say_the_line() {
    let error = build_error("http:\n  rules:\n  - selector: a\n    gett: /b\n");
    assert!(error.contains("line 4"), "{error}");
}

#[test]
fn a_file_that_blows_up_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        writeln!(bomb, "a{level}: &a{level} [{}]", [&*alias; 10].join(", ")).unwrap();
    }
    assert!(build_error(&format!("apis:\n  {}", bomb.replace('\n', "\n  "))).starts_with("the rule file: "));
    assert!(build_error(&"[".repeat(100_000)).starts_with("the rule file: "));
    assert_eq!(build_error(&" ".repeat((16 << 20) + 1)), "the rule file: larger than 16777216 bytes");
}
