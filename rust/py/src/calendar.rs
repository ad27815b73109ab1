//! Calendars and zones, from Python's words to the core's.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};
use scheduler_core::calendar::{
    self as core, CalendarInterval, Cron, Date, Dialect, Dst, Exclusions, ParsedRule, Rule, Unit,
};
use scheduler_core::{FAR_FUTURE, Nanos, SECOND_NS};

use crate::errors::Error;

const DIALECT_WORDS: &str = "'vixie' or 'quartz'";
const DST_WORDS: &str = "'debian', 'skip' or 'wall-clock'";
const UNIT_WORDS: &str = "'days', 'weeks', 'months' or 'years'";
const DAY: &str = "a day of the years 1 to 9999";

/// What wall clocks show in a place.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct Zone(Arc<core::Zone>);

#[pymethods]
impl Zone {
    /// The zone of an IANA name.
    #[staticmethod]
    fn named(name: &str) -> Result<Self, Error> {
        Ok(Self(core::Zone::named(name)?))
    }

    /// The zone that the system is set to.
    #[staticmethod]
    fn system() -> Self {
        Self(core::Zone::system())
    }

    /// So many seconds east of Greenwich, always.
    #[staticmethod]
    fn fixed(seconds: i32) -> Self {
        Self(if seconds == 0 { core::Zone::utc() } else { core::Zone::fixed(seconds) })
    }

    /// A zone from its changes: UTC seconds, and the offset in seconds from then on.
    #[staticmethod]
    fn from_transitions(name: &str, first: i32, transitions: Vec<(i64, i32)>) -> Self {
        Self(core::Zone::from_transitions(name, first, transitions))
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// Seconds that its wall clocks are ahead of UTC at a moment in UTC seconds.
    fn offset_at(&self, utc: i64) -> i32 {
        self.0.offset_at(utc)
    }
}

/// One of the rules whose union is a calendar.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct Part(core::Part);

#[pymethods]
impl Part {
    /// A cron expression, and `@every` from an anchor on. A zone in the expression wins.
    #[staticmethod]
    fn cron(
        expression: &str,
        dialect: &Bound<'_, PyString>,
        zone: &Zone,
        dst: &Bound<'_, PyString>,
        anchor_ns: Nanos,
    ) -> PyResult<Self> {
        let parsed = Cron::parse(expression, dialect_of(dialect)?).map_err(Error::Cron)?;
        let zone = match parsed.zone {
            Some(name) => core::Zone::named(&name).map_err(|unknown| {
                let position = expression.find('=').map_or(0, |at| at + 1);
                Error::Cron(core::CronError { field: None, position, reason: unknown.to_string() })
            })?,
            None => zone.0.clone(),
        };
        let rule = match parsed.rule {
            ParsedRule::Cron(cron) => Rule::Cron(cron),
            ParsedRule::Every(interval) => Rule::Grid { anchor: anchor_ns, interval },
        };
        Ok(Self(core::Part { rule, zone, dst: dst_of(dst)? }))
    }

    /// The span of an `@every` expression; None of any other.
    #[staticmethod]
    fn every_ns(expression: &str, dialect: &Bound<'_, PyString>) -> PyResult<Option<Nanos>> {
        let parsed = Cron::parse(expression, dialect_of(dialect)?).map_err(Error::Cron)?;
        Ok(match parsed.rule {
            ParsedRule::Every(interval) => Some(interval),
            ParsedRule::Cron(_) => None,
        })
    }

    /// What is accepted in a cron expression, but hardly meant: (field, position, reason) of each.
    #[staticmethod]
    fn cron_warnings(
        expression: &str,
        dialect: &Bound<'_, PyString>,
    ) -> PyResult<Vec<(Option<&'static str>, usize, String)>> {
        let parsed = Cron::parse(expression, dialect_of(dialect)?).map_err(Error::Cron)?;
        let warnings = parsed.warnings.into_iter();
        Ok(warnings.map(|one| (one.field, one.position, one.reason)).collect())
    }

