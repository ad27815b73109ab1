//! What a task calls, for Python.

use pyo3::PyTraverseError;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyString, PyTuple, PyType};

use crate::columns::Called;
use crate::errors::show;

/// What a task calls, at the moment of asking.
#[pyclass(frozen, get_all, module = "num_agents.scheduler._native")]
pub(crate) struct Call {
    /// The name of the task.
    pub(crate) name: Py<PyString>,
    /// What is called.
    pub(crate) callback: Py<PyAny>,
    /// The positional arguments.
    pub(crate) arguments: Py<PyTuple>,
    /// The keyword arguments; None if there are none.
    pub(crate) kwargs: Option<Py<PyDict>>,
    /// The options of the task, if it has any: the Python layer's.
    pub(crate) options: Option<Py<PyAny>>,
}

#[pymethods]
impl Call {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.name)?;
        visit.call(&self.callback)?;
        visit.call(&self.arguments)?;
        visit.call(&self.kwargs)?;
        visit.call(&self.options)
    }
}

impl Call {
    pub(crate) fn new(py: Python<'_>, called: Called) -> PyResult<Self> {
        let Called { name, callback, names, options, arguments } = called;
        let Parts { positional, kwargs, .. } = split(py, arguments, names)?;
        Ok(Self {
            name,
            callback,
            arguments: positional.unbind(),
            kwargs: kwargs.map(Bound::unbind),
            options,
        })
    }
}

/// What a task's tuple of arguments consists of.
pub(crate) struct Parts<'py> {
    pub(crate) positional: Bound<'py, PyTuple>,
    pub(crate) kwargs: Option<Bound<'py, PyDict>>,
    pub(crate) context: Option<Py<PyAny>>,
}

/// The parts of a tuple that [`join`] has made. O(arguments).
pub(crate) fn split(
    py: Python<'_>,
    arguments: Option<Py<PyTuple>>,
    names: Option<Py<PyTuple>>,
) -> PyResult<Parts<'_>> {
    let all = arguments.map_or_else(|| PyTuple::empty(py), |arguments| arguments.into_bound(py));
    let Some(names) = names else {
        return Ok(Parts { positional: all, kwargs: None, context: None });
    };
    let names = names.bind(py);
    let (kwargs, mut context) = (PyDict::new(py), None);
    let positional = all.len() - names.len();
    for (name, value) in names.iter().zip(all.iter().skip(positional)) {
        if name.is_none() {
            context = Some(value.unbind());
        } else {
            kwargs.set_item(name, value)?;
        }
    }
    let kwargs = (!kwargs.is_empty()).then_some(kwargs);
    Ok(Parts { positional: all.get_slice(0, positional), kwargs, context })
}

/// The arguments of a task.
pub(crate) struct Joined<'py> {
    /// The positional ones, after them the values of the keyword arguments, and then the context.
    pub(crate) arguments: Option<Py<PyTuple>>,
    /// The names of the keyword arguments, and None for the context.
    pub(crate) names: Option<Bound<'py, PyTuple>>,
}

