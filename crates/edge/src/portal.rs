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
use std::sync::Arc;
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
    /// The same in each coding.
    coded: Vec<(Coding, Bytes)>,
    /// A weak one: it names the text, in whatever coding.
    tag: HeaderValue,
}

impl Page {
    fn new(name: &'static str, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let tag = transcode::weak_tag(&body);
        // What a codec cannot do is sent as it is.
        let code = |coding| Some((coding, transcode::coding::encode(coding, &body).ok()?.into()));
        let coded =
            Coding::ALL.into_iter().filter_map(code).filter(|_| body.len() >= COMPRESS_FROM).collect();
        Self { name, content_type, csp: None, body, coded, tag }
    }

    /// The text as a request with these headers likes it best.
    fn text(&self, asked: &HeaderMap) -> (Option<Coding>, &Bytes) {
        let accepted = transcode::accepted_coding(asked);
        let coded = self.coded.iter().find(|(coding, _)| Some(*coding) == accepted);
        coded.map_or((None, &self.body), |(coding, bytes)| (Some(*coding), bytes))
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
        if !self.coded.is_empty() {
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
