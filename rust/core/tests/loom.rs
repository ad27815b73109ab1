//! The waiting protocol of `src/wait.rs` under a model checker: every interleaving of two or three
//! threads, up to a bound of preemptions. At the end, likewise, the memo of calendars.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p scheduler-core --release --test loom
//! ```
//!
//! A lost wake-up shows as a deadlock: the thread that takes the last piece of work closes the gate,
//! and if none is called for it, none does. The checker then aborts the process, after it has
//! named the test.
//!
//! The test plays the clock, and must not play it too kindly: a thread that is woken for no reason
//! would find by luck what the protocol has lost. So a timer rings only for a thread that sleeps
//! until a moment which has passed. Until when it sleeps is what the gate asks its clock, under the
//! lock, before the thread goes to sleep. Deadlines are below [`LONG_RUN_NS`], so that the alarms of
//! deputies, which are beyond, are told from those of leaders.
//!
//! `LOOM_MAX_PREEMPTIONS` overrides the bound of three, which catches every rule of the protocol
//! when it is broken, in seconds.

#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Mutex as Cell;
use std::time::Duration;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use scheduler_core::calendar::{Calendar, Dst, Part, Rule, Zone};
use scheduler_core::{Alarm, Clock, Deadlines, Gate, LONG_RUN_NS, NEVER, Nanos, Phase};

/// The threads that sleep until a moment, and that moment. Only used under the lock of the gate.
#[derive(Default)]
struct Watch(Vec<(usize, Nanos)>);

impl Watch {
    /// Whether the timer of the leader rings, and that of the deputy.
    fn rings(&self, now: Nanos) -> (bool, bool) {
        let over = |is_deputy: bool| {
            let is_over = |until: Nanos| (until >= LONG_RUN_NS) == is_deputy && until <= now;
            self.0.iter().any(|(_, until)| is_over(*until))
        };
        (over(false), over(true))
    }
}

/// A queue of deadlines, and of those for an executor with an alarm.
struct Queue {
    deadlines: Vec<Nanos>,
    others: Vec<Nanos>,
    watch: std::sync::Arc<Cell<Watch>>,
}

impl Queue {
    fn pop_due(&mut self, now: Nanos) -> Option<Nanos> {
        let next = *self.deadlines.iter().min()?;
        if next > now {
            return None;
        }
        let index = self.deadlines.iter().position(|deadline| *deadline == next)?;
        Some(self.deadlines.swap_remove(index))
    }
}

impl Deadlines for Queue {
    type Garbage = ();

    fn take_garbage(&mut self) -> Option<()> {
        None
    }

    fn next_deadline(&self) -> Nanos {
        self.deadlines.iter().min().copied().unwrap_or(NEVER)
    }

    fn next_deadline_for(&self, executor: u8) -> Nanos {
        assert_eq!(executor, OTHER);
        self.others.iter().min().copied().unwrap_or(NEVER)
    }
}

/// The executor that has an alarm.
const OTHER: u8 = 1;

/// An alarm, and for when it is set. Only used under the lock of the gate.
struct Bell(Cell<Nanos>);

impl Alarm for Bell {
    fn set(&self, moment: Nanos) {
        *self.0.lock().unwrap() = moment;
    }
}

/// The thread of the test, which is no worker.
const MAIN: usize = usize::MAX;

/// The clock as one thread sees it.
struct ThreadClock<'a> {
    thread: usize,
    time: &'a AtomicU64,
    watch: &'a Cell<Watch>,
}

impl Clock for ThreadClock<'_> {
    fn now(&self) -> Nanos {
        // The thread is awake.
        self.watch.lock().unwrap().0.retain(|(sleeper, _)| *sleeper != self.thread);
        self.time.load(Ordering::SeqCst)
    }

    fn span(&self, _: Nanos, until: Nanos) -> Duration {
        self.watch.lock().unwrap().0.push((self.thread, until));
        // The time under the model checker is that of the test.
        Duration::ZERO
    }
}

