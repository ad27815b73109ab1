//! The load to come: how many runs fall into each second ahead, counted without running anything.
//!
//! Tasks with the same timing are counted together, a calendar's occurrences are computed once for
//! all tasks that share it, and several occurrences within a second are counted by a division. A
//! hundred thousand tasks over a day cost about as many steps as they have distinct occurrences, and
//! four bytes of memory for each second ahead.
//!
//! Counting is done in pieces, so that the caller can look for an interrupt between them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::calendar::Calendar;
use crate::engine::Engine;
use crate::recurrence::{Misfire, Occurrences, Recurrence, Repeat, Verdict};
use crate::state::State;
use crate::time::{FAR_FUTURE, Nanos, SECOND_NS, after};

const MILLISECOND_NS: Nanos = 1_000_000;

/// The timing of a task, as far as a forecast needs it; equal for tasks that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    repeat: Step,
    /// The nominal time of the next occurrence, on the clock that the task keeps.
    first: Nanos,
    /// The wall clock's time minus that clock's.
    offset: i64,
    end: Nanos,
    /// Runs that may still start.
    runs: u64,
    /// How much later than its nominal time each occurrence is due.
    place: Nanos,
    jitter: Nanos,
    /// The seed of a task with jitter; 0 for others, which need none.
    seed: u64,
    /// The rule for occurrences that are overdue.
    misfire: Misfire,
    grace: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    None,
    Every(Nanos),
    /// This long after the run before, which is taken to last no time.
    Delay(Nanos),
    /// An index into the forecast's calendars.
    Calendar(usize),
}

/// Runs to come, by second: those due in `[start, start + seconds)`.
///
/// Paused tasks, retries, catching up and what callbacks will schedule are left out. The runs of
/// tasks with a fixed delay are taken to last no time.
#[derive(Debug)]
pub struct Forecast {
    start: Nanos,
    seconds: Vec<u32>,
    /// How many tasks of each kind were noted.
    kinds: HashMap<Kind, u32>,
    /// The kinds still to be counted.
    uncounted: Vec<(Kind, u32)>,
    /// The kind that is being counted.
    current: Option<Counting>,
    calendars: Vec<Arc<Calendar>>,
    by_address: HashMap<usize, usize>,
}

/// A kind of which the occurrences from some time on are still to be counted.
#[derive(Debug)]
struct Counting {
    kind: Kind,
    tasks: u32,
    recurrence: Recurrence,
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    /// Occurrences are counted one by one, from a nominal time on, at most so many.
    Each { nominal: Nanos, runs: u64 },
    /// There are several occurrences in a second, and they are counted second by second.
    Dense { interval: Nanos, first: Nanos, runs: u64, second: usize, counted: u64 },
}

impl Forecast {
    /// An empty forecast of so many seconds from a moment of the wall clock on.
    pub fn new(start: Nanos, seconds: usize) -> Self {
        Self {
            start,
            seconds: vec![0; seconds],
            kinds: HashMap::new(),
            uncounted: Vec::new(),
            current: None,
            calendars: Vec::new(),
            by_address: HashMap::new(),
        }
    }

    /// Notes the timing of the tasks in some slots. Returns whether there are more slots. O(slots).
    pub fn note(&mut self, engine: &Engine, from: u32, slots: u32) -> bool {
        for (slot, state) in engine.occupied(from, slots) {
            if !matches!(state, State::Paused | State::Pausing | State::Stopping) {
                self.note_slot(engine, slot);
            }
        }
        u64::from(from.saturating_add(slots)) < engine.slot_limit()
    }

    fn note_slot(&mut self, engine: &Engine, slot: u32) {
        let Some(timing) = engine.timing(slot) else { return };
        let plain = Recurrence::default();
        let recurrence = timing.recurrence.unwrap_or(&plain);
        let repeat = match &recurrence.repeat {
            Repeat::Once => Step::None,
            Repeat::FixedRate(interval) => Step::Every(*interval),
            Repeat::FixedDelay(delay) => Step::Delay(*delay),
            Repeat::Calendar(calendar) => Step::Calendar(self.number(calendar)),
        };
        let mut kind = Kind {
            repeat,
            first: timing.nominal,
            offset: timing.offset,
            end: timing.end,
            runs: match recurrence.max_runs {
                // Without a bound the runs so far make no difference.
                u64::MAX => u64::MAX,
                bound => bound.saturating_sub(timing.runs),
            },
            place: timing.window_offset,
            jitter: recurrence.jitter,
            seed: if recurrence.jitter > 0 { timing.seed } else { 0 },
            misfire: recurrence.misfire,
            grace: recurrence.grace,
        };
        if timing.by_hand {
            self.at_once(1);
        }
        let Some(first) = self.rounded(&kind) else { return };
        kind.first = first;
        *self.kinds.entry(kind).or_default() += 1;
    }

