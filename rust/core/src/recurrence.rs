//! When a task is due next: fixed rate, fixed delay, calendars, bounds, jitter, and the rule for
//! late work.
//!
//! Occurrence k of a fixed-rate task is due at anchor + k × interval, exactly and always: the next
//! time is computed from the last nominal time, never from a clock, so nothing drifts. Nothing here
//! walks over occurrences: what to do about a billion missed ones costs one division on a grid, and
//! a count of months on a calendar.
//!
//! # Nominal and due
//!
//! An occurrence has a *nominal* time, a point of its grid or calendar, and is *due* at that time
//! or a little after it: by the task's offset in its window, and by its jitter. Both are functions of
//! the task and the nominal time, so a forecast can compute them. They never delay an occurrence to
//! the next one or past the end, and they do not move the grid.

mod judging;
mod set_back;

use std::sync::Arc;

pub(crate) use judging::{JUDGE_LOOKS, Judging};
pub use set_back::WallStep;

use crate::calendar::Calendar;
use crate::time::{FAR_FUTURE, Nanos, SECOND_NS, after};

/// Looks at parts of a calendar to count the occurrences that a run has overlapped. Beyond it the
/// count says "so many or more"; with two parts that is after 256 occurrences.
pub const SKIPPED_LOOKS: u64 = 512;

/// How the next time follows from the last.
#[derive(Clone, Debug)]
pub enum Repeat {
    /// One occurrence only.
    Once,
    /// Every so many nanoseconds on a grid that late runs do not move.
    FixedRate(Nanos),
    /// So many nanoseconds after the last run ended.
    FixedDelay(Nanos),
    /// Whenever a calendar says so; its moments are those of the wall clock.
    Calendar(Arc<Calendar>),
}

impl PartialEq for Repeat {
    /// Calendars are equal if they are the same one.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Once, Self::Once) => true,
            (Self::FixedRate(one), Self::FixedRate(other))
            | (Self::FixedDelay(one), Self::FixedDelay(other)) => one == other,
            (Self::Calendar(one), Self::Calendar(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Repeat {}

/// Which of several overdue occurrences runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Misfire {
    /// The latest, once.
    #[default]
    Latest,
    /// The earliest, once.
    Earliest,
    /// Every one of them, one after another.
    All,
    /// None of them if there are several, or if the only one is later than the grace.
    Skip,
}

/// The grace of a recurring task whose overdue occurrences are skipped and that has no other.
pub const SKIP_GRACE_NS: Nanos = 60 * SECOND_NS;

/// The timing of a task that is not a plain one-shot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recurrence {
    /// How the next time follows from the last.
    pub repeat: Repeat,
    /// No occurrence is due before this moment of the wall. The first time of a task respects it
    /// anyway: it counts when the wall clock is set back by hours, and times are computed anew.
    pub start: Nanos,
    /// No occurrence is due after this moment; it is itself allowed.
    pub end: Nanos,
    /// Runs that may start; `u64::MAX` for no bound.
    pub max_runs: u64,
    /// What happens to overdue occurrences.
    pub misfire: Misfire,
    /// How late an occurrence may start; later than this, it is missed. [`FAR_FUTURE`] is no bound,
    /// but for recurring tasks under [`Misfire::Skip`], which then have [`SKIP_GRACE_NS`].
    pub grace: Nanos,
    /// Under [`Misfire::All`], the most overdue occurrences that run; the oldest are missed.
    pub catch_up_limit: u64,
    /// Each occurrence is delayed by a random span of up to this one, another each time.
    pub jitter: Nanos,
    /// All occurrences are delayed by one span of up to this one, to where little else is due.
    pub window: Nanos,
    /// Its moments are those of the wall clock, and follow when that is set.
    pub on_wall: bool,
}

impl Default for Recurrence {
    fn default() -> Self {
        Self::ONCE
    }
}

/// What the late-work rule decides about an occurrence that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Run the occurrence of this nominal time; so many others are given up.
    Run {
        /// When the occurrence that runs was due.
        nominal: Nanos,
        /// How many others are given up.
        missed: u64,
    },
    /// Run none.
    Miss {
        /// How many are given up.
        missed: u64,
        /// The next occurrence, if there is one.
        next: Option<Nanos>,
    },
}

