#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::claims::Role;
use crate::issuer::{Grant, Issuer};
use crate::keys::{Keys, SigningKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use proptest::prelude::*;
use riskmesh_core::{ManualClock, TenantId, Timestamp};
use serde_json::{Value, json};

const ISSUER: &str = "https://issuer.test";
const AUDIENCE: &str = "riskmesh";
const TTL: Duration = Duration::from_mins(10);

/// An issuer with its clock.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    keys: Arc<Keys>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::parse("2026-01-02T03:04:05Z").unwrap()));
        Self { clock, keys: Arc::new(Keys::ephemeral().unwrap()) }
    }

    pub(crate) fn issuer(&self) -> Issuer {
        Issuer::new(Arc::clone(&self.keys), ISSUER, AUDIENCE, Arc::clone(&self.clock) as _)
    }

    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new(&self.keys.jwks(), ISSUER, AUDIENCE, Arc::clone(&self.clock) as _)
    }

    pub(crate) fn token(&self) -> String {
        self.issuer().issue(&grant()).unwrap()
    }

    /// A token with one claim changed, or removed where the value is null, signed with the right key.
    fn token_with(&self, claim: &str, value: Value) -> String {
        let token = self.token();
        let mut claims: Value = serde_json::from_slice(&decode(token.split('.').nth(1).unwrap())).unwrap();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(claim).unwrap()),
            value => claims[claim] = value,
        }
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.keys.signing().kid().to_owned());
        jsonwebtoken::encode(&header, &claims, self.keys.signing().encoding_key()).unwrap()
    }

    fn now(&self) -> i64 {
        self.clock.now().seconds()
    }
}

fn grant() -> Grant {
    Grant {
        sub: "user-7".into(),
        user_id: Some("user-7".into()),
        role: Role::Analyst,
        tenant: TenantId::new("sandbox").unwrap(),
        scope: vec!["analytics.read".into()],
        client_id: Some("console".into()),
        ttl: TTL,
    }
}

fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

