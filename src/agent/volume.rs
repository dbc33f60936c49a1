//! A metadata volume: the pool database's journal on shared storage.
//!
//! A volume is 16 segments of 16 MiB. A master writes only into a segment that it took itself, so
//! that a stalled old master, which still writes into its own, destroys nothing of the new one's.
//! A segment is a header block, a snapshot, and records; every record begins at a block of 4 KiB,
//! so that a torn write cannot take an earlier record with it.

use crate::host::direct_io::DirectFile;
use crate::host::faults::Faults;
use crate::pool::journal::{self, JournalError, Position, Replayed};
use std::io;
use std::path::{Path, PathBuf};

const BLOCK: usize = 4096;
const SEGMENTS: u64 = 16;
/// Small in tests, where segments are to be full soon.
const SEGMENT: u64 = if cfg!(test) { 128 << 10 } else { 16 << 20 };
const MAGIC: [u8; 8] = *b"XEMETA02";

/// Rounds up to whole blocks.
fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().div_ceil(BLOCK) * BLOCK, 0);
    bytes
}

/// The bytes of a volume that a record takes.
pub fn length(record: &[u8]) -> u64 {
    (record.len().div_ceil(BLOCK) * BLOCK) as u64
}

/// What orders the uses of segments, on one volume and over several: the epoch of the master, its
/// term (see [`super::volumes`]), and how many uses this volume saw before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Header {
    epoch: u64,
    term: u64,
    turn: u64,
}

impl Header {
    fn encode(self) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        block[..8].copy_from_slice(&MAGIC);
        block[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        block[16..24].copy_from_slice(&self.term.to_le_bytes());
        block[24..32].copy_from_slice(&self.turn.to_le_bytes());
        let crc = crc32c::crc32c(&block[..32]);
        block[32..36].copy_from_slice(&crc.to_le_bytes());
        block
    }

    fn decode(block: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(block.get(at..at + 8)?.try_into().ok()?));
        let crc = u32::from_le_bytes(block.get(32..36)?.try_into().ok()?);
        let whole = block.get(..8)? == MAGIC && crc32c::crc32c(&block[..32]) == crc;
        Some(Self { epoch: number(8)?, term: number(16)?, turn: number(24)? }).filter(|_| whole)
    }
}

/// The newest state on a volume.
#[derive(Debug, Default)]
pub struct Newest {
    /// The rows and where they stand; nothing when no master wrote yet.
    pub replayed: Replayed,
    /// The epoch and the term of the segment that holds them.
    pub of: (u64, u64),
}

impl Newest {
    /// What makes one volume's state newer than another's.
    pub fn rank(&self) -> (u64, u64, u64) {
        (self.of.0, self.of.1, self.replayed.position.generation)
    }
}

/// The segments that are in use, the newest last, each with its number.
fn segments(file: &DirectFile) -> io::Result<Vec<(Header, u64)>> {
    let mut headers = Vec::new();
    for segment in 0..SEGMENTS {
        let block = file.read(segment * SEGMENT, BLOCK)?;
        headers.extend(Header::decode(&block).map(|header| (header, segment)));
    }
    headers.sort_unstable();
    Ok(headers)
}

