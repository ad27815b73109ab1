//! The gate: a lock around the queue, and the threads that wait for something to be due.
//!
//! Workers that find nothing due wait here. One of them, the *leader*, sleeps until the next
//! deadline. A second one, the *deputy*, sleeps a little longer, and looks whether the leader is
//! busy. The others are *parked* and sleep until they are called. So a deadline wakes one thread,
//! the deputy wakes about once a millisecond while work goes on, and an idle gate with a million
//! timers wakes none.
//!
//! The danger of such a protocol is the lost wake-up: something becomes due while every thread
//! sleeps or works. Four rules prevent it. They are checked after each change, under the lock:
//!
//! 1. The leader never sleeps beyond the next deadline plus the slack, which is zero unless it is
//!    set. A thread that makes the next deadline earlier than that calls the leader.
//! 2. Whenever something is pending and threads are parked or stand by, at least one of these holds:
//!    there is a leader; there is a thread *under way*: called and not yet awake, or awake and not
//!    yet at the queue; or the deputy *covers* the next deadline. A thread under way re-establishes
//!    this rule when it arrives: by leading, or, having taken work, by leaving the next deadline to
//!    the deputy, or else by calling the next thread.
//! 3. A call is a permit that is counted, not only a notification: it is not lost if it comes
//!    before the sleep, and a spurious wake-up is not one.
//! 4. The deputy covers the next deadline if its own alarm rings at most [`LONG_RUN_NS`] after that.
//!    When it rings, the deputy does what any thread does that is awake: it takes what is due, or
//!    leads if nobody does. But if the leader sleeps, the deputy sets its alarm to [`LONG_RUN_NS`]
//!    after the leader's, and sleeps on. With slack, both may be later by the slack, or by twice as
//!    much: see [`Inner::patience`].
//!
//! Rule 4 is there for tasks that are spread over time. A leader that has taken a task runs it, and
//! does not watch meanwhile. To call another thread for that, before each run, costs as much as the
//! wake-up that the run itself needs. Most runs are over within microseconds, and the thread leads
//! again. If a run takes longer, what falls due meanwhile starts at most [`LONG_RUN_NS`] late, or
//! twice that after its slack.
//! Where that is not good enough, the watch is handed on at once:
//!
//! - if more is due already, unless there is slack and the deputy looks soon: the threads then wake
//!   one after another;
//! - if the caller knows that a run will take long: see [`Gate::hand_on`].
//!
//! What the deputy was found to cover when work was taken is kept as long as it sleeps (`covered`), so
//! that a thread that inserts need not ask for the time: a later deadline is covered as well, and an
//! earlier one only if the alarm comes first.
//!
//! A deputy is not necessary: threads come and go. If there is none, or if its alarm is too late,
//! rule 2 has a thread called. At most one thread waits at the deputy's place: it is taken until the
//! thread that was called there is awake.
//!
//! # Executors that wait elsewhere
//!
//! An event loop sleeps in its own way. It has an *alarm* instead of a thread here: something that
//! rings at a moment, such as a timer that the loop polls. One more rule holds for each:
//!
//! 5. An executor that rests has its alarm set for its next deadline plus the slack, or an earlier
//!    moment. A thread that makes its next deadline earlier sets the alarm, under the lock: so that
//!    of two threads which set it at the same time, the earlier moment wins.
//!
//! An executor rests from [`Gate::rest`] until it takes something. While it is awake nobody sets its
//! alarm: it looks itself before it rests again.
//!
//! One call at a time is enough. Each thread that arrives and finds more work calls the next one, so
//! as many threads wake as there is work, and they do not all compete for the lock at once.

use std::sync::Arc;
use std::time::Duration;

use crate::sync::{Condvar, Mutex, MutexGuard, lock, wait, wait_for};
use crate::time::{NEVER, Nanos};

/// What the gate asks of the queue behind it.
pub trait Deadlines {
    /// When something has to be done next; [`NEVER`] if nothing is pending.
    fn next_deadline(&self) -> Nanos;

    /// The same for an executor that has an alarm, by its number.
    fn next_deadline_for(&self, _executor: u8) -> Nanos {
        NEVER
    }

    /// What is to be dropped after the lock is released.
    type Garbage;

    /// Hands that out, after each piece of work, if there is any. O(1).
    fn take_garbage(&mut self) -> Option<Self::Garbage>;
}

impl Deadlines for crate::engine::Engine {
    type Garbage = Box<crate::garbage::Garbage>;

