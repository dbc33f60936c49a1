//! The pool database of a running agent: one writer, readers that never wait for it.
//!
//! [`Store::commit`] runs a closure over a [`Transaction`], writes the record to every replica of
//! the in-sync set and only then shows the new rows and reports success. Changes of fields that are
//! not journalled ([`Store::touch`]) are shown at once.

use super::event_log::EventLog;
use super::replica::{LocalJournal, Replica};
use crate::host::system_word::system_word;
use crate::pool::journal::{JournalError, Position, Record};
use crate::pool::{Change, Database, Transaction};
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

/// How many records are kept in memory for members that are a little behind.
const RECENT: usize = 4096;

/// Asks whether this host may write as master now (R4.4); gives the epoch it writes in.
pub type Lease = Box<dyn Fn() -> Answer<u64> + Send + Sync>;

/// The database of an agent.
pub struct Store {
    current: RwLock<Arc<Database>>,
    writer: Mutex<Writer>,
    stream: Mutex<Stream>,
    streamed: Condvar,
    /// Why the last record could not be written to the local journal.
    unwritten: Mutex<Option<String>>,
    /// What changed, for `event.from`.
    pub events: EventLog,
}

struct Writer {
    journal: Option<LocalJournal>,
    volume: Option<Box<dyn Replica>>,
    lease: Option<Lease>,
    boot: String,
    position: Position,
    /// Why nothing more may be written: the replicas disagree about the last record.
    broken: Option<String>,
}

/// What members follow.
#[derive(Default)]
struct Stream {
    position: Position,
    recent: VecDeque<(Position, Vec<u8>)>,
    acknowledged: BTreeMap<String, u64>,
}