    /// When a kind is due first, rounded down to a second if that changes no count: there are few
    /// different seconds, and tasks with the same one are counted together. Overdue runs are counted
    /// here. `None` if no run is to come. O(1).
    fn rounded(&mut self, kind: &Kind) -> Option<Nanos> {
        let whole = matches!(kind.repeat, Step::Every(interval) if interval % SECOND_NS == 0);
        let bounded = kind.runs < u64::MAX || kind.end < FAR_FUTURE;
        if !whole || bounded || kind.jitter > 0 || kind.place > 0 {
            return Some(kind.first);
        }
        let recurrence = self.recurrence(kind);
        let (first, _) = self.settle(kind, &recurrence.occurrences(), 1)?;
        let (start, _) = self.span(kind);
        Some(first - (first - start) % SECOND_NS)
    }

    /// Counts runs that are due already.
    fn at_once(&mut self, runs: u32) {
        if let Some(first) = self.seconds.first_mut() {
            *first = first.saturating_add(runs);
        }
    }

    fn number(&mut self, calendar: &Arc<Calendar>) -> usize {
        let next = self.calendars.len();
        let number = *self.by_address.entry(Arc::as_ptr(calendar).addr()).or_insert(next);
        if number == next {
            self.calendars.push(calendar.clone());
        }
        number
    }

    /// Counts the runs of all tasks that were noted.
    pub fn count(&mut self) {
        while self.count_some(u32::MAX) {}
    }

    /// Counts on, by about as many occurrences or seconds as `steps`. Returns whether there are more
    /// to count. O(steps).
    pub fn count_some(&mut self, steps: u32) -> bool {
        // A hash map that is emptied one by one is searched anew for each.
        self.uncounted.extend(self.kinds.drain());
        let mut left = steps;
        while left > 0 {
            let Some(mut counting) = self.current.take() else {
                // A step as well: there may be many kinds without occurrences.
                left -= 1;
                self.current = self.next_kind();
                if self.current.is_none() && self.uncounted.is_empty() {
                    return false;
                }
                continue;
            };
            let finished = match counting.rest {
                Rest::Each { .. } => self.count_each(&mut counting, &mut left),
                Rest::Dense { .. } => self.count_dense(&mut counting, &mut left),
            };
            if !finished {
                self.current = Some(counting);
            }
        }
        self.current.is_some() || !self.uncounted.is_empty()
    }

    /// Removes a kind from those to count, and counts its overdue runs. `None` if no run is to come
    /// after them, or there is no kind.
    fn next_kind(&mut self) -> Option<Counting> {
        let (kind, tasks) = self.uncounted.pop()?;
        self.begin(kind, tasks)
    }

    fn begin(&mut self, kind: Kind, tasks: u32) -> Option<Counting> {
        let mut recurrence = self.recurrence(&kind);
        let dense = match kind.repeat {
            // Jitter below a millisecond is left out, or a day would take minutes.
            Step::Every(interval)
                if interval < SECOND_NS && (kind.jitter == 0 || interval < MILLISECOND_NS) =>
            {
                recurrence.jitter = 0;
                Some(interval)
            }
            Step::Delay(delay) if delay < SECOND_NS && kind.jitter == 0 && kind.place == 0 => {
                Some(delay)
            }
            _ => None,
        };
        let seed = if dense.is_some() { 0 } else { kind.seed };
        let occurrences = Occurrences { recurrence: &recurrence, window_offset: kind.place, seed };
        let (nominal, runs) = self.settle(&kind, &occurrences, tasks)?;
        let rest = match dense {
            None => Rest::Each { nominal, runs },
            Some(interval) => {
                let (start, _) = self.span(&kind);
                let dense = Dense { kind: &kind, interval, first: nominal, runs };
                Rest::Dense {
                    interval,
                    first: nominal,
                    runs,
                    second: 0,
                    counted: dense.due_before(start),
                }
            }
        };
        Some(Counting { kind, tasks, recurrence, rest })
    }

    /// Start and end of the forecast on the clock that a task keeps.
    fn span(&self, kind: &Kind) -> (Nanos, Nanos) {
        let start = self.start.saturating_add_signed(kind.offset.saturating_neg());
        (start, after(start, self.seconds.len() as Nanos * SECOND_NS))
    }

