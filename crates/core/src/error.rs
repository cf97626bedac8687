//! The one table of error codes, and the error that services answer with.
//!
//! Inside, each crate has typed errors of its own ([`ServiceError`] gives each its code). Outside there is one shape: on gRPC a
//! `google.rpc.Status` with `ErrorInfo`, `BadRequest` and `RetryInfo` (the edge adds `RequestInfo`); on REST
//! what the edge makes of exactly that. Causes stay in the log: an [`Error`] keeps its source, and never
//! prints it to a caller.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// The `domain` of our `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "riskmesh";

/// A result with the outward error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! codes {
    ($($variant:ident $name:literal $grpc:ident $http:literal $retryable:literal $message:literal $hint:literal;)*) => {
        /// What went wrong, as callers may rely on it. Names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $message] $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name, as in `errorCode`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The gRPC status code.
            pub const fn grpc(self) -> Code {
                match self { $(Self::$variant => Code::$grpc,)* }
            }

            /// The HTTP status code.
            pub const fn http(self) -> u16 {
                match self { $(Self::$variant => $http,)* }
            }

            /// Whether the same request may succeed later.
            pub const fn retryable(self) -> bool {
                match self { $(Self::$variant => $retryable,)* }
            }

            /// The message where the error has no better one.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)* }
            }

            /// What the caller can do about it.
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint,)* }
            }
        }
    };
}

codes! {
    InvalidInput "INVALID_INPUT" InvalidArgument 400 false "The request is invalid" "Correct the fields named in details and send it again.";
    TokenMissing "AUTH_TOKEN_MISSING" Unauthenticated 401 false "No access token was sent" "Send 'Authorization: Bearer <token>'.";
    TokenExpired "AUTH_TOKEN_EXPIRED" Unauthenticated 401 false "The access token has expired" "Get a new token and send the request again.";
    TokenInvalid "AUTH_TOKEN_INVALID" Unauthenticated 401 false "The access token is not valid" "Get a token from this server's issuer.";
    PermissionDenied "PERMISSION_DENIED" PermissionDenied 403 false "The caller may not do this" "Ask for a role or scope that includes this method.";
    ClientNotFound "CLIENT_NOT_FOUND" NotFound 404 false "Client not found" "Check the client id; deleted clients are gone.";
    AccountNotFound "ACCOUNT_NOT_FOUND" NotFound 404 false "Account not found" "Check the account id; deleted accounts are gone.";
    AddressNotFound "ADDRESS_NOT_FOUND" NotFound 404 false "The client has no address" "PUT an address first.";
    TransactionNotFound "TRANSACTION_NOT_FOUND" NotFound 404 false "Transaction not found" "Check the transaction id.";
    PortfolioNotFound "PORTFOLIO_NOT_FOUND" NotFound 404 false "Portfolio not found" "Check the portfolio id; deleted portfolios are gone.";
    TradeNotFound "TRADE_NOT_FOUND" NotFound 404 false "Trade not found" "Check the portfolio id and the trade id.";
    InstrumentNotFound "INSTRUMENT_NOT_FOUND" NotFound 404 false "Instrument not found" "PUT /v1/instruments/{instrumentId} first.";
    PaymentNotFound "PAYMENT_NOT_FOUND" NotFound 404 false "Payment not found" "Check the payment id.";
    CountryNotFound "COUNTRY_NOT_FOUND" NotFound 404 false "Country not found" "Send an ISO 3166-1 code: alpha-2, alpha-3 or three digits.";
    CurrencyNotFound "CURRENCY_NOT_FOUND" NotFound 404 false "Currency not found" "Send an ISO 4217 code: three letters or three digits.";
    RateNotFound "RATE_NOT_FOUND" NotFound 404 false "No exchange rates are known for this" "Ask for a later date, or another base.";
    RiskListNotFound "RISK_LIST_NOT_FOUND" NotFound 404 false "Risk list not found" "GET /v1/reference/risk-lists lists the versions there are.";
    UserNotFound "USER_NOT_FOUND" NotFound 404 false "User not found" "GET /v1/users?userName= finds a user by name.";
    RouteNotFound "ROUTE_NOT_FOUND" Unimplemented 404 false "No such path" "See /openapi/v1.json and /openapi/v2.json for the paths there are.";
    MethodNotAllowed "METHOD_NOT_ALLOWED" Unimplemented 405 false "The path does not take this HTTP method" "The Allow header lists the methods it takes.";
    NotAcceptable "NOT_ACCEPTABLE" InvalidArgument 406 false "None of the accepted media types can be given" "Accept application/json.";
    RequestTimeout "REQUEST_TIMEOUT" Cancelled 408 true "The request did not arrive in time" "Send the whole request without pauses.";
    AlreadyExists "ALREADY_EXISTS" AlreadyExists 409 false "It exists already" "Use another id, or PATCH the one that exists.";
    Conflict "CONFLICT" Aborted 409 true "Somebody else changed it at the same time" "Read it again and repeat the change.";
    DataMissing "DATA_MISSING" FailedPrecondition 409 false "Data that the answer rests on are missing" "Send the instruments, prices or rates that details name, then ask again.";
    IdempotencyKeyReused "IDEMPOTENCY_KEY_REUSED" AlreadyExists 409 false "The idempotency key was used for another request" "Send the request that the key was first used for, or another key.";
    RequestInProgress "REQUEST_IN_PROGRESS" Aborted 409 true "The same request is being worked on" "Repeat it after Retry-After: it is then answered, not done again.";
    Gone "GONE" NotFound 410 false "It is gone for good" "Remove your reference to it.";
    PreconditionFailed "PRECONDITION_FAILED" FailedPrecondition 412 false "A precondition does not hold" "Read the resource again; its state or version is another one.";
    PayloadTooLarge "PAYLOAD_TOO_LARGE" OutOfRange 413 false "The request body is too large" "Send less at a time.";
    UriTooLong "URI_TOO_LONG" OutOfRange 414 false "The request's path and query are too long" "Send a shorter path and query.";
    UnsupportedMediaType "UNSUPPORTED_MEDIA_TYPE" InvalidArgument 415 false "The body's media type is not understood" "Send application/json.";
    RateLimited "RATE_LIMITED" ResourceExhausted 429 true "Too many requests" "Wait as long as Retry-After says.";
    HeadersTooLarge "HEADERS_TOO_LARGE" OutOfRange 431 false "The request's headers are too large" "Send fewer or smaller headers.";
    Internal "INTERNAL" Internal 500 false "Something went wrong on our side" "Report the traceId if it lasts.";
    NotImplemented "NOT_IMPLEMENTED" Unimplemented 501 false "This method is not implemented" "Check the version of the API.";
    ServiceUnavailable "SERVICE_UNAVAILABLE" Unavailable 503 true "The service is not available now" "Retry after a pause, with backoff.";
    DeadlineExceeded "DEADLINE_EXCEEDED" DeadlineExceeded 504 true "The deadline has passed" "Allow more time, or ask for less.";
}

