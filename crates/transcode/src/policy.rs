//! What a method tells its callers, and asks of them, beside its messages: when it goes away, how much of it there is, how long
//! an answer may be kept, and a key that makes a second attempt the same call as the first.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use prost_reflect::MethodDescriptor;
use prost_reflect::prost_types::MethodOptions;
use prost_reflect::prost_types::method_options::IdempotencyLevel;
use sfv::{BareItem, Integer, Item, ItemSerializer, KeyRef, Parser, StringRef};

use crate::error::{Error, Kind, Result};
use crate::escape::UNRESERVED;

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The year 10000, which no HTTP date can say.
const LAST_DATE: u64 = 253_402_300_800;

/// What [`Builder::policy`](crate::Builder::policy) says of a method.
///
/// Of the standard options `idempotency_level` counts: a method that is `NO_SIDE_EFFECTS` or `IDEMPOTENT` takes no key, whatever
/// is said here (see [`idempotency_key`](Self::idempotency_key)). `deprecated = true` alone makes no header: `Deprecation` is a date (RFC 9745,
/// section 2.1), which that option does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodPolicy {
    /// That the method goes away. On every answer.
    pub deprecation: Option<Deprecation>,
    /// Whether `Idempotency-Key` is taken: the service then gets it as metadata of that name, whatever headers are forwarded, and
    /// never unchecked. Where it would mean nothing it is neither asked for nor looked at, and does not go to the service: at safe
    /// HTTP methods, as GET and HEAD are, and at RPCs that may be called again anyway. The handshake of a WebSocket, whose own method
    /// says nothing, counts as the HTTP method of the route that it finds. Without this the key is a header like any other.
    pub idempotency_key: Option<IdempotencyKey>,
    /// How much of the method a caller may use. On every answer, unless the service says it itself by the metadata
    /// `ratelimit-policy`. Nothing is counted here: that is for a layer between [`route`](crate::Transcoder::route) and
    /// [`call_matched`](crate::Transcoder::call_matched), see [`Matched::annotate`](crate::Matched::annotate).
    pub rate_limit: Option<RateLimit>,
    /// `Cache-Control` of successes of REST, and of Connect's GET, unless the service says it itself. Not of streams from the service:
    /// these are `no-store`, whatever is said here or by the service, since they may fail after their 200, and a cache would keep
    /// what is broken.
    pub cache_control: Option<HeaderValue>,
    /// Whether unary answers to GET and HEAD, of REST and Connect, get a weak `ETag` where the service gives none: a hash of the
    /// body, not of cryptographic strength. Not with a `cache_control` of `no-store`. A tag that the service gives is compared
    /// with `If-None-Match` in any case. Default: yes.
    pub etag: bool,
}

impl Default for MethodPolicy {
    fn default() -> Self {
        Self { deprecation: None, idempotency_key: None, rate_limit: None, cache_control: None, etag: true }
    }
}

/// When a method goes away, and where to read about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deprecation {
    /// Since when it should not be used any more, also in the future: `Deprecation` (RFC 9745).
    pub since: SystemTime,
    /// When it is expected to stop working, not before `since`: `Sunset` (RFC 8594).
    pub sunset: Option<SystemTime>,
    /// What to read or call instead: `Link`.
    pub links: Vec<Link>,
}

/// A `Link` (RFC 8288) of a method that goes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// A URI or a path. `{book.id}` in it is what the request's path binds to that field; where it binds no such field, there is
    /// no such link.
    pub target: String,
    /// What is found there.
    pub relation: Relation,
}

/// What a [`Link`] leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The resource in its next version (`successor-version`, RFC 5829).
    Successor,
    /// A text about the deprecation (`deprecation`, RFC 9745).
    Deprecation,
    /// A text about the end (`sunset`, RFC 8594).
    Sunset,
}