/// A gate with its clock.
struct Bench {
    gate: Gate<Queue>,
    time: AtomicU64,
    watch: std::sync::Arc<Cell<Watch>>,
    /// How many pieces of work have been taken.
    taken: Mutex<usize>,
    progress: Condvar,
    /// How many there will be: the thread that takes the last one closes the gate.
    expected: usize,
}

impl Bench {
    /// An open gate at time zero.
    fn new(deadlines: &[Nanos], expected: usize) -> Arc<Self> {
        Self::with_slack(deadlines, expected, 0)
    }

    fn with_slack(deadlines: &[Nanos], expected: usize, slack: Nanos) -> Arc<Self> {
        let watch = std::sync::Arc::<Cell<Watch>>::default();
        let (deadlines, others) = (deadlines.to_vec(), Vec::new());
        let queue = Queue { deadlines, others, watch: watch.clone() };
        let gate = Gate::with_slack(queue, slack);
        gate.set_phase(Phase::Open);
        let (taken, progress) = (Mutex::new(0), Condvar::new());
        Arc::new(Self { gate, time: AtomicU64::new(0), watch, taken, progress, expected })
    }

    fn now(&self) -> Nanos {
        self.time.load(Ordering::SeqCst)
    }

    /// Adds a piece of work.
    fn insert(&self, deadline: Nanos) {
        self.gate.with(|queue| queue.deadlines.push(deadline));
    }

    /// Moves the clock, and lets the timers ring whose time has come.
    fn move_clock(&self, now: Nanos) {
        self.time.store(now, Ordering::SeqCst);
        self.gate.ring(|queue| queue.watch.lock().unwrap().rings(now));
    }

    fn clock(&self, thread: usize) -> ThreadClock<'_> {
        ThreadClock { thread, time: &self.time, watch: &self.watch }
    }

    /// Waits once. Returns whether something is due.
    fn wait(&self, thread: usize) -> bool {
        self.gate.wait(&self.clock(thread))
    }

    /// Takes one piece of work.
    fn take(&self, thread: usize, arriving: bool) -> Option<Nanos> {
        let pop = |queue: &mut Queue, open: bool, now| open.then(|| queue.pop_due(now)).flatten();
        let taken = self.gate.take(&self.clock(thread), arriving, pop);
        if let Some(deadline) = taken {
            assert!(deadline <= self.now(), "taken early");
            let mut count = self.taken.lock().unwrap();
            *count += 1;
            self.progress.notify_all();
            if *count == self.expected {
                drop(count);
                self.gate.set_phase(Phase::Closed);
            }
        }
        taken
    }

    /// A worker's life: waits, takes, and does work that is over when so many pieces are taken.
    fn work(&self, thread: usize, until: usize) {
        while self.wait(thread) {
            let mut taken = self.take(thread, true);
            while taken.is_some() {
                self.sleep_until_taken(until);
                taken = self.take(thread, false);
            }
        }
    }

    fn sleep_until_taken(&self, until: usize) {
        let mut count = self.taken.lock().unwrap();
        while *count < until {
            count = self.progress.wait(count).unwrap();
        }
    }

    fn finish(&self, threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(*self.taken.lock().unwrap(), self.expected);
    }
}

fn check(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(test);
}

/// Workers on threads of their own, whose work lasts until so many pieces are taken.
fn workers(bench: &Arc<Bench>, count: usize, until: usize) -> Vec<thread::JoinHandle<()>> {
    (0..count)
        .map(|number| {
            let bench = bench.clone();
            thread::spawn(move || bench.work(number, until))
        })
        .collect()
}

// ---- rule 1: the leader never sleeps beyond the next deadline ----------------------------------

#[test]
fn work_that_is_due_at_once_wakes_an_idle_gate() {
    check(|| {
        let bench = Bench::new(&[], 1);
        let threads = workers(&bench, 1, 0);
        bench.insert(0);
        bench.finish(threads);
    });
}

#[test]
fn an_earlier_deadline_calls_the_leader() {
    check(|| {
        let bench = Bench::new(&[20], 2);
        let threads = workers(&bench, 1, 0);
        bench.insert(10);
        bench.move_clock(10);
        bench.sleep_until_taken(1);
        bench.move_clock(20);
        bench.finish(threads);
    });
}

