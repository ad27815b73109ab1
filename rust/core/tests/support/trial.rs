//! Runs a program on two engines and the model, and compares them after every operation.
//!
//! The first engine advances in one go; the second in pieces, by budgets from one entry up, and at
//! times it is left behind in the middle of a bucket until the next take. Both must agree with the
//! model, and so with each other: neither the cuts nor the budgets change the results.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, OnceLock};

use scheduler_core::{
    Cancelled, Engine, FAR_FUTURE, LAST_GENERATION, NEVER, Nanos, Recurrence, ScheduleError, State,
    Taken, TaskId,
};

use super::operations::{Dice, Operation, Program, Step, Timing, When, Who};
use super::reference::Model;

/// Ended tasks that engines and model remember.
const HISTORY: u32 = 40;

/// An engine, and what is known of how far it has got.
struct Lane {
    engine: Engine,
    /// Whether it may not have found all that is due.
    behind: bool,
    /// Deadlines of tasks that left before their time: the engine may still answer them.
    left: BTreeSet<Nanos>,
}

impl Lane {
    fn new(start: Nanos) -> Self {
        Self { engine: Engine::new(start, HISTORY), behind: false, left: BTreeSet::new() }
    }

    /// Says that all due by the present has been found.
    fn caught_up(&mut self) {
        self.behind = false;
        self.left = self.left.split_off(&(self.engine.now() + 1));
    }
}

/// A program under way.
pub struct Trial<'a> {
    program: &'a Program,
    model: Model,
    lanes: [Lane; 2],
    dice: Dice,
    /// Ids given out; those that ended move on as they are met.
    known: Vec<TaskId>,
    /// The rules of all tasks so far: those that are equal are shared.
    rules: Vec<Arc<Recurrence>>,
    ended: VecDeque<TaskId>,
    /// Slots that belong to the test.
    reserved: Vec<u32>,
    retired: BTreeSet<u32>,
    calls: u64,
    next_look: u64,
}

/// Runs a program to its end, panics where engines and model differ, and says how many calls to
/// the engine that took.
pub fn run(program: &Program) -> u64 {
    let mut trial = Trial::new(program);
    for words in &program.words {
        trial.apply(&Operation::read(*words, program.without));
    }
    trial.finish();
    trial.calls
}

impl<'a> Trial<'a> {
    /// An empty engine, twice, and its model.
    pub fn new(program: &'a Program) -> Self {
        Self {
            program,
            model: Model::new(program.start, HISTORY),
            lanes: [Lane::new(program.start), Lane::new(program.start)],
            dice: Dice(program.cuts),
            known: Vec::new(),
            rules: Vec::new(),
            ended: VecDeque::new(),
            reserved: Vec::new(),
            retired: BTreeSet::new(),
            calls: 0,
            next_look: 0,
        }
    }

    /// Does one thing and compares.
    pub fn apply(&mut self, operation: &Operation) {
        self.calls += 1;
        match *operation {
            Operation::Schedule(when, priority, timing) => {
                if let Some(slot) = self.reserve() {
                    self.arm(slot, when, priority, timing);
                }
            }
            Operation::Batch { count, when, apart, priorities } => {
                self.schedule_batch(count, when, apart, priorities);
            }
            Operation::Reserve => {
                let slot = self.reserve();
                self.reserved.extend(slot);
            }
            Operation::Arm(which, when, priority, timing) => {
                self.arm_any(which, when, priority, timing);
            }
            Operation::Release(which) => self.release_any(which),
            Operation::Cancel(who, keep) => self.cancel(who, keep),
            Operation::CancelBatch(who, count) => self.cancel_batch(who, count),
            Operation::Pause(who) => {
                self.change(who, Model::pause, Engine::pause);
            }
            Operation::Resume(who) => {
                self.change(who, Model::resume, Engine::resume);
            }
            Operation::Reschedule(who, when) => {
                let nominal = when.moment(self.program, self.model.now(), None);
                let nominal = nominal.max(self.not_too_long_ago());
                self.change(
                    who,
                    |model, id| model.reschedule(id, nominal),
                    |engine, id| engine.reschedule(id, nominal, false),
                );
            }
            Operation::RunNow(who) => {
                self.change(who, Model::run_now, Engine::run_now);
            }
            Operation::Tell(step) => {
                let now = self.target(step);
                self.model.tell(now);
                for lane in &mut self.lanes {
                    lane.engine.tell(now);
                    lane.behind = true;
                }
            }
            Operation::Advance(step, leave_behind) => {
                let now = self.target(step);
                self.advance(now, leave_behind);
            }
            Operation::Take(count) => self.take(count),
            Operation::Complete { which, step, failed, keep } => {
                self.complete(which, step, failed, keep);
            }
            Operation::Retry { which, step } => self.retry(which, step),
        }
        self.compare();
    }

