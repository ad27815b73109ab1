//! Calendars: when something fires that is told by the wall clock.
//!
//! # Four layers, each ignorant of the one above
//!
//! 1. **Days** (`civil`): day numbers, and the insight that there are only fourteen calendars.
//! 2. **Wall rules** ([`Cron`], [`CalendarInterval`]): sets of wall seconds. They answer three
//!    questions in closed form: the next one from here, the last one up to here, how many in
//!    between. They know nothing of zones, so a day has 86,400 seconds for them.
//! 3. **Windows** (`windows`): a zone ([`Zone`]) is a row of periods of constant offset. The policy
//!    for daylight saving ([`Dst`]) says which wall seconds of each period count, and where a gap
//!    or a fold leads. Here, and nowhere else, walls become instants.
//! 4. **Calendars** ([`Calendar`]): a union of parts, minus exclusions, with a memo of the last
//!    answer.
//!
//! Every function is a function of its arguments; no clock is read. The zone database is read when
//! a zone is first asked for by name, and never again.
//!
//! # Cost
//!
//! What is found is never stepped to: a rule that fires every second costs the same as one that
//! fires in leap years. A question costs some tens of nanoseconds, a repeated one a few. What
//! cannot be closed form, unions and exclusions, is bounded: [`SEARCH_LIMIT`], [`COUNT_LIMIT`].
//!
//! ```
//! use std::sync::Arc;
//! use scheduler_core::calendar::{Calendar, Cron, Dialect, Dst, Part, ParsedRule, Rule, Zone};
//!
//! let parsed = Cron::parse("30 2 * * *", Dialect::Vixie)?;
//! let ParsedRule::Cron(cron) = parsed.rule else { unreachable!() };
//! let zone = Zone::named("Europe/Paris")?;
//! let part = Part { rule: Rule::Cron(cron), zone, dst: Dst::Debian };
//! let calendar = Calendar::new(vec![part], None)?;
//! assert_eq!(calendar.describe(), "at 02:30 every day, Europe/Paris");
//!
//! // On 28 March 2021 the clock went from 02:00 to 03:00: the job runs then, at 01:00 UTC.
//! let eve = 1_616_889_600_000_000_000;
//! assert_eq!(calendar.next_after(eve), Some(eve + 3_600_000_000_000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod civil;
mod cron;
mod describe;
mod exclusions;
mod interval;
mod memo;
mod parse;
mod windows;
mod zone;

use std::fmt;
use std::sync::Arc;

pub use civil::Date;
pub use cron::Cron;
pub use exclusions::Exclusions;
pub use interval::{CalendarInterval, InvalidInterval, Unit};
pub use parse::{CronError, Dialect, Parsed, ParsedRule};
pub use zone::{UnknownZone, Zone};

use crate::time::{FAR_FUTURE, Nanos, SECOND_NS};
use memo::Memo;
use windows::Passage;

/// How many excluded candidates a search passes over before it gives up. Each takes it at least to
/// the end of an excluded hour, so it sees more than two years ahead, and far more if exclusions
/// are whole days or occurrences rare.
pub const SEARCH_LIMIT: u32 = 20_000;

/// How far occurrences are counted one by one, where they cannot be counted in closed form.
pub const COUNT_LIMIT: u64 = 10_000;

/// A set of seconds on a wall clock without a zone.
///
/// Walls are seconds since 1970-01-01T00:00:00 as the wall shows them, at most some days before
/// that or after the end of the axis.
trait WallRule {
    /// The first one at or after `from`.
    fn next_wall(&self, from: i64) -> Option<i64>;

    /// The last one at or before `to`.
    fn last_wall(&self, to: i64) -> Option<i64>;

    /// How many there are in `from..to`.
    fn count_wall(&self, from: i64, to: i64) -> u64;
}

/// What a fixed time of day does when the clock is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dst {
    /// As Debian's cron: a time that does not exist happens once, right after the gap; one that
    /// comes twice happens the first time. Rules with `*` in minute or hour follow real time:
    /// nothing in the gap, both times in the fold.
    #[default]
    Debian,
    /// A time that does not exist is left out; one that comes twice happens the first time.
    Skip,
    /// A time that does not exist is left out; one that comes twice happens twice.
    WallClock,
}

/// When a part of a calendar fires.
#[derive(Clone, Debug)]
pub enum Rule {
    /// A cron expression, on the wall clock.
    Cron(Box<Cron>),
    /// Every so many days, weeks, months or years, on the wall clock.
    Every(CalendarInterval),
    /// Every `interval` nanoseconds from `anchor` on, whatever the wall shows. An interval of 0
    /// fires once.
    Grid {
        /// The first occurrence, in nanoseconds since 1970.
        anchor: Nanos,
        /// From one occurrence to the next, in nanoseconds.
        interval: Nanos,
    },
    /// These moments, in nanoseconds since 1970, in any order.
    Moments(Vec<Nanos>),
}

