//! When records are worth a try as usual ones: where a metric changed, all may be unusual, and each would be read twice.

/// After so many unusual records one after the other, only each of so many is tried. A prime, so that the tries do not keep
/// step with a source that takes turns.
const RECORDS_PER_TRY: usize = 61;

/// How many records in a row were unusual.
#[derive(Debug, Default)]
pub(super) struct UnusualStreak(usize);

impl UnusualStreak {
    /// Whether the next record is worth a try.
    #[inline]
    pub(super) fn is_worth_a_try(&self) -> bool {
        self.0 < RECORDS_PER_TRY || self.0.is_multiple_of(RECORDS_PER_TRY)
    }

    /// Notes what became of the next record: whether it was tried and was a usual one.
    #[inline]
    pub(super) fn note(&mut self, is_usual: bool) {
        self.0 = if is_usual { 0 } else { self.0 + 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_tried_in_a_long_streak_and_all_after_it() {
        /// The numbers of the records that are tried, of which those of `usual` are usual ones.
        fn tried(records: usize, usual: std::ops::Range<usize>) -> Vec<usize> {
            let mut streak = UnusualStreak::default();
            let mut try_next = |number: usize| {
                let is_tried = streak.is_worth_a_try();
                streak.note(is_tried && usual.contains(&number));
                is_tried
            };
            (0..records).filter(|number| try_next(*number)).collect()
        }
        let streak: Vec<usize> = (0..=61).chain([122, 183]).collect();
        assert_eq!(tried(200, 0..0), streak);
        // The first that is tried again is usual, and so are those after it.
        let ended: Vec<usize> = (0..=61).chain(122..200).collect();
        assert_eq!(tried(200, 100..200), ended);
    }
}