    /// Ends what runs, lets all that is plain come due, and expects both engines to be empty.
    pub fn finish(&mut self) {
        while let Some((slot, _)) = self.model.running_from(0) {
            self.complete(slot, Step::By(0), false, false);
        }
        let ids = self.model.ids_by_slot();
        for id in ids {
            // The plain ones are to run; the others would never end.
            if self.dice.below(8) == 0 || !self.model.is_plain(id) {
                self.cancel(Who::Foreign(id.to_bits()), false);
            }
        }
        while self.model.len() > 0 {
            let now = self.model.last_waiting().max(self.model.now());
            let middle = self.model.now() + (now - self.model.now()) / 2;
            for now in [middle, now] {
                self.advance(now, false);
                self.take(u32::MAX);
                while let Some((slot, _)) = self.model.running_from(0) {
                    self.complete(slot, Step::By(0), true, false);
                }
            }
            self.compare();
        }
        for slot in std::mem::take(&mut self.reserved) {
            self.release(slot);
        }
        self.look();
        for lane in &mut self.lanes {
            assert!(lane.engine.advance(FAR_FUTURE, u32::MAX));
            assert_eq!(lane.engine.next_deadline(), NEVER);
            assert_eq!(lane.engine.take(), None);
            // The buffers of the front are kept: less than one segment.
            assert_memory_returned(&lane.engine, 2 << 20);
        }
    }

    // ---- operations ----------------------------------------------------------------------

    fn reserve(&mut self) -> Option<u32> {
        let slots = self.lanes.each_mut().map(|lane| lane.engine.reserve());
        assert_eq!(slots[0], slots[1]);
        let slot = slots[0].ok();
        assert!(slot.is_some());
        assert!(slot.is_none_or(|slot| !self.retired.contains(&slot)), "a retired slot came back");
        slot
    }

    fn arm(&mut self, slot: u32, when: When, priority: u8, timing: Option<Timing>) {
        let now = self.model.now();
        let rule = timing.map(|timing| timing.rule(self.program, now));
        let nominal = when.moment(self.program, now, rule.as_ref());
        self.arm_at(slot, nominal, priority, rule);
    }

    /// The same rule that a task before had, if there is an equal one.
    fn share(&mut self, rule: Recurrence) -> Arc<Recurrence> {
        if let Some(known) = self.rules.iter().find(|known| ***known == rule) {
            return known.clone();
        }
        let rule = Arc::new(rule);
        self.rules.push(rule.clone());
        rule
    }

    fn arm_at(&mut self, slot: u32, nominal: Nanos, priority: u8, rule: Option<Recurrence>) {
        let rule = rule.map(|rule| self.share(rule));
        let ids = self
            .lanes
            .each_mut()
            .map(|lane| lane.engine.arm(slot, nominal, priority, rule.as_ref()));
        assert_eq!(ids[0], ids[1]);
        let id = ids[0].unwrap();
        assert_eq!(id.slot(), slot);
        self.model.schedule(id, nominal, priority, rule.as_deref());
        self.known.push(id);
        self.compare_one(id);
    }

    fn schedule_batch(&mut self, count: u32, when: When, apart: u64, priorities: u8) {
        let first = when.moment(self.program, self.model.now(), None);
        for index in 0..u64::from(count) {
            let nominal = first.saturating_add(index.saturating_mul(apart)).min(FAR_FUTURE);
            let priority = (index * 37) as u8 & priorities;
            let ids =
                self.lanes.each_mut().map(|lane| lane.engine.schedule(nominal, priority, None));
            assert_eq!(ids[0], ids[1]);
            self.model.schedule(ids[0].unwrap(), nominal, priority, None);
            self.known.push(ids[0].unwrap());
            self.calls += 1;
        }
    }

