//! The statefile: 4 KiB blocks, each written by its owner alone (section 10).
//!
//! Block 0 names the pool's HA session and its hosts. Then follow one beat block for each host
//! and two copies of a decision block for each host; the copies are written in turn, so that
//! a torn write leaves the older one. Every block carries CRC32C and a keyed code bound to its
//! place, and is checked wholly before anything of it is used.

use uuid::Uuid;

use super::PROTOCOL;
use super::auth::{CODE_LEN, Key};
use super::decision::Decision;
use super::report::Report;
use super::view::{MOST_HOSTS, Slot};
use super::wire::{Malformed, Reader, Writer};

/// Bytes of a block.
pub const BLOCK: usize = 4096;
/// Where the trailing CRC and keyed code begin.
const TAIL: usize = BLOCK - CODE_LEN - 4;
const MAGIC: &[u8; 4] = b"XESF";
/// Magic, version, kind, generation, owner, length.
const HEAD: usize = 4 + 2 + 1 + 16 + 1 + 2;

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Block 0: the HA session and its hosts.
    Header,
    /// A host's report.
    Beat,
    /// A host's ballots and its newest decided view, first or second copy.
    Decision(u8),
}

/// Why a block was not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Nothing was ever written there.
    #[error("the block is blank")]
    Blank,
    /// It is no block of a statefile.
    #[error("not a block of a heartbeat statefile")]
    Foreign,
    /// It was written by another version of the protocol.
    #[error("protocol version {0} is unknown here (this host speaks {PROTOCOL})")]
    Version(u16),
    /// It belongs to another pool or to an earlier HA session.
    #[error("the block belongs to generation {0}")]
    Generation(Uuid),
    /// Its checksum is wrong.
    #[error("the block's checksum is wrong")]
    Damaged,
    /// Its keyed code is wrong.
    #[error("the block's keyed code is wrong")]
    Unauthentic,
    /// It is authentic, yet makes no sense.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its content does not fit into a block.
    #[error("the content does not fit into a block")]
    TooLong,
}

/// Where things stand in a statefile for so many hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The number of hosts.
    pub hosts: usize,
}

impl Layout {
    /// Bytes that are read and written in all.
    pub fn len(self) -> usize {
        (1 + 3 * self.hosts) * BLOCK
    }

    /// Never: a layout has at least its header.
    pub fn is_empty(self) -> bool {
        false
    }

    /// The offset of a host's block in bytes.
    pub fn offset(self, kind: Kind, slot: Slot) -> u64 {
        let block = match kind {
            Kind::Header => 0,
            Kind::Beat => 1 + slot.index(),
            Kind::Decision(copy) => 1 + self.hosts + 2 * slot.index() + usize::from(copy & 1),
        };
        (block * BLOCK) as u64
    }

    /// A host's block within a whole image of the statefile.
    pub fn part(self, image: &[u8], kind: Kind, slot: Slot) -> Option<&[u8]> {
        let at = usize::try_from(self.offset(kind, slot)).ok()?;
        image.get(at..at + BLOCK)
    }
}

fn domain(kind: Kind, slot: Slot) -> [u8; 3] {
    match kind {
        Kind::Header => [b'h', slot.0, 0],
        Kind::Beat => [b'b', slot.0, 0],
        Kind::Decision(copy) => [b'd', slot.0, copy & 1],
    }
}

/// Wraps a body into a sealed block.
pub fn seal(
    key: &Key,
    generation: Uuid,
    kind: Kind,
    slot: Slot,
    body: &[u8],
) -> Result<Vec<u8>, BlockError> {
    let length = u16::try_from(body.len()).map_err(|_| BlockError::TooLong)?;
    if HEAD + body.len() > TAIL {
        return Err(BlockError::TooLong);
    }
    let mut w = Writer::default();
    w.raw(MAGIC);
    w.u16(PROTOCOL);
    w.u8(domain(kind, slot)[0]);
    w.uuid(generation);
    w.u8(slot.0);
    w.u16(length);
    w.raw(body);
    let mut bytes = w.finish();
    bytes.resize(TAIL, 0);
    let code = key.code(&domain(kind, slot), &bytes);
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&code);
    Ok(bytes)
}

/// The generation that a block claims, before its key is known; for error messages only.
pub fn claimed_generation(bytes: &[u8]) -> Result<Uuid, BlockError> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Err(BlockError::Blank);
    }
    let mut r = Reader::new(bytes);
    if bytes.len() != BLOCK || r.raw(4)? != MAGIC {
        return Err(BlockError::Foreign);
    }
    let version = r.u16()?;
    if version != PROTOCOL {
        return Err(BlockError::Version(version));
    }
    r.u8()?;
    Ok(r.uuid()?)
}

