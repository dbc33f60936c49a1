//! The history file: one JSON object an event, written by a thread of its own so that a slow
//! disk never delays the protocol.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::heartbeat::liveset::Event;

/// The file's name within the state directory.
pub const FILE: &str = "history-xhad.jsonl";

enum Message {
    Line(Event),
    Flush(Sender<()>),
}

/// The sending end.
#[derive(Debug, Clone)]
pub struct History {
    sender: Sender<Message>,
}

impl History {
    /// Opens the history of a state directory.
    pub fn open(state_dir: &Path) -> Self {
        let (sender, receiver) = channel();
        let path = state_dir.join(FILE);
        std::thread::spawn(move || write_all(&path, &receiver));
        History { sender }
    }

    /// The last event that an earlier daemon of this state directory has written.
    pub fn last(state_dir: &Path) -> Option<Event> {
        let text = std::fs::read_to_string(state_dir.join(FILE)).ok()?;
        serde_json::from_str(text.lines().last()?).ok()
    }

    /// Adds an event.
    pub fn add(&self, event: Event) {
        let _writer_gone = self.sender.send(Message::Line(event));
    }

    /// Waits until everything so far is written, but no longer than that.
    pub fn flush(&self, limit: Duration) {
        let (done, written) = channel();
        if self.sender.send(Message::Flush(done)).is_ok() {
            let _too_slow = written.recv_timeout(limit);
        }
    }
}

fn write_all(path: &Path, receiver: &Receiver<Message>) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).ok();
    for message in receiver {
        match message {
            Message::Line(event) => {
                let Ok(mut text) = serde_json::to_string(&event) else { continue };
                text.push('\n');
                if let Some(file) = &mut file {
                    let _full_disk = file.write_all(text.as_bytes());
                }
                eprintln!("xhad: {}: {}", event.event, event.why);
            }
            Message::Flush(done) => {
                let _nobody_waits = done.send(());
            }
        }
    }
}
