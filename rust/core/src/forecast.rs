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
use crate::recurrence::{Recurrence, Repeat};
use crate::state::State;
use crate::time::{Nanos, SECOND_NS, after};

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
                self.note_slot(engine, slot, state);
            }
        }
        u64::from(from.saturating_add(slots)) < engine.slot_limit()
    }

    fn note_slot(&mut self, engine: &Engine, slot: u32, state: State) {
        let Some(coming) = engine.coming(slot) else { return };
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
            runs: recurrence.max_runs.saturating_sub(coming.runs),
            place: coming.place,
            jitter: recurrence.jitter,
            seed: if recurrence.jitter > 0 { coming.seed } else { 0 },
        };
        if state.is_running() {
            // The run under way has started already.
            match self.step(&kind, kind.first) {
                Some(next) if state != State::Rescheduled => kind.first = next,
                _ => return,
            }
        }
        *self.kinds.entry(kind).or_default() += 1;
    }

    fn number(&mut self, calendar: &Arc<Calendar>) -> usize {
        let next = self.calendars.len();
        let number = *self.by_address.entry(Arc::as_ptr(calendar).addr()).or_insert(next);
        if number == next {
            self.calendars.push(calendar.clone());
        }
        number
    }

    fn step(&self, kind: &Kind, nominal: Nanos) -> Option<Nanos> {
        match kind.repeat {
            Step::None => None,
            Step::Every(interval) | Step::Delay(interval) => Some(after(nominal, interval)),
            Step::Calendar(number) => self.calendars[number].next_after(nominal),
        }
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

    /// One occurrence after another.
    fn count_slow(&mut self, kind: &Kind, tasks: u32) {
        let (start, horizon) = self.span(kind);
        let recurrence = Recurrence {
            repeat: match kind.repeat {
                Step::None => Repeat::Once,
                Step::Every(interval) => Repeat::FixedRate(interval),
                Step::Delay(delay) => Repeat::FixedDelay(delay),
                Step::Calendar(number) => Repeat::Calendar(self.calendars[number].clone()),
            },
            end: kind.end,
            jitter: kind.jitter,
            ..Recurrence::default()
        };
        let mut occurrences = recurrence.occurrences();
        occurrences.place = kind.place;
        occurrences.seed = kind.seed;
        let mut nominal = kind.first;
        // What is overdue runs once, at once.
        if nominal < start && kind.repeat != Step::None {
            nominal = occurrences.last_by(nominal, start);
        }
        for _ in 0..kind.runs {
            let due = occurrences.due(nominal).max(start);
            if due >= horizon {
                break;
            }
            self.seconds[((due - start) / SECOND_NS) as usize] += tasks;
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
        let first = after(kind.first, kind.place);
        let end = after(kind.end, kind.place);
        // How many are due before a moment.
        let before = |moment: Nanos| {
            let moment = moment.min(end.saturating_add(1));
            let due = if moment > first { (moment - first).div_ceil(interval) } else { 0 };
            due.min(kind.runs)
        };
        let overdue = before(start);
        let mut counted = overdue;
        for number in 0..self.seconds.len() {
            let next = before(start + (number as Nanos + 1) * SECOND_NS);
            let late = u64::from(number == 0 && overdue > 0);
            let runs = next - counted + late;
            self.seconds[number] = self.seconds[number]
                .saturating_add(u32::try_from(runs).unwrap_or(u32::MAX).saturating_mul(tasks));
            counted = next;
        }
    }

    /// Runs in each second ahead.
    pub fn seconds(&self) -> &[u32] {
        &self.seconds
    }
}
