//! The late-work rule by counting: every occurrence is looked at, none is computed.
//!
//! Written from the rule as users read it, not from the engine's closed form.

use scheduler_core::{FAR_FUTURE, Misfire, Nanos, Recurrence, Repeat, Verdict};

/// The occurrence after another on the grid, if the axis, and the bounds of the task, have one.
fn successor(rule: &Recurrence, moment: Nanos, interval: Nanos) -> Option<Nanos> {
    within(rule, u128::from(moment) + u128::from(interval))
}

fn within(rule: &Recurrence, moment: u128) -> Option<Nanos> {
    let moment = Nanos::try_from(moment).ok()?;
    (moment <= rule.end && moment < FAR_FUTURE).then_some(moment)
}

/// What happens to the occurrence of `nominal` and of those after it that are due by `now`.
///
/// A time that was asked for explicitly is an occurrence even beyond the end.
pub fn judge(rule: &Recurrence, nominal: Nanos, now: Nanos) -> Verdict {
    let mut due = vec![nominal];
    let mut next = None;
    match rule.repeat {
        Repeat::Once => {}
        Repeat::FixedDelay(delay) => next = within(rule, u128::from(now) + u128::from(delay)),
        Repeat::FixedRate(interval) => {
            next = successor(rule, nominal, interval);
            while let Some(moment) = next.filter(|moment| *moment <= now) {
                due.push(moment);
                next = successor(rule, moment, interval);
            }
        }
        Repeat::Calendar(_) => unreachable!("the model has no calendars"),
    }
    // A recurring task that skips and has no grace gets one of a minute.
    let skips = rule.misfire == Misfire::Skip && rule.repeat != Repeat::Once;
    let grace = if skips && rule.grace == FAR_FUTURE { 60 * 1_000_000_000 } else { rule.grace };
    let allowed: Vec<Nanos> = due.iter().copied().filter(|moment| now - moment <= grace).collect();
    let others = due.len() as u64 - 1;
    let run = match rule.misfire {
        Misfire::Latest => allowed.last().map(|moment| (*moment, others)),
        Misfire::Earliest => allowed.first().map(|moment| (*moment, others)),
        Misfire::Skip => allowed.first().filter(|_| others == 0).map(|moment| (*moment, 0)),
        Misfire::All => {
            let limit = usize::try_from(rule.catch_up_limit).unwrap_or(usize::MAX);
            let kept = &allowed[allowed.len().saturating_sub(limit)..];
            kept.first().map(|run| {
                let before = due.iter().filter(|moment| *moment < run).count();
                (*run, before as u64)
            })
        }
    };
    match run {
        Some((nominal, missed)) => Verdict::Run { nominal, missed },
        None => Verdict::Miss { missed: others + 1, next },
    }
}

/// The occurrence after the run of `nominal`, and how many fell due while it lasted.
pub fn follow(
    rule: &Recurrence,
    nominal: Nanos,
    started: Nanos,
    ended: Nanos,
) -> (Option<Nanos>, u64) {
    match rule.repeat {
        Repeat::Once => (None, 0),
        Repeat::FixedDelay(delay) => (within(rule, u128::from(ended) + u128::from(delay)), 0),
        Repeat::FixedRate(interval) => {
            let mut next = successor(rule, nominal, interval);
            if rule.misfire == Misfire::All {
                return (next, 0);
            }
            // Those due by the start were judged then.
            while let Some(moment) = next.filter(|moment| *moment <= started) {
                next = successor(rule, moment, interval);
            }
            pass_over(rule, next, interval, ended)
        }
        Repeat::Calendar(_) => unreachable!("the model has no calendars"),
    }
}

/// The occurrence that a run by hand leaves to be next, when `candidate` was to be next before.
pub fn follow_by_hand(
    rule: &Recurrence,
    candidate: Nanos,
    started: Nanos,
    ended: Nanos,
) -> (Option<Nanos>, u64) {
    match rule.repeat {
        // What was due before the run started did not fall due while it lasted: it is late work.
        // A time beyond the end was asked for: it is not passed over.
        Repeat::FixedRate(interval)
            if rule.misfire != Misfire::All && candidate > started && candidate <= rule.end =>
        {
            pass_over(rule, Some(candidate), interval, ended)
        }
        _ => (Some(candidate), 0),
    }
}

/// Skips the occurrences before `ended`, and says how many they were.
fn pass_over(
    rule: &Recurrence,
    mut next: Option<Nanos>,
    interval: Nanos,
    ended: Nanos,
) -> (Option<Nanos>, u64) {
    let mut skipped = 0;
    while let Some(moment) = next.filter(|moment| *moment < ended) {
        skipped += 1;
        next = successor(rule, moment, interval);
    }
    (next, skipped)
}