/// What a member that follows is given.
pub enum Follow {
    /// The records after its position, ready to append.
    Records(Vec<u8>),
    /// A whole snapshot: its position is not on this master's history.
    Snapshot(Vec<u8>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// A store over a database that stands at a position. Without a journal nothing is durable;
    /// what a damaged one held is shown, but stands nowhere: every other replica is ahead of it.
    pub fn new(
        database: Database,
        position: Position,
        journal: Option<LocalJournal>,
        boot: &str,
    ) -> Self {
        let damaged = journal.as_ref().is_some_and(|journal| journal.damage().is_some());
        let position = if damaged { Position::default() } else { position };
        Self {
            current: RwLock::new(Arc::new(database)),
            writer: Mutex::new(Writer {
                journal,
                volume: None,
                lease: None,
                boot: boot.to_owned(),
                position,
                broken: None,
            }),
            stream: Mutex::new(Stream { position, ..Stream::default() }),
            streamed: Condvar::new(),
            unwritten: Mutex::default(),
            events: EventLog::default(),
        }
    }

    /// The database as it is now. Later changes do not show in it.
    pub fn read(&self) -> Arc<Database> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the database stands.
    pub fn position(&self) -> Position {
        lock(&self.stream).position
    }

    /// Why this host must not be master from its own journal.
    pub fn damage(&self) -> Option<JournalError> {
        lock(&self.writer).journal.as_ref()?.damage().cloned()
    }

    /// Makes this host the writer: `lease` is asked before every record. None = a member.
    pub fn set_lease(&self, lease: Option<Lease>) {
        lock(&self.writer).lease = lease;
    }

    /// The replica on shared storage that must hold a record before it counts; none = only this
    /// host.
    pub fn set_volume(&self, volume: Option<Box<dyn Replica>>) {
        lock(&self.writer).volume = volume;
    }

    /// Runs a change. Nothing of it is seen, and nothing of it lasts, unless this gives Ok.
    pub fn commit<T>(&self, change: impl FnOnce(&mut Transaction) -> Answer<T>) -> Answer<T> {
        let mut writer = lock(&self.writer);
        let epoch = match &writer.lease {
            Some(lease) => lease()?,
            None => return Err(Failure::new("HOST_IS_SLAVE", [""])),
        };
        let mut transaction = Transaction::over(&self.read());
        let answer = change(&mut transaction)?;
        let changes = transaction.into_changes();
        if changes.is_empty() {
            return Ok(answer);
        }
        let durable: Vec<Change> =
            changes.iter().filter(|c| !Database::is_transient(c)).cloned().collect();
        if !durable.is_empty() {
            let written = writer.write(epoch, durable);
            *lock(&self.unwritten) = writer.broken.clone();
            written.map(|(position, bytes)| self.publish(position, bytes))?;
        }
        self.show(&changes);
        self.shorten(&mut writer);
        Ok(answer)
    }

    /// Keeps the local journal from growing for ever. Only when all that was written is shown.
    fn shorten(&self, writer: &mut Writer) {
        let position = writer.position;
        if let Some(journal) = writer.journal.as_mut().filter(|journal| journal.is_long()) {
            journal.shorten(&self.read(), &position);
        }
    }

    /// Changes fields that are not journalled. Everything else in the transaction is dropped.
    pub fn touch(&self, change: impl FnOnce(&mut Transaction)) {
        let mut transaction = Transaction::over(&self.read());
        change(&mut transaction);
        let mut changes = transaction.into_changes();
        changes.retain(Database::is_transient);
        if !changes.is_empty() {
            self.show(&changes);
        }
    }

    fn show(&self, changes: &[Change]) {
        {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            Arc::make_mut(&mut current).apply(changes);
        }
        self.events.record(changes);
    }

    fn publish(&self, position: Position, bytes: Vec<u8>) {
        let mut stream = lock(&self.stream);
        stream.position = position;
        stream.recent.push_back((position, bytes));
        if stream.recent.len() > RECENT {
            stream.recent.pop_front();
        }
        drop(stream);
        self.streamed.notify_all();
    }

    /// Waits up to `patience` for records after a member's position, and takes the position as that
    /// member's acknowledgement.
    pub fn follow(
        &self,
        member: &str,
        from: Position,
        patience: std::time::Duration,
    ) -> Answer<Follow> {
        let mut stream = lock(&self.stream);
        let known = from == stream.position || stream.recent.iter().any(|(p, _)| *p == from);
        let first = stream.recent.front().map(|(p, _)| p.generation);
        let continues = known || (first == Some(from.generation + 1) && from.generation > 0);
        if !continues {
            drop(stream);
            return self.snapshot().map(Follow::Snapshot);
        }
        stream.acknowledged.insert(member.to_owned(), from.generation);
        self.streamed.notify_all();
        if from == stream.position {
            stream = self
                .streamed
                .wait_timeout_while(stream, patience, |s| s.position == from)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let later = stream.recent.iter().filter(|(p, _)| p.generation > from.generation);
        Ok(Follow::Records(later.flat_map(|(_, bytes)| bytes.iter().copied()).collect()))
    }

    /// How far each member has come, by its uuid.
    pub fn acknowledged(&self) -> BTreeMap<String, u64> {
        lock(&self.stream).acknowledged.clone()
    }

    /// The whole database as one snapshot record.
    pub fn snapshot(&self) -> Answer<Vec<u8>> {
        let writer = lock(&self.writer);
        let record = Record::snapshot(&self.read(), &writer.position, &writer.boot);
        let encoded = record.encode(&writer.position);
        encoded.map(|(bytes, _)| bytes).map_err(|e| Failure::internal(e.to_string()))
    }

    /// The same for the volume's writer, which runs while a record is being written: the state
    /// before that record.
    pub fn snapshot_for_writer(&self) -> Vec<u8> {
        let position = self.position();
        let record = Record::snapshot(&self.read(), &position, "");
        record.encode(&position).map(|(bytes, _)| bytes).unwrap_or_default()
    }

    /// Why the local journal took no record when it should have done so last.
    pub fn unwritten(&self) -> Option<String> {
        lock(&self.unwritten).clone()
    }

    /// Whether this agent can write nothing more until it is started again.
    pub fn is_broken(&self) -> bool {
        lock(&self.writer).broken.is_some()
    }

    /// Whether records go to shared storage first.
    pub fn has_volume(&self) -> bool {
        lock(&self.writer).volume.is_some()
    }

    /// How many copies of the volume are well, and how many there are; none while a record is being
    /// written, too.
    pub fn volume_copies(&self) -> Option<(usize, usize)> {
        self.writer.try_lock().ok()?.volume.as_mut()?.copies()
    }

    /// Takes records that the master (or the volume) holds. The rows are shown as they arrive; a
    /// snapshot replaces them all.
    pub fn adopt(&self, bytes: &[u8]) -> Answer<()> {
        let mut writer = lock(&self.writer);
        let mut at = 0;
        loop {
            let next = crate::pool::journal::read(bytes, at, &writer.position)
                .map_err(|error| Failure::internal(error.to_string()))?;
            let Some(next) = next else { return Ok(()) };
            let snapshot = next.record.snapshot_of.is_some();
            if let Some(journal) = &mut writer.journal {
                let written = if snapshot {
                    journal.replace(&bytes[at..next.end])
                } else {
                    journal.append(&bytes[at..next.end])
                };
                *lock(&self.unwritten) = written.as_ref().err().map(system_word);
                written.map_err(|error| Failure::internal(error.to_string()))?;
            }
            writer.position = next.position;
            if snapshot {
                self.replace(&next.record.changes);
                let mut stream = lock(&self.stream);
                stream.recent.clear();
                stream.position = next.position;
            } else {
                self.publish(next.position, bytes[at..next.end].to_vec());
                self.show(&next.record.changes);
                self.shorten(&mut writer);
            }
            at = next.end;
        }
    }

    /// Replaces every row.
    fn replace(&self, creations: &[Change]) {
        let mut database = Database::default();
        database.apply(creations);
        let old = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, Arc::new(database))
        };
        self.events.replaced(&old, &self.read());
    }
}

impl Writer {
    /// Writes one record to every replica; gives its position and bytes.
    fn write(&mut self, epoch: u64, changes: Vec<Change>) -> Answer<(Position, Vec<u8>)> {
        if let Some(damage) = self.journal.as_ref().and_then(LocalJournal::damage) {
            return Err(Failure::new("XE_JOURNAL_DAMAGED", [damage.to_string()]));
        }
        if let Some(error) = &self.broken {
            let why = format!("the local journal failed earlier ({error}); restart the agent");
            return Err(Failure::internal(why));
        }
        let record = Record {
            epoch: epoch.max(self.position.epoch),
            boot: self.boot.clone(),
            generation: self.position.generation + 1,
            snapshot_of: None,
            changes,
            unknown: BTreeMap::new(),
        };
        let failed = |what: &str, error: String| {
            Failure::internal(format!("the database could not be written to {what}: {error}"))
        };
        let (bytes, position) =
            record.encode(&self.position).map_err(|e| failed("memory", e.to_string()))?;
        // The volume first: a record that only this host holds could be lost with it.
        if let Some(volume) = &mut self.volume {
            volume.append(&bytes).map_err(|e| failed("shared storage", e.to_string()))?;
        }
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.append(&bytes)
        {
            // The volume may hold the record: only a restart, which reads it, may go on.
            self.broken = Some(system_word(&error));
            return Err(failed("the local journal", error.to_string()));
        }
        self.position = position;
        Ok((position, bytes))
    }
}
