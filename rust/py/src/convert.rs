//! From Python's arguments to the core's numbers.

use pyo3::buffer::PyBuffer;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};

use crate::errors::Error;

const SECONDS: &str = "a number of seconds (int or float) or a timedelta";
const PRIORITY: &str = "an integer from 0 (first) to 255 (last)";
const TASK_ID: &str = "a task id (str)";

/// A number of seconds: an int or a float, not a bool. Its value is checked later.
#[inline]
pub(crate) fn seconds(value: &Bound<'_, PyAny>, argument: &'static str) -> Result<f64, Error> {
    if let Ok(float) = value.cast::<PyFloat>() {
        return Ok(float.value());
    }
    if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
        // An int beyond the range of a float is beyond every calendar.
        return Ok(value.extract().unwrap_or(f64::MAX));
    }
    Err(Error::wrong_type(argument, SECONDS, value))
}

/// A priority: an int from 0 to 255, or what converts to one by `__index__`; not a bool.
#[inline]
pub(crate) fn priority(value: &Bound<'_, PyAny>) -> Result<u8, Error> {
    let is_integer = value.is_instance_of::<PyInt>() || is_index(value);
    if !is_integer || value.is_instance_of::<PyBool>() {
        return Err(Error::wrong_type("priority", PRIORITY, value));
    }
    value.extract().map_err(|_| Error::out_of_range("priority", PRIORITY, value))
}

/// Whether a value that is no int converts to one without loss, as NumPy's integers do.
#[cold]
fn is_index(value: &Bound<'_, PyAny>) -> bool {
    value.call_method0(intern!(value.py(), "__index__")).is_ok()
}

/// The text of a task id.
#[inline]
pub(crate) fn id_text<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    let text =
        value.cast::<PyString>().map_err(|_| Error::wrong_type("task_id", TASK_ID, value))?;
    // A text that is not Unicode is nobody's id.
    Ok(text.to_str().map_or(&[], str::as_bytes))
}

/// Numbers from a buffer of them. An empty one is not looked into: some have no address.
pub(crate) fn numbers<T: pyo3::buffer::Element + Default>(
    value: &Bound<'_, PyAny>,
    argument: &'static str,
    expected: &'static str,
) -> PyResult<Vec<T>> {
    if value.len().is_ok_and(|length| length == 0) {
        return Ok(Vec::new());
    }
    let buffer =
        PyBuffer::<T>::get(value).map_err(|_| Error::wrong_type(argument, expected, value))?;
    let mut numbers = Vec::new();
    numbers.try_reserve_exact(buffer.item_count()).map_err(Error::from)?;
    numbers.resize(buffer.item_count(), T::default());
    buffer.copy_to_slice(value.py(), &mut numbers)?;
    Ok(numbers)
}