/// Positional arguments, keyword arguments and a context in one tuple. O(arguments).
#[inline]
pub(crate) fn join<'py>(
    positional: &Bound<'py, PyAny>,
    kwargs: Option<&Bound<'py, PyDict>>,
    context: Option<&Bound<'py, PyAny>>,
) -> PyResult<Joined<'py>> {
    let py = positional.py();
    let positional = match positional.cast_exact::<PyTuple>() {
        Ok(tuple) => tuple.clone(),
        Err(_) => PyTuple::new(py, positional.try_iter()?.collect::<PyResult<Vec<_>>>()?)?,
    };
    let kwargs = kwargs.filter(|kwargs| !kwargs.is_empty());
    if kwargs.is_none() && context.is_none() {
        let arguments = (!positional.is_empty()).then(|| kept(positional));
        return Ok(Joined { arguments, names: None });
    }
    let mut names = Vec::with_capacity(kwargs.map_or(0, |kwargs| kwargs.len()) + 1);
    let mut all: Vec<_> = positional.iter().collect();
    // Nothing of Python's is made meanwhile, so nothing can change the dict.
    for (name, value) in kwargs.into_iter().flat_map(|kwargs| kwargs.iter()) {
        names.push(name);
        all.push(value);
    }
    // The dict of each run is made without Python code, which a subclass of str may have.
    for name in names.iter_mut().filter(|name| !name.is_exact_instance_of::<PyString>()) {
        if name.is_instance_of::<PyString>() {
            *name = exact(name)?;
        }
    }
    if let Some(other) = names.iter().find(|name| !name.is_instance_of::<PyString>()) {
        let message = format!("kwargs must have strings as keys, got {}", show(other));
        return Err(PyTypeError::new_err(message));
    }
    if let Some(context) = context {
        names.push(py.None().into_bound(py));
        all.push(context.clone());
    }
    let (all, names) = (PyTuple::new(py, all)?, PyTuple::new(py, names)?);
    Ok(Joined { arguments: Some(kept(all)), names: Some(names) })
}

/// A string of Python's own type with the same text.
#[cold]
fn exact<'py>(text: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the argument is an object; what is answered is a new reference, or null with an error.
    unsafe {
        let found = pyo3::ffi::PyUnicode_FromObject(text.as_ptr());
        Bound::from_owned_ptr_or_err(text.py(), found)
    }
}

/// A tuple that is kept as long as its task. One that refers to nothing a reference cycle may lead
/// through is no longer tracked by the garbage collector, which would do the same when it first
/// comes to it: at a million tasks, that takes it 50 ms.
#[inline]
fn kept(items: Bound<'_, PyTuple>) -> Py<PyTuple> {
    if is_atomic(&items) {
        // SAFETY: it is a tuple, which cannot be changed. Untracking it a second time does nothing.
        unsafe { pyo3::ffi::PyObject_GC_UnTrack(items.as_ptr().cast()) };
    }
    items.unbind()
}

/// A callback with its arguments, in one tuple to be called. O(arguments).
#[inline]
pub(crate) fn step<'py>(
    py: Python<'py>,
    callback: Py<PyAny>,
    arguments: Option<Py<PyTuple>>,
    names: Option<Py<PyTuple>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let callback = callback.into_bound(py);
    let Some(arguments) = arguments else { return PyTuple::new(py, [callback]) };
    if names.is_some() {
        let Parts { positional, kwargs, .. } = split(py, Some(arguments), names)?;
        let call = PyTuple::new(
            py,
            std::iter::once(callback).chain(positional.iter()).collect::<Vec<_>>(),
        )?;
        return PyTuple::new(py, [partial(py)?.call(call, kwargs.as_ref())?]);
    }
    let arguments = arguments.into_bound(py);
    match arguments.len() {
        1 => PyTuple::new(py, [callback, arguments.get_item(0)?]),
        2 => PyTuple::new(py, [callback, arguments.get_item(0)?, arguments.get_item(1)?]),
        many => {
            let mut step = Vec::with_capacity(many + 1);
            step.push(callback);
            step.extend(arguments.iter());
            PyTuple::new(py, step)
        }
    }
}

/// Whether all items are of built-in types that refer to no other object.
#[inline]
pub(crate) fn is_atomic(items: &Bound<'_, PyTuple>) -> bool {
    items.iter_borrowed().all(|item| {
        item.is_none()
            || item.is_exact_instance_of::<PyInt>()
            || item.is_exact_instance_of::<PyString>()
            || item.is_exact_instance_of::<PyFloat>()
            || item.is_exact_instance_of::<PyBool>()
            || item.is_exact_instance_of::<PyBytes>()
    })
}

/// `functools.partial`, which the interpreter calls without a frame of this crate.
fn partial(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static PARTIAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    PARTIAL.import(py, intern!(py, "functools").to_str()?, "partial")
}
