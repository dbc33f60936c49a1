//! The `exec` watchdog: a deadline held by a keeper process (lab and tests).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::keeper::{Ask, Held};
use super::{Watchdog, WatchdogError};
use crate::host::clock::boottime_ns;

const NAME: &str = "exec";

/// A connection to a keeper.
#[derive(Debug)]
pub struct ExecWatchdog {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
}

impl ExecWatchdog {
    /// Connects to a running keeper.
    pub fn connect(socket: &Path) -> Result<Self, WatchdogError> {
        let open = || -> std::io::Result<Self> {
            let writer = UnixStream::connect(socket)?;
            writer.set_read_timeout(Some(Duration::from_secs(2)))?;
            let reader = BufReader::new(writer.try_clone()?);
            Ok(ExecWatchdog { writer, reader })
        };
        open().map_err(|error| {
            WatchdogError::unusable(NAME, format!("keeper at {}: {error}", socket.display()))
        })
    }

    fn ask(&mut self, ask: Ask) -> Result<Option<u64>, WatchdogError> {
        let mut talk = || -> std::io::Result<Held> {
            let mut text = serde_json::to_string(&ask)?;
            text.push('\n');
            self.writer.write_all(text.as_bytes())?;
            let mut answer = String::new();
            self.reader.read_line(&mut answer)?;
            Ok(serde_json::from_str(&answer)?)
        };
        Ok(talk().map_err(|error| WatchdogError::unusable(NAME, error))?.deadline_ns)
    }
}

impl Watchdog for ExecWatchdog {
    fn arm(&mut self, remaining: Duration) -> Result<(), WatchdogError> {
        self.set_remaining(remaining)
    }

    fn set_remaining(&mut self, remaining: Duration) -> Result<(), WatchdogError> {
        let deadline = boottime_ns() + remaining.as_nanos() as u64;
        let held = self.ask(Ask::Set(deadline))?;
        if held.is_some_and(|held| held <= deadline) {
            return Ok(());
        }
        Err(WatchdogError::unusable(NAME, "the keeper holds another deadline"))
    }

    fn read_back(&mut self) -> Result<Duration, WatchdogError> {
        match self.ask(Ask::Read)? {
            Some(deadline) => Ok(Duration::from_nanos(deadline.saturating_sub(boottime_ns()))),
            None => Err(WatchdogError::unusable(NAME, "the keeper holds no deadline")),
        }
    }

    fn cut_to_minimum(&mut self) -> Result<Duration, WatchdogError> {
        self.ask(Ask::Cut)?;
        self.read_back()
    }

    fn disarm(&mut self) -> Result<(), WatchdogError> {
        self.ask(Ask::Disarm)?;
        Ok(())
    }

    fn step(&self) -> Duration {
        Duration::from_millis(10)
    }

    fn trusted(&self) -> bool {
        true
    }

    fn reset_now(&mut self) {
        let _dead = self.ask(Ask::Fire);
    }
}
