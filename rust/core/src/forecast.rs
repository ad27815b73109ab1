//! What is to come: how many runs fall into each second ahead, counted without running anything.
//!
//! Tasks of the same timing are counted together, a calendar's occurrences are computed once for all
//! that share it, and what recurs within a second is not walked through. So a hundred thousand
//! tasks over a day cost about as many steps as they have distinct occurrences, and no more memory
//! than four bytes for each second ahead.

use std::collections::HashMap;
use std::sync::Arc;

use crate::calendar::Calendar;
use crate::engine::Engine;
use crate::recurrence::{Misfire, Occurrences, Recurrence, Repeat, Verdict};
use crate::state::State;
use crate::time::{FAR_FUTURE, Nanos, SECOND_NS, after};

const MILLISECOND_NS: Nanos = 1_000_000;

/// The timing of a task as a forecast sees it; equal for tasks that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    repeat: Step,
    /// The nominal time of the next occurrence, on the clock that the task keeps.
    first: Nanos,
    /// What the wall shows beyond that.
    offset: i64,
    end: Nanos,
    /// Runs that may still start.
    runs: u64,
    /// How much each occurrence is put off.
    place: Nanos,
    jitter: Nanos,
    /// The seed of a task with jitter; 0 of others, which need none.
    seed: u64,
    /// What becomes of it if it is overdue.
    misfire: Misfire,
    grace: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    None,
    Every(Nanos),
    /// So long after the run before, which takes no time.
    Delay(Nanos),
    /// Which of the calendars.
    Calendar(usize),
}

/// Runs to come, by second. Paused tasks are not foretold; nor are retries, catching up, and what
/// callbacks will schedule. Tasks of a fixed delay are taken to run in no time.
#[derive(Debug)]
pub struct Forecast {
    start: Nanos,
    seconds: Vec<u32>,
    kinds: HashMap<Kind, u32>,
    calendars: Vec<Arc<Calendar>>,
    by_address: HashMap<usize, usize>,
}

impl Forecast {
    /// An empty forecast of so many seconds from a moment of the wall on.
    pub fn new(start: Nanos, seconds: usize) -> Self {
        Self {
            start,
            seconds: vec![0; seconds],
            kinds: HashMap::new(),
            calendars: Vec::new(),
            by_address: HashMap::new(),
        }
    }

    /// Takes note of the tasks in some slots. Returns whether there are slots beyond. O(slots).
    pub fn note(&mut self, engine: &Engine, from: u32, slots: u32) -> bool {
        for (slot, state) in engine.occupied(from, slots) {
            if !matches!(state, State::Paused | State::Pausing | State::Stopping) {
                self.note_slot(engine, slot);
            }
        }
        u64::from(from.saturating_add(slots)) < engine.slot_limit()
    }

    fn note_slot(&mut self, engine: &Engine, slot: u32) {
        let Some(coming) = engine.timing(slot) else { return };
        let plain = Recurrence::default();
        let recurrence = coming.recurrence.unwrap_or(&plain);
        let repeat = match &recurrence.repeat {
            Repeat::Once => Step::None,
            Repeat::FixedRate(interval) => Step::Every(*interval),
            Repeat::FixedDelay(delay) => Step::Delay(*delay),
            Repeat::Calendar(calendar) => Step::Calendar(self.number(calendar)),
        };
        let mut kind = Kind {
            repeat,
            first: coming.nominal,
            offset: coming.offset,
            end: coming.end,
            runs: match recurrence.max_runs {
                // However many there were: it makes no difference.
                u64::MAX => u64::MAX,
                bound => bound.saturating_sub(coming.runs),
            },
            place: coming.window_offset,
            jitter: recurrence.jitter,
            seed: if recurrence.jitter > 0 { coming.seed } else { 0 },
            misfire: recurrence.misfire,
            grace: recurrence.grace,
        };
        if coming.by_hand {
            self.at_once(1);
        }
        let Some(first) = self.rounded(&kind) else { return };
        kind.first = first;
        *self.kinds.entry(kind).or_default() += 1;
    }

    /// When a kind is due first, to the second if that makes no difference: of whole seconds there
    /// are few, and the tasks that share one are counted together. What is overdue is counted here.
    /// `None` if nothing is to come. O(1).
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
        let kinds = std::mem::take(&mut self.kinds);
        for (kind, tasks) in &kinds {
            match kind.repeat {
                // Jitter below a millisecond is left out, or a day would take minutes.
                Step::Every(interval)
                    if interval < SECOND_NS && (kind.jitter == 0 || interval < MILLISECOND_NS) =>
                {
                    self.count_fast(kind, interval, *tasks);
                }
                Step::Delay(delay) if delay < SECOND_NS && kind.jitter == 0 && kind.place == 0 => {
                    self.count_fast(kind, delay, *tasks);
                }
                _ => self.count_slow(kind, *tasks),
            }
        }
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

    /// Lets what is overdue run or be missed, now. The first nominal time after that, and how many
    /// runs may still start.
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

    /// One occurrence after another.
    fn count_slow(&mut self, kind: &Kind, tasks: u32) {
        let (start, horizon) = self.span(kind);
        let recurrence = self.recurrence(kind);
        let occurrences =
            Occurrences { recurrence: &recurrence, window_offset: kind.place, seed: kind.seed };
        let Some((mut nominal, runs)) = self.settle(kind, &occurrences, tasks) else { return };
        for _ in 0..runs {
            let due = occurrences.due(nominal).max(start);
            if due >= horizon {
                break;
            }
            let second = &mut self.seconds[((due - start) / SECOND_NS) as usize];
            *second = second.saturating_add(tasks);
            let next = match kind.repeat {
                Step::Delay(delay) => Some(after(due, delay)),
                _ => occurrences.step(nominal),
            };
            match next {
                Some(next) if next <= kind.end => nominal = next,
                _ => break,
            }
        }
    }

    /// Several occurrences in a second are counted by two divisions.
    fn count_fast(&mut self, kind: &Kind, interval: Nanos, tasks: u32) {
        let (start, _) = self.span(kind);
        let mut recurrence = self.recurrence(kind);
        recurrence.jitter = 0;
        let occurrences =
            Occurrences { recurrence: &recurrence, window_offset: kind.place, seed: 0 };
        let Some((first, runs)) = self.settle(kind, &occurrences, tasks) else { return };
        // None is put off to the next one, nor beyond the end.
        let place = kind.place.min(interval - 1);
        let nominal_before = |moment: Nanos| match moment.min(kind.end.saturating_add(1)) {
            moment if moment > first => (moment - first).div_ceil(interval).min(runs),
            _ => 0,
        };
        let due_before = |moment: Nanos| {
            nominal_before(if moment > kind.end { moment } else { moment.saturating_sub(place) })
        };
        let mut counted = due_before(start);
        for number in 0..self.seconds.len() {
            let next = due_before(start + (number as Nanos + 1) * SECOND_NS);
            let runs = u32::try_from(next - counted).unwrap_or(u32::MAX);
            self.seconds[number] = self.seconds[number].saturating_add(runs.saturating_mul(tasks));
            counted = next;
        }
    }

    /// Runs in each second ahead.
    pub fn seconds(&self) -> &[u32] {
        &self.seconds
    }
}