/// How `Idempotency-Key` is taken (draft-ietf-httpapi-idempotency-key-header): a string of structured fields, in quotes. The service
/// gets what is in the quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// A call without one is refused with 400.
    pub required: bool,
    /// Visible ASCII without quotes, comma and semicolon is a key too, as many clients send it. Default: yes.
    pub bare: bool,
    /// Characters at most. Default: 255.
    pub longest: usize,
}

impl Default for IdempotencyKey {
    fn default() -> Self {
        Self { required: false, bare: true, longest: 255 }
    }
}

/// A quota for `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Its name, in ASCII.
    pub name: String,
    /// Calls in a window.
    pub quota: u64,
    /// How long a window is, in whole seconds.
    pub window: Option<Duration>,
}

/// A [`MethodPolicy`], made ready for calls.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    headers: Vec<(HeaderName, HeaderValue)>,
    links: Vec<Vec<Piece>>,
    key: Option<IdempotencyKey>,
    /// The method may be called again without a key.
    repeatable: bool,
    pub(crate) cache_control: Option<HeaderValue>,
    pub(crate) etag: bool,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    /// The path of a field, as a template has it.
    Variable(String),
}

impl Policy {
    pub(crate) fn new(rpc: &MethodDescriptor, policy: MethodPolicy) -> std::result::Result<Self, String> {
        let MethodPolicy { deprecation, idempotency_key, rate_limit, cache_control, etag } = policy;
        let (mut headers, mut links) = (Vec::new(), Vec::new());
        if let Some(Deprecation { since, sunset, links: to }) = deprecation {
            headers
                .push((DEPRECATION, HeaderValue::try_from(format!("@{}", seconds(since)?)).map_err(text)?));
            if let Some(sunset) = sunset {
                if sunset < since {
                    return Err("its sunset is before its deprecation".to_owned());
                }
                if seconds(sunset)? >= LAST_DATE {
                    return Err("its sunset is past the year 9999".to_owned());
                }
                headers.push((SUNSET, HeaderValue::try_from(httpdate::fmt_http_date(sunset)).map_err(text)?));
            }
            links = to.iter().map(pieces).collect::<std::result::Result<_, _>>()?;
        }
        if let Some(limit) = rate_limit {
            headers.push((RATELIMIT_POLICY, limit.header()?));
        }
        let options = rpc.method_descriptor_proto().options.as_ref();
        let level = options.map_or(IdempotencyLevel::IdempotencyUnknown, MethodOptions::idempotency_level);
        let repeatable = level != IdempotencyLevel::IdempotencyUnknown;
        let kept = cache_control.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        let etag = etag && !kept.to_ascii_lowercase().windows(8).any(|word| word == b"no-store");
        Ok(Self { headers, links, key: idempotency_key, repeatable, cache_control, etag })
    }

    /// Whether answers say anything of it.
    pub(crate) fn speaks(&self) -> bool {
        !self.headers.is_empty() || !self.links.is_empty()
    }

    pub(crate) fn takes_key(&self) -> bool {
        self.key.is_some()
    }

    /// Adds what every answer says.
    pub(crate) fn annotate<'a>(
        &self,
        bindings: &(impl Iterator<Item = (&'a str, &'a str)> + Clone),
        headers: &mut HeaderMap,
    ) {
        for (name, value) in &self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        for link in self.links.iter().filter_map(|pieces| filled(pieces, bindings)) {
            headers.append(header::LINK, link);
        }
    }

    /// Checks the key of a call by this HTTP method, and leaves it in the headers as the service gets it.
    pub(crate) fn check_key(&self, method: &Method, headers: &mut HeaderMap) -> Result<()> {
        let Some(wanted) = self.key else { return Ok(()) };
        if self.repeatable || method.is_safe() {
            headers.remove(IDEMPOTENCY_KEY);
            return Ok(());
        }
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let key = match (values.next(), values.next()) {
            (None, _) if wanted.required => return Err(refused("is missing", wanted)),
            (None, _) => return Ok(()),
            (Some(_), Some(_)) => return Err(refused("is given twice", wanted)),
            (Some(value), None) => key(value, wanted.bare),
        };
        // A space at an end would not survive as a header.
        let key = key.filter(|key| !key.is_empty() && key.trim() == key);
        let key = key.ok_or_else(|| refused("is malformed", wanted))?;
        if key.len() > wanted.longest {
            return Err(refused("is too long", wanted));
        }
        // Printable ASCII: always a header value.
        let value = HeaderValue::try_from(key).map_err(|_| refused("is malformed", wanted))?;
        headers.insert(IDEMPOTENCY_KEY, value);
        Ok(())
    }
}

