//! What one request may hold. The same on every backend: code that works on the embedded store works on a cluster.

/// Columns of a table.
pub const COLUMNS: usize = 250;
/// Bytes of a serialized partition key, and of an encoded clustering key.
pub const KEY_BYTES: usize = 8 * 1024;
/// Bytes of one value.
pub const VALUE_BYTES: usize = 4 << 20;
/// Bytes of keys and values in one batch or conditional batch; below the 16 MB at which Cassandra refuses a mutation.
pub const BATCH_BYTES: usize = 8 << 20;
/// Mutations in one batch or conditional batch.
pub const MUTATIONS: usize = 8192;
/// Conditions in one conditional batch.
pub const CONDITIONS: usize = 256;
/// Rows of one page of a scan.
pub const PAGE_ROWS: usize = 10_000;
/// Rows that one range deletion may delete on a backend that deletes row by row.
pub const RANGE_DELETE_ROWS: usize = 262_144;
/// Requests in one call of `apply`, `cas_many` or `get_many`.
pub const CALL: usize = 65_536;
