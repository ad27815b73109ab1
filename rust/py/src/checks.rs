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
/// come there since.
pub(crate) struct Known([AtomicUsize; KNOWN]);

/// `inspect.CO_COROUTINE` and `CO_ASYNC_GENERATOR`.
const ASYNCHRONOUS: u32 = 0x80 | 0x200;

/// Checks names and callbacks.
pub(crate) struct Checks {
    /// Raises the error that says what is wrong.
    check_call: Py<PyAny>,
    function: Py<PyType>,
    method: Py<PyType>,
    known: Arc<Known>,
}

impl Known {
    #[inline]
    fn place(&self, address: usize) -> &AtomicUsize {
        &self.0[(address >> 4) % KNOWN]
    }

    #[inline]
    fn has(&self, address: usize) -> bool {
        self.place(address).load(Ordering::Relaxed) == address
    }

    /// Notes that a task with this callback, which was checked, has been scheduled.
    #[inline]
    pub(crate) fn note(&self, address: usize) {
        self.place(address).store(address, Ordering::Relaxed);
    }

    /// Notes that a callback may go.
    #[inline]
    pub(crate) fn forget(&self, address: usize) {
        if self.has(address) {
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
            function: kind("FunctionType")?,
            method: kind("MethodType")?,
            known: Arc::new(Known(std::array::from_fn(|_| AtomicUsize::new(0)))),
        })
    }

    /// Checks a name and a callback. Answers the name, and what identifies the callback. O(1).
    #[inline]
    pub(crate) fn check<'a, 'py>(
        &self,
        name: &'a Bound<'py, PyAny>,
        callback: &Bound<'py, PyAny>,
    ) -> PyResult<(&'a Bound<'py, PyString>, Identity)> {
        let identity = self.identity(callback)?;
        if let Ok(name) = name.cast_exact::<PyString>()
            && (self.known.has(identity.0) || self.is_plain_function(callback))
        {
            return Ok((name, identity));
        }
        self.check_call.bind(name.py()).call1((name, callback))?;
        let name = name.cast::<PyString>();
        Ok((name.map_err(|_| PyTypeError::new_err("name must be a string"))?, identity))
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
        callback.get_type().is(&self.function)
            && flags().is_ok_and(|flags: Bound<'_, PyAny>| {
                flags.extract::<u32>().is_ok_and(|flags| flags & ASYNCHRONOUS == 0)
            })
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.check_call)?;
        visit.call(&self.function)?;
        visit.call(&self.method)
    }
}
