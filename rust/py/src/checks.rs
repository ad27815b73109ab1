//! Whether a name and a callback can be those of a task.
//!
//! The Python layer checks them, and has the messages. What was checked is not checked again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::PyTraverseError;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};

use crate::calls::Identity;

/// How many callbacks are known to be good.
const KNOWN: usize = 64;

/// The addresses of callbacks that were checked, and that a task keeps: so no other object can have
/// come there since. The lowest bit says whether it is a coroutine function.
pub(crate) struct Known([AtomicUsize; KNOWN]);

/// `inspect.CO_COROUTINE` and `CO_ASYNC_GENERATOR`.
const ASYNCHRONOUS: u32 = 0x80 | 0x200;

/// Checks names and callbacks.
pub(crate) struct Checks {
    /// Raises the error that says what is wrong; answers whether the callback is a coroutine function.
    check_call: Py<PyAny>,
    copy_context: Py<PyAny>,
    function: Py<PyType>,
    method: Py<PyType>,
    known: Arc<Known>,
}

/// A name and a callback that can be those of a task.
pub(crate) struct Checked<'a, 'py> {
    pub(crate) name: &'a Bound<'py, PyString>,
    /// What identifies the callback.
    pub(crate) identity: Identity,
    /// Whether the callback is a coroutine function.
    pub(crate) is_coroutine: bool,
}

impl Known {
    #[inline]
    fn place(&self, address: usize) -> &AtomicUsize {
        &self.0[(address >> 4) % KNOWN]
    }

    #[inline]
    fn find(&self, address: usize) -> Option<bool> {
        let found = self.place(address).load(Ordering::Relaxed);
        (found & !1 == address).then_some(found & 1 == 1)
    }

    /// Notes that a task with this callback, which was checked, has been scheduled.
    #[inline]
    pub(crate) fn note(&self, address: usize, is_coroutine: bool) {
        // Objects lie at even addresses.
        self.place(address).store(address | usize::from(is_coroutine), Ordering::Relaxed);
    }

    /// Notes that a callback may go.
    #[inline]
    pub(crate) fn forget(&self, address: usize) {
        if self.find(address).is_some() {
            self.place(address).store(0, Ordering::Relaxed);
        }
    }
}

impl Checks {
    pub(crate) fn new(py: Python<'_>, check_call: Py<PyAny>) -> PyResult<Self> {
        let types = py.import("types")?;
        let kind = |name: &str| -> PyResult<Py<PyType>> {
            Ok(types.getattr(name)?.cast_into::<PyType>()?.unbind())
        };
        Ok(Self {
            check_call,
            copy_context: py.import("contextvars")?.getattr("copy_context")?.unbind(),
            function: kind("FunctionType")?,
            method: kind("MethodType")?,
            known: Arc::new(Known(std::array::from_fn(|_| AtomicUsize::new(0)))),
        })
    }

    /// Checks a name and a callback. O(1).
    #[inline]
    pub(crate) fn check<'a, 'py>(
        &self,
        name: &'a Bound<'py, PyAny>,
        callback: &Bound<'py, PyAny>,
    ) -> PyResult<Checked<'a, 'py>> {
        let identity = self.identity(callback)?;
        if let Ok(name) = name.cast_exact::<PyString>() {
            if let Some(is_coroutine) = self.known.find(identity.0) {
                return Ok(Checked { name, identity, is_coroutine });
            }
            if self.is_plain_function(callback) {
                return Ok(Checked { name, identity, is_coroutine: false });
            }
        }
        let is_coroutine = self.check_call.bind(name.py()).call1((name, callback))?.extract()?;
        let name = name.cast::<PyString>();
        let name = name.map_err(|_| PyTypeError::new_err("name must be a string"))?;
        Ok(Checked { name, identity, is_coroutine })
    }

    /// The context of the caller; None if it is empty.
    pub(crate) fn context<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let context = self.copy_context.bind(py).call0()?;
        Ok((context.len()? > 0).then_some(context))
    }

    /// The callbacks that need not be checked again.
    pub(crate) fn known(&self) -> Arc<Known> {
        self.known.clone()
    }

    /// Its address. Of a bound method, which is another object each time that it is asked for, those
    /// of the function and of the object.
    #[inline]
    fn identity(&self, callback: &Bound<'_, PyAny>) -> PyResult<Identity> {
        let py = callback.py();
        if !callback.get_type().is(&self.method) {
            return Ok((callback.as_ptr().addr(), 0));
        }
        let function = callback.getattr(intern!(py, "__func__"))?;
        let object = callback.getattr(intern!(py, "__self__"))?;
        Ok((function.as_ptr().addr(), object.as_ptr().addr()))
    }

    /// Whether it is a function of Python's that nobody has to await.
    fn is_plain_function(&self, callback: &Bound<'_, PyAny>) -> bool {
        let py = callback.py();
        let flags = || callback.getattr(intern!(py, "__code__"))?.getattr(intern!(py, "co_flags"));
        let is_marked = || callback.hasattr(intern!(py, "_is_coroutine_marker")).unwrap_or(true);
        callback.get_type().is(&self.function)
            && !is_marked()
            && flags().is_ok_and(|flags: Bound<'_, PyAny>| {
                flags.extract::<u32>().is_ok_and(|flags| flags & ASYNCHRONOUS == 0)
            })
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.check_call)?;
        visit.call(&self.copy_context)?;
        visit.call(&self.function)?;
        visit.call(&self.method)
    }
}
