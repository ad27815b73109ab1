//! What happens to wall times when the clock is set: the daylight-saving policy, and the only place
//! of it.
//!
//! A zone is a row of periods of constant offset. In each of them a rule is looked at through a
//! **window** of wall time, in which instant = wall - offset:
//!
//! ```text
//!              gap: 02:00-03:00 is not shown          fold: 01:00-02:00 is shown twice
//!   wall     01:00  01:59|03:00  04:00               01:00  01:59|01:00  01:59  02:00
//!   periods  ------------|------------               ------------|-------------------
//!
//!   Twice    ------------|------------               ------------|-------------------
//!   Once     ------------|------------               ------------|             ------
//!   Caught   ------------|------------               ------------|             ------
//!                        ^ and once here, if anything lay in the gap
//! ```
//!
//! *Twice* is how real-time jobs and `wall-clock` see it: the window is all that the period shows.
//! *Once* is `skip`: of a wall time that comes twice, the first. *Caught* adds Debian's care for
//! fixed-time jobs: what the gap swallowed happens as it ends, once, however many times it held; or
//! not at all if the job is due in the minute that the gap ends in, as seconds refine a minute.
//! "Shown before" is decided by `Period::fresh`, so that changes in quick succession, of half an
//! hour, of a whole day, are nothing special.

use super::zone::Period;
use super::{Dst, Rule, WallRule, Zone};

const MINUTE: i64 = 60;

/// How a rule passes a change of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// A gap is skipped, a fold happens twice.
    Twice,
    /// A gap is skipped, a fold happens the first time.
    Once,
    /// A gap happens as it ends, a fold the first time.
    Caught,
}

impl Passage {
    /// The policy. Real-time jobs are those that follow the clock minute by minute.
    pub fn of(rule: &Rule, dst: Dst) -> Self {
        let real_time = matches!(rule, Rule::Cron(cron) if cron.real_time);
        match dst {
            Dst::Debian if real_time => Self::Twice,
            Dst::Debian => Self::Caught,
            Dst::Skip => Self::Once,
            Dst::WallClock => Self::Twice,
        }
    }
}

/// The wall seconds of a period in which occurrences count: those of `gap..open` all happen at
/// `start`, each of `open..close` at its wall time less `offset`. Empty if `close <= gap`.
#[derive(Clone, Copy, Debug)]
struct Window {
    gap: i64,
    open: i64,
    close: i64,
    start: i64,
    offset: i64,
}

impl Window {
    fn new(rule: &impl WallRule, period: &Period, passage: Passage) -> Self {
        let Period { start, offset, fresh, .. } = *period;
        let open = match passage {
            Passage::Twice => period.wall_start(),
            Passage::Once | Passage::Caught => period.wall_start().max(fresh),
        };
        let close = period.wall_end();
        let is_caught = passage == Passage::Caught && fresh < open && {
            let minute_end = (open - open.rem_euclid(MINUTE) + MINUTE).min(close);
            rule.next_wall(open).is_none_or(|wall| wall >= minute_end)
        };
        let gap = if is_caught { fresh } else { open };
        Self { gap, open, close, start, offset }
    }

    /// When a wall second of this window happens, in UTC seconds.
    fn instant(&self, wall: i64) -> i64 {
        if wall < self.open { self.start } else { wall - self.offset }
    }
}

/// The first occurrence at or after `from`. In UTC seconds, as all here.
///
/// Walks over periods, at most two a year; asks the rule again only where a window shows walls
/// that the last answer does not cover.
pub(super) fn next(rule: &impl WallRule, zone: &Zone, passage: Passage, from: i64) -> Option<i64> {
    let periods = &zone.periods()[zone.period_at(from)..];
    let window = Window::new(rule, &periods[0], passage);
    let mut low =
        if from <= window.start { window.gap } else { window.open.max(from + window.offset) };
    // There is nothing in `searched..found`.
    let mut searched = low;
    let mut found = rule.next_wall(low).unwrap_or(i64::MAX);
    let mut window = window;
    for period in &periods[1..] {
        if found < window.close {
            return Some(window.instant(found));
        }
        window = Window::new(rule, period, passage);
        low = window.gap;
        if low < searched || low > found {
            searched = low;
            found = rule.next_wall(low).unwrap_or(i64::MAX);
        }
    }
    (found < window.close).then(|| window.instant(found))
}

/// The last occurrence at or before `to`.
pub(super) fn last(rule: &impl WallRule, zone: &Zone, passage: Passage, to: i64) -> Option<i64> {
    let mut index = zone.period_at(to);
    let mut window = Window::new(rule, &zone.periods()[index], passage);
    // The walls up to `to`; of an empty window none.
    let mut high = (to + window.offset).min(window.close - 1);
    let mut searched = high;
    let mut found = rule.last_wall(high).unwrap_or(i64::MIN);
    // There is nothing in `found + 1..=searched`.
    loop {
        if found >= window.gap && found <= high {
            return Some(window.instant(found));
        }
        index = index.checked_sub(1)?;
        window = Window::new(rule, &zone.periods()[index], passage);
        high = window.close - 1;
        if high > searched || high < found {
            searched = high;
            found = rule.last_wall(high).unwrap_or(i64::MIN);
        }
    }
}

/// How many occurrences lie in `from..to`. One count for each period in between.
pub(super) fn count(
    rule: &impl WallRule,
    zone: &Zone,
    passage: Passage,
    from: i64,
    to: i64,
) -> u64 {
    if to <= from {
        return 0;
    }
    let periods = &zone.periods()[zone.period_at(from)..=zone.period_at(to - 1)];
    periods
        .iter()
        .map(|period| {
            let window = Window::new(rule, period, passage);
            let low = window.open.max(from + window.offset);
            let high = window.close.min(to + window.offset);
            let shown = if low < high { rule.count_wall(low, high) } else { 0 };
            let caught = window.gap < window.open
                && (from..to).contains(&window.start)
                && rule.next_wall(window.gap).is_some_and(|wall| wall < window.open);
            shown + u64::from(caught)
        })
        .sum()
}
