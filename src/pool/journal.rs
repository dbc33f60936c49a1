//! The one format of changes: local file, stream to members, metadata volume.
//!
//! A record is `magic, schema, length, CRC32C, hash of the record before, payload`, all numbers
//! little-endian. The payload is JSON, so that fields which this version does not know survive in
//! copies of it. A snapshot is a record too: it creates every row and stands at a [`Position`].

use super::change::{Change, Stored};
use super::database::Database;
use crate::xenapi::Model;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const MAGIC: [u8; 4] = *b"xej1";
const HEADER: usize = 4 + 4 + 4 + 4 + 32;
/// The longest payload taken, in bytes.
const MAX_PAYLOAD: usize = 1 << 30;

/// The hash of a record.
pub type Hash = [u8; 32];

/// How far a replica is. Equal positions mean equal rows; an equal generation with another hash is
/// a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
pub struct Position {
    /// The epoch of the master that wrote the last record.
    pub epoch: u64,
    /// How many records came before, that one included.
    pub generation: u64,
    /// The hash of the last record.
    pub hash: Hash,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The epoch of the writer. It never goes back.
    pub epoch: u64,
    /// The boot of the writer.
    pub boot: String,
    /// One more than the record before; of a snapshot: that of the last record it holds.
    pub generation: u64,
    /// Present when this is a snapshot: the hash of the last record it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_of: Option<Hash>,
    /// What changed; of a snapshot: how to make every row.
    pub changes: Vec<Change>,
    /// What a newer version wrote beside these.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, serde_json::Value>,
}

/// Why bytes are not the next record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The last record is not whole: the writer died in it.
    #[error("the journal ends in a torn record at byte {at}")]
    Torn {
        /// Where the torn record begins.
        at: usize,
    },
    /// A record is broken although whole ones follow.
    #[error("the journal is damaged at byte {at}, before records that are whole")]
    Damaged {
        /// Where the broken record begins.
        at: usize,
    },
    /// A record does not continue the one before it.
    #[error("the record at byte {at} does not continue the one before it")]
    Fork {
        /// Where the record begins.
        at: usize,
    },
    /// A record has a schema that this version does not know.
    #[error("the record at byte {at} has schema {schema}, this version knows up to {known}")]
    TooNew {
        /// Where the record begins.
        at: usize,
        /// Its schema.
        schema: u32,
        /// The newest schema known here.
        known: u32,
    },
}

impl Record {
    /// Writes the record as the successor of `previous`; gives the bytes and the new position.
    pub fn encode(&self, previous: &Position) -> Result<(Vec<u8>, Position), serde_json::Error> {
        let payload = serde_json::to_vec(self)?;
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&super::SCHEMA.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&previous.hash);
        bytes.extend_from_slice(&payload);
        let crc = checksum(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        let position = self.position(&bytes);
        Ok((bytes, position))
    }

    fn position(&self, bytes: &[u8]) -> Position {
        let hash = self.snapshot_of.unwrap_or_else(|| Sha256::digest(bytes).into());
        Position { epoch: self.epoch, generation: self.generation, hash }
    }

    /// A snapshot of a database that stands at a position.
    pub fn snapshot(database: &Database, at: &Position, boot: &str) -> Self {
        Self {
            epoch: at.epoch,
            boot: boot.to_owned(),
            generation: at.generation,
            snapshot_of: Some(at.hash),
            changes: creations(database),
            unknown: BTreeMap::new(),
        }
    }
}

/// The changes that make every journalled row of a database.
fn creations(database: &Database) -> Vec<Change> {
    let mut changes = Vec::new();
    for (class_name, reference, row) in database.rows() {
        let Some(class) = Model::get().class(class_name).filter(|class| !class.transient) else {
            continue;
        };
        let fields = class
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| !super::relations::is_mirror(class_name, &field.name))
            .filter(|(index, field)| *row.at(*index) != field.initial())
            .map(|(index, field)| (field.name.clone(), Stored::from(row.at(index))))
            .collect();
        changes.push(Change::Create {
            class: class_name.to_owned(),
            reference: reference.to_owned(),
            fields,
        });
    }
    changes
}

fn checksum(bytes: &[u8]) -> u32 {
    let first = crc32c::crc32c(&bytes[..12]);
    crc32c::crc32c_append(first, &bytes[16..])
}

/// One record as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The record.
    pub record: Record,
    /// Where a replica stands that has applied it.
    pub position: Position,
    /// The first byte after it.
    pub end: usize,
}

/// Reads the record that begins at `at` and continues `previous`; none at the end of the bytes.
///
/// A snapshot continues nothing: it may stand anywhere.
pub fn read(bytes: &[u8], at: usize, previous: &Position) -> Result<Option<Read>, JournalError> {
    if at >= bytes.len() {
        return Ok(None);
    }
    let Some((schema, payload)) = frame(&bytes[at..]) else {
        let broken = match next_frame(bytes, at + 1) {
            Some(_) => JournalError::Damaged { at },
            None => JournalError::Torn { at },
        };
        return Err(broken);
    };
    if schema > super::SCHEMA {
        return Err(JournalError::TooNew { at, schema, known: super::SCHEMA });
    }
    let record: Record =
        serde_json::from_slice(payload).map_err(|_| JournalError::Damaged { at })?;
    let end = at + HEADER + payload.len();
    let position = record.position(&bytes[at..end]);
    let continues = bytes[at + 16..at + HEADER] == previous.hash
        && record.generation == previous.generation + 1
        && record.epoch >= previous.epoch;
    if record.snapshot_of.is_none() && !continues {
        return Err(JournalError::Fork { at });
    }
    Ok(Some(Read { record, position, end }))
}

