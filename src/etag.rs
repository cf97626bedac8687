//! Entity tags (RFC 9110) of answers.

use tonic::Response;

/// The strong tag of a version.
pub fn of(version: i64) -> String {
    format!("\"v{version}\"")
}

/// A response that carries this tag.
pub fn tagged<T>(message: T, tag: &str) -> Response<T> {
    let mut response = Response::new(message);
    if let Ok(value) = tag.parse() {
        response.metadata_mut().insert("etag", value);
    }
    response
}

/// A response that carries its version as its tag.
pub fn versioned<T>(message: T, version: i64) -> Response<T> {
    tagged(message, &of(version))
}