/// The occurrences of one task: its recurrence, its offset in the window, and its seed for jitter.
#[derive(Clone, Copy, Debug)]
pub struct Occurrences<'a> {
    /// What was asked for.
    pub recurrence: &'a Recurrence,
    /// By how much all occurrences are delayed, within the window.
    pub window_offset: Nanos,
    /// What the jitter is drawn from, beside the nominal time.
    pub seed: u64,
}

impl Recurrence {
    /// One occurrence, however late, on the clock that never steps.
    pub(crate) const ONCE: Self = Self {
        repeat: Repeat::Once,
        start: 0,
        end: FAR_FUTURE,
        max_runs: u64::MAX,
        misfire: Misfire::Latest,
        grace: FAR_FUTURE,
        catch_up_limit: u64::MAX,
        jitter: 0,
        window: 0,
        on_wall: false,
    };

    /// How late an occurrence may start.
    pub(crate) const fn effective_grace(&self) -> Nanos {
        match (self.misfire, self.grace, &self.repeat) {
            (_, _, Repeat::Once) => self.grace,
            (Misfire::Skip, FAR_FUTURE, _) => SKIP_GRACE_NS,
            _ => self.grace,
        }
    }

    /// The occurrences of a task at the start of its window, with the seed 0.
    pub const fn occurrences(&self) -> Occurrences<'_> {
        Occurrences { recurrence: self, window_offset: 0, seed: 0 }
    }
}

/// How many looks at parts of a calendar one lock hold may still take.
pub(crate) struct Looks(pub(crate) u64);

impl Looks {
    /// Looks at a calendar if there is a look left, and takes off what that needed.
    fn at<R>(&mut self, look: impl FnOnce(&mut u64) -> R) -> Option<R> {
        if self.0 == 0 {
            return None;
        }
        let mut used = 0;
        let found = look(&mut used);
        self.0 = self.0.saturating_sub(used);
        Some(found)
    }
}

