//! What happens when the wall clock is set; spreading a storm; forecasts.

use std::sync::Arc;

use scheduler_core::calendar::{
    Calendar, CalendarInterval, Cron, Date, Dialect, Dst, ParsedRule, Part, Rule, Unit, Zone,
};
use scheduler_core::{
    Engine, Forecast, Nanos, Recurrence, Repeat, SECOND_NS, State, Taken, TaskId, WallStep,
};

const S: Nanos = SECOND_NS;

fn on_wall(engine: &mut Engine, wall: Nanos) -> TaskId {
    let slot = engine.reserve().expect("room");
    engine.arm_on_wall(slot, wall, 128).expect("an id")
}

fn set(engine: &mut Engine, offset: i64) {
    engine.set_wall_offset(offset);
    while !engine.rekey(3) {}
}

/// The ids of the tasks that are due, in order, each of them ended.
fn run(engine: &mut Engine, now: Nanos) -> Vec<TaskId> {
    let mut ids = Vec::new();
    while !engine.advance(now, 64) {}
    while let Some(taken) = engine.take() {
        let Taken::Run(slot) = taken else { continue };
        ids.extend(engine.id_of(slot));
        if engine.complete(slot, now, false).is_some_and(|done| done.history_index.is_some()) {
            engine.release(slot);
        }
        while !engine.advance(now, 64) {}
    }
    ids
}

#[test]
fn tasks_on_the_wall_follow_it_and_others_do_not_notice() {
    let mut engine = Engine::new(100 * S, 99);
    let wall = on_wall(&mut engine, 200 * S);
    let delay = engine.schedule(200 * S, 128, None).expect("an id");
    set(&mut engine, 50 * S as i64);
    assert_eq!(engine.next_deadline(), 150 * S);
    assert_eq!(engine.view(wall).map(|view| view.nominal), Some(200 * S));
    assert_eq!(engine.view(delay).map(|view| view.nominal), Some(250 * S));
    assert_eq!(run(&mut engine, 150 * S - 1), []);
    assert_eq!(run(&mut engine, 150 * S), [wall]);
    assert_eq!(engine.ended(wall).map(|(_, ended)| ended.started), Some(Some(200 * S)));
    assert_eq!(run(&mut engine, 200 * S), [delay]);
    assert_eq!((engine.counters().clock_changes, engine.counters().rekeyed), (1, 1));
}

#[test]
fn a_jump_forward_makes_due_and_a_jump_back_takes_it_back() {
    let mut engine = Engine::new(100 * S, 99);
    let early = on_wall(&mut engine, 150 * S);
    let late = on_wall(&mut engine, 300 * S);
    set(&mut engine, 100 * S as i64);
    while !engine.advance(100 * S, 64) {}
    assert_eq!(engine.view(early).map(|view| view.state), Some(State::Ready));
    set(&mut engine, 0);
    assert_eq!(engine.view(early).map(|view| view.state), Some(State::Pending));
    assert_eq!(engine.view(early).map(|view| view.nominal), Some(150 * S));
    assert_eq!(run(&mut engine, 149 * S), []);
    set(&mut engine, 60 * S as i64);
    assert_eq!(run(&mut engine, 149 * S), [early]);
    assert_eq!(engine.lateness().maximum(), 59 * S);
    set(&mut engine, -200 * S as i64);
    assert_eq!(run(&mut engine, 500 * S - 1), []);
    assert_eq!(run(&mut engine, 500 * S), [late]);
}

#[test]
fn what_a_jump_makes_due_keeps_its_order() {
    let mut engine = Engine::new(100 * S, 99);
    let [third, first, second] = [103, 101, 102].map(|k| on_wall(&mut engine, k * S));
    set(&mut engine, 50 * S as i64);
    assert_eq!(run(&mut engine, 100 * S), [first, second, third]);
    assert_eq!(engine.lateness().maximum(), 49 * S);
    assert_eq!(engine.counters().rekeyed, 3);
    set(&mut engine, 50 * S as i64);
    assert_eq!(engine.counters().rekeyed, 3);
}