    fn arm_any(&mut self, which: u32, when: When, priority: u8, timing: Option<Timing>) {
        if which.is_multiple_of(2) && !self.reserved.is_empty() {
            let slot = self.reserved.swap_remove(which as usize % self.reserved.len());
            self.arm(slot, when, priority, timing);
            return;
        }
        // Neither the slot of a live task nor a retired one nor one that never was can be armed.
        let known = self.pick(Who::Known(which)).filter(|id| self.model.is_live(*id));
        let retired = self.retired.first().copied();
        for slot in [known.map(TaskId::slot), retired, Some(u32::MAX)].into_iter().flatten() {
            for lane in &mut self.lanes {
                assert_eq!(
                    lane.engine.arm(slot, 0, priority, None),
                    Err(ScheduleError::NotReserved)
                );
            }
        }
    }

    fn release_any(&mut self, which: u32) {
        if which.is_multiple_of(2) && !self.reserved.is_empty() {
            let slot = self.reserved.swap_remove(which as usize % self.reserved.len());
            self.release(slot);
        } else if let Some(id) = self.pick(Who::Known(which)) {
            // A slot that is not reserved cannot be released.
            if self.model.is_live(id) {
                self.release(id.slot());
                self.compare_one(id);
            }
        }
    }

    fn release(&mut self, slot: u32) {
        self.lanes.iter_mut().for_each(|lane| lane.engine.release(slot));
    }

    fn cancel(&mut self, who: Who, keep: bool) {
        let Some(id) = self.pick(who) else { return };
        self.note_leaving(id);
        let expected = self.model.cancel(id);
        for lane in &mut self.lanes {
            assert_eq!(lane.engine.cancel(id), expected, "{id:?}");
        }
        if let Cancelled::Removed { .. } = expected {
            self.note_end(id, keep);
        }
        self.compare_one(id);
    }

    fn cancel_batch(&mut self, who: Who, count: u32) {
        let Some(first) = self.pick(who) else { return };
        let from = self.dice.below(self.known.len() as u64 + 1) as usize;
        let mut ids = vec![first];
        ids.extend(self.known[from..].iter().take(count as usize));
        ids.push(first);
        let mut expected = 0;
        for &id in &ids {
            self.note_leaving(id);
            let cancelled = self.model.cancel(id);
            expected += usize::from(cancelled != Cancelled::Unknown);
            if matches!(cancelled, Cancelled::Removed { .. }) {
                // The engine releases the slot itself.
                self.note_end(id, true);
                self.reserved.retain(|slot| *slot != id.slot());
            }
        }
        for lane in &mut self.lanes {
            lane.engine.warm(&ids);
            assert_eq!(lane.engine.cancel_batch(&ids), expected);
        }
        self.calls += expected as u64;
        self.compare_one(first);
    }

    fn change(
        &mut self,
        who: Who,
        model: impl FnOnce(&mut Model, TaskId) -> bool,
        engine: impl Fn(&mut Engine, TaskId) -> bool,
    ) {
        let Some(id) = self.pick(who) else { return };
        self.note_leaving(id);
        let expected = model(&mut self.model, id);
        for lane in &mut self.lanes {
            assert_eq!(engine(&mut lane.engine, id), expected, "{id:?}");
        }
        self.compare_one(id);
    }

    fn advance(&mut self, target: Nanos, leave_behind: bool) {
        let before = self.model.now();
        self.model.advance(target);
        let now = self.model.now();
        assert!(self.lanes[0].engine.advance(target, u32::MAX));
        self.lanes[0].caught_up();

        let mut moments: Vec<Nanos> = match now - before {
            0 => Vec::new(),
            width => (0..self.dice.below(4)).map(|_| before + self.dice.below(width)).collect(),
        };
        moments.sort_unstable();
        self.lanes[1].behind = true;
        for moment in moments {
            self.advance_piece(moment);
        }
        self.advance_piece(target);
        if !leave_behind {
            self.catch_up();
        }
    }

    /// A few calls with little budget, not necessarily enough of them.
    fn advance_piece(&mut self, moment: Nanos) {
        for _ in 0..1 + self.dice.below(4) {
            let budget = 1 << self.dice.below(12);
            let engine = &mut self.lanes[1].engine;
            let ready = engine.ready();
            let done = engine.advance(moment, budget);
            assert!(engine.ready() <= ready + u64::from(budget), "a lock hold too long");
            let left = engine.ready() == 0 && engine.next_deadline() <= engine.now();
            assert!(!(done && left), "done, and something is left");
        }
    }

    fn catch_up(&mut self) {
        let lane = &mut self.lanes[1];
        let mut calls = 0_u64;
        while !lane.engine.advance(self.model.now(), 1 << self.dice.below(12)) {
            calls += 1;
            assert!(calls < 10_000_000, "advance never ends");
        }
        lane.caught_up();
    }

