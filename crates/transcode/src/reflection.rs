//! Descriptors of a running server, read over gRPC server reflection (`grpc.reflection.v1`, else `v1alpha`).
//!
//! ```ignore
//! let pool = reflection::descriptors(channel.clone(), ["pkg.v1.Library"]).await?;
//! let transcoder = Transcoder::builder(pool).build(channel)?;
//! ```
//!
//! The bytes of each file are taken as the server sends them, so that options such as `google.api.http` are kept, if
//! the server keeps them: some re-encode their descriptors and lose what they do not know. `tonic-reflection` keeps them
//! where they were registered encoded. For the others there are [rule files](crate::Builder::rules) and
//! [`unannotated`](crate::Builder::unannotated).

mod session;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use http::{Request, Response};
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{DescriptorError, DescriptorPool, prost};
use tower::Service;

use crate::error::BoxError;
use crate::plan::put_len;
use session::{Ask, Session};

/// Bounds on what a server may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files, with all that they import: 4096.
    pub files: usize,
    /// Bytes of all files together, and of each answer: 64 MiB.
    pub bytes: usize,
    /// How long the whole may take: 10 seconds.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { files: 4096, bytes: 64 << 20, time: Duration::from_secs(10) }
    }
}

/// Why the descriptors could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server has neither version of reflection.
    #[error("the server has no reflection")]
    Unsupported,
    /// The call failed.
    #[error("read {what} over reflection")]
    Call {
        /// What was asked for.
        what: String,
        /// Why it failed.
        #[source]
        source: Box<tonic::Status>,
    },
    /// The server does not know what it was asked for.
    #[error("the server's reflection refuses {what}: {message} (code {code})")]
    Refused {
        /// What was asked for.
        what: String,
        /// The gRPC code.
        code: i32,
        /// The server's words.
        message: String,
    },
    /// The answer is of another kind than the question, or there is none.
    #[error("the server's reflection does not answer for {what}")]
    NoAnswer {
        /// What was asked for.
        what: String,
    },
    /// A file is not a `google.protobuf.FileDescriptorProto`.
    #[error("decode a file that came for {what}")]
    File {
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        #[source]
        source: prost::DecodeError,
    },
    /// Two files have one name and not the same bytes.
    #[error("the server has two different files {name}")]
    Conflict {
        /// The file's name.
        name: String,
    },
    /// The server has more than the [`Limits`] let in.
    #[error("the server's descriptors are more than {limit}")]
    TooMuch {
        /// The limit, with its unit.
        limit: String,
    },
    /// The server took longer than [`Limits::time`].
    #[error("the server's reflection took longer than {0:?}")]
    TooSlow(Duration),
    /// The files do not fit together.
    #[error("link the server's descriptors")]
    Link(#[from] DescriptorError),
}

/// Reads the files that define `services` (full names), and all that these import, within the default [`Limits`]. If no
/// service is given, all that the server lists are read, but those of reflection itself.
///
/// # Errors
/// See [`Error`].
pub async fn descriptors<S>(
    upstream: S,
    services: impl IntoIterator<Item = impl Into<String>>,
) -> Result<DescriptorPool, Error>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    descriptors_within(upstream, services, Limits::default()).await
}

/// Reads as [`descriptors`] does, within other limits.
///
/// # Errors
/// See [`Error`].
pub async fn descriptors_within<S>(
    upstream: S,
    services: impl IntoIterator<Item = impl Into<String>>,
    limits: Limits,
) -> Result<DescriptorPool, Error>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    let services: Vec<String> = services.into_iter().map(Into::into).collect();
    let read = async {
        let mut session = Session::new(upstream, limits.bytes);
        let services = if services.is_empty() { listed(&mut session).await? } else { services };
        let mut files =
            Files { limits, raw: HashMap::new(), order: Vec::new(), missing: BTreeSet::new(), bytes: 0 };
        for service in services {
            let what = format!("the file of {service}");
            files.add(&what, session.files(&what, Ask::Symbol(service)).await?)?;
        }
        while let Some(name) = files.missing.pop_first() {
            let what = format!("file {name}");
            files.add(&what, session.files(&what, Ask::File(name.clone())).await?)?;
            if !files.raw.contains_key(&name) {
                return Err(Error::NoAnswer { what });
            }
        }
        Ok(files)
    };
    let files = tokio::time::timeout(limits.time, read).await.map_err(|_| Error::TooSlow(limits.time))??;
    Ok(DescriptorPool::decode(&*files.set())?)
}