impl Occurrences<'_> {
    /// When the occurrence of a nominal time is due: not before it, before the next one, and not
    /// after the end. O(1), or one look at the calendar.
    pub fn due(&self, nominal: Nanos) -> Nanos {
        let recurrence = self.recurrence;
        if self.window_offset == 0 && recurrence.jitter == 0 {
            return nominal;
        }
        let next = match recurrence.repeat {
            Repeat::Once | Repeat::FixedDelay(_) => FAR_FUTURE,
            _ => self.step(nominal).unwrap_or(FAR_FUTURE),
        };
        let last = self.last_allowed().min(next - 1).max(nominal);
        let placed = after(nominal, self.window_offset).min(last);
        let room = recurrence.jitter.min(last - placed);
        placed + draw(self.seed, nominal, room)
    }

    /// Decides about the occurrence of `nominal` and those after it that are due by `now`. O(1) on a
    /// grid; on a calendar a count of months, or of up to [`crate::calendar::COUNT_LIMIT`] occurrences.
    pub fn judge(&self, nominal: Nanos, now: Nanos) -> Verdict {
        let mut judging = self.begin_judging(nominal, now);
        loop {
            if let Some(verdict) = self.judge_piece(&mut judging, &mut Looks(u64::MAX)) {
                return verdict;
            }
        }
    }

    /// The occurrence after a run, and how many were skipped because they fell due while it ran.
    ///
    /// `nominal` and `started` are those of the run that ended at `ended`.
    pub fn next(&self, nominal: Nanos, started: Nanos, ended: Nanos) -> (Option<Nanos>, u64) {
        match self.recurrence.repeat {
            Repeat::Once => (None, 0),
            Repeat::FixedDelay(delay) => (self.within_end(after(ended, delay)), 0),
            _ if self.recurrence.misfire == Misfire::All => (self.step_within_end(nominal), 0),
            _ => {
                // What was due by the start has been judged already.
                let judged = self.last_due_by(nominal, started.max(nominal));
                match self.step_within_end(judged) {
                    Some(first) => self.pass_over(first, ended),
                    None => (None, 0),
                }
            }
        }
    }

    /// The occurrence that follows a run by hand from `started` to `ended`, when `candidate` was to
    /// be next, and how many were skipped because they fell due while it ran. What was due before
    /// it started was not: that is late work, judged when its turn comes. Nor is a time beyond the
    /// end, which a caller must have asked for.
    pub fn resume(&self, candidate: Nanos, started: Nanos, ended: Nanos) -> (Option<Nanos>, u64) {
        let overlapped = started < candidate && candidate < ended;
        let allowed = candidate <= self.recurrence.end;
        if self.is_series() && self.recurrence.misfire != Misfire::All && overlapped && allowed {
            self.pass_over(candidate, ended)
        } else {
            (Some(candidate), 0)
        }
    }

    /// The first allowed occurrence from `first` on that is due at `ended` or later, and how many
    /// allowed ones are due before, up to about [`SKIPPED_LOOKS`] where they are counted one by one.
    fn pass_over(&self, first: Nanos, ended: Nanos) -> (Option<Nanos>, u64) {
        if self.due(first) >= ended {
            return (Some(first), 0);
        }
        match self.first_due_from(first, ended).and_then(|next| self.within_end(next)) {
            Some(next) => (Some(next), self.bounded_steps(first, next)),
            None => {
                let last = self.last_by(first, self.last_allowed());
                (None, self.bounded_steps(first, last) + 1)
            }
        }
    }

    /// At the end of the axis there is no occurrence any more.
    fn last_allowed(&self) -> Nanos {
        self.recurrence.end.min(FAR_FUTURE - 1)
    }

    fn within_end(&self, moment: Nanos) -> Option<Nanos> {
        (moment <= self.last_allowed()).then_some(moment)
    }

    fn step_within_end(&self, nominal: Nanos) -> Option<Nanos> {
        self.step(nominal).and_then(|next| self.within_end(next))
    }

    // ---- grids and calendars, as one ---------------------------------------------------------

    const fn is_series(&self) -> bool {
        matches!(self.recurrence.repeat, Repeat::FixedRate(_) | Repeat::Calendar(_))
    }

    /// The occurrence after one.
    pub(crate) fn step(&self, nominal: Nanos) -> Option<Nanos> {
        match &self.recurrence.repeat {
            Repeat::FixedRate(interval) => Some(after(nominal, *interval)),
            Repeat::Calendar(calendar) => calendar.next_after(nominal),
            Repeat::Once | Repeat::FixedDelay(_) => None,
        }
        .filter(|next| *next < FAR_FUTURE)
    }

    /// How many steps lead from one occurrence to another that is not before it.
    pub(crate) fn steps(&self, from: Nanos, to: Nanos) -> u64 {
        match &self.recurrence.repeat {
            Repeat::FixedRate(interval) => (to - from) / interval,
            Repeat::Calendar(calendar) if to > from => calendar.count(from, to),
            _ => 0,
        }
    }

    /// The calendar whose occurrences have to be counted one by one, if it is such a one.
    fn counted_calendar(&self) -> Option<&Calendar> {
        match &self.recurrence.repeat {
            Repeat::Calendar(calendar) if !calendar.counts_in_closed_form() => Some(calendar),
            _ => None,
        }
    }

    /// As [`Occurrences::steps`], in bounded time: see [`SKIPPED_LOOKS`].
    fn bounded_steps(&self, from: Nanos, to: Nanos) -> u64 {
        let Some(calendar) = self.counted_calendar() else { return self.steps(from, to) };
        let (mut looks, mut at, mut steps) = (Looks(SKIPPED_LOOKS), from, 0);
        while let Some(Some(next)) = looks.at(|used| calendar.next_after_counted(at, used)) {
            if next > to {
                break;
            }
            (at, steps) = (next, steps + 1);
        }
        steps
    }

    /// The last occurrence that is not after `limit`; at least `from`.
    pub(crate) fn last_by(&self, from: Nanos, limit: Nanos) -> Nanos {
        match &self.recurrence.repeat {
            Repeat::FixedRate(interval) => from + limit.saturating_sub(from) / interval * interval,
            Repeat::Calendar(calendar) if limit > from => {
                calendar.last_by(limit).map_or(from, |last| last.max(from))
            }
            _ => from,
        }
    }

    /// The last occurrence that is due by `limit`; at least `from`.
    fn last_due_by(&self, from: Nanos, limit: Nanos) -> Nanos {
        let last = self.last_by(from, limit);
        if last > from && self.due(last) > limit { self.last_by(from, last - 1) } else { last }
    }

    /// The first occurrence from `from` on that is not before `moment`.
    fn first_from(&self, from: Nanos, moment: Nanos) -> Option<Nanos> {
        if from >= moment {
            return Some(from);
        }
        match &self.recurrence.repeat {
            Repeat::FixedRate(interval) => {
                let steps = (moment - from).div_ceil(*interval);
                Some(after(from, steps.saturating_mul(*interval))).filter(|at| *at < FAR_FUTURE)
            }
            Repeat::Calendar(calendar) => calendar.next_after(moment - 1),
            Repeat::Once | Repeat::FixedDelay(_) => None,
        }
    }

    /// The first occurrence from `from` on that is due at `moment` or later.
    fn first_due_from(&self, from: Nanos, moment: Nanos) -> Option<Nanos> {
        if self.due(from) >= moment {
            return Some(from);
        }
        // An occurrence is due before the next one, so only the one before can be meant, too.
        let before = self.last_by(from, moment);
        if before > from && self.due(before) >= moment {
            return Some(before);
        }
        self.first_from(from, moment)
    }
}

