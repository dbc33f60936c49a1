//! The statefile: blocks of whole pages, each written by its owner alone (section 10).
//!
//! The header names the pool's HA session and its hosts. Then follow one beat block for each host
//! and two copies of a decision block for each host; the copies are written in turn, so that
//! a torn write leaves the older one. Every block carries CRC32C and a keyed code bound to its
//! place, and is checked wholly before anything of it is used. Blocks are one page (4 KiB) up to
//! 35 hosts and grow by whole pages above.

use std::sync::Arc;

use uuid::Uuid;

use super::PROTOCOL;
use super::auth::{CODE_LEN, Key};
use super::decision::Decision;
use super::report::{self, Report};
use super::view::{self, MOST_HOSTS, Slot};
use super::wire::{Malformed, Reader, Writer};

/// Bytes of a page: every block is a whole number of them.
pub const PAGE: usize = 4096;
/// Bytes after a block's content: CRC and keyed code.
const TAIL: usize = 4 + CODE_LEN;
const MAGIC: &[u8; 4] = b"XESF";
/// Magic, version, kind, generation, owner, length.
const HEAD: usize = 4 + 2 + 1 + 16 + 2 + 4;
/// Bytes of a decision besides its two views.
const BALLOTS: usize = 64;

const fn pages(body: usize) -> usize {
    (HEAD + body + TAIL).div_ceil(PAGE) * PAGE
}

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
        self.decisions_at() + self.hosts * 2 * self.size(Kind::Decision(0))
    }

    /// Never: a layout has at least its header.
    pub fn is_empty(self) -> bool {
        false
    }

    /// Bytes of a block of that kind.
    pub fn size(self, kind: Kind) -> usize {
        match kind {
            Kind::Header => pages(2 + 16 * self.hosts),
            Kind::Beat => pages(report::most_bytes(self.hosts)),
            Kind::Decision(_) => pages(BALLOTS + 2 * view::most_bytes(self.hosts)),
        }
    }

    /// Where the beat blocks end and the decision blocks begin, in bytes.
    pub fn decisions_at(self) -> usize {
        self.size(Kind::Header) + self.hosts * self.size(Kind::Beat)
    }

    /// The offset of a host's block in bytes.
    pub fn offset(self, kind: Kind, slot: Slot) -> u64 {
        let at = match kind {
            Kind::Header => 0,
            Kind::Beat => self.size(Kind::Header) + slot.index() * self.size(kind),
            Kind::Decision(copy) => {
                let place = 2 * slot.index() + usize::from(copy & 1);
                self.decisions_at() + place * self.size(kind)
            }
        };
        at as u64
    }

    /// A host's block within a whole image of the statefile.
    pub fn part(self, image: &[u8], kind: Kind, slot: Slot) -> Option<&[u8]> {
        let at = usize::try_from(self.offset(kind, slot)).ok()?;
        image.get(at..at + self.size(kind))
    }
}

/// The name of a block's place: a block copied to another place is refused there.
fn domain(kind: Kind, slot: Slot) -> [u8; 4] {
    let [low, high] = slot.0.to_le_bytes();
    match kind {
        Kind::Header => [b'h', low, high, 0],
        Kind::Beat => [b'b', low, high, 0],
        Kind::Decision(copy) => [b'd', low, high, copy & 1],
    }
}

/// Wraps a body into a sealed block of `size` bytes.
pub fn seal(
    key: &Key,
    generation: Uuid,
    (kind, slot, size): (Kind, Slot, usize),
    body: impl FnOnce(&mut Writer),
) -> Result<Vec<u8>, BlockError> {
    let mut w = Writer::default();
    body(&mut w);
    let body = w.finish();
    let length = u32::try_from(body.len()).map_err(|_| BlockError::TooLong)?;
    if HEAD + body.len() + TAIL > size {
        return Err(BlockError::TooLong);
    }
    let mut w = Writer::over(Vec::with_capacity(size));
    w.raw(MAGIC);
    w.u16(PROTOCOL);
    w.u8(domain(kind, slot)[0]);
    w.uuid(generation);
    w.u16(slot.0);
    w.u32(length);
    w.raw(&body);
    let mut bytes = w.finish();
    bytes.resize(size - TAIL, 0);
    let code = key.code(&domain(kind, slot), &bytes);
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(&code);
    Ok(bytes)
}

/// What a block's first page claims before its key is known: generation and length of the body.
fn claimed(bytes: &[u8]) -> Result<(Uuid, usize), BlockError> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Err(BlockError::Blank);
    }
    let mut r = Reader::new(bytes);
    if bytes.len() < PAGE || r.raw(4)? != MAGIC {
        return Err(BlockError::Foreign);
    }
    let version = r.u16()?;
    if version != PROTOCOL {
        return Err(BlockError::Version(version));
    }
    r.u8()?;
    let generation = r.uuid()?;
    r.u16()?;
    let length = usize::try_from(r.u32()?).map_err(|_| Malformed)?;
    Ok((generation, length))
}

/// The generation that a block claims, before its key is known; for error messages only.
pub fn claimed_generation(bytes: &[u8]) -> Result<Uuid, BlockError> {
    claimed(bytes).map(|(generation, _)| generation)
}

