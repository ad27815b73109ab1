//! Other people's expectations: the vectors in `../shared/data/cron`, where they are at hand.
//!
//! Every case is checked. One that comes out differently has to be in [`DIFFERENT`], with the
//! reason; one that is there has to come out differently.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use scheduler_core::calendar::{Calendar, Dialect, Dst, Part, Zone};
use scheduler_core::{Nanos, SECOND_NS};
use serde_json::Value;

use crate::rule;

/// File, case, and why it comes out differently here.
const DIFFERENT: [(&str, &str, &str); 22] = [
    ("cronsim.json", "test_no_tz_fixup_for_subminute_granularity-34", SECONDS_REFINE),
    ("cronsim.json", "test_no_tz_fixup_with_nonzero_seconds_field-35", SECONDS_REFINE),
    ("cronsim.json", "test_no_tz_fixup_with_zero_seconds_field-36", SECONDS_REFINE),
    ("cronsim.json", "test_it_handles_dst_mar-108", SECONDS_REFINE),
    ("cronsim.json", "test_it_handles_dst_mar-109", SECONDS_REFINE),
    ("cronsim.json", "test_it_handles_dst_mar-110", SECONDS_REFINE),
    ("cronsim.json", "test_it_handles_dst_mar-111", SECONDS_REFINE),
    ("cronsim.json", "test_it_handles_dst_mar-112", SECONDS_REFINE),
    ("cronsim.json", "test_it_handles_dst_mar-113", SECONDS_REFINE),
    ("cronsim.json", "test_it_handles_dst_oct-174", SECONDS_REFINE),
    ("cronsim.json", "test_it_handles_dst_oct-176", SECONDS_REFINE),
    ("cronsim.json", "test_it_handles_dst_oct-177", SECONDS_REFINE),
    ("cronsim.json", "test_it_handles_dst_oct-178", SECONDS_REFINE),
    ("cronsim.json", "test_it_handles_dst_oct-179", SECONDS_REFINE),
    ("cronsim.json", "test_it_rejects_symbolic_dow_l-537", NAMES_BEFORE_L),
    ("robfig.json", "activation-25", STARRED_STEP),
    ("robfig.json", "next-43", STARRED_STEP),
    ("gorhill_cronexpr.json", "never-64", SIXTH_IS_YEAR),
    ("gorhill_cronexpr.json", "invalid-65", SIXTH_IS_YEAR),
    ("gorhill_cronexpr.json", "invalid-66", SIXTH_IS_YEAR),
    ("gorhill_cronexpr.json", "invalid-67", SIXTH_IS_YEAR),
    ("gorhill_cronexpr.json", "invalid-68", SIXTH_IS_YEAR),
];

/// The file marks one of the two as contested itself, with cronsim's answer, which is ours.
const STARRED_STEP: &str = "robfig takes */n in a day field for a restriction and joins the day \
    fields with OR; Debian, Vixie and cronsim go by the star that the field begins with: AND";

const SECONDS_REFINE: &str = "cronsim lets every expression with a field for seconds follow real \
    time; here minute and hour decide alone, so that `0 30 2 * * *` is `30 2 * * *`";

const NAMES_BEFORE_L: &str = "cronsim takes numbers only before an L; `MONL` can mean one thing";

const SIXTH_IS_YEAR: &str = "another dialect: its sixth field comes last and is the year, ours \
    comes first and is seconds; and it refuses steps beyond a field, which here, as in Debian's \
    cron and cronsim, leave the first value";

/// The files, and whose daylight saving theirs is.
const FILES: [(&str, Dst, usize); 3] = [
    ("cronsim.json", Dst::Debian, 540),
    ("robfig.json", Dst::WallClock, 101),
    ("gorhill_cronexpr.json", Dst::Debian, 68),
];

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "..", "shared", "data", "cron"].iter().collect()
}

/// An instant with an offset, or a naive one as UTC.
fn instant(text: &Value) -> Nanos {
    let text = text.as_str().unwrap();
    let second = match text.parse::<jiff::Timestamp>() {
        Ok(moment) => moment.as_second(),
        Err(_) => {
            let naive: DateTime = text.parse().unwrap();
            naive.to_zoned(TimeZone::UTC).unwrap().timestamp().as_second()
        }
    };
    second as Nanos * SECOND_NS
}

fn zone(name: &Value) -> Arc<Zone> {
    match name.as_str() {
        None => Zone::utc(),
        Some("+05:30") => Zone::fixed(19_800),
        Some(name) => Zone::named(name).unwrap(),
    }
}

/// `None` if the case comes out as it says, else what comes out.
fn difference(case: &Value, dst: Dst) -> Option<String> {
    let kind = case["kind"].as_str().unwrap();
    let expression = case["expression"].as_str().unwrap();
    let calendar =
        rule(expression, Dialect::Vixie).map_err(|error| error.to_string()).and_then(|rule| {
            let part = Part { rule, zone: zone(&case["tz"]), dst };
            Calendar::new(vec![part], None).map_err(|error| error.to_string())
        });
    let never = case["expected"].as_array().is_some_and(Vec::is_empty);
    let calendar = match (calendar, kind) {
        (Err(_), "invalid") => return None,
        (Ok(calendar), "invalid") => return Some(format!("accepted: {}", calendar.describe())),
        // What never fires is refused.
        (Err(error), "next" | "prev") if never && error.contains("never fires") => return None,
        (Err(error), _) => return Some(format!("refused: {error}")),
        (Ok(calendar), _) => calendar,
    };
    if kind == "match" {
        let moment = instant(&case["at"]);
        let matches = calendar.last_by(moment) == Some(moment);
        let expected = case["expected"].as_bool().unwrap();
        return (matches != expected).then(|| format!("matches: {matches}"));
    }
    let mut moment = instant(&case["start"]);
    let expected: Vec<Nanos> = case["expected"].as_array().unwrap().iter().map(instant).collect();
    let found: Vec<Nanos> = (0..expected.len().max(1))
        .map_while(|_| {
            moment = match kind {
                "next" => calendar.next_after(moment)?,
                "prev" => calendar.last_by(moment - 1)?,
                other => panic!("{other} is not a kind of case"),
            };
            Some(moment)
        })
        .collect();
    let show = |moment: &Nanos| {
        jiff::Timestamp::from_second((moment / SECOND_NS) as i64).unwrap().to_string()
    };
    (found != expected).then(|| found.iter().map(show).collect::<Vec<_>>().join(" "))
}

#[test]
fn every_case_comes_out_as_it_says_or_is_listed() {
    let mut listed: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (file, id, reason) in DIFFERENT {
        listed.insert((file, id), reason);
    }
    let mut faults = Vec::new();
    let mut checked = 0;
    for (file, dst, count) in FILES {
        let Ok(text) = std::fs::read_to_string(folder().join(file)) else { continue };
        let vectors: Value = serde_json::from_str(&text).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), count, "{file}");
        for case in cases {
            let id = case["id"].as_str().unwrap();
            match (difference(case, dst), listed.get(&(file, id))) {
                (Some(found), None) => faults.push(format!("{file} {id}: {found}; {case}")),
                (None, Some(_)) => faults.push(format!("{file} {id}: listed, and agrees")),
                _ => checked += 1,
            }
        }
    }
    assert!(faults.is_empty(), "{checked} are right, not these:\n{}", faults.join("\n"));
}