fn key(value: &HeaderValue, bare: bool) -> Option<String> {
    let bytes = value.as_bytes();
    if let Ok(Item { bare_item: BareItem::String(key), .. }) = Parser::new(bytes).parse::<Item>() {
        return Some(key.into());
    }
    let plain = bytes.iter().all(|byte| byte.is_ascii_graphic() && !b"\",;".contains(byte));
    value.to_str().ok().filter(|_| bare && plain).map(str::to_owned)
}

fn refused(problem: &'static str, wanted: IdempotencyKey) -> Box<Error> {
    let mut expected = format!("a string of 1 to {} characters in quotes", wanted.longest);
    if wanted.bare {
        expected.push_str(", or a token");
    }
    Error::boxed(Kind::Header, format!("the header Idempotency-Key {problem}")).with_violation(
        "Idempotency-Key",
        problem,
        Some(expected),
    )
}

impl RateLimit {
    /// `"default";q=100;w=60`
    fn header(&self) -> std::result::Result<HeaderValue, String> {
        let number = |value: u64| Integer::try_from(value).map_err(text);
        let name = StringRef::from_str(&self.name).map_err(text)?;
        let (q, w) = (KeyRef::from_str("q").map_err(text)?, KeyRef::from_str("w").map_err(text)?);
        let mut item = ItemSerializer::new().bare_item(name).parameter(q, number(self.quota)?);
        if let Some(window) = self.window {
            item = item.parameter(w, number(window.as_secs())?);
        }
        HeaderValue::try_from(item.finish()).map_err(text)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    format!("its policy makes no header: {error}")
}

fn seconds(time: SystemTime) -> std::result::Result<u64, String> {
    let since = time.duration_since(UNIX_EPOCH);
    since.map(|since| since.as_secs()).map_err(|_| "its policy has a date before 1970".to_owned())
}

/// A link in texts and variables: `</v2/books/`, `id`, `>; rel="successor-version"`.
fn pieces(link: &Link) -> std::result::Result<Vec<Piece>, String> {
    let bad = || format!("{:?} is no target of a link", link.target);
    if link.target.is_empty() || !link.target.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"".contains(&b)) {
        return Err(bad());
    }
    let mut pieces = vec![Piece::Text("<".to_owned())];
    let mut rest = link.target.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(bad)?;
        pieces.extend([Piece::Text(before.to_owned()), Piece::Variable(name.to_owned())]);
        rest = after;
    }
    let relation = match link.relation {
        Relation::Successor => "successor-version",
        Relation::Deprecation => "deprecation",
        Relation::Sunset => "sunset",
    };
    pieces.push(Piece::Text(format!("{rest}>; rel=\"{relation}\"")));
    Ok(pieces)
}

fn filled<'a>(
    pieces: &[Piece],
    bindings: &(impl Iterator<Item = (&'a str, &'a str)> + Clone),
) -> Option<HeaderValue> {
    let mut link = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => link.push_str(text),
            Piece::Variable(variable) => {
                let (_, value) = bindings.clone().find(|(name, _)| name == variable)?;
                link.extend(percent_encoding::utf8_percent_encode(value, UNRESERVED));
            }
        }
    }
    HeaderValue::try_from(link).ok()
}
