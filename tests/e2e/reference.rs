//! Reference data: for everybody, kept by caches, changed while the server runs.

use crate::support::{Server, output, shared};
use authn::Role;
use http::Method;
use riskmesh::http_client::{Answer, Http};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

async fn get(http: &mut Http, path: &str) -> Answer {
    http.call(Method::GET, path, &[], None).await.unwrap()
}

async fn nobody(server: &Server) -> Http {
    server.with_token(None).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// A risk list of one country.
fn list(version: &str, published: &str, country: &str) -> String {
    format!(
        "version = \"{version}\"\npublished = \"{published}\"\nsource = \"The bank\"\nincreased-monitoring = []\n\
         [[call-for-action]]\ncountry = \"{country}\"\nname = \"Someland\"\nmeasure = \"enhanced-due-diligence\"\n"
    )
}

/// Exchange rates of one day.
fn rates(version: &str, date: &str, rates: &str) -> String {
    format!(
        "version = \"{version}\"\nbase = \"EUR\"\nnote = \"\"\n[[day]]\ndate = \"{date}\"\nrates = {{ {rates} }}\n"
    )
}

/// Puts a file there whole, as operators are told to.
fn put(directory: &Path, name: &str, text: &str) {
    let draft = directory.join(format!(".{name}"));
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(draft, directory.join(name)).unwrap();
}

#[tokio::test]
async fn reference_data_need_no_token_and_everything_else_does() {
    let mut http = nobody(shared()).await;
    let ireland = get(&mut http, "/v1/reference/countries/IE").await;
    assert_eq!(
        ireland.body,
        json!({"code": "IE", "alpha3": "IRL", "numeric": "372", "name": "Ireland", "risk": {"listing": "unlisted",
            "listVersion": "fatf-2026-02-13"}})
    );
    let iran = get(&mut http, "/api/v1/reference/countries/364?date=2026-03-01").await;
    assert_eq!(iran.body["risk"]["listing"], "call-for-action");
    assert_eq!(iran.body["risk"]["measure"], "countermeasures");
    let euro = get(&mut http, "/v1/reference/currencies/EUR").await;
    assert_eq!(euro.body, json!({"code": "EUR", "numeric": "978", "name": "Euro", "minorUnits": 2}));
    let listed = get(&mut http, "/v1/reference/risk-lists?date=2026-03-01").await;
    assert_eq!(listed.body["riskLists"][0]["version"], "fatf-2026-02-13");
    assert_eq!(listed.body["riskLists"][0]["inForce"], true);
    let list = get(&mut http, "/v1/reference/risk-lists/fatf-2026-02-13").await;
    assert_eq!(list.body["entries"].as_array().unwrap().len(), 25);
    assert_eq!(list.body["contentHash"], listed.body["riskLists"][0]["contentHash"]);
    for path in ["/v1/clients", "/v1/clients/1", "/v1/analytics", "/v2/analytics/1", "/v1/transactions/t-1"] {
        let answer = get(&mut http, path).await;
        assert_eq!(
            (answer.status, answer.body["errorCode"].as_str()),
            (401, Some("AUTH_TOKEN_MISSING")),
            "{path}"
        );
    }
    let mut auditor = shared().as_role(Role::Auditor, "anywhere").await;
    assert_eq!(get(&mut auditor, "/v1/reference/countries").await.status, 200);
    let mut forged = shared().with_token(Some("forged".into())).await;
    assert_eq!(get(&mut forged, "/v1/reference/countries").await.body["errorCode"], "AUTH_TOKEN_INVALID");
}

#[tokio::test]
async fn caches_may_keep_them_and_ask_whether_they_are_still_good() {
    let mut http = nobody(shared()).await;
    for path in [
        "/v1/reference/countries",
        "/v1/reference/countries/IE",
        "/v1/reference/currencies?limit=1000",
        "/v1/reference/currencies/EUR",
        "/v1/reference/fx-rates?date=2026-01-02&base=USD",
        "/v1/reference/risk-lists",
        "/v1/reference/risk-lists/fatf-2026-02-13",
    ] {
        let first = get(&mut http, path).await;
        assert_eq!((first.status, header(&first, "cache-control")), (200, "public, max-age=300"), "{path}");
        let collection = path.split(['/', '?']).nth(3).unwrap();
        assert_eq!(header(&first, "surrogate-key"), format!("reference reference/{collection}"));
        let tag = header(&first, "etag").to_owned();
        assert!(tag.starts_with("W/\""), "{path}");
        for method in [Method::GET, Method::HEAD] {
            let again = http.call(method, path, &[("if-none-match", &tag)], None).await.unwrap();
            assert_eq!((again.status, again.bytes.len(), header(&again, "etag")), (304, 0, &*tag), "{path}");
            assert_eq!(header(&again, "cache-control"), "public, max-age=300");
        }
        let head = http.call(Method::HEAD, path, &[], None).await.unwrap();
        assert_eq!((head.status, head.bytes.len(), header(&head, "etag")), (200, 0, &*tag));
        assert_eq!(header(&head, "content-length"), header(&first, "content-length"));
        let zipped = http.call(Method::GET, path, &[("accept-encoding", "gzip")], None).await.unwrap();
        let large = first.bytes.len() >= 1024;
        assert_eq!(header(&zipped, "content-encoding") == "gzip", large, "{path}");
        assert_eq!(header(&first, "vary").to_ascii_lowercase().contains("accept-encoding"), large, "{path}");
    }
}

#[tokio::test]
async fn lists_are_paged_and_what_is_wrong_is_named() {
    let mut http = nobody(shared()).await;
    for (path, list, key, least) in [
        ("/v1/reference/countries", "countries", "code", 249),
        ("/v1/reference/currencies", "currencies", "code", 160),
        ("/v1/reference/fx-rates", "rates", "currency", 20),
    ] {
        let (mut seen, mut next) = (Vec::new(), format!("{path}?limit=7"));
        loop {
            let page = get(&mut http, &next).await;
            let total = page.body["page"]["total"].as_u64().unwrap();
            seen.extend(page.body[list].as_array().unwrap().iter().map(|item| item[key].to_string()));
            match page.body["page"]["nextCursor"].as_str() {
                Some(cursor) => next = format!("{path}?limit=7&cursor={cursor}"),
                None => break assert_eq!(seen.len() as u64, total, "{path}"),
            }
        }
        assert!(seen.is_sorted() && seen.len() >= least, "{path}: {}", seen.len());
        let last = get(&mut http, &format!("{path}?offset={}", seen.len() - 1)).await;
        assert_eq!(last.body[list].as_array().unwrap().len(), 1);
    }
    for (path, status, code) in [
        ("/v1/reference/countries/XX", 404, "COUNTRY_NOT_FOUND"),
        ("/v1/reference/countries/ie", 400, "INVALID_INPUT"),
        ("/v1/reference/currencies/XYZ", 404, "CURRENCY_NOT_FOUND"),
        ("/v1/reference/risk-lists/none", 404, "RISK_LIST_NOT_FOUND"),
        ("/v1/reference/fx-rates?date=1999-01-01&base=USD", 404, "RATE_NOT_FOUND"),
        ("/v1/reference/fx-rates?date=2026-02-30", 400, "INVALID_INPUT"),
        ("/v1/reference/fx-rates?date=yesterday", 400, "INVALID_INPUT"),
        ("/v1/reference/fx-rates?date=", 400, "INVALID_INPUT"),
        ("/v1/reference/fx-rates?base=", 400, "INVALID_INPUT"),
        ("/v1/reference/fx-rates?base=XYZ", 400, "INVALID_INPUT"),
        ("/v1/reference/countries?cursor=forged", 400, "INVALID_INPUT"),
        ("/v1/reference/countries?limit=0", 400, "INVALID_INPUT"),
    ] {
        let answer = get(&mut http, path).await;
        assert_eq!((answer.status, answer.body["errorCode"].as_str()), (status, Some(code)), "{path}");
        assert_eq!(header(&answer, "cache-control"), "no-store", "{path}");
    }
}

#[tokio::test]
async fn files_are_followed_while_the_server_runs_and_never_half() {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("reference");
    std::fs::create_dir(&files).unwrap();
    put(&files, "country-risk-1.toml", &list("bank-1", "2026-03-01", "NA"));
    let more = ["--no-sandbox", "--reference-dir", files.to_str().unwrap()];
    let server = Server::start(&dir.path().join("data"), &more);
    let mut http = nobody(&server).await;
    let on = async |http: &mut Http, date: &str| {
        get(http, &format!("/v1/reference/countries/NA?date={date}")).await.body["risk"].clone()
    };
    assert_eq!(on(&mut http, "2026-03-01").await["listVersion"], "bank-1");
    assert_eq!(
        on(&mut http, "2026-02-28").await["listing"],
        "increased-monitoring",
        "by the list that ships"
    );
    let before = get(&mut http, "/v1/reference/fx-rates?date=2026-06-01").await;
    assert!(before.body["rates"].as_array().unwrap().len() > 1, "the sample");

    // Cut in the middle, beside one that is good: neither is taken, and the server says why.
    let whole = list("bank-2", "2026-04-01", "PA");
    put(&files, "country-risk-2.toml", &whole[..whole.len() / 2]);
    put(&files, "fx-1.toml", &rates("bank-fx-1", "2026-04-01", "USD = \"1.25\""));
    let (ok, said, _) =
        output(&["doctor", "--reference-dir", files.to_str().unwrap(), "--data-dir", "nowhere"]);
    assert!(!ok && said.contains("BAD   reference data") && said.contains("country-risk-2.toml"), "{said}");
    let (ok, said, _) = output(&["doctor", "--data-dir", server.data.to_str().unwrap()]);
    let found = said.contains("BAD   reference data") && said.contains("country-risk-2.toml");
    assert!(!ok && found, "the directory of the server that is running: {said}");
    hang_up(&server);
    put(&files, "country-risk-2.toml", &whole);
    let deadline = std::time::Instant::now();
    while on(&mut http, "2026-04-01").await["listVersion"] == "bank-1" {
        assert!(deadline.elapsed().as_secs() < 30, "the change is followed");
        let rates = get(&mut http, "/v1/reference/fx-rates?date=2026-06-01").await;
        let lists = get(&mut http, "/v1/reference/risk-lists").await;
        let (old_rates, old_lists) =
            (rates.body["dataVersion"] == before.body["dataVersion"], lists.body["page"]["total"] == 2);
        assert!(old_rates || !old_lists, "all files or none");
    }
    let risk = on(&mut http, "2026-04-01").await;
    assert_eq!((&risk["listVersion"], &risk["listing"]), (&json!("bank-2"), &json!("unlisted")));
    let after = get(&mut http, "/v1/reference/fx-rates?date=2026-06-01").await;
    assert_ne!(header(&before, "etag"), header(&after, "etag"));
    let usd = json!({"currency": "USD", "rate": "1.25", "date": "2026-04-01", "version": "bank-fx-1", "derived": false});
    assert_eq!(after.body["rates"], Value::Array(vec![usd]), "the sample is gone");
    let dollars = get(&mut http, "/v1/reference/fx-rates?date=2026-06-01&base=USD").await;
    assert_eq!(
        (&dollars.body["rates"][0]["rate"], &dollars.body["rates"][0]["currency"]),
        (&json!("0.8"), &json!("EUR"))
    );
}

#[tokio::test]
async fn a_hangup_has_the_files_read_and_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("reference");
    std::fs::create_dir(&files).unwrap();
    let more = ["--no-sandbox", "--reference-dir", files.to_str().unwrap()];
    let server = Server::start(&dir.path().join("data"), &more);
    let mut http = nobody(&server).await;
    put(&files, "country-risk-1.toml", &list("bank-1", "2026-03-01", "NA"));
    hang_up(&server);
    let asked = std::time::Instant::now();
    while get(&mut http, "/v1/reference/risk-lists").await.body["riskLists"][0]["version"] != "bank-1" {
        assert!(asked.elapsed().as_secs() < 30, "the new list is read");
    }
}