fn encode(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

fn code(verifier: &Verifier, token: &str) -> ErrorCode {
    verifier.verify(token).unwrap_err().code
}

/// Refused as invalid, twice: a refusal must not become valid by being asked again.
fn assert_invalid(verifier: &Verifier, token: &str) {
    for _ in 0..2 {
        assert_eq!(code(verifier, token), ErrorCode::TokenInvalid, "{token}");
    }
    assert_eq!(verifier.key_set().cache.len(), 0);
}

#[test]
fn a_token_says_what_was_granted() {
    let world = World::new();
    let claims = world.verifier().verify(&world.token()).unwrap();
    assert_eq!(
        (claims.sub.as_str(), claims.role, claims.tenant.as_str()),
        ("user-7", Role::Analyst, "sandbox")
    );
    assert_eq!(claims.scope, ["analytics.read"]);
    assert_eq!(claims.client_id.as_deref(), Some("console"));
    assert_eq!(claims.expires_at(), world.clock.now().plus(TTL));
}

#[test]
fn an_expired_token_is_rejected_with_auth_token_expired_to_the_second() {
    let world = World::new();
    let (verifier, token) = (world.verifier(), world.token());
    world.clock.advance(TTL.saturating_sub(Duration::from_millis(1)));
    assert!(verifier.verify(&token).is_ok());
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(code(&verifier, &token), ErrorCode::TokenExpired);
    assert_eq!(code(&world.verifier(), &token), ErrorCode::TokenExpired, "with an empty cache as well");
}

#[test]
fn the_cache_never_outlives_the_token_nor_a_minute() {
    let world = World::new();
    let verifier = world.verifier();
    let short = world.issuer().issue(&Grant { ttl: Duration::from_secs(10), ..grant() }).unwrap();
    verifier.verify(&short).unwrap();
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(code(&verifier, &short), ErrorCode::TokenExpired);

    let long = world.token();
    let first = verifier.verify(&long).unwrap();
    world.clock.advance(crate::cache::MAX_AGE.saturating_sub(Duration::from_millis(1)));
    assert!(Arc::ptr_eq(&first, &verifier.verify(&long).unwrap()), "kept for a minute");
    world.clock.advance(Duration::from_millis(1));
    assert!(!Arc::ptr_eq(&first, &verifier.verify(&long).unwrap()), "and verified again after it");
}

#[test]
fn the_cache_is_bounded() {
    let world = World::new();
    let cache = Cache::default();
    let claims = world.verifier().verify(&world.token()).unwrap();
    for n in 0..2 * Cache::CAPACITY {
        cache.insert(Cache::fingerprint(&n.to_string()), Arc::clone(&claims), world.clock.now());
    }
    assert!(cache.len() <= Cache::CAPACITY);
}

#[test]
fn withdrawn_keys_withdraw_what_they_signed() {
    let world = World::new();
    let (verifier, token) = (world.verifier(), world.token());
    verifier.verify(&token).unwrap();
    verifier.replace_keys(&Keys::ephemeral().unwrap().jwks());
    assert_invalid(&verifier, &token);
    verifier.replace_keys(&world.keys.jwks());
    assert!(verifier.verify(&token).is_ok());
}

#[test]
fn a_token_that_is_not_valid_yet_is_rejected_beyond_the_leeway() {
    let world = World::new();
    let leeway = i64::try_from(LEEWAY.as_secs()).unwrap();
    assert!(world.verifier().verify(&world.token_with("nbf", json!(world.now() + leeway))).is_ok());
    assert_invalid(&world.verifier(), &world.token_with("nbf", json!(world.now() + leeway + 1)));
}

#[test]
fn other_issuers_and_audiences_are_rejected() {
    let world = World::new();
    for (claim, value) in [
        ("iss", json!("https://other.test")),
        ("iss", json!([ISSUER])),
        ("iss", json!("")),
        ("aud", json!("other")),
        ("aud", json!(["other", "another"])),
        ("aud", json!([])),
    ] {
        assert_invalid(&world.verifier(), &world.token_with(claim, value));
    }
    assert!(world.verifier().verify(&world.token_with("aud", json!(["other", AUDIENCE]))).is_ok());
}

#[test]
fn every_claim_that_counts_must_be_there_and_well_formed() {
    let world = World::new();
    for claim in ["sub", "role", "tenant", "iss", "aud", "iat", "nbf", "exp", "jti"] {
        assert_invalid(&world.verifier(), &world.token_with(claim, Value::Null));
    }
    for (claim, value) in [
        ("exp", json!("tomorrow")),
        ("exp", json!(1e300)),
        ("nbf", json!("now")),
        ("role", json!("root")),
        ("role", json!("Admin")),
        ("tenant", json!("../other")),
        ("tenant", json!("")),
        ("scope", json!(7)),
    ] {
        assert_invalid(&world.verifier(), &world.token_with(claim, value));
    }
    let far = world.token_with("exp", json!(i64::MAX));
    assert!(world.verifier().verify(&far).is_ok(), "the end of time does not overflow");
    assert_eq!(code(&world.verifier(), &world.token_with("exp", json!(0))), ErrorCode::TokenExpired);
}

#[test]
fn a_forged_signature_is_rejected() {
    let world = World::new();
    let token = world.token();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = decode(signature);
    for bit in [0, 255, 511] {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_invalid(&world.verifier(), &format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&bytes)));
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    let (header, claims) = signed.split_once('.').unwrap();
    let mut other: Value = serde_json::from_slice(&decode(claims)).unwrap();
    other["role"] = json!("admin");
    assert_invalid(&world.verifier(), &format!("{header}.{}.{signature}", encode(&other)));
    assert_invalid(&world.verifier(), &format!("{signed}."));
    assert_invalid(&world.verifier(), signed);
}

#[test]
fn another_key_under_our_id_is_rejected() {
    let world = World::new();
    let other = SigningKey::generate().unwrap();
    let claims = world.verifier().verify(&world.token()).unwrap();
    let mut header = Header::new(Algorithm::EdDSA);
    for kid in [Some(world.keys.signing().kid()), Some(other.kid()), Some(""), None] {
        header.kid = kid.map(str::to_owned);
        let token = jsonwebtoken::encode(&header, &*claims, other.encoding_key()).unwrap();
        assert_invalid(&world.verifier(), &token);
    }
}

#[test]
fn algorithm_none_is_rejected() {
    let world = World::new();
    let token = world.token();
    let claims = token.split('.').nth(1).unwrap();
    for alg in ["none", "None", "NONE", ""] {
        let header = encode(&json!({"alg": alg, "typ": "JWT", "kid": world.keys.signing().kid()}));
        assert_invalid(&world.verifier(), &format!("{header}.{claims}."));
        assert_invalid(
            &world.verifier(),
            &format!("{header}.{claims}.{}", token.rsplit('.').next().unwrap()),
        );
    }
}