#[test]
fn earlier_and_earlier_deadlines_from_two_threads() {
    check(|| {
        let bench = Bench::new(&[30], 3);
        let threads = workers(&bench, 1, 0);
        let other = bench.clone();
        let other = thread::spawn(move || other.insert(20));
        bench.insert(10);
        bench.move_clock(10);
        bench.move_clock(20);
        bench.move_clock(30);
        other.join().unwrap();
        bench.finish(threads);
    });
}

#[test]
fn a_later_deadline_is_kept_though_nobody_is_called() {
    check(|| {
        let bench = Bench::new(&[10], 2);
        let threads = workers(&bench, 2, 0);
        bench.insert(20);
        bench.move_clock(10);
        bench.move_clock(20);
        bench.finish(threads);
    });
}

#[test]
fn a_leader_armed_for_what_was_cancelled_arms_itself_anew() {
    check(|| {
        let bench = Bench::new(&[10, 20], 1);
        let threads = workers(&bench, 1, 0);
        bench.gate.edit(|queue| queue.deadlines.retain(|deadline| *deadline == 20));
        bench.move_clock(10);
        bench.move_clock(20);
        bench.finish(threads);
    });
}

// ---- rule 2: while work is pending and threads are parked, one leads or is under way ------

#[test]
fn two_pieces_due_at_once_reach_two_threads() {
    check(|| {
        let bench = Bench::new(&[], 2);
        // Neither work is over before the other is taken.
        let threads = workers(&bench, 2, 2);
        bench.gate.with(|queue| queue.deadlines.extend([0, 0]));
        bench.finish(threads);
    });
}

#[test]
fn two_pieces_that_come_one_by_one_reach_two_threads() {
    check(|| {
        let bench = Bench::new(&[], 2);
        let threads = workers(&bench, 2, 2);
        bench.insert(0);
        bench.insert(0);
        bench.finish(threads);
    });
}

#[test]
fn one_wave_after_another_finds_the_gate_as_it_was() {
    check(|| {
        let bench = Bench::new(&[0], 3);
        let threads = workers(&bench, 2, 0);
        bench.sleep_until_taken(1);
        bench.insert(0);
        bench.sleep_until_taken(2);
        bench.insert(10);
        bench.move_clock(10);
        bench.finish(threads);
    });
}

#[test]
fn a_busy_thread_that_takes_what_another_was_called_for_loses_nothing() {
    check(|| {
        let bench = Bench::new(&[], 3);
        let threads = workers(&bench, 2, 0);
        bench.gate.with(|queue| queue.deadlines.extend([0, 0]));
        // A third thread, coming from its work, is faster than those that sleep, or is not.
        bench.take(MAIN, false);
        bench.insert(10);
        bench.move_clock(10);
        bench.finish(threads);
    });
}

#[test]
fn work_from_within_work_is_not_lost() {
    check(|| {
        let bench = Bench::new(&[0], 2);
        let inserter = bench.clone();
        let first = thread::spawn(move || {
            while inserter.wait(0) {
                if inserter.take(0, true) == Some(0) {
                    // The callback schedules, and runs on until that is done by the other.
                    inserter.insert(1);
                    inserter.sleep_until_taken(2);
                }
            }
        });
        let second = bench.clone();
        let second = thread::spawn(move || {
            while second.wait(1) {
                match second.take(1, true) {
                    Some(0) => {
                        second.insert(1);
                        second.sleep_until_taken(2);
                    }
                    _ => continue,
                }
            }
        });
        bench.move_clock(1);
        bench.finish([first, second]);
    });
}

// ---- rule 4: the deputy --------------------------------------------------------------------------

/// When a deputy that went to sleep before a moment has rung.
const fn rung(moment: Nanos) -> Nanos {
    moment + LONG_RUN_NS
}

#[test]
fn the_deputy_takes_what_falls_due_during_a_long_run() {
    check(|| {
        let bench = Bench::new(&[10, 20], 2);
        let threads = workers(&bench, 2, 2);
        bench.move_clock(10);
        bench.move_clock(20);
        bench.move_clock(rung(20));
        bench.finish(threads);
    });
}

