//! A model of the engine that is too simple to be wrong: sorted sets, and one entry a task.
//!
//! It says what each operation must return and what must be seen afterwards. It has no buckets, no
//! budget, no tombstones and no closed forms, and it knows ids only as names that the engine gave.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use scheduler_core::{
    Cancelled, Completion, Ended, Ending, FAR_FUTURE, Gauges, Missed, NEVER, Nanos, Recurrence,
    State, Taken, TaskId, TaskView, Verdict,
};

use super::occurrences;

/// What the model knows of a live task.
#[derive(Clone, Debug)]
struct Task {
    state: State,
    priority: u8,
    rule: Recurrence,
    /// When the next occurrence is due, or the one that runs was.
    nominal: Nanos,
    /// Its key in the set that it is in.
    effective: Nanos,
    sequence: u64,
    /// Its place in the order of scheduling.
    own_sequence: u64,
    /// A time given while it runs.
    given: Option<Nanos>,
    /// Of a run by hand, to come or under way: when the task was to be due.
    by_hand: Option<Nanos>,
    /// Of a run that has failed: what is known of its attempts.
    retry: Option<Retry>,
    /// It was paused when that was asked for, and will be paused after it.
    stays_paused: bool,
    started: Option<Nanos>,
    ended: Option<Nanos>,
    runs: u64,
    missed: u64,
    missed_by_run: u64,
    missed_since_run: u64,
    skipped: u64,
}

impl Task {
    /// When the run to come is due, or the one under way was.
    fn due(&self) -> Nanos {
        self.retry.as_ref().map_or(self.nominal, |retry| retry.due)
    }
}

/// The attempts at a run.
#[derive(Clone, Debug)]
struct Retry {
    failed: u32,
    /// When the next one is due, or the one under way was.
    due: Nanos,
    /// When the first one started.
    started: Nanos,
}

/// What must have been counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Tasks scheduled.
    pub scheduled: u64,
    /// Tasks cancelled.
    pub cancelled: u64,
    /// Runs started.
    pub started: u64,
    /// Runs that ended well.
    pub completed: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Attempts that failed and were not the last.
    pub retried: u64,
    /// Occurrences given up as too late.
    pub missed: u64,
    /// Occurrences given up because the last one ran.
    pub skipped: u64,
}

/// The model.
pub struct Model {
    now: Nanos,
    tasks: BTreeMap<TaskId, Task>,
    /// (effective deadline, sequence, task) of what waits.
    waiting: BTreeSet<(Nanos, u64, TaskId)>,
    /// (priority, effective deadline, sequence, task) of what was found due.
    due: BTreeSet<(u8, Nanos, u64, TaskId)>,
    running: BTreeMap<u32, TaskId>,
    next_sequence: u64,
    capacity: u32,
    ends: u64,
    /// The tasks that ended last, oldest first.
    pub history: VecDeque<Ended>,
    /// What was counted.
    pub counted: Counted,
    /// How late the latest start was.
    pub latest_start: Nanos,
}

impl Model {
    /// A model at a moment that remembers so many ended tasks.
    pub fn new(now: Nanos, capacity: u32) -> Self {
        Self {
            now,
            tasks: BTreeMap::new(),
            waiting: BTreeSet::new(),
            due: BTreeSet::new(),
            running: BTreeMap::new(),
            next_sequence: 0,
            capacity,
            ends: 0,
            history: VecDeque::new(),
            counted: Counted::default(),
            latest_start: 0,
        }
    }

    /// The present.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// How many tasks live.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Every live task, in order of slots.
    pub fn ids_by_slot(&self) -> Vec<TaskId> {
        let mut ids: Vec<TaskId> = self.tasks.keys().copied().collect();
        ids.sort_unstable_by_key(|id| id.slot());
        ids
    }

    /// Whether it lives.
    pub fn is_live(&self, id: TaskId) -> bool {
        self.tasks.contains_key(&id)
    }

    /// The slot of the first task that runs, from a slot on, or of the first at all.
    pub fn running_from(&self, slot: u32) -> Option<(u32, TaskId)> {
        let found = self.running.range(slot..).next().or_else(|| self.running.first_key_value());
        found.map(|(slot, id)| (*slot, *id))
    }

