//! The `exec` watchdog: a deadline held by a keeper process (lab and tests).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::keeper::{Ask, Held};
use super::{Watchdog, WatchdogError};
use crate::host::clock::boottime_ns;
use crate::host::system_word::system_word;

const NAME: &str = "exec";

/// A connection to a keeper.
#[derive(Debug)]
pub struct ExecWatchdog {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
    /// The room for a question or an answer.
    line: Vec<u8>,
    /// The deadline that the keeper's last answer named, until it is read.
    answered: Option<u64>,
}

impl ExecWatchdog {
    /// Connects to a running keeper.
    pub fn connect(socket: &Path) -> Result<Self, WatchdogError> {
        let open = || -> std::io::Result<Self> { ExecWatchdog::over(UnixStream::connect(socket)?) };
        open().map_err(|error| {
            WatchdogError::unusable(
                NAME,
                format!("keeper at {}: {}", socket.display(), system_word(&error)),
            )
        })
    }

    fn over(writer: UnixStream) -> std::io::Result<Self> {
        writer.set_read_timeout(Some(Duration::from_secs(2)))?;
        let reader = BufReader::with_capacity(512, writer.try_clone()?);
        Ok(ExecWatchdog { writer, reader, line: Vec::with_capacity(128), answered: None })
    }

    fn talk(&mut self, ask: Ask) -> std::io::Result<Held> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, &ask)?;
        self.line.push(b'\n');
        self.writer.write_all(&self.line)?;
        self.line.clear();
        self.reader.read_until(b'\n', &mut self.line)?;
        Ok(serde_json::from_slice(&self.line)?)
    }

    fn ask(&mut self, ask: Ask) -> Result<Option<u64>, WatchdogError> {
        self.answered = None;
        Ok(self.talk(ask).map_err(|error| WatchdogError::unusable(NAME, error))?.deadline_ns)
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
            self.answered = held;
            return Ok(());
        }
        Err(WatchdogError::unusable(NAME, "the keeper holds another deadline"))
    }

    fn read_back(&mut self) -> Result<Duration, WatchdogError> {
        // The answer to a change is the deadline that the keeper holds: asking again would be
        // answered the same.
        let held = match self.answered.take() {
            Some(held) => Some(held),
            None => self.ask(Ask::Read)?,
        };
        match held {
            Some(deadline) => Ok(Duration::from_nanos(deadline.saturating_sub(boottime_ns()))),
            None => Err(WatchdogError::unusable(NAME, "the keeper holds no deadline")),
        }
    }

    fn cut_to_minimum(&mut self) -> Result<Duration, WatchdogError> {
        self.answered = self.ask(Ask::Cut)?;
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

/// Asks everything once of a socket whose answers are there before the questions.
pub(super) fn rehearse() {
    let Ok((near, mut far)) = UnixStream::pair() else { return };
    let Ok(mut dog) = ExecWatchdog::over(near) else { return };
    let second = Duration::from_secs(1);
    let _dummy = far.write_all(&b"{\"deadline_ns\":1}\n".repeat(5));
    let _answers = dog.arm(second).is_ok()
        && dog.set_remaining(second).is_ok()
        && dog.read_back().is_ok()
        && dog.cut_to_minimum().is_ok()
        && dog.disarm().is_ok();
    dog.reset_now();
}