/// Reads the newest state of a volume. A segment whose snapshot is not whole was only being begun:
/// the one before it holds.
pub fn read(path: &Path, faults: &Faults) -> io::Result<Newest> {
    let file = DirectFile::open(path, faults.clone())?;
    for (header, segment) in segments(&file)?.iter().rev() {
        let bytes = file.read(segment * SEGMENT, usize::try_from(SEGMENT).unwrap_or(0))?;
        if let Some(replayed) = replay(&bytes[BLOCK..], header.epoch)? {
            return Ok(Newest { replayed, of: (header.epoch, header.term) });
        }
    }
    Ok(Newest::default())
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

/// Writes a volume for one master.
pub struct Writer {
    path: PathBuf,
    faults: Faults,
    epoch: u64,
    /// Opened when it is first needed: its storage may be away then.
    file: Option<DirectFile>,
    /// The next free byte of the volume, and the end of the segment; equal before the first one.
    at: u64,
    end: u64,
}

impl Writer {
    /// For a volume in an epoch; nothing is touched yet.
    pub fn new(path: PathBuf, faults: Faults, epoch: u64) -> Self {
        Self { path, faults, epoch, file: None, at: 0, end: 0 }
    }

    /// Takes the segment that was used longest ago, and writes this snapshot into it. When that
    /// fails half-way, the next try takes the same one: what the volume held before stays.
    pub fn begin(&mut self, term: u64, snapshot: &[u8]) -> io::Result<()> {
        (self.at, self.end) = (0, 0);
        let file = match self.file.take() {
            Some(file) => file,
            None => DirectFile::open(&self.path, self.faults.clone())?,
        };
        let file = self.file.insert(file);
        let used = segments(file)?;
        let turn = used.iter().map(|(header, _)| header.turn).max().unwrap_or(0) + 1;
        let free = |segment: &u64| used.iter().all(|(_, other)| other != segment);
        let oldest = used.first().map_or(0, |(_, segment)| *segment);
        let begin = (0..SEGMENTS).find(free).unwrap_or(oldest) * SEGMENT;
        let snapshot = padded(snapshot);
        if snapshot.len() as u64 + BLOCK as u64 > SEGMENT / 2 {
            return Err(io::Error::other("the database is too large for the metadata volume"));
        }
        // The snapshot first: a header without one would hide the segment before.
        file.write(begin, &vec![0; BLOCK])?;
        file.write(begin + BLOCK as u64, &snapshot)?;
        file.write(begin, &Header { epoch: self.epoch, term, turn }.encode())?;
        self.at = begin + BLOCK as u64 + snapshot.len() as u64;
        self.end = begin + SEGMENT;
        Ok(())
    }

    /// The bytes that are left in the segment.
    pub fn room(&self) -> u64 {
        self.end - self.at
    }

    /// Adds a record to the segment.
    pub fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let file = self.file.as_ref().filter(|_| self.at < self.end);
        let file = file.ok_or_else(|| io::Error::other("no segment was taken"))?;
        let record = padded(record);
        if self.at + record.len() as u64 > self.end {
            return Err(io::Error::other("the segment is full"));
        }
        file.write(self.at, &record)?;
        self.at += record.len() as u64;
        Ok(())
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

    fn snapshot(state: &Replayed) -> Vec<u8> {
        let record = Record::snapshot(&state.database, &state.position, "boot");
        record.encode(&state.position).unwrap().0
    }

    fn begin(path: &Path, epoch: u64) -> Writer {
        let newest = read(path, &Faults::none()).unwrap();
        let mut writer = Writer::new(path.to_owned(), Faults::none(), epoch);
        writer.begin(1, &snapshot(&newest.replayed)).unwrap();
        writer
    }

    #[test]
    fn a_new_master_reads_what_the_old_one_wrote_and_a_stalled_one_destroys_nothing() {
        let directory = tempfile::tempdir_in(".").unwrap();
        let path = directory.path().join("metadata");
        std::fs::File::create(&path).unwrap().set_len(SEGMENTS * SEGMENT).unwrap();
        let faults = Faults::none();
        let newest = read(&path, &faults).unwrap();
        assert_eq!(newest.replayed, Replayed::default());

        let mut old = begin(&path, 1);
        let (bytes, first, changes) = record(&Position::default(), 1, "one");
        old.append(&bytes).unwrap();
        let newest = read(&path, &faults).unwrap();
        let mut expected = Database::default();
        expected.apply(&changes);
        assert_eq!((newest.replayed.position, &newest.replayed.database), (first, &expected));

        let mut new = begin(&path, 2);
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
        let mut volume = begin(&path, 1);
        let mut position = Position::default();
        for name in ["one", "two", "three"] {
            let (bytes, next, _) = record(&position, 1, name);
            volume.append(&bytes).unwrap();
            position = next;
        }
        // Segment 0 holds header, snapshot, and the three records, a block each.
        let block = |number: u64| number * BLOCK as u64 + 60;
        raw.write_all_at(b"x", block(4)).unwrap();
        assert_eq!(read(&path, &Faults::none()).unwrap().replayed.position.generation, 2);
        raw.write_all_at(b"x", block(2)).unwrap();
        raw.write_all_at(&[0; 4096], block(4) - 60).unwrap();
        let refused = read(&path, &Faults::none()).unwrap_err();
        assert!(refused.to_string().contains("record 2 is there"), "{refused}");
    }
}