    /// Notes that the engine scheduled a task under this id.
    pub fn schedule(
        &mut self,
        id: TaskId,
        nominal: Nanos,
        priority: u8,
        rule: Option<&Recurrence>,
    ) {
        let sequence = self.draw();
        let task = Task {
            state: State::Pending,
            priority,
            rule: rule.cloned().unwrap_or_default(),
            nominal,
            effective: 0,
            sequence,
            own_sequence: sequence,
            given: None,
            by_hand: None,
            retry: None,
            stays_paused: false,
            started: None,
            ended: None,
            runs: 0,
            missed: 0,
            missed_by_run: 0,
            missed_since_run: 0,
            skipped: 0,
        };
        assert!(self.tasks.insert(id, task).is_none(), "an id was given out twice: {id:?}");
        self.counted.scheduled += 1;
        self.wait(id, nominal.max(self.now), sequence);
    }

    /// Cancels.
    pub fn cancel(&mut self, id: TaskId) -> Cancelled {
        let Some(task) = self.tasks.get_mut(&id) else { return Cancelled::Unknown };
        if task.state == State::Stopping {
            return Cancelled::Unknown;
        }
        self.counted.cancelled += 1;
        if task.state.is_running() {
            task.state = State::Stopping;
            return Cancelled::Signalled;
        }
        self.forget_place(id);
        let history_index = self.end(id, Ending::Cancelled);
        Cancelled::Removed { slot: id.slot(), history_index }
    }

    /// Pauses.
    pub fn pause(&mut self, id: TaskId) -> bool {
        match self.tasks.get(&id).map(|task| task.state) {
            Some(State::Pending | State::Ready) => {
                self.forget_place(id);
                let task = self.task(id);
                (task.state, task.stays_paused) = (State::Paused, false);
                true
            }
            Some(State::Running | State::Rescheduled) => {
                self.task(id).state = State::Pausing;
                true
            }
            _ => false,
        }
    }

    /// Resumes.
    pub fn resume(&mut self, id: TaskId) -> bool {
        if self.tasks.get(&id).is_some_and(|task| task.stays_paused) {
            self.task(id).stays_paused = false;
            return true;
        }
        match self.tasks.get(&id).map(|task| task.state) {
            Some(State::Paused) => {
                self.rearm(id);
                true
            }
            Some(State::Pausing) => {
                self.task(id).state = State::Running;
                true
            }
            _ => false,
        }
    }

    /// Gives another time.
    pub fn reschedule(&mut self, id: TaskId, nominal: Nanos) -> bool {
        let Some(state) = self.tasks.get(&id).map(|task| task.state) else { return false };
        if state == State::Stopping {
            return false;
        }
        if state.is_running() {
            let task = self.task(id);
            task.given = Some(nominal);
            if task.state == State::Running {
                task.state = State::Rescheduled;
            }
            return true;
        }
        self.forget_place(id);
        let sequence = self.draw();
        let task = self.task(id);
        (task.nominal, task.own_sequence, task.by_hand) = (nominal, sequence, None);
        task.retry = None;
        if std::mem::take(&mut task.stays_paused) {
            task.state = State::Paused;
        } else if state != State::Paused {
            self.rearm(id);
        }
        true
    }

    /// Runs by hand; a paused task stays paused.
    pub fn run_now(&mut self, id: TaskId) -> bool {
        let Some(task) = self.tasks.get(&id) else { return false };
        let paused = task.state == State::Paused;
        let waits = matches!(task.state, State::Pending | State::Ready);
        if !paused && (!waits || task.by_hand.is_some()) {
            return false;
        }
        self.forget_place(id);
        let (now, sequence) = (self.now, self.draw());
        let task = self.task(id);
        task.stays_paused = paused;
        if let Some(retry) = &mut task.retry {
            // The attempt to come is that run.
            retry.due = now;
        } else {
            task.by_hand = task.by_hand.or(Some(task.nominal));
            task.nominal = now;
        }
        self.wait(id, now, sequence);
        true
    }

    /// Moves the present, never back.
    pub fn tell(&mut self, now: Nanos) {
        self.now = self.now.max(now);
    }

    /// Moves the present and finds what is due.
    pub fn advance(&mut self, now: Nanos) {
        self.tell(now);
        while let Some(&(effective, sequence, id)) = self.waiting.first() {
            if effective > self.now {
                break;
            }
            self.waiting.pop_first();
            let task = self.task(id);
            task.state = State::Ready;
            let key = (task.priority, effective, sequence, id);
            self.due.insert(key);
        }
    }

