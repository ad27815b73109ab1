//! Bytes as a program of operations, run on two engines and the model of the randomized tests.
//!
//! ```text
//! cd rust/core && cargo +nightly fuzz run engine -- -max_total_time=60 -len_control=0
//! ```
//!
//! `tests/support/trial.rs` says what is compared. A crash prints the program in a form that can be
//! pasted into a test.

#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::{Corpus, fuzz_target};

#[path = "../../tests/support/mod.rs"]
mod support;

use support::operations::{Program, Words};
use support::trial;

/// A program: its scale first, then its operations for as long as there are bytes.
fn program(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Program> {
    let bits = bytes.int_in_range(0..=54)?;
    let span = 1 + (u64::arbitrary(bytes)? & ((1 << bits) - 1));
    let start = Program::begin(u64::arbitrary(bytes)?, span);
    let (without, cuts) = (u16::arbitrary(bytes)?, u64::arbitrary(bytes)?);
    let mut words: Vec<Words> = Vec::new();
    while !bytes.is_empty() {
        words.push(<_>::arbitrary(bytes)?);
    }
    Ok(Program { start, span, without, cuts, words })
}

/// Prints the program if what runs while this lives panics.
struct Witness<'a>(&'a Program);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:?}", self.0);
        }
    }
}

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(program) = program(&mut Unstructured::new(bytes)) else { return Corpus::Reject };
    let witness = Witness(&program);
    trial::run(witness.0);
    Corpus::Keep
});
