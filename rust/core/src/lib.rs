//! The timer engine: millions of timers, each fired on time, in order, once, and each cancellable
//! at any moment.
//!
//! # The problem
//!
//! A heap fires in order but pays a chain of cache misses for each timer it pops, and keeps what is
//! cancelled. A hashed wheel is fast but rounds to its tick, and an idle one must be turned. This
//! engine does neither, from four observations.
//!
//! 1. **Order is only needed at the end.** Until a timer is nearly due it suffices to know roughly
//!    when. So timers wait unsorted in the buckets of a hierarchical wheel ([`wheel`]), 16 bytes
//!    each in dense chunks ([`chunks`]), and are sorted a millisecond's worth at a time when the
//!    millisecond comes ([`front`]), while that millisecond's timers are in the cache. The exact
//!    deadline is kept throughout: nothing is rounded, nothing fires early.
//! 2. **A cancelled timer need not be found.** Its record (`slab`, 32 bytes, one cache miss) says
//!    that it is gone; the entry in the bucket is dead, because it carries the stamp of an arming
//!    that is over. A list that holds too many dead is compacted, a bounded piece at a time.
//! 3. **An id can carry its own proof.** Slot and generation ([`id`]) make looking up a task a
//!    comparison, and a stale id harmless.
//! 4. **Priorities are few.** 256 lanes and a bit for each replace a second heap (`ready`).
//!
//! # The total order
//!
//! Each armed task has an *effective deadline*: its nominal time, or the moment of arming if that
//! is later. Among tasks that are due, the engine gives out the one that is least in (priority,
//! effective deadline, sequence), where the sequence is the order of scheduling. A recurring task
//! keeps its sequence until it is rescheduled. What is overdue at the very moment of re-arming goes
//! behind all that were due before.
//!
//! # A lock hold is short
//!
//! Nothing here walks a whole structure in one call. A bucket of ten million is cascaded, sorted
//! and compacted by a budget of entries a call; segments never move, so nothing is ever copied in
//! bulk. What cannot be interrupted is O(1). Memory is not freed either: it is handed out as
//! [`Garbage`], to be freed when the lock is released.
//!
//! # What it does not know
//!
//! No clock: `now` comes in. No thread, but for [`wait`], which puts threads to sleep around it.
//! No I/O, but that [`calendar`] has the database of time zones read. No Python, no `unsafe`.

#![forbid(unsafe_code)]

pub mod calendar;
mod chunks;
mod engine;
mod forecast;
mod front;
mod garbage;
mod history;
mod id;
mod load;
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

pub use engine::{
    ADVANCE_BUDGET, Cancelled, Completion, Engine, Gauges, Missed, Pace, Taken, TaskView,
};
pub use forecast::Forecast;
pub use garbage::Garbage;
pub use history::{Ended, Ending};
pub use id::{LAST_GENERATION, TaskId};
pub use recurrence::{
    Misfire, Occurrences, Recurrence, Repeat, SKIP_GRACE_NS, SKIPPED_LOOKS, Verdict, WallStep,
};
pub use state::{Event, State, TRANSITIONS};
pub use stats::{Counters, LatenessHistogram};
pub use time::{
    END_OF_CALENDAR_S, FAR_FUTURE, InvalidSpan, NEVER, Nanos, SECOND_NS, after, after_seconds,
};
pub use wait::{Clock, Deadlines, Gate, Phase};
