//! The sweep over all lists, which lets no entry grow old: its theory is in `crate::stamps`.

use super::Engine;
use super::timeline::Timeline;
use crate::ready::LANES;
use crate::wheel::LISTS;

/// Where a sweep has got to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sweep {
    /// There is none.
    #[default]
    Idle,
    /// In a bucket of the wheel, by its number from the top level down; the flag says that the
    /// bucket has been begun.
    Wheel(u32, bool),
    /// Before a run of the front.
    Front(u32),
    /// In a lane of the ready queue.
    Ready(u32, bool),
}

impl Engine {
    /// Goes on with the sweep, or begins one when it is time. At most two chunks, or one run of the
    /// front, and a look at each list that is empty.
    #[cold]
    pub(super) fn sweep_piece(&mut self) {
        if self.slab.stamps.is_sweep_due() {
            // Not finished only if the load has grown a million times since it began.
            while self.sweep != Sweep::Idle {
                self.sweep_step();
            }
            self.slab.stamps.begin_sweep();
            (self.sweep, self.swept_executor) = (Sweep::Wheel(0, false), 0);
        } else {
            self.sweep_step();
        }
        let pieces = match self.sweep {
            Sweep::Idle => 0,
            _ => {
                let lists =
                    |timeline: &Timeline| u64::from(LISTS) + LANES as u64 + timeline.front.runs();
                self.timelines.iter().map(lists).sum::<u64>() + self.pool.capacity()
            }
        };
        self.slab.stamps.schedule_piece(pieces);
    }

    fn sweep_step(&mut self) {
        let Self { pool, slab, .. } = self;
        while let Some(Timeline { wheel, front, ready }) =
            self.timelines.get_mut(self.swept_executor)
        {
            match self.sweep {
                Sweep::Idle => return,
                Sweep::Wheel(LISTS, _) => self.sweep = Sweep::Front(0),
                Sweep::Wheel(number, begun) => {
                    let worked = !wheel.is_bucket_empty(number);
                    let done = wheel.sweep(number, !begun, pool, slab);
                    self.sweep = if done {
                        Sweep::Wheel(number + 1, false)
                    } else {
                        Sweep::Wheel(number, true)
                    };
                    if worked {
                        return;
                    }
                }
                Sweep::Front(number) => {
                    if front.sweep(number, slab) {
                        self.sweep = Sweep::Front(number + 1);
                        return;
                    }
                    self.sweep = Sweep::Ready(0, false);
                }
                Sweep::Ready(lane, begun) if (lane as usize) < LANES => {
                    let worked = !ready.is_lane_empty(lane);
                    let done = ready.sweep(lane, !begun, pool, slab);
                    self.sweep =
                        if done { Sweep::Ready(lane + 1, false) } else { Sweep::Ready(lane, true) };
                    if worked {
                        return;
                    }
                }
                Sweep::Ready(..) => {
                    self.swept_executor += 1;
                    self.sweep = Sweep::Wheel(0, false);
                }
            }
        }
        self.sweep = Sweep::Idle;
    }
}
