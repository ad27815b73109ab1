//! What is taken out of a calendar: days of the week, dates, hours of the day.

use std::sync::Arc;

use super::civil::{DAY_S, Date, weekday};
use super::zone::Zone;
use crate::time::{Nanos, SECOND_NS};

const HOUR_S: i64 = 3600;

/// Times at which a calendar does not fire, by the wall clock of a zone.
#[derive(Clone, Debug)]
pub struct Exclusions {
    pub(super) zone: Arc<Zone>,
    pub(super) weekdays: u8,
    /// Sorted day numbers.
    pub(super) dates: Vec<i64>,
    pub(super) hours: u32,
}

impl Exclusions {
    /// Bit 0 of `weekdays` is Sunday, bit 6 Saturday; bit 0 of `hours` is 00:00 to 00:59, bit 23
    /// 23:00 to 23:59. Higher bits are ignored.
    pub fn new(
        zone: Arc<Zone>,
        weekdays: u8,
        dates: impl IntoIterator<Item = Date>,
        hours: u32,
    ) -> Self {
        let mut dates: Vec<i64> = dates.into_iter().map(Date::day_number).collect();
        dates.sort_unstable();
        dates.dedup();
        Self { zone, weekdays: weekdays & 0x7f, dates, hours: hours & 0xff_ffff }
    }

    /// The excluded stretch around a moment, at most an hour or a day: its first moment, and
    /// the first one after it. `None` if the moment is not excluded. O(log of dates and periods).
    pub(super) fn around(&self, moment: Nanos) -> Option<(Nanos, Nanos)> {
        let utc = (moment / SECOND_NS) as i64;
        let period = &self.zone.periods()[self.zone.period_at(utc)];
        let wall = utc + period.offset;
        let day = wall.div_euclid(DAY_S);
        let hour = wall.rem_euclid(DAY_S) / HOUR_S;
        let (start, length) =
            if self.weekdays >> weekday(day) & 1 == 1 || self.dates.binary_search(&day).is_ok() {
                (day * DAY_S, DAY_S)
            } else if self.hours >> hour & 1 == 1 {
                (day * DAY_S + hour * HOUR_S, HOUR_S)
            } else {
                return None;
            };
        // Where the clock is set, day and hour have to be read again.
        let first = (start - period.offset).max(period.start);
        let end = (start + length - period.offset).min(period.end);
        Some((first.max(0) as Nanos * SECOND_NS, (end as Nanos).saturating_mul(SECOND_NS)))
    }
}
