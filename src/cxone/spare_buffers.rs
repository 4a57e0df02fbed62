//! Buffers of bodies, used again: a report's pages are of one size, and memory that is fresh from the system costs more
//! than filling it.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::settings::limits::IN_FLIGHT_BYTES;

/// Buffers that wait for a body; clones share them. There are never more than were in use at the same time.
#[derive(Clone, Debug, Default)]
pub(super) struct SpareBuffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// A body's bytes, whose buffer is a spare one again once nobody holds them.
struct Lent {
    buffer: Vec<u8>,
    spares: SpareBuffers,
}

impl SpareBuffers {
    /// An empty buffer: with room for so many bytes, or the largest that there is where nobody knows how many come.
    pub(super) fn take(&self, bytes: Option<usize>) -> Vec<u8> {
        let mut spares = self.lock();
        let by_capacity = |index: &usize| spares[*index].capacity();
        let largest = (0..spares.len()).max_by_key(by_capacity);
        let Some(bytes) = bytes else {
            return largest.map_or_else(Vec::new, |index| spares.swap_remove(index));
        };
        let fitting = (0..spares.len()).filter(|index| by_capacity(index) >= bytes).min_by_key(by_capacity);
        if let Some(index) = fitting {
            return spares.swap_remove(index);
        }
        // In the place of one that is too small, and with room for a page that is a little longer.
        if let Some(index) = largest {
            spares.swap_remove(index);
        }
        Vec::with_capacity(bytes + bytes / 8)
    }

    /// What a buffer holds, to be shared.
    pub(super) fn share(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, spares: self.clone() })
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spares = self.lock();
        spares.push(buffer);
        // The largest fit the most bodies.
        spares.sort_unstable_by_key(|spare| Reverse(spare.capacity()));
        let mut bytes = 0;
        spares.retain(|spare| {
            bytes += spare.capacity() as u64;
            bytes <= IN_FLIGHT_BYTES
        });
    }

    /// Buffers are whole whenever a thread ends.
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.spares.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacities(spares: &SpareBuffers) -> Vec<usize> {
        spares.lock().iter().map(Vec::capacity).collect()
    }

    #[test]
    fn a_buffer_is_used_again_once_nobody_holds_its_bytes() {
        let spares = SpareBuffers::default();
        let mut buffer = spares.take(Some(800));
        buffer.extend_from_slice(b"page");
        let body = spares.share(buffer);
        let slice = body.slice(1..3);
        drop(body);
        assert_eq!((slice.as_ref(), capacities(&spares)), (&b"ag"[..], vec![]));
        drop(slice);
        assert_eq!(capacities(&spares), [900]);
        let again = spares.take(Some(900));
        assert_eq!((again.len(), again.capacity(), capacities(&spares)), (0, 900, vec![]));
    }

    #[test]
    fn the_smallest_that_fits_is_taken_and_one_that_is_too_small_is_replaced() {
        fn check(bytes: Option<usize>, taken: usize, left: &[usize]) {
            let spares = SpareBuffers::default();
            for capacity in [160, 80, 240] {
                spares.give_back(Vec::with_capacity(capacity));
            }
            assert_eq!(spares.take(bytes).capacity(), taken, "{bytes:?}");
            let mut capacities = capacities(&spares);
            capacities.sort_unstable();
            assert_eq!(capacities, left, "{bytes:?}");
        }
        check(Some(10), 80, &[160, 240]);
        check(Some(100), 160, &[80, 240]);
        check(Some(240), 240, &[80, 160]);
        check(Some(800), 900, &[80, 160]);
        check(None, 240, &[80, 160]);
        assert_eq!(SpareBuffers::default().take(None).capacity(), 0);
    }

    #[test]
    fn what_waits_is_bounded_and_the_largest_stay() {
        let spares = SpareBuffers::default();
        let quarter = usize::try_from(IN_FLIGHT_BYTES).unwrap() / 4;
        for buffer in [10, quarter, quarter, quarter, quarter, quarter, 10, 2 * quarter] {
            spares.give_back(Vec::with_capacity(buffer));
        }
        assert_eq!(capacities(&spares), [2 * quarter, quarter, quarter]);
    }
}
