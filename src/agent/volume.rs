//! The metadata volume: the pool database's journal on shared storage.
//!
//! The volume is 16 segments of 16 MiB. A master writes only into a segment that it took itself, so
//! that a stalled old master, which still writes into its own, destroys nothing of the new one's.
//! A segment is a header block, a snapshot, and records; every record begins at a block of 4 KiB,
//! so that a torn write cannot take an earlier record with it.

use super::replica::Replica;
use crate::host::direct_io::DirectFile;
use crate::host::faults::Faults;
use crate::pool::journal::{self, JournalError, Position, Replayed};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

const BLOCK: usize = 4096;
const SEGMENTS: u64 = 16;
const SEGMENT: u64 = 16 << 20;
const MAGIC: [u8; 8] = *b"XEMETA01";
/// How long a record may take to reach the volume before the volume counts as failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Rounds up to whole blocks.
fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().div_ceil(BLOCK) * BLOCK, 0);
    bytes
}

/// The header of a segment: who took it, as the how-manieth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Header {
    epoch: u64,
    serial: u64,
}

impl Header {
    fn encode(self) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..8].copy_from_slice(&MAGIC);
        block[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        block[16..24].copy_from_slice(&self.serial.to_le_bytes());
        let crc = crc32c::crc32c(&block[..24]);
        block[24..28].copy_from_slice(&crc.to_le_bytes());
        block
    }

    fn decode(block: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(block.get(at..at + 8)?.try_into().ok()?));
        let crc = u32::from_le_bytes(block.get(24..28)?.try_into().ok()?);
        let whole = block.get(..8)? == MAGIC && crc32c::crc32c(&block[..24]) == crc;
        Some(Self { epoch: number(8)?, serial: number(16)? }).filter(|_| whole)
    }
}

/// The newest state on a volume.
#[derive(Debug)]
pub struct Newest {
    /// The rows and where they stand; nothing when no master wrote yet.
    pub replayed: Replayed,
    serial: u64,
}

/// Reads the newest state of a volume. A segment whose snapshot is not whole was only being begun:
/// the one before it holds.
pub fn read(path: &Path, faults: &Faults) -> io::Result<Newest> {
    let file = DirectFile::open(path, faults.clone())?;
    let mut headers = Vec::new();
    for segment in 0..SEGMENTS {
        let block = file.read(segment * SEGMENT, BLOCK)?;
        headers.extend(Header::decode(&block).map(|header| (header, segment)));
    }
    headers.sort_unstable();
    let last = headers.last().map_or(0, |(header, _)| header.serial);
    for (header, segment) in headers.iter().rev() {
        let bytes = file.read(segment * SEGMENT, usize::try_from(SEGMENT).unwrap_or(0))?;
        if let Some(replayed) = replay(&bytes[BLOCK..], header.epoch)? {
            return Ok(Newest { replayed, serial: last });
        }
    }
    Ok(Newest { replayed: Replayed::default(), serial: last })
}

/// Replays a segment after its header; none when its snapshot is not whole.
fn replay(bytes: &[u8], epoch: u64) -> io::Result<Option<Replayed>> {
    let mut state = Replayed::default();
    loop {
        let rest = &bytes[state.length..];
        match journal::read(rest, 0, &state.position) {
            Ok(Some(mut next)) => {
                next.end = state.length + next.end.div_ceil(BLOCK) * BLOCK;
                state.apply(&next);
            }
            Ok(None) => break,
            Err(JournalError::TooNew { schema, known, .. }) => {
                let why = format!("the volume has schema {schema}, this version knows {known}");
                return Err(io::Error::other(why));
            }
            Err(_) => {
                assert_no_later(rest, epoch, &state.position)?;
                break;
            }
        }
    }
    Ok((state.length > 0).then_some(state))
}

/// What follows the last whole record must be its torn successor or what an older use of the
/// segment left; a later record of this use means that one between was damaged.
fn assert_no_later(rest: &[u8], epoch: u64, at: &Position) -> io::Result<()> {
    for block in rest.chunks(BLOCK).enumerate().skip(1).map(|(number, _)| number * BLOCK) {
        if let Some(record) = journal::peek(&rest[block..])
            && record.epoch >= epoch
            && record.generation > at.generation + 1
        {
            let why = format!(
                "the metadata volume is damaged: record {} is there, {} is not readable",
                record.generation,
                at.generation + 1
            );
            return Err(io::Error::other(why));
        }
    }
    Ok(())
}

/// A volume that this master writes.
pub struct Volume {
    ask: SyncSender<Vec<u8>>,
    answer: Receiver<io::Result<()>>,
    /// An answer that is still owed because an earlier record timed out.
    owed: bool,
}

struct Writer {
    file: DirectFile,
    epoch: u64,
    serial: u64,
    /// The next free byte of the volume, and the end of the segment.
    at: u64,
    end: u64,
    snapshot: Box<dyn Fn() -> Vec<u8> + Send>,
}

