//! What all processes on one store agree on, noted in it once: which keys its contents are sealed with, who issues its tokens, how the
//! sandbox was planned. A process with other keys would write what the others cannot read; it does not start.

use authn::Keys;
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Cas, Error as StoreError, Get, Outcome, Scan, Store, Table, asc, text, upsert};

/// Notes by kind and name. Conditional writes only: the first one stays.
pub(crate) static DEPLOYMENT: Table =
    Table::new("deployment", &[text("kind")]).clustering(&[asc(text("name"))]).values(&[text("content")]);

/// SHA-256 of each file of keys.
const KEYS: &str = "keys";
/// Ids of signing keys.
const ISSUERS: &str = "issuers";
/// Notes of one kind.
const MANY: usize = 1000;
/// How often a write is tried of which it is not known whether it happened.
const TRIES: u32 = 10;

/// Why a process does not belong to a deployment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store.
    #[error("read what is noted of the deployment")]
    Store(#[from] StoreError),
    /// A note could not be written for sure.
    #[error("the store does not say whether {name} was noted")]
    Unsure {
        /// The note.
        name: String,
    },
    /// The keys are those of another deployment.
    #[error(
        "{name} is not the key that this store was begun with: copy the keys of a process that works on it"
    )]
    OtherKey {
        /// The file.
        name: String,
    },
    /// Tokens would not be taken elsewhere.
    #[error(
        "none of the keys that sign tokens (jwt-*.pem) is known to this store: copy those of a process that works on it"
    )]
    OtherIssuer,
}

/// The notes.
#[derive(Clone)]
pub(crate) struct Deployment {
    store: Arc<dyn Store>,
}

impl Deployment {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Whether no process has begun to work here yet.
    pub(crate) async fn is_new(&self) -> Result<bool, Error> {
        Ok(self.all(KEYS).await?.is_empty())
    }

    /// Compares the keys of a process with what is noted.
    pub(crate) async fn check(
        &self,
        fingerprints: &BTreeMap<String, String>,
        issuer: &Keys,
    ) -> Result<(), Error> {
        let known = self.all(KEYS).await?;
        for (name, fingerprint) in fingerprints {
            if known.get(name).is_some_and(|known| known != fingerprint) {
                return Err(Error::OtherKey { name: name.clone() });
            }
        }
        // Keys follow each other, one process after the other: who knows an old one may bring a new one.
        let known = self.all(ISSUERS).await?;
        if known.is_empty() || ids(issuer).any(|kid| known.contains_key(&kid)) {
            Ok(())
        } else {
            Err(Error::OtherIssuer)
        }
    }

    /// Notes the keys of this process, unless others are noted.
    pub(crate) async fn join(
        &self,
        fingerprints: &BTreeMap<String, String>,
        issuer: &Keys,
    ) -> Result<(), Error> {
        self.check(fingerprints, issuer).await?;
        for (name, fingerprint) in fingerprints {
            if self.note(KEYS, name, fingerprint).await? != *fingerprint {
                return Err(Error::OtherKey { name: name.clone() });
            }
        }
        for kid in ids(issuer) {
            self.note(ISSUERS, &kid, "").await?;
        }
        // Two that began at once have both noted theirs.
        self.check(fingerprints, issuer).await
    }

    /// All notes of a kind, by name.
    async fn all(&self, kind: &str) -> Result<BTreeMap<String, String>, Error> {
        let page = self.store.scan(Scan::new(&DEPLOYMENT, kind, MANY)).await?;
        let note = |row: &store::Row| Ok((row.text("name")?.to_owned(), row.text("content")?.to_owned()));
        page.rows.iter().map(note).collect()
    }

    /// What is noted under a name.
    pub(crate) async fn noted(&self, kind: &str, name: &str) -> Result<Option<String>, Error> {
        let row = self.store.get(Get::row(&DEPLOYMENT, kind, name).latest()).await?;
        Ok(row.map(|row| row.text("content").map(str::to_owned)).transpose()?)
    }

    /// Makes a note, unless there is one of this name; gives the one that is there then.
    pub(crate) async fn note(&self, kind: &str, name: &str, content: &str) -> Result<String, Error> {
        for _ in 0..TRIES {
            let write = upsert(name).set("content", content);
            match self.store.cas(Cas::new(&DEPLOYMENT, kind).if_absent(name).with(write)).await? {
                Outcome::Applied => return Ok(content.to_owned()),
                Outcome::Conflict(_) | Outcome::Unknown => {}
            }
            if let Some(noted) = self.noted(kind, name).await? {
                return Ok(noted);
            }
        }
        Err(Error::Unsure { name: name.to_owned() })
    }
}

fn ids(issuer: &Keys) -> impl Iterator<Item = String> {
    issuer.jwks().keys.into_iter().filter_map(|key| key.common.key_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use riskmesh_core::SystemClock;

    fn deployment(dir: &std::path::Path) -> Deployment {
        let options = store_embedded::Options::new(dir, [&DEPLOYMENT]).clock(Arc::new(SystemClock));
        Deployment::new(Arc::new(store_embedded::Embedded::open(options).unwrap()))
    }

    fn keys(keys: &[(&str, &str)]) -> BTreeMap<String, String> {
        keys.iter().map(|(name, print)| ((*name).to_owned(), (*print).to_owned())).collect()
    }

    #[tokio::test]
    async fn who_comes_later_has_the_keys_of_the_first_and_may_bring_new_ones() {
        let dir = tempfile::tempdir().unwrap();
        let deployment = deployment(dir.path());
        let issuer = Keys::ephemeral().unwrap();
        assert!(deployment.is_new().await.unwrap());
        deployment.join(&keys(&[("index.key", "a"), ("columns-1.key", "b")]), &issuer).await.unwrap();
        assert!(!deployment.is_new().await.unwrap());
        deployment.join(&keys(&[("index.key", "a"), ("columns-2.key", "c")]), &issuer).await.unwrap();

        let other = deployment.join(&keys(&[("columns-2.key", "x")]), &issuer).await.unwrap_err();
        assert!(matches!(other, Error::OtherKey { name } if name == "columns-2.key"));
        let stranger = Keys::ephemeral().unwrap();
        let other = deployment.join(&keys(&[("index.key", "a")]), &stranger).await.unwrap_err();
        assert!(matches!(other, Error::OtherIssuer));
    }

    #[tokio::test]
    async fn of_many_who_note_at_once_one_is_first() {
        let dir = tempfile::tempdir().unwrap();
        let deployment = deployment(dir.path());
        let texts: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let notes = texts.iter().map(|text| deployment.note("sandbox", "plan", text));
        let noted: Vec<_> = futures::future::join_all(notes).await.into_iter().map(Result::unwrap).collect();
        assert!(noted.iter().all(|text| *text == noted[0]), "{noted:?}");
    }
}
