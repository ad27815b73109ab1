//! Following the wall clock, and what is to come.

use pyo3::prelude::*;
use scheduler_core::{Clock as _, Nanos, WallStep};

use crate::engine::{Engine, SLICE};
use crate::forecast::Forecast;

/// A forecast looks for signals after noting so many slices of slots, or counting so many runs.
const FORECAST_SLICES: usize = 256;
const FORECAST_STEPS: u32 = 50_000;

#[pymethods]
impl Engine {
    /// What `follow_wall` would follow now: the step, and by how much the wall was set back.
    fn next_wall_step(&self) -> PyResult<(&'static str, u64)> {
        let (from, to) =
            (self.gate()?.look(|board| board.core.wall_offset()), self.clock.get().offset());
        let by = if to < from { from.abs_diff(to) } else { 0 };
        Ok((WallStep::between(from, to).word(), by))
    }

    /// Gives tasks on the wall clock deadlines by what the clock's wall shows now. Returns what
    /// step that follows, how many tasks got another deadline, and of how many the next time was
    /// computed anew.
    fn follow_wall(&self, py: Python<'_>) -> PyResult<(&'static str, u64, u64)> {
        let (gate, clock) = (self.gate()?, self.clock.get());
        let count =
            || gate.look(|board| (board.core.counters().rekeyed, board.core.counters().rearmed));
        let (rekeyed, rearmed) = count();
        let mut followed = WallStep::Forward;
        // Another thread may have begun a sweep: that is ended first, or setting the offset would
        // end it in one lock hold. The offset is read under the lock: the last thread to set it has
        // read the latest.
        let mut set = || {
            gate.with(|board| {
                let settled = board.core.rekey(SLICE as u32);
                if settled {
                    board.core.tell(clock.now());
                    followed = board.core.set_wall_offset(clock.offset());
                }
                settled
            })
        };
        let step = || gate.with(|board| board.core.rekey(SLICE as u32));
        py.detach(|| {
            while !set() {}
            while !step() {}
        });
        let now = count();
        Ok((followed.word(), now.0 - rekeyed, now.1 - rearmed))
    }

    /// Makes whoever sleeps until a moment look at the clock again.
    fn clock_moved(&self) -> PyResult<()> {
        self.gate()?.clock_moved();
        Ok(())
    }

    /// Spreads what is overdue now over a span, in order; how many tasks that were.
    fn spread(&self, py: Python<'_>, span_ns: Nanos) -> PyResult<u64> {
        let gate = self.gate()?;
        (0..self.executors()).for_each(|executor| self.advance(py, gate, executor));
        let (mut pace, before) =
            gate.look(|board| (board.core.pace(span_ns), board.core.counters().deferred));
        let mut step = || gate.with(|board| board.core.defer(&mut pace, SLICE as u32));
        py.detach(|| while !step() {});
        Ok(gate.look(|board| board.core.counters().deferred) - before)
    }

    /// Counts the runs to come in each of so many seconds from a moment of the wall clock on. Signal
    /// handlers run in between.
    fn forecast(&self, py: Python<'_>, start_ns: Nanos, seconds: usize) -> PyResult<Forecast> {
        let gate = self.gate()?;
        // Runs under way are taken to end now.
        py.detach(|| gate.edit(|board| board.core.tell(self.clock.get().now())));
        let mut forecast = scheduler_core::Forecast::new(start_ns, seconds);
        let mut from = 0;
        let mut note = |forecast: &mut scheduler_core::Forecast| {
            let more = gate.look(|board| forecast.note(&board.core, from, SLICE as u32));
            from += SLICE as u32;
            more
        };
        while py.detach(|| (0..FORECAST_SLICES).all(|_| note(&mut forecast))) {
            py.check_signals()?;
        }
        while py.detach(|| forecast.count_some(FORECAST_STEPS)) {
            py.check_signals()?;
        }
        Ok(Forecast(forecast))
    }
}
