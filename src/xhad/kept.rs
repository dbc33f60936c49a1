//! The record that must outlive a boot (R8.2), written by a thread of its own: whole, durable,
//! and told to the loop only then.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};

use uuid::Uuid;

use super::inbox::{Inbox, Message};
use super::threads;
use crate::heartbeat::kept::Kept;

/// The file's name within the state directory.
const FILE: &str = "kept";

/// So many records wait for the disk at most. One that finds no room is lost as one that cannot
/// be written is: it is never told, so nothing rests on it.
const ROOM: usize = 16;

/// A record to keep.
#[derive(Debug)]
pub struct Job {
    /// Its number, for the answer.
    pub record: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What an earlier boot has kept for this session; a record of another session is over.
pub fn read(state_dir: &Path, generation: Uuid) -> Option<Kept> {
    let bytes = std::fs::read(state_dir.join(FILE)).ok()?;
    Kept::read(&bytes).ok().filter(|kept| kept.generation == generation)
}

/// Starts the thread; it ends when the sender is dropped.
pub fn spawn(state_dir: &Path, session: u64, inbox: Inbox) -> SyncSender<Job> {
    let (sender, jobs) = sync_channel::<Job>(ROOM);
    let path = state_dir.join(FILE);
    let work = move || {
        for job in jobs {
            // What cannot be kept is never promised: nothing is told to the loop.
            if write(&path, &job.bytes).is_ok() {
                inbox.send(Message::Kept(session, job.record));
            }
        }
    };
    threads::start("kept", work);
    sender
}

/// Puts the record in the place of the last one, durable when it returns.
pub fn write(path: &PathBuf, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_told_once_durable_and_counts_in_its_own_session_only() {
        let dir = tempfile::tempdir().unwrap();
        let (inbox, outbox) = crate::xhad::inbox::pair().unwrap();
        let sender = spawn(dir.path(), 7, inbox);
        let kept = Kept { generation: Uuid::from_u128(1), promise: 3, ..Kept::default() };
        sender.send(Job { record: 5, bytes: kept.bytes() }).unwrap();
        let told = loop {
            match outbox.next() {
                Some(Message::Kept(session, record)) => break (session, record),
                _ => std::thread::sleep(std::time::Duration::from_millis(2)),
            }
        };
        assert_eq!(told, (7, 5));
        assert_eq!(read(dir.path(), Uuid::from_u128(1)), Some(kept));
        assert_eq!(read(dir.path(), Uuid::from_u128(2)), None);
    }
}
