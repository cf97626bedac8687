//! Portfolio risk over REST: of the sandbox, and of a portfolio made from nothing.

use crate::support::{Server, shared};
use authn::Role;
use http::Method;
use riskmesh::http_client::{Answer, Http};
use serde_json::{Value, json};

async fn get(http: &mut Http, path: &str) -> Answer {
    http.call(Method::GET, path, &[], None).await.unwrap()
}

async fn send(http: &mut Http, method: Method, path: &str, body: Value) -> Answer {
    http.call(method, path, &[], Some(body)).await.unwrap()
}

fn cents(text: &Value) -> i64 {
    text.as_str().unwrap().replace('.', "").parse().unwrap()
}

#[tokio::test]
async fn the_sandbox_s_portfolios_have_a_risk_that_adds_up() {
    let mut http = shared().as_role(Role::Analyst, "sandbox").await;
    let listed = get(&mut http, "/v1/portfolios").await.body;
    assert_eq!(listed["page"]["total"], 3);
    for portfolio in listed["portfolios"].as_array().unwrap() {
        let path = format!("/v1/portfolios/{}/analytics", portfolio["portfolioId"].as_str().unwrap());
        let answer = get(&mut http, &path).await;
        assert_eq!(answer.status, 200, "{:#}", answer.body);
        let told = answer.body;
        assert_eq!(told["baseCurrency"], portfolio["baseCurrency"]);
        assert_eq!(told["gains"].as_array().unwrap().len(), 500);
        let positions = told["positions"].as_array().unwrap();
        let components: i64 = positions.iter().map(|one| cents(&one["componentValueAtRisk"])).sum();
        assert_eq!(
            (components, &told["componentLevel"]),
            (cents(&told["tails"][2]["valueAtRisk"]), &told["tails"][2]["level"])
        );
        for groups in ["counterparties", "countries", "currencies", "sectors"] {
            let nets = told[groups].as_array().unwrap().iter().map(|group| cents(&group["value"]["net"]));
            assert_eq!(nets.sum::<i64>(), cents(&told["value"]["net"]), "{groups}");
        }
        let worth: i64 = positions.iter().map(|one| cents(&one["value"])).sum();
        assert_eq!(worth, cents(&told["value"]["net"]));
        assert!(told["backTest"]["zone"].is_string() && told["stateHash"].as_str().unwrap().len() == 64);
        assert_eq!(get(&mut http, &path).await.body, told, "the same data, the same answer");
    }
}

