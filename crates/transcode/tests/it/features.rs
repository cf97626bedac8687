//! The feature table, its rows about rules, paths and queries: a test each, named after the row.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use prost_reflect::DescriptorPool;
use riskmesh_transcode::{BuildError, Builder, ParseOptions, Protocols, Slash, Transcoder, UnknownFields};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::pool::{POOL, SET};
use crate::rest::{Log, Seen, collect, ok, request, service};

fn builder() -> Builder {
    Builder::new(POOL.clone()).services(["test.Features", "test.Library"])
}

/// Sends a request, and returns the answer and what the service saw of it.
async fn send(builder: Builder, method: &str, uri: &str, body: &str) -> (Response<Bytes>, Option<Seen>) {
    let log = Log::default();
    let upstream = service(log.clone(), |path| match path.strip_prefix("/test.Library/") {
        Some("ListBooks") => ok("ListBooksResponse", &json!({})),
        Some(_) => ok("Book", &json!({})),
        None => ok("FeatureResponse", &json!({})),
    });
    let response = builder.build(upstream).unwrap().oneshot(request(method, uri, body)).await.unwrap();
    let seen = log.lock().unwrap().pop();
    (collect(response).await, seen)
}

/// The service gets this message, at this method.
async fn gets(method: &str, uri: &str, body: &str, rpc: &str, message: Value) {
    gets_with(builder(), method, uri, body, rpc, message).await;
}

async fn gets_with(builder: Builder, method: &str, uri: &str, body: &str, rpc: &str, message: Value) {
    let (response, seen) = send(builder, method, uri, body).await;
    let seen = seen.unwrap_or_else(|| panic!("{method} {uri}: {response:?}"));
    let rpc = if rpc.contains('.') { rpc.replace('.', "/") } else { format!("Features/{rpc}") };
    assert_eq!((seen.path, seen.messages), (format!("/test.{rpc}"), vec![message]), "{method} {uri}");
}

/// The request is refused with this status and message, and the service sees nothing.
async fn refused(builder: Builder, method: &str, uri: &str, body: &str, status: u16, message: &str) {
    let (response, seen) = send(builder, method, uri, body).await;
    assert!(seen.is_none(), "{method} {uri}: {seen:?}");
    let found: Value = serde_json::from_slice(response.body()).unwrap();
    let found = (response.status().as_u16(), found["error"]["message"].as_str().unwrap().to_owned());
    assert_eq!(found, (status, message.to_owned()), "{method} {uri}");
}

/// The body of the answer to a call that the service answers with `message`.
async fn gives(uri: &str, message: &Value) -> String {
    let message = message.clone();
    let upstream = service(Log::default(), move |_| ok("FeatureResponse", &message));
    let response = builder().build(upstream).unwrap().oneshot(request("GET", uri, "")).await.unwrap();
    String::from_utf8(collect(response).await.body().to_vec()).unwrap()
}

