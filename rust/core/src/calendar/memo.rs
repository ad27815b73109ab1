//! A cache of the last answer.
//!
//! Between two occurrences the next one is always the same. Of a hundred thousand tasks that share
//! a calendar and are armed again at the same moment, one computes; the others find its answer.
//!
//! A sequence lock: a writer makes the sequence odd, writes, and makes it even again; a reader
//! believes what it read if the sequence was even and has not changed meanwhile. Nobody waits: a
//! reader that cannot read computes the answer, and a writer that cannot write leaves it out.

use crate::sync::atomic::{AtomicU64, Ordering, fence};
use crate::time::Nanos;

/// One known answer: from a moment on, and until it comes, an occurrence is the next.
#[derive(Debug, Default)]
pub(super) struct Memo {
    sequence: AtomicU64,
    /// The moment asked about. It starts at 0, as `next` does, which is an answer to nothing.
    moment: AtomicU64,
    next: AtomicU64,
}

impl Memo {
    /// The occurrence after `moment`, if that is known. A few nanoseconds.
    pub fn get(&self, moment: Nanos) -> Option<Nanos> {
        let before = self.sequence.load(Ordering::Acquire);
        let asked = self.moment.load(Ordering::Relaxed);
        let next = self.next.load(Ordering::Relaxed);
        // No load above may be taken after the one below.
        fence(Ordering::Acquire);
        let whole = before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before;
        (whole && asked <= moment && moment < next).then_some(next)
    }

    /// Keeps an answer, unless somebody else is keeping one right now.
    pub fn put(&self, moment: Nanos, next: Nanos) {
        let before = self.sequence.load(Ordering::Relaxed);
        let free = before.is_multiple_of(2)
            && self
                .sequence
                .compare_exchange(before, before + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        if free {
            // No store below may be seen before the odd number is.
            fence(Ordering::Release);
            self.moment.store(moment, Ordering::Relaxed);
            self.next.store(next, Ordering::Relaxed);
            self.sequence.store(before + 2, Ordering::Release);
        }
    }
}

// Under loom atomics work in its models only; `tests/loom.rs` has one for the memo.
#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn answers_from_the_moment_asked_until_the_next() {
        let memo = Memo::default();
        assert_eq!(memo.get(0), None);
        memo.put(10, 20);
        assert_eq!([9, 10, 19, 20].map(|at| memo.get(at)), [None, Some(20), Some(20), None]);
    }
}
