//! Floor 1: how fast, and when again. Pure state machines that are fed with instants, headers and
//! random fractions.

mod backoff;
mod pace;
mod server_hints;
mod token_bucket;

pub use backoff::Backoff;
pub use pace::Pace;
pub use server_hints::ServerHints;
pub use token_bucket::TokenBucket;
