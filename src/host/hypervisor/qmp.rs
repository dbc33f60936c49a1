//! QEMU's control protocol over its unix socket: one connection per task.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::control;

/// The socket for tasks, in the VM's directory.
pub const TASKS: &str = "qmp.sock";
/// A second one for short looks, so that nobody waits for a task's end to see a state.
pub const LOOKS: &str = "look.sock";

/// A connection; QEMU serves one at a time per socket, others wait for its end.
pub struct Qmp {
    reader: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to the machine whose directory this is and ends the negotiation.
    pub fn connect(dir: &Path, socket: &str, patience: Duration) -> io::Result<Self> {
        let stream = control::connect(dir, socket)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let mut qmp = Self { reader: BufReader::new(stream) };
        qmp.read()?;
        qmp.run("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Runs one command; events on the way are passed over.
    pub fn run(&mut self, command: &str, arguments: Value) -> io::Result<Value> {
        let mut line = serde_json::to_vec(&json!({"execute": command, "arguments": arguments}))?;
        line.push(b'\n');
        self.reader.get_mut().write_all(&line)?;
        loop {
            let mut answer = self.read()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                let said = error["desc"].as_str().unwrap_or("it refused");
                return Err(io::Error::other(format!("{command}: {said}")));
            }
        }
    }

    /// What the machine does, in QEMU's word for it.
    pub fn status(&mut self) -> io::Result<String> {
        let answer = self.run("query-status", json!({}))?;
        Ok(answer["status"].as_str().unwrap_or_default().to_owned())
    }

    fn read(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}