#[test]
fn what_a_jump_passes_during_a_run_has_overlapped_it() {
    let mut engine = Engine::new(100 * S, 99);
    let every = Arc::new(Recurrence {
        repeat: Repeat::FixedRate(S),
        on_wall: true,
        ..Recurrence::default()
    });
    let id = engine.schedule(100 * S, 128, Some(&every)).expect("an id");
    while !engine.advance(100 * S, 64) {}
    let Some(Taken::Run(slot)) = engine.take() else { panic!("it is due") };
    set(&mut engine, 10 * S as i64);
    // 101 to 109 are skipped; 110 falls due as the run ends.
    assert_eq!(engine.complete(slot, 100 * S, false).map(|done| done.skipped), Some(9));
    assert_eq!(engine.view(id).map(|view| view.nominal), Some(110 * S));
}

#[test]
fn a_run_by_hand_does_not_wait_for_the_wall() {
    let mut engine = Engine::new(100 * S, 99);
    let id = on_wall(&mut engine, 200 * S);
    assert!(engine.run_now(id));
    set(&mut engine, -50 * S as i64);
    while !engine.advance(100 * S, 64) {}
    let Some(Taken::Run(slot)) = engine.take() else { panic!("it is due") };
    engine.complete(slot, 100 * S, false);
    assert_eq!(engine.next_deadline(), 250 * S);
}

#[test]
fn a_run_under_way_keeps_its_nominal_time_when_its_task_changes_clocks() {
    let mut engine = Engine::new(100 * S, 9);
    set(&mut engine, 1_000 * S as i64);
    let delay = engine.schedule(100 * S, 128, None).expect("an id");
    let moment = on_wall(&mut engine, 1_100 * S);
    while !engine.advance(100 * S, 64) {}
    let slots = [engine.take(), engine.take()];
    assert!(engine.reschedule(delay, 1_200 * S, true));
    assert!(engine.reschedule(moment, 1_200 * S, false));
    for id in [delay, moment] {
        assert_eq!(engine.view(id).map(|view| view.nominal), Some(1_100 * S));
    }
    for slot in slots {
        let Some(Taken::Run(slot)) = slot else { panic!("they are due") };
        engine.complete(slot, 100 * S, false);
    }
    set(&mut engine, 1_050 * S as i64);
    assert_eq!(engine.next_deadline(), 150 * S);
    assert_eq!(run(&mut engine, 199 * S), [delay]);
    assert_eq!(run(&mut engine, 200 * S), [moment]);
}

#[test]
fn a_sweep_may_be_interrupted_by_anything() {
    let mut engine = Engine::new(1_000 * S, 99);
    let ids: Vec<TaskId> = (0..100).map(|k| on_wall(&mut engine, (2_000 + k) * S)).collect();
    engine.set_wall_offset(500 * S as i64);
    assert!(!engine.rekey(10));
    // Every moment shown stays the same while deadlines are being moved.
    for (k, id) in ids.iter().enumerate() {
        let view = engine.view(*id).expect("alive");
        assert_eq!(view.nominal, (2_000 + k as u64) * S);
    }
    // Slots are reused, tasks are paused, given new times, and the clock is set once more.
    for id in &ids[40..50] {
        engine.cancel(*id);
        engine.release(id.slot());
    }
    let new = on_wall(&mut engine, 2_500 * S);
    assert!(engine.pause(ids[60]));
    assert!(engine.reschedule(ids[70], 2_600 * S, true));
    assert!(engine.reschedule(ids[71], 2_600 * S, false));
    set(&mut engine, -300 * S as i64);
    assert!(engine.resume(ids[60]));
    let expected = |id: TaskId, wall: u64| {
        assert_eq!(engine.view(id).map(|view| view.nominal), Some(wall * S), "{id:?}");
    };
    expected(ids[0], 2_000);
    expected(ids[99], 2_099);
    expected(ids[60], 2_060);
    expected(new, 2_500);
    expected(ids[70], 2_600);
    // 2,600 on a clock that was 500 ahead is 2,100 on the axis, which the wall now shows as 1,800.
    expected(ids[71], 1_800);
    assert_eq!(run(&mut engine, 2_300 * S), [ids[71], ids[0]]);
    assert_eq!(run(&mut engine, 2_800 * S).last(), Some(&new));
    assert_eq!(run(&mut engine, 2_900 * S), [ids[70]]);
}

