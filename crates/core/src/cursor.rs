//! Page cursors: opaque, authenticated and bound to what they were issued for.
//!
//! A cursor is the position of the last item shown, sealed with AES-256-GCM-SIV; tenant, list and filters are the associated
//! data. A forged cursor, or one from another tenant, query or sort order, does not open: it is `INVALID_INPUT`.

use crate::cipher::Key;
use crate::error::{Detail, Error};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The longest cursor that is looked at, in characters.
const MAX_LEN: usize = 1024;

/// What a cursor is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The caller's tenant.
    pub tenant: &'a str,
    /// The method, filters and order that gave the cursor, in one canonical text.
    pub query: &'a str,
}

impl Scope<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let mut data = Vec::with_capacity(16 + self.tenant.len() + self.query.len());
        data.extend_from_slice(b"cursor\x01");
        data.extend_from_slice(&(self.tenant.len() as u32).to_be_bytes());
        data.extend_from_slice(self.tenant.as_bytes());
        data.extend_from_slice(self.query.as_bytes());
        data
    }
}

/// Seals and opens cursors; every replica shares the key.
#[derive(Clone, Debug)]
pub struct Cursors {
    key: Key,
}

impl Cursors {
    /// Cursors under this key.
    pub fn new(key: Key) -> Self {
        Self { key }
    }

    /// The cursor that continues after `position`.
    pub fn seal(&self, scope: Scope<'_>, position: &[u8]) -> Result<String, Error> {
        let sealed = self.key.seal(&scope.associated_data(), position)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The position in a cursor that was sealed for the same scope.
    pub fn open(&self, scope: Scope<'_>, cursor: &str) -> Result<Vec<u8>, Error> {
        let refused = || {
            let issue = "is not a cursor of this query; start again without it";
            Error::invalid(Detail::expected(
                "cursor",
                issue,
                "page.nextCursor of an answer to the same query",
            ))
        };
        if cursor.len() > MAX_LEN {
            return Err(refused());
        }
        let sealed = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
        self.key.open(&scope.associated_data(), &sealed).map_err(|_| refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SCOPE: Scope<'static> = Scope { tenant: "sandbox", query: "clients?status=active" };

    proptest! {
        #[test]
        fn what_was_sealed_opens(position in proptest::collection::vec(any::<u8>(), 0..64)) {
            let cursors = Cursors::new(Key::random().unwrap());
            let cursor = cursors.seal(SCOPE, &position).unwrap();
            prop_assert_eq!(cursors.open(SCOPE, &cursor).unwrap(), position);
        }

        #[test]
        fn a_changed_cursor_does_not_open(at in 0usize..40, bit in 0u8..8) {
            let cursors = Cursors::new(Key::random().unwrap());
            let sealed = URL_SAFE_NO_PAD.decode(cursors.seal(SCOPE, b"0123456789ab").unwrap()).unwrap();
            let mut forged = sealed.clone();
            let at = at % forged.len();
            forged[at] ^= 1 << bit;
            prop_assert!(cursors.open(SCOPE, &URL_SAFE_NO_PAD.encode(forged)).is_err());
        }
    }

    #[test]
    fn a_cursor_is_bound_to_tenant_and_query() {
        let cursors = Cursors::new(Key::random().unwrap());
        let cursor = cursors.seal(SCOPE, b"9").unwrap();
        assert!(cursors.open(Scope { tenant: "other", ..SCOPE }, &cursor).is_err());
        assert!(cursors.open(Scope { query: "clients", ..SCOPE }, &cursor).is_err());
        for junk in ["", "x", "AAAA", "!!!", &"A".repeat(5000)] {
            assert!(cursors.open(SCOPE, junk).is_err());
        }
    }
}
