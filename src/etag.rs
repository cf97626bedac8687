//! Entity tags (RFC 9110) of answers, and what requests say of them.

use riskmesh_core::{Detail, Error, ErrorCode};
use tonic::Response;
use tonic::metadata::MetadataMap;

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

/// What `If-Match` allows: any version, or the ones it lists.
#[derive(Clone, Debug)]
pub struct IfMatch(Option<String>);

impl IfMatch {
    /// What a request says; without the header, anything goes. `INVALID_INPUT` where it is no text.
    pub fn read(metadata: &MetadataMap) -> Result<Self, Error> {
        let Some(value) = metadata.get("if-match") else { return Ok(Self(None)) };
        let value = value.to_str().map_err(|_| {
            Error::invalid(Detail::expected(
                "If-Match",
                "is not an entity tag",
                "the ETag of an answer, or *",
            ))
        })?;
        Ok(Self((value.trim() != "*").then(|| value.to_owned())))
    }

    /// `PRECONDITION_FAILED` where the version is another one.
    pub fn check(&self, version: i64) -> Result<(), Error> {
        match &self.0 {
            Some(tags) if !tags.split(',').any(|tag| tag.trim() == of(version)) => Err(Error::new(
                ErrorCode::PreconditionFailed,
            )
            .detail(Detail::expected("If-Match", "does not match the version there is", of(version)))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn if_match_lists_versions_or_allows_all() {
        let check = |value: Option<&str>, version| {
            let mut metadata = MetadataMap::new();
            if let Some(value) = value {
                metadata.insert("if-match", value.parse().unwrap());
            }
            IfMatch::read(&metadata).unwrap().check(version).is_ok()
        };
        assert!(
            check(None, 1)
                && check(Some("*"), 1)
                && check(Some("\"v1\""), 1)
                && check(Some("\"v3\", \"v1\""), 1)
        );
        assert!(!check(Some("\"v2\""), 1) && !check(Some("v1"), 1) && !check(Some(""), 1));
    }
}
