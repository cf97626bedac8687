//! `google.rpc.RequestInfo` in every gRPC status that leaves: whoever raised the error, its caller can name
//! the request.

use http::HeaderMap;
use prost::Message as _;
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::pb;

const TYPE_URL: &str = "type.googleapis.com/google.rpc.RequestInfo";

/// Adds it to the status in an answer's headers or trailers, where that is a failure and has none.
pub(crate) fn add(headers: &mut HeaderMap, request_id: &str) {
    let Some(status) = Status::from_header_map(headers).filter(|status| status.code() != Code::Ok) else {
        return;
    };
    // Details by their bytes, so that those of types unknown here stay.
    let Ok(mut told) = pb::Status::decode(status.details()) else { return };
    if told.details.iter().any(|detail| detail.type_url == TYPE_URL) {
        return;
    }
    let info = pb::RequestInfo { request_id: request_id.to_owned(), serving_data: String::new() };
    told.code = status.code() as i32;
    status.message().clone_into(&mut told.message);
    told.details.push(Any { type_url: TYPE_URL.to_owned(), value: info.encode_to_vec() });
    let status = Status::with_details(status.code(), status.message(), told.encode_to_vec().into());
    // It fails for texts that cannot be headers; these were headers.
    let _ = status.add_header(headers);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use riskmesh_core::{Detail, Error, ErrorCode};
    use tonic_types::StatusExt as _;

    fn headers(status: &Status) -> HeaderMap {
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        headers
    }

    fn after(status: &Status) -> Status {
        let mut headers = headers(status);
        add(&mut headers, "r-1");
        add(&mut headers, "r-2");
        Status::from_header_map(&headers).unwrap()
    }

    #[test]
    fn a_failure_names_its_request_once_and_keeps_all_else() {
        let error = Error::invalid(Detail::expected("limit", "must be 1 to 1000, é", "1..1000"));
        let status = after(&Status::from(&error));
        assert_eq!(status.get_details_request_info().unwrap().request_id, "r-1");
        assert_eq!(status.get_error_details_vec().len(), 3);
        let told = Error::from_status(&status);
        assert_eq!((told.code, told.message, told.details), (error.code, error.message, error.details));
    }

    #[test]
    fn a_status_without_details_gets_it_as_its_only_one() {
        let status = after(&Status::not_found("no such service"));
        assert_eq!((status.code(), status.message()), (Code::NotFound, "no such service"));
        assert_eq!(status.get_details_request_info().unwrap().request_id, "r-1");
    }

    #[test]
    fn details_of_foreign_types_stay() {
        let foreign = Any { type_url: "type.googleapis.com/acme.Cause".into(), value: vec![8, 1] };
        let told = pb::Status { code: 9, message: "no".into(), details: vec![foreign.clone()] };
        let status =
            after(&Status::with_details(Code::FailedPrecondition, "no", told.encode_to_vec().into()));
        let told = pb::Status::decode(status.details()).unwrap();
        assert_eq!((told.details.len(), &told.details[0]), (2, &foreign));
    }

    #[test]
    fn success_and_what_is_no_status_stay_as_they_are() {
        for mut headers in [headers(&Status::new(Code::Ok, "")), HeaderMap::new()] {
            let before = headers.clone();
            add(&mut headers, "r-1");
            assert_eq!(headers, before);
        }
        assert_eq!(ErrorCode::ALL.iter().filter(|code| code.grpc() == Code::Ok).count(), 0);
    }
}
