//! Time as the engine knows it: whole nanoseconds on an axis that never steps.
//!
//! A moment is nanoseconds since 1970-01-01T00:00:00Z, read once when a clock is made and carried
//! forward by a monotonic clock from there. So moments can be compared and printed, and do not change
//! when the wall clock is set. The axis ends in the year 2554. Later moments saturate to
//! [`FAR_FUTURE`]: such a timer is kept, listed and can be cancelled, but never fires.

use std::fmt;

/// A moment, or a span between two, in nanoseconds.
pub type Nanos = u64;

/// No moment: what an engine with nothing pending answers for its next deadline.
pub const NEVER: Nanos = u64::MAX;

/// The last moment that a deadline can have; later ones saturate to it.
pub const FAR_FUTURE: Nanos = NEVER - 1;

/// Nanoseconds in a second.
pub const SECOND_NS: Nanos = 1_000_000_000;

/// Where the calendars that users can write end: 10000-01-01T00:00:00Z, in seconds since 1970.
pub const END_OF_CALENDAR_S: f64 = 253_402_300_800.0;

/// Why a number of seconds is not a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidSpan {
    /// It is NaN or infinite.
    NotFinite,
    /// It is below zero.
    Negative,
    /// Counted from now it ends beyond the year 9999.
    BeyondCalendar,
}

impl fmt::Display for InvalidSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotFinite => "must be finite",
            Self::Negative => "must not be negative",
            Self::BeyondCalendar => "ends beyond the year 9999",
        })
    }
}

impl std::error::Error for InvalidSpan {}

/// The moment `seconds` after `now`, rounded to the nearest nanosecond.
///
/// Saturates to [`FAR_FUTURE`] between the years 2554 and 9999.
///
/// # Errors
/// NaN, infinities, negative numbers, and moments beyond the year 9999.
pub fn after_seconds(now: Nanos, seconds: f64) -> Result<Nanos, InvalidSpan> {
    if !seconds.is_finite() {
        return Err(InvalidSpan::NotFinite);
    }
    if seconds < 0.0 {
        return Err(InvalidSpan::Negative);
    }
    if now as f64 / SECOND_NS as f64 + seconds >= END_OF_CALENDAR_S {
        return Err(InvalidSpan::BeyondCalendar);
    }
    // The cast saturates, and so does the sum.
    Ok(after(now, (seconds * SECOND_NS as f64).round() as u64))
}

/// The moment `span` after `moment`, at most [`FAR_FUTURE`].
pub fn after(moment: Nanos, span: Nanos) -> Nanos {
    moment.saturating_add(span).min(FAR_FUTURE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_the_nearest_nanosecond() {
        assert_eq!(after_seconds(5, 0.1), Ok(100_000_005));
        assert_eq!(after_seconds(0, 1.4e-9), Ok(1));
        assert_eq!(after_seconds(0, 1.6e-9), Ok(2));
    }

    #[test]
    fn saturates_where_the_axis_ends_and_refuses_where_calendars_end() {
        assert_eq!(after_seconds(0, 1e11), Ok(FAR_FUTURE));
        assert_eq!(after(FAR_FUTURE, FAR_FUTURE), FAR_FUTURE);
        assert_eq!(after_seconds(0, 2.6e11), Err(InvalidSpan::BeyondCalendar));
        assert_eq!(after_seconds(0, f64::MAX), Err(InvalidSpan::BeyondCalendar));
    }

    #[test]
    fn refuses_what_is_no_span() {
        assert_eq!(after_seconds(0, f64::NAN), Err(InvalidSpan::NotFinite));
        assert_eq!(after_seconds(0, f64::INFINITY), Err(InvalidSpan::NotFinite));
        assert_eq!(after_seconds(0, -1e-300), Err(InvalidSpan::Negative));
        assert_eq!(after_seconds(7, -0.0), Ok(7));
    }
}
