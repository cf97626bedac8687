//! The keys that sign tokens: Ed25519, one PEM file (PKCS#8, RFC 8410) each, made on first start.
//!
//! Files are `jwt-<number>.pem` in a directory; the highest number signs, all of them verify, so a rotation is one more file. A file
//! appears whole or not at all: it is written and synced under another name, then linked to its own, which fails where somebody else
//! was faster, and then theirs is used.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, OctetKeyPairParameters,
    OctetKeyPairType, PublicKeyUse, ThumbprintHash,
};
use riskmesh_core::cipher::random_bytes;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const HEADER: &str = "-----BEGIN PRIVATE KEY-----";
const FOOTER: &str = "-----END PRIVATE KEY-----";
/// An Ed25519 key in PEM takes about 120 bytes.
const MAX_FILE: u64 = 4096;
/// More key files than that are a mistake.
const MAX_KEYS: usize = 64;

/// Why keys cannot be had. Messages name files, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system failed.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Not an Ed25519 key.
    #[error("{} is not an Ed25519 private key in PKCS#8 PEM", .0.display())]
    Malformed(PathBuf),
    /// Everybody on the machine could read or change it.
    #[error("{} must not be accessible to others: chmod 600 it", .0.display())]
    Exposed(PathBuf),
    /// More key files than make sense.
    #[error("{} holds more than {MAX_KEYS} key files", .0.display())]
    TooMany(PathBuf),
    /// The cryptographic library refused.
    #[error("make an Ed25519 key")]
    Crypto,
}

/// One private key; prints its id only.
#[derive(Clone)]
pub struct SigningKey {
    pkcs8: EncodingKey,
    jwk: Jwk,
    kid: String,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

impl SigningKey {
    /// A new random key, kept nowhere.
    pub fn generate() -> Result<Self, Error> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&aws_lc_rs::rand::SystemRandom::new())
            .map_err(|_| Error::Crypto)?;
        Self::from_pkcs8(pkcs8.as_ref()).ok_or(Error::Crypto)
    }

    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
        let mut jwk = Jwk {
            common: CommonParameters {
                public_key_use: Some(PublicKeyUse::Signature),
                key_algorithm: Some(KeyAlgorithm::EdDSA),
                ..CommonParameters::default()
            },
            algorithm: AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
                key_type: OctetKeyPairType::OctetKeyPair,
                curve: EllipticCurve::Ed25519,
                x: URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()),
            }),
        };
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).ok()?;
        jwk.common.key_id = Some(kid.clone());
        Some(Self { pkcs8: EncodingKey::from_ed_der(der), jwk, kid })
    }

    /// Its id: the RFC 7638 thumbprint (SHA-256) of the public key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key, to verify with.
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    pub(crate) fn encoding_key(&self) -> &EncodingKey {
        &self.pkcs8
    }

    fn to_pem(&self) -> String {
        format!("{HEADER}\n{}\n{FOOTER}\n", STANDARD.encode(self.pkcs8.as_bytes()))
    }

    fn from_pem(text: &str) -> Option<Self> {
        let body = text.trim().strip_prefix(HEADER)?.strip_suffix(FOOTER)?;
        let body: String = body.split_ascii_whitespace().collect();
        Self::from_pkcs8(&STANDARD.decode(body).ok()?)
    }
}

/// All keys of an issuer: one signs, every one verifies.
#[derive(Clone, Debug)]
pub struct Keys {
    signing: SigningKey,
    retired: Vec<SigningKey>,
}

impl Keys {
    /// One key that is kept nowhere: for tests and demos.
    pub fn ephemeral() -> Result<Self, Error> {
        Ok(Self { signing: SigningKey::generate()?, retired: Vec::new() })
    }

    /// Reads the keys of a directory; makes the directory and the first key (mode 0600) where there are none.
    pub fn load_or_create(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(io_error("create directory", dir))?;
        if let Some(keys) = Self::load(dir)? {
            return Ok(keys);
        }
        create(dir, &dir.join("jwt-0001.pem"), &SigningKey::generate()?)?;
        // Read back, ours or that of whoever was faster.
        Self::load(dir)?.ok_or(Error::Crypto)
    }

