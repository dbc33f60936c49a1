//! The heartbeat packet: fixed header, report, newest view, keyed code (section 10).

use uuid::Uuid;

use super::PROTOCOL;
use super::auth::{CODE_LEN, Key};
use super::report::Report;
use super::view::{Slot, View};
use super::wire::{Malformed, Reader, Writer};

const MAGIC: &[u8; 4] = b"XEHB";
const DOMAIN: &[u8] = b"heartbeat packet";
/// The longest packet that is looked at.
pub const LONGEST: usize = 8192;

/// One heartbeat packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The pool's HA session.
    pub generation: Uuid,
    /// Who sent it.
    pub sender: Slot,
    /// The sender's report.
    pub report: Report,
    /// The newest view that the sender has adopted.
    pub view: Option<View>,
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
        let mut w = Writer::default();
        w.raw(MAGIC);
        w.u16(PROTOCOL);
        w.uuid(self.generation);
        w.u8(self.sender.0);
        self.report.write(&mut w);
        w.option(self.view.as_ref(), |w, view| view.write(w));
        let mut bytes = w.finish();
        let code = key.code(DOMAIN, &bytes);
        bytes.extend_from_slice(&code);
        bytes
    }

    /// Checks everything and gives the packet.
    pub fn open(bytes: &[u8], key: &Key, generation: Uuid) -> Result<Self, PacketError> {
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
        let sender = Slot(r.u8()?);
        let report = Report::read(&mut r)?;
        let view = r.option(View::read)?;
        if !r.is_empty() {
            return Err(Malformed.into());
        }
        Ok(Packet { generation, sender, report, view })
    }
}
