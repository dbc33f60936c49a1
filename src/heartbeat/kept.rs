//! What a host keeps on its own disk across boots, so that a promise outlives the one who gave
//! it: the newest view, so that a statefile that went back in time is known for what it is
//! (R2.4); the promise to decide nothing by disk and the own vote (R8.2, R8.3); who said that it
//! disarms without a decision (R9.3).

use std::sync::Arc;

use uuid::Uuid;

use super::view::{Life, Slot, View, read_slot};
use super::vote::Vote;
use super::wire::{Malformed, Reader, Writer};

/// The record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Kept {
    /// The pool's HA session that it belongs to.
    pub generation: Uuid,
    /// The highest boot number that this host has taken: a block that can no longer be read must
    /// not make a life come twice (R2.5).
    pub boot: u32,
    /// Zero, or the epoch on top of which this host promised to decide nothing by disk.
    pub promise: u64,
    /// The newest view that this host adopted.
    pub view: Option<Arc<View>>,
    /// The lives of which it has seen the mark "unarmed".
    pub unarmed: Vec<(Slot, Life)>,
    /// What this host has promised and accepted as an acceptor.
    pub vote: Arc<Vote>,
}

impl Kept {
    /// The record's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.uuid(self.generation);
        w.u32(self.boot);
        w.u64(self.promise);
        w.option(self.view.as_ref(), |w, view| view.write(w));
        w.list(&self.unarmed, |w, (slot, life)| {
            w.u16(slot.0);
            life.write(w);
        });
        self.vote.write(&mut w);
        let mut bytes = w.finish();
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a record; every field is checked.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let at = bytes.len().checked_sub(4).ok_or(Malformed)?;
        let (body, crc) = bytes.split_at(at);
        if crc32c::crc32c(body).to_le_bytes() != crc {
            return Err(Malformed);
        }
        let mut r = Reader::new(body);
        let generation = r.uuid()?;
        let boot = r.u32()?;
        let promise = r.u64()?;
        let view = r.option(View::read)?.map(Arc::new);
        let unarmed = r.list(|r| Ok((read_slot(r)?, Life::read(r)?)))?;
        let vote = Arc::new(Vote::read(&mut r)?);
        let kept = Kept { generation, boot, promise, view, unarmed, vote };
        if r.is_empty() { Ok(kept) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_a_damaged_one_is_refused() {
        let view = Some(Arc::new(crate::heartbeat::view::example(4)));
        let unarmed = vec![(Slot(2), Life { boot: 3, session: 1 })];
        let kept = Kept { view, unarmed, boot: 2, promise: 3, ..Kept::default() };
        let bytes = kept.bytes();
        assert_eq!(Kept::read(&bytes), Ok(kept));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Kept::read(&damaged), Err(Malformed), "byte {at}");
        }
    }
}