    #[inline]
    fn take_garbage(&mut self) -> Option<Self::Garbage> {
        Self::take_garbage(self)
    }

    fn next_deadline(&self) -> Nanos {
        Self::next_deadline(self)
    }

    fn next_deadline_for(&self, executor: u8) -> Nanos {
        Self::next_deadline_for(self, executor)
    }
}

/// Wakes an executor that does not wait at the gate.
pub trait Alarm: Send + Sync {
    /// Rings at a moment, at once if that has passed, never at [`NEVER`]; and no longer at the
    /// moment that was set before. Called under the lock: it must neither wait nor ask for that.
    fn set(&self, moment: Nanos);
}

/// What the gate asks of a clock.
pub trait Clock {
    /// The present moment. It never goes back.
    fn now(&self) -> Nanos;

    /// How long a thread has to sleep to wake at a moment.
    fn span(&self, now: Nanos, until: Nanos) -> Duration {
        Duration::from_nanos(until.saturating_sub(now))
    }
}

/// The deputy notices within so many nanoseconds that the leader is busy with a run.
pub const LONG_RUN_NS: Nanos = 1_000_000;

/// Whether work may be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// All that is due, when it is due.
    Open,
    /// What is due now, then no more.
    Draining,
    /// Nothing.
    Closed,
}

struct Inner<Q> {
    queue: Q,
    phase: Phase,
    /// How far beyond a deadline the leader may sleep.
    slack: Nanos,
    /// What the leader is armed for.
    leader: Option<Nanos>,
    deputy: Deputy,
    /// Threads that sleep without a deadline and have not been called.
    parked: u32,
    /// Calls that no parked thread has answered yet.
    permits: u32,
    /// Threads that have left the gate for the queue and not yet arrived there.
    arriving: u32,
    /// How often all that sleep were asked to look again.
    rounds: u64,
    resting: Vec<Resting>,
}

/// An executor with an alarm.
struct Resting {
    executor: u8,
    /// For when the alarm is set at the latest; 0 while the executor is awake.
    armed: Nanos,
    alarm: Arc<dyn Alarm>,
}

/// The place of the deputy.
#[derive(Clone, Copy)]
enum Deputy {
    Absent,
    /// It sleeps until its alarm rings. `covered` is the next deadline when work was taken last, if
    /// that was left to it; else [`NEVER`].
    Asleep {
        alarm: Nanos,
        covered: Nanos,
    },
    /// It was called and is not yet awake.
    Called,
}

impl<Q: Deadlines> Inner<Q> {
    /// Until when the leader may sleep if the next deadline is this.
    #[inline]
    fn latest(&self, next: Nanos) -> Nanos {
        next.saturating_add(self.slack)
    }

    /// How long after the leader's the deputy's alarm rings. Where a millisecond more is allowed,
    /// half as many alarms ring.
    #[inline]
    fn patience(&self) -> Nanos {
        LONG_RUN_NS + self.slack.min(LONG_RUN_NS)
    }

    /// Rule 5, where work may have come.
    fn set_alarms(&mut self) {
        if self.phase != Phase::Open {
            return;
        }
        let Self { queue, resting, slack, .. } = self;
        for resting in resting.iter_mut().filter(|resting| resting.armed > 0) {
            let until = queue.next_deadline_for(resting.executor).saturating_add(*slack);
            if until < resting.armed {
                resting.armed = until;
                resting.alarm.set(until);
            }
        }
    }

    /// Whether the watch over the next deadline can be handed on, and nobody has it or will.
    #[inline]
    fn can_hand_on(&self) -> bool {
        let has_sleeper = self.parked > 0 || matches!(self.deputy, Deputy::Asleep { .. });
        let is_called = self.permits > 0 || matches!(self.deputy, Deputy::Called);
        self.leader.is_none() && has_sleeper && !is_called && self.arriving == 0
    }

    /// Rule 4, when work has been taken.
    #[inline]
    fn is_covered(&self, next: Nanos, now: Nanos, alarm: Nanos) -> bool {
        let limit = if next > now {
            self.latest(next)
        } else if self.slack > 0 {
            now
        } else {
            return false;
        };
        // An alarm that should have rung long ago belongs to a clock that has jumped.
        alarm <= limit.saturating_add(self.patience()) && now <= alarm.saturating_add(LONG_RUN_NS)
    }
}

/// A queue behind a lock, and the threads that wait for it.
pub struct Gate<Q> {
    inner: Mutex<Inner<Q>>,
    leader: Condvar,
    deputy: Condvar,
    parked: Condvar,
}