impl ErrorCode {
    /// The code of this stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// The code for an error that names none of ours.
    pub const fn from_grpc(code: Code) -> Self {
        match code {
            Code::InvalidArgument | Code::OutOfRange | Code::Ok => Self::InvalidInput,
            Code::Unauthenticated => Self::TokenInvalid,
            Code::PermissionDenied => Self::PermissionDenied,
            Code::NotFound => Self::RouteNotFound,
            Code::AlreadyExists => Self::AlreadyExists,
            Code::Aborted => Self::Conflict,
            Code::FailedPrecondition => Self::PreconditionFailed,
            Code::ResourceExhausted => Self::RateLimited,
            Code::Unimplemented => Self::NotImplemented,
            Code::Unavailable | Code::Cancelled => Self::ServiceUnavailable,
            Code::DeadlineExceeded => Self::DeadlineExceeded,
            Code::Internal | Code::Unknown | Code::DataLoss => Self::Internal,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// The field's path in JSON names: `address.country`, `transactions[3].amount`.
    pub field: Cow<'static, str>,
    /// What is wrong, to be read after the field's name: `must be 10 digits`.
    pub issue: Cow<'static, str>,
    /// What would be right, for machines: a pattern, a range, a list or a few words; empty only where the state of things is at fault, not
    /// what was sent.
    pub expected: Cow<'static, str>,
}

impl Detail {
    /// A detail about the state of things: what is not there, what is taken.
    pub fn new(field: impl Into<Cow<'static, str>>, issue: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), issue: issue.into(), expected: Cow::Borrowed("") }
    }

    /// A detail that says what was expected.
    pub fn expected(
        field: impl Into<Cow<'static, str>>,
        issue: impl Into<Cow<'static, str>>,
        expected: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), issue: issue.into(), expected: expected.into() }
    }

    /// `accountId` + `must be 10 digits` = `Account ID must be 10 digits`.
    fn sentence(&self) -> String {
        if self.field.is_empty() {
            return capitalise(&self.issue);
        }
        format!("{} {}", humanise(&self.field), self.issue)
    }

