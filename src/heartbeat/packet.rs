//! The heartbeat packet: fixed header, report, newest view, bid and vote, keyed code (section 10).

use std::collections::VecDeque;
use std::sync::Arc;

use uuid::Uuid;

use super::PROTOCOL;
use super::auth::{CODE_LEN, Key};
use super::report::Report;
use super::view::{MOST_HOSTS, Slot, View};
use super::vote::{Bid, Vote};
use super::wire::{Malformed, Reader, Writer};

const MAGIC: &[u8; 4] = b"XEHB";
const DOMAIN: &[u8] = b"heartbeat packet";
/// Where the sender stands: after magic, version and generation.
const SENDER_AT: usize = 4 + 2 + 16;
/// The longest packet that is looked at: the most that a datagram holds.
pub const LONGEST: usize = 65_507;

/// One heartbeat packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The pool's HA session.
    pub generation: Uuid,
    /// Who sent it: a host, or the witness.
    pub sender: Slot,
    /// The sender's report.
    pub report: Arc<Report>,
    /// The newest view that the sender has adopted, while some peer may not have it. A receiver
    /// that has not adopted the report's epoch takes nothing of a packet without it (R2.1).
    pub view: Option<Arc<View>>,
    /// What the sender asks of the acceptors, in network mode or of a witness.
    pub bid: Option<Arc<Bid>>,
    /// What the sender has promised and accepted as an acceptor.
    pub vote: Option<Arc<Vote>>,
}

/// Why a packet was not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// It is no heartbeat packet at all.
    #[error("not a heartbeat packet")]
    Foreign,
    /// Its sender speaks another version of the protocol.
    #[error("protocol version {0} is unknown here (this host speaks {PROTOCOL})")]
    Version(u16),
    /// It belongs to another pool, or to an earlier HA session of this one.
    #[error("the packet belongs to generation {0}")]
    Generation(Uuid),
    /// Its keyed code is wrong.
    #[error("the packet's keyed code is wrong")]
    Unauthentic,
    /// It is authentic, yet makes no sense.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl Packet {
    /// The packet's bytes under the pool's key.
    pub fn seal(&self, key: &Key) -> Vec<u8> {
        self.seal_over(key, Vec::new())
    }

    /// The same, in the room of a buffer whose content is over.
    pub fn seal_over(&self, key: &Key, buffer: Vec<u8>) -> Vec<u8> {
        let mut w = Writer::over(buffer);
        w.raw(MAGIC);
        w.u16(PROTOCOL);
        w.uuid(self.generation);
        w.u16(self.sender.0);
        self.report.write(&mut w);
        w.option(self.view.as_ref(), |w, view| view.write(w));
        w.option(self.bid.as_ref(), |w, bid| bid.write(w));
        w.option(self.vote.as_ref(), |w, vote| vote.write(w));
        let mut bytes = w.finish();
        let code = key.code(DOMAIN, &bytes);
        bytes.extend_from_slice(&code);
        bytes
    }

    /// Whether these bytes claim to be the witness's. Its key is another one than the session's,
    /// so the claim says which of them must fit; a host cannot speak as the witness, nor the
    /// witness as a host.
    pub fn claims_witness(bytes: &[u8]) -> bool {
        bytes.get(SENDER_AT..SENDER_AT + 2) == Some(Slot::WITNESS.0.to_le_bytes().as_slice())
    }

    /// Checks everything and gives the packet.
    pub fn open(bytes: &[u8], key: &Key, generation: Uuid) -> Result<Self, PacketError> {
        Packet::open_into(bytes, key, generation, &mut Rooms::default())
    }

    /// The same, with the report in a room that is used again once nobody holds it.
    pub fn open_into(
        bytes: &[u8],
        key: &Key,
        generation: Uuid,
        rooms: &mut Rooms,
    ) -> Result<Self, PacketError> {
        if bytes.len() > LONGEST {
            return Err(PacketError::Foreign);
        }
        let at = bytes.len().checked_sub(CODE_LEN).ok_or(PacketError::Foreign)?;
        let (body, code) = bytes.split_at(at);
        let mut r = Reader::new(body);
        if r.raw(4).ok() != Some(MAGIC.as_slice()) {
            return Err(PacketError::Foreign);
        }
        let version = r.u16()?;
        if version != PROTOCOL {
            return Err(PacketError::Version(version));
        }
        let theirs = r.uuid()?;
        if theirs != generation {
            return Err(PacketError::Generation(theirs));
        }
        if !key.accepts(DOMAIN, body, code) {
            return Err(PacketError::Unauthentic);
        }
        let sender = Slot(r.u16()?);
        let report = rooms.read(&mut r)?;
        let view = r.option(View::read)?.map(Arc::new);
        let bid = r.option(Bid::read)?.map(Arc::new);
        let vote = r.option(Vote::read)?.map(Arc::new);
        if !r.is_empty() {
            return Err(Malformed.into());
        }
        Ok(Packet { generation, sender, report, view, bid, vote })
    }
}

/// Puts a sealed packet under another key, in its place: the witness is told the same as all.
pub fn seal_again(bytes: &mut [u8], key: &Key) {
    let Some((body, code)) = bytes.split_last_chunk_mut::<CODE_LEN>() else { return };
    *code = key.code(DOMAIN, body);
}

/// Rooms for the reports of others. A node holds the newest of each host and lets go of the one
/// before: in its steady state, reading packets takes no memory.
#[derive(Debug, Default)]
pub struct Rooms {
    given: VecDeque<Arc<Report>>,
}

/// How many rooms are looked at for one that is free; the oldest come first.
const LOOKS: usize = 8;

impl Rooms {
    fn read(&mut self, r: &mut Reader<'_>) -> Result<Arc<Report>, Malformed> {
        let mut room = self.free().unwrap_or_else(|| Arc::new(Report::empty()));
        if let Some(report) = Arc::get_mut(&mut room) {
            report.read_over(r)?;
        }
        if self.given.len() < 2 * MOST_HOSTS {
            self.given.push_back(Arc::clone(&room));
        }
        Ok(room)
    }

    /// A room that nobody else holds; those that are held stay for later.
    fn free(&mut self) -> Option<Arc<Report>> {
        for _ in 0..LOOKS.min(self.given.len()) {
            let room = self.given.pop_front()?;
            if Arc::strong_count(&room) == 1 {
                return Some(room);
            }
            self.given.push_back(room);
        }
        None
    }
}