#[test]
fn occurrences_inside_a_jump_are_late_work() {
    let mut engine = Engine::new(1_000 * S, 99);
    let rule = Arc::new(Recurrence {
        repeat: Repeat::FixedRate(10 * S),
        on_wall: true,
        ..Recurrence::default()
    });
    let id = engine.schedule(1_010 * S, 128, Some(&rule)).expect("an id");
    assert_eq!(run(&mut engine, 1_010 * S), [id]);
    assert_eq!(engine.set_wall_offset(3_600 * S as i64), WallStep::Forward);
    while !engine.rekey(3) {}
    assert_eq!(run(&mut engine, 1_011 * S), [id]);
    let view = engine.view(id).expect("alive");
    assert_eq!((view.nominal, view.missed_by_run), (4_620 * S, 359));
}

const HOUR: Nanos = 3_600 * S;
const DAY: Nanos = 24 * HOUR;
/// Monday, 5 January 2026, 00:00 UTC.
const MONDAY: Nanos = 1_767_571_200 * S;

fn cron(expression: &str) -> Part {
    let parsed = Cron::parse(expression, Dialect::Vixie).expect("an expression");
    let ParsedRule::Cron(cron) = parsed.rule else { panic!("no @every") };
    Part { rule: Rule::Cron(cron), zone: Zone::utc(), dst: Dst::Debian }
}

fn by_calendar(parts: Vec<Part>) -> Recurrence {
    let calendar = Calendar::new(parts, None).expect("it fires");
    let repeat = Repeat::Calendar(Arc::new(calendar));
    Recurrence { repeat, on_wall: true, ..Recurrence::default() }
}

/// The nominal time of a task, in nanoseconds after Monday's midnight.
fn next(engine: &Engine, id: TaskId) -> Nanos {
    engine.view(id).expect("alive").nominal - MONDAY
}

/// An engine at a time of Monday, and tasks of these rules that go on from there.
fn at(time: Nanos, rules: &[Recurrence]) -> (Engine, Vec<TaskId>) {
    let mut engine = Engine::new(MONDAY + time, 99);
    let ids = rules
        .iter()
        .map(|rule| {
            let Repeat::Calendar(calendar) = &rule.repeat else { panic!("a calendar") };
            let first = calendar.next_after(MONDAY + time).expect("it fires");
            engine.schedule(first, 128, Some(&Arc::new(rule.clone()))).expect("an id")
        })
        .collect();
    (engine, ids)
}

#[test]
fn a_small_step_back_repeats_no_fixed_time_and_lets_the_others_go_on() {
    let minute = S * 60;
    let grid = Rule::Grid { anchor: MONDAY, interval: 20 * minute };
    let daily =
        CalendarInterval::new(1, Unit::Days, Date::new(2026, 1, 1).expect("a date"), 32_400);
    let moments = Rule::Moments(vec![MONDAY + 11 * HOUR, MONDAY + 15 * HOUR]);
    let part = |rule| Part { rule, zone: Zone::utc(), dst: Dst::Debian };
    let rules = [
        by_calendar(vec![cron("30 10 * * *")]),
        by_calendar(vec![cron("0 * * * *")]),
        by_calendar(vec![cron("*/15 12 * * *")]),
        by_calendar(vec![part(grid)]),
        by_calendar(vec![part(Rule::Every(daily.expect("an interval")))]),
        by_calendar(vec![part(moments)]),
        by_calendar(vec![cron("30 10 * * *"), cron("0 * * * *")]),
    ];
    let (mut engine, ids) = at(12 * HOUR + 10 * minute, &rules);
    let before: Vec<Nanos> = ids.iter().map(|id| next(&engine, *id)).collect();
    assert_eq!(
        before[..4],
        [
            DAY + 10 * HOUR + 30 * minute,
            13 * HOUR,
            12 * HOUR + 15 * minute,
            12 * HOUR + 20 * minute
        ]
    );
    // To 10:10, as when a clock that was two hours ahead is corrected.
    assert_eq!(engine.set_wall_offset(-(2 * HOUR as i64)), WallStep::Back);
    while !engine.rekey(3) {}
    let after: Vec<Nanos> = ids.iter().map(|id| next(&engine, *id)).collect();
    // The second goes on at 11:00; the third fires in one hour of the day only.
    assert_eq!(after[..4], [before[0], 11 * HOUR, 12 * HOUR, 10 * HOUR + 20 * minute]);
    // A day's interval, a row of moments, and a union with something fixed in it wait.
    assert_eq!(after[4..], before[4..]);
    assert_eq!(engine.counters().rearmed, 3);
}