/// The services of the server, but for reflection.
async fn listed<S>(session: &mut Session<S>) -> Result<Vec<String>, Error>
where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    let mut names = session.services().await?;
    names.retain(|name| !name.starts_with("grpc.reflection."));
    Ok(names)
}

/// The files read so far, as the server sent them.
struct Files {
    limits: Limits,
    raw: HashMap<String, Vec<u8>>,
    order: Vec<String>,
    /// Imported, and not there yet.
    missing: BTreeSet<String>,
    bytes: usize,
}

impl Files {
    fn add(&mut self, what: &str, files: Vec<Vec<u8>>) -> Result<(), Error> {
        for raw in files {
            let decoded = FileDescriptorProto::decode(&*raw);
            let file = decoded.map_err(|source| Error::File { what: what.to_owned(), source })?;
            let name = file.name().to_owned();
            match self.raw.get(&name) {
                Some(known) if *known == raw => continue,
                Some(_) => return Err(Error::Conflict { name }),
                None => {}
            }
            self.bytes += raw.len();
            if self.bytes > self.limits.bytes {
                return Err(Error::TooMuch { limit: format!("{} bytes", self.limits.bytes) });
            }
            self.missing.remove(&name);
            self.missing.extend(file.dependency.into_iter().filter(|import| !self.raw.contains_key(import)));
            self.order.push(name.clone());
            self.raw.insert(name, raw);
            if self.raw.len() + self.missing.len() > self.limits.files {
                return Err(Error::TooMuch { limit: format!("{} files", self.limits.files) });
            }
        }
        Ok(())
    }

    /// An encoded `google.protobuf.FileDescriptorSet`, put together from the files' own bytes.
    fn set(&self) -> Vec<u8> {
        let mut set = Vec::with_capacity(self.bytes + 8 * self.raw.len());
        for name in &self.order {
            put_len(&mut set, 1, &self.raw[name]);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn file(name: &str, package: &str, imports: &[&str]) -> Vec<u8> {
        FileDescriptorProto {
            name: Some(name.to_owned()),
            package: Some(package.to_owned()),
            dependency: imports.iter().map(|import| (*import).to_owned()).collect(),
            ..Default::default()
        }
        .encode_to_vec()
    }

    fn files(limits: Limits) -> Files {
        Files { limits, raw: HashMap::new(), order: Vec::new(), missing: BTreeSet::new(), bytes: 0 }
    }

    #[test]
    fn a_file_may_come_twice_but_not_with_other_bytes() {
        let mut files = files(Limits::default());
        files.add("a", vec![file("a", "p", &["b"]), file("a", "p", &["b"])]).unwrap();
        assert_eq!(files.missing.iter().collect::<Vec<_>>(), ["b"]);
        files.add("b", vec![file("b", "p", &["a"])]).unwrap();
        assert!(files.missing.is_empty());
        let error = files.add("c", vec![file("a", "q", &[])]).unwrap_err();
        assert_eq!(error.to_string(), "the server has two different files a");
        let error = files.add("c", vec![vec![0xff]]).unwrap_err();
        assert_eq!(error.to_string(), "decode a file that came for c");
    }

    #[test]
    fn imports_count_before_they_are_read() {
        let mut files = files(Limits { files: 3, ..Limits::default() });
        let error = files.add("a", vec![file("a", "p", &["b", "c", "d"])]).unwrap_err();
        assert_eq!(error.to_string(), "the server's descriptors are more than 3 files");
    }
}