impl<Q: Deadlines> Gate<Q> {
    /// A closed gate, without slack.
    pub fn new(queue: Q) -> Self {
        Self::with_slack(queue, 0)
    }

    /// A closed gate whose leader may sleep so many nanoseconds beyond a deadline: what falls due
    /// meanwhile then costs no wake-up of its own.
    pub fn with_slack(queue: Q, slack: Nanos) -> Self {
        let inner = Inner {
            queue,
            phase: Phase::Closed,
            slack,
            leader: None,
            deputy: Deputy::Absent,
            parked: 0,
            permits: 0,
            arriving: 0,
            rounds: 0,
            resting: Vec::new(),
        };
        Self {
            inner: Mutex::new(inner),
            leader: Condvar::new(),
            deputy: Condvar::new(),
            parked: Condvar::new(),
        }
    }

    /// Works on the queue under the lock, and calls a thread if that has made one needed.
    #[inline]
    pub fn with<R>(&self, work: impl FnOnce(&mut Q) -> R) -> R {
        let mut inner = lock(&self.inner);
        let result = work(&mut inner.queue);
        let garbage = inner.queue.take_garbage();
        self.call_if_needed(inner);
        drop(garbage);
        result
    }

    /// Works on the queue under the lock, where that cannot bring the next deadline forward.
    #[inline]
    pub fn edit<R>(&self, work: impl FnOnce(&mut Q) -> R) -> R {
        let mut inner = lock(&self.inner);
        let result = work(&mut inner.queue);
        let garbage = inner.queue.take_garbage();
        drop(inner);
        drop(garbage);
        result
    }

    /// Looks at the queue under the lock; `None` if the lock is held.
    pub fn try_look<R>(&self, look: impl FnOnce(&Q) -> R) -> Option<R> {
        self.inner.try_lock().ok().map(|inner| look(&inner.queue))
    }

    /// Looks at the queue under the lock.
    pub fn look<R>(&self, look: impl FnOnce(&Q) -> R) -> R {
        look(&lock(&self.inner).queue)
    }

    /// Works on the queue as a thread that comes from [`Gate::wait`] (`arriving`) or from its last
    /// piece of work. The work is passed whether it may take more, and the present moment.
    #[inline]
    pub fn take<R>(
        &self,
        clock: &impl Clock,
        arriving: bool,
        work: impl FnOnce(&mut Q, bool, Nanos) -> R,
    ) -> R {
        let mut inner = lock(&self.inner);
        inner.arriving -= u32::from(arriving);
        let open = inner.phase != Phase::Closed;
        let now = clock.now();
        let taken = work(&mut inner.queue, open, now);
        let garbage = inner.queue.take_garbage();
        self.leave_to_deputy(inner, now);
        drop(garbage);
        taken
    }

    /// Adds an executor that has an alarm. It is awake. Its number is the queue's for it.
    pub fn add_alarm(&self, executor: u8, alarm: Arc<dyn Alarm>) {
        lock(&self.inner).resting.push(Resting { executor, armed: 0, alarm });
    }

    /// As [`Gate::take`], for an executor that has an alarm, and is awake from here on.
    #[inline]
    pub fn take_for<R>(
        &self,
        executor: u8,
        clock: &impl Clock,
        work: impl FnOnce(&mut Q, bool, Nanos) -> R,
    ) -> R {
        let mut inner = lock(&self.inner);
        for resting in &mut inner.resting {
            if resting.executor == executor {
                resting.armed = 0;
            }
        }
        let open = inner.phase != Phase::Closed;
        let taken = work(&mut inner.queue, open, clock.now());
        let garbage = inner.queue.take_garbage();
        drop(inner);
        drop(garbage);
        taken
    }

    /// Lets an executor rest: its alarm will ring when it has something to do. Returns false if it has
    /// already. O(1).
    pub fn rest(&self, executor: u8, clock: &impl Clock) -> bool {
        let mut inner = lock(&self.inner);
        let next = match inner.phase {
            Phase::Closed => NEVER,
            _ => inner.queue.next_deadline_for(executor),
        };
        if next <= clock.now() {
            return false;
        }
        // Drained is what is due now; what comes later stays.
        let next = if inner.phase == Phase::Open { next } else { NEVER };
        let until = inner.latest(next);
        for resting in &mut inner.resting {
            if resting.executor == executor {
                resting.armed = until;
                resting.alarm.set(until);
            }
        }
        true
    }