    fn take(&mut self, count: u32) {
        // First all is advanced to the present: the total order is promised among what is due.
        let now = self.model.now();
        self.model.advance(now);
        assert!(self.lanes[0].engine.advance(now, u32::MAX));
        self.lanes[0].caught_up();
        self.catch_up();
        for _ in 0..count {
            self.calls += 1;
            let expected = self.model.take();
            for lane in &mut self.lanes {
                assert_eq!(lane.engine.take(), expected);
            }
            match expected {
                None => break,
                Some(Taken::Undecided) => unreachable!("the model has no calendars"),
                Some(Taken::Run(slot)) => {
                    let id = self.lanes[0].engine.id_of(slot).unwrap();
                    let view = self.lanes[0].engine.view(id).unwrap();
                    assert!(view.nominal <= now, "started early");
                    self.compare_one(id);
                }
                Some(Taken::Missed(missed)) => {
                    if missed.history_index.is_some() {
                        self.note_end(missed.id, self.program.cuts.is_multiple_of(3));
                    }
                    self.compare_one(missed.id);
                }
            }
        }
    }

    fn complete(&mut self, which: u32, step: Step, failed: bool, keep: bool) {
        let now = self.target(step);
        let (slot, id) = match self.model.running_from(which % (self.model.len() as u32 + 1)) {
            Some((slot, id)) => (slot, Some(id)),
            None => (which % 8, None),
        };
        let expected = self.model.complete(slot, now, failed);
        for lane in &mut self.lanes {
            assert_eq!(lane.engine.complete(slot, now, failed), expected, "{slot} at {now}");
            lane.behind = true;
        }
        let Some(id) = id else { return };
        if expected.is_some_and(|completion| completion.history_index.is_some()) {
            self.note_end(id, keep);
        }
        self.compare_one(id);
    }

    fn retry(&mut self, which: u32, step: Step) {
        let now = self.model.now();
        let span = self.target(step).saturating_sub(now);
        let (slot, id) = match self.model.running_from(which % (self.model.len() as u32 + 1)) {
            Some((slot, id)) => (slot, Some(id)),
            None => (which % 8, None),
        };
        let expected = self.model.retry(slot, span);
        for lane in &mut self.lanes {
            lane.engine.reserve_plan().unwrap();
            assert_eq!(lane.engine.retry(slot, now, span), expected, "{slot} at {now}");
            lane.behind = true;
        }
        if let Some(id) = id {
            self.compare_one(id);
        }
    }

    // ---- bookkeeping ---------------------------------------------------------------------

    fn target(&self, step: Step) -> Nanos {
        let ready = self.model.ready() > 0;
        let next = if ready { self.model.now() } else { self.model.next_waiting() };
        step.target(self.program, self.model.now(), next)
    }

    /// No recurring task is sent back so far that its occurrences could not be counted.
    fn not_too_long_ago(&self) -> Nanos {
        self.model.now().saturating_sub(self.program.least_interval().saturating_mul(640))
    }

    fn pick(&mut self, who: Who) -> Option<TaskId> {
        let known = self.known.len();
        match who {
            Who::Known(_) | Who::Forged(..) if known == 0 => None,
            Who::Known(number) => {
                let index = number as usize % known;
                let id = self.known[index];
                if !self.model.is_live(id) {
                    self.known.swap_remove(index);
                }
                Some(id)
            }
            Who::Forged(number, generation) => {
                let id = TaskId::new(self.known[number as usize % known].slot(), generation);
                // A guess can be right by chance, and then it is no forgery.
                (!self.model.is_live(id)).then_some(id)
            }
            Who::Running(number) => {
                let slot = number % (self.model.len() as u32 + 1);
                self.model.running_from(slot).map(|(_, id)| id)
            }
            Who::Ended(_) if self.ended.is_empty() => None,
            Who::Ended(number) => Some(self.ended[number as usize % self.ended.len()]),
            Who::Foreign(bits) => Some(TaskId::from_bits(bits)),
        }
    }

    /// Notes that a task may be about to leave its place in an engine before its time.
    fn note_leaving(&mut self, id: TaskId) {
        let Some((deadline, was_found)) = self.model.deadline(id) else { return };
        for lane in &mut self.lanes {
            if !was_found || lane.behind {
                lane.left.insert(deadline);
            }
        }
    }