/// A number from 0 to `greatest`, the same for the same seed and moment, and uniform over those.
pub(crate) fn draw(seed: u64, moment: Nanos, greatest: Nanos) -> Nanos {
    // SplitMix64, from its public description.
    let mut mixed = seed ^ moment.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    ((u128::from(mixed) * (u128::from(greatest) + 1)) >> 64) as Nanos
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::{Dst, Part, Rule, Zone};

    fn every(interval: Nanos) -> Recurrence {
        Recurrence { repeat: Repeat::FixedRate(interval), ..Recurrence::default() }
    }

    fn with(misfire: Misfire) -> Recurrence {
        Recurrence { misfire, ..every(10) }
    }

    fn judge(recurrence: &Recurrence, nominal: Nanos, now: Nanos) -> Verdict {
        recurrence.occurrences().judge(nominal, now)
    }

    fn next(
        recurrence: &Recurrence,
        nominal: Nanos,
        started: Nanos,
        ended: Nanos,
    ) -> (Option<Nanos>, u64) {
        recurrence.occurrences().next(nominal, started, ended)
    }

    #[test]
    fn on_time_every_word_runs_the_occurrence() {
        for misfire in [Misfire::Latest, Misfire::Earliest, Misfire::All, Misfire::Skip] {
            for now in [100, 109] {
                let expected = Verdict::Run { nominal: 100, missed: 0 };
                assert_eq!(judge(&with(misfire), 100, now), expected);
            }
        }
    }

    #[test]
    fn the_words_for_late_work() {
        let run = |nominal, missed| Verdict::Run { nominal, missed };
        assert_eq!(judge(&with(Misfire::Latest), 100, 135), run(130, 3));
        assert_eq!(judge(&with(Misfire::Earliest), 100, 135), run(100, 3));
        assert_eq!(judge(&with(Misfire::All), 100, 135), run(100, 0));
        let skipped = Verdict::Miss { missed: 4, next: Some(140) };
        assert_eq!(judge(&with(Misfire::Skip), 100, 135), skipped);
    }

    #[test]
    fn what_is_skipped_has_a_grace_of_a_minute_unless_told() {
        let minute = 60 * SECOND_NS;
        let hourly = Recurrence { misfire: Misfire::Skip, ..every(60 * minute) };
        let run = Verdict::Run { nominal: 100, missed: 0 };
        let missed = Verdict::Miss { missed: 1, next: Some(100 + 60 * minute) };
        assert_eq!(judge(&hourly, 100, 100 + minute), run);
        assert_eq!(judge(&hourly, 100, 101 + minute), missed);
        let patient = Recurrence { grace: 2 * minute, ..hourly };
        assert_eq!(judge(&patient, 100, 100 + 2 * minute), run);
        assert_eq!(judge(&patient, 100, 101 + 2 * minute), missed);
        let delayed = Recurrence { repeat: Repeat::FixedDelay(7), ..with(Misfire::Skip) };
        let expected = Verdict::Miss { missed: 1, next: Some(108 + minute) };
        assert_eq!(judge(&delayed, 100, 101 + minute), expected);
        // A one-shot always runs, unless it has been given a grace.
        let once = Recurrence { repeat: Repeat::Once, ..with(Misfire::Skip) };
        assert_eq!(judge(&once, 100, FAR_FUTURE - 1), run);
    }

    #[test]
    fn grace_and_catch_up_limit() {
        let latest = Recurrence { grace: 4, ..every(10) };
        assert_eq!(judge(&latest, 100, 134), Verdict::Run { nominal: 130, missed: 3 });
        assert_eq!(judge(&latest, 100, 135), Verdict::Miss { missed: 4, next: Some(140) });
        let earliest = Recurrence { grace: 15, ..with(Misfire::Earliest) };
        assert_eq!(judge(&earliest, 100, 135), Verdict::Run { nominal: 120, missed: 3 });
        let all = Recurrence { catch_up_limit: 2, ..with(Misfire::All) };
        assert_eq!(judge(&all, 100, 135), Verdict::Run { nominal: 120, missed: 2 });
        assert_eq!(next(&all, 120, 135, 136), (Some(130), 0));
        let once = Recurrence { grace: 5, ..Recurrence::default() };
        assert_eq!(judge(&once, 100, 105), Verdict::Run { nominal: 100, missed: 0 });
        assert_eq!(judge(&once, 100, 106), Verdict::Miss { missed: 1, next: None });
    }

    #[test]
    fn a_catch_up_limit_holds_where_occurrences_are_not_counted_in_closed_form() {
        // Every 10 by a union, which is counted one by one and up to a limit only.
        let grid = |anchor| Part {
            rule: Rule::Grid { anchor, interval: 20 },
            zone: Zone::utc(),
            dst: Dst::Debian,
        };
        let union = Arc::new(Calendar::new(vec![grid(0), grid(10)], None).expect("it fires"));
        for (limit, oldest) in [(1, 200_000), (3, 199_980), (500, 195_010), (20_000, 100)] {
            let all = Recurrence {
                repeat: Repeat::Calendar(union.clone()),
                catch_up_limit: limit,
                ..with(Misfire::All)
            };
            let verdict = judge(&all, 100, 200_005);
            assert!(matches!(verdict, Verdict::Run { nominal, .. } if nominal == oldest));
            // A time that was asked for counts, though the calendar does not name it.
            assert_eq!(judge(&all, 103, 105), Verdict::Run { nominal: 103, missed: 0 });
        }
        let single = Arc::new(Calendar::new(vec![grid(0)], None).expect("it fires"));
        let all = Recurrence {
            repeat: Repeat::Calendar(single),
            catch_up_limit: 15_000,
            ..with(Misfire::All)
        };
        let expected = Verdict::Run { nominal: 100_020, missed: 4_996 };
        assert_eq!(judge(&all, 100, 400_000), expected);
    }

    #[test]
    fn a_judgement_in_pieces_is_that_in_one() {
        let grid = |anchor, interval| Part {
            rule: Rule::Grid { anchor, interval },
            zone: Zone::utc(),
            dst: Dst::Debian,
        };
        let union = Calendar::new(vec![grid(0, 20), grid(10, 70)], None).expect("it fires");
        let union = Arc::new(union);
        for misfire in [Misfire::Latest, Misfire::Earliest, Misfire::All, Misfire::Skip] {
            for (grace, limit) in [(FAR_FUTURE, 1), (9_000, 300), (FAR_FUTURE, 20_000), (0, 5)] {
                let recurrence = Recurrence {
                    repeat: Repeat::Calendar(union.clone()),
                    grace,
                    catch_up_limit: limit,
                    ..with(misfire)
                };
                let occurrences = recurrence.occurrences();
                for now in [100, 105, 5_000, 50_005, 500_000] {
                    let mut judging = occurrences.begin_judging(100, now);
                    let mut pieces = 0;
                    let verdict = loop {
                        let verdict = occurrences.judge_piece(&mut judging, &mut Looks(100));
                        pieces += 1;
                        if let Some(verdict) = verdict {
                            break verdict;
                        }
                    };
                    assert_eq!(verdict, occurrences.judge(100, now));
                    let steps = union.count(100, now);
                    assert!(steps < 200 || limit > 10_000 || pieces > 2, "{pieces} pieces");
                }
            }
        }
    }

    #[test]
    fn the_end_is_inclusive_and_bounds_what_counts_as_missed() {
        let bounded = Recurrence { end: 120, ..every(10) };
        assert_eq!(judge(&bounded, 100, 1_000), Verdict::Run { nominal: 120, missed: 2 });
        assert_eq!(next(&bounded, 110, 110, 111), (Some(120), 0));
        assert_eq!(next(&bounded, 120, 120, 121), (None, 0));
        assert_eq!(next(&bounded, 100, 100, 1_000), (None, 2));
    }

    #[test]
    fn a_run_that_overlaps_the_next_times_skips_them_and_keeps_the_grid() {
        assert_eq!(next(&every(10), 100, 101, 105), (Some(110), 0));
        assert_eq!(next(&every(10), 100, 101, 110), (Some(110), 0));
        assert_eq!(next(&every(10), 100, 101, 111), (Some(120), 1));
        assert_eq!(next(&every(10), 100, 101, 135), (Some(140), 3));
    }

    #[test]
    fn fixed_delay_counts_from_completion() {
        let delayed = Recurrence { repeat: Repeat::FixedDelay(7), ..Recurrence::default() };
        assert_eq!(next(&delayed, 100, 150, 160), (Some(167), 0));
    }

    #[test]
    fn a_billion_runs_do_not_drift_and_a_billion_misses_cost_one_division() {
        let third = every(333_333_333);
        let k = 1_000_000_000;
        let nominal = 17 + k * 333_333_333;
        assert_eq!(next(&third, nominal, nominal + 5, nominal + 9).0, Some(nominal + 333_333_333));
        assert_eq!(judge(&third, 17, nominal + 1), Verdict::Run { nominal, missed: k });
    }

    #[test]
    fn jitter_fills_its_span_and_reaches_neither_the_next_occurrence_nor_the_end() {
        for (jitter, expected) in [(4, 0..=4), (9, 0..=9), (50, 0..=9)] {
            let recurrence = Recurrence { jitter, end: 1_000_004, ..every(10) };
            let occurrences = Occurrences { seed: 7, ..recurrence.occurrences() };
            let mut seen = [false; 10];
            for nominal in (0..1_000_000).step_by(10) {
                let shift = occurrences.due(nominal) - nominal;
                assert!(expected.contains(&shift), "{shift} with a jitter of {jitter}");
                seen[shift as usize] = true;
            }
            assert_eq!(seen.iter().filter(|seen| **seen).count(), expected.count());
            assert!(occurrences.due(1_000_000) <= 1_000_004);
        }
        let (one, other) = (draw(1, 100, 1 << 40), draw(2, 100, 1 << 40));
        assert_ne!(one, other);
        assert_eq!(draw(1, 100, u64::MAX), draw(1, 100, u64::MAX));
    }

    #[test]
    fn late_work_is_judged_by_when_it_was_due() {
        let placed = every(10);
        let occurrences = Occurrences { window_offset: 6, ..placed.occurrences() };
        assert_eq!(occurrences.due(100), 106);
        assert_eq!(occurrences.judge(100, 106), Verdict::Run { nominal: 100, missed: 0 });
        assert_eq!(occurrences.judge(100, 115), Verdict::Run { nominal: 100, missed: 0 });
        assert_eq!(occurrences.judge(100, 116), Verdict::Run { nominal: 110, missed: 1 });
        // The occurrence of 110 is due at 116, when the run is over.
        assert_eq!(occurrences.next(100, 106, 115), (Some(110), 0));
        assert_eq!(occurrences.next(100, 106, 117), (Some(120), 1));
        let strict = Recurrence { grace: 3, ..every(10) };
        let occurrences = Occurrences { window_offset: 6, ..strict.occurrences() };
        assert_eq!(occurrences.judge(100, 109), Verdict::Run { nominal: 100, missed: 0 });
        assert_eq!(occurrences.judge(100, 110), Verdict::Miss { missed: 1, next: Some(110) });
    }
}
