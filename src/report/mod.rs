//! Floor 6: what people read of a lake: a page of its runs, and rejects laid out. No I/O.

mod charts;
mod lineage;
mod page;
mod reject_text;

pub use lineage::Lineage;
pub use page::{lake_page, run_page};
pub use reject_text::laid_out;
