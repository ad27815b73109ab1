//! Time zones: tables of when a wall clock is set, and to what.
//!
//! A zone is worked out once, from 1970 to the end of the axis in 2554, about 1,200 periods of
//! constant offset where daylight saving is kept. Then an offset is a binary search, and nothing is
//! read or allocated again. Tables come from the system's time zone database or, where that lacks a
//! name, from the one that is compiled in.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::civil::DAY_S;

/// Before and after every moment of the axis, with room for any offset, in UTC seconds.
pub(super) const BEGIN_S: i64 = -3 * DAY_S;
pub(super) const END_S: i64 = (crate::time::FAR_FUTURE / crate::time::SECOND_NS) as i64 + 3 * DAY_S;

/// The longest name that is looked up, in bytes.
const MAX_NAME: usize = 64;

/// A time in which the offset is constant: `start..end` in UTC seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period {
    pub start: i64,
    pub end: i64,
    /// Seconds that the wall is ahead of UTC.
    pub offset: i64,
    /// The first wall second that no earlier period has shown.
    pub fresh: i64,
}

impl Period {
    /// The wall as the period begins.
    pub fn wall_start(&self) -> i64 {
        self.start + self.offset
    }

    /// The wall as the period ends.
    pub fn wall_end(&self) -> i64 {
        self.end + self.offset
    }
}

/// What wall clocks show in a place, from 1970 to 2554. Immutable, shared.
#[derive(PartialEq, Eq)]
pub struct Zone {
    name: String,
    /// Where each period begins, close together for the search.
    starts: Vec<i64>,
    periods: Vec<Period>,
}

/// A name that neither the system's time zone database nor the one compiled in knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownZone {
    /// The name, as asked for.
    pub name: String,
}

impl fmt::Display for UnknownZone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.name.chars().take(MAX_NAME).collect();
        write!(formatter, "unknown time zone `{shown}`")
    }
}

impl std::error::Error for UnknownZone {}

impl fmt::Debug for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Zone({}, {} periods)", self.name, self.periods.len())
    }
}

static UTC: LazyLock<Arc<Zone>> = LazyLock::new(|| Zone::from_transitions("UTC", 0, Vec::new()));

/// The zones asked for by name so far.
static NAMED: LazyLock<Mutex<HashMap<String, Arc<Zone>>>> = LazyLock::new(Mutex::default);

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Arc<Self> {
        UTC.clone()
    }

    /// So many seconds east of Greenwich, always; named like `+05:30`.
    pub fn fixed(offset_s: i32) -> Arc<Self> {
        let (sign, ahead) = (if offset_s < 0 { '-' } else { '+' }, offset_s.unsigned_abs());
        let mut name = format!("{sign}{:02}:{:02}", ahead / 3600, ahead / 60 % 60);
        if ahead % 60 != 0 {
            name.push_str(&format!(":{:02}", ahead % 60));
        }
        Self::from_transitions(&name, offset_s, Vec::new())
    }

    /// The zone of an IANA name, such as `Europe/Paris`. The first call for a name reads the
    /// database, which takes about a millisecond; later ones look into a table.
    ///
    /// # Errors
    /// The name is not known, or no such name: a path, `localtime`, a POSIX rule.
    pub fn named(iana: &str) -> Result<Arc<Self>, UnknownZone> {
        let unknown = || UnknownZone { name: iana.to_owned() };
        if !is_iana(iana) {
            return Err(unknown());
        }
        let known = || NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = known().get(iana) {
            return Ok(zone.clone());
        }
        // Not under the lock, as it may read files.
        let found = TimeZone::get(iana).or_else(|_| TimeZoneDatabase::bundled().get(iana));
        let zone = found.map_err(|_| unknown())?;
        let zone = Self::sampled(zone.iana_name().unwrap_or(iana), &zone);
        Ok(known().entry(iana.to_owned()).or_insert(zone).clone())
    }

    /// The zone that the system is set to, as of now; UTC if it is set to none.
    pub fn system() -> Arc<Self> {
        let zone = TimeZone::system();
        match zone.iana_name() {
            Some(name) => Self::named(name).unwrap_or_else(|_| Self::sampled(name, &zone)),
            None => Self::sampled("local time", &zone),
        }
    }

    /// A zone from its transitions: the moment in UTC seconds and the offset in seconds from then
    /// on. They are put in order; those beyond the axis are left out.
    pub fn from_transitions(
        name: &str,
        first_offset_s: i32,
        mut transitions: Vec<(i64, i32)>,
    ) -> Arc<Self> {
        transitions.sort_by_key(|transition| transition.0);
        let mut offset = i64::from(first_offset_s);
        let mut starts = vec![BEGIN_S];
        let mut offsets = vec![offset];
        for (moment, next) in transitions {
            if moment >= END_S || i64::from(next) == offset {
                continue;
            }
            offset = next.into();
            if starts.last().is_some_and(|&last| moment <= last) {
                // Before the axis, or twice at one moment: the last word counts.
                offsets.pop();
            } else {
                starts.push(moment);
            }
            offsets.push(offset);
        }
        let mut periods: Vec<Period> = Vec::with_capacity(starts.len());
        let mut fresh = starts[0] + offsets[0];
        for (index, (&start, &offset)) in starts.iter().zip(&offsets).enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(END_S);
            let period = Period { start, end, offset, fresh };
            fresh = fresh.max(period.wall_end());
            periods.push(period);
        }
        Arc::new(Self { name: name.to_owned(), starts, periods })
    }

    fn sampled(name: &str, zone: &TimeZone) -> Arc<Self> {
        let begin = Timestamp::from_second(BEGIN_S).unwrap_or(Timestamp::UNIX_EPOCH);
        let transitions = zone
            .following(begin)
            .map(|change| (change.timestamp().as_second(), change.offset().seconds()))
            .take_while(|&(moment, _)| moment < END_S)
            .collect();
        Self::from_transitions(name, zone.to_offset(begin).seconds(), transitions)
    }

    /// The IANA name, `UTC`, an offset, or what the maker called it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds that the wall is ahead of UTC at a moment in UTC seconds. O(log of periods).
    pub fn offset_at(&self, utc_s: i64) -> i32 {
        self.periods[self.period_at(utc_s)].offset as i32
    }

    pub(super) fn periods(&self) -> &[Period] {
        &self.periods
    }

    /// The index of the period that a moment lies in; the first and the last one have no bounds.
    pub(super) fn period_at(&self, utc_s: i64) -> usize {
        self.starts.partition_point(|&start| start <= utc_s).saturating_sub(1)
    }
}

