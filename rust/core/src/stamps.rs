//! Stamps: what distinguishes the entry of a task's present arming from those of former ones.
//!
//! A removal leaves its entry where it is. The entry is dead because the record no longer carries
//! its stamp. That is sound only if a slot never gets a stamp again while an entry of it with that
//! stamp is still in some list, dead or alive: such an entry would come back to life. Stamps have
//! 32 bits, and at a million armings a second they come again after 72 minutes, while a dead entry
//! in a bucket of a far year may stay for years. An equal deadline proves nothing either: tasks are
//! often given the same time again.
//!
//! So no entry may grow old. Let a quarter be a fourth of all stamps. Each time that a quarter of
//! them has been drawn, a *sweep* begins. It looks at each entry of each list once, drops the dead
//! and gives those of the living that are older than a quarter a new stamp, in the entry and in the
//! record. It goes on a piece at a time with the armings, and is over before the next one begins.
//!
//! Why that suffices. Count time in stamps drawn, and let an entry be made at time b. The first
//! sweep to begin at b or later begins before b + 1 quarter, and the one after it at b + 1 quarter
//! or later and before b + 2 quarters. The latter finds the entry at least a quarter old, drops or
//! renews it, and is over before b + 3 quarters. So at any time every entry is younger than three
//! quarters of all stamps, and two entries with one stamp would be four quarters apart.
//!
//! Why a sweep misses none. Entries move one way: from an upper level of the wheel to a lower one,
//! from there to the front, and from there to the ready queue. The sweep takes the lists in that
//! order, so what moves from a list that it has yet to look at moves to another such list. A new
//! entry may be missed, and is young. Within a list it is a pass of compaction, from head to tail,
//! and so goes on when the list itself is compacted meanwhile.
//!
//! Why renewing is safe. The new stamp is the last one drawn, for whichever task. The task has
//! had its entry for longer than that, so neither a living nor a dead entry of its slot has it; and
//! the next arming of the slot draws a later one.
//!
//! What it costs. Nothing per timer: not a byte, and one comparison at each arming. A sweep of ten
//! million entries takes about a fifth of a second in all, in pieces of two chunks, spread over
//! hundreds of millions of armings.
//!
//! Stamp 0 is never drawn: it stands in records that have no entry.

/// The last stamp; the next one is 1.
#[cfg(not(feature = "tiny-stamps"))]
pub(crate) const LAST_STAMP: u32 = u32::MAX;
/// The last stamp, small enough for a test to come round to the first one all the time.
#[cfg(feature = "tiny-stamps")]
pub(crate) const LAST_STAMP: u32 = (1 << 9) - 1;

/// No stamp: the record has no entry.
pub(crate) const NO_STAMP: u32 = 0;

/// From one sweep to the next, in stamps.
const QUARTER: u64 = (LAST_STAMP as u64 + 1) / 4;

/// Armings between two pieces of a sweep, at most: so many entries can be added before the pace is
/// computed again.
const LONGEST_GAP: u64 = 4096;

/// The counter of stamps, and when the next piece of a sweep is due.
pub(crate) struct Stamps {
    /// Stamps drawn so far, those skipped included: the low bits are the last stamp.
    drawn: u64,
    /// When so many are drawn, a piece of a sweep is due.
    next_piece: u64,
    /// When so many are drawn, the next sweep begins.
    next_sweep: u64,
}

impl Stamps {
    pub(crate) const fn new() -> Self {
        Self { drawn: 0, next_piece: QUARTER, next_sweep: QUARTER }
    }

    /// The next stamp. O(1).
    #[inline]
    pub(crate) fn draw(&mut self) -> u32 {
        self.drawn += 1;
        let stamp = self.drawn as u32 & LAST_STAMP;
        if stamp == NO_STAMP {
            self.drawn += 1;
            return 1;
        }
        stamp
    }

    /// Whether a stamp was drawn at least a quarter ago. Only for stamps of entries in lists, which
    /// are younger than three quarters.
    #[inline]
    pub(crate) const fn is_old(&self, stamp: u32) -> bool {
        let age = (self.drawn as u32).wrapping_sub(stamp) & LAST_STAMP;
        age as u64 >= QUARTER
    }

    /// Whether a stamp was drawn three quarters ago or earlier, as none in a list may be.
    #[cfg(any(test, feature = "check-invariants"))]
    pub(crate) const fn is_too_old(&self, stamp: u32) -> bool {
        let age = (self.drawn as u32).wrapping_sub(stamp) & LAST_STAMP;
        age as u64 >= 3 * QUARTER
    }

    /// Whether a piece of a sweep is due. O(1).
    #[inline]
    pub(crate) const fn is_piece_due(&self) -> bool {
        self.drawn >= self.next_piece
    }

    /// Whether the time for the sweep that goes on is up, and the next one is due.
    pub(crate) const fn is_sweep_due(&self) -> bool {
        self.drawn >= self.next_sweep
    }

    /// The last stamp drawn, which entries of living tasks are renewed to.
    #[inline]
    pub(crate) const fn last(&self) -> u32 {
        self.drawn as u32 & LAST_STAMP
    }

    /// Notes that a sweep begins.
    pub(crate) fn begin_sweep(&mut self) {
        self.next_sweep = self.drawn + QUARTER;
    }

    /// Sets when the next piece is due, if a sweep of at most so many pieces is to be over in good
    /// time; with no piece left, when the next sweep begins.
    pub(crate) fn schedule_piece(&mut self, pieces: u64) {
        let left = self.next_sweep.saturating_sub(self.drawn);
        self.next_piece = match left.checked_div(2 * pieces) {
            Some(gap) => self.drawn + gap.clamp(1, LONGEST_GAP).min(left),
            None => self.next_sweep,
        };
    }
}

#[cfg(all(test, not(feature = "tiny-stamps")))]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_is_over_before_the_next_one_though_the_load_grows_with_each_arming() {
        for entries in [0, 1_000, 10_000_000, 100_000_000] {
            let mut stamps = Stamps::new();
            stamps.drawn = QUARTER;
            assert!(stamps.is_piece_due() && stamps.is_sweep_due());
            stamps.begin_sweep();
            // A piece looks at 31 entries at least; each arming adds one.
            let (mut entries, mut seen) = (entries, 0);
            while seen < entries {
                let before = stamps.drawn;
                stamps.schedule_piece(1 + entries / 31);
                stamps.drawn = stamps.next_piece;
                assert!(!stamps.is_sweep_due(), "{seen} of {entries}");
                entries += stamps.drawn - before;
                seen += 31;
            }
        }
    }

    #[test]
    fn stamps_come_round_without_the_one_that_means_none() {
        let mut stamps = Stamps::new();
        stamps.drawn = u64::from(LAST_STAMP) - 1;
        assert_eq!([stamps.draw(), stamps.draw(), stamps.draw()], [LAST_STAMP, 1, 2]);
        assert!(!stamps.is_old(LAST_STAMP));
        stamps.drawn += QUARTER;
        assert!(stamps.is_old(2) && stamps.is_old(LAST_STAMP));
    }
}
