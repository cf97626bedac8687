//! The feature table: `field_behavior` enforced (REQUIRED, OUTPUT_ONLY, IMMUTABLE).

use bytes::Bytes;
use http::header;
use http_body_util::{BodyExt as _, Full};
use prost_reflect::DynamicMessage;
use riskmesh_transcode::{Builder, FieldBehavior, ParseOptions, UnknownFields};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::pool::{PLANS, POOL, parse_with};
use crate::rest::{Log, collect, ok, request, service, upstream};

fn builder() -> Builder {
    Builder::new(POOL.clone()).services(["test.Desk"])
}

/// What the service gets of a request, or status, message and field of the refusal.
async fn sent(builder: Builder, request: http::Request<Full<Bytes>>) -> Result<Value, (u16, String, String)> {
    let log = Log::default();
    let upstream = service(log.clone(), |_| ok("Loan", &json!({})));
    let response = collect(builder.build(upstream).unwrap().oneshot(request).await.unwrap()).await;
    if let Some(mut seen) = log.lock().unwrap().pop() {
        return Ok(seen.messages.remove(0));
    }
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    let field = &body["error"]["details"][0]["fieldViolations"][0]["field"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Err((response.status().as_u16(), text(&body["error"]["message"]), text(field)))
}

async fn gets(method: &str, uri: &str, body: &str, message: Value) {
    assert_eq!(sent(builder(), request(method, uri, body)).await, Ok(message), "{method} {uri} {body}");
}

async fn refused(method: &str, uri: &str, body: &str, message: &str, field: &str) {
    let wanted = Err((400, message.to_owned(), field.to_owned()));
    assert_eq!(sent(builder(), request(method, uri, body)).await, wanted, "{method} {uri} {body}");
}

fn form(method: &str, uri: &str, body: &'static str) -> http::Request<Full<Bytes>> {
    let mut request = request(method, uri, body);
    let form = http::HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(header::CONTENT_TYPE, form);
    request
}

#[tokio::test]
async fn required_fields_must_be_given_by_path_query_or_body() {
    let missing = "required, but not given";
    gets("GET", "/d/loans/7?desk=", "", json!({"id": "7"})).await;
    refused("GET", "/d/loans/7", "", &format!("parameter desk: {missing}"), "desk").await;
    refused(
        "GET",
        "/d/loans/7?desk=a&reader.card=c",
        "",
        &format!("parameter reader.name: {missing}"),
        "reader.name",
    )
    .await;
    // In a body: a default that is written is given, null is not, and what the path sets need not be there again.
    let loan = json!({"desk": "a", "loan": {"title": "t"}});
    gets("POST", "/d/a/loans", r#"{"title":"t","days":0}"#, loan.clone()).await;
    gets("POST", "/d/a/loans/t", r#"{"days":0}"#, loan.clone()).await;
    gets("POST", "/d/loans", r#"{"desk":"a","loan":{"title":"t","days":0}}"#, loan).await;
    for (uri, body, place, field) in [
        ("/d/a/loans", r#"{"title":"t"}"#, "line 1, column 14, days", "days"),
        ("/d/a/loans", r#"{"title":"t","days":null}"#, "line 1, column 25, days", "days"),
        ("/d/a/loans", "{}", "line 1, column 3, title", "title"),
        ("/d/a/loans/t", "{}", "line 1, column 3, days", "days"),
        ("/d/a/loans", "", "field loan", "loan"),
        ("/d/a/loans", "null", "field loan", "loan"),
        ("/d/a/loans/t", "", "field loan.days", "loan.days"),
        ("/d/loans", "", "field desk", "desk"),
        ("/d/loans", r#"{"desk":"a"}"#, "line 1, column 13, loan", "loan"),
        (
            "/d/a/loans",
            r#"{"title":"","days":1,"reader":{}}"#,
            "line 1, column 33, reader.name",
            "reader.name",
        ),
        (
            "/d/a/loans",
            r#"{"title":"","days":1,"guests":[{"name":""},{}]}"#,
            "line 1, column 46, guests[1].name",
            "guests[1].name",
        ),
        (
            "/d/a/loans",
            r#"{"title":"","days":1,"byRole":{"x":{}}}"#,
            r#"line 1, column 38, byRole["x"].name"#,
            r#"byRole["x"].name"#,
        ),
    ] {
        refused("POST", uri, body, &format!("{place}: {missing}"), field).await;
    }
    // A form is no different.
    let sent_form = sent(builder(), form("POST", "/d/a/loans", "title=t")).await;
    assert_eq!(sent_form, Err((400, format!("field loan.days: {missing}"), "loan.days".to_owned())));
    let whole = sent(builder(), form("POST", "/d/loans", "desk=a&loan.title=t&loan.days=0")).await;
    assert_eq!(whole, Ok(json!({"desk": "a", "loan": {"title": "t"}})));
    // A PATCH is a part of a resource.
    gets(
        "PATCH",
        "/d/loans/7",
        r#"{"title":"t"}"#,
        json!({"loan": {"id": "7", "title": "t"}, "updateMask": "title"}),
    )
    .await;
    refused(
        "PATCH",
        "/d/loans/7",
        r#"{"title":null}"#,
        &format!("line 1, column 14, title: {missing}"),
        "title",
    )
    .await;
    gets("PATCH", "/d/loans/7:whole", r#"{"days":2}"#, json!({"id": "7", "days": 2})).await;
}

#[tokio::test]
async fn output_only_fields_are_passed_over() {
    let body = r#"{"createdBy":{"any":["thing"]},"title":"t","reader":{"name":"n","rating":"5"},"days":1}"#;
    let loan = json!({"title": "t", "days": 1, "reader": {"name": "n"}});
    gets("POST", "/d/a/loans", body, json!({"desk": "a", "loan": loan})).await;
    gets(
        "GET",
        "/d/loans?desk=a&reader.name=n&reader.rating=5",
        "",
        json!({"desk": "a", "reader": {"name": "n"}}),
    )
    .await;
    // They are no part of what a PATCH changes.
    let message = json!({"loan": {"id": "7", "days": 1}, "updateMask": "days"});
    gets("PATCH", "/d/loans/7", r#"{"createdBy":"x","days":1}"#, message.clone()).await;
    assert_eq!(sent(builder(), form("PATCH", "/d/loans/7", "createdBy=x&days=1")).await, Ok(message));
    // Where there is nothing else, they are the mask: without one everything would change. What is empty is cleared, what holds nothing
    // but them is not.
    let message = |mask: &str| json!({"loan": {"id": "7", "reader": {}}, "updateMask": mask});
    gets("PATCH", "/d/loans/7", r#"{"reader":{"rating":"b"}}"#, message("reader.rating")).await;
    gets("PATCH", "/d/loans/7", r#"{"reader":{}}"#, message("reader")).await;
    let message = json!({"loan": {"id": "7"}, "updateMask": "createdBy"});
    gets("PATCH", "/d/loans/7", r#"{"createdBy":"x"}"#, message.clone()).await;
    assert_eq!(sent(builder(), form("PATCH", "/d/loans/7", "createdBy=x")).await, Ok(message));
    // Still JSON, and still once.
    refused(
        "POST",
        "/d/a/loans",
        r#"{"createdBy":01}"#,
        "line 1, column 14, createdBy: not a number as JSON writes them",
        "createdBy",
    )
    .await;
    let twice = r#"{"createdBy":1,"createdBy":2}"#;
    refused("POST", "/d/a/loans", twice, "line 1, column 28, createdBy: given twice", "createdBy").await;
}

#[tokio::test]
async fn immutable_fields_are_not_changed_by_updates() {
    let fixed = "immutable: an update cannot change it";
    gets(
        "POST",
        "/d/a/loans",
        r#"{"title":"","days":1,"branch":"b"}"#,
        json!({"desk": "a", "loan": {"days": 1, "branch": "b"}}),
    )
    .await;
    for (uri, body, place, field) in [
        ("/d/loans/7", r#"{"branch":"b"}"#, "line 1, column 11, branch", "branch"),
        ("/d/loans/7", r#"{"reader":{"card":"c"}}"#, "line 1, column 19, reader.card", "reader.card"),
        ("/d/loans/7:whole", r#"{"branch":"b"}"#, "line 1, column 11, branch", "branch"),
        // To clear is to change.
        ("/d/loans/7", r#"{"branch":null}"#, "line 1, column 11, branch", "branch"),
    ] {
        refused("PATCH", uri, body, &format!("{place}: {fixed}"), field).await;
    }
    // What is in lists and maps is replaced with them.
    let guests = json!({"loan": {"id": "7", "guests": [{"name": "n", "card": "c"}], "byRole": {"x": {"name": "m", "card": "d"}}},
                        "updateMask": "guests,byRole"});
    let body = r#"{"guests":[{"name":"n","card":"c"}],"byRole":{"x":{"name":"m","card":"d"}}}"#;
    gets("PATCH", "/d/loans/7", body, guests).await;
    // A form is no different.
    for body in ["branch=b", "days=1&branch=", "reader.card=c"] {
        let field = body.rsplit('&').next().unwrap().split('=').next().unwrap();
        let sent = sent(builder(), form("PATCH", "/d/loans/7", body)).await;
        assert_eq!(sent, Err((400, format!("form field {field}: {fixed}"), field.to_owned())), "{body}");
    }
}

#[tokio::test]
async fn immutable_fields_are_not_named_by_update_masks() {
    let fixed = "immutable: an update cannot change it";
    let message = json!({"loan": {"id": "7", "days": 1, "branch": "b"}, "updateMask": "days"});
    gets("PATCH", "/d/loans/7?updateMask=days", r#"{"branch":"b","days":1}"#, message.clone()).await;
    assert_eq!(
        sent(builder(), form("PATCH", "/d/loans/7?updateMask=days", "branch=b&days=1")).await,
        Ok(message)
    );
    for path in ["branch", "days,branch", "reader.card", "branch.x"] {
        let uri = format!("/d/loans/7?updateMask={path}");
        let path = path.rsplit(',').next().unwrap();
        let problem = format!("query parameter updateMask: {path} is {fixed}");
        refused("PATCH", &uri, r#"{"days":1}"#, &problem, "updateMask").await;
    }
    // However they are spelled: the error has the name of the proto file.
    for (path, name) in [
        ("nextReader.card", "next_reader.card"),
        ("next_reader.card", "next_reader.card"),
        ("box1", "box_1"),
        ("box_1", "box_1"),
        ("ODD-name", "odd"),
        ("odd", "odd"),
    ] {
        let uri = format!("/d/loans/7?updateMask={path}");
        let problem = format!("query parameter updateMask: {name} is {fixed}");
        refused("PATCH", &uri, r#"{"days":1}"#, &problem, "updateMask").await;
        let body = format!(r#"{{"loan":{{"days":1}},"updateMask":"{path}"}}"#);
        // The JSON form of a mask is lowerCamelCase: the name that JSON has of a field is another thing.
        if !path.contains(['_', '-']) {
            refused(
                "PATCH",
                "/d/loans:update",
                &body,
                &format!("field updateMask: {name} is {fixed}"),
                "updateMask",
            )
            .await;
        }
    }
    // What lies in lists and maps is replaced with them, also where a mask reaches into them.
    for mask in ["guests.*.card", "guests.card", "byRole.x.card", "by_role.`x.card`.card"] {
        sent(builder(), request("PATCH", &format!("/d/loans/7?updateMask={mask}"), "{}")).await.unwrap();
    }
    refused(
        "PATCH",
        "/d/loans/7?updateMask=days&updateMask=branch",
        r#"{"days":1}"#,
        "query parameter updateMask: given twice, or set by the path, the body or another member of its oneof",
        "updateMask",
    )
    .await;
    // An empty mask is none.
    let message = json!({"loan": {"id": "7", "days": 1}, "updateMask": "days"});
    gets("PATCH", "/d/loans/7?updateMask=", r#"{"days":1}"#, message).await;
    let problem = "query parameter updateMask: white space in a field mask";
    refused("PATCH", "/d/loans/7?updateMask=days,%20branch", r#"{"days":1}"#, problem, "updateMask").await;
    // A mask may name what they lie in, if the body does not give them.
    let message = json!({"loan": {"id": "7", "reader": {"name": "n"}}, "updateMask": "reader"});
    gets("PATCH", "/d/loans/7?updateMask=reader", r#"{"reader":{"name":"n"}}"#, message).await;
    for (mask, body, place, field) in [
        ("reader", r#"{"reader":{"name":"n","card":"c"}}"#, "line 1, column 30, reader.card", "reader.card"),
        (
            "reader.*",
            r#"{"reader":{"name":"n","card":"c"}}"#,
            "line 1, column 30, reader.card",
            "reader.card",
        ),
        ("*", r#"{"days":1,"branch":"b"}"#, "line 1, column 20, branch", "branch"),
        ("", r#"{"days":1,"branch":"b"}"#, "line 1, column 20, branch", "branch"),
    ] {
        let uri = format!("/d/loans/7?updateMask={mask}");
        refused("PATCH", &uri, body, &format!("{place}: {fixed}"), field).await;
    }
    let sent = sent(builder(), form("PATCH", "/d/loans/7?updateMask=reader", "reader.card=c")).await;
    assert_eq!(sent, Err((400, format!("form field reader.card: {fixed}"), "reader.card".to_owned())));
}

#[tokio::test]
async fn immutable_fields_are_not_named_by_update_masks_in_whole_bodies() {
    let fixed = "immutable: an update cannot change it";
    let uri = "/d/loans:update";
    let loan = |mask: &str| json!({"loan": {"days": 1, "branch": "b"}, "updateMask": mask});
    gets("PATCH", uri, r#"{"loan":{"days":1,"branch":"b"},"updateMask":"days"}"#, loan("days")).await;
    gets("PATCH", uri, r#"{"updateMask":"days","loan":{"days":1,"branch":"b"}}"#, loan("days")).await;
    for (body, place, field) in [
        (r#"{"loan":{"branch":"b"}}"#, "line 1, column 19, loan.branch", "loan.branch"),
        (r#"{"loan":{"branch":"b"},"updateMask":""}"#, "line 1, column 19, loan.branch", "loan.branch"),
        (r#"{"loan":{"branch":"b"},"updateMask":"*"}"#, "line 1, column 19, loan.branch", "loan.branch"),
        (
            r#"{"updateMask":"days,reader","loan":{"reader":{"card":"c"}}}"#,
            "line 1, column 54, loan.reader.card",
            "loan.reader.card",
        ),
    ] {
        refused("PATCH", uri, body, &format!("{place}: {fixed}"), field).await;
    }
    let body = r#"{"loan":{"days":1},"updateMask":"days,branch"}"#;
    refused("PATCH", uri, body, &format!("field updateMask: branch is {fixed}"), "updateMask").await;
    for (body, message, field) in [
        ("loan.branch=b", format!("form field loan.branch: {fixed}"), "loan.branch"),
        (
            "updateMask=reader&loan.reader.card=b",
            format!("form field loan.reader.card: {fixed}"),
            "loan.reader.card",
        ),
        ("updateMask=branch&loan.days=1", format!("field updateMask: branch is {fixed}"), "updateMask"),
    ] {
        let sent = sent(builder(), form("PATCH", uri, body)).await;
        assert_eq!(sent, Err((400, message, field.to_owned())), "{body}");
    }
    let sent = sent(builder(), form("PATCH", uri, "loan.branch=b&loan.days=1&updateMask=days")).await;
    assert_eq!(sent, Ok(loan("days")));
}

/// A PATCH by a form with a part that is JSON.
fn json_part(name: &str, json: &str) -> http::Request<Full<Bytes>> {
    let body = format!(
        "--x\r\ncontent-disposition: form-data; name=\"{name}\"\r\ncontent-type: application/json\r\n\r\n{json}\r\n--x--\r\n"
    );
    let mut request = request("PATCH", "/d/loans/7", &body);
    let form = http::HeaderValue::from_static("multipart/form-data; boundary=x");
    request.headers_mut().insert(header::CONTENT_TYPE, form);
    request
}

#[tokio::test]
async fn field_behavior_reaches_into_files_of_forms() {
    let part = |json: &str| json_part("reader", json);
    let message = json!({"loan": {"id": "7", "reader": {"name": "n"}}, "updateMask": "reader.name"});
    assert_eq!(sent(builder(), part(r#"{"name":"n","rating":"5"}"#)).await, Ok(message));
    let problem = "form field reader: immutable: an update cannot change it";
    let refused = sent(builder(), part(r#"{"card":"c"}"#)).await;
    assert_eq!(refused, Err((400, problem.to_owned(), "reader".to_owned())));
}

#[tokio::test]
async fn files_of_forms_name_what_is_in_them_for_a_mask() {
    let lenient = || {
        builder().parse_options(ParseOptions { unknown_fields: UnknownFields::Ignore, ..Default::default() })
    };
    for (name, json, message) in [
        (
            "reader",
            r#"{"name":"n"}"#,
            json!({"loan": {"id": "7", "reader": {"name": "n"}}, "updateMask": "reader.name"}),
        ),
        ("reader", "{}", json!({"loan": {"id": "7", "reader": {}}, "updateMask": "reader"})),
        ("reader", " null ", json!({"loan": {"id": "7"}, "updateMask": "reader"})),
        // What nobody knows changes nothing.
        ("reader", r#"{"nope":1}"#, json!({"loan": {"id": "7", "reader": {}}})),
        (
            "meta",
            r#"{"a":{"b":"c"}}"#,
            json!({"loan": {"id": "7", "meta": {"a": {"b": "c"}}}, "updateMask": "meta"}),
        ),
        (
            "guests",
            r#"{"name":"n"}"#,
            json!({"loan": {"id": "7", "guests": [{"name": "n"}]}, "updateMask": "guests"}),
        ),
        (
            "byRole[x]",
            r#"{"name":"n"}"#,
            json!({"loan": {"id": "7", "byRole": {"x": {"name": "n"}}}, "updateMask": "byRole"}),
        ),
        (
            "byRole",
            r#"{"x":{"name":"n"}}"#,
            json!({"loan": {"id": "7", "byRole": {"x": {"name": "n"}}}, "updateMask": "byRole"}),
        ),
    ] {
        assert_eq!(sent(lenient(), json_part(name, json)).await, Ok(message), "{name} {json}");
    }
}

/// The paths of the mask that the service gets: JSON could not show all of them.
async fn mask_on_wire(uri: &str) -> Vec<String> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let upstream = upstream(move |request| {
        let tell = tell.clone();
        async move {
            let bytes = request.into_body().collect().await?.to_bytes();
            tell.send(bytes.slice(5..)).unwrap();
            Ok(ok("Loan", &json!({})))
        }
    });
    let builder = builder().field_behavior(FieldBehavior::IGNORED);
    collect(builder.build(upstream).unwrap().oneshot(request("PATCH", uri, "{}")).await.unwrap()).await;
    let update = POOL.get_message_by_name("test.UpdateLoanRequest").unwrap();
    let update = DynamicMessage::decode(update, told.recv().unwrap()).unwrap();
    let mask = update.get_field_by_name("update_mask").unwrap().as_message().unwrap().clone();
    let paths = mask.get_field_by_name("paths").unwrap();
    paths.as_list().unwrap().iter().map(|path| path.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn update_masks_are_passed_on_as_the_proto_file_spells_them() {
    for (mask, expected) in [
        ("nextReader.card,next_reader.name", vec!["next_reader.card", "next_reader.name"]),
        ("box1,ODD-name", vec!["box_1", "odd"]),
        ("byRole.someKey.name", vec!["by_role.someKey.name"]),
        ("byRole.%60a.b,c%20D%60.name", vec!["by_role.`a.b,c D`.name"]),
        ("guests.*.name", vec!["guests.*.name"]),
        ("meta.someKey.Other", vec!["meta.someKey.Other"]),
        ("notThere.atAll", vec!["not_there.at_all"]),
    ] {
        assert_eq!(mask_on_wire(&format!("/d/loans/7?updateMask={mask}")).await, expected, "{mask}");
    }
    let problem = "query parameter updateMask: a backtick in a field mask does not close";
    refused("PATCH", "/d/loans/7?updateMask=byRole.%60a", "{}", problem, "updateMask").await;
}

#[tokio::test]
async fn a_body_that_is_no_message_with_fields_names_nothing() {
    let builder = builder().field_behavior(FieldBehavior::IGNORED);
    let sent = sent(builder, request("PATCH", "/d/meta", r#"{"a":"b"}"#)).await;
    assert_eq!(sent, Ok(json!({"meta": {"a": "b"}})));
}

#[tokio::test]
async fn update_masks_name_nothing_that_is_output_only() {
    let message = |mask: &str| json!({"loan": {"id": "7", "days": 1}, "updateMask": mask});
    let body = r#"{"days":1,"createdBy":"x"}"#;
    gets("PATCH", "/d/loans/7?updateMask=created_by,days,reader.rating", body, message("days")).await;
    // A mask of nothing would change everything: the service knows better.
    gets("PATCH", "/d/loans/7?updateMask=createdBy", body, message("createdBy")).await;
}

#[tokio::test]
async fn a_body_names_only_so_much_for_a_mask() {
    // Each leaf of this tree repeats the path down to it.
    let tree = |chain: usize, levels: usize| {
        let crown =
            (0..levels).fold("{}".to_owned(), |below, _| format!(r#"{{"left":{below},"right":{below}}}"#));
        format!("{}{crown}{}", r#"{"left":"#.repeat(chain), "}".repeat(chain))
    };
    let message = sent(builder(), request("PATCH", "/d/shelf", &tree(60, 4))).await.unwrap();
    assert_eq!(message["updateMask"].as_str().unwrap().split(',').count(), 16);
    let (status, problem, _) =
        sent(builder(), request("PATCH", "/d/shelf", &tree(60, 11))).await.unwrap_err();
    assert_eq!(status, 400);
    assert!(problem.ends_with("names too much for a field mask"), "{problem}");
    // With a mask there is nothing to infer.
    sent(builder(), request("PATCH", "/d/shelf?updateMask=left", &tree(60, 11))).await.unwrap();
}

#[tokio::test]
async fn parameters_reach_only_so_deep() {
    let deep = |levels: usize| vec!["left"; levels].join(".");
    for levels in [101, 5_000, 12_000] {
        let name = format!("shelf.{}.label", deep(levels));
        let shown: String = name.chars().take(64).collect();
        let problem = format!("query parameter {shown}…: nested too deeply");
        refused("GET", &format!("/d/shelves?{name}=x"), "", &problem, &format!("{shown}…")).await;
    }
    for levels in [101, 200_000] {
        let body: &'static str = Box::leak(format!("{}.label=x", deep(levels)).into_boxed_str());
        let (status, problem, _) = sent(builder(), form("PATCH", "/d/shelf", body)).await.unwrap_err();
        assert_eq!(status, 400);
        assert!(problem.ends_with("nested too deeply"), "{problem}");
    }
    sent(builder(), request("GET", &format!("/d/shelves?shelf.{}.label=x", deep(90)), "")).await.unwrap();
}

#[tokio::test]
async fn a_mask_and_a_body_of_any_size_are_compared_in_time_of_their_length() {
    let paths = vec!["z"; 100_000].join(",");
    let tree = |levels: usize| {
        (0..levels).fold(r#"{"mark":"m"}"#.to_owned(), |below, _| {
            format!(r#"{{"mark":"m","left":{below},"right":{below}}}"#)
        })
    };
    let body = format!(r#"{{"updateMask":"{paths}","shelf":{}}}"#, tree(14));
    let began = std::time::Instant::now();
    let answer = sent(builder(), request("PATCH", "/d/shelf:whole", &body)).await;
    assert!(answer.is_ok(), "{answer:?}");
    // Compared one by one they would take hours.
    assert!(began.elapsed().as_secs() < 60);
}

#[tokio::test]
async fn field_behavior_can_be_ignored_and_is_no_part_of_proto3_json() {
    let ignoring = || builder().field_behavior(FieldBehavior::IGNORED);
    let message =
        json!({"loan": {"id": "7", "createdBy": "x", "branch": "b"}, "updateMask": "created_by,branch"});
    let update = request("PATCH", "/d/loans/7", r#"{"createdBy":"x","branch":"b"}"#);
    let found = sent(ignoring(), update).await.unwrap();
    assert_eq!(found["loan"], message["loan"]);
    assert_eq!(sent(ignoring(), request("GET", "/d/loans", "")).await, Ok(json!({})));
    assert_eq!(sent(ignoring(), request("POST", "/d/loans", "")).await, Ok(json!({})));
    let wire = parse_with(&PLANS, "Loan", br#"{"createdBy":"x"}"#, &ParseOptions::default());
    assert_eq!(wire, Ok(b"\x22\x01x".to_vec()));
}
