//! The feature table: partial responses by `fields=`.

use http::header;
use riskmesh_transcode::{Builder, PrintOptions};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tower::ServiceExt as _;

use crate::pool::POOL;
use crate::rest::{Log, answer, collect, frame, ok, request, service};

fn builder() -> Builder {
    Builder::new(POOL.clone()).services(["test.Library", "test.Features"])
}

fn book() -> Value {
    json!({
        "id": "7", "title": "T", "pages": 3, "author": {"givenName": "G", "familyName": "F"},
        "tags": ["a", "b"], "published": "2026-01-01T00:00:00Z", "labels": {"k": "v"},
    })
}

/// Status and body of the answer to a GET.
async fn get_with(builder: Builder, uri: &str) -> (u16, Value) {
    let upstream = service(Log::default(), |path| match path {
        "/test.Library/GetBook" => ok("Book", &book()),
        "/test.Library/WatchBooks" => {
            answer(vec![frame("Book", &book()), frame("Book", &book())], Status::new(Code::Ok, ""))
        }
        path if path.starts_with("/test.Library/") => {
            ok("ListBooksResponse", &json!({"books": [book(), {"id": "8"}], "total": "2"}))
        }
        _ => ok(
            "FeatureResponse",
            &json!({"text": "t", "inners": [{"id": "1", "size": 2}], "inner": {"id": "3", "size": 4},
                    "table": {"a": 1, "b": 2}}),
        ),
    });
    let response = builder.build(upstream).unwrap().oneshot(request("GET", uri, "")).await.unwrap();
    let response = collect(response).await;
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

async fn gives(uri: &str, body: Value) {
    assert_eq!(get_with(builder(), uri).await, (200, body), "{uri}");
}

#[tokio::test]
async fn partial_responses_by_fields() {
    for (fields, body) in [
        ("title", json!({"title": "T"})),
        ("title,pages", json!({"title": "T", "pages": 3})),
        ("pages,%20title", json!({"title": "T", "pages": 3})),
        ("author", json!({"author": {"givenName": "G", "familyName": "F"}})),
        // JSON names and proto names; dots, slashes and brackets.
        ("author.givenName", json!({"author": {"givenName": "G"}})),
        ("author/given_name", json!({"author": {"givenName": "G"}})),
        ("author%20(%20given_name%20)%20,%20id", json!({"id": "7", "author": {"givenName": "G"}})),
        ("author(given_name),id", json!({"id": "7", "author": {"givenName": "G"}})),
        ("author.givenName,author.familyName", json!({"author": {"givenName": "G", "familyName": "F"}})),
        // The wider one wins, in any order.
        ("author.givenName,author", json!({"author": {"givenName": "G", "familyName": "F"}})),
        ("author,author.givenName", json!({"author": {"givenName": "G", "familyName": "F"}})),
        ("author(*)", json!({"author": {"givenName": "G", "familyName": "F"}})),
        ("author.*,author.givenName", json!({"author": {"givenName": "G", "familyName": "F"}})),
        (
            "tags,labels,published",
            json!({"tags": ["a", "b"], "labels": {"k": "v"}, "published": "2026-01-01T00:00:00Z"}),
        ),
        ("*", book()),
        ("title,*", book()),
        // Entries of maps.
        ("labels.k", json!({"labels": {"k": "v"}})),
        ("labels.`k`,id", json!({"id": "7", "labels": {"k": "v"}})),
        ("labels(k,x)", json!({"labels": {"k": "v"}})),
        ("labels.x", json!({})),
        ("labels.*", json!({"labels": {"k": "v"}})),
        ("labels.x,labels.*", json!({"labels": {"k": "v"}})),
    ] {
        let fields = fields.replace('`', "%60");
        gives(&format!("/v1/shelves/1/books/7?fields={fields}"), body).await;
    }
}

#[tokio::test]
async fn partial_responses_look_through_lists_streams_and_response_bodies() {
    let books = json!([{"title": "T", "author": {"familyName": "F"}}, {}]);
    // The request has a field of this name: the parameter is that one, `$fields` is ours.
    let uri = "/v1/shelves/1/books?fields=a&%24fields=books(title,author.familyName)";
    gives(uri, json!({"books": books})).await;
    gives("/v1/shelves/1/titles?$fields=title,author/familyName", books).await;
    gives("/v1/shelves/1/books:watch?$fields=id", json!([{"id": "7"}, {"id": "7"}])).await;
    gives("/f/give/inner?fields=size", json!({"size": 4})).await;
    gives("/f/give/inners?fields=size", json!([{"size": 2}])).await;
    gives("/f/give/inners?fields=*.size", json!([{"size": 2}])).await;
    gives("/f/things/1?fields=inners.*.size", json!({"inners": [{"size": 2}]})).await;
    gives("/f/give/table?fields=b", json!({"b": 2})).await;
}

#[tokio::test]
async fn partial_responses_reach_into_maps_of_messages() {
    let loan = json!({
        "byRole": {"a": {"name": "n", "card": "c"}, "b.c": {"name": "m", "card": "d"}},
        "guests": [{"name": "g", "card": "e"}],
    });
    let upstream = service(Log::default(), move |_| ok("Loan", &loan));
    let builder = Builder::new(POOL.clone()).services(["test.Desk"]);
    let transcoder = builder.build(upstream).unwrap();
    let mixed =
        "query parameter fields: some entries of a map are chosen by their keys, and parts of all of them";
    for (fields, expected) in [
        ("byRole.a.name", Ok(json!({"byRole": {"a": {"name": "n"}}}))),
        ("byRole.%60b.c%60(card)", Ok(json!({"byRole": {"b.c": {"card": "d"}}}))),
        ("byRole.*.name,guests.name", {
            Ok(json!({"byRole": {"a": {"name": "n"}, "b.c": {"name": "m"}}, "guests": [{"name": "g"}]}))
        }),
        ("byRole.*(name,card)", {
            Ok(json!({"byRole": {"a": {"name": "n", "card": "c"}, "b.c": {"name": "m", "card": "d"}}}))
        }),
        ("byRole.a.name,byRole.a", Ok(json!({"byRole": {"a": {"name": "n", "card": "c"}}}))),
        ("byRole.a,byRole.*.name", Err(mixed)),
        ("byRole.*.name,byRole.a", Err(mixed)),
    ] {
        let request = request("GET", &format!("/d/loans?desk=d&fields={fields}"), "");
        let response = collect(transcoder.clone().oneshot(request).await.unwrap()).await;
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        match expected {
            Ok(expected) => assert_eq!(body, expected, "{fields}"),
            Err(problem) => assert_eq!(body["error"]["message"], problem, "{fields}"),
        }
    }
}

#[tokio::test]
async fn a_long_selection_takes_no_longer_than_its_length() {
    let loan = json!({"byRole": {"k7": {"name": "n"}}});
    let upstream = service(Log::default(), move |_| ok("Loan", &loan));
    let transcoder = Builder::new(POOL.clone()).services(["test.Desk"]).build(upstream).unwrap();
    let fields: Vec<_> = (0..3_500).map(|i| format!("byRole.k{i}.name")).collect();
    let uri = format!("/d/loans?desk=d&fields={}", fields.join(","));
    let began = std::time::Instant::now();
    let response = collect(transcoder.oneshot(request("GET", &uri, "")).await.unwrap()).await;
    assert_eq!(
        serde_json::from_slice::<Value>(response.body()).unwrap(),
        json!({"byRole": {"k7": {"name": "n"}}})
    );
    assert!(began.elapsed().as_secs() < 5);
}

#[tokio::test]
async fn partial_responses_hold_the_defaults_of_what_is_chosen_only() {
    let print = PrintOptions {
        always_print_primitive_fields: true,
        always_print_empty_lists: true,
        ..Default::default()
    };
    let builder = builder().print_options(print);
    let uri = "/v1/shelves/1/books?$fields=books(pages,tags,author),total";
    let author = json!({"givenName": "G", "familyName": "F"});
    let body = json!({"books": [{"pages": 3, "tags": ["a", "b"], "author": author}, {"pages": 0, "tags": []}], "total": "2"});
    assert_eq!(get_with(builder, uri).await, (200, body));
}

#[tokio::test]
async fn partial_responses_say_what_is_wrong_with_the_fields() {
    let deep = format!("author{}", "(author".repeat(40));
    for (fields, problem) in [
        ("nope", "test.Book has no field nope"),
        ("author.nope", "test.Author has no field nope"),
        ("title.x", "x cannot be chosen: there are no fields to choose from"),
        ("published.seconds", "seconds cannot be chosen: there are no fields to choose from"),
        ("labels.k.x", "x cannot be chosen: there are no fields to choose from"),
        ("labels.*.x", "x cannot be chosen: there are no fields to choose from"),
        ("labels.%60k", "a backtick does not close"),
        ("labels.%60k%60x", "a name goes on behind its backticks"),
        ("%60nope%60", "test.Book has no field nope"),
        ("", "a name is missing"),
        ("title,", "a name is missing"),
        ("author()", "a name is missing"),
        ("author(givenName", "a bracket does not close"),
        ("author(givenName))", "a bracket closes that was not opened"),
        ("author(givenName)title", "a comma is missing after a bracket"),
        ("author(givenName(title", "title cannot be chosen: there are no fields to choose from"),
        ("*.title", "* is followed by more"),
        ("title&fields=id", "given twice"),
        (&deep, "test.Author has no field author"),
    ] {
        let (status, body) = get_with(builder(), &format!("/v1/shelves/1/books/7?fields={fields}")).await;
        let message = body["error"]["message"].as_str().unwrap();
        assert_eq!((status, message), (400, &*format!("query parameter fields: {problem}")), "{fields}");
    }
    let (status, body) =
        get_with(builder().partial_responses(false), "/v1/shelves/1/books/7?fields=id").await;
    assert_eq!((status, body["error"]["message"].as_str()), (400, Some("query parameter fields: unknown")));
    // A raw body has no fields.
    let (status, _) = get_with(builder(), "/v1/books/7:download?fields=id").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn partial_responses_leave_out_a_member_that_another_of_its_oneof_dropped() {
    // On the wire the last member of a oneof counts, whether it is chosen or not.
    let message = b"\x3a\x01w\x40\x05";
    let upstream = service(Log::default(), |_| {
        let mut frame = vec![0, 0, 0, 0, message.len() as u8];
        frame.extend_from_slice(message);
        answer(vec![frame.into()], Status::new(Code::Ok, ""))
    });
    let transcoder = builder().build(upstream).unwrap();
    for (fields, body) in [("word", json!({})), ("count", json!({"count": 5})), ("*", json!({"count": 5}))] {
        let request = request("GET", &format!("/f/things/1?fields={fields}"), "");
        let response = collect(transcoder.clone().oneshot(request).await.unwrap()).await;
        assert_eq!(serde_json::from_slice::<Value>(response.body()).unwrap(), body, "{fields}");
    }
}

#[tokio::test]
async fn partial_responses_keep_what_else_an_answer_has() {
    let upstream = service(Log::default(), |_| ok("Book", &book()));
    let request = request("HEAD", "/v1/shelves/1/books/7?fields=title", "");
    let response = builder().build(upstream).unwrap().oneshot(request).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()[header::CONTENT_LENGTH]),
        (200, &http::HeaderValue::from(13))
    );
}