/// Checks a block wholly and gives its body.
pub fn open<'a>(
    key: &Key,
    generation: Uuid,
    kind: Kind,
    slot: Slot,
    bytes: &'a [u8],
) -> Result<&'a [u8], BlockError> {
    let theirs = claimed_generation(bytes)?;
    let (content, tail) = bytes.split_at(TAIL);
    let (crc, code) = tail.split_at(4);
    if crc32c::crc32c(content).to_le_bytes() != crc {
        return Err(BlockError::Damaged);
    }
    if theirs != generation {
        return Err(BlockError::Generation(theirs));
    }
    if !key.accepts(&domain(kind, slot), content, code) {
        return Err(BlockError::Unauthentic);
    }
    let mut r = Reader::new(content.get(HEAD - 2..).ok_or(Malformed)?);
    let length = usize::from(r.u16()?);
    Ok(r.raw(length)?)
}

/// A sealed beat block.
pub fn seal_beat(
    key: &Key,
    generation: Uuid,
    slot: Slot,
    report: &Report,
) -> Result<Vec<u8>, BlockError> {
    let mut w = Writer::default();
    report.write(&mut w);
    seal(key, generation, Kind::Beat, slot, &w.finish())
}

/// Checks a beat block and gives its report.
pub fn open_beat(
    key: &Key,
    generation: Uuid,
    slot: Slot,
    bytes: &[u8],
) -> Result<Report, BlockError> {
    let mut r = Reader::new(open(key, generation, Kind::Beat, slot, bytes)?);
    let report = Report::read(&mut r)?;
    if r.is_empty() { Ok(report) } else { Err(Malformed.into()) }
}

/// A sealed decision block; its sequence says which copy it is.
pub fn seal_decision(
    key: &Key,
    generation: Uuid,
    slot: Slot,
    decision: &Decision,
) -> Result<(Kind, Vec<u8>), BlockError> {
    let kind = Kind::Decision((decision.seq & 1) as u8);
    let mut w = Writer::default();
    decision.write(&mut w);
    Ok((kind, seal(key, generation, kind, slot, &w.finish())?))
}

/// A host's decision block as a whole image of the statefile shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Neither copy was ever written.
    Blank,
    /// The newer of the readable copies; `doubtful` when the other one cannot be read, which
    /// may have been newer.
    Decision(Box<Decision>, bool),
    /// Nothing readable, yet something was written.
    Broken,
}

/// The newer copy of a host's decision block.
pub fn open_decision(
    key: &Key,
    generation: Uuid,
    layout: Layout,
    slot: Slot,
    image: &[u8],
) -> Seen {
    let read = |copy: u8| -> Result<Decision, BlockError> {
        let kind = Kind::Decision(copy);
        let bytes = layout.part(image, kind, slot).ok_or(BlockError::Foreign)?;
        let mut r = Reader::new(open(key, generation, kind, slot, bytes)?);
        let decision = Decision::read(&mut r)?;
        if r.is_empty() { Ok(decision) } else { Err(Malformed.into()) }
    };
    match (read(0), read(1)) {
        (Ok(even), Ok(odd)) => {
            let newer = if even.seq > odd.seq { even } else { odd };
            Seen::Decision(Box::new(newer), false)
        }
        (Ok(one), Err(error)) | (Err(error), Ok(one)) => {
            Seen::Decision(Box::new(one), error != BlockError::Blank)
        }
        (Err(BlockError::Blank), Err(BlockError::Blank)) => Seen::Blank,
        (Err(_), Err(_)) => Seen::Broken,
    }
}

/// The content of a new statefile: header, and everything else blank.
pub fn format_statefile(
    generation: Uuid,
    key: &Key,
    hosts: &[Uuid],
) -> Result<Vec<u8>, BlockError> {
    let mut hosts = hosts.to_vec();
    hosts.sort();
    if hosts.len() > MOST_HOSTS {
        return Err(BlockError::TooLong);
    }
    let mut w = Writer::default();
    w.list(&hosts, |w, host| w.uuid(*host));
    let mut image = seal(key, generation, Kind::Header, Slot(0), &w.finish())?;
    image.resize(Layout { hosts: hosts.len() }.len(), 0);
    Ok(image)
}

/// The hosts that a statefile's header names, sorted.
pub fn open_header(key: &Key, generation: Uuid, bytes: &[u8]) -> Result<Vec<Uuid>, BlockError> {
    let mut r = Reader::new(open(key, generation, Kind::Header, Slot(0), bytes)?);
    let hosts = r.list(Reader::uuid)?;
    if r.is_empty() { Ok(hosts) } else { Err(Malformed.into()) }
}
