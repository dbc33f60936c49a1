//! The product's front door, as the lab uses it: the unix socket of a host.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::client::http::HttpTransport;
use crate::client::{Account, CallError, Session};
use crate::xenapi::Value;

/// Logs in at a host's socket and does something there.
pub fn at<T>(
    socket: &Path,
    work: impl FnOnce(&Session<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let transport = HttpTransport::unix(socket)?;
    // The socket trusts whoever may open it.
    let session = Session::login(&transport, Account::Pool, "root", "")?;
    let outcome = work(&session);
    session.logout();
    outcome
}

/// Calls without a session of the pool, at a host that may not belong to one yet.
pub fn locally(socket: &Path, method: &str, params: &[Value]) -> Result<Value, CallError> {
    let transport = HttpTransport::unix(socket)?;
    let session = Session::login(&transport, Account::Local, "root", "")?;
    session.call(method, params)
}

/// Like [`at`], but gives up after a time: a host in trouble may not answer at all.
pub fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _given_up = sender.send(work());
    });
    receiver.recv_timeout(limit).context("no answer in time")?
}

/// Tries again and again until it works.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut work: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        let why = match work() {
            Ok(Some(done)) => return Ok(done),
            Ok(None) => "not yet".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if began.elapsed() > limit {
            bail!("{what}: not within {} s ({why})", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