#[test]
fn the_watch_is_handed_on_before_a_run_that_will_be_long() {
    check(|| {
        let bench = Bench::new(&[10, 20], 2);
        let threads = (0..2).map(|number| {
            let bench = bench.clone();
            thread::spawn(move || {
                while bench.wait(number) {
                    if bench.take(number, true).is_some() {
                        bench.gate.hand_on();
                        bench.sleep_until_taken(2);
                    }
                }
            })
        });
        let threads: Vec<_> = threads.collect();
        bench.move_clock(10);
        bench.move_clock(20);
        bench.finish(threads);
    });
}

#[test]
fn a_leader_that_returns_from_a_short_run_leads_again() {
    check(|| {
        let bench = Bench::new(&[10, 20], 2);
        let threads = workers(&bench, 2, 0);
        bench.move_clock(10);
        bench.move_clock(20);
        bench.finish(threads);
    });
}

#[test]
fn a_deputy_with_a_late_alarm_is_called() {
    check(|| {
        let bench = Bench::new(&[900], 3);
        let threads = workers(&bench, 2, 2);
        bench.gate.with(|queue| queue.deadlines.extend([10, 20]));
        bench.move_clock(10);
        bench.move_clock(20);
        // Before an alarm that was set for 900 rings.
        bench.move_clock(rung(20));
        bench.finish(threads);
    });
}

#[test]
fn an_idle_deputy_is_called_for_what_comes_during_a_long_run() {
    check(|| {
        let bench = Bench::new(&[], 2);
        let threads = workers(&bench, 2, 2);
        bench.insert(0);
        bench.sleep_until_taken(1);
        bench.insert(10);
        bench.move_clock(10);
        bench.finish(threads);
    });
}

#[test]
fn what_comes_during_a_long_run_is_covered_wherever_it_is_due() {
    for inserted in [5, 15, 25] {
        check(move || {
            let bench = Bench::new(&[0, 20], 3);
            let threads = workers(&bench, 2, 3);
            bench.sleep_until_taken(1);
            bench.insert(inserted);
            bench.move_clock(25);
            bench.move_clock(rung(25));
            // The first two runs last until the third piece is taken.
            bench.sleep_until_taken(2);
            bench.take(MAIN, false);
            bench.finish(threads);
        });
    }
}

#[test]
fn what_is_covered_and_cancelled_leaves_the_rest_covered() {
    check(|| {
        let bench = Bench::new(&[0, 20, 30], 2);
        let threads = workers(&bench, 2, 2);
        bench.sleep_until_taken(1);
        bench.gate.edit(|queue| queue.deadlines.retain(|deadline| *deadline != 20));
        bench.move_clock(30);
        bench.move_clock(rung(30));
        bench.finish(threads);
    });
}

#[test]
fn a_thread_that_leaves_leaves_the_watch_to_another() {
    for stays in 0..2 {
        check(move || {
            let bench = Bench::new(&[10, 20], 2);
            let leaving = Arc::new(AtomicU64::new(0));
            let thread = |number: usize| {
                let (bench, leaving) = (bench.clone(), leaving.clone());
                thread::spawn(move || {
                    let must_leave = || number != stays && leaving.load(Ordering::SeqCst) == 1;
                    while bench.gate.wait_unless(&bench.clock(number), must_leave) {
                        bench.take(number, true);
                    }
                })
            };
            let threads = [thread(0), thread(1)];
            leaving.store(1, Ordering::SeqCst);
            bench.gate.look_again();
            bench.move_clock(10);
            bench.move_clock(20);
            bench.finish(threads);
        });
    }
}

#[test]
fn a_thread_that_turns_back_leaves_the_work_to_another() {
    check(|| {
        let bench = Bench::new(&[10, 20], 2);
        let turned = bench.clone();
        let first = thread::spawn(move || {
            if turned.wait(0) {
                turned.gate.turn_back();
            }
        });
        let second = bench.clone();
        let second = thread::spawn(move || second.work(1, 0));
        bench.move_clock(10);
        bench.move_clock(20);
        bench.finish([first, second]);
    });
}

