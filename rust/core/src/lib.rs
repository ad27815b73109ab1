//! The timer engine: millions of timers, each fired on time, in order, once, and each cancellable
//! at any moment.
//!
//! # The problem
//!
//! A heap fires in order, but each pop is a chain of cache misses, and cancelled timers stay in it. A
//! hashed wheel is fast, but it rounds to its tick and has to be turned while nothing is due. This
//! engine has neither fault, because of four observations.
//!
//! 1. **Order is only needed at the end.** Until a timer is nearly due it is enough to know roughly
//!    when. So timers wait unsorted in the buckets of a hierarchical wheel ([`wheel`]), 16 bytes
//!    each, in dense chunks ([`chunks`]). They are sorted a millisecond's worth at a time when that
//!    millisecond comes ([`front`]), while its timers are in the cache. The exact deadline is kept
//!    throughout: nothing is rounded, nothing fires early.
//! 2. **A cancelled timer need not be found.** Its record (`slab`, 32 bytes, one cache miss) says
//!    that it is gone. The entry in the bucket is dead, because it carries the stamp of an arming
//!    that is over ([`stamps`]). A list with too many dead entries is compacted, a bounded piece at
//!    a time.
//! 3. **An id can carry its own proof.** With slot and generation ([`id`]), looking up a task is one
//!    comparison, and a stale id is harmless.
//! 4. **Priorities are few.** 256 lanes with a bit for each replace a second heap (`ready`).
//!
//! # The total order
//!
//! Each armed task has an *effective deadline*: its nominal time, or the moment of arming if that
//! is later. Among tasks that are due, the engine gives out the one that is least in (priority,
//! effective deadline, sequence), where the sequence is the order of scheduling. A recurring task
//! keeps its sequence until it is rescheduled. What is overdue already when it is re-armed comes
//! after all that were due before.
//!
//! # A lock hold is short
//!
//! No call walks a whole structure. A bucket of ten million is cascaded, sorted
//! and compacted by a budget of entries a call; segments never move, so nothing is ever copied in
//! bulk. What cannot be interrupted is O(1). Memory is not freed either, nor is the next segment got:
//! both are handed out as [`Garbage`], to be done when that is dropped after the lock is released.
//!
//! # What it does not do
//!
//! It reads no clock: `now` is passed in. Only [`wait`] knows threads, and puts them to sleep around
//! the engine. It does no I/O, except that [`calendar`] reads the database of time zones. It knows no
//! Python and has no `unsafe` code.

#![forbid(unsafe_code)]

pub mod calendar;
mod chunks;
mod column;
mod engine;
mod forecast;
mod front;
mod garbage;
mod history;
mod id;
mod load;
mod memory;
mod plan;
mod ready;
mod recurrence;
mod segments;
mod slab;
mod stamps;
mod state;
mod stats;
mod sync;
mod time;
mod wait;
mod wheel;

pub use column::Column;
pub use engine::{
    ADVANCE_BUDGET, Cancelled, Completion, Engine, Gauges, Missed, Pace, Taken, TaskView,
};
pub use forecast::Forecast;
pub use garbage::Garbage;
pub use history::{Ended, Ending};
pub use id::{LAST_GENERATION, TaskId};
pub use memory::{OutOfMemory, ScheduleError};
pub use recurrence::{
    Misfire, Occurrences, Recurrence, Repeat, SKIP_GRACE_NS, SKIPPED_LOOKS, Verdict, WallStep,
};
pub use segments::{Item, NIL, Released, Segments};
pub use slab::MAX_EXECUTORS;
pub use state::{Event, State, TRANSITIONS};
pub use stats::{Counters, LatenessHistogram};
pub use time::{
    END_OF_CALENDAR_S, FAR_FUTURE, InvalidSpan, NEVER, Nanos, SECOND_NS, after, after_seconds,
};
pub use wait::{Alarm, Clock, Deadlines, Gate, LONG_RUN_NS, Phase};
