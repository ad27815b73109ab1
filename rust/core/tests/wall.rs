//! The wall clock is set, a storm is spread, and what is to come is foretold.

use scheduler_core::{
    Engine, Forecast, Nanos, Recurrence, Repeat, SECOND_NS, State, Taken, TaskId,
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
    let every = Recurrence { repeat: Repeat::FixedRate(S), on_wall: true, ..Recurrence::default() };
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
fn occurrences_inside_a_jump_are_late_work_and_a_jump_back_repeats_nothing() {
    let mut engine = Engine::new(1_000 * S, 99);
    let rule =
        Recurrence { repeat: Repeat::FixedRate(10 * S), on_wall: true, ..Recurrence::default() };
    let id = engine.schedule(1_010 * S, 128, Some(&rule)).expect("an id");
    assert_eq!(run(&mut engine, 1_010 * S), [id]);
    set(&mut engine, 3_600 * S as i64);
    assert_eq!(run(&mut engine, 1_011 * S), [id]);
    let view = engine.view(id).expect("alive");
    assert_eq!((view.nominal, view.missed_by_run), (4_620 * S, 359));
    set(&mut engine, 0);
    assert_eq!(run(&mut engine, 4_620 * S - 1), []);
    assert_eq!(run(&mut engine, 4_620 * S), [id]);
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
        engine.schedule(S + k, if k % 2 == 0 { 0 } else { 255 }, None);
    }
    while !engine.advance(40 * S, 64) {}
    let mut pace = engine.pace(100 * S);
    let mut now = 40 * S;
    // What was put off first is due again before the last has been put off, and comes first.
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
            engine.schedule(1_000 * S + (k + copy) as u64 * S / 4, 128, Some(rule));
        }
    }
    engine.schedule(1_003 * S + 1, 128, None);
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