#[test]
fn a_clock_that_jumps_over_the_timers_wakes_those_that_it_is_told_to() {
    for now in [10, 20] {
        check(move || {
            let bench = Bench::new(&[10, 20], 2);
            let threads = workers(&bench, 2, 2);
            // No timer rings.
            bench.time.store(now, Ordering::SeqCst);
            bench.gate.clock_moved();
            bench.move_clock(20);
            bench.move_clock(rung(20));
            bench.finish(threads);
        });
    }
}

// ---- slack -------------------------------------------------------------------------------------

#[test]
fn with_slack_the_leader_sleeps_past_a_deadline_and_takes_what_fell_due_meanwhile() {
    check(|| {
        let bench = Bench::with_slack(&[10, 12], 2, 5);
        let threads = workers(&bench, 2, 0);
        bench.insert(14);
        bench.insert(9);
        bench.gate.edit(|queue| queue.deadlines.retain(|deadline| *deadline % 2 == 0));
        bench.gate.edit(|queue| queue.deadlines.retain(|deadline| *deadline < 14));
        bench.move_clock(14);
        bench.move_clock(15);
        bench.finish(threads);
    });
}

#[test]
fn with_slack_an_earlier_deadline_calls_the_leader_if_the_slack_does_not_cover_it() {
    for inserted in [10, 13, 19] {
        check(move || {
            let bench = Bench::with_slack(&[20], 2, 5);
            let threads = workers(&bench, 1, 0);
            bench.insert(inserted);
            // At most the slack late.
            bench.move_clock(inserted + 5);
            bench.sleep_until_taken(1);
            bench.move_clock(25);
            bench.finish(threads);
        });
    }
}

#[test]
fn with_slack_the_deputy_takes_what_is_due_behind_a_long_run() {
    check(|| {
        let bench = Bench::with_slack(&[10, 12], 2, 5);
        let threads = workers(&bench, 2, 2);
        bench.move_clock(15);
        bench.move_clock(rung(15) + 5);
        bench.finish(threads);
    });
}

// ---- rule 3, and the phases --------------------------------------------------------------------

#[test]
fn closing_wakes_everybody() {
    check(|| {
        let bench = Bench::new(&[10], 0);
        let threads = workers(&bench, 2, 0);
        bench.gate.set_phase(Phase::Closed);
        bench.finish(threads);
    });
}

#[test]
fn a_closed_gate_hands_out_nothing_more() {
    check(|| {
        let bench = Bench::new(&[0, 0], 9);
        let threads = workers(&bench, 1, 0);
        bench.gate.set_phase(Phase::Closed);
        let left = bench.gate.look(|queue| queue.deadlines.len());
        assert_eq!(bench.take(MAIN, false), None);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(bench.gate.look(|queue| queue.deadlines.len()), left);
    });
}

#[test]
fn draining_takes_what_is_due_and_no_more() {
    check(|| {
        let bench = Bench::new(&[0, 10], 1);
        let threads = workers(&bench, 2, 0);
        bench.gate.set_phase(Phase::Draining);
        bench.sleep_until_taken(1);
        bench.finish(threads);
        assert_eq!(bench.gate.look(|queue| queue.deadlines.clone()), [10]);
    });
}

#[test]
fn draining_ends_when_nothing_is_due() {
    check(|| {
        let bench = Bench::new(&[10], 0);
        let threads = workers(&bench, 2, 0);
        bench.gate.set_phase(Phase::Draining);
        bench.finish(threads);
    });
}

#[test]
fn a_gate_opened_again_is_watched_by_those_who_did_not_leave() {
    for phase in [Phase::Draining, Phase::Closed] {
        check(move || {
            let bench = Bench::new(&[10], 1);
            let threads = workers(&bench, 2, 0);
            bench.gate.set_phase(phase);
            bench.gate.set_phase(Phase::Open);
            bench.move_clock(10);
            for thread in threads {
                thread.join().unwrap();
            }
            // Either a thread stayed and took it, or all had left.
            assert!(*bench.taken.lock().unwrap() <= 1);
        });
    }
}

