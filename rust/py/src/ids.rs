//! Task ids as users see them: UUIDs of version 8 (RFC 9562, section 5.8).
//!
//! 58 bits name the scheduler instance, 64 the generation and slot. Parsing is a comparison of the
//! constant part and sixteen hexadecimal digits, so ids of other processes and other text are
//! recognised without a table.

use pyo3::prelude::*;
use pyo3::types::PyString;
use scheduler_core::TaskId;

const HEX: &[u8; 16] = b"0123456789abcdef";
const LENGTH: usize = 36;

/// The places of the 32 hexadecimal digits in the printed form.
const DIGITS: [usize; 32] = {
    let mut places = [0; 32];
    let (mut place, mut digit) = (0, 0);
    while place < LENGTH {
        if !matches!(place, 8 | 13 | 18 | 23) {
            places[digit] = place;
            digit += 1;
        }
        place += 1;
    }
    places
};

/// The first printed digit that differs between tasks of one scheduler.
const FIRST_OWN_DIGIT: usize = 15;

const VERSION: u128 = 8 << 76;
const VARIANT: u128 = 0b10 << 62;

/// The bits of a task below the variant.
const OWN_LOW: u64 = (1 << 62) - 1;

/// Prints and reads the ids of one scheduler.
pub(crate) struct IdCodec {
    /// The id of slot 0, generation 0.
    blank: [u8; LENGTH],
    /// The bits of its last 17 digits: instance and variant around room for the task.
    around: u128,
}

impl IdCodec {
    /// The codec of the scheduler with this random number, of which 58 bits are used.
    pub(crate) fn new(instance: u64) -> Self {
        let instance = u128::from(instance & ((1 << 58) - 1));
        let bits = instance >> 10 << 80 | VERSION | (instance & 0x3ff) << 66 | VARIANT;
        let mut blank = [b'-'; LENGTH];
        for (digit, place) in DIGITS.iter().enumerate() {
            blank[*place] = HEX[(bits >> (124 - 4 * digit)) as usize & 0xf];
        }
        Self { blank, around: bits & ((1 << 68) - 1) }
    }

    /// The printed id.
    #[inline]
    pub(crate) fn print(&self, id: TaskId) -> [u8; LENGTH] {
        let mut printed = self.blank;
        let bits = self.around | Self::spread(id);
        let (first, mut rest) = ((bits >> 64) as usize, bits as u64);
        printed[DIGITS[FIRST_OWN_DIGIT]] = HEX[first & 0xf];
        for place in DIGITS[FIRST_OWN_DIGIT + 1..].iter().rev() {
            printed[*place] = HEX[rest as usize & 0xf];
            rest >>= 4;
        }
        printed
    }

    /// The printed id as a string of Python's.
    #[inline]
    pub(crate) fn text<'py>(&self, py: Python<'py>, id: TaskId) -> Bound<'py, PyString> {
        // Hexadecimal digits and dashes are UTF-8.
        PyString::new(py, str::from_utf8(&self.print(id)).unwrap_or_default())
    }

    /// The task that a printed id names, if it is one of this scheduler's.
    #[inline]
    pub(crate) fn parse(&self, text: &[u8]) -> Option<TaskId> {
        let text: &[u8; LENGTH] = text.try_into().ok()?;
        let own = DIGITS[FIRST_OWN_DIGIT];
        if text[..own] != self.blank[..own] || text[18] != b'-' || text[23] != b'-' {
            return None;
        }
        let first = Self::value(text[own])?;
        let mut rest = 0_u64;
        for place in &DIGITS[FIRST_OWN_DIGIT + 1..] {
            rest = rest << 4 | u64::from(Self::value(text[*place])?);
        }
        let id = TaskId::from_bits(rest & OWN_LOW | u64::from(first & 0b11) << 62);
        // The bits around the task's must be ours, too.
        let bits = u128::from(first) << 64 | u128::from(rest);
        (bits == self.around | Self::spread(id)).then_some(id)
    }

    /// Generation and slot, with room for the variant in between.
    #[inline]
    const fn spread(id: TaskId) -> u128 {
        (id.to_bits() & OWN_LOW) as u128 | ((id.to_bits() >> 62) as u128) << 64
    }

    #[inline]
    const fn value(digit: u8) -> Option<u8> {
        match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        }
    }
}
