//! What tasks call: one record for all tasks with the same name, callback, names of keyword
//! arguments and options.
//!
//! A record is found again by a small table of those used last, so a loop that schedules the same
//! callback with equal names, or with bound methods of one object, makes one record. It is freed
//! with its last task.
//!
//! All of this lies behind the core's lock. Nothing here makes, drops or compares an object of
//! Python's in a way that could run Python code.

use std::sync::Arc;

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use scheduler_core::{Item, NIL, Released, ScheduleError, Segments};

use crate::checks::Known;

/// How many records are found again.
const RECENT: usize = 64;

/// What identifies a callback: its address; of a bound method, those of function and object.
pub(crate) type Identity = (usize, usize);

/// What a task to come calls, checked. The name's text is compared if the objects differ.
pub(crate) struct NewCall<'a, 'py> {
    pub(crate) name: &'a Bound<'py, PyString>,
    pub(crate) text: Option<&'a str>,
    pub(crate) callback: &'a Bound<'py, PyAny>,
    pub(crate) identity: Identity,
    pub(crate) names: Option<&'a Bound<'py, PyTuple>>,
    pub(crate) options: Option<&'a Bound<'py, PyAny>>,
    pub(crate) is_special: bool,
    /// Whether the callback is a coroutine function.
    pub(crate) is_coroutine: bool,
    /// The number of the executor that runs it.
    pub(crate) executor: u8,
}

/// What tasks call.
pub(crate) struct CallRecord {
    pub(crate) name: Py<PyString>,
    pub(crate) callback: Py<PyAny>,
    /// The names of the keyword arguments, whose values are the last of a task's arguments; a name
    /// that is None is that of the context.
    pub(crate) names: Option<Py<PyTuple>>,
    /// The options of the tasks, if they have any: the Python layer's.
    pub(crate) options: Option<Py<PyAny>>,
    /// Whether the Python layer runs it: it needs more than a call with arguments.
    pub(crate) is_special: bool,
    /// Whether the callback is a coroutine function.
    pub(crate) is_coroutine: bool,
    /// The tuple of the callback alone, once it was needed.
    pub(crate) alone: Option<Py<PyTuple>>,
    /// Whether the last run took long.
    pub(crate) is_long: bool,
    /// Whether the name is known by its text: not if its type is a subclass of str.
    has_text: bool,
    identity: Identity,
    tasks: u32,
}

/// The records, by number.
pub(crate) struct Calls {
    places: Segments<Place, 10>,
    /// Those used last, by what they call.
    recent: [u32; RECENT],
    /// Callbacks that need not be checked again.
    known: Arc<Known>,
}

pub(crate) struct Place {
    record: Option<CallRecord>,
    link: u32,
}

impl Item for Place {
    fn fresh(_mark: u32) -> Self {
        Self { record: None, link: NIL }
    }

    fn link(&self) -> u32 {
        self.link
    }

    fn set_link(&mut self, link: u32) {
        self.link = link;
    }
}

impl CallRecord {
    fn new(new: &NewCall<'_, '_>) -> Self {
        Self {
            name: new.name.clone().unbind(),
            callback: new.callback.clone().unbind(),
            names: new.names.map(|names| names.clone().unbind()),
            options: new.options.map(|options| options.clone().unbind()),
            is_special: new.is_special,
            is_coroutine: new.is_coroutine,
            alone: None,
            is_long: false,
            has_text: new.text.is_some(),
            identity: new.identity,
            tasks: 0,
        }
    }

    #[inline]
    fn is(&self, py: Python<'_>, new: &NewCall<'_, '_>) -> bool {
        self.identity == new.identity
            && self.options.as_ref().map(Py::as_ptr) == new.options.map(Bound::as_ptr)
            && self.is_special == new.is_special
            && (self.name.is(new.name) || self.has_text(py, new.text))
            && are_same(py, self.names.as_ref(), new.names)
    }