    /// Turns back, as a thread that comes from [`Gate::wait`] and will take nothing.
    pub fn turn_back(&self) {
        let mut inner = lock(&self.inner);
        inner.arriving -= 1;
        self.hand_on_now(inner);
    }

    /// Hands on the watch over the next deadline, before a piece of work that will take long.
    pub fn hand_on(&self) {
        self.hand_on_now(lock(&self.inner));
    }

    fn hand_on_now(&self, inner: MutexGuard<'_, Inner<Q>>) {
        if inner.can_hand_on() && inner.queue.next_deadline() != NEVER {
            self.call(inner, false);
        }
    }

    /// Sleeps until something is due. Returns true if so: the thread must then call
    /// [`Gate::take`] or [`Gate::turn_back`]; false if the gate is closed, or drained.
    pub fn wait(&self, clock: &impl Clock) -> bool {
        self.wait_unless(clock, || false)
    }

    /// As [`Gate::wait`], but returns false as well when the thread must leave. That is asked under
    /// the lock, once after each call, and a thread that is told so must leave.
    pub fn wait_unless(&self, clock: &impl Clock, must_leave: impl Fn() -> bool) -> bool {
        let mut inner = lock(&self.inner);
        loop {
            if inner.phase == Phase::Closed {
                return false;
            }
            if must_leave() {
                // It may have been called for a deadline, which another thread has to watch then.
                self.hand_on_now(inner);
                return false;
            }
            let (now, next) = (clock.now(), inner.queue.next_deadline());
            if next <= now {
                inner.arriving += 1;
                return true;
            }
            if inner.phase == Phase::Draining {
                return false;
            }
            inner = match (inner.leader, inner.deputy) {
                (None, _) => self.lead(inner, clock, now, next),
                (Some(_), Deputy::Absent) => self.stand_by(inner, clock, now),
                (Some(_), _) => self.park(inner),
            };
        }
    }