#[tokio::test]
async fn a_portfolio_made_from_nothing_is_told_once_its_prices_are_there() {
    let server = shared();
    let mut http = server.as_role(Role::Admin, "trading").await;
    let portfolio = json!({"portfolioId": "desk", "name": "Desk", "baseCurrency": "EUR"});
    assert_eq!(send(&mut http, Method::POST, "/v1/portfolios", portfolio).await.status, 201);
    let path = "/v1/portfolios/desk/analytics";
    let empty = get(&mut http, path).await;
    assert_eq!((empty.status, &empty.body["value"]["gross"]), (200, &json!("0.00")));
    let trade = json!({"tradeId": "T1", "instrumentId": "ACME", "side": "buy", "quantity": "100", "price": "10",
        "currency": "EUR", "executedAt": "2026-01-30T10:00:00Z"});
    let recorded = send(&mut http, Method::POST, "/v1/portfolios/desk/trades", trade.clone()).await;
    assert!(recorded.status == 201 && !recorded.headers.contains_key("idempotent-replayed"));
    let again = send(&mut http, Method::POST, "/v1/portfolios/desk/trades", trade.clone()).await;
    assert_eq!((again.status, &again.body), (201, &recorded.body));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let mut other = trade;
    other["quantity"] = json!("101");
    let taken = send(&mut http, Method::POST, "/v1/portfolios/desk/trades", other).await;
    assert_eq!((taken.status, &taken.body["errorCode"]), (409, &json!("ALREADY_EXISTS")));
    assert_eq!(taken.body["details"][0]["field"], "tradeId");
    assert!(taken.body["hint"].as_str().unwrap().contains("another id"), "{:#}", taken.body);
    let lacking = get(&mut http, path).await;
    assert_eq!((lacking.status, &lacking.body["errorCode"]), (409, &json!("DATA_MISSING")));
    assert_eq!(lacking.body["message"], "ACME is not known: PUT /v1/instruments/{instrumentId} first");
    let detail = &lacking.body["details"][0];
    assert_eq!(
        (&detail["field"], &detail["expected"]),
        (&json!("instruments[ACME]"), &json!("PUT /v1/instruments/ACME"))
    );

    let instrument = json!({"currency": "EUR", "country": "DE", "sector": "energy"});
    let put = send(&mut http, Method::PUT, "/v1/instruments/ACME", instrument).await;
    assert_eq!((put.status, &put.body["instrumentId"]), (200, &json!("ACME")));
    let lacking = get(&mut http, path).await;
    let fields = |answer: &Answer| {
        let details = answer.body["details"].as_array().unwrap().iter();
        details.map(|detail| detail["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((lacking.status, fields(&lacking)), (409, vec!["prices[ACME]".to_owned()]));
    let one =
        json!({"prices": [{"instrumentId": "ACME", "date": "2026-01-30", "price": "10", "currency": "EUR"}]});
    assert_eq!(send(&mut http, Method::POST, "/v1/prices:batchCreate", one).await.status, 200);
    let lacking = get(&mut http, path).await;
    assert_eq!(
        (lacking.status, fields(&lacking)),
        (409, vec!["prices".to_owned(), "prices[ACME]".to_owned()])
    );

    let last = risk::Day::parse("2026-01-30").unwrap().number();
    let prices: Vec<Value> = (0..750)
        .map(|back| {
            let day = risk::Day::from_number(last - back).to_string();
            json!({"instrumentId": "ACME", "date": day, "price": format!("10.{:02}", back % 13), "currency": "EUR"})
        })
        .collect();
    let batch = json!({"prices": prices});
    let recorded = send(&mut http, Method::POST, "/v1/prices:batchCreate", batch.clone()).await;
    let of = |answer: &Answer| {
        ["created", "corrected", "duplicates"].map(|what| answer.body[what].as_i64().unwrap())
    };
    assert_eq!((recorded.status, of(&recorded)), (200, [749, 0, 1]));
    let again = send(&mut http, Method::POST, "/v1/prices:batchCreate", batch).await;
    assert_eq!((&again.body["created"], &again.body["duplicates"]), (&json!(0), &json!(750)));
    let told = get(&mut http, path).await;
    assert_eq!((told.status, &told.body["value"]["net"]), (200, &json!("1000.00")));
    assert_eq!(told.body["asOf"], "2026-01-30");
    let page = get(&mut http, "/v1/instruments/ACME/prices?from=2026-01-29&until=2026-01-30").await;
    let price = json!({"instrumentId": "ACME", "date": "2026-01-29", "price": "10.01", "currency": "EUR"});
    assert_eq!(page.body["prices"][0], price);
    for (path, status, code) in [
        ("/v1/portfolios/none/analytics", 404, "PORTFOLIO_NOT_FOUND"),
        ("/v1/portfolios/desk/analytics?asOf=2026-02-30", 400, "INVALID_INPUT"),
        ("/v1/portfolios/desk/analytics?asOf=2026-03-30", 409, "DATA_MISSING"),
        ("/v1/instruments/none", 404, "INSTRUMENT_NOT_FOUND"),
    ] {
        let answer = get(&mut http, path).await;
        assert_eq!((answer.status, answer.body["errorCode"].as_str()), (status, Some(code)), "{path}");
    }
}

#[tokio::test]
async fn who_may_read_risk_need_not_see_what_it_is_made_of() {
    let server: &Server = shared();
    let mut auditor = server.as_role(Role::Auditor, "sandbox").await;
    assert_eq!(get(&mut auditor, "/v1/portfolios/sandbox-1/analytics").await.status, 403);
    let mut analyst = server.as_role(Role::Analyst, "sandbox").await;
    let batch =
        json!({"prices": [{"instrumentId": "A", "date": "2026-01-02", "price": "1", "currency": "EUR"}]});
    assert_eq!(send(&mut analyst, Method::POST, "/v1/prices:batchCreate", batch).await.status, 403);
    let mut other = server.as_role(Role::Analyst, "elsewhere").await;
    assert_eq!(get(&mut other, "/v1/portfolios/sandbox-1/analytics").await.status, 404);
}
