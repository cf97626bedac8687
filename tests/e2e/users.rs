//! Users of a tenant: by the API, and by `riskmesh user` beside a server and without one.

use crate::support::{Server, output, riskmesh, shared};
use authn::Role;
use http::Method;
use riskmesh::http_client::{Answer, Http};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const PASSWORD: &str = "correct horse battery";

async fn send(http: &mut Http, method: Method, path: &str, body: Value) -> Answer {
    http.call(method, path, &[], Some(body)).await.unwrap()
}

async fn get(http: &mut Http, path: &str) -> Answer {
    http.call(Method::GET, path, &[], None).await.unwrap()
}

#[tokio::test]
async fn an_administrator_maintains_the_users_of_the_tenant_and_nobody_else_does() {
    let server = shared();
    let mut admin = server.as_role(Role::Admin, "staffed").await;
    let ada =
        json!({"userName": "ada", "displayName": "Ada Example", "role": "analyst", "password": PASSWORD});
    let made = send(&mut admin, Method::POST, "/v1/users", ada.clone()).await;
    assert_eq!(made.status, 201, "{:#}", made.body);
    let id = made.body["userId"].as_str().unwrap().to_owned();
    assert_eq!(made.headers["location"], format!("/v1/users/{id}"));
    assert_eq!((&made.body["role"], &made.body["status"]), (&json!("analyst"), &json!("active")));
    assert!(made.body.get("password").is_none(), "{:#}", made.body);
    let taken = send(&mut admin, Method::POST, "/v1/users", ada).await;
    assert_eq!((taken.status, &taken.body["errorCode"]), (409, &json!("ALREADY_EXISTS")));

    let path = format!("/v1/users/{id}");
    let changed = send(&mut admin, Method::PATCH, &path, json!({"role": "reviewer"})).await;
    assert_eq!((changed.status, &changed.body["role"]), (200, &json!("reviewer")));
    let stale =
        admin.call(Method::PATCH, &path, &[("if-match", "\"v1\"")], Some(json!({"role": "admin"}))).await;
    assert_eq!(stale.unwrap().status, 412);
    let again =
        send(&mut admin, Method::POST, &format!("{path}:setPassword"), json!({"password": PASSWORD})).await;
    assert_eq!(again.status, 204);
    let found = get(&mut admin, "/v1/users?userName=ada").await;
    assert_eq!(
        (&found.body["users"][0]["role"], &found.body["page"]["total"]),
        (&json!("reviewer"), &json!(1))
    );

    for role in [Role::Analyst, Role::Reviewer, Role::Auditor, Role::Client] {
        let mut other = server.as_role(role, "staffed").await;
        assert_eq!(get(&mut other, "/v1/users").await.status, 403, "{role}");
        assert_eq!(
            send(&mut other, Method::PATCH, &path, json!({"role": "admin"})).await.status,
            403,
            "{role}"
        );
    }
    let mut elsewhere = server.as_role(Role::Admin, "unstaffed").await;
    let hidden = get(&mut elsewhere, &path).await;
    assert_eq!((hidden.status, &hidden.body["errorCode"]), (404, &json!("USER_NOT_FOUND")));
    assert_eq!(get(&mut elsewhere, "/v1/users").await.body["page"]["total"], 0);
}

#[tokio::test]
async fn a_wrong_password_or_role_is_told_by_its_field_and_not_repeated() {
    let mut admin = shared().as_role(Role::Admin, "staffed").await;
    for (user, field) in [
        (json!({"userName": "bob", "role": "analyst", "password": "hunter2"}), "password"),
        (json!({"userName": "bob", "role": "analyst"}), "password"),
        (json!({"userName": "bob", "password": PASSWORD}), "role"),
        (json!({"userName": "Bob", "role": "analyst", "password": PASSWORD}), "userName"),
    ] {
        let refused = send(&mut admin, Method::POST, "/v1/users", user).await;
        let fields: Vec<_> =
            refused.body["details"].as_array().unwrap().iter().map(|it| &it["field"]).collect();
        assert_eq!((refused.status, fields), (400, vec![&json!(field)]), "{:#}", refused.body);
        assert!(!refused.body.to_string().contains("hunter2"));
    }
}

/// The claims of a token.
fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.trim().split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// What a line that begins so goes on with.
fn after<'a>(out: &'a str, start: &str) -> &'a str {
    out.lines()
        .find_map(|line| line.strip_prefix(start))
        .unwrap_or_else(|| panic!("no {start:?} in {out}"))
        .trim()
}