/// The schema and payload of a whole record at the head of the bytes.
fn frame(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    if bytes.get(..4)? != MAGIC {
        return None;
    }
    let length = word(8)? as usize;
    if length > MAX_PAYLOAD {
        return None;
    }
    let whole = bytes.get(..HEADER + length)?;
    (checksum(whole) == word(12)?).then_some((word(4)?, &whole[HEADER..]))
}

/// The record that stands whole at the head of the bytes, whatever came before it.
pub fn peek(bytes: &[u8]) -> Option<Record> {
    serde_json::from_slice(frame(bytes)?.1).ok()
}

/// Where the next whole record begins, at or after `from`.
fn next_frame(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at + HEADER <= bytes.len() {
        let found = bytes[at..].windows(MAGIC.len()).position(|window| window == MAGIC)?;
        at += found;
        if frame(&bytes[at..]).is_some() {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// A database that was read from a journal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replayed {
    /// The rows.
    pub database: Database,
    /// Where they stand.
    pub position: Position,
    /// The bytes that hold whole records.
    pub length: usize,
}

impl Replayed {
    /// Applies one record.
    pub fn apply(&mut self, read: &Read) {
        if read.record.snapshot_of.is_some() {
            self.database = Database::default();
        }
        self.database.apply(&read.record.changes);
        self.position = read.position;
        self.length = read.end;
    }
}

/// Replays a journal as far as it is whole; the error says why it ended before its last byte.
pub fn replay(bytes: &[u8]) -> (Replayed, Option<JournalError>) {
    let mut state = Replayed::default();
    loop {
        match read(bytes, state.length, &state.position) {
            Ok(Some(next)) => state.apply(&next),
            Ok(None) => return (state, None),
            Err(error) => return (state, Some(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Transaction;
    use crate::xenapi::Value;

    /// A journal of a snapshot and five records, with the database after each.
    fn sample() -> (Vec<u8>, Vec<(usize, Database)>) {
        let mut database = Database::default();
        let mut position = Position::default();
        let mut bytes = Vec::new();
        let mut states = Vec::new();
        for step in 0..6_u64 {
            let mut tx = Transaction::over(&database);
            let reference = format!("OpaqueRef:{step}");
            tx.create("VM", &reference, [("name_label", Value::from(format!("vm {step}")))]);
            tx.set("VM", "OpaqueRef:0", "order", step as i64);
            let record = Record {
                epoch: 1 + step / 3,
                boot: "boot".to_owned(),
                generation: position.generation + 1,
                snapshot_of: None,
                changes: tx.into_changes(),
                unknown: BTreeMap::new(),
            };
            let (encoded, next) = record.encode(&position).unwrap();
            database.apply(&record.changes);
            position = next;
            bytes.extend_from_slice(&encoded);
            if step == 2 {
                let snapshot = Record::snapshot(&database, &position, "boot");
                bytes = snapshot.encode(&position).unwrap().0;
                states.clear();
            }
            states.push((bytes.len(), database.clone()));
        }
        (bytes, states)
    }

    #[test]
    fn truncation_at_every_offset_keeps_every_whole_record_and_no_half() {
        let (bytes, states) = sample();
        for cut in 0..=bytes.len() {
            let (state, error) = replay(&bytes[..cut]);
            let whole = states.iter().rev().find(|(end, _)| *end <= cut);
            let expected = whole.map(|(_, db)| db.clone()).unwrap_or_default();
            assert_eq!(state.database, expected, "cut at {cut}");
            let clean = cut == 0 || states.iter().any(|(end, _)| *end == cut);
            assert_eq!(error.is_none(), clean, "cut at {cut}");
        }
    }

    #[test]
    fn a_flipped_byte_at_any_offset_gives_no_wrong_row_and_is_named_when_records_follow() {
        let (bytes, states) = sample();
        let last = states[states.len() - 2].0;
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x40;
            let (state, error) = replay(&broken);
            let known = state.database == Database::default()
                || states.iter().any(|(_, db)| *db == state.database);
            assert!(known, "a wrong row after a flip at {at}");
            match error {
                Some(JournalError::Damaged { at: named }) => assert!(named <= at),
                Some(JournalError::Torn { .. }) => assert!(at >= last, "flip at {at}"),
                other => panic!("flip at {at}: {other:?}"),
            }
        }
    }

    #[test]
    fn fields_of_a_newer_version_are_kept() {
        let text = r#"{"epoch":1,"boot":"b","generation":1,"changes":[],"later":{"x":1}}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        let (bytes, _) = record.encode(&Position::default()).unwrap();
        let back = read(&bytes, 0, &Position::default()).unwrap().unwrap();
        assert_eq!(back.record.unknown["later"]["x"], 1);
    }

    #[test]
    fn a_record_of_another_history_is_a_fork() {
        let (bytes, _) = sample();
        let (state, _) = replay(&bytes);
        let other = Position { hash: [7; 32], ..state.position };
        let record = Record {
            epoch: 9,
            boot: String::new(),
            generation: state.position.generation + 1,
            snapshot_of: None,
            changes: Vec::new(),
            unknown: BTreeMap::new(),
        };
        let (encoded, _) = record.encode(&other).unwrap();
        assert_eq!(read(&encoded, 0, &state.position), Err(JournalError::Fork { at: 0 }));
    }
}
