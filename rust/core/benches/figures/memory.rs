//! Bytes a timer takes, and bytes kept when all are cancelled.
//!
//! Measured in a process of its own for each contender, or what one has left behind would be reused
//! by the next.

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Contender;
use crate::contest::Timers;
use crate::contest::rounds::{Load, Random};
use crate::report::{Report, Row};

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

/// What the extension module allocates with.
#[cfg(target_os = "linux")]
const INNER: crate::allocator::Allocator = crate::allocator::Allocator;
#[cfg(not(target_os = "linux"))]
const INNER: std::alloc::System = std::alloc::System;

/// The allocator of the extension module, counting what is in use.
pub struct Counting;

// SAFETY: every call goes to the inner allocator unchanged; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those of the inner call.
        unsafe { INNER.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those of the inner call.
        unsafe { INNER.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those of the inner call.
        unsafe { INNER.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATED.fetch_add(size, Ordering::Relaxed);
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are those of the inner call.
        unsafe { INNER.realloc(place, layout, size) }
    }
}

/// Bytes in use, allocated and resident.
#[derive(Clone, Copy, Default)]
struct Use {
    allocated: f64,
    /// 0 where the system does not tell.
    resident: f64,
}

impl Use {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident_kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .map_or(0.0, |number| number.trim().parse().unwrap());
        Self {
            allocated: ALLOCATED.load(Ordering::Relaxed) as f64,
            resident: resident_kib * 1024.0,
        }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            allocated: self.allocated - earlier.allocated,
            resident: self.resident - earlier.resident,
        }
    }
}

/// What a structure takes when full, and after all its timers have been cancelled.
#[derive(Default)]
pub struct Memory {
    full: Use,
    emptied: Use,
}

/// Fills and empties a structure; the caller's keys do not count.
pub fn measure<T: Timers>(timers: usize) -> Memory {
    let load = Load::spread(timers);
    let mut keys = Vec::with_capacity(timers);
    // Touches the pages of the keys, so that they are resident before it starts.
    keys.extend((0..timers).map(|_| None));
    black_box(&mut keys);
    let mut order: Vec<_> = (0..timers as u32).collect();
    Random::new().shuffle(&mut order);
    drop(T::new());

    let before = Use::now();
    let mut structure = T::new();
    for (value, deadline) in load.0.iter().enumerate() {
        keys[value] = Some(structure.insert(*deadline, value as u32));
    }
    let full = Use::now().since(before);
    for index in order.iter().copied() {
        structure.cancel(keys[index as usize].take().unwrap());
    }
    structure.free_unused();
    let emptied = Use::now().since(before);
    drop(black_box((structure, keys, order, load)));
    Memory { full, emptied }
}

/// Measures what the parent process asks for; returns whether there is one that asks.
pub fn answer_as_child(contenders: &[Contender]) -> bool {
    let Ok(question) = std::env::var("BENCH_MEMORY_OF") else { return false };
    let (name, timers) = question.split_once(':').unwrap();
    let contender = contenders.iter().find(|contender| contender.name == name).unwrap();
    let Memory { full, emptied } = (contender.memory)(timers.parse().unwrap());
    println!("{} {} {} {}", full.allocated, full.resident, emptied.allocated, emptied.resident);
    true
}

fn ask_child(name: &str, timers: usize) -> Memory {
    let output = Command::new(std::env::current_exe().unwrap())
        .env("BENCH_MEMORY_OF", format!("{name}:{timers}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<f64> =
        answer.split_whitespace().map(|number| number.parse().unwrap()).collect();
    Memory {
        full: Use { allocated: numbers[0], resident: numbers[1] },
        emptied: Use { allocated: numbers[2], resident: numbers[3] },
    }
}

/// Measures and prints.
pub fn tell(contenders: &[Contender], timers: usize, report: &mut Report) {
    let names: Vec<_> = contenders.iter().map(|contender| contender.name).collect();
    report.head(&format!("{timers} timers: memory"), &names);
    let found: Vec<_> = names.iter().map(|name| ask_child(name, timers)).collect();
    let mut row = |what: &str, goal: Option<f64>, figure: &dyn Fn(&Memory) -> f64| {
        let figures = found.iter().map(|memory| Some(figure(memory))).collect();
        report.row("memory", timers, &names, &Row { what, goal, figures });
    };
    let each = timers as f64;
    const MIB: f64 = 1024.0 * 1024.0;
    // Segments are of 2 MiB: with fewer timers than this the last ones weigh.
    let most = Some(56.0).filter(|_| timers >= 1_000_000);
    row("bytes a timer", most, &|memory| memory.full.allocated / each);
    row("bytes a timer, resident", None, &|memory| memory.full.resident / each);
    // What "given back" means: a few segments that stay for the next load, whatever the last was.
    row("MiB when all are cancelled", Some(8.0), &|memory| memory.emptied.allocated / MIB);
    row("MiB when all are cancelled, resident", None, &|memory| memory.emptied.resident / MIB);
}
