//! Many task ids in eight bytes each, printed when looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PySlice, PyString};
use scheduler_core::TaskId;

use crate::convert::id_text;
use crate::errors::Error;
use crate::ids::IdCodec;

/// An immutable sequence of task ids.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct TaskIds {
    pub(crate) ids: Vec<TaskId>,
    pub(crate) codec: Arc<IdCodec>,
}

impl TaskIds {
    fn place_of(&self, task_id: &Bound<'_, PyAny>) -> Option<usize> {
        let id = self.codec.parse(id_text(task_id).ok()?)?;
        self.ids.iter().position(|own| *own == id)
    }
}

#[pymethods]
impl TaskIds {
    fn __len__(&self) -> usize {
        self.ids.len()
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        index: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = index.cast::<PySlice>() {
            let range = slice.indices(self.ids.len() as isize)?;
            let places =
                (0..range.slicelength).map(|step| range.start + step as isize * range.step);
            let ids = places.map(|place| self.ids[place as usize]).collect();
            return Ok(Bound::new(py, Self { ids, codec: self.codec.clone() })?.into_any());
        }
        let index: isize = index.extract().map_err(|error: PyErr| {
            // An index beyond all lists is out of range, like any other.
            if error.is_instance_of::<PyOverflowError>(py) { Error::Index.into() } else { error }
        })?;
        let place = if index < 0 { index + self.ids.len() as isize } else { index };
        let id = usize::try_from(place).ok().and_then(|place| self.ids.get(place));
        match id {
            Some(id) => Ok(self.codec.text(py, *id).into_any()),
            None => Err(Error::Index.into()),
        }
    }

    fn __iter__(this: Bound<'_, Self>) -> TaskIdsIterator {
        let last = this.get().ids.len();
        TaskIdsIterator { ids: this.unbind(), next: AtomicUsize::new(0), last, reversed: false }
    }

    fn __reversed__(this: Bound<'_, Self>) -> TaskIdsIterator {
        let last = this.get().ids.len();
        TaskIdsIterator { ids: this.unbind(), next: AtomicUsize::new(0), last, reversed: true }
    }

    #[pyo3(signature = (value, start = 0, stop = None, /))]
    fn index(
        &self,
        value: &Bound<'_, PyAny>,
        start: isize,
        stop: Option<isize>,
    ) -> PyResult<usize> {
        let from_end =
            |bound: isize| if bound < 0 { bound + self.ids.len() as isize } else { bound };
        let place = self.place_of(value).filter(|place| {
            let place = *place as isize;
            place >= from_end(start) && stop.is_none_or(|stop| place < from_end(stop))
        });
        Ok(place.ok_or(Error::Absent)?)
    }

    #[pyo3(signature = (value, /))]
    fn count(&self, value: &Bound<'_, PyAny>) -> usize {
        usize::from(self.place_of(value).is_some())
    }

    fn __contains__(&self, task_id: &Bound<'_, PyAny>) -> bool {
        self.place_of(task_id).is_some()
    }

    fn __repr__(&self) -> String {
        format!("<TaskIds: {}>", self.ids.len())
    }
}

/// Goes through a sequence of task ids.
#[pyclass(frozen, module = "num_agents.scheduler._native")]
pub(crate) struct TaskIdsIterator {
    ids: Py<TaskIds>,
    next: AtomicUsize,
    last: usize,
    reversed: bool,
}

#[pymethods]
impl TaskIdsIterator {
    fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        let step = self.next.fetch_add(1, Ordering::Relaxed);
        if step >= self.last {
            return None;
        }
        let place = if self.reversed { self.last - 1 - step } else { step };
        let ids = self.ids.get();
        Some(ids.codec.text(py, ids.ids[place]))
    }
}