// ---- rule 5: executors with an alarm -----------------------------------------------------------

impl Bench {
    /// Adds the executor with an alarm.
    fn add_bell(&self) -> std::sync::Arc<Bell> {
        let bell = std::sync::Arc::new(Bell(Cell::new(NEVER)));
        self.gate.add_alarm(OTHER, bell.clone());
        bell
    }

    /// Adds a piece of work for it.
    fn insert_other(&self, deadline: Nanos) {
        self.gate.with(|queue| queue.others.push(deadline));
    }

    /// Takes what is due for it until nothing is, and rests. How many pieces there were.
    fn take_others_and_rest(&self, thread: usize) -> usize {
        let (clock, mut count) = (self.clock(thread), 0);
        loop {
            let taken = self.gate.take_for(OTHER, &clock, |queue, open, now| {
                let due = queue.others.iter().position(|deadline| open && *deadline <= now);
                due.map(|index| queue.others.swap_remove(index))
            });
            count += usize::from(taken.is_some());
            if taken.is_none() && self.gate.rest(OTHER, &clock) {
                return count;
            }
        }
    }
}

#[test]
fn of_two_threads_that_set_the_alarm_the_earlier_deadline_wins() {
    check(|| {
        let bench = Bench::new(&[], 0);
        let bell = bench.add_bell();
        assert_eq!(bench.take_others_and_rest(MAIN), 0);
        let other = bench.clone();
        let thread = thread::spawn(move || other.insert_other(10));
        bench.insert_other(20);
        thread.join().unwrap();
        assert_eq!(*bell.0.lock().unwrap(), 10);
    });
}

#[test]
fn what_comes_before_the_executor_rests_is_taken_or_has_the_alarm_set() {
    check(|| {
        let bench = Bench::new(&[], 0);
        let bell = bench.add_bell();
        let other = bench.clone();
        let thread = thread::spawn(move || {
            other.insert_other(0);
            other.insert_other(10);
        });
        let taken = bench.take_others_and_rest(MAIN);
        thread.join().unwrap();
        let rings_at = *bell.0.lock().unwrap();
        assert_eq!(rings_at, if taken == 0 { 0 } else { 10 });
    });
}

#[test]
fn an_executor_that_rested_while_the_gate_was_closed_is_woken_when_it_opens() {
    check(|| {
        let bench = Bench::new(&[], 0);
        let bell = bench.add_bell();
        bench.gate.set_phase(Phase::Closed);
        bench.insert_other(0);
        let other = bench.clone();
        let thread = thread::spawn(move || other.gate.set_phase(Phase::Open));
        let taken = bench.take_others_and_rest(MAIN);
        thread.join().unwrap();
        assert!(taken == 1 || *bell.0.lock().unwrap() == 0);
    });
}

#[test]
fn with_slack_the_alarm_is_set_for_later() {
    check(|| {
        let bench = Bench::with_slack(&[], 0, 5);
        let bell = bench.add_bell();
        bench.insert_other(10);
        assert_eq!(bench.take_others_and_rest(MAIN), 0);
        assert_eq!(*bell.0.lock().unwrap(), 15);
        bench.insert_other(12);
        assert_eq!(*bell.0.lock().unwrap(), 15);
        bench.insert_other(9);
        assert_eq!(*bell.0.lock().unwrap(), 14);
    });
}

// ---- the memo of calendars ---------------------------------------------------------------------

/// Threads move the memo of a calendar from answer to answer while another asks. Of one answer's
/// beginning and another's end it would make a third answer, a wrong one.
#[test]
fn a_memo_never_mixes_two_answers() {
    check(|| {
        let rule = Rule::Moments(vec![10, 20, 30]);
        let part = Part { rule, zone: Zone::utc(), dst: Dst::Debian };
        let calendar = Arc::new(Calendar::new(vec![part], None).unwrap());
        calendar.next_after(5);
        let asker = {
            let calendar = calendar.clone();
            thread::spawn(move || assert_eq!(calendar.next_after(15), Some(20)))
        };
        calendar.next_after(25);
        calendar.next_after(6);
        asker.join().unwrap();
    });
}
