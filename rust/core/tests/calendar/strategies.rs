//! Random expressions and moments.

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use scheduler_core::calendar::Dst;

pub const DST: [Dst; 3] = [Dst::Debian, Dst::Skip, Dst::WallClock];

/// Zones with transitions worth a look: the place and a moment beside them, in UTC.
pub const TRANSITIONS: [(&str, &str); 17] = [
    ("America/New_York", "2012-03-11T07:00:00Z"),
    ("America/New_York", "2012-11-04T06:00:00Z"),
    ("Europe/London", "2021-03-28T01:00:00Z"),
    ("Europe/London", "2021-10-31T01:00:00Z"),
    // Half an hour.
    ("Australia/Lord_Howe", "2021-04-03T15:00:00Z"),
    ("Australia/Lord_Howe", "2021-10-02T15:30:00Z"),
    // At midnight.
    ("America/Sao_Paulo", "2018-02-18T02:00:00Z"),
    ("America/Sao_Paulo", "2018-11-04T03:00:00Z"),
    ("Asia/Kolkata", "2021-06-01T00:00:00Z"),
    // For a month, around Ramadan.
    ("Africa/Casablanca", "2022-03-27T02:00:00Z"),
    ("Africa/Casablanca", "2022-05-08T02:00:00Z"),
    // A whole day.
    ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ("Pacific/Apia", "2011-09-24T14:00:00Z"),
    // Two hours.
    ("Antarctica/Troll", "2021-03-28T01:00:00Z"),
    ("Antarctica/Troll", "2021-10-31T01:00:00Z"),
    ("Europe/Paris", "2021-07-14T12:00:00Z"),
    ("UTC", "2000-02-29T00:00:00Z"),
];

/// `*`, values, ranges and lists, with and without steps.
fn plain(least: u16, greatest: u16) -> impl Strategy<Value = String> {
    let value = least..=greatest;
    let range = (value.clone(), value.clone()).prop_map(|(one, other)| {
        let (first, last) = (one.min(other), one.max(other));
        format!("{first}-{last}")
    });
    let step = 1..=greatest + 2;
    let item = prop_oneof![
        4 => value.clone().prop_map(|value| value.to_string()),
        2 => range.clone(),
        1 => (range, step.clone()).prop_map(|(range, step)| format!("{range}/{step}")),
        1 => (value, step.clone()).prop_map(|(value, step)| format!("{value}/{step}")),
        1 => step.prop_map(|step| format!("*/{step}")),
    ];
    prop_oneof![
        3 => Just("*".to_owned()),
        5 => item.clone(),
        2 => proptest::collection::vec(item, 2..4).prop_map(|items| items.join(",")),
    ]
}

fn day_of_month() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => plain(1, 31),
        1 => Just("?".to_owned()),
        1 => (0..=30_u8).prop_map(|days| format!("L-{days}")),
        1 => (0..=30_u8).prop_map(|days| format!("L-{days}W")),
        1 => (1..=31_u8).prop_map(|day| format!("{day}W")),
        1 => select(vec!["L", "LW", "l,15", "1W,LW", "lw"]).prop_map(str::to_owned),
    ]
}

fn day_of_week() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => plain(0, 7),
        1 => Just("?".to_owned()),
        1 => (0..=7_u8).prop_map(|day| format!("{day}L")),
        1 => (0..=7_u8, 1..=5_u8).prop_map(|(day, nth)| format!("{day}#{nth}")),
        1 => select(vec!["MON-FRI", "sat,Sun", "Tuesday", "fri#2,1L", "mon-sat/2"])
            .prop_map(str::to_owned),
    ]
}

fn month() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("*".to_owned()),
        3 => plain(1, 12),
        1 => select(vec!["FEB", "Jan-Mar", "sep,december"]).prop_map(str::to_owned),
    ]
}

/// Expressions of five fields.
pub fn minutes() -> impl Strategy<Value = String> {
    (plain(0, 59), plain(0, 23), day_of_month(), month(), day_of_week()).prop_map(
        |(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"),
    )
}

/// Expressions of six and seven fields.
pub fn seconds() -> impl Strategy<Value = String> {
    let year = prop_oneof![
        3 => Just(String::new()),
        1 => Just(" *".to_owned()),
        1 => (2000..2030_u16, 0..40_u16)
            .prop_map(|(year, more)| format!(" {year}-{}", year + more)),
        1 => (2000..2030_u16, 1..9_u16).prop_map(|(year, step)| format!(" {year}/{step}")),
    ];
    (plain(0, 59), minutes(), year)
        .prop_map(|(second, minutes, year)| format!("{second} {minutes}{year}"))
}

pub fn expressions() -> impl Strategy<Value = String> {
    prop_oneof![minutes(), seconds()]
}

pub fn dst() -> impl Strategy<Value = Dst> {
    select(DST.to_vec())
}

/// A zone, and a second within two days of a transition of it.
pub fn places() -> impl Strategy<Value = (&'static str, i64)> {
    (select(TRANSITIONS.to_vec()), -172_800..172_800_i64, any::<bool>()).prop_map(
        |((zone, moment), distance, far)| {
            let moment = moment.parse::<jiff::Timestamp>().unwrap().as_second();
            // Near, as often as not.
            (zone, moment + if far { distance } else { distance / 24 })
        },
    )
}
