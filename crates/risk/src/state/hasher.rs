//! One hash over the state of many accounts.

use super::{
    HourState, Kept,
    codec::{put_i64, put_len, put_u64},
    row::COMPACT,
    short::Short,
};
use crate::{
    entry::{AccountId, Entry},
    hash::{Hasher, StateHash},
    profile::{ClientProfile, Industry},
    screening::Screening,
};

/// Feeds states into SHA-256, account by account. The hash depends on the order, so feed accounts and hours ascending;
/// memory use does not depend on how many there are.
pub struct StateHasher {
    hasher: Hasher,
    buffer: Vec<u8>,
}

impl Default for StateHasher {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes that are hashed at once: a call for each entry would cost more than its bytes.
const PIECE: usize = 4_096;

/// Room for the bytes of an entry: a mark, three numbers, five letters, three tags and three texts with their lengths.
const ENTRY_ROOM: usize = 1 + 3 * 10 + 5 + 3 + 64 + 64 + 34 + 3 + 8;

/// What follows in the stream: without these marks two different states could spell the same bytes.
const PROFILE: u8 = b'P';
const ACCOUNT: u8 = b'A';
const HOUR: u8 = b'H';
const ROW: u8 = b'R';
const ENTRY: u8 = b'E';
const NETWORK: u8 = b'N';
const SCREENING: u8 = b'S';

impl StateHasher {
    /// A hash of nothing yet.
    pub fn new() -> Self {
        let mut hasher = Hasher::new();
        hasher.update(b"riskmesh state 2\n");
        Self { hasher, buffer: Vec::with_capacity(2 * PIECE) }
    }

    /// What is known of the client.
    pub fn profile(&mut self, profile: &ClientProfile) {
        let out = self.room();
        out.push(PROFILE);
        out.push(profile.client_type.map_or(u8::MAX, |kind| kind as u8));
        for country in [&profile.residence, &profile.nationality, &profile.incorporation] {
            out.extend_from_slice(country.as_ref().map_or(b"--", |country| country.as_bytes()));
        }
        let industry = profile.industry.as_ref().map_or("", Industry::as_str);
        put_len(out, industry.len());
        out.extend_from_slice(industry.as_bytes());
        for byte in [profile.ownership_layers, profile.private_banking.map(u8::from)] {
            out.extend_from_slice(&byte.map_or([0, 0], |byte| [1, byte]));
        }
        for at_ms in [profile.onboarded_at_ms, profile.last_reviewed_at_ms] {
            out.push(u8::from(at_ms.is_some()));
            put_i64(out, at_ms.unwrap_or_default());
        }
    }

    /// What follows is this account's.
    pub fn account(&mut self, account: AccountId) {
        let out = self.room();
        out.push(ACCOUNT);
        out.extend_from_slice(&account.number().to_be_bytes());
    }

    /// What follows is of others' accounts, of which so many were left out.
    pub fn network(&mut self, left_out: u32) {
        let out = self.room();
        out.push(NETWORK);
        put_u64(out, u64::from(left_out));
    }

    /// What screening came to.
    pub fn screening(&mut self, screening: &Screening) {
        let out = self.room();
        out.push(SCREENING);
        put_len(out, screening.hits().len());
        for hit in screening.hits() {
            out.extend_from_slice(&[hit.list as u8, hit.review as u8]);
            out.extend_from_slice(&hit.match_bp.to_be_bytes());
        }
    }

    /// One hour of the account. Which form it has depends on its state alone.
    pub fn hour(&mut self, hour: &HourState) {
        let out = self.room();
        match hour.kept() {
            Kept::One(row) => {
                let mut short = Short::<COMPACT>::new();
                short.byte(ROW);
                short.signed(hour.hour.number());
                row.put(&mut short);
                out.extend_from_slice(short.as_slice());
            }
            Kept::Many(_) => {
                out.push(HOUR);
                hour.encode_into(out);
            }
        }
    }

    /// One retained entry of the account.
    pub fn entry(&mut self, entry: &Entry) {
        let mut short = Short::<ENTRY_ROOM>::new();
        short.byte(ENTRY);
        short.signed(entry.at_ms);
        short.number(entry.account.number());
        short.signed(entry.amount.minor());
        short.array(entry.currency.as_bytes());
        short.array(entry.counterparty_country.as_ref().map_or(b"--", |country| country.as_bytes()));
        let channel = entry.channel.map_or(u8::MAX, |channel| channel as u8);
        short.array(&[entry.direction as u8, entry.kind as u8, channel]);
        short.text(entry.id.padded(), entry.id.as_bytes().len());
        match &entry.transfer_id {
            Some(id) => short.text(id.padded(), id.as_bytes().len()),
            None => short.zeros(1),
        }
        match &entry.counterparty {
            Some(party) => short.text(party.padded(), party.as_bytes().len()),
            None => short.zeros(1),
        }
        self.room().extend_from_slice(short.as_slice());
    }

    /// The hash of all that was fed.
    pub fn finish(mut self) -> StateHash {
        self.hasher.update(&self.buffer);
        self.hasher.finish()
    }

    /// Where the next bytes go; what is there is hashed first if it is much.
    fn room(&mut self) -> &mut Vec<u8> {
        if self.buffer.len() >= PIECE {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
        &mut self.buffer
    }
}
