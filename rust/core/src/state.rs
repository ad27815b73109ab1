//! The states of a task, and the one table of the steps between them.
//!
//! The diagram in ARCHITECTURE.md is generated from [`TRANSITIONS`], the engine changes states
//! through [`State::after`] only, and the Python mirror is compared with this table by a test.

/// The state of a slot and of the task in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// The slot is free.
    Vacant,
    /// The slot belongs to a caller that has not armed it yet, or not released it yet.
    Reserved,
    /// The slot has used up its generations and is never used again.
    Retired,
    /// Waiting for its time.
    Pending,
    /// Due, waiting for a worker.
    Ready,
    /// A worker has it.
    Running,
    /// A worker has it, and it has been given a new time meanwhile.
    Rescheduled,
    /// A worker has it, and it will be paused when the run ends.
    Pausing,
    /// A worker has it, and it was cancelled meanwhile.
    Stopping,
    /// Kept, and not armed until resumed.
    Paused,
}

/// What can happen to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Event {
    /// It is scheduled.
    Arm,
    /// Its time has come.
    Release,
    /// A worker takes it.
    Take,
    /// Its run ended and there is a next one.
    Continue,
    /// Its run ended, or its time was missed, and there is no next one.
    End,
    /// Its occurrence was missed and there is a next one.
    Miss,
    /// It is cancelled.
    Cancel,
    /// It is paused.
    Pause,
    /// It is resumed.
    Resume,
    /// It is given another time, by a caller or because the wall clock was set.
    Reschedule,
    /// Its run failed and is tried again.
    Retry,
}

/// Every step that can be taken: from, by, to.
pub const TRANSITIONS: &[(State, Event, State)] = &[
    (State::Reserved, Event::Arm, State::Pending),
    (State::Pending, Event::Release, State::Ready),
    (State::Pending, Event::Cancel, State::Reserved),
    (State::Pending, Event::Pause, State::Paused),
    (State::Pending, Event::Reschedule, State::Pending),
    (State::Ready, Event::Take, State::Running),
    (State::Ready, Event::Miss, State::Pending),
    (State::Ready, Event::End, State::Reserved),
    (State::Ready, Event::Cancel, State::Reserved),
    (State::Ready, Event::Pause, State::Paused),
    (State::Ready, Event::Reschedule, State::Pending),
    (State::Running, Event::Continue, State::Pending),
    (State::Running, Event::End, State::Reserved),
    (State::Running, Event::Cancel, State::Stopping),
    (State::Running, Event::Pause, State::Pausing),
    (State::Running, Event::Reschedule, State::Rescheduled),
    (State::Running, Event::Retry, State::Pending),
    (State::Rescheduled, Event::Continue, State::Pending),
    (State::Rescheduled, Event::Cancel, State::Stopping),
    (State::Rescheduled, Event::Pause, State::Pausing),
    (State::Rescheduled, Event::Reschedule, State::Rescheduled),
    (State::Pausing, Event::Continue, State::Paused),
    (State::Pausing, Event::End, State::Reserved),
    (State::Pausing, Event::Cancel, State::Stopping),
    (State::Pausing, Event::Resume, State::Running),
    (State::Pausing, Event::Reschedule, State::Pausing),
    (State::Pausing, Event::Retry, State::Paused),
    (State::Stopping, Event::End, State::Reserved),
    (State::Paused, Event::Resume, State::Pending),
    (State::Paused, Event::Cancel, State::Reserved),
    (State::Paused, Event::Reschedule, State::Paused),
];

const STATES: usize = 10;
const EVENTS: usize = 11;

/// [`TRANSITIONS`] as a matrix, so that a step costs one load.
const STEPS: [[Option<State>; EVENTS]; STATES] = {
    let mut steps = [[None; EVENTS]; STATES];
    let mut index = 0;
    while index < TRANSITIONS.len() {
        let (from, event, to) = TRANSITIONS[index];
        assert!(steps[from as usize][event as usize].is_none());
        steps[from as usize][event as usize] = Some(to);
        index += 1;
    }
    steps
};

impl State {
    /// The state that an event leads to; `None` if the event does not apply to this state. O(1).
    #[inline]
    pub const fn after(self, event: Event) -> Option<Self> {
        STEPS[self as usize][event as usize]
    }

    /// Whether the slot holds a task whose id is valid.
    #[inline]
    pub const fn is_task(self) -> bool {
        self as u8 >= Self::Pending as u8
    }

    /// Whether a worker has the task.
    #[inline]
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Rescheduled | Self::Pausing | Self::Stopping)
    }

    /// The word that users see.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Vacant | Self::Reserved | Self::Retired => "unknown",
            Self::Pending | Self::Ready => "pending",
            Self::Running | Self::Rescheduled | Self::Pausing | Self::Stopping => "running",
            Self::Paused => "paused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_can_end_and_a_cancelled_run_never_returns_to_pending() {
        for &(_, _, to) in TRANSITIONS {
            assert!(to != State::Vacant && to != State::Retired);
        }
        let leaving: Vec<_> =
            TRANSITIONS.iter().filter(|(from, ..)| *from == State::Stopping).collect();
        assert_eq!(leaving, [&(State::Stopping, Event::End, State::Reserved)]);
    }

    #[test]
    fn each_task_state_can_be_cancelled_but_the_cancelled_one() {
        for state in [
            State::Pending,
            State::Ready,
            State::Running,
            State::Rescheduled,
            State::Pausing,
            State::Paused,
        ] {
            assert!(state.is_task());
            assert!(state.after(Event::Cancel).is_some());
        }
        assert_eq!(State::Stopping.after(Event::Cancel), None);
    }
}
