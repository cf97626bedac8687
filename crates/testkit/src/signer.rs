//! Signs files as an operator does with `openssl pkeyutl -sign -rawin`.

use anyhow::Context as _;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use std::path::Path;

/// A new Ed25519 key.
#[derive(Debug)]
pub struct Signer(Ed25519KeyPair);

impl Signer {
    /// Makes one.
    pub fn new() -> anyhow::Result<Self> {
        Ed25519KeyPair::generate().map(Self).ok().context("make an Ed25519 key")
    }

    /// What `signed-by` says of it: 64 hex digits.
    pub fn public_key(&self) -> String {
        hex::encode(self.0.public_key())
    }

    /// Leaves a file's signature in `FILE.sig`.
    pub fn sign(&self, file: &Path) -> anyhow::Result<()> {
        let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
        let mut path = file.as_os_str().to_owned();
        path.push(".sig");
        std::fs::write(&path, self.0.sign(&bytes)).with_context(|| format!("write {}", path.display()))
    }
}