    /// Every n days, weeks, months or years from a day on, at a second of the day. Without a start
    /// it also fires before that day.
    #[staticmethod]
    #[pyo3(signature = (every, unit, anchor, second, zone, dst, *, has_start = true))]
    fn interval(
        every: u32,
        unit: &Bound<'_, PyString>,
        anchor: (i32, u8, u8),
        second: u32,
        zone: &Zone,
        dst: &Bound<'_, PyString>,
        has_start: bool,
    ) -> PyResult<Self> {
        let word = match unit.to_cow()?.as_ref() {
            "days" => Unit::Days,
            "weeks" => Unit::Weeks,
            "months" => Unit::Months,
            "years" => Unit::Years,
            _ => return Err(Error::out_of_range("unit", UNIT_WORDS, unit).into()),
        };
        let rule =
            CalendarInterval::new(every, word, date(anchor)?, second).map_err(Error::Interval)?;
        let rule = if has_start { rule } else { rule.without_start() };
        let part = core::Part { rule: Rule::Every(rule), zone: zone.0.clone(), dst: dst_of(dst)? };
        Ok(Self(part))
    }

    /// A moment, and every so many nanoseconds after it; 0 for none.
    #[staticmethod]
    fn grid(anchor_ns: Nanos, interval_ns: Nanos) -> Self {
        let rule = Rule::Grid { anchor: anchor_ns, interval: interval_ns };
        Self(core::Part { rule, zone: core::Zone::utc(), dst: Dst::default() })
    }

    /// Some moments.
    #[staticmethod]
    fn moments(moments_ns: Vec<Nanos>) -> Self {
        let rule = Rule::Moments(moments_ns);
        Self(core::Part { rule, zone: core::Zone::utc(), dst: Dst::default() })
    }
}

/// When something fires that is told by the wall clock.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct Calendar(pub(crate) Arc<core::Calendar>);

#[pymethods]
impl Calendar {
    /// The union of some parts, minus days of the week (bit 0 Sunday), dates, and hours.
    #[new]
    #[pyo3(signature = (parts, *, zone = None, weekdays = 0, dates = Vec::new(), hours = 0))]
    fn new(
        parts: Vec<PyRef<'_, Part>>,
        zone: Option<&Zone>,
        weekdays: u8,
        dates: Vec<(i32, u8, u8)>,
        hours: u32,
    ) -> PyResult<Self> {
        let parts = parts.iter().map(|part| part.0.clone()).collect();
        let exclusions = match zone {
            None => None,
            Some(zone) => {
                let dates = dates.into_iter().map(date).collect::<Result<Vec<_>, _>>()?;
                Some(Exclusions::new(zone.0.clone(), weekdays, dates, hours))
            }
        };
        let calendar = core::Calendar::new(parts, exclusions).map_err(Error::Never)?;
        Ok(Self(Arc::new(calendar)))
    }

    /// The first occurrence after a moment.
    fn next_after(&self, moment_ns: Nanos) -> Option<Nanos> {
        self.0.next_after(moment_ns)
    }

    /// The first occurrence after an aware datetime, as a datetime in a zone. What lies in the
    /// microsecond of the moment is not after it, for datetimes are no finer.
    fn datetime_after<'py>(
        &self,
        moment: &Bound<'py, PyAny>,
        zone: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let datetimes = Datetimes::of(moment.py())?;
        let after = datetimes.moment(moment)?;
        self.0.next_after(after + REST_NS).map(|next| datetimes.datetime(next, zone)).transpose()
    }

    /// The next so many occurrences after a moment and not after another, as datetimes in a zone.
    fn datetimes<'py>(
        &self,
        after_ns: Nanos,
        until_ns: Nanos,
        count: usize,
        zone: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let datetimes = Datetimes::of(zone.py())?;
        let next = |moment: &Nanos| self.0.next_after(*moment).filter(|&next| next <= until_ns);
        std::iter::successors(next(&after_ns), next)
            .take(count)
            .map(|moment| datetimes.datetime(moment, zone))
            .collect()
    }

    /// The last occurrence at or before a moment.
    fn last_by(&self, moment_ns: Nanos) -> Option<Nanos> {
        self.0.last_by(moment_ns)
    }

    /// How many occurrences lie after a moment and not after another.
    fn count(&self, after_ns: Nanos, by_ns: Nanos) -> u64 {
        self.0.count(after_ns, by_ns)
    }

    /// The next so many occurrences after a moment.
    fn preview(&self, after_ns: Nanos, count: usize) -> Vec<Nanos> {
        let next = |moment: &Nanos| self.0.next_after(*moment);
        std::iter::successors(next(&after_ns), next).take(count).collect()
    }

    /// When it fires, in plain English.
    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// The nanoseconds within the microsecond that a datetime says.