    /// Sleeps until the next deadline, and the slack.
    fn lead<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner<Q>>,
        clock: &impl Clock,
        now: Nanos,
        next: Nanos,
    ) -> MutexGuard<'a, Inner<Q>> {
        let until = inner.latest(next);
        inner.leader = Some(until);
        inner = sleep(&self.leader, inner, clock, now, until);
        inner.leader = None;
        inner
    }

    /// Sleeps a little longer than the leader does, as long as the leader sleeps.
    fn stand_by<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner<Q>>,
        clock: &impl Clock,
        mut now: Nanos,
    ) -> MutexGuard<'a, Inner<Q>> {
        let (phase, rounds) = (inner.phase, inner.rounds);
        while let Some(armed) = inner.leader {
            let alarm = armed.max(now).saturating_add(inner.patience());
            inner.deputy = Deputy::Asleep { alarm, covered: NEVER };
            inner = sleep(&self.deputy, inner, clock, now, alarm);
            let is_called = matches!(inner.deputy, Deputy::Called);
            inner.deputy = Deputy::Absent;
            now = clock.now();
            // A leader whose time has come is as good as awake.
            let is_busy = inner.leader.is_none_or(|armed| armed.saturating_add(LONG_RUN_NS) <= now);
            if is_called || is_busy || inner.phase != phase || inner.rounds != rounds {
                break;
            }
        }
        inner
    }

    /// Sleeps until it is called.
    fn park<'a>(&'a self, mut inner: MutexGuard<'a, Inner<Q>>) -> MutexGuard<'a, Inner<Q>> {
        inner.parked += 1;
        let rounds = inner.rounds;
        while inner.permits == 0 && inner.phase == Phase::Open && inner.rounds == rounds {
            inner = wait(&self.parked, inner);
        }
        if inner.permits > 0 {
            // The caller has counted this thread as no longer parked.
            inner.permits -= 1;
        } else {
            inner.parked -= 1;
        }
        inner
    }

    /// Opens, drains or closes the gate; all that wait look again.
    pub fn set_phase(&self, phase: Phase) {
        let mut inner = lock(&self.inner);
        inner.phase = phase;
        self.notify_all();
        // A parked thread that wakes after the gate is open again has seen nothing of the phase in
        // which the leader left.
        self.call_if_needed(inner);
    }

    /// Whether work is handed out, or still is.
    pub fn phase(&self) -> Phase {
        lock(&self.inner).phase
    }

    /// Has all that sleep look again whether they must leave.
    pub fn look_again(&self) {
        let mut inner = lock(&self.inner);
        inner.rounds += 1;
        self.notify_all();
    }

    /// Wakes those that sleep until a moment to look at the clock again: for clocks that jump.
    pub fn clock_moved(&self) {
        let _inner = lock(&self.inner);
        self.leader.notify_one();
        self.deputy.notify_one();
    }

    /// Wakes the leader, or the deputy, or both, as their timers would: for the model checker. It is
    /// asked under the lock whose time has come.
    #[cfg(loom)]
    pub fn ring(&self, is_over: impl FnOnce(&Q) -> (bool, bool)) {
        let inner = lock(&self.inner);
        let (leader, deputy) = is_over(&inner.queue);
        if leader {
            self.leader.notify_one();
        }
        if deputy {
            self.deputy.notify_one();
        }
    }

    fn notify_all(&self) {
        self.leader.notify_all();
        self.deputy.notify_all();
        self.parked.notify_all();
    }

    /// Rules 1 and 2, where work may have come.
    #[inline]
    fn call_if_needed(&self, mut inner: MutexGuard<'_, Inner<Q>>) {
        if !inner.resting.is_empty() {
            inner.set_alarms();
        }
        if let Some(armed) = inner.leader {
            let until = inner.latest(inner.queue.next_deadline());
            if until < armed {
                // Armed anew in its name, so that it is called once and not at each insert.
                inner.leader = Some(until);
                drop(inner);
                self.leader.notify_one();
            }
        } else if inner.can_hand_on() {
            let next = inner.queue.next_deadline();
            let covered_from = match inner.deputy {
                Deputy::Asleep { alarm, covered } => alarm.min(covered),
                _ => NEVER,
            };
            if next < covered_from {
                self.call(inner, next == 0);
            }
        }
    }

    /// Rules 1, 2 and 4, where work has been taken.
    #[inline]
    fn leave_to_deputy(&self, mut inner: MutexGuard<'_, Inner<Q>>, now: Nanos) {
        if !inner.can_hand_on() {
            return self.call_if_needed(inner);
        }
        let next = inner.queue.next_deadline();
        if let Deputy::Asleep { alarm, .. } = inner.deputy
            && (next == NEVER || inner.is_covered(next, now, alarm))
        {
            inner.deputy = Deputy::Asleep { alarm, covered: next };
        } else if next != NEVER {
            self.call(inner, next <= now);
        }
    }

    /// Calls a thread that sleeps. If much is to be done, the deputy stays where it is as long as
    /// others are parked. Otherwise it is called first: its alarm is too late, and the thread that
    /// stands by next will set a better one.
    #[inline]
    fn call(&self, mut inner: MutexGuard<'_, Inner<Q>>, is_more_due: bool) {
        let is_deputy_asleep = matches!(inner.deputy, Deputy::Asleep { .. });
        if is_deputy_asleep && !(is_more_due && inner.parked > 0) {
            inner.deputy = Deputy::Called;
            drop(inner);
            self.deputy.notify_one();
        } else {
            inner.parked -= 1;
            inner.permits += 1;
            drop(inner);
            self.parked.notify_one();
        }
    }
}

/// Sleeps until a moment, or until notified.
fn sleep<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    clock: &impl Clock,
    now: Nanos,
    until: Nanos,
) -> MutexGuard<'a, T> {
    if until == NEVER {
        wait(condvar, guard)
    } else {
        wait_for(condvar, guard, clock.span(now, until))
    }
}

// Under loom the primitives work in its models only.
#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Queue;

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Nanos {
            0
        }
    }

    /// Garbage that notices whether the lock is held while it is dropped.
    struct Noticing;

    static GATE: OnceLock<Gate<Queue>> = OnceLock::new();
    static DROPPED_UNLOCKED: AtomicU32 = AtomicU32::new(0);

    impl Deadlines for Queue {
        type Garbage = Noticing;

        fn next_deadline(&self) -> Nanos {
            NEVER
        }

        fn take_garbage(&mut self) -> Option<Noticing> {
            Some(Noticing)
        }
    }

    impl Drop for Noticing {
        fn drop(&mut self) {
            let free = GATE.get().is_some_and(|gate| gate.try_look(|_| ()).is_some());
            DROPPED_UNLOCKED.fetch_add(u32::from(free), Ordering::Relaxed);
        }
    }

    #[test]
    fn garbage_is_dropped_after_the_lock_is_released() {
        let gate = GATE.get_or_init(|| Gate::new(Queue));
        gate.with(|_| ());
        gate.edit(|_| ());
        gate.take(&Stopped, false, |_, _, _| ());
        assert_eq!(DROPPED_UNLOCKED.load(Ordering::Relaxed), 3);
    }
}