#[tokio::test]
async fn scores_follow_the_lists_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("reference");
    std::fs::create_dir(&files).unwrap();
    let more = ["--no-sandbox", "--reference-dir", files.to_str().unwrap()];
    let server = Server::start(&dir.path().join("data"), &more);
    let mut admin = server.as_role(Role::Admin, "listed").await;
    let client = json!({"clientId": "7", "name": "Ada", "residenceCountry": "PA"});
    assert_eq!(admin.call(Method::POST, "/v1/clients", &[], Some(client)).await.unwrap().status, 201);
    let before = get(&mut admin, "/v2/analytics/7").await;
    assert_eq!(before.body["refdataVersion"], "fatf-2026-02-13+fx-sample-1");
    assert!(before.body["risk"]["score"].as_i64().unwrap() < 85, "{:#}", before.body);

    put(&files, "country-risk-1.toml", &list("bank-1", "2026-03-01", "PA"));
    hang_up(&server);
    let asked = std::time::Instant::now();
    let after = loop {
        let now = get(&mut admin, "/v2/analytics/7").await;
        if now.body["risk"]["score"] != before.body["risk"]["score"] {
            break now;
        }
        assert!(asked.elapsed().as_secs() < 30, "the score follows");
    };
    let version = after.body["refdataVersion"].as_str().unwrap();
    assert!(version.starts_with("bank-1@") && version.ends_with("+fx-sample-1"), "{version}");
    let history = get(&mut admin, "/v2/clients/7/analytics/history").await;
    assert_eq!(history.body["history"][0]["analytics"], after.body);
    assert_eq!(history.body["page"]["total"], 2);
}

#[test]
fn a_directory_that_cannot_be_read_whole_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "fx-1.toml", "version = \"half");
    let data = dir.path().join("data");
    let args = [
        "serve",
        "--data-dir",
        data.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--reference-dir",
        dir.path().to_str().unwrap(),
    ];
    let (ok, _, error) = output(&args);
    assert!(!ok && error.contains("fx-1.toml"), "{error}");
}

/// What an operator does to have files read anew.
fn hang_up(server: &Server) {
    assert!(
        Command::new("kill").args(["-HUP", &server.process.id().to_string()]).status().unwrap().success()
    );
}