    /// Notes that a task ended, and gives its slot back or keeps it.
    fn note_end(&mut self, id: TaskId, keep: bool) {
        if self.ended.len() == 64 {
            self.ended.pop_front();
        }
        self.ended.push_back(id);
        if id.generation() == LAST_GENERATION {
            self.retired.insert(id.slot());
            self.release(id.slot());
        } else if keep {
            self.reserved.push(id.slot());
        } else {
            self.release(id.slot());
        }
    }

    // ---- comparing -----------------------------------------------------------------------

    fn compare_one(&self, id: TaskId) {
        let expected = self.model.view(id);
        for lane in &self.lanes {
            let mut view = lane.engine.view(id);
            if let (true, Some(view)) = (lane.behind, view.as_mut()) {
                // What waits in an engine that is behind may have been found by the model.
                if expected.is_some_and(|expected| expected.state == State::Ready) {
                    assert!(matches!(view.state, State::Pending | State::Ready));
                    view.state = State::Ready;
                }
            }
            assert_eq!(view, expected, "{id:?}");
            let slot = expected.map(|_| id.slot());
            assert_eq!(lane.engine.slot_of(id), slot);
            assert!(slot.is_none_or(|slot| lane.engine.id_of(slot) == Some(id)));
            let now = self.model.now();
            assert_eq!(lane.engine.is_due(id, now), self.model.is_due(id, now));
        }
    }

    fn compare(&mut self) {
        for lane in &self.lanes {
            let engine = &lane.engine;
            assert_eq!(engine.now(), self.model.now());
            assert_eq!(engine.gauges(), self.model.gauges());
            let ready = self.model.ready() as u64;
            assert!(engine.ready() == ready || lane.behind && engine.ready() < ready);
            // Never later than what comes next, and earlier only for one that left since.
            let waiting = self.model.next_waiting();
            let next = engine.next_deadline();
            if engine.ready() > 0 {
                assert_eq!(next, 0);
            } else if ready > 0 {
                assert!(next <= self.model.now(), "{next} is too late");
            } else {
                assert!(next <= waiting, "{next} is later than {waiting}");
                assert!(next == waiting || lane.left.contains(&next), "{next}, not {waiting}");
            }
        }
        if self.calls >= self.next_look {
            self.look();
            self.next_look = self.calls + 200 + 2 * self.model.len() as u64;
        }
    }

    /// Compares all that can be seen.
    fn look(&self) {
        let ids = self.model.ids_by_slot();
        ids.iter().for_each(|id| self.compare_one(*id));
        for Lane { engine, .. } in &self.lanes {
            engine.check();
            engine.check_entries();
            let limit = u32::try_from(engine.slot_limit()).unwrap();
            assert!(engine.tasks(0, limit).map(|(id, _)| id).eq(ids.iter().copied()));
            assert!(engine.history().eq(&self.model.history));
            for ended in &self.model.history {
                assert_eq!(engine.ended(ended.id).map(|(_, ended)| ended), Some(ended));
            }
            let (counters, counted) = (engine.counters(), &self.model.counted);
            assert_eq!(
                [counters.scheduled, counters.cancelled, counters.started, counters.completed],
                [counted.scheduled, counted.cancelled, counted.started, counted.completed],
            );
            assert_eq!(
                [counters.failed, counters.retried, counters.missed, counters.skipped],
                [counted.failed, counted.retried, counted.missed, counted.skipped],
            );
            assert_eq!(engine.lateness().count(), counted.started);
            assert_eq!(engine.lateness().maximum(), self.model.latest_start);
        }
    }
}

/// Panics unless an engine without tasks holds as little memory as one that has filled the segments
/// that are kept for the next tasks, and so many bytes.
pub fn assert_memory_returned(engine: &Engine, tolerated: u64) {
    if LAST_GENERATION != u32::MAX {
        // Retired slots are kept for good.
        return;
    }
    static BASELINE: OnceLock<u64> = OnceLock::new();
    let baseline = BASELINE.get_or_init(|| {
        let mut fresh = Engine::new(0, HISTORY);
        let rule = Arc::new(Recurrence::default());
        let ids: Vec<_> =
            (0..300_000).map(|_| fresh.schedule(1, 0, Some(&rule)).unwrap()).collect();
        fresh.cancel_batch(&ids);
        drop(fresh.take_garbage());
        fresh.bytes()
    });
    let (held, allowed) = (engine.bytes(), baseline + tolerated);
    assert!(held <= allowed, "{held} bytes of {allowed}");
}
