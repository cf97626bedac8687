//! What the edge serves by itself, to anybody: the OpenAPI documents, the portal that shows them, and the public keys.

use crate::edge::COMPRESS_FROM;
use crate::fault::Failure;
use crate::openapi;
use authn::Jwks;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use tonic::body::Body;
use transcode::{Coding, Transcoder};

const ALLOW: &str = "GET, HEAD, OPTIONS";
/// The portal loads its own script and style, and talks to its own origin.
const PORTAL_CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                          base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const JSON: &str = "application/json";

/// A document, made once.
#[derive(Debug)]
pub(crate) struct Page {
    /// Its path, for logs.
    pub(crate) name: &'static str,
    content_type: &'static str,
    csp: Option<&'static str>,
    body: Bytes,
    /// The same in each coding, made when it is first asked for; none where that does not pay, or a codec cannot do it.
    coded: [OnceLock<Option<Bytes>>; Coding::ALL.len()],
    /// A weak one: it names the text, in whatever coding.
    tag: HeaderValue,
}

impl Page {
    fn new(name: &'static str, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let tag = transcode::weak_tag(&body);
        Self { name, content_type, csp: None, body, coded: Default::default(), tag }
    }

    /// Whether it is large enough to be sent in a coding.
    fn pays(&self) -> bool {
        self.body.len() >= COMPRESS_FROM
    }

    /// The text as a request with these headers likes it best.
    fn text(&self, asked: &HeaderMap) -> (Option<Coding>, &Bytes) {
        let accepted = transcode::accepted_coding(asked).filter(|_| self.pays());
        let made = Coding::ALL.into_iter().zip(&self.coded).find(|(coding, _)| Some(*coding) == accepted);
        let coded = made.and_then(|(coding, made)| {
            let encode = || transcode::coding::encode(coding, &self.body).ok().map(Bytes::from);
            Some((coding, made.get_or_init(encode).as_ref()?))
        });
        coded.map_or((None, &self.body), |(coding, bytes)| (Some(coding), bytes))
    }

    /// The answer to a request for it.
    pub(crate) fn answer(&self, head: &Parts) -> Result<Response<Body>, Failure> {
        let mut response = Response::new(Body::empty());
        match head.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => {
                *response.status_mut() = StatusCode::NO_CONTENT;
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(ALLOW));
                return Ok(response);
            }
            _ => return Err(Failure::method_not_allowed(ALLOW)),
        }
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.tag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        if self.pays() {
            headers.insert(header::VARY, HeaderValue::from_name(header::ACCEPT_ENCODING));
        }
        if let Some(csp) = self.csp {
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(csp));
        }
        if transcode::has_tag(&head.headers, &self.tag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
            let (coding, text) = self.text(&head.headers);
            if let Some(coding) = coding {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
            }
            *response.body_mut() = Body::new(Full::new(text.clone()));
        }
        Ok(response)
    }
}

/// All documents.
#[derive(Debug)]
pub(crate) struct Portal {
    pages: HashMap<&'static str, Arc<Page>>,
}

impl Portal {
    /// Writes the documents.
    pub(crate) fn new<S>(transcoder: &Transcoder<S>, jwks: &Jwks) -> Self {
        let openapi = |version| openapi::document(transcoder, version).to_string();
        // Public keys are strings and always serialise.
        let jwks = serde_json::to_vec(jwks).unwrap_or_default();
        let html = "text/html; charset=utf-8";
        let portal = |page| Page { csp: Some(PORTAL_CSP), ..page };
        let pages = [
            Page::new("/openapi/v1.json", JSON, openapi("v1")),
            Page::new("/openapi/v2.json", JSON, openapi("v2")),
            Page::new("/.well-known/jwks.json", JSON, jwks),
            portal(Page::new("/docs", html, include_str!("../assets/docs.html"))),
            portal(Page::new(
                "/docs/portal.css",
                "text/css; charset=utf-8",
                include_str!("../assets/portal.css"),
            )),
            portal(Page::new(
                "/docs/portal.js",
                "text/javascript; charset=utf-8",
                include_str!("../assets/portal.js"),
            )),
        ];
        Self { pages: pages.into_iter().map(|page| (page.name, Arc::new(page))).collect() }
    }

    /// The document at a path.
    pub(crate) fn page(&self, path: &str) -> Option<Arc<Page>> {
        self.pages.get(path).cloned()
    }
}