#[tokio::test]
async fn the_command_creates_users_beside_a_server_and_tokens_have_their_roles() {
    let server = shared();
    let data = server.data.to_str().unwrap();
    let user =
        |args: &[&str]| output(&[&["user"], args, &["--tenant", "manned", "--data-dir", data]].concat());
    let (ok, out, error) = user(&["create", "ada", "--role", "analyst", "--display-name", "Ada Example"]);
    assert!(ok, "{error}");
    let id = after(&out, "user id").to_owned();
    assert!(after(&out, "password").len() >= 20 && error.contains("this once"));
    assert!(!user(&["create", "ada", "--role", "admin"]).0, "the name is taken");
    assert!(!user(&["create", "bob", "--role", "service"]).0, "no role of a person");

    let token = || output(&["token", "--user", "ada", "--tenant", "manned", "--data-dir", data]);
    let (ok, out, error) = token();
    assert!(ok, "{error}");
    let told = claims(&out);
    let expected = [json!(id), json!(id), json!("analyst"), json!("manned")];
    assert_eq!([&told["sub"], &told["userId"], &told["role"], &told["tenant"]].map(Clone::clone), expected);
    let mut ada = server.with_token(Some(out.trim().to_owned())).await;
    assert_eq!(get(&mut ada, "/v1/clients").await.status, 200);
    assert_eq!(get(&mut ada, "/v1/users").await.status, 403);

    let listed = user(&["list"]).1;
    assert_eq!(listed, format!("{id}\tada\tanalyst\tactive\tAda Example\n"));
    assert!(user(&["disable", "ada"]).0);
    let (ok, out, error) = token();
    assert!(!ok && out.is_empty() && error.contains("disabled"), "{error}");
    assert!(user(&["enable", "ada"]).0 && token().0);
    let (ok, _, error) = output(&["token", "--user", "eve", "--tenant", "manned", "--data-dir", data]);
    assert!(!ok && error.contains("no user of this name"), "{error}");
}

/// Runs a command with a line on standard input.
fn with_input(args: &[&str], input: &str) -> (bool, String) {
    let mut command = Command::new(riskmesh());
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn the_command_works_without_a_server_and_takes_passwords_from_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let create =
        ["user", "create", "ada@example.org", "--role", "admin", "--password-stdin", "--data-dir", data];
    assert!(!with_input(&create, "short\n").0);
    assert!(!with_input(&create, "\n").0);
    let (ok, out) = with_input(&create, &format!("{PASSWORD}\n"));
    assert!(ok && !out.contains("password"), "{out}");
    let id = after(&out, "user id").to_owned();
    let set = ["user", "set-password", "ada@example.org", "--password-stdin", "--data-dir", data];
    assert!(with_input(&set, "battery staple horse\r\n").0);

    let server = Server::start(Path::new(data), &["--no-sandbox"]);
    let (ok, token, error) = output(&["token", "--user", "ada@example.org", "--data-dir", data]);
    assert!(ok, "{error}");
    let mut ada = server.with_token(Some(token.trim().to_owned())).await;
    let herself = get(&mut ada, &format!("/v1/users/{id}")).await;
    assert_eq!((herself.status, &herself.body["userName"]), (200, &json!("ada@example.org")));
}

#[tokio::test]
async fn the_tenant_is_the_boundary_and_nothing_belongs_to_one_api_client() {
    let server = shared();
    let scope = ["clients.read", "clients.write"];
    let call = async |client_id: &str, tenant: &str, method: Method, body: Option<Value>| {
        let token = server.api_client(client_id, tenant, &scope);
        let path = if method == Method::POST { "/v1/clients" } else { "/v1/clients/7" };
        let mut http = server.with_token(Some(token)).await;
        http.call(method, path, &[], body).await.unwrap().status
    };
    let ada = json!({"clientId": "7", "name": "Ada"});
    assert_eq!(call("app1", "boundary", Method::POST, Some(ada)).await, 201);
    assert_eq!(call("app2", "boundary", Method::GET, None).await, 200);
    assert_eq!(call("app2", "boundary", Method::PATCH, Some(json!({"name": "Eve"}))).await, 200);
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(call("app1", "boundary-2", method, None).await, 404);
    }
    assert_eq!(call("app2", "boundary", Method::DELETE, None).await, 204);
    assert_eq!(call("app1", "boundary", Method::GET, None).await, 404);
}