    /// The timing of a kind, as the engine would have it.
    fn recurrence(&self, kind: &Kind) -> Recurrence {
        Recurrence {
            repeat: match kind.repeat {
                Step::None => Repeat::Once,
                Step::Every(interval) => Repeat::FixedRate(interval),
                Step::Delay(delay) => Repeat::FixedDelay(delay),
                Step::Calendar(number) => Repeat::Calendar(self.calendars[number].clone()),
            },
            end: kind.end,
            jitter: kind.jitter,
            grace: kind.grace,
            // Catching up is not foretold.
            misfire: match kind.misfire {
                Misfire::All => Misfire::Latest,
                misfire => misfire,
            },
            ..Recurrence::default()
        }
    }

    /// Counts overdue occurrences as the engine would treat them now: run, or missed. Returns the
    /// next nominal time, and how many runs may still start; `None` if there is no next one.
    fn settle(
        &mut self,
        kind: &Kind,
        occurrences: &Occurrences<'_>,
        tasks: u32,
    ) -> Option<(Nanos, u64)> {
        let (start, _) = self.span(kind);
        if occurrences.due(kind.first) > start || kind.runs == 0 {
            return Some((kind.first, kind.runs));
        }
        match occurrences.judge(kind.first, start) {
            Verdict::Run { nominal, .. } => {
                self.at_once(tasks);
                Some((occurrences.next(nominal, start, start).0?, kind.runs - 1))
            }
            Verdict::Miss { next, .. } => Some((next?, kind.runs)),
        }
    }

    /// Counts occurrences one by one. Returns whether the last one was counted.
    fn count_each(&mut self, counting: &mut Counting, left: &mut u32) -> bool {
        let Counting { kind, tasks, recurrence, rest: Rest::Each { nominal, runs } } = counting
        else {
            return true;
        };
        let (start, horizon) = self.span(kind);
        let occurrences = Occurrences { recurrence, window_offset: kind.place, seed: kind.seed };
        while *runs > 0 {
            if *left == 0 {
                return false;
            }
            *left -= 1;
            *runs -= 1;
            let due = occurrences.due(*nominal).max(start);
            if due >= horizon {
                return true;
            }
            let second = &mut self.seconds[((due - start) / SECOND_NS) as usize];
            *second = second.saturating_add(*tasks);
            let next = match kind.repeat {
                Step::Delay(delay) => Some(after(due, delay)),
                _ => occurrences.step(*nominal),
            };
            match next {
                Some(next) if next <= kind.end => *nominal = next,
                _ => return true,
            }
        }
        true
    }

    /// Counts the occurrences of one second after another. Returns whether the last was counted.
    fn count_dense(&mut self, counting: &mut Counting, left: &mut u32) -> bool {
        let Counting { kind, tasks, rest, .. } = counting;
        let Rest::Dense { interval, first, runs, second, counted } = rest else { return true };
        let (start, _) = self.span(kind);
        let dense = Dense { kind, interval: *interval, first: *first, runs: *runs };
        while *second < self.seconds.len() {
            if *left == 0 {
                return false;
            }
            *left -= 1;
            let next = dense.due_before(start + (*second as Nanos + 1) * SECOND_NS);
            let found = u32::try_from(next - *counted).unwrap_or(u32::MAX);
            self.seconds[*second] =
                self.seconds[*second].saturating_add(found.saturating_mul(*tasks));
            *counted = next;
            *second += 1;
        }
        true
    }

    /// Runs in each second ahead.
    pub fn seconds(&self) -> &[u32] {
        &self.seconds
    }
}

/// Occurrences of which there are several in a second.
struct Dense<'a> {
    kind: &'a Kind,
    interval: Nanos,
    first: Nanos,
    runs: u64,
}

impl Dense<'_> {
    /// How many runs have a nominal time before a moment.
    fn nominal_before(&self, moment: Nanos) -> u64 {
        match moment.min(self.kind.end.saturating_add(1)) {
            moment if moment > self.first => {
                (moment - self.first).div_ceil(self.interval).min(self.runs)
            }
            _ => 0,
        }
    }

    /// How many runs are due before a moment: by a division.
    fn due_before(&self, moment: Nanos) -> u64 {
        // No occurrence is moved to the next one, nor past the end.
        let place = self.kind.place.min(self.interval - 1);
        let past_end = moment > self.kind.end;
        self.nominal_before(if past_end { moment } else { moment.saturating_sub(place) })
    }
}