    /// Takes the first in order of what was found due.
    pub fn take(&mut self) -> Option<Taken> {
        let (.., id) = self.due.pop_first()?;
        let now = self.now;
        let task = self.task(id);
        let verdict = match (task.by_hand, &task.retry) {
            (None, None) => occurrences::judge(&task.rule, task.nominal, now),
            _ => Verdict::Run { nominal: task.nominal, missed: 0 },
        };
        match verdict {
            Verdict::Run { nominal, missed } => {
                let paused = std::mem::take(&mut task.stays_paused);
                task.state = if paused { State::Pausing } else { State::Running };
                task.nominal = nominal;
                task.started = Some(now);
                let due = task.retry.as_ref().map_or(nominal, |retry| retry.due);
                if task.retry.is_none() {
                    task.runs += u64::from(task.by_hand.is_none());
                    task.missed += missed;
                    task.missed_by_run = task.missed_since_run + missed;
                    task.missed_since_run = 0;
                }
                self.running.insert(id.slot(), id);
                self.counted.started += 1;
                self.counted.missed += missed;
                self.latest_start = self.latest_start.max(now - due);
                Some(Taken::Run(id.slot()))
            }
            Verdict::Miss { missed, next } => {
                let nominal = task.nominal;
                task.missed += missed;
                task.missed_since_run += missed;
                self.counted.missed += missed;
                let history_index = if let Some(next) = next {
                    self.task(id).nominal = next;
                    self.rearm(id);
                    None
                } else {
                    Some(self.end(id, Ending::Missed))
                };
                Some(Taken::Missed(Missed { id, nominal, missed, history_index }))
            }
        }
    }

    /// Puts a run off that has failed. How many attempts there have been.
    pub fn retry(&mut self, slot: u32, span: Nanos) -> Option<u32> {
        let now = self.now;
        let id = *self.running.get(&slot)?;
        let task = self.task(id);
        if !matches!(task.state, State::Running | State::Pausing) || task.given.is_some() {
            return None;
        }
        task.ended = Some(now);
        let due = (now + span).min(FAR_FUTURE);
        let started = task.started.unwrap_or(now);
        let retry = task.retry.get_or_insert(Retry { failed: 0, due, started });
        retry.failed += 1;
        retry.due = due;
        let failed = retry.failed;
        let pauses = task.state == State::Pausing;
        self.counted.retried += 1;
        self.running.remove(&slot);
        if pauses {
            self.task(id).state = State::Paused;
        } else {
            let sequence = self.draw();
            self.wait(id, due, sequence);
        }
        Some(failed)
    }

    /// Ends a run.
    pub fn complete(&mut self, slot: u32, now: Nanos, failed: bool) -> Option<Completion> {
        self.tell(now);
        let now = self.now;
        let id = self.running.remove(&slot)?;
        *(if failed { &mut self.counted.failed } else { &mut self.counted.completed }) += 1;
        let task = self.task(id);
        task.ended = Some(now);
        let ending = match task.state {
            State::Stopping => Ending::Cancelled,
            _ if failed => Ending::Failed,
            _ => Ending::Completed,
        };
        let due = task.due();
        let first = task.retry.as_ref().map(|retry| retry.started);
        let started = first.or(task.started).unwrap_or(now);
        let (given, by_hand) = (task.given.take(), task.by_hand.take());
        let (next, skipped) = match (given, by_hand) {
            _ if task.state == State::Stopping => (None, 0),
            _ if task.runs >= task.rule.max_runs => (None, 0),
            (Some(given), _) => (Some(given), 0),
            (None, Some(candidate)) => {
                occurrences::follow_by_hand(&task.rule, candidate, started, now)
            }
            (None, None) => occurrences::follow(&task.rule, task.nominal, started, now),
        };
        task.skipped += skipped;
        self.counted.skipped += skipped;
        let Some(next) = next else {
            return Some(Completion { history_index: Some(self.end(id, ending)), due, skipped });
        };
        if given.is_some() {
            let sequence = self.draw();
            self.task(id).own_sequence = sequence;
        }
        let task = self.task(id);
        task.nominal = next;
        task.retry = None;
        if task.state == State::Pausing {
            task.state = State::Paused;
        } else {
            self.rearm(id);
        }
        Some(Completion { history_index: None, due, skipped })
    }