#[tokio::test]
async fn runtime_descriptors_and_swapped_while_running() {
    // From bytes that are known only now.
    let bytes: Vec<u8> = SET.clone();
    let upstream = service(Log::default(), |_| ok("FeatureResponse", &json!({"text": "t"})));
    let builder = Builder::from_descriptor_set(&bytes).unwrap().services(["test.One"]);
    let transcoder = builder.unannotated(true).build(upstream).unwrap();
    let call = |path: &'static str| transcoder.clone().oneshot(request("POST", path, "{}"));
    assert_eq!(call("/test.One/Only").await.unwrap().status(), StatusCode::OK);
    assert_eq!(call("/f/take/inner").await.unwrap().status(), StatusCode::NOT_FOUND);
    let pool = DescriptorPool::decode(&*bytes).unwrap();
    transcoder.replace(Transcoder::builder(pool).services(["test.Features"])).unwrap();
    assert_eq!(call("/test.One/Only").await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(call("/f/take/inner").await.unwrap().status(), StatusCode::OK);
}

#[cfg(feature = "reflection")]
#[tokio::test]
async fn runtime_descriptors_read_by_server_reflection() {
    let server = tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(&SET);
    let server = server.build_v1().unwrap();
    let pool = riskmesh_transcode::reflection::descriptors(server, ["test.Features"]).await.unwrap();
    let read = Builder::new(pool);
    gets_with(read, "GET", "/f/things/7", "", "Methods", json!({"id": "7"})).await;
}

#[tokio::test]
async fn all_of_http_rule() {
    all_methods_and_verbs().await;
    double_star_anywhere_the_grammar_allows().await;
    bodies_of_every_shape().await;
    response_bodies_of_every_shape().await;
}

async fn all_methods_and_verbs() {
    for (method, uri, body, message) in [
        ("GET", "/f/things/7", "", json!({"id": "7"})),
        ("HEAD", "/f/things/7", "", json!({"id": "7"})),
        ("PUT", "/f/things/7", r#"{"text":"t"}"#, json!({"id": "7", "text": "t"})),
        ("POST", "/f/things", r#"{"id":"7","number":1}"#, json!({"id": "7", "number": 1})),
        ("DELETE", "/f/things/7", "", json!({"id": "7"})),
        ("REPORT", "/f/things/7?text=t", "", json!({"id": "7", "text": "t"})),
        ("GET", "/f/any/7", "", json!({"id": "7"})),
        ("OPTIONS", "/f/any/7", "", json!({"id": "7"})),
        ("BREW", "/f/any/7", "", json!({"id": "7"})),
    ] {
        gets(method, uri, body, "Methods", message).await;
    }
    gets("POST", "/f/things/7:archive", "{}", "Archive", json!({"id": "7"})).await;
    gets("GET", "/f/things:archive", "", "Archive", json!({})).await;
    gets("POST", "/f/groups/a/b:archive", "", "Archive", json!({"name": "groups/a/b"})).await;
    // A suffix that is no verb of any route belongs to the segment.
    gets("GET", "/f/things/7:other", "", "Methods", json!({"id": "7:other"})).await;
}

async fn double_star_anywhere_the_grammar_allows() {
    for (uri, message) in [
        ("/f/one/shelves/1", json!({"name": "shelves/1"})),
        ("/f/two/shelves/1/books/2/3", json!({"name": "shelves/1/books/2", "inner": {"id": "3"}})),
        ("/f/last/files", json!({"name": "files"})),
        ("/f/last/files/a", json!({"name": "files/a"})),
        ("/f/last/files/a/b/c", json!({"name": "files/a/b/c"})),
        ("/f/middle/files/raw", json!({"name": "files"})),
        ("/f/middle/files/a/b/raw", json!({"name": "files/a/b"})),
        ("/f/middle/files/raw/raw", json!({"name": "files/raw"})),
        ("/f/within/a/z/end", json!({"name": "a/z"})),
        ("/f/within/a/b/c/z/end", json!({"name": "a/b/c/z"})),
        ("/f/bare", json!({})),
        ("/f/bare/", json!({})),
        ("/f/bare/a//b", json!({})),
        ("/f/bare/a/of/it", json!({})),
        ("/f/all", json!({"name": ""})),
        ("/f/all/a/b", json!({"name": "a/b"})),
        ("/f/star/any/7", json!({"id": "7"})),
    ] {
        let mut message = message;
        if message["name"] == "" {
            message = json!({});
        }
        gets("GET", uri, "", "Paths", message).await;
    }
    for uri in
        ["/f/one/shelves", "/f/one/shelves/1/2", "/f/one/shelves/", "/f/middle/files/a", "/f/last", "/f/all/"]
    {
        refused(builder(), "GET", uri, "", 404, "no such path").await;
    }
}

async fn bodies_of_every_shape() {
    for (uri, body, rpc, message) in [
        ("/f/take/inner?id=7", r#"{"size":1}"#, "TakeInner", json!({"id": "7", "inner": {"size": 1}})),
        ("/f/take/inner", "", "TakeInner", json!({})),
        ("/f/take/text", r#""t\n""#, "TakeText", json!({"text": "t\n"})),
        ("/f/take/number?text=t", "12", "TakeNumber", json!({"number": 12, "text": "t"})),
        ("/f/take/number", r#""12""#, "TakeNumber", json!({"number": 12})),
        ("/f/take/list", r#"["a","b"]"#, "TakeList", json!({"list": ["a", "b"]})),
        ("/f/take/list", "[]", "TakeList", json!({})),
        (
            "/f/take/inners?list=x",
            r#"[{"id":"a"},{}]"#,
            "TakeInners",
            json!({"inners": [{"id": "a"}, {}], "list": ["x"]}),
        ),
        ("/f/take/table", r#"{"a":1,"b":2}"#, "TakeTable", json!({"table": {"a": 1, "b": 2}})),
    ] {
        gets("POST", uri, body, rpc, message).await;
    }
    let error = "line 1, column 1: expected an array, found an object";
    refused(builder(), "POST", "/f/take/list", "{}", 400, error).await;
}

async fn response_bodies_of_every_shape() {
    let whole = json!({
        "inner": {"id": "i"}, "text": "t", "number": 3, "list": ["a", "b"], "table": {"k": 1}, "inners": [{"size": 2}, {}],
    });
    for (field, full, empty) in [
        ("inner", r#"{"id":"i"}"#, "{}"),
        ("text", r#""t""#, r#""""#),
        ("number", "3", "0"),
        ("list", r#"["a","b"]"#, "[]"),
        ("inners", r#"[{"size":2},{}]"#, "[]"),
        ("table", r#"{"k":1}"#, "{}"),
    ] {
        let uri = format!("/f/give/{field}");
        assert_eq!(gives(&uri, &whole).await, full, "{field}");
        assert_eq!(gives(&uri, &json!({})).await, empty, "{field}");
    }
}

#[tokio::test]
async fn external_rule_file_and_unannotated_methods_at_post_service_method() {
    let file = "http: {rules: [{selector: test.Features.Plain, put: '/from/file/{id}', body: text}]}";
    // Connect, too, would serve methods at their own paths.
    let rest = || builder().protocols(Protocols::NONE);
    let with = || rest().rules(file).unwrap().unannotated(true);
    gets_with(with(), "PUT", "/from/file/7", r#""t""#, "Plain", json!({"id": "7", "text": "t"})).await;
    // A method with a rule from the file is not unannotated.
    refused(with(), "POST", "/test.Features/Plain", "{}", 404, "no such path").await;
    let uri = "/test.Library/Unannotated";
    gets_with(with(), "POST", uri, r#"{"id":"7"}"#, "Library.Unannotated", json!({"id": "7"})).await;
    refused(rest(), "POST", uri, "{}", 404, "no such path").await;
}

#[tokio::test]
async fn status_405_with_allow_404_406_415_told_apart_head_and_options() {
    let status = |method: &'static str, uri: &'static str, body: &'static str| async move {
        let (response, seen) = send(builder(), method, uri, body).await;
        (response.status().as_u16(), response.headers().get(header::ALLOW).cloned(), seen.is_some())
    };
    let allow = |methods: &'static str| Some(HeaderValue::from_static(methods));
    assert_eq!(status("GET", "/f/nothing", "").await, (404, None, false));
    assert_eq!(status("OPTIONS", "/f/nothing", "").await, (404, None, false));
    assert_eq!(status("HEAD", "/f/nothing", "").await, (404, None, false));
    let all = "DELETE, GET, PATCH, POST, PURGE, PUT, REPORT, OPTIONS";
    assert_eq!(status("OPTIONS", "*", "").await, (204, allow(all), false));
    assert_eq!(status("GET", "*", "").await, (404, None, false));
    let thing = "DELETE, GET, HEAD, PATCH, PUT, REPORT, OPTIONS";
    assert_eq!(status("BREW", "/f/things/7", "").await, (405, allow(thing), false));
    assert_eq!(status("OPTIONS", "/f/things/7", "").await, (204, allow(thing), false));
    assert_eq!(status("HEAD", "/f/things", "").await, (405, allow("POST, OPTIONS"), false));
    assert_eq!(status("GET", "/f/things/7", "").await, (200, None, true));
    let (head, _) = send(builder(), "HEAD", "/f/things/7", "").await;
    assert_eq!((head.status(), head.body().len()), (StatusCode::OK, 0));
    assert_eq!(head.headers()[header::CONTENT_LENGTH], "2");

    let ask = |method: &'static str, uri: &'static str, name: header::HeaderName, value: &'static str| async move {
        let log = Log::default();
        let upstream = service(log.clone(), |_| ok("FeatureResponse", &json!({})));
        let mut request = request(method, uri, "{}");
        request.headers_mut().insert(name, HeaderValue::from_static(value));
        let response = builder().build(upstream).unwrap().oneshot(request).await.unwrap();
        let seen = log.lock().unwrap().len();
        (response.status().as_u16(), seen)
    };
    for (accept, status) in [
        ("text/html", 406),
        ("application/json;q=0", 406),
        ("application/xml, application/json;q=0.1", 200),
        ("application/*", 200),
        ("*/*", 200),
    ] {
        assert_eq!(
            ask("PUT", "/f/things/7", header::ACCEPT, accept).await,
            (status, usize::from(status == 200)),
            "{accept}"
        );
    }
    for (content_type, status) in [
        ("text/plain", 415),
        ("application/xml", 415),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=UTF-8", 200),
        ("application/merge-patch+json", 200),
    ] {
        let found = ask("PUT", "/f/things/7", header::CONTENT_TYPE, content_type).await;
        assert_eq!(found, (status, usize::from(status == 200)), "{content_type}");
    }
}

#[tokio::test]
async fn percent_2f_as_http_proto_says() {
    for (uri, message) in [
        // One segment: everything is decoded.
        ("/f/things/a%2Fb%2fc%20d%2Bé", json!({"id": "a/b/c d+é"})),
        ("/f/star/x%2Fy/7", json!({"id": "7"})),
        // Several: everything but the slash.
        ("/f/one/shelves/a%2Fb%20c", json!({"name": "shelves/a%2Fb c"})),
        ("/f/last/files/a%2fb/%7Ec%2B", json!({"name": "files/a%2fb/~c+"})),
        ("/f/all/a%2Fb", json!({"name": "a%2Fb"})),
    ] {
        let uri = uri.replace('é', "%C3%A9");
        let rpc = if uri.contains("/things/") { "Methods" } else { "Paths" };
        gets("GET", &uri, "", rpc, message).await;
    }
    // By option otherwise.
    let decode = builder().slash(Slash::Decode);
    gets_with(decode, "GET", "/f/one/shelves/a%2Fb", "", "Paths", json!({"name": "shelves/a/b"})).await;
    let decode = builder().rules("http: {fully_decode_reserved_expansion: true}").unwrap();
    gets_with(decode, "GET", "/f/one/shelves/a%2Fb", "", "Paths", json!({"name": "shelves/a/b"})).await;
    // A plus is a plus in a path.
    gets("GET", "/f/things/a+b?text=a+b", "", "Methods", json!({"id": "a+b", "text": "a b"})).await;
    for uri in ["/f/things/%", "/f/things/%2", "/f/things/%2g", "/f/things/%ff", "/f/last/files/%C3"] {
        refused(builder(), "GET", uri, "", 400, "a bad escape in the path").await;
    }
}

#[tokio::test]
async fn query_nested_repeated_enums_well_known_types_maps_struct_and_unknown_parameters() {
    for (query, message) in [
        ("author.given_name=A&author.familyName=B", json!({"author": {"givenName": "A", "familyName": "B"}})),
        ("tags=a&limit=1&tags=b", json!({"tags": ["a", "b"], "limit": 1})),
        ("color=COLOR_RED", json!({"color": "COLOR_RED"})),
        ("color=1&colors=2", json!({"color": "COLOR_RED", "colors": ["COLOR_BLUE"]})),
        ("since=2025-01-02T03:04:05Z", json!({"since": "2025-01-02T03:04:05Z"})),
        ("within=1.5s", json!({"within": "1.500s"})),
        ("fields=a.b,c", json!({"fields": "a.b,c"})),
        ("atLeast=7", json!({"atLeast": "7"})),
        ("counts[a]=1&counts[b]=2", json!({"counts": {"a": 1, "b": 2}})),
        ("extra=%7B%22a%22:1%7D", json!({"extra": {"a": 1.0}})),
        ("anything=[true]", json!({"anything": [true]})),
    ] {
        let mut message = message;
        message["shelf"] = json!("s");
        gets("GET", &format!("/v1/shelves/s/books?{query}"), "", "Library.ListBooks", message).await;
    }
    // Unknown parameters: rejected,
    refused(builder(), "GET", "/f/things/7?nope=1", "", 400, "query parameter nope: unknown").await;
    // ignored,
    let parse = ParseOptions { unknown_fields: UnknownFields::Ignore, ..Default::default() };
    let ignoring = builder().parse_options(parse);
    gets_with(ignoring, "GET", "/f/things/7?nope=1&text=t", "", "Methods", json!({"id": "7", "text": "t"}))
        .await;
    // or captured.
    captured_parameters().await;
}

async fn captured_parameters() {
    let capturing = || builder().capture_parameters("rest");
    let query = "limit=1&b=2&a%5B%5D=%20x&limit.x=3&rest%5Bk%5D=4&=5";
    gets_with(
        capturing(),
        "GET",
        &format!("/f/capture/texts?{query}"),
        "",
        "CaptureTexts",
        json!({"limit": 1, "rest": {"a[]": " x", "b": "2", "limit.x": "3", "rest[k]": "4", "": "5"}}),
    )
    .await;
    let lists = json!({"texts": ["1", "", "1"]});
    for (uri, rpc, rest) in [
        ("/f/capture/lists", "CaptureLists", json!({"a": lists, "b": {"texts": ["2"]}})),
        ("/f/capture/wrapped", "CaptureWrapped", json!({"byName": {"a": lists, "b": {"texts": ["2"]}}})),
    ] {
        let uri = format!("{uri}?a=1&b=2&a=&limit=1&a=1");
        gets_with(capturing(), "GET", &uri, "", rpc, json!({"limit": 1, "rest": rest})).await;
    }
    let long = "x".repeat(300);
    let uri = format!("/f/capture/lists?{long}={long}&{long}={long}");
    gets_with(
        capturing(),
        "GET",
        &uri,
        "",
        "CaptureLists",
        json!({"rest": {&long: {"texts": [long, long]}}}),
    )
    .await;
    gets_with(capturing(), "GET", "/f/capture/texts?limit=1", "", "CaptureTexts", json!({"limit": 1})).await;
    for (method, uri, body, problem) in [
        ("GET", "/f/capture/texts?a=1&a=2", "", "a: given twice"),
        ("GET", "/f/capture/texts?a=1&limit=x", "", "limit: not an integer"),
        // Messages that lack the field, or whose body has it.
        ("GET", "/f/things/7?a=1", "", "a: unknown"),
        ("POST", "/f/capture/texts?a=1", "{}", "a: unknown"),
        ("PUT", "/f/capture/texts?a=1", "{}", "a: unknown"),
    ] {
        refused(capturing(), method, uri, body, 400, &format!("query parameter {problem}")).await;
    }
    let error = builder().capture_parameters("number").build(()).unwrap_err();
    assert!(
        error.to_string().ends_with(
            "field number cannot capture parameters: it is no map of strings or of lists of strings"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn collisions_between_path_query_and_body_rejected() {
    let twice = "given twice, or set by the path, the body or another member of its oneof";
    for (method, uri, body, error) in [
        ("GET", "/f/things/7?id=8", "", &*format!("query parameter id: {twice}")),
        ("GET", "/f/things/7?number=1&number=1", "", &format!("query parameter number: {twice}")),
        ("GET", "/f/two/shelves/1/books/2/3?inner.id=4", "", &format!("query parameter inner.id: {twice}")),
        ("PUT", "/f/things/7", r#"{"id":"7"}"#, "line 1, column 7, id: already set by the path or the query"),
        ("PUT", "/f/things/7?text=t", "{}", "query parameter text: belongs into the body"),
        ("POST", "/f/take/inner?inner.size=1", "{}", "query parameter inner.size: belongs into the body"),
        (
            "GET",
            "/v1/shelves/s/books?byTitle=a&byNumber=1",
            "",
            &format!("query parameter byNumber: {twice}"),
        ),
        ("DELETE", "/f/things/7", "{}", "this method takes no body"),
    ] {
        refused(builder(), method, uri, body, 400, error).await;
    }
    // What does not collide goes together: path and query inside one message.
    let uri = "/f/two/shelves/1/books/2/3?inner.size=4";
    let message = json!({"name": "shelves/1/books/2", "inner": {"id": "3", "size": 4}});
    gets("GET", uri, "", "Paths", message).await;
}

#[tokio::test]
async fn patch_field_mask_inferred_from_the_body() {
    let thing = |body: &'static str, inner: Value, mask: Value| {
        let message = json!({"id": "7", "inner": inner, "updateMask": mask});
        gets("PATCH", "/f/things/7", body, "Methods", message)
    };
    thing(r#"{"size":1}"#, json!({"size": 1}), json!("size")).await;
    thing(r#"{"size":0,"id":null}"#, json!({}), json!("size,id")).await;
    // One that is given counts.
    let message = json!({"id": "7", "inner": {"size": 1}, "updateMask": "id"});
    gets("PATCH", "/f/things/7?updateMask=id", r#"{"size":1}"#, "Methods", message).await;
    // Nothing to change: no mask. Other methods: no mask.
    gets("PATCH", "/f/things/7", "{}", "Methods", json!({"id": "7", "inner": {}})).await;
    gets("POST", "/f/take/inner", r#"{"size":1}"#, "TakeInner", json!({"inner": {"size": 1}})).await;
}

#[test]
fn duplicate_routes_are_refused_and_name_both_and_templates_say_the_column() {
    let build = |path: &str| {
        let file = format!("http: {{rules: [{{selector: test.Features.Plain, get: '{path}'}}]}}");
        builder().rules(&file).unwrap().build(()).map(drop).unwrap_err()
    };
    let error = build("/f/things/{name=*}");
    let both = "test.Features.Plain and test.Features.Methods both claim GET /f/things/{name=*}";
    assert_eq!(error.to_string(), both);
    for (path, problem) in [
        ("/f/{a", "expected `}` at column 6"),
        ("/f/{a=b/{c}}", "a variable inside a variable at column 9"),
        ("/f/**/*", "only literals may follow `**` at column 7"),
        ("/f//a", "expected a segment at column 4"),
        ("/f/a:b:c", "a second verb at column 7"),
    ] {
        let error = build(path);
        assert!(matches!(error, BuildError::Route(_)), "{error:?}");
        assert_eq!(error.to_string(), format!("test.Features.Plain: template `{path}`: {problem}"));
    }
}