/// One of the rules whose union is a calendar.
#[derive(Clone, Debug)]
pub struct Part {
    /// When it fires.
    pub rule: Rule,
    /// Whose wall clock it goes by.
    pub zone: Arc<Zone>,
    /// What it does when that is set.
    pub dst: Dst,
}

impl Part {
    /// The first occurrence at or after a moment.
    fn next_from(&self, moment: Nanos) -> Option<Nanos> {
        let next = match &self.rule {
            Rule::Cron(cron) => self.next_wall(&**cron, moment),
            Rule::Every(interval) => self.next_wall(interval, moment),
            &Rule::Grid { anchor, .. } if moment <= anchor => Some(anchor),
            Rule::Grid { interval: 0, .. } => None,
            &Rule::Grid { anchor, interval } => (moment - anchor)
                .div_ceil(interval)
                .checked_mul(interval)
                .and_then(|span| anchor.checked_add(span)),
            Rule::Moments(moments) => {
                moments.get(moments.partition_point(|&one| one < moment)).copied()
            }
        };
        next.filter(|&next| next < FAR_FUTURE)
    }

    fn next_wall(&self, rule: &impl WallRule, moment: Nanos) -> Option<Nanos> {
        let from = moment.div_ceil(SECOND_NS) as i64;
        let next = windows::next(rule, &self.zone, Passage::of(&self.rule, self.dst), from)?;
        (next as Nanos).checked_mul(SECOND_NS)
    }

    /// The last occurrence at or before a moment.
    fn last_by(&self, moment: Nanos) -> Option<Nanos> {
        let moment = moment.min(FAR_FUTURE - 1);
        match &self.rule {
            Rule::Cron(cron) => self.last_wall(&**cron, moment),
            Rule::Every(interval) => self.last_wall(interval, moment),
            &Rule::Grid { anchor, .. } if moment < anchor => None,
            &Rule::Grid { anchor, interval: 0 } => Some(anchor),
            &Rule::Grid { anchor, interval } => {
                Some(anchor + (moment - anchor) / interval * interval)
            }
            Rule::Moments(moments) => {
                let after = moments.partition_point(|&one| one <= moment);
                after.checked_sub(1).map(|index| moments[index])
            }
        }
    }

    fn last_wall(&self, rule: &impl WallRule, moment: Nanos) -> Option<Nanos> {
        let to = (moment / SECOND_NS) as i64;
        let last = windows::last(rule, &self.zone, Passage::of(&self.rule, self.dst), to)?;
        // The axis begins in 1970; some wall clocks still show 1969 then.
        (last >= 0).then(|| last as Nanos * SECOND_NS)
    }

    /// How many occurrences lie in `(after, by]`. Closed form.
    fn count(&self, after: Nanos, by: Nanos) -> u64 {
        let by = by.min(FAR_FUTURE - 1);
        if by <= after {
            return 0;
        }
        match &self.rule {
            Rule::Cron(cron) => self.count_wall(&**cron, after, by),
            Rule::Every(interval) => self.count_wall(interval, after, by),
            &Rule::Grid { anchor, interval } => {
                let up_to = |moment: Nanos| match moment.checked_sub(anchor) {
                    None => 0,
                    Some(span) => 1 + span.checked_div(interval).unwrap_or(0),
                };
                up_to(by) - up_to(after)
            }
            Rule::Moments(moments) => {
                let up_to = |moment: Nanos| moments.partition_point(|&one| one <= moment) as u64;
                up_to(by) - up_to(after)
            }
        }
    }

    fn count_wall(&self, rule: &impl WallRule, after: Nanos, by: Nanos) -> u64 {
        let (from, to) = ((after / SECOND_NS + 1) as i64, (by / SECOND_NS + 1) as i64);
        windows::count(rule, &self.zone, Passage::of(&self.rule, self.dst), from, to)
    }
}

/// A calendar that has no occurrence between 1970 and the end of the axis, or none that could be
/// found within [`SEARCH_LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeverFires;

impl fmt::Display for NeverFires {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the schedule never fires")
    }
}

impl std::error::Error for NeverFires {}

/// The union of some rules, minus exclusions. Immutable, and made to be shared by many tasks.
#[derive(Debug)]
pub struct Calendar {
    parts: Vec<Part>,
    exclusions: Option<Exclusions>,
    memo: Memo,
}

impl Calendar {
    /// A calendar that fires when any of the parts does, unless excluded.
    ///
    /// # Errors
    /// It never fires. Found out in bounded time, a microsecond for most and about a millisecond if
    /// exclusions hide everything.
    pub fn new(mut parts: Vec<Part>, exclusions: Option<Exclusions>) -> Result<Self, NeverFires> {
        for part in &mut parts {
            if let Rule::Moments(moments) = &mut part.rule {
                moments.sort_unstable();
                moments.dedup();
            }
        }
        let calendar = Self { parts, exclusions, memo: Memo::default() };
        calendar.search_forwards(0).map(|_| calendar).ok_or(NeverFires)
    }

