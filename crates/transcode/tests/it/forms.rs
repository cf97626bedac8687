//! Bodies that are forms.

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::rest::{builder, send_with};
use riskmesh_transcode::Limits;

fn form(method: &str, uri: &str, content_type: &str, body: &str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, content_type);
    request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()
}

async fn message(request: Request<Full<Bytes>>) -> Value {
    let (response, seen) = send_with(builder(), request).await;
    seen.unwrap_or_else(|| panic!("{response:?}")).messages.remove(0)
}

async fn refusal(request: Request<Full<Bytes>>) -> (u16, String) {
    let (response, seen) = send_with(builder(), request).await;
    assert!(seen.is_none());
    let error: Value = serde_json::from_slice(response.body()).unwrap();
    (response.status().as_u16(), error["error"]["message"].as_str().unwrap().to_owned())
}

const URLENCODED: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=XX";

/// A form of parts: their headers and contents.
fn parts(parts: &[(&str, &str)]) -> String {
    let part = |(head, content): &(&str, &str)| {
        format!("--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
    };
    parts.iter().map(part).collect::<String>() + "--XX--\r\n"
}

#[tokio::test]
async fn form_urlencoded_bodies_are_the_message() {
    let sent = form(
        "POST",
        "/v1/forms/7",
        URLENCODED,
        "tags=a+b&tags=c%26&number=-5&book.title=T&labels[k]=v&data=AQI",
    );
    assert_eq!(
        message(sent).await,
        json!({"id": "7", "tags": ["a b", "c&"], "number": "-5", "book": {"title": "T"}, "labels": {"k": "v"}, "data": "AQI="})
    );
    assert_eq!(message(form("POST", "/v1/forms/7", URLENCODED, "\r\n")).await, json!({"id": "7"}));
}

#[tokio::test]
async fn a_form_is_the_message_of_the_body_field() {
    let sent =
        form("POST", "/v1/shelves/s/books?dryRun=1", URLENCODED, "title=T&author.given_name=A&pages=3");
    let (response, seen) = send_with(builder(), sent).await;
    assert!(seen.is_none(), "`1` is no boolean: {response:?}");
    let sent =
        form("POST", "/v1/shelves/s/books?dryRun=true", URLENCODED, "title=T&author.given_name=A&pages=3");
    assert_eq!(
        message(sent).await,
        json!({"shelf": "s", "dryRun": true, "book": {"title": "T", "author": {"givenName": "A"}, "pages": 3}})
    );
}

#[tokio::test]
async fn a_patch_by_form_gets_its_names_as_mask() {
    for sent in [
        form("PATCH", "/v1/books/7", URLENCODED, "title=T&tags=a&tags=b&author.givenName=A"),
        form(
            "PATCH",
            "/v1/books/7",
            MULTIPART,
            &parts(&[
                ("name=title", "T"),
                ("name=tags", "a"),
                ("name=tags", "b"),
                ("name=\"author.givenName\"", "A"),
            ]),
        ),
    ] {
        let book = json!({"id": "7", "title": "T", "tags": ["a", "b"], "author": {"givenName": "A"}});
        assert_eq!(message(sent).await, json!({"book": book, "updateMask": "title,tags,author.givenName"}));
    }
}

#[tokio::test]
async fn multipart_bodies_are_texts_bytes_bodies_or_json() {
    let body = parts(&[
        ("name=number", "5"),
        ("name=\"data\"; filename=\"a.bin\"", "\u{1}\u{2}"),
        ("name=file; filename=b.csv\r\nContent-Type: text/csv", "a,b\r\n"),
        ("name=book\r\nContent-Type: application/json", r#"{"title":"T"}"#),
        ("name=tags", "x"),
        ("name=tags", "--X"),
    ]);
    assert_eq!(
        message(form("POST", "/v1/forms/7", MULTIPART, &body)).await,
        json!({
            "id": "7",
            "number": "5",
            "data": "AQI=",
            "file": {"contentType": "text/csv", "data": "YSxiDQo="},
            "book": {"title": "T"},
            "tags": ["x", "--X"],
        })
    );
}

#[tokio::test]
async fn a_part_that_is_plain_text_is_a_text_and_an_untouched_input_of_files_is_nothing() {
    let nothing = "filename=\"\"\r\nContent-Type: application/octet-stream";
    let body = parts(&[
        ("name=number\r\nContent-Type: text/plain; charset=utf-8", "5"),
        ("name=\"book.published\"\r\nContent-Type: text/plain", "2026-01-01T00:00:00Z"),
        ("name=\"labels[k]\"; filename=v.txt\r\nContent-Type: text/plain", "v"),
        (&format!("name=data; {nothing}"), ""),
        (&format!("name=file; {nothing}"), ""),
        (&format!("name=book; {nothing}"), ""),
    ]);
    assert_eq!(
        message(form("POST", "/v1/forms/7", MULTIPART, &body)).await,
        json!({"id": "7", "number": "5", "book": {"published": "2026-01-01T00:00:00Z"}, "labels": {"k": "v"}})
    );
}

#[tokio::test]
async fn bad_forms_are_refused_with_the_field() {
    let twice = "given twice, or set by the path, the body or another member of its oneof";
    for (content_type, body, message) in [
        (URLENCODED, "nope=1", "form field nope: unknown".to_owned()),
        (URLENCODED, "number=x", "form field number: not an integer".to_owned()),
        (URLENCODED, "id=8", format!("form field id: {twice}")),
        (URLENCODED, "number=1&number=2", format!("form field number: {twice}")),
        (URLENCODED, "number=%zz", "a bad escape in the form".to_owned()),
        (MULTIPART, &parts(&[("name=nope", "1")]), "form field nope: unknown".to_owned()),
        (MULTIPART, &parts(&[("filename=x", "1")]), "a part of the form has no name".to_owned()),
        (MULTIPART, "--XX\r\nnothing", "the body is not a multipart form".to_owned()),
        (
            MULTIPART,
            &parts(&[("name=book\r\nContent-Type: text/plain", "{}")]),
            "form field book: a message, which no single text can hold".to_owned(),
        ),
        (
            MULTIPART,
            &parts(&[("name=\"labels[k]\"; filename=x", "v"), ("name=\"labels[k]\"", "w")]),
            "form field labels[k]: given twice".to_owned(),
        ),
        (
            MULTIPART,
            &parts(&[("name=book; filename=x", "{")]),
            "form field book: line 1, column 2: expected a key in double quotes".to_owned(),
        ),
    ] {
        assert_eq!(refusal(form("POST", "/v1/forms/7", content_type, body)).await, (400, message), "{body}");
    }
    let mut latin = parts(&[(&format!("name={}", "n".repeat(100)), "?")]).into_bytes();
    let at = latin.iter().position(|byte| *byte == b'?').unwrap();
    latin[at] = 0xe9;
    let mut request = form("POST", "/v1/forms/7", MULTIPART, "");
    *request.body_mut() = Full::new(latin.into());
    let shown = "n".repeat(64);
    assert_eq!(refusal(request).await, (400, format!("form field {shown}…: not UTF-8")));
    let many = "tags=a&".repeat(1001);
    let many = form("POST", "/v1/forms/7", URLENCODED, &many);
    assert_eq!(refusal(many).await, (400, "too many fields in the form".to_owned()));
    let many = form("POST", "/v1/forms/7", MULTIPART, &parts(&vec![("name=tags", "a"); 1001]));
    assert_eq!(refusal(many).await, (400, "too many parts in the form".to_owned()));
    let none = form("POST", "/v1/forms/7", "multipart/form-data", "x");
    assert_eq!(refusal(none).await.0, 415);
}

#[tokio::test]
async fn a_form_larger_than_the_limit_is_refused() {
    let limits = Limits { request_bytes: 1000, ..Limits::default() };
    let text = format!("tags={}", "a".repeat(2000));
    let body = parts(&[("name=tags", &"a".repeat(2000))]);
    for (content_type, body) in [(URLENCODED, text), (MULTIPART, body)] {
        let sent = form("POST", "/v1/forms/7", content_type, &body);
        let (response, seen) = send_with(builder().limits(limits), sent).await;
        assert_eq!((response.status().as_u16(), seen.is_none()), (413, true));
    }
}
