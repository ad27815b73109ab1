//! Programs: what is done to an engine, as data that can be drawn, printed and made smaller.
//!
//! An operation is read from a few plain numbers, so that proptest, a fuzzer and a fast generator
//! speak the same language, and so that smaller numbers are simpler operations.

use std::fmt;

use scheduler_core::{FAR_FUTURE, Misfire, Nanos, Recurrence, Repeat};

/// The width of a bucket at the wheel's finest level: its edges are where mistakes live.
const TICK_NS: u128 = 1 << 20;

const CENTURY_NS: u64 = 100 * 365 * 86_400 * 1_000_000_000;

/// Numbers that an operation is read from.
pub type Words = (u8, u64, u64);

/// A sequence of operations and the scale of its times.
#[derive(Clone)]
pub struct Program {
    /// The moment at which it begins.
    pub start: Nanos,
    /// The longest usual step of time; intervals are at least a 64th of it.
    pub span: Nanos,
    /// Kinds of operations that it leaves out, a bit each: what is rare shows in their absence.
    pub without: u16,
    /// Where the second engine's time is cut, and by what budgets.
    pub cuts: u64,
    /// The operations.
    pub words: Vec<Words>,
}

/// A moment, said relative to the program.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// The present.
    Now,
    /// So long from now.
    Ahead(u64),
    /// So long ago.
    Ago(u64),
    /// One of eight moments at which many tasks meet.
    Meeting(u8),
    /// At an edge of the wheel's buckets of that level, or a nanosecond or two beside it.
    Edge(u8, i8),
}

/// How far time moves.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Back: an earlier moment than one given before.
    Back(u64),
    /// By so much.
    By(u64),
    /// To the next moment at which anything is due, or one nanosecond beside it.
    Next(i8),
}

/// A task, live or not.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    /// One scheduled before, perhaps ended by now.
    Known(u32),
    /// One that runs.
    Running(u32),
    /// One that has ended.
    Ended(u32),
    /// A generation that the slot of another has not reached.
    Forged(u32, u32),
    /// Any number.
    Foreign(u64),
}

/// One operation.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Schedules a task.
    Schedule(When, u8, Option<Timing>),
    /// Schedules many plain ones, so far apart.
    Batch { count: u32, when: When, apart: u64, priorities: u8 },
    /// Takes a slot and keeps it.
    Reserve,
    /// Arms a reserved slot, or one that cannot be armed.
    Arm(u32, When, u8, Option<Timing>),
    /// Gives back a slot kept, or tries to give back one that is in use.
    Release(u32),
    /// Cancels; the slot is released at once or kept.
    Cancel(Who, bool),
    /// Cancels many neighbours, some of them twice.
    CancelBatch(Who, u32),
    /// Pauses.
    Pause(Who),
    /// Resumes.
    Resume(Who),
    /// Gives another time.
    Reschedule(Who, When),
    /// Runs by hand.
    RunNow(Who),
    /// Gives the time without moving anything.
    Tell(Step),
    /// Moves time; the second engine is left behind if the flag says so.
    Advance(Step, bool),
    /// Takes up to so many.
    Take(u32),
    /// Ends a run, or what is none.
    Complete { which: u32, step: Step, failed: bool, keep: bool },
    /// Tries a run again, or what is none, after a step of time.
    Retry { which: u32, step: Step },
}

/// The rule of a recurring task, relative to the program's scale.
#[derive(Clone, Copy, Debug)]
pub struct Timing(u64);

impl Operation {
    /// Of 64 draws, how many are of each kind, in the order in which [`Operation::read`] has them.
    const WEIGHTS: [u8; 16] = [11, 10, 9, 8, 6, 1, 4, 2, 2, 3, 1, 1, 1, 1, 1, 3];