    /// Whether this is the text of the name, which Python keeps since it was asked for.
    fn has_text(&self, py: Python<'_>, text: Option<&str>) -> bool {
        self.has_text
            && text.is_some_and(|text| self.name.bind(py).to_str().is_ok_and(|own| own == text))
    }
}

/// Whether two tuples hold the same objects.
fn are_same(py: Python<'_>, one: Option<&Py<PyTuple>>, other: Option<&Bound<'_, PyTuple>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            let (one, other) = (one.bind(py), other);
            one.is(other)
                || one.len() == other.len()
                    && one
                        .iter_borrowed()
                        .zip(other.iter_borrowed())
                        .all(|(one, other)| one.is(&*other))
        }
        _ => false,
    }
}

impl Calls {
    pub(crate) const fn new(known: Arc<Known>) -> Self {
        Self { places: Segments::new(), recent: [NIL; RECENT], known }
    }

    /// The number of the record for one more task. O(1).
    ///
    /// # Errors
    /// There is no memory for another record.
    #[inline]
    pub(crate) fn add_task(
        &mut self,
        py: Python<'_>,
        new: &NewCall<'_, '_>,
    ) -> Result<u32, ScheduleError> {
        let options = new.options.map_or(0, |options| options.as_ptr().addr());
        let text = new.text.unwrap_or_default().as_bytes();
        let name = text.len() << 4 ^ usize::from(text.last().copied().unwrap_or_default()) << 5;
        let hash =
            name ^ (new.identity.0 ^ new.identity.1.rotate_left(7) ^ options.rotate_left(13)) >> 4;
        let recent = (hash ^ hash >> 8) % RECENT;
        let found = self.recent[recent];
        let number = match self.get(found) {
            Some(record) if record.is(py, new) => found,
            _ => {
                let number = self.places.allocate()?;
                self.places[number].record = Some(CallRecord::new(new));
                self.recent[recent] = number;
                number
            }
        };
        if let Some(record) = &mut self.places[number].record {
            record.tasks += 1;
        }
        self.known.note(new.identity.0, new.is_coroutine);
        Ok(number)
    }

    /// Notes that one task fewer has this record. Answers the record if that was the last. O(1).
    #[inline]
    pub(crate) fn remove_task(&mut self, number: u32) -> Option<Box<CallRecord>> {
        self.get(number)?;
        let place = &mut self.places[number];
        let record = place.record.as_mut()?;
        record.tasks -= 1;
        if record.tasks > 0 {
            return None;
        }
        self.known.forget(record.identity.0);
        let record = place.record.take().map(Box::new);
        self.places.free(number);
        record
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&CallRecord> {
        self.places.get(number)?.record.as_ref()
    }

    /// Notes whether a run took long.
    pub(crate) fn note_length(&mut self, number: u32, is_long: bool) {
        if self.get(number).is_some()
            && let Some(record) = &mut self.places[number].record
        {
            record.is_long = is_long;
        }
    }

    /// Keeps the tuple of a callback alone. Answers it if there was no place for it.
    pub(crate) fn keep_alone(&mut self, number: u32, alone: Py<PyTuple>) -> Option<Py<PyTuple>> {
        self.get(number)?;
        self.places[number].record.as_mut().and_then(|record| record.alone.replace(alone))
    }

    /// Memory held, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.places.bytes()
    }

    /// Memory to be freed without the lock; no record is in it.
    pub(crate) fn take_retired(&mut self) -> Released<Place> {
        self.places.take_retired()
    }

    pub(crate) const fn has_retired(&self) -> bool {
        self.places.has_retired()
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for number in 0..self.places.limit() as u32 {
            if let Some(record) = self.get(number) {
                if !record.has_text {
                    // Its type may have attributes. A plain string refers to nothing.
                    visit.call(&record.name)?;
                }
                visit.call(&record.callback)?;
                visit.call(&record.names)?;
                visit.call(&record.options)?;
                visit.call(&record.alone)?;
            }
        }
        Ok(())
    }
}
