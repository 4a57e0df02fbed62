//! Every bound of the product in one place, each with its reason. Bounds that users can set have
//! their defaults in [`super::file`].

/// Pages that wait between fetching and typing. With the pages in flight they bound the memory of
/// raw text; one keeps the typing thread busy while those in flight arrive.
pub const PAGE_QUEUE: usize = 1;
/// Record batches that wait between typing and encoding: the usual page's worth of them
/// (see [`BATCH_ROWS`]).
pub const BATCH_QUEUE: usize = 2;
/// Rows of a record batch. Batch borders reach into Parquet's pages, so they are fixed: the same
/// records give the same bytes, however the tenant cuts its pages.
pub const BATCH_ROWS: usize = 8192;
/// Text of the records of a batch after which it is passed on, for records can be long. Like
/// [`BATCH_ROWS`] it counts records alone, however the tenant cuts its pages.
pub const DATA_BATCH_BYTES: usize = 16 << 20;
/// Text of a quarantine batch after which it is passed on, for one reject can be as long as a page.
pub const QUARANTINE_BATCH_BYTES: usize = 4 << 20;
/// The longest answer that is read, inflated.
pub const BODY_BYTES: usize = 256 << 20;
/// The longest answer of all calls but a data download: a catalog of 100,000 metrics is far below.
pub const SMALL_BODY_BYTES: usize = 32 << 20;
/// The deepest nesting of a record, that of the usual parsers being 64 to 128.
pub const RECORD_DEPTH: usize = 64;
/// The most keys of a record, those inside of its values included: names are held to find those that
/// come twice, and reports have a few hundred.
pub const RECORD_KEYS: usize = 10_000;
/// Pages of a catalog: beyond it the tenant repeats its page tokens.
pub const CATALOG_PAGES: usize = 10_000;
/// How often a window is read again when its data moved while it was paged (tenant API, "Answers").
pub const WINDOW_REREADS: u32 = 3;
/// How often an empty page before the end is asked for again before the window is read again.
pub const EMPTY_PAGE_RETRIES: u32 = 2;
/// Different unknown keys that are counted by name, in a window and in a run; all are kept in `_unmapped`.
pub const COUNTED_UNKNOWN_KEYS: usize = 1000;
/// How much of an offending value a violation shows; the whole record is beside it.
pub const SHOWN_VALUE_BYTES: usize = 256;
/// How much of a violation's path is kept: a key can be as long as its record.
pub const SHOWN_PATH_BYTES: usize = 4 << 10;
/// The most violations of a record that are kept, more than reports have columns; the whole record is beside them.
pub const RECORD_VIOLATIONS: usize = 1000;
/// Different rules with their places by which a window's rejects are counted.
pub const COUNTED_REJECTS: usize = 1000;
/// Time to connect: a host that does not answer a handshake in it is down.
pub const CONNECT_TIMEOUT_SECS: u64 = 10;
/// The longest single wait between two tries of a call.
pub const BACKOFF_CEILING_SECS: u64 = 30;
/// The first wait between two tries of a call, before jitter.
pub const BACKOFF_BASE_MILLIS: u64 = 500;
/// A token's life where the tenant gives none that makes sense.
pub const TOKEN_LIFE_DEFAULT_SECS: u64 = 300;
/// The longest life of a token that is believed.
pub const TOKEN_LIFE_CEILING_SECS: u64 = 3600;
/// The longest answer on the wire.
pub const WIRE_BYTES: usize = 64 << 20;
/// How many times its size on the wire an answer may inflate to: reports inflate 5 to 20 times.
pub const INFLATE_RATIO: usize = 200;
/// What any answer may inflate to, however small it is on the wire.
pub const INFLATE_RATIO_FREE_BYTES: usize = 1 << 20;
/// A body that comes more slowly is asked for again: the next connection may be better.
pub const BODY_FLOOR_BYTES_PER_SEC: usize = 10_000;
/// Over how long the floor is measured, and the longest pause in a body.
pub const BODY_FLOOR_WINDOW_SECS: u64 = 30;
/// Bytes of all pages in flight: with larger pages fewer are asked for at the same time. Also the most that the buffers
/// of pages take that wait to be used again.
pub const IN_FLIGHT_BYTES: u64 = 128 << 20;
/// What is kept of a record that is too long: enough to see what it is.
pub const LONG_RECORD_KEPT_BYTES: usize = 64 << 10;
/// Hours of data beyond which a run is large, and waits outside of quiet hours: a week is still the
/// daily run with a generous lookback.
pub const LARGE_RUN_HOURS: i64 = 7 * 24 + 1;
/// How long an alert may take.
pub const ALERT_TIMEOUT_SECS: u64 = 10;
/// How long the alerts of one comparison may take together: a run must not wait for a chat service.
pub const ALERT_BUDGET_SECS: u64 = 60;
/// Windows that are asked for their totals; of more, these are taken as typical.
pub const COUNTED_WINDOWS: usize = 31;

/// Pages that a manifest lists one by one.
pub const LISTED_PAGES: usize = 10_000;
