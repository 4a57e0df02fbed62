//! Floor 0: the words that every other floor shares. No I/O, no async, no vendor.

mod addresses;
mod clock;
mod column_type;
mod constraints;
mod drift;
mod failure;
pub mod json;
mod names;
mod number;
mod page;
mod progress;
mod quiet_hours;
mod rows;
mod secret;
mod short_number;
mod stage_time;

pub use addresses::is_private;
pub use clock::{Clock, Randomness, SystemClock, SystemRandomness};
pub use column_type::{ColumnType, ParseColumnTypeError};
pub use constraints::{AllowedValue, Constraints};
pub use drift::{DriftEvent, DriftKind};
pub use failure::{Failure, FailureKind};
pub use names::{is_plain_name, nearest_name, snake_case};
pub use number::{ExactNumber, NotKept};
pub use page::Page;
pub use progress::{NoProgress, Progress};
pub use quiet_hours::{ParseQuietHoursError, QuietHours};
pub use rows::{RejectTally, RowCounts};
pub use secret::Secret;
pub(crate) use short_number::ShortNumber;
pub use stage_time::{StageTime, Stopwatch};
