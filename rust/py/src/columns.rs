//! What belongs to a task outside the core, in a Python list: for each slot what the task calls,
//! and after it the positional arguments. The two lie side by side because they are used together:
//! at a million tasks each access is a cache miss, and this way it is one.
//!
//! A slot is filled before the core arms it, and emptied after the core has released it. Between
//! release and emptying the interpreter is held and runs no Python code, so no other thread can get
//! the slot.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::board::HistoryEntry;
use crate::call::Call;

/// Call and arguments of the task in each slot.
pub(crate) struct Columns {
    pub(crate) cells: Py<PyList>,
}

/// What a slot held.
pub(crate) struct Emptied {
    call: Py<PyAny>,
    #[expect(dead_code, reason = "held to be dropped")]
    arguments: Py<PyAny>,
}

impl Emptied {
    /// The call, if no task uses it any more.
    #[inline]
    pub(crate) fn unused_call(&self, py: Python<'_>) -> Option<&Py<PyAny>> {
        let call = self.call.bind(py).cast::<Call>().ok()?;
        call.get().remove_task().then_some(&self.call)
    }
}

/// Where a slot's call is in the list; the arguments follow.
#[inline]
const fn cell_of(slot: u32) -> usize {
    slot as usize * 2
}

impl Columns {
    pub(crate) fn new(py: Python<'_>) -> Self {
        Self { cells: PyList::empty(py).unbind() }
    }

    /// Puts a task into its slot. Amortised O(1).
    #[inline]
    pub(crate) fn fill(
        &self,
        py: Python<'_>,
        slot: u32,
        call: &Bound<'_, Call>,
        arguments: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let cells = self.cells.bind(py);
        let cell = cell_of(slot);
        while cells.len() < cell + 2 {
            cells.append(py.None())?;
        }
        cells.set_item(cell, call)?;
        cells.set_item(cell + 1, arguments)?;
        call.get().add_task();
        Ok(())
    }

    /// Empties a slot, and hands out what it held: dropping that may run anything, which must not
    /// find a slot that is free and not yet empty. O(1).
    #[inline]
    #[must_use = "to be dropped when all slots that are free are empty"]
    pub(crate) fn empty(&self, py: Python<'_>, slot: u32) -> Emptied {
        let cells = self.cells.bind(py);
        let emptied =
            Emptied { call: self.item(py, cell_of(slot)), arguments: self.arguments(py, slot) };
        for cell in [cell_of(slot), cell_of(slot) + 1] {
            // A slot that was filled has its cells.
            let _ = cells.set_item(cell, py.None());
        }
        emptied
    }

    /// Brings the cells of slots into the cache. O(1) each, and they overlap.
    #[inline]
    pub(crate) fn warm(&self, py: Python<'_>, slots: impl Iterator<Item = u32>) {
        for slot in slots {
            std::hint::black_box(self.item(py, cell_of(slot)).as_ptr().addr());
        }
    }

    /// What the task in a slot calls; None where there is no task. O(1).
    #[inline]
    pub(crate) fn call<'py>(&self, py: Python<'py>, slot: u32) -> Option<Bound<'py, Call>> {
        let call = self.cells.bind(py).get_item(cell_of(slot)).ok()?;
        call.cast_into::<Call>().ok()
    }

    /// The arguments of the task in a slot; None where there is none. O(1).
    pub(crate) fn arguments(&self, py: Python<'_>, slot: u32) -> Py<PyAny> {
        self.item(py, cell_of(slot) + 1)
    }

    /// What is to be kept of the task in a slot when it ends without a value; None where there is
    /// no task. O(1).
    #[inline]
    pub(crate) fn kept(&self, py: Python<'_>, slot: u32) -> Option<HistoryEntry> {
        Some(HistoryEntry::of(py, self.call(py, slot)?.get(), None))
    }

    /// Gives memory back when less than half of the slots can be in use.
    pub(crate) fn shrink(&self, py: Python<'_>, slot_limit: u64) -> PyResult<()> {
        let cells = self.cells.bind(py);
        let used = slot_limit as usize * 2;
        if cells.len() > 2 * used {
            cells.del_slice(used, cells.len())?;
        }
        Ok(())
    }

    /// Drops everything.
    pub(crate) fn clear(&self, py: Python<'_>) {
        // Only a list that is no list could refuse.
        let _ = self.cells.bind(py).call_method0(intern!(py, "clear"));
    }

    #[inline]
    fn item(&self, py: Python<'_>, cell: usize) -> Py<PyAny> {
        self.cells.bind(py).get_item(cell).map_or_else(|_| py.None(), Bound::unbind)
    }
}