impl Volume {
    /// Takes the next segment of a volume for an epoch and writes a snapshot into it. `snapshot`
    /// gives the present state as one record whenever a segment is full.
    pub fn begin(
        path: PathBuf,
        faults: Faults,
        epoch: u64,
        newest: &Newest,
        snapshot: Box<dyn Fn() -> Vec<u8> + Send>,
    ) -> io::Result<Self> {
        let file = DirectFile::open(&path, faults)?;
        let mut writer = Writer { file, epoch, serial: newest.serial, at: 0, end: 0, snapshot };
        writer.take_segment()?;
        let (ask, asked) = sync_channel::<Vec<u8>>(1);
        let (reply, answer) = sync_channel(1);
        std::thread::Builder::new().name("metadata".to_owned()).spawn(move || {
            for record in asked {
                if reply.send(writer.append(&record)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { ask, answer, owed: false })
    }
}

impl Writer {
    fn take_segment(&mut self) -> io::Result<()> {
        self.serial += 1;
        let begin = self.serial % SEGMENTS * SEGMENT;
        let snapshot = padded(&(self.snapshot)());
        if snapshot.len() as u64 + BLOCK as u64 > SEGMENT / 2 {
            return Err(io::Error::other("the database is too large for the metadata volume"));
        }
        let header = Header { epoch: self.epoch, serial: self.serial };
        // The snapshot first: a header without one would hide the segment before.
        self.file.write(begin, &vec![0; BLOCK])?;
        self.file.write(begin + BLOCK as u64, &snapshot)?;
        self.file.write(begin, &header.encode())?;
        self.at = begin + BLOCK as u64 + snapshot.len() as u64;
        self.end = begin + SEGMENT;
        Ok(())
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let record = padded(record);
        if self.at + record.len() as u64 > self.end {
            self.take_segment()?;
        }
        self.file.write(self.at, &record)?;
        self.at += record.len() as u64;
        Ok(())
    }
}

impl Replica for Volume {
    fn works(&self) -> bool {
        !self.owed
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let gone = || io::Error::other("the volume's writer has ended");
        if self.owed {
            // The record that timed out may or may not be there; only a new epoch may go on.
            return Err(io::Error::other("an earlier record did not reach the volume in time"));
        }
        self.ask.send(bytes.to_vec()).map_err(|_| gone())?;
        match self.answer.recv_timeout(PATIENCE) {
            Ok(written) => written,
            Err(RecvTimeoutError::Timeout) => {
                self.owed = true;
                Err(io::Error::new(io::ErrorKind::TimedOut, "the volume did not answer in 2 s"))
            }
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::journal::Record;
    use crate::pool::{Database, Transaction};
    use crate::xenapi::Value;
    use std::collections::BTreeMap;

    fn record(
        position: &Position,
        epoch: u64,
        name: &str,
    ) -> (Vec<u8>, Position, Vec<crate::pool::Change>) {
        let mut tx = Transaction::over(&Database::default());
        tx.create("VM", &format!("OpaqueRef:{name}"), [("name_label", Value::from(name))]);
        let changes = tx.into_changes();
        let record = Record {
            epoch,
            boot: "boot".to_owned(),
            generation: position.generation + 1,
            snapshot_of: None,
            changes: changes.clone(),
            unknown: BTreeMap::new(),
        };
        let (bytes, position) = record.encode(position).unwrap();
        (bytes, position, changes)
    }

    fn snapshot(state: &Replayed) -> Box<dyn Fn() -> Vec<u8> + Send> {
        let record = Record::snapshot(&state.database, &state.position, "boot");
        let bytes = record.encode(&state.position).unwrap().0;
        Box::new(move || bytes.clone())
    }

    #[test]
    fn a_new_master_reads_what_the_old_one_wrote_and_a_stalled_one_destroys_nothing() {
        let directory = tempfile::tempdir_in(".").unwrap();
        let path = directory.path().join("metadata");
        std::fs::File::create(&path).unwrap().set_len(SEGMENTS * SEGMENT).unwrap();
        let faults = Faults::none();
        let newest = read(&path, &faults).unwrap();
        assert_eq!(newest.replayed, Replayed::default());

        let begin = |epoch, newest: &Newest| {
            let snapshot = snapshot(&newest.replayed);
            Volume::begin(path.clone(), Faults::none(), epoch, newest, snapshot).unwrap()
        };
        let mut old = begin(1, &newest);
        let (bytes, first, changes) = record(&Position::default(), 1, "one");
        old.append(&bytes).unwrap();
        let newest = read(&path, &faults).unwrap();
        let mut expected = Database::default();
        expected.apply(&changes);
        assert_eq!((newest.replayed.position, &newest.replayed.database), (first, &expected));

        let mut new = begin(2, &newest);
        let (bytes, second, changes) = record(&first, 2, "two");
        new.append(&bytes).unwrap();
        // The old master wakes up and writes what it still had in hand.
        let (late, ..) = record(&first, 1, "late");
        old.append(&late).unwrap();
        expected.apply(&changes);
        let newest = read(&path, &faults).unwrap();
        assert_eq!((newest.replayed.position, newest.replayed.database), (second, expected));
    }

    #[test]
    fn damage_before_a_whole_record_is_refused_and_a_torn_end_is_not() {
        use std::os::unix::fs::FileExt;
        let directory = tempfile::tempdir_in(".").unwrap();
        let path = directory.path().join("metadata");
        let raw = std::fs::File::create(&path).unwrap();
        raw.set_len(SEGMENTS * SEGMENT).unwrap();
        let newest = read(&path, &Faults::none()).unwrap();
        let start = snapshot(&newest.replayed);
        let mut volume = Volume::begin(path.clone(), Faults::none(), 1, &newest, start).unwrap();
        let mut position = Position::default();
        for name in ["one", "two", "three"] {
            let (bytes, next, _) = record(&position, 1, name);
            volume.append(&bytes).unwrap();
            position = next;
        }
        // Segment 1 holds header, snapshot, and the three records, a block each.
        let block = |number: u64| SEGMENT + number * BLOCK as u64 + 60;
        raw.write_all_at(b"x", block(4)).unwrap();
        assert_eq!(read(&path, &Faults::none()).unwrap().replayed.position.generation, 2);
        raw.write_all_at(b"x", block(2)).unwrap();
        raw.write_all_at(&[0; 4096], block(4) - 60).unwrap();
        let refused = read(&path, &Faults::none()).unwrap_err();
        assert!(refused.to_string().contains("record 2 is there"), "{refused}");
    }
}