    /// What to send, where a range (`1..1000`) is expected.
    fn range_hint(&self) -> Option<String> {
        // A pattern may hold two dots as well.
        let (low, high) = self.expected.split_once("..").filter(|_| !self.expected.starts_with('^'))?;
        let name = self.field.rsplit('.').next().unwrap_or(&self.field);
        Some(format!("Send {name} from {low} to {high}."))
    }
}

fn capitalise(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A field path in words: the last segment, `clientId` -> `Client ID`; indexes stay, and so does the name of a header.
fn humanise(path: &str) -> String {
    if path.contains('-') {
        return path.to_owned();
    }
    let last = path.rsplit('.').next().unwrap_or(path);
    let mut words = String::with_capacity(last.len() + 4);
    for c in last.chars() {
        if c.is_ascii_uppercase() || c == '_' {
            words.push(' ');
        }
        if c != '_' {
            words.push(c.to_ascii_lowercase());
        }
    }
    let words: Vec<&str> =
        words.split_whitespace().map(|word| if word == "id" { "ID" } else { word }).collect();
    capitalise(&words.join(" "))
}

/// An error as callers see it, with the cause kept for the log.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Error {
    /// The stable code.
    pub code: ErrorCode,
    /// A sentence for people; holds no value that the caller did not send.
    pub message: Cow<'static, str>,
    /// What to do about it.
    pub hint: Cow<'static, str>,
    /// The fields concerned.
    pub details: Vec<Detail>,
    /// When a repeat makes sense.
    pub retry_after: Option<Duration>,
    /// The cause: for our log only.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with its code's own words.
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: Cow::Borrowed(code.message()),
            hint: Cow::Borrowed(code.hint()),
            details: Vec::new(),
            retry_after: None,
            source: None,
        }
    }

    /// `INVALID_INPUT` for one field; its message is the field's sentence.
    pub fn invalid(detail: Detail) -> Self {
        Self::invalid_fields(vec![detail])
    }

    /// `INVALID_INPUT` for a part of the request, an object, that has to be there.
    pub fn required(field: &'static str) -> Self {
        Self::invalid(Detail::expected(field, "is required", "an object"))
    }

    /// `INVALID_INPUT` for several fields; the message speaks of the first, and the hint of its range.
    pub fn invalid_fields(details: Vec<Detail>) -> Self {
        let mut error = Self::new(ErrorCode::InvalidInput);
        if let Some(first) = details.first() {
            let others = details.len() - 1;
            error.message = match others {
                0 => first.sentence().into(),
                _ => format!("{} (and {others} more)", first.sentence()).into(),
            };
            if let Some(hint) = first.range_hint() {
                error.hint = hint.into();
            }
        }
        error.details = details;
        error
    }

    /// A missing resource, with the id that was asked for in the details.
    pub fn not_found(code: ErrorCode, field: &'static str, id: &str) -> Self {
        Self::new(code).detail(Detail::new(field, format!("{id} does not exist")))
    }

    /// `INTERNAL`; `doing` and the cause go to the log, never to the caller.
    pub fn internal(doing: &'static str) -> Self {
        Self::new(ErrorCode::Internal).because(doing)
    }

    /// Another message.
    #[must_use]
    pub fn message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Another hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// One more detail.
    #[must_use]
    pub fn detail(mut self, detail: Detail) -> Self {
        self.details.push(detail);
        self
    }

    /// When a repeat makes sense.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The cause, for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The cause with all its causes, for the log.
    pub fn cause(&self) -> String {
        let mut text = String::new();
        let mut next: Option<&dyn std::error::Error> = self.source.as_deref().map(|source| source as _);
        while let Some(source) = next {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&source.to_string());
            next = source.source();
        }
        text
    }

    /// Reads an error back from a gRPC status: ours in full, anybody else's by its code. An `INTERNAL` or `UNKNOWN` of somebody
    /// else keeps its message as the cause only.
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        let Some((info, code)) = info.and_then(|info| Some((info, ErrorCode::from_name(&info.reason)?)))
        else {
            let code = ErrorCode::from_grpc(status.code());
            let error = Self::new(code);
            return match code {
                ErrorCode::Internal => error.because(status.message().to_owned()),
                _ if status.message().is_empty() => error,
                _ => error.message(status.message().to_owned()),
            };
        };
        let mut error = Self::new(code).message(status.message().to_owned());
        if let Some(hint) = info.metadata.get(HINT) {
            error.hint = hint.clone().into();
        }
        if let Some(bad) = details.bad_request() {
            let mut keys = ExpectedKeys::default();
            let detail = |violation: &FieldViolation| Detail {
                field: violation.field.clone().into(),
                issue: violation.description.clone().into(),
                expected: info.metadata.get(&keys.next(&violation.field)).cloned().unwrap_or_default().into(),
            };
            error.details = bad.field_violations.iter().map(detail).collect();
        }
        error.retry_after = details.retry_info().and_then(|retry| retry.retry_delay);
        error
    }
}

