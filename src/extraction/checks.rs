//! What the pages of a window must satisfy together.

use std::collections::HashSet;

use crate::cxone::PageAnswer;

/// The pages so far.
#[derive(Debug)]
pub(super) struct WindowChecks {
    total: u64,
    delivered: u64,
    pages: HashSet<u128>,
}

impl WindowChecks {
    pub(super) fn new(total: u64) -> Self {
        Self { total, delivered: 0, pages: HashSet::new() }
    }

    /// Takes in the next page.
    ///
    /// # Errors
    /// What shows that the data moved while it was paged.
    pub(super) fn page(&mut self, answer: &PageAnswer) -> Result<(), String> {
        if answer.total != self.total {
            return Err(format!("totalRecords was {}, is now {}", self.total, answer.total));
        }
        if answer.page.first_offset != self.delivered {
            return Err(format!("a page begins at {} in the place of {}", answer.page.first_offset, self.delivered));
        }
        // The tenant's own duplicates are single records; a page that comes twice is a fault of paging.
        if answer.page.record_count() > 0 && !self.pages.insert(answer.page.xxh3()) {
            return Err(format!("the page at {} is equal to an earlier one", answer.page.first_offset));
        }
        self.delivered += answer.page.record_count();
        if self.delivered > self.total {
            return Err(format!("{} records came, totalRecords says {}", self.delivered, self.total));
        }
        Ok(())
    }

    /// Whether all records came.
    ///
    /// # Errors
    /// How many came instead.
    pub(super) fn end(&self) -> Result<(), String> {
        if self.delivered == self.total {
            return Ok(());
        }
        Err(format!("{} records came, totalRecords says {}", self.delivered, self.total))
    }
}