const REST_NS: Nanos = 999;

/// Python's datetimes, for the two calls that are made again and again. They have no place in the
/// stable interface for extensions, so that these go through attributes.
struct Datetimes<'py> {
    epoch: &'py Bound<'py, PyAny>,
    from_timestamp: &'py Bound<'py, PyAny>,
}

impl<'py> Datetimes<'py> {
    fn of(py: Python<'py>) -> PyResult<Self> {
        static EPOCH: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        static FROM_TIMESTAMP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let epoch = EPOCH.get_or_try_init(py, || {
            let module = py.import("datetime")?;
            let utc = module.getattr("timezone")?.getattr("utc")?;
            let epoch = module.getattr("datetime")?.call_method1("fromtimestamp", (0, utc))?;
            PyResult::Ok(epoch.unbind())
        })?;
        let from_timestamp = FROM_TIMESTAMP.get_or_try_init(py, || {
            let datetime = py.import("datetime")?.getattr("datetime")?;
            PyResult::Ok(datetime.getattr("fromtimestamp")?.unbind())
        })?;
        Ok(Self { epoch: epoch.bind(py), from_timestamp: from_timestamp.bind(py) })
    }

    /// An aware datetime in nanoseconds since 1970; what lies before that counts as 1970.
    fn moment(&self, datetime: &Bound<'py, PyAny>) -> PyResult<Nanos> {
        let py = datetime.py();
        let elapsed = datetime.sub(self.epoch)?;
        let days: i64 = elapsed.getattr(intern!(py, "days"))?.extract()?;
        let seconds: i64 = elapsed.getattr(intern!(py, "seconds"))?.extract()?;
        let microseconds: i64 = elapsed.getattr(intern!(py, "microseconds"))?.extract()?;
        let seconds = days * 86_400 + seconds;
        // The end of a datetime's years is beyond that of the axis.
        let microseconds = u64::try_from(seconds * 1_000_000 + microseconds).unwrap_or(0);
        Ok(microseconds.saturating_mul(1000).min(FAR_FUTURE - SECOND_NS))
    }

    /// A moment as a datetime in a zone; microseconds, rounded down.
    fn datetime(&self, moment: Nanos, zone: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (seconds, rest) = (moment / SECOND_NS, moment % SECOND_NS);
        let datetime = self.from_timestamp.call1((seconds, zone))?;
        if rest == 0 {
            return Ok(datetime);
        }
        let words = PyDict::new(zone.py());
        words.set_item("microsecond", rest / 1000)?;
        datetime.call_method("replace", (), Some(&words))
    }
}

fn dialect_of(dialect: &Bound<'_, PyString>) -> PyResult<Dialect> {
    Ok(match dialect.to_cow()?.as_ref() {
        "vixie" => Dialect::Vixie,
        "quartz" => Dialect::Quartz,
        _ => return Err(Error::out_of_range("dialect", DIALECT_WORDS, dialect).into()),
    })
}

fn dst_of(dst: &Bound<'_, PyString>) -> PyResult<Dst> {
    Ok(match dst.to_cow()?.as_ref() {
        "debian" => Dst::Debian,
        "skip" => Dst::Skip,
        "wall-clock" => Dst::WallClock,
        _ => return Err(Error::out_of_range("dst", DST_WORDS, dst).into()),
    })
}

fn date((year, month, day): (i32, u8, u8)) -> Result<Date, Error> {
    Date::new(year, month, day).ok_or_else(|| Error::Range {
        argument: "date",
        expected: DAY,
        value: format!("{year}-{month}-{day}"),
    })
}
