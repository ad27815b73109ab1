//! The load: how many recurring tasks are due in each second of the hour, to find where few are.
//!
//! A task with a flexible window asks once, when it is scheduled, and keeps its offset for life.
//! Hours are folded into one: what recurs does so by the hour or by multiples of it nearly always,
//! and a table of the whole day would cost more than it is worth.

use crate::memory::{OutOfMemory, filled};
use crate::recurrence::draw;
use crate::time::{Nanos, SECOND_NS};

const SECONDS: u64 = 3600;

/// Due times of recurring tasks, counted by second of the hour. Allocated when first counted.
#[derive(Default)]
pub(crate) struct Load {
    counts: Box<[u32]>,
}

impl Load {
    /// Gets the table, before the first task is counted. O(1).
    pub(crate) fn prepare(&mut self) -> Result<(), OutOfMemory> {
        if self.counts.is_empty() {
            self.counts = filled(0, SECONDS as usize)?;
        }
        Ok(())
    }

    /// Counts a task that is due at a moment, in a table that was got before. O(1).
    pub(crate) fn add(&mut self, due: Nanos) -> u16 {
        let second = due / SECOND_NS % SECONDS;
        self.counts[second as usize] += 1;
        second as u16
    }

    /// Takes back what `add` answered. O(1).
    pub(crate) fn remove(&mut self, second: u16) {
        self.counts[second as usize] -= 1;
    }

    /// A span up to `window` after `nominal` at which least is due. At most 3,600 looks.
    pub(crate) fn choose_offset(&self, nominal: Nanos, window: Nanos, seed: u64) -> Nanos {
        let whole = window / SECOND_NS;
        if self.counts.is_empty() || whole == 0 {
            return draw(seed, nominal, window);
        }
        let candidates = (whole + 1).min(SECONDS);
        // The search starts at a second drawn for each task, so that equal tasks spread out.
        let start = draw(seed, 1, candidates - 1);
        let second = (start..candidates)
            .chain(0..start)
            .min_by_key(|second| self.counts[((nominal / SECOND_NS + second) % SECONDS) as usize])
            .unwrap_or(0);
        let hours = draw(seed, 2, (whole - second) / SECONDS);
        let placed = (second + hours * SECONDS) * SECOND_NS;
        placed + draw(seed, 3, (window - placed).min(SECOND_NS - 1))
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.counts.len() * size_of::<u32>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Nanos = 60 * SECOND_NS;

    #[test]
    fn windows_fill_evenly_and_are_kept() {
        let mut load = Load::default();
        assert_eq!(load.prepare(), Ok(()));
        for task in 0..600 {
            let offset = load.choose_offset(5 * MINUTE, 10 * MINUTE - 1, task);
            assert!(offset < 10 * MINUTE);
            load.add(5 * MINUTE + offset);
        }
        let (least, most) = (load.counts[300..900].iter().min(), load.counts.iter().max());
        assert_eq!((least, most), (Some(&1), Some(&1)));
    }

    #[test]
    fn what_is_taken_is_avoided_and_what_is_given_back_is_used() {
        let mut load = Load::default();
        assert_eq!(load.prepare(), Ok(()));
        let seconds: Vec<u16> = (0..60).map(|second| load.add(second * SECOND_NS)).collect();
        assert!(load.choose_offset(0, MINUTE, 9) >= MINUTE);
        load.remove(seconds[17]);
        assert_eq!(load.choose_offset(0, MINUTE - 1, 9) / SECOND_NS, 17);
    }

    #[test]
    fn no_offset_leaves_its_window() {
        let mut load = Load::default();
        assert_eq!(load.prepare(), Ok(()));
        load.add(0);
        for window in [0, 1, SECOND_NS - 1, SECOND_NS, 90 * MINUTE, 3000 * MINUTE] {
            assert!((0..99).all(|seed| load.choose_offset(7 * MINUTE + 3, window, seed) <= window));
        }
    }
}
