//! One service, both transports, the same answers.

use crate::world::{Wire, World, analytics, code, get, score};
use authn::Role;
use riskmesh_core::{Detail, Error, ErrorCode};
use tonic::{Request, Status};

async fn script(request: Request<api::analytics::v1::GetAnalyticsRequest>) -> Result<i32, Status> {
    match request.get_ref().client_id.as_str() {
        "1" => Ok(37),
        "2" => Err(Status::from(&Error::not_found(ErrorCode::ClientNotFound, "clientId", "2"))),
        "3" => {
            let error = Error::new(ErrorCode::RateLimited).retry_after(std::time::Duration::from_secs(3));
            Err(Status::from(&error.detail(Detail::expected("limit", "ünïcode", "1..2"))))
        }
        "4" => panic!("on purpose"),
        "5" => Err(Status::with_metadata(tonic::Code::DataLoss, "raw", tonic::metadata::MetadataMap::new())),
        _ => Err(Status::unknown("")),
    }
}

/// Everything that a caller can see.
async fn outcomes(wire: Wire) -> Vec<String> {
    let world = World::new();
    let channel = world.channel(wire, world.serve("analytics", analytics(script))).await;
    let mut seen = Vec::new();
    let requests = ["1", "2", "3", "4", "5", "6", "not-an-id", ""].map(|id| world.request(get(id)));
    let strangers = [
        Request::new(get("1")),
        world.request_as(Role::Auditor, get("1")),
        world.request_as(Role::Client, get("1")),
    ];
    for request in requests.into_iter().chain(strangers) {
        seen.push(match score(&channel, request).await {
            Ok(score) => format!("score {score}"),
            Err(status) => {
                let error = Error::from_status(&status);
                format!(
                    "{:?} {:?} {:?}",
                    status.code(),
                    status.message(),
                    (error.code, error.details, error.retry_after)
                )
            }
        });
    }
    seen
}

#[tokio::test]
async fn local_and_remote_answer_alike() {
    let local = outcomes(Wire::Local).await;
    assert_eq!(local, outcomes(Wire::Remote).await);
    assert_eq!(local[0], "score 37");
    assert!(local[1].contains("ClientNotFound"), "{}", local[1]);
    assert!(local[2].contains("ünïcode") && local[2].contains("3s"), "{}", local[2]);
    assert!(local[3].starts_with("Internal \"Something went wrong on our side\""), "{}", local[3]);
    assert!(local[6].contains("InvalidInput") && local[6].contains("clientId"), "{}", local[6]);
    assert!(local[8].contains("TokenMissing"), "{}", local[8]);
    assert!(local[9].contains("PermissionDenied"), "{}", local[9]);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_names_no_host() {
    let world = World::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let channel = mesh::Channel::remote(&format!("http://{address}"), world.caller("edge")).unwrap();
    let status = score(&channel, world.request(get("1"))).await.unwrap_err();
    assert_eq!(code(&status), ErrorCode::ServiceUnavailable);
    let shown = format!("{status:?}");
    assert!(!shown.contains("127.0.0.1") && !shown.contains("refused"), "{shown}");
}

#[tokio::test]
async fn an_address_that_is_none_is_an_error_at_once() {
    let world = World::new();
    for bad in ["", "not an address", "http://"] {
        let error = mesh::Channel::remote(bad, world.caller("edge")).unwrap_err();
        assert!(error.to_string().contains(&format!("{bad:?}")), "{error}");
    }
}