    fn load(dir: &Path) -> Result<Option<Self>, Error> {
        let mut files = Vec::new();
        for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
            let path = entry.map_err(io_error("list", dir))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let number = name.strip_prefix("jwt-").and_then(|rest| rest.strip_suffix(".pem"));
            if let Some(number) = number.and_then(|number| number.parse::<u32>().ok()) {
                files.push((number, path));
            }
            if files.len() > MAX_KEYS {
                return Err(Error::TooMany(dir.to_owned()));
            }
        }
        files.sort();
        let mut keys = files.into_iter().map(|(_, path)| read(&path)).collect::<Result<Vec<_>, _>>()?;
        let Some(signing) = keys.pop() else { return Ok(None) };
        Ok(Some(Self { signing, retired: keys }))
    }

    /// The key that signs.
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The public keys, the signing one first: `/.well-known/jwks.json` (RFC 7517).
    pub fn jwks(&self) -> JwkSet {
        let all = std::iter::once(&self.signing).chain(&self.retired);
        JwkSet { keys: all.map(|key| key.jwk().clone()).collect() }
    }
}

fn io_error<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Error + 'a {
    move |source| Error::Io { doing, path: path.to_owned(), source }
}

fn read(path: &Path) -> Result<SigningKey, Error> {
    use std::io::Read as _;
    let file = File::open(path).map_err(io_error("open", path))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().map_err(io_error("inspect", path))?.permissions().mode();
        // The group may read: that is how Kubernetes mounts a secret for a process that is not root.
        if mode & 0o027 != 0 {
            return Err(Error::Exposed(path.to_owned()));
        }
    }
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text).map_err(io_error("read", path))?;
    SigningKey::from_pem(&text).ok_or_else(|| Error::Malformed(path.to_owned()))
}

/// Puts a key where none is yet; leaves one that is there alone.
fn create(dir: &Path, path: &Path, key: &SigningKey) -> Result<(), Error> {
    let suffix = u64::from_be_bytes(random_bytes().map_err(|_| Error::Crypto)?);
    let temporary = dir.join(format!(".jwt-{suffix:016x}.tmp"));
    let written = write_synced(&temporary, key.to_pem().as_bytes()).and_then(|()| {
        // Not `rename`: that would replace the key of a process that was faster.
        match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    });
    let removed = fs::remove_file(&temporary);
    written.and(removed).and_then(|()| sync_dir(dir)).map_err(io_error("write", path))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A new name is durable once its directory is.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn the_first_start_makes_a_key_and_the_second_finds_it() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("keys");
        let first = Keys::load_or_create(&dir).unwrap();
        let second = Keys::load_or_create(&dir).unwrap();
        assert_eq!(first.signing().kid(), second.signing().kid());
        let names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["jwt-0001.pem"], "no temporary file is left");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_it_and_an_exposed_one_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        Keys::load_or_create(dir.path()).unwrap();
        let path = dir.path().join("jwt-0001.pem");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Keys::load_or_create(dir.path()), Err(Error::Exposed(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        assert!(Keys::load_or_create(dir.path()).is_ok());
    }

    #[test]
    fn processes_that_start_together_end_up_with_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let start = std::sync::Barrier::new(8);
        let kids: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        Keys::load_or_create(dir.path()).unwrap().signing().kid().to_owned()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
    }

    #[test]
    fn the_newest_key_signs_and_all_verify() {
        let dir = tempfile::tempdir().unwrap();
        let old = Keys::load_or_create(dir.path()).unwrap();
        let new = SigningKey::generate().unwrap();
        create(dir.path(), &dir.path().join("jwt-0002.pem"), &new).unwrap();
        let keys = Keys::load_or_create(dir.path()).unwrap();
        assert_eq!(keys.signing().kid(), new.kid());
        let kids: Vec<_> = keys.jwks().keys.into_iter().filter_map(|key| key.common.key_id).collect();
        assert_eq!(kids, [new.kid(), old.signing().kid()]);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        Keys::load_or_create(dir.path()).unwrap();
        let path = dir.path().join("jwt-0001.pem");
        let whole = fs::read_to_string(&path).unwrap();
        for bad in ["", "garbage", &whole[..whole.len() / 2], HEADER] {
            fs::write(&path, bad).unwrap();
            assert!(matches!(Keys::load_or_create(dir.path()), Err(Error::Malformed(_))), "{bad:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
    }

    #[test]
    fn the_id_is_the_thumbprint_of_rfc_8037() {
        // RFC 8037, appendix A.1 to A.3.
        let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        der.extend(URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap());
        let key = SigningKey::from_pkcs8(&der).unwrap();
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let json = serde_json::to_value(key.jwk()).unwrap();
        assert_eq!(json["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!((&json["kty"], &json["crv"]), (&"OKP".into(), &"Ed25519".into()));
        assert_eq!((&json["alg"], &json["use"]), (&"EdDSA".into(), &"sig".into()));
        assert!(json.get("d").is_none(), "the private part is never in it");
        assert!(!format!("{key:?}").contains("nWGxne"));
    }
}