#[test]
fn tasks_that_share_a_grid_go_on_sharing_it_when_the_wall_is_set_back() {
    let grid = Rule::Grid { anchor: MONDAY + 12 * HOUR, interval: HOUR };
    let part = Part { rule: grid, zone: Zone::utc(), dst: Dst::Debian };
    let rule = Arc::new(by_calendar(vec![part]));
    let mut engine = Engine::new(MONDAY + 12 * HOUR, 99);
    let mut schedule = |hour: Nanos| engine.schedule(MONDAY + hour * HOUR, 128, Some(&rule));
    let ids = [13, 14, 15].map(|hour| schedule(hour).expect("an id"));
    assert_eq!(Arc::strong_count(&rule), 4);
    engine.set_wall_offset(-(5 * HOUR as i64));
    while !engine.rekey(1) {}
    // The grid begins before the new time, for all, and the recurrence before is not theirs.
    assert_eq!(ids.map(|id| next(&engine, id)), [8 * HOUR; 3]);
    assert_eq!(Arc::strong_count(&rule), 1);
    // What belongs to one of them is its own.
    let daily = by_calendar(vec![cron("0 0 * * *")]).repeat;
    let shared = engine.replace_calendar(ids[0], &daily).expect("it has one");
    assert_eq!(Arc::strong_count(&shared), 3);
    assert_eq!(run(&mut engine, MONDAY + 15 * HOUR).len(), 3);
    assert_eq!(ids.map(|id| next(&engine, id)), [DAY, 11 * HOUR, 11 * HOUR]);
}

#[test]
fn a_large_step_back_arms_all_from_the_new_time() {
    let rules = [
        by_calendar(vec![cron("30 10 * * *")]),
        by_calendar(vec![cron("0 * * * *")]),
        by_calendar(vec![cron("30 10 * * *"), cron("0 12 * * *")]),
    ];
    for (by, expected) in [
        (3 * HOUR - 1, [DAY + 10 * HOUR + HOUR / 2, 10 * HOUR, DAY + 10 * HOUR + HOUR / 2]),
        (3 * HOUR, [10 * HOUR + HOUR / 2, 10 * HOUR, 10 * HOUR + HOUR / 2]),
    ] {
        let (mut engine, ids) = at(12 * HOUR + HOUR / 4, &rules);
        engine.set_wall_offset(-(by as i64));
        while !engine.rekey(3) {}
        assert_eq!([0, 1, 2].map(|k| next(&engine, ids[k])), expected, "{by}");
    }
    // A year ahead, and put right.
    let (mut engine, ids) = at(365 * DAY, &rules);
    assert_eq!(engine.set_wall_offset(-(365 * DAY as i64)), WallStep::FarBack);
    while !engine.rekey(3) {}
    assert_eq!(next(&engine, ids[1]), HOUR);
    let ran = run(&mut engine, MONDAY + 365 * DAY + 13 * HOUR);
    assert_eq!(ran.len(), 3, "each once, late");
}

