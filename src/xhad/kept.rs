//! The record that must outlive a boot (R8.2), written by a thread of its own: whole, durable,
//! and told to the loop only then.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use uuid::Uuid;

use super::inbox::{Inbox, Message};
use super::threads;
use crate::heartbeat::kept::Kept;
use crate::host::system_word::system_word;

/// The file's name within the state directory.
const FILE: &str = "kept";

/// So many records wait for the disk at most.
const ROOM: usize = 16;
/// How long a session that begins waits for the records of the one before it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A record to keep.
#[derive(Debug)]
pub struct Job {
    /// The session that it belongs to.
    pub session: u64,
    /// Its number, for the answer.
    pub record: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
enum Order {
    Keep(Job),
    /// Tell when all before it is done.
    Tell(SyncSender<()>),
}

/// The way to the thread, one for all sessions of the daemon: a record never lands after a later
/// one.
#[derive(Debug, Clone)]
pub struct Keeper(SyncSender<Order>);

impl Keeper {
    /// Starts the thread.
    pub fn start(state_dir: &Path, inbox: Inbox) -> Self {
        let (sender, orders) = sync_channel(ROOM);
        let path = state_dir.join(FILE);
        let work = move || {
            for order in orders {
                match order {
                    // What cannot be kept is never promised: nothing is told to the loop.
                    Order::Keep(job) => {
                        if write(&path, &job.bytes).is_ok() {
                            inbox.send(Message::Kept(job.session, job.record));
                        }
                    }
                    Order::Tell(sender) => {
                        let _nobody_waits = sender.send(());
                    }
                }
            }
        };
        threads::start("kept", work);
        Keeper(sender)
    }

    /// Hands a record over; gives it back when the disk is so slow that there is no room.
    pub fn keep(&self, job: Job) -> Result<(), Job> {
        match self.0.try_send(Order::Keep(job)) {
            Err(TrySendError::Full(Order::Keep(job))) => Err(job),
            _ => Ok(()),
        }
    }

    /// Waits until everything handed over was dealt with; false when that takes too long.
    pub fn settled(&self) -> bool {
        let (sender, done) = sync_channel(1);
        self.0.try_send(Order::Tell(sender)).is_ok() && done.recv_timeout(PATIENCE).is_ok()
    }
}

/// What an earlier boot has kept for this session; a record of another session is over. Of a
/// record that cannot be read nobody knows what it promised, and to go on without it is to break
/// that: only a session that is formed anew, of which nothing was kept yet, may.
pub fn read(state_dir: &Path, generation: Uuid, form: bool) -> Result<Option<Kept>, String> {
    match load(&state_dir.join(FILE)) {
        Ok(kept) => Ok(kept.filter(|kept| kept.generation == generation)),
        Err(_) if form => Ok(None),
        Err(fault) => Err(format!(
            "{fault}: this host does not know what it has promised to the others, and does not \
             join them; switch HA off and on again for the pool (xe pool-ha-disable, then xe \
             pool-ha-enable), which begins anew without that record"
        )),
    }
}

/// A record, if there is one; a fault names the file that is there and cannot be used.
pub fn load(path: &Path) -> Result<Option<Kept>, String> {
    match std::fs::read(path) {
        Ok(bytes) => {
            Kept::read(&bytes).map(Some).map_err(|_| format!("{} is damaged", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} cannot be read ({})", path.display(), system_word(&error))),
    }
}

/// Puts the record in the place of the last one, durable when it returns.
pub fn write(path: &PathBuf, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let _no_earlier_one = std::fs::remove_file(&new);
    // Some of it is secret, such as the session's key.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
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
        let keeper = Keeper::start(dir.path(), inbox);
        let kept = Kept { generation: Uuid::from_u128(1), promise: 3, ..Kept::default() };
        keeper.keep(Job { session: 7, record: 5, bytes: kept.bytes() }).unwrap();
        assert!(keeper.settled());
        let Some(Message::Kept(session, record)) = outbox.next() else { panic!("nothing told") };
        assert_eq!((session, record), (7, 5));
        assert_eq!(read(dir.path(), Uuid::from_u128(1), false), Ok(Some(kept)));
        assert_eq!(read(dir.path(), Uuid::from_u128(2), false), Ok(None));
    }

    #[test]
    fn only_what_is_not_there_counts_as_no_record() {
        let dir = tempfile::tempdir().unwrap();
        let session = Uuid::from_u128(1);
        let read = |form| read(dir.path(), session, form);
        assert_eq!(read(false), Ok(None));
        let kept = Kept { generation: session, promise: 3, ..Kept::default() };
        let mut bytes = kept.bytes();
        bytes[7] ^= 1;
        std::fs::write(dir.path().join(FILE), bytes).unwrap();
        let why = read(false).unwrap_err();
        assert!(why.contains("kept is damaged") && why.contains("pool-ha-enable"), "{why}");
        assert_eq!(read(true), Ok(None), "a new session has promised nothing yet");
        std::fs::write(dir.path().join(FILE), "").unwrap();
        assert!(read(false).is_err(), "an empty file is no record");
        std::fs::remove_file(dir.path().join(FILE)).unwrap();
        std::fs::create_dir(dir.path().join(FILE)).unwrap();
        let why = read(false).unwrap_err();
        assert!(why.contains("cannot be read") && !why.contains("os error"), "{why}");
    }
}
