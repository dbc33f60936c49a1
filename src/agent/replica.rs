//! Places that keep the journal: a file of this host, a volume on shared storage.

use super::config::write_bytes;
use crate::pool::journal::{JournalError, Replayed, replay};
use anyhow::Context;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A place that keeps records. A record is there when `append` gives Ok, and after a crash.
pub trait Replica: Send {
    /// Adds whole records.
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()>;

    /// Whether it still takes records; one that does not must be opened anew.
    fn works(&self) -> bool {
        true
    }
}

/// The journal of this host: `<state-dir>/db.journal`.
#[derive(Debug)]
pub struct LocalJournal {
    path: PathBuf,
    file: File,
}

/// What a journal held when it was opened.
#[derive(Debug)]
pub struct Opened {
    /// The journal, ready to append.
    pub journal: LocalJournal,
    /// The database that it holds.
    pub replayed: Replayed,
    /// Damage before whole records: this host must not be master from it.
    pub damage: Option<JournalError>,
}

impl LocalJournal {
    /// Opens a journal and replays it. A torn tail is cut; what it held was acknowledged to nobody.
    pub fn open(path: &Path) -> anyhow::Result<Opened> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (replayed, error) = replay(&bytes);
        let mut damage = None;
        match error {
            None => {}
            Some(JournalError::Torn { at }) => {
                tracing::warn!(
                    journal = %path.display(),
                    "cut {} bytes of a torn record at byte {at}",
                    bytes.len() - at
                );
                file.set_len(at as u64)?;
                file.sync_all()?;
            }
            Some(error) => {
                tracing::error!(journal = %path.display(), "{error}");
                damage = Some(error);
            }
        }
        file.seek(SeekFrom::Start(replayed.length as u64))?;
        let journal = Self { path: path.to_owned(), file };
        Ok(Opened { journal, replayed, damage })
    }

    /// Replaces everything by a snapshot (or by a snapshot and records).
    pub fn replace(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        write_bytes(&self.path, bytes).map_err(std::io::Error::other)?;
        self.file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        self.file.seek(SeekFrom::End(0))?;
        Ok(())
    }
}

impl Replica for LocalJournal {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let end = self.file.stream_position()?;
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // Half a record must not stand before the next one.
            self.file.set_len(end)?;
            self.file.seek(SeekFrom::Start(end))?;
        }
        written
    }
}