#[test]
fn no_step_back_brings_a_task_before_its_start_nor_moves_a_time_that_was_asked_for() {
    let late =
        Arc::new(Recurrence { start: MONDAY + 14 * HOUR, ..by_calendar(vec![cron("0 * * * *")]) });
    let (mut engine, ids) = at(12 * HOUR, &[Recurrence::clone(&late), Recurrence::clone(&late)]);
    let id = engine.schedule(MONDAY + 14 * HOUR, 128, Some(&late)).expect("an id");
    let once = on_wall(&mut engine, MONDAY + 20 * HOUR);
    assert!(engine.reschedule(ids[1], MONDAY + 15 * HOUR + 1, true));
    for offset in [-(2 * HOUR as i64), -(9 * HOUR as i64), -(30 * DAY as i64)] {
        engine.set_wall_offset(offset);
        while !engine.rekey(3) {}
        assert_eq!(next(&engine, id), 14 * HOUR);
        assert_eq!(next(&engine, once), 20 * HOUR);
        assert_eq!(next(&engine, ids[1]), 15 * HOUR + 1);
    }
}

/// A row of moments is replaced by the one that begins at the new time, before that is followed.
#[test]
fn a_large_step_back_goes_on_with_the_moments_known_by_then() {
    let row = |from: Nanos| {
        let moments = (0..5).map(|k| MONDAY + from + k * HOUR).collect();
        by_calendar(vec![Part {
            rule: Rule::Moments(moments),
            zone: Zone::utc(),
            dst: Dst::Debian,
        }])
    };
    let (mut engine, ids) = at(365 * DAY, &[row(365 * DAY + HOUR)]);
    assert!(engine.replace_calendar(ids[0], &row(HOUR).repeat).is_some());
    engine.set_wall_offset(-(365 * DAY as i64));
    while !engine.rekey(3) {}
    assert_eq!(next(&engine, ids[0]), HOUR);
}

#[test]
fn small_corrections_repeat_nothing() {
    let rules = [by_calendar(vec![cron("0 * * * *")]), by_calendar(vec![cron("* * * * * *")])];
    let (mut engine, ids) = at(12 * HOUR - S, &rules);
    let mut now = MONDAY + 12 * HOUR;
    let mut ran = run(&mut engine, now);
    let mut offset = 0;
    // Ten times back by half a second, just after both have run.
    for _ in 0..10 {
        now += S / 10;
        engine.tell(now);
        offset -= S as i64 / 2;
        engine.set_wall_offset(offset);
        while !engine.rekey(3) {}
        ran.extend(run(&mut engine, now));
    }
    assert_eq!(ran.iter().filter(|id| **id == ids[0]).count(), 1);
    assert!(ran.iter().filter(|id| **id == ids[1]).count() <= 2);
    assert_eq!(next(&engine, ids[0]), 13 * HOUR);
}

#[test]
fn a_step_back_during_a_run_or_a_pause_counts_as_well() {
    let hourly = by_calendar(vec![cron("0 * * * *")]);
    for (by, first) in [(2 * HOUR, 12 * HOUR), (7 * HOUR, 7 * HOUR)] {
        let (mut engine, ids) = at(12 * HOUR, &[hourly.clone(), hourly.clone(), hourly.clone()]);
        assert!(engine.pause(ids[1]));
        assert!(engine.run_now(ids[2]));
        let now = MONDAY + 13 * HOUR;
        while !engine.advance(now, 64) {}
        let mut slots = Vec::new();
        while let Some(Taken::Run(slot)) = engine.take() {
            slots.push(slot);
        }
        assert_eq!(slots.len(), 2);
        engine.set_wall_offset(-(by as i64));
        while !engine.rekey(3) {}
        // The run lasts for two hours more, and skips what falls due meanwhile.
        for slot in slots {
            engine.complete(slot, now + 2 * HOUR + S, false);
        }
        assert_eq!(next(&engine, ids[0]), first + 2 * HOUR);
        assert_eq!(engine.view(ids[0]).map(|view| view.skipped), Some(2));
        assert_eq!(next(&engine, ids[2]), first + 2 * HOUR);
        assert!(engine.resume(ids[1]));
        assert_eq!(next(&engine, ids[1]), first);
    }
}

