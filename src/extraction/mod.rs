//! Floor 3: a window as a stream of pages in order, with proof that they are all there.

mod checks;
mod paginator;

pub use paginator::{Delivered, Delivery, Interruption, PageReader, PagingLimits, deliver};

#[cfg(test)]
mod tests;
