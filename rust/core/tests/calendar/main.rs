//! Calendars against what is simpler, slower and written apart from them.
//!
//! ```text
//! cargo test -p scheduler-core --test calendar
//! PROPTEST_CASES=100000 cargo test -p scheduler-core --release --test calendar
//! ```
//!
//! `matcher.rs` goes through time second by second or minute by minute, reads expressions its own
//! way and takes dates and offsets from jiff; `against_matcher.rs` holds calendars to it.
//! `laws.rs` are the laws that any calendar keeps. `vectors.rs` are other people's expectations,
//! where they are at hand. `expressions.rs` is about what is refused, and what is said about it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod against_matcher;
mod expressions;
mod laws;
mod matcher;
mod strategies;
mod vectors;

use std::sync::Arc;

use scheduler_core::calendar::{
    Calendar, Cron, CronError, Dialect, Dst, ParsedRule, Part, Rule, Zone,
};
use scheduler_core::{Nanos, SECOND_NS};

/// The rule of an expression; `@every` begins in 1970.
pub fn rule(expression: &str, dialect: Dialect) -> Result<Rule, CronError> {
    Ok(match Cron::parse(expression, dialect)?.rule {
        ParsedRule::Cron(cron) => Rule::Cron(cron),
        ParsedRule::Every(interval) => Rule::Grid { anchor: 0, interval },
    })
}

/// A calendar of one expression of Vixie's dialect.
pub fn calendar(expression: &str, zone: &Arc<Zone>, dst: Dst) -> Calendar {
    let rule = rule(expression, Dialect::Vixie).unwrap();
    Calendar::new(vec![Part { rule, zone: zone.clone(), dst }], None).unwrap()
}

/// Nanoseconds since 1970 of an instant such as `2021-03-28T02:00:00+02:00`.
pub fn at(text: &str) -> Nanos {
    text.parse::<jiff::Timestamp>().unwrap().as_second() as Nanos * SECOND_NS
}