#[test]
fn a_storm_is_spread_in_order_and_what_is_on_time_is_not_held_up() {
    let mut engine = Engine::new(0, 999);
    let overdue: Vec<TaskId> = (0..100)
        .map(|k| engine.schedule(S + k, if k % 2 == 0 { 200 } else { 10 }, None).expect("an id"))
        .collect();
    let on_time = engine.schedule(50 * S, 255, None).expect("an id");
    while !engine.advance(40 * S, 64) {}
    let mut pace = engine.pace(100 * S);
    while !engine.defer(&mut pace, 7) {}
    assert_eq!(engine.counters().deferred, 100);
    let mut ran = Vec::new();
    for second in 0..100 {
        let now = run(&mut engine, (40 + second) * S);
        assert_eq!(now.len(), if second == 10 { 2 } else { 1 }, "second {second}");
        ran.extend(now);
    }
    assert_eq!(ran.remove(11), on_time);
    let of = |parity: usize| overdue.iter().skip(parity).step_by(2).copied();
    assert_eq!(ran, of(1).chain(of(0)).collect::<Vec<_>>());
    assert_eq!(engine.lateness().maximum(), 138 * S - 98, "nominal times have stayed");
}

#[test]
fn a_storm_is_spread_to_its_end_while_time_goes_on() {
    let mut engine = Engine::new(0, 9);
    for k in 0..1_000 {
        assert!(engine.schedule(S + k, if k % 2 == 0 { 0 } else { 255 }, None).is_ok());
    }
    while !engine.advance(40 * S, 64) {}
    let mut pace = engine.pace(100 * S);
    let mut now = 40 * S;
    // What was delayed first is due again before the last has been delayed, and comes first.
    while !engine.defer(&mut pace, 128) {
        now += S / 2;
        while !engine.advance(now, 64) {}
    }
    assert_eq!(engine.counters().deferred, 1_000);
    assert_eq!(engine.ready(), 10 * (now - 40 * S) / S + 1);
}

#[test]
fn a_forecast_is_what_happens() {
    let mut engine = Engine::new(1_000 * S, 9);
    let every = |interval, end, max_runs, jitter, window| Recurrence {
        repeat: Repeat::FixedRate(interval),
        end,
        max_runs,
        jitter,
        window,
        ..Recurrence::default()
    };
    let never = Nanos::MAX - 1;
    let rules = [
        every(7 * S, never, u64::MAX, 0, 0),
        every(S / 3, never, u64::MAX, 0, 0),
        every(S / 10, 1_020 * S, u64::MAX, 0, 0),
        every(S / 10, never, 77, 0, 0),
        every(5 * S, 1_030 * S, u64::MAX, 0, 3 * S),
        every(5 * S, never, 4, 4 * S, 0),
    ];
    for (k, rule) in rules.iter().enumerate() {
        for copy in 0..3 {
            let first = 1_000 * S + (k + copy) as u64 * S / 4;
            assert!(engine.schedule(first, 128, Some(&Arc::new(rule.clone()))).is_ok());
        }
    }
    assert!(engine.schedule(1_003 * S + 1, 128, None).is_ok());
    let paused = engine.schedule(1_004 * S, 128, None).expect("an id");
    engine.pause(paused);

    let mut forecast = Forecast::new(1_000 * S, 60);
    let mut from = 0;
    while forecast.note(&engine, from, 4) {
        from += 4;
    }
    forecast.count();

    let mut seen = vec![0; 60];
    loop {
        let next = engine.next_deadline();
        if next >= 1_060 * S {
            break;
        }
        seen[((next - 1_000 * S) / S) as usize] += run(&mut engine, next).len() as u32;
    }
    assert_eq!(forecast.seconds(), seen);
}