    /// Reads an operation. The first three kinds cannot be left out.
    pub fn read((kind, first, second): Words, without: u16) -> Self {
        let mut draw = kind % 64;
        let mut kind = Self::WEIGHTS.len() - 1;
        for (index, weight) in Self::WEIGHTS.iter().enumerate() {
            if draw < *weight {
                kind = index;
                break;
            }
            draw -= weight;
        }
        if kind > 2 && without >> kind & 1 == 1 {
            kind %= 3;
        }
        let number = (first >> 32) as u32;
        let flag = second & 1 == 1;
        match kind {
            0 => Self::Schedule(When::read(first), (second >> 8) as u8 & lanes(second), {
                (second >> 16 & 1 == 1).then_some(Timing(second >> 17))
            }),
            1 => Self::Advance(Step::read(first), flag),
            2 => Self::Take(1 + (first % 64) as u32 * (first >> 8 & 1) as u32),
            3 => Self::Complete {
                which: number,
                step: Step::read(second >> 2),
                failed: flag,
                keep: second >> 1 & 1 == 1,
            },
            4 => Self::Cancel(Who::read(first), flag),
            5 => Self::Batch {
                count: crowd(second >> 8, 200),
                when: When::read(first),
                apart: magnitude(second >> 20) >> 24,
                priorities: lanes(second),
            },
            6 => Self::Reschedule(Who::read(first), When::read(second)),
            7 => Self::Pause(Who::read(first)),
            8 => Self::Resume(Who::read(first)),
            9 => Self::RunNow(Who::read(first)),
            10 => Self::CancelBatch(Who::read(first), crowd(second, 400)),
            11 => Self::Tell(Step::read(first)),
            12 => Self::Reserve,
            13 => Self::Arm(number, When::read(first), (second >> 8) as u8 & lanes(second), {
                flag.then_some(Timing(second >> 17))
            }),
            14 => Self::Release(number),
            _ => Self::Retry { which: number, step: Step::read(second) },
        }
    }
}

/// Which priorities are used: one, four or all.
const fn lanes(word: u64) -> u8 {
    [0, 3, 0x83, 0xff][(word >> 1 & 3) as usize]
}

/// How many at once: usually up to so many, at times enough for a long list and its compaction.
const fn crowd(word: u64, usual: u64) -> u32 {
    let usual = if word % 16 == 15 { 16 * usual } else { usual };
    ((word >> 4) % usual) as u32
}

/// A span of time: as likely between 2^k and 2^(k+1) for each k, up to a century.
pub const fn magnitude(word: u64) -> u64 {
    let bits = word % 63;
    (word >> 6 & ((1 << bits) - 1)) % CENTURY_NS
}

impl When {
    fn read(word: u64) -> Self {
        let rest = word >> 3 & 0x1fff_ffff;
        match word % 8 {
            0 | 1 => Self::Meeting((rest % 8) as u8),
            2 => Self::Now,
            3 => Self::Ahead(magnitude(word >> 3)),
            4 | 5 => Self::Ahead(rest),
            6 => Self::Edge((rest % 4) as u8, (rest >> 2) as i8 % 3),
            _ => Self::Ago(rest),
        }
    }

    /// The moment meant. A recurring task does not begin too many intervals ago: the model counts.
    pub fn moment(self, program: &Program, now: Nanos, timing: Option<&Recurrence>) -> Nanos {
        let scaled = |word: u64| (u128::from(word) * u128::from(program.span)) >> 26;
        let now = u128::from(now);
        let moment = match self {
            Self::Now => now,
            // A quarter of the short ones are measured in the program's own scale.
            Self::Ahead(span) if span < 1 << 29 && span % 4 > 0 => now + scaled(span),
            Self::Ahead(span) => now + u128::from(span),
            Self::Ago(word) => now.saturating_sub(scaled(word)),
            Self::Meeting(index) => {
                u128::from(program.start) + u128::from(index) * 20 * u128::from(program.span)
            }
            Self::Edge(level, beside) => {
                let width = TICK_NS << (8 * level);
                ((now / width + 1) * width).wrapping_add_signed(i128::from(beside))
            }
        };
        let interval = match timing.map(|timing| &timing.repeat) {
            Some(Repeat::FixedRate(interval)) => u128::from(*interval),
            _ => u128::MAX >> 10,
        };
        let moment = moment.max(now.saturating_sub(64 * interval));
        moment.min(u128::from(FAR_FUTURE)) as Nanos
    }
}

