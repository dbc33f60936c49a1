//! The history file: one JSON object an event, written by a thread of its own so that a slow
//! disk never delays the protocol. When the disk hangs for long, events are counted instead of
//! kept: nobody waits for the history.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::threads;
use crate::heartbeat::liveset::Event;
use crate::host::clock::boottime_ns;
use crate::host::rolling::{self, Rolling};

/// The file's name within the state directory.
pub const FILE: &str = "history-xhad.jsonl";
/// So many events wait for the disk at most.
const ROOM: usize = 256;

enum Message {
    Line(Event),
    Flush(SyncSender<()>),
}

/// The sending end.
#[derive(Debug, Clone)]
pub struct History {
    sender: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

impl History {
    /// Opens the history of a state directory.
    pub fn open(state_dir: &Path) -> Self {
        let (history, receiver) = History::with_room(ROOM);
        let (path, lost) = (state_dir.join(FILE), Arc::clone(&history.lost));
        threads::start("history", move || write_all(&path, &receiver, &lost));
        history
    }

    fn with_room(room: usize) -> (Self, Receiver<Message>) {
        let (sender, receiver) = sync_channel(room);
        (History { sender, lost: Arc::default() }, receiver)
    }

    /// The last event that an earlier daemon of this state directory has written.
    pub fn last(state_dir: &Path) -> Option<Event> {
        let line = rolling::last_line(&state_dir.join(FILE)).ok()??;
        serde_json::from_str(&line).ok()
    }

    /// Adds an event; never waits.
    pub fn add(&self, event: Event) {
        if self.sender.try_send(Message::Line(event)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Adds an event of this daemon itself.
    pub fn note(&self, event: &str, why: &str) {
        let (t_ns, event, why) = (boottime_ns(), event.to_owned(), why.to_owned());
        self.add(Event { t_ns, event, why, host: None, epoch: 0 });
    }

    /// Waits until everything so far is written, but no longer than that.
    pub fn flush(&self, limit: Duration) {
        let (done, written) = sync_channel(1);
        if self.sender.try_send(Message::Flush(done)).is_ok() {
            let _too_slow = written.recv_timeout(limit);
        }
    }
}

fn write_all(path: &Path, receiver: &Receiver<Message>, lost: &AtomicU64) {
    let mut file = Rolling::open(path).ok();
    for message in receiver {
        match message {
            Message::Line(event) => {
                let count = lost.swap(0, Ordering::Relaxed);
                if count > 0 {
                    write(&mut file, &gap(&event, count));
                }
                write(&mut file, &event);
            }
            Message::Flush(done) => {
                let _nobody_waits = done.try_send(());
            }
        }
    }
}

fn gap(next: &Event, count: u64) -> Event {
    let why = format!("{count} events are missing: the disk was too slow for them");
    Event { event: "history-gap".to_owned(), why, host: None, ..next.clone() }
}

fn write(file: &mut Option<Rolling>, event: &Event) {
    let Ok(text) = serde_json::to_string(event) else { return };
    if let Some(file) = file {
        let _full_disk = file.add(&text);
    }
    // Whoever reads the standard error may be gone.
    let _unread = writeln!(std::io::stderr(), "xhad: {}: {}", event.event, event.why);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_history_counts_what_it_drops_and_says_so_later() {
        let dir = tempfile::tempdir().unwrap();
        let (history, receiver) = History::with_room(2);
        (0..5).for_each(|n| history.note("beat", &n.to_string()));
        assert_eq!(history.lost.load(Ordering::Relaxed), 3);
        let (path, lost) = (dir.path().join(FILE), Arc::clone(&history.lost));
        drop(history);
        write_all(&path, &receiver, &lost);
        let text = std::fs::read_to_string(path).unwrap();
        let words: Vec<Event> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let words: Vec<&str> = words.iter().map(|event| event.event.as_str()).collect();
        assert_eq!(words, ["history-gap", "beat", "beat"]);
    }
}