    /// The first occurrence strictly after a moment, in nanoseconds since 1970; `None` if there is
    /// none before [`FAR_FUTURE`]. Constant between occurrences, and then a few nanoseconds.
    pub fn next_after(&self, moment: Nanos) -> Option<Nanos> {
        if let Some(next) = self.memo.get(moment) {
            return Some(next);
        }
        let next = self.search_forwards(moment.checked_add(1)?)?;
        self.memo.put(moment, next);
        Some(next)
    }

    /// The last occurrence at or before a moment, in nanoseconds since 1970.
    pub fn last_by(&self, moment: Nanos) -> Option<Nanos> {
        self.last_by_counted(moment, &mut 0)
    }

    /// How many occurrences lie in `(after, by]`.
    ///
    /// Exact and in closed form for a single part without exclusions. Otherwise counted one by one,
    /// up to [`COUNT_LIMIT`]: that answer means so many or more.
    pub fn count(&self, after: Nanos, by: Nanos) -> u64 {
        if let ([part], None) = (self.parts.as_slice(), &self.exclusions) {
            return part.count(after, by);
        }
        let mut moment = after;
        for count in 0..COUNT_LIMIT {
            match moment.checked_add(1).and_then(|from| self.search_forwards(from)) {
                Some(next) if next <= by => moment = next,
                _ => return count,
            }
        }
        COUNT_LIMIT
    }

    /// Whether all parts follow real time: cron expressions with `*` or a step in minute or hour, and
    /// grids. The others fire at fixed times.
    pub(crate) fn follows_real_time(&self) -> bool {
        self.parts.iter().all(|part| match &part.rule {
            Rule::Cron(cron) => cron.real_time,
            Rule::Grid { interval, .. } => *interval > 0,
            Rule::Every(_) | Rule::Moments(_) => false,
        })
    }

    /// The same grid from before a moment on, if this calendar is one grid that begins after that and
    /// not after `latest`: for clocks that are set back to before it began.
    pub(crate) fn extended_back(&self, moment: Nanos, latest: Nanos) -> Option<Self> {
        let [Part { rule: Rule::Grid { anchor, interval }, zone, dst }] = self.parts.as_slice()
        else {
            return None;
        };
        if *interval == 0 || *anchor <= moment || *anchor > latest {
            return None;
        }
        let intervals = (anchor - moment).div_ceil(*interval).min(anchor / interval);
        let rule = Rule::Grid { anchor: anchor - intervals * interval, interval: *interval };
        let parts = vec![Part { rule, zone: zone.clone(), dst: *dst }];
        Self::new(parts, self.exclusions.clone()).ok()
    }

    /// Whether [`Calendar::count`] is closed form: one part, and nothing excluded.
    pub(crate) fn counts_in_closed_form(&self) -> bool {
        self.parts.len() == 1 && self.exclusions.is_none()
    }

    /// As [`Calendar::next_after`]; adds how many look-ups of a part that took.
    pub(crate) fn next_after_counted(&self, moment: Nanos, looks: &mut u64) -> Option<Nanos> {
        self.search_forwards_counted(moment.checked_add(1)?, looks)
    }

    /// As [`Calendar::last_by`]; adds how many look-ups of a part that took.
    pub(crate) fn last_by_counted(&self, moment: Nanos, looks: &mut u64) -> Option<Nanos> {
        let mut last = |moment| {
            *looks += self.parts.len() as u64;
            self.parts.iter().filter_map(|part| part.last_by(moment)).max()
        };
        let mut candidate = last(moment)?;
        let Some(exclusions) = &self.exclusions else { return Some(candidate) };
        for _ in 0..SEARCH_LIMIT {
            let Some((start, _)) = exclusions.around(candidate) else { return Some(candidate) };
            candidate = last(start.checked_sub(1)?)?;
        }
        None
    }

    /// When it fires, in plain English: `at 09:00 on Monday to Friday, Europe/Paris`.
    pub fn describe(&self) -> String {
        describe::calendar(&self.parts, self.exclusions.as_ref())
    }

    /// The first occurrence at or after a moment that is not excluded.
    fn search_forwards(&self, moment: Nanos) -> Option<Nanos> {
        self.search_forwards_counted(moment, &mut 0)
    }

    fn search_forwards_counted(&self, moment: Nanos, looks: &mut u64) -> Option<Nanos> {
        let mut next = |moment| {
            *looks += self.parts.len() as u64;
            self.parts.iter().filter_map(|part| part.next_from(moment)).min()
        };
        let mut candidate = next(moment)?;
        let Some(exclusions) = &self.exclusions else { return Some(candidate) };
        for _ in 0..SEARCH_LIMIT {
            let Some((_, end)) = exclusions.around(candidate) else { return Some(candidate) };
            candidate = next(end)?;
        }
        None
    }
}