const HINT: &str = "hint";
const EXPECTED: &str = "expected/";

/// The keys of `ErrorInfo.metadata` that tell what is expected of each violation: `expected/limit`, and of a field's second one
/// `expected/limit#2`.
#[derive(Default)]
struct ExpectedKeys(HashMap<String, usize>);

impl ExpectedKeys {
    fn next(&mut self, field: &str) -> String {
        let count = self.0.entry(field.to_owned()).or_default();
        *count += 1;
        if *count == 1 { format!("{EXPECTED}{field}") } else { format!("{EXPECTED}{field}#{count}") }
    }
}

impl From<&Error> for Status {
    fn from(error: &Error) -> Self {
        let mut metadata = HashMap::new();
        if error.hint != error.code.hint() {
            metadata.insert(HINT.to_owned(), error.hint.clone().into_owned());
        }
        let mut details = ErrorDetails::new();
        let mut keys = ExpectedKeys::default();
        for detail in &error.details {
            details.add_bad_request_violation(detail.field.clone(), detail.issue.clone());
            let key = keys.next(&detail.field);
            if !detail.expected.is_empty() {
                metadata.insert(key, detail.expected.clone().into_owned());
            }
        }
        details.set_error_info(error.code.name(), DOMAIN, metadata);
        if error.retry_after.is_some() {
            details.set_retry_info(error.retry_after);
        }
        Self::with_error_details(error.code.grpc(), error.message.clone(), details)
    }
}

/// For tonic handlers: the cause goes to the log here, once; the status carries what the caller may see.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        if error.code == ErrorCode::Internal {
            tracing::error!(code = error.code.name(), cause = error.cause(), "request failed");
        }
        Self::from(&error)
    }
}

/// A crate's typed error, seen from outside.
pub trait ServiceError: std::error::Error + Send + Sync + Sized + 'static {
    /// The one code that callers see.
    fn code(&self) -> ErrorCode;

    /// The outward error; override to add details.
    fn outward(self) -> Error {
        Error::new(self.code()).because(self)
    }
}

impl<E: ServiceError> From<E> for Error {
    fn from(error: E) -> Self {
        error.outward()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_input_speaks_of_its_field() {
        let error = Error::invalid(Detail::expected("accountId", "must be 10 digits", "^[0-9]{10}$"));
        assert_eq!(error.message, "Account ID must be 10 digits");
        let nested = Error::invalid(Detail::new("transactions[3].bookedAt", "is missing"));
        assert_eq!(nested.message, "Booked at is missing");
    }

    #[test]
    fn a_range_is_in_the_hint_and_a_pattern_is_not() {
        let hint = |field, expected| Error::invalid(Detail::expected(field, "is wrong", expected)).hint;
        assert_eq!(hint("limit", "1..1000"), "Send limit from 1 to 1000.");
        assert_eq!(hint("client.ownershipLayers", "0..20"), "Send ownershipLayers from 0 to 20.");
        for expected in ["^[a..z]$", "> 0", ""] {
            assert_eq!(hint("limit", expected), ErrorCode::InvalidInput.hint());
        }
    }

    #[test]
    fn an_error_survives_the_wire() {
        let sent = Error::invalid(Detail::expected("limit", "must be 1 to 1000", "1..1000"))
            .hint("limit is at most 1000")
            .detail(Detail::expected("limit", "must be odd", "an odd number"))
            .detail(Detail::expected("offset", "must not be negative", ">= 0"))
            .detail(Detail::new("limit", "was changed"))
            .retry_after(Duration::from_secs(3))
            .because("secret cause");
        let status = Status::from(&sent);
        assert!(!format!("{status:?}").contains("secret cause"));
        let got = Error::from_status(&status);
        assert_eq!((got.code, &got.message, &got.hint), (sent.code, &sent.message, &sent.hint));
        assert_eq!(got.details, sent.details);
        assert_eq!(got.retry_after, sent.retry_after);
    }

    #[test]
    fn a_foreign_internal_error_shows_nothing() {
        let got = Error::from_status(&Status::internal("panicked at src/secret.rs"));
        assert_eq!(got.message, ErrorCode::Internal.message());
        assert_eq!(got.cause(), "panicked at src/secret.rs");
    }

    #[test]
    fn names_are_unique_and_found() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_name(code.name()), Some(*code));
        }
    }
}
