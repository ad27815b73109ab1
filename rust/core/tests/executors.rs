//! An engine with several executors does for each of them what an engine of its own would do.
//!
//! ```text
//! cargo test -p scheduler-core --features check-invariants --test executors
//! ```

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};
use scheduler_core::{
    Cancelled, Completion, Engine, MAX_EXECUTORS, Misfire, NEVER, Nanos, Recurrence, Repeat, Taken,
    TaskId,
};

const EXECUTORS: u8 = 3;
const BUDGET: u32 = 7;
const TICK_NS: Nanos = 1 << 20;

/// One engine for all, and one for each executor.
struct Pair {
    all: Engine,
    each: Vec<Engine>,
    /// Of each executor, the ids in the one and the other, in the order of scheduling.
    ids: Vec<Vec<(TaskId, TaskId)>>,
    running: Vec<Vec<(u32, u32)>>,
    recurrence: Arc<Recurrence>,
    now: Nanos,
}

impl Pair {
    fn new() -> Self {
        let now = 1_000_000;
        let mut all = Engine::new(now, 1000);
        for number in 1..EXECUTORS {
            assert_eq!(all.add_executor(), Ok(number));
        }
        let repeat = Repeat::FixedRate(3 * TICK_NS);
        let recurrence = Recurrence { repeat, misfire: Misfire::Latest, ..Recurrence::default() };
        Self {
            all,
            each: (0..EXECUTORS).map(|_| Engine::new(now, 1000)).collect(),
            ids: vec![Vec::new(); EXECUTORS as usize],
            running: vec![Vec::new(); EXECUTORS as usize],
            recurrence: Arc::new(recurrence),
            now,
        }
    }

    fn schedule(&mut self, executor: u8, nominal: Nanos, priority: u8, recurs: bool) {
        let recurrence = recurs.then_some(&self.recurrence);
        let slot = self.all.reserve_for(executor).unwrap();
        let id = self.all.arm(slot, nominal, priority, recurrence).unwrap();
        let own = &mut self.each[executor as usize];
        let slot = own.reserve().unwrap();
        let other = own.arm(slot, nominal, priority, recurrence).unwrap();
        self.ids[executor as usize].push((id, other));
    }

    /// A task of an executor, alive or not.
    fn pick(&self, executor: u8, which: u64) -> Option<(TaskId, TaskId)> {
        let ids = &self.ids[executor as usize];
        (!ids.is_empty()).then(|| ids[which as usize % ids.len()])
    }

    fn cancel(&mut self, executor: u8, which: u64) {
        let Some((id, other)) = self.pick(executor, which) else { return };
        let own = &mut self.each[executor as usize];
        match (self.all.cancel(id), own.cancel(other)) {
            (Cancelled::Removed { slot, .. }, Cancelled::Removed { slot: other, .. }) => {
                self.all.release(slot);
                own.release(other);
            }
            (one, other) => assert_eq!(one, other),
        }
    }

    fn change(&mut self, executor: u8, which: u64, change: impl Fn(&mut Engine, TaskId) -> bool) {
        let Some((id, other)) = self.pick(executor, which) else { return };
        let own = &mut self.each[executor as usize];
        assert_eq!(change(&mut self.all, id), change(own, other));
    }

    fn advance(&mut self, executor: u8) {
        while !self.all.advance_for(executor, self.now, BUDGET) {}
        while !self.each[executor as usize].advance(self.now, BUDGET) {}
    }

    fn take(&mut self, executor: u8) {
        self.advance(executor);
        let own = &mut self.each[executor as usize];
        match (self.all.take_for(executor), own.take()) {
            (Some(Taken::Run(slot)), Some(Taken::Run(other))) => {
                let pair = (self.all.id_of(slot).unwrap(), own.id_of(other).unwrap());
                assert!(self.ids[executor as usize].contains(&pair), "another's, or out of order");
                self.running[executor as usize].push((slot, other));
            }
            (one, other) => assert_eq!((one, other), (None, None)),
        }
    }

    fn complete(&mut self, executor: u8, which: u64, failed: bool) {
        let running = &mut self.running[executor as usize];
        if running.is_empty() {
            return;
        }
        let (slot, other) = running.swap_remove(which as usize % running.len());
        let own = &mut self.each[executor as usize];
        let done = self.all.complete(slot, self.now, failed).unwrap();
        let expected = own.complete(other, self.now, failed).unwrap();
        let plain = |done: Completion| (done.history_index.is_some(), done.due, done.skipped);
        assert_eq!(plain(done), plain(expected));
        if done.history_index.is_some() {
            self.all.release(slot);
            own.release(other);
        }
    }