/// The size of a whole header in bytes, as its first page claims it.
pub fn header_size(page: &[u8]) -> Result<usize, BlockError> {
    let (_, length) = claimed(page)?;
    let most = Layout { hosts: MOST_HOSTS }.size(Kind::Header);
    Some(pages(length)).filter(|size| *size <= most).ok_or(BlockError::Damaged)
}

/// Checks a block wholly and gives its body.
pub fn open<'a>(
    key: &Key,
    generation: Uuid,
    kind: Kind,
    slot: Slot,
    bytes: &'a [u8],
) -> Result<&'a [u8], BlockError> {
    let (theirs, length) = claimed(bytes)?;
    let at = bytes.len().checked_sub(TAIL).ok_or(BlockError::Foreign)?;
    let (content, tail) = bytes.split_at(at);
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
    let body = content.get(HEAD..).ok_or(Malformed)?;
    Ok(body.get(..length).ok_or(Malformed)?)
}

/// A sealed beat block.
pub fn seal_beat(
    key: &Key,
    generation: Uuid,
    layout: Layout,
    slot: Slot,
    report: &Report,
) -> Result<Vec<u8>, BlockError> {
    let place = (Kind::Beat, slot, layout.size(Kind::Beat));
    seal(key, generation, place, |w| report.write(w))
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
    layout: Layout,
    slot: Slot,
    decision: &Decision,
) -> Result<(Kind, Vec<u8>), BlockError> {
    let kind = Kind::Decision((decision.writes & 1) as u8);
    let place = (kind, slot, layout.size(kind));
    Ok((kind, seal(key, generation, place, |w| decision.write(w))?))
}

/// A host's decision block as a whole image of the statefile shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Seen {
    /// Neither copy was ever written.
    #[default]
    Blank,
    /// The newer of the readable copies; `doubtful` when the other one cannot be read, which
    /// may have been newer.
    Decision(Arc<Decision>, bool),
    /// Nothing readable, yet something was written.
    Broken,
}

impl Seen {
    /// What two copies show together.
    pub fn of(copies: [Result<Arc<Decision>, BlockError>; 2]) -> Seen {
        match copies {
            [Ok(even), Ok(odd)] => {
                let newer = if even.writes > odd.writes { even } else { odd };
                Seen::Decision(newer, false)
            }
            [Ok(one), Err(error)] | [Err(error), Ok(one)] => {
                Seen::Decision(one, error != BlockError::Blank)
            }
            [Err(BlockError::Blank), Err(BlockError::Blank)] => Seen::Blank,
            [Err(_), Err(_)] => Seen::Broken,
        }
    }

    /// The readable decision.
    pub fn decision(&self) -> Option<&Arc<Decision>> {
        match self {
            Seen::Decision(decision, _) => Some(decision),
            Seen::Blank | Seen::Broken => None,
        }
    }
}

/// One copy of a host's decision block.
pub fn open_decision_copy(
    key: &Key,
    generation: Uuid,
    (slot, copy): (Slot, u8),
    bytes: &[u8],
) -> Result<Arc<Decision>, BlockError> {
    let mut r = Reader::new(open(key, generation, Kind::Decision(copy), slot, bytes)?);
    let decision = Decision::read(&mut r)?;
    if r.is_empty() { Ok(Arc::new(decision)) } else { Err(Malformed.into()) }
}

/// The newer copy of a host's decision block.
pub fn open_decision(
    key: &Key,
    generation: Uuid,
    layout: Layout,
    slot: Slot,
    image: &[u8],
) -> Seen {
    Seen::of([0, 1].map(|copy| {
        let bytes = layout.part(image, Kind::Decision(copy), slot).ok_or(BlockError::Foreign)?;
        open_decision_copy(key, generation, (slot, copy), bytes)
    }))
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
    let layout = Layout { hosts: hosts.len() };
    let place = (Kind::Header, Slot(0), layout.size(Kind::Header));
    let mut image = seal(key, generation, place, |w| w.list(&hosts, |w, host| w.uuid(*host)))?;
    image.resize(layout.len(), 0);
    Ok(image)
}

/// The hosts that a statefile's header names, sorted.
pub fn open_header(key: &Key, generation: Uuid, bytes: &[u8]) -> Result<Vec<Uuid>, BlockError> {
    let mut r = Reader::new(open(key, generation, Kind::Header, Slot(0), bytes)?);
    let hosts = r.list(Reader::uuid)?;
    if r.is_empty() { Ok(hosts) } else { Err(Malformed.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_one_page_for_small_pools_and_grow_by_whole_pages() {
        for (hosts, beat, decision) in [(3, 1, 1), (35, 1, 1), (64, 1, 2), (1000, 5, 24)] {
            let layout = Layout { hosts };
            assert_eq!(layout.size(Kind::Beat), beat * PAGE, "beat block of {hosts} hosts");
            assert_eq!(layout.size(Kind::Decision(0)), decision * PAGE, "{hosts} hosts");
        }
    }

    #[test]
    fn a_header_of_a_thousand_hosts_tells_its_size_in_its_first_page() {
        let (key, generation) = (Key::new([1; 32]), Uuid::from_u128(9));
        let hosts: Vec<Uuid> = (0..1000).map(Uuid::from_u128).collect();
        let image = format_statefile(generation, &key, &hosts).unwrap();
        let size = header_size(&image[..PAGE]).unwrap();
        assert_eq!(open_header(&key, generation, &image[..size]).unwrap(), hosts);
    }
}