    /// What must be seen of a task.
    pub fn view(&self, id: TaskId) -> Option<TaskView> {
        let task = self.tasks.get(&id)?;
        Some(TaskView {
            state: task.state,
            priority: task.priority,
            nominal: task.nominal,
            due: task.due(),
            started: task.started,
            ended: task.ended,
            runs: task.runs,
            missed: task.missed,
            missed_by_run: task.missed_by_run,
            skipped: task.skipped,
            attempt: 1 + task.retry.as_ref().map_or(0, |retry| retry.failed),
            first_started: match &task.retry {
                Some(retry) => Some(retry.started),
                None => task.started.filter(|_| task.state.is_running()),
            },
        })
    }

    /// Whether a pending task's time has come by a moment.
    pub fn is_due(&self, id: TaskId, now: Nanos) -> bool {
        self.tasks.get(&id).is_some_and(|task| {
            matches!(task.state, State::Pending | State::Ready) && task.effective <= now
        })
    }

    /// Whether it is to run once, without condition.
    pub fn is_plain(&self, id: TaskId) -> bool {
        self.tasks.get(&id).is_some_and(|task| {
            task.rule == Recurrence::default()
                && task.by_hand.is_none()
                && matches!(task.state, State::Pending | State::Ready)
        })
    }

    /// The effective deadline of a pending task, and whether it was found due.
    pub fn deadline(&self, id: TaskId) -> Option<(Nanos, bool)> {
        let task = self.tasks.get(&id)?;
        match task.state {
            State::Pending => Some((task.effective, false)),
            State::Ready => Some((task.effective, true)),
            _ => None,
        }
    }

    /// The least effective deadline of what waits and was not found due.
    pub fn next_waiting(&self) -> Nanos {
        self.waiting.first().map_or(NEVER, |(effective, ..)| *effective)
    }

    /// The greatest effective deadline of what waits.
    pub fn last_waiting(&self) -> Nanos {
        self.waiting.last().map_or(self.now, |(effective, ..)| *effective)
    }

    /// How many were found due and not taken.
    pub fn ready(&self) -> usize {
        self.due.len()
    }

    /// How many are in which condition.
    pub fn gauges(&self) -> Gauges {
        let (pending, running) = (self.waiting.len() + self.due.len(), self.running.len());
        let paused = self.tasks.len() - pending - running;
        Gauges { pending: pending as u64, running: running as u64, paused: paused as u64 }
    }

    fn task(&mut self, id: TaskId) -> &mut Task {
        self.tasks.get_mut(&id).unwrap()
    }

    fn draw(&mut self) -> u64 {
        self.next_sequence += 1;
        self.next_sequence
    }

    fn wait(&mut self, id: TaskId, effective: Nanos, sequence: u64) {
        assert!(effective <= FAR_FUTURE);
        let task = self.task(id);
        (task.state, task.effective, task.sequence) = (State::Pending, effective, sequence);
        self.waiting.insert((effective, sequence, id));
    }

    /// Arms for the nominal time: in the place of its scheduling, unless it is overdue already.
    fn rearm(&mut self, id: TaskId) {
        let now = self.now;
        let task = self.task(id);
        let (due, own_sequence, again) = (task.due(), task.own_sequence, task.retry.is_some());
        let sequence = if due <= now || again { self.draw() } else { own_sequence };
        self.wait(id, due.max(now), sequence);
    }

    fn forget_place(&mut self, id: TaskId) {
        let task = &self.tasks[&id];
        self.waiting.remove(&(task.effective, task.sequence, id));
        self.due.remove(&(task.priority, task.effective, task.sequence, id));
    }

    fn end(&mut self, id: TaskId, ending: Ending) -> u32 {
        let Some(task) = self.tasks.remove(&id) else { unreachable!("{id:?} lives") };
        let running = task.state.is_running();
        self.history.push_back(Ended {
            id,
            ending,
            priority: task.priority,
            nominal: task.nominal,
            due: task.due(),
            started: task.started,
            ended: task.ended,
            runs: task.runs,
            attempts: {
                let failed = task.retry.as_ref().map_or(0, |retry| retry.failed);
                failed + u32::from(running || failed == 0 && task.runs > 0)
            },
            missed: if running { task.missed_by_run } else { task.missed_since_run },
        });
        if self.history.len() > self.capacity as usize {
            self.history.pop_front();
        }
        let history_index = self.ends % u64::from(self.capacity.max(1));
        self.ends += 1;
        history_index as u32
    }
}
