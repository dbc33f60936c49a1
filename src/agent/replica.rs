//! Places that keep the journal: a file of this host, a volume on shared storage.

use crate::pool::Database;
use crate::pool::journal::{JournalError, Position, Record, Replayed, replay};
use anyhow::Context;
use std::fs::{File, OpenOptions};
use std::io::{Error, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A journal longer than this, in bytes, is made short when it is opened.
const LONG_AT_OPEN: u64 = 8 << 20;
/// A journal longer than this, in bytes, is made short while it is written.
const LONG: u64 = 16 << 20;

/// A place that keeps records. A record is there when `append` gives Ok, and after a crash.
pub trait Replica: Send {
    /// Adds whole records.
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()>;

    /// How many of its copies are well, and how many there are; none where there is just one place.
    fn copies(&mut self) -> Option<(usize, usize)> {
        None
    }
}

/// The journal of this host: `<state-dir>/db.journal`.
#[derive(Debug)]
pub struct LocalJournal {
    path: PathBuf,
    file: File,
    length: u64,
    /// The length at which it is made short the next time, in bytes.
    limit: u64,
    /// Why it takes no record until it is replaced as a whole.
    closed: Option<String>,
    damage: Option<JournalError>,
}

/// What a journal held when it was opened.
#[derive(Debug)]
pub struct Opened {
    /// The journal, ready to append.
    pub journal: LocalJournal,
    /// The database that it holds.
    pub replayed: Replayed,
}

impl LocalJournal {
    /// Opens a journal and replays it. A torn tail is cut: what it held was acknowledged to nobody.
    /// A damaged journal is left as it is and takes nothing but a whole new content.
    pub fn open(path: &Path) -> anyhow::Result<Opened> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (replayed, error) = replay(&bytes);
        let damage = match error {
            Some(JournalError::Torn { at }) => {
                tracing::warn!(
                    journal = %path.display(),
                    "cut {} bytes of a torn record at byte {at}",
                    bytes.len() - at
                );
                file.set_len(at as u64)?;
                file.sync_all()?;
                None
            }
            other => other,
        };
        if let Some(error) = &damage {
            tracing::error!(journal = %path.display(), "{error}");
        }
        let length = replayed.length as u64;
        file.seek(SeekFrom::Start(length))?;
        let closed = damage.as_ref().map(ToString::to_string);
        let path = path.to_owned();
        let mut journal = Self { path, file, length, limit: LONG, closed, damage };
        if journal.damage.is_none() && length > LONG_AT_OPEN {
            journal.shorten(&replayed.database, &replayed.position);
        }
        Ok(Opened { journal, replayed })
    }

    /// Damage before whole records: what was read is not what was acknowledged, so this host must
    /// not be master from it. It ends when a snapshot of another replica takes its place.
    pub fn damage(&self) -> Option<&JournalError> {
        self.damage.as_ref()
    }

    /// Whether it is so long that one snapshot should take its place.
    pub fn is_long(&self) -> bool {
        self.length > self.limit
    }

    /// Puts one snapshot of the database, which stands at `position`, in place of all records. When
    /// that fails the journal goes on as it is, and tries again at twice the length.
    pub fn shorten(&mut self, database: &Database, position: &Position) {
        let before = self.length;
        let record = Record::snapshot(database, position, "");
        let done = record
            .encode(position)
            .map_err(Error::other)
            .and_then(|(bytes, _)| self.replace(&bytes));
        self.limit = LONG.max(self.length.saturating_mul(2));
        match done {
            Ok(()) => tracing::info!("{before} bytes of the journal became {}", self.length),
            Err(error) => tracing::warn!("the journal of {before} bytes stays long: {error}"),
        }
    }

    /// Replaces everything by a snapshot (or by a snapshot and records): a reader sees the old
    /// journal or the new one, never a part.
    pub fn replace(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).read(true).write(true).mode(0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        // Later records go to the new file; a crash could still bring back the old one until its
        // folder is on the disk.
        (self.file, self.length) = (file, bytes.len() as u64);
        let parent = self.path.parent().unwrap_or(Path::new("."));
        if let Err(error) = File::open(parent).and_then(|folder| folder.sync_all()) {
            self.closed = Some(format!("{} could not be written: {error}", parent.display()));
            return Err(error);
        }
        (self.closed, self.damage) = (None, None);
        Ok(())
    }
}

impl Replica for LocalJournal {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if let Some(why) = &self.closed {
            return Err(Error::other(why.clone()));
        }
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // Half a record must not stand before the next one.
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::Start(self.length))?;
            return written;
        }
        self.length += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Transaction;
    use crate::xenapi::Value;
    use std::collections::BTreeMap;

    /// Records that rename one VM, each about as long as `name`.
    fn rename(state: &mut Replayed, name: &str) -> Vec<u8> {
        let mut tx = Transaction::over(&state.database);
        let name = format!("{name} {}", state.position.generation);
        match tx.db().row("VM", "OpaqueRef:1") {
            Some(_) => tx.set("VM", "OpaqueRef:1", "name_label", name),
            None => tx.create("VM", "OpaqueRef:1", [("name_label", Value::from(name))]),
        }
        let record = Record {
            epoch: 1,
            boot: String::new(),
            generation: state.position.generation + 1,
            snapshot_of: None,
            changes: tx.into_changes(),
            unknown: BTreeMap::new(),
        };
        let (bytes, position) = record.encode(&state.position).unwrap();
        state.database.apply(&record.changes);
        state.position = position;
        bytes
    }

    #[test]
    fn a_long_journal_becomes_one_snapshot_when_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db.journal");
        let (mut state, mut bytes) = (Replayed::default(), Vec::new());
        while bytes.len() as u64 <= LONG_AT_OPEN {
            bytes.extend(rename(&mut state, &"long ".repeat(40_000)));
        }
        std::fs::write(&path, &bytes).unwrap();
        let mut opened = LocalJournal::open(&path).unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20);
        assert_eq!(opened.replayed.database, state.database);
        opened.journal.append(&rename(&mut state, "after it")).unwrap();
        let again = LocalJournal::open(&path).unwrap();
        assert!(again.journal.damage().is_none());
        assert_eq!(
            (again.replayed.position, again.replayed.database),
            (state.position, state.database)
        );
    }

    #[test]
    fn a_damaged_journal_takes_nothing_but_a_new_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db.journal");
        let mut state = Replayed::default();
        let mut bytes = rename(&mut state, "one");
        let second = bytes.len();
        bytes.extend(rename(&mut state, "two"));
        bytes.extend(rename(&mut state, "three"));
        bytes[second + 60] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let mut journal = LocalJournal::open(&path).unwrap().journal;
        assert_eq!(journal.damage(), Some(&JournalError::Damaged { at: second }));
        assert!(journal.append(&rename(&mut state, "four")).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "it is kept for a person to look at");
        let snapshot = Record::snapshot(&state.database, &state.position, "");
        journal.replace(&snapshot.encode(&state.position).unwrap().0).unwrap();
        assert!(journal.damage().is_none());
        journal.append(&rename(&mut state, "five")).unwrap();
        assert_eq!(LocalJournal::open(&path).unwrap().replayed.database, state.database);
    }
}