impl Step {
    fn read(word: u64) -> Self {
        match word % 8 {
            0..=2 => Self::By(word >> 3 & 0xffff),
            3 | 4 => Self::Next((word >> 3) as i8 % 2),
            5 => Self::By(0),
            6 => Self::By((word >> 3 & 0xffff) << 5),
            _ => Self::Back(word >> 3 & 0xffff),
        }
    }

    /// The moment to go to. No step passes so many occurrences that they could not be counted.
    pub fn target(self, program: &Program, now: Nanos, next: Nanos) -> Nanos {
        let scaled = |word: u64| (u128::from(word) * u128::from(program.span)) >> 16;
        let now = u128::from(now);
        let target = match self {
            Self::By(word) => now + scaled(word),
            Self::Back(word) => now.saturating_sub(scaled(word)),
            Self::Next(beside) => u128::from(next.saturating_add_signed(i64::from(beside))),
        };
        let limit = now + 2048 * u128::from(program.least_interval());
        target.min(limit).min(u128::from(FAR_FUTURE)) as Nanos
    }
}

impl Who {
    fn read(word: u64) -> Self {
        let number = (word >> 32) as u32;
        match word % 16 {
            0..=9 => Self::Known(number),
            10..=12 => Self::Running(number),
            13 => Self::Ended(number),
            14 => Self::Forged(number, (word >> 4) as u32 % 16),
            _ => Self::Foreign(word),
        }
    }
}

impl Timing {
    /// The rule meant, for a task whose first time is yet to be chosen.
    pub fn rule(self, program: &Program, now: Nanos) -> Recurrence {
        let word = self.0;
        let least = program.least_interval();
        let interval = match word % 4 {
            0 => least,
            1 => least.saturating_add(program.span / 7),
            _ => least.saturating_add((word >> 8) % program.span.saturating_mul(2).max(1)),
        };
        let few = |shift: u32| (word >> shift) % 5;
        let end = match word >> 2 & 3 {
            0 | 1 => FAR_FUTURE,
            2 => now.saturating_add(interval.saturating_mul(few(12))),
            _ => now.saturating_add(interval.saturating_mul(few(12)) + (word >> 20) % interval),
        };
        Recurrence {
            repeat: match word >> 4 & 7 {
                0 | 1 => Repeat::FixedDelay(interval),
                2 => Repeat::Once,
                _ => Repeat::FixedRate(interval),
            },
            end: end.min(FAR_FUTURE),
            max_runs: if word >> 7 & 3 == 0 { 1 + few(9) } else { u64::MAX },
            misfire: [Misfire::Latest, Misfire::Earliest, Misfire::All, Misfire::Skip]
                [(word >> 28 & 3) as usize],
            grace: match word >> 30 & 3 {
                0 => interval.saturating_mul(few(32)) / 2,
                1 => few(32),
                _ => FAR_FUTURE,
            },
            catch_up_limit: if word >> 35 & 1 == 0 { 1 + few(36) } else { u64::MAX },
            ..Recurrence::default()
        }
    }
}

/// The numbers to repeat it by, and what they mean.
impl fmt::Debug for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, span, without, cuts, words } = self;
        writeln!(
            formatter,
            "Program {{ start: {start}, span: {span}, without: {without}, cuts: {cuts}, \
             words: vec!["
        )?;
        for words in words {
            writeln!(formatter, "    {words:?}, // {:?}", Operation::read(*words, *without))?;
        }
        formatter.write_str("] }")
    }
}

impl Program {
    /// No task recurs more often than this.
    pub const fn least_interval(&self) -> Nanos {
        if self.span < 64 { 1 } else { self.span / 64 }
    }

    /// The beginning of time, today, an edge of the wheel's buckets, or near the end of the axis.
    pub fn begin(word: u64, span: Nanos) -> Nanos {
        match word % 8 {
            0 => 0,
            1 => FAR_FUTURE - span.saturating_mul(word >> 3 & 0x3ff).min(FAR_FUTURE),
            2 => (1 << (20 + 8 * (word >> 3 & 3))) - 1,
            _ => 1_763_800_000_000_000_000 + (word >> 3 & 0xfff_ffff),
        }
    }
}

/// A small generator of good numbers (splitmix64): the same seed, the same program, anywhere.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    /// The next number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
