//! What a token says about its bearer.

use riskmesh_core::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What kind of caller it is; `policy` says what each may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the tenant.
    Admin,
    /// Works with clients' risk.
    Analyst,
    /// Decides on hits and alerts.
    Reviewer,
    /// Reads the audit log, and no client data.
    Auditor,
    /// An API consumer outside: its scopes, no more.
    Client,
    /// A workload of the mesh.
    Service,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Admin, Self::Analyst, Self::Reviewer, Self::Auditor, Self::Client, Self::Service];

    /// The name in tokens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Analyst => "analyst",
            Self::Reviewer => "reviewer",
            Self::Auditor => "auditor",
            Self::Client => "client",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of admin, analyst, reviewer, auditor, client, service")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(UnknownRole)
    }
}

/// The claims of an access token. No personal data: ids only. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who it stands for: a user, an API client, or `service:<workload>`.
    pub sub: String,
    /// The user's id, where a person acts.
    #[serde(rename = "userId", default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The role.
    pub role: Role,
    /// The tenant that it acts in; nothing else is visible to it.
    #[serde(with = "tenant")]
    pub tenant: TenantId,
    /// The permissions it is limited to; in the token one string, divided by spaces (RFC 9068).
    #[serde(with = "scope", default, skip_serializing_if = "Vec::is_empty")]
    pub scope: Vec<String>,
    /// The API client it was issued to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Who issued it.
    pub iss: String,
    /// Whom it is for.
    #[serde(with = "audience")]
    pub aud: Vec<String>,
    /// When it was issued.
    pub iat: i64,
    /// From when it holds.
    pub nbf: i64,
    /// Until when it holds.
    pub exp: i64,
    /// Its own id.
    pub jti: String,
}

impl Claims {
    /// The instant it expires at: from then on it is refused.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp(self.exp.saturating_mul(1000))
    }

    /// Whether its scopes name this permission.
    pub fn has_scope(&self, permission: &str) -> bool {
        self.scope.iter().any(|scope| scope == permission)
    }
}

mod tenant {
    use riskmesh_core::TenantId;
    use serde::{Deserialize, Deserializer, Serializer, de};
    use std::borrow::Cow;

    pub(super) fn serialize<S: Serializer>(tenant: &TenantId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(tenant.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TenantId, D::Error> {
        TenantId::new(&Cow::<str>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// One string or a list of strings, as tokens of different issuers have it.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

mod scope {
    use super::OneOrMany;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(scope: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&scope.join(" "))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
            OneOrMany::Many(list) => list,
        })
    }
}

mod audience {
    use super::OneOrMany;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(audience: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        match audience {
            [one] => serializer.serialize_str(one),
            many => many.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(list) => list,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn roles_read_as_they_print() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        assert_eq!("Admin".parse::<Role>(), Err(UnknownRole));
    }

    #[test]
    fn claims_have_the_documented_names() {
        let json = serde_json::json!({
            "sub": "user-7", "userId": "user-7", "role": "analyst", "tenant": "sandbox",
            "scope": "analytics.read clients.read", "client_id": "console", "iss": "i", "aud": "a",
            "iat": 1, "nbf": 1, "exp": 2, "jti": "x",
        });
        let claims: Claims = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(claims.scope, ["analytics.read", "clients.read"]);
        assert_eq!(serde_json::to_value(&claims).unwrap(), json);
    }

    #[test]
    fn lists_of_other_issuers_are_read() {
        let claims: Claims = serde_json::from_value(serde_json::json!({
            "sub": "s", "role": "client", "tenant": "t", "scope": ["a", "b"], "iss": "i", "aud": ["x", "y"],
            "iat": 1, "nbf": 1, "exp": 2, "jti": "x",
        }))
        .unwrap();
        assert_eq!((claims.scope.len(), claims.aud.len()), (2, 2));
        assert!(claims.has_scope("b") && !claims.has_scope("c"));
    }
}