#[test]
fn an_hmac_keyed_with_the_public_key_is_rejected() {
    let world = World::new();
    let claims = world.verifier().verify(&world.token()).unwrap();
    let jwk = serde_json::to_value(world.keys.signing().jwk()).unwrap();
    let public = decode(jwk["x"].as_str().unwrap());
    for alg in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let mut header = Header::new(alg);
        header.kid = Some(world.keys.signing().kid().to_owned());
        for secret in [&public[..], jwk["x"].as_str().unwrap().as_bytes(), jwk.to_string().as_bytes()] {
            let token = jsonwebtoken::encode(&header, &*claims, &EncodingKey::from_secret(secret)).unwrap();
            assert_invalid(&world.verifier(), &token);
        }
    }
}

#[test]
fn a_symmetric_or_contradictory_key_never_enters() {
    let world = World::new();
    let keys: JwkSet = serde_json::from_value(json!({"keys": [
        {"kty": "oct", "kid": "a", "alg": "HS256", "k": "c2VjcmV0"},
        {"kty": "OKP", "crv": "Ed25519", "kid": "b", "alg": "RS256", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty": "OKP", "crv": "Ed25519", "kid": "c", "use": "enc", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    ]}))
    .unwrap();
    let verifier = Verifier::new(&keys, ISSUER, AUDIENCE, Arc::clone(&world.clock) as _);
    assert!(verifier.key_set().keys.is_empty());
}

#[test]
fn critical_extensions_that_we_do_not_know_are_rejected() {
    let world = World::new();
    let claims = world.verifier().verify(&world.token()).unwrap();
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(world.keys.signing().kid().to_owned());
    header.crit = Some(vec!["b64".into()]);
    let token = jsonwebtoken::encode(&header, &*claims, world.keys.signing().encoding_key()).unwrap();
    assert_invalid(&world.verifier(), &token);
}

#[test]
fn garbage_truncated_and_oversized_tokens_are_rejected() {
    let world = World::new();
    let token = world.token();
    for bad in ["", ".", "..", "...", "a.b.c", "\0", "🦀.🦀.🦀", "e30.e30.e30", " ", "Bearer x"] {
        assert_invalid(&world.verifier(), bad);
    }
    for len in 0..token.len() {
        assert_invalid(&world.verifier(), &token[..len]);
    }
    for bad in [
        format!("{token}A"),
        format!("{token}="),
        format!("{token}.x"),
        format!(" {token}"),
        format!("{token}\n"),
    ] {
        assert_invalid(&world.verifier(), &bad);
    }
    assert_invalid(&world.verifier(), &"a".repeat(MAX_TOKEN_LEN + 1));
    assert_invalid(&world.verifier(), &format!("{token}{}", "A".repeat(10_000_000)));
    let wide = Grant { scope: vec!["s".repeat(MAX_TOKEN_LEN)], ..grant() };
    assert_invalid(&world.verifier(), &world.issuer().issue(&wide).unwrap());
}

#[test]
fn an_issuer_bounds_lifetimes() {
    let world = World::new();
    for ttl in
        [Duration::ZERO, Duration::from_millis(999), crate::MAX_TTL + Duration::from_secs(1), Duration::MAX]
    {
        let refused = world.issuer().issue(&Grant { ttl, ..grant() }).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidInput);
    }
    assert!(world.issuer().issue(&Grant { ttl: crate::MAX_TTL, ..grant() }).is_ok());
}

#[test]
fn a_refusal_shows_nothing_of_the_token() {
    let world = World::new();
    let token = world.token_with("iss", json!("https://secret.test"));
    let error = world.verifier().verify(&token).unwrap_err();
    let status = format!("{:?}", tonic::Status::from(&error));
    assert!(!status.contains("secret") && !status.contains(&token[..20]), "{status}");
    assert!(!error.cause().contains("secret"), "{}", error.cause());
}

proptest! {
    #[test]
    fn any_text_is_rejected_without_panic(token in "\\PC{0,200}|[A-Za-z0-9_-]{0,60}(\\.[A-Za-z0-9_-]{0,60}){0,4}") {
        let world = World::new();
        prop_assert_eq!(code(&world.verifier(), &token), ErrorCode::TokenInvalid);
    }
}