/// Whether a text can be a name of the IANA database: no path, no POSIX rule, no file beside it.
fn is_iana(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
    };
    name.len() <= MAX_NAME
        && name.split('/').all(is_part)
        && !["right/", "posix/"].iter().any(|folder| name.starts_with(folder))
        && !["localtime", "posixrules", "leapseconds", "Factory"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_offsets_to_the_second() {
        let zone = Zone::named("America/New_York").expect("a zone");
        // 2012-03-11T07:00:00Z
        assert_eq!(zone.offset_at(1_331_449_199), -5 * 3600);
        assert_eq!(zone.offset_at(1_331_449_200), -4 * 3600);
        // In 2500 the rule of today still holds: 1 July.
        assert_eq!(zone.offset_at(16_740_864_000), -4 * 3600);
        assert!(Arc::ptr_eq(&zone, &Zone::named("America/New_York").expect("a zone")));
        assert_eq!(zone.name(), "America/New_York");
    }

    #[test]
    fn refuses_what_is_no_iana_name() {
        for name in [
            "",
            "/etc/localtime",
            "../UTC",
            "Europe/../UTC",
            "Europe/",
            "Europe//Paris",
            "Mars/X",
            "localtime",
            "right/UTC",
            "EST5EDT,M3.2.0,M11.1.0",
            "Europe/Paris\0",
            "¹",
        ] {
            assert_eq!(Zone::named(name), Err(UnknownZone { name: name.to_owned() }), "{name}");
        }
        assert!(Zone::named(&"A".repeat(100_000)).is_err());
    }

    #[test]
    fn fixed_offsets_have_a_name() {
        assert_eq!(Zone::fixed(19_800).name(), "+05:30");
        assert_eq!(Zone::fixed(-1).name(), "-00:00:01");
        assert_eq!(Zone::fixed(-12_600).offset_at(0), -12_600);
    }

    #[test]
    fn transitions_are_put_in_order() {
        let zone = Zone::from_transitions("X", 60, vec![(500, 60), (100, 0), (i64::MIN, 30)]);
        let seen: Vec<_> = [0, 99, 100, 499, 500].map(|moment| zone.offset_at(moment)).into();
        assert_eq!(seen, [30, 30, 0, 0, 60]);
        // The wall goes back by 30 s at 100: it shows what is new to it 30 s later.
        assert_eq!(zone.periods()[1].fresh, 130);
        assert_eq!(zone.periods()[2].fresh, 500);
    }
}