    fn apply(&mut self, (kind, executor, number): (u8, u8, u64)) {
        let executor = executor % EXECUTORS;
        let nominal = (self.now - 1_000_000) + number % (20 * TICK_NS);
        match kind % 12 {
            0..=2 => self.schedule(executor, nominal, (number >> 60) as u8, number & 3 == 0),
            3 => self.cancel(executor, number),
            4 => self.change(executor, number, Engine::pause),
            5 => self.change(executor, number, Engine::resume),
            6 => self.change(executor, number, Engine::run_now),
            7 => self.change(executor, number, |engine, id| engine.reschedule(id, nominal, false)),
            8 => {
                // An engine of its own knows the time when it is told, not when another's is.
                self.now += number % (2 * TICK_NS);
                self.all.tell(self.now);
                self.each.iter_mut().for_each(|engine| engine.tell(self.now));
            }
            9 | 10 => self.take(executor),
            _ => self.complete(executor, number, kind & 16 == 0),
        }
        self.all.check();
        self.all.check_entries();
    }

    fn compare(&mut self) {
        for executor in 0..EXECUTORS {
            self.advance(executor);
            let own = &self.each[executor as usize];
            assert_eq!(self.all.next_deadline_for(executor), own.next_deadline());
        }
        let sum = |count: fn(&Engine) -> u64| self.each.iter().map(count).sum::<u64>();
        assert_eq!(self.all.ready(), sum(Engine::ready));
        assert_eq!(self.all.gauges().pending, sum(|engine| engine.gauges().pending));
        assert_eq!(self.all.counters().missed, sum(|engine| engine.counters().missed));
        assert_eq!(self.all.counters().skipped, sum(|engine| engine.counters().skipped));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn each_gets_what_an_engine_of_its_own_would_give(
        operations in vec((any::<u8>(), any::<u8>(), any::<u64>()), 1..300)
    ) {
        let mut pair = Pair::new();
        for operation in operations {
            pair.apply(operation);
        }
        pair.compare();
    }
}

#[test]
fn what_is_due_for_one_is_not_due_for_another() {
    let mut engine = Engine::new(0, 10);
    let other = engine.add_executor().unwrap();
    let slot = engine.reserve_for(other).unwrap();
    engine.arm(slot, 5, 0, None).unwrap();
    assert_eq!((engine.next_deadline(), engine.next_deadline_for(other)), (NEVER, 5));
    assert!(engine.advance(10, 100) && engine.take().is_none());
    assert!(engine.advance_for(other, 10, 100));
    assert_eq!((engine.next_deadline(), engine.next_deadline_for(other)), (NEVER, 0));
    assert_eq!(engine.take_for(other), Some(Taken::Run(slot)));
}

#[test]
fn an_executor_that_is_not_there_has_nothing_to_do() {
    let mut engine = Engine::new(0, 10);
    assert_eq!(engine.next_deadline_for(7), NEVER);
    assert!(engine.advance_for(7, 10, 100));
    assert_eq!(engine.take_for(7), None);
}

#[test]
fn there_are_so_many_and_no_more() {
    let mut engine = Engine::new(0, 10);
    for number in 1..MAX_EXECUTORS {
        let executor = engine.add_executor().unwrap();
        assert_eq!(executor as usize, number);
        let slot = engine.reserve_for(executor).unwrap();
        engine.arm(slot, number as Nanos, 0, None).unwrap();
    }
    assert!(engine.add_executor().is_err());
    engine.check_entries();
    for number in 1..MAX_EXECUTORS {
        assert_eq!(engine.next_deadline_for(number as u8), number as Nanos);
    }
}

#[test]
fn a_storm_is_spread_over_all_of_them() {
    let mut engine = Engine::new(0, 10);
    let other = engine.add_executor().unwrap();
    for number in 0..10 {
        let slot = engine.reserve_for(number % 2 * other).unwrap();
        engine.arm(slot, 1, 0, None).unwrap();
    }
    assert!(engine.advance(1000, 100) && engine.advance_for(other, 1000, 100));
    let mut pace = engine.pace(100);
    while !engine.defer(&mut pace, 3) {}
    let mut due = Vec::new();
    for moment in 1000..1200 {
        for executor in [0, other] {
            while !engine.advance_for(executor, moment, 100) {}
            while engine.take_for(executor).is_some() {
                due.push(moment);
            }
        }
    }
    assert_eq!(due, (0..10).map(|number| 1000 + 10 * number).collect::<Vec<_>>());
}
