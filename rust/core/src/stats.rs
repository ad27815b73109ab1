//! Counters, and a histogram of lateness whose buckets are linear within each power of two.

use crate::memory::{OutOfMemory, filled};
use crate::time::Nanos;

/// Each power of two is divided into this many buckets: a quantile is exact to 1/32, about 3 %.
const SUB_BUCKETS: u64 = 32;
const SUB_BITS: u32 = SUB_BUCKETS.ilog2();
const BUCKETS: usize = ((64 - SUB_BITS + 1) * SUB_BUCKETS as u32) as usize;

/// How late runs started: counts by lateness, from 1 ns to centuries, in 15 KiB.
#[derive(Clone, Debug)]
pub struct LatenessHistogram {
    counts: Box<[u64]>,
    count: u64,
    maximum: Nanos,
}

impl LatenessHistogram {
    /// An empty one.
    pub(crate) fn new() -> Result<Self, OutOfMemory> {
        Ok(Self { counts: filled(0, BUCKETS)?, count: 0, maximum: 0 })
    }

    /// Counts one run. O(1).
    #[inline]
    pub fn record(&mut self, lateness: Nanos) {
        self.counts[Self::index(lateness)] += 1;
        self.count += 1;
        self.maximum = self.maximum.max(lateness);
    }

    /// Runs counted.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The greatest lateness, exactly; 0 when nothing was counted.
    pub const fn maximum(&self) -> Nanos {
        self.maximum
    }

    /// The buckets that hold anything, ascending: least lateness, greatest lateness, count.
    pub fn buckets(&self) -> impl Iterator<Item = (Nanos, Nanos, u64)> + '_ {
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(index, count)| {
            let (least, greatest) = Self::bounds(index);
            (least, greatest.min(self.maximum), *count)
        })
    }

    #[inline]
    const fn index(value: Nanos) -> usize {
        if value < SUB_BUCKETS {
            return value as usize;
        }
        let shift = value.ilog2() - SUB_BITS;
        (shift as u64 * SUB_BUCKETS + (value >> shift)) as usize
    }

    const fn bounds(index: usize) -> (Nanos, Nanos) {
        let index = index as u64;
        if index < 2 * SUB_BUCKETS {
            return (index, index);
        }
        let shift = index / SUB_BUCKETS - 1;
        let least = (index % SUB_BUCKETS + SUB_BUCKETS) << shift;
        (least, least + ((1 << shift) - 1))
    }
}

/// What an engine has done so far.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Tasks armed for the first time.
    pub scheduled: u64,
    /// Tasks cancelled, running ones included.
    pub cancelled: u64,
    /// Attempts at runs that were started.
    pub started: u64,
    /// Runs that ended well.
    pub completed: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Attempts that failed and were followed by another one.
    pub retried: u64,
    /// Occurrences that the late-work rule gave up.
    pub missed: u64,
    /// Occurrences that fell due while the last one ran.
    pub skipped: u64,
    /// Times that the wall clock was set, or the machine suspended.
    pub clock_changes: u64,
    /// Tasks that were given another deadline for that.
    pub rekeyed: u64,
    /// Recurring tasks whose next time was computed anew because the wall clock was set back.
    pub rearmed: u64,
    /// Overdue tasks that were delayed so that they do not all run at once.
    pub deferred: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_buckets_join() {
        let mut expected_least = 0;
        for index in 0..BUCKETS {
            let (least, greatest) = LatenessHistogram::bounds(index);
            assert_eq!(least, expected_least);
            assert_eq!(LatenessHistogram::index(least), index);
            assert_eq!(LatenessHistogram::index(greatest), index);
            assert!(greatest - least <= least / SUB_BUCKETS);
            expected_least = greatest.wrapping_add(1);
        }
        assert_eq!(expected_least, 0, "the last bucket ends at the greatest u64");
    }

    #[test]
    fn reports_what_was_recorded() {
        let mut lateness = LatenessHistogram::new().expect("memory");
        for value in [3, 3, 1_000_000] {
            lateness.record(value);
        }
        assert_eq!((lateness.count(), lateness.maximum()), (3, 1_000_000));
        let buckets: Vec<_> = lateness.buckets().collect();
        assert_eq!(buckets[0], (3, 3, 2));
        assert!(buckets[1].0 <= 1_000_000 && buckets[1].1 == 1_000_000 && buckets[1].2 == 1);
    }
}
