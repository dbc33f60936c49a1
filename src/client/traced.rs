//! A transport that keeps a line about every call, for `--debug` and `--debug-on-fail`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::{CallError, Transport};
use crate::xenapi::Value;

/// The lines, shared with whoever prints them.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    lines: Arc<Mutex<Vec<String>>>,
    live: bool,
}

impl Trace {
    /// A trace whose lines go to stderr at once, or only on demand.
    pub fn new(live: bool) -> Self {
        Self { live, ..Self::default() }
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, line: String) {
        if self.live {
            eprintln!("{line}");
        }
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// Another transport, watched. Parameters are not shown: passwords are among them.
pub struct Traced {
    inner: Box<dyn Transport>,
    trace: Trace,
}

impl Traced {
    /// Watches a transport.
    pub fn new(inner: Box<dyn Transport>, trace: Trace) -> Self {
        Self { inner, trace }
    }

    fn watched<T>(
        &self,
        what: &str,
        act: impl FnOnce() -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let begin = Instant::now();
        let done = act();
        let end = match &done {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        self.trace.add(format!("{what}: {end} ({:.1} ms)", begin.elapsed().as_secs_f64() * 1e3));
        done
    }
}

impl Transport for Traced {
    fn call(&self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        self.watched(method, || self.inner.call(method, params))
    }

    fn download(&self, path: &str) -> Result<Vec<u8>, CallError> {
        self.watched(path.split('?').next().unwrap_or(path), || self.inner.download(path))
    }

    fn upload(&self, path: &str, body: &[u8]) -> Result<(), CallError> {
        self.watched(path.split('?').next().unwrap_or(path), || self.inner.upload(path, body))
    }
}
