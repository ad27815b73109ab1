//! What many tasks call that are scheduled together: the same for all, or each its own.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::call::{Joined, join};
use crate::errors::Error;

/// The arguments of a bulk call. A list has one item for each task.
pub(crate) struct Many<'a, 'py> {
    pub(crate) name: &'a Bound<'py, PyAny>,
    pub(crate) callback: &'a Bound<'py, PyAny>,
    /// A tuple, or a list of tuples.
    pub(crate) arguments: &'a Bound<'py, PyAny>,
    /// A dict, or a list of dicts.
    pub(crate) kwargs: Option<&'a Bound<'py, PyAny>>,
    /// An object, or a list of objects.
    pub(crate) options: Option<&'a Bound<'py, PyAny>>,
    pub(crate) is_special: bool,
    /// The number of the executor that runs them; None for that of their kind.
    pub(crate) executor: Option<u8>,
    /// An int, or bytes.
    pub(crate) priorities: &'a Bound<'py, PyAny>,
}

/// What one of them has.
pub(crate) struct One<'py> {
    pub(crate) joined: Joined<'py>,
    pub(crate) options: Option<Bound<'py, PyAny>>,
}

impl<'py> Many<'_, 'py> {
    /// Checks that lists have so many items. Answers the priorities that are each task's own.
    pub(crate) fn check_lengths(&self, count: usize) -> Result<Option<&[u8]>, Error> {
        let check = |argument: &'static str, found: Option<usize>| match found {
            Some(found) if found != count => {
                Err(Error::Length { argument, expected: count, found })
            }
            _ => Ok(()),
        };
        let length = |value: &Bound<'py, PyAny>| value.cast::<PyList>().ok().map(|list| list.len());
        check("args", length(self.arguments))?;
        check("kwargs", self.kwargs.and_then(length))?;
        check("tags", self.options.and_then(length))?;
        let listed = self.priorities.cast::<PyBytes>().ok().map(|bytes| bytes.as_bytes());
        check("priorities", listed.map(<[u8]>::len))?;
        Ok(listed)
    }

    /// What one of them has. O(arguments).
    pub(crate) fn of(
        &self,
        index: usize,
        context: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<One<'py>> {
        let item = |value: &Bound<'py, PyAny>| match value.cast::<PyList>() {
            Ok(list) => list.get_item(index),
            Err(_) => Ok(value.clone()),
        };
        let kwargs = self.kwargs.map(item).transpose()?;
        let kwargs = kwargs.as_ref().map(|kwargs| kwargs.cast::<PyDict>()).transpose()?;
        let joined = join(&item(self.arguments)?, kwargs, context)?;
        Ok(One { joined, options: self.options.map(item).transpose()? })
    }
}
