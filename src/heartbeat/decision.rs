//! A host's part in deciding the next view on a disk: its ballots for one link of the chain and
//! the newest decided view that it knows (R3.2; the method is Disk Paxos).
//!
//! A proposer writes its ballot into its own block and reads all blocks. If nobody shows a
//! higher ballot for the same link, it takes the value of the highest accepted ballot it read,
//! or its own when there is none, accepts it in its own block and reads again. Still nobody
//! higher: the value is decided. Two proposers can so never decide differently for one link.

use super::view::{Life, Slot, View};
use super::wire::{Malformed, Reader, Writer};

/// A ballot: ordered by number, then by host. The zero ballot stands for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ballot {
    /// Its number.
    pub number: u64,
    /// The slot of the host that runs it.
    pub slot: u8,
}

/// The content of a decision block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// Grows by one with each write of this block; its lowest bit names the copy.
    pub seq: u64,
    /// The life of the owner that wrote it.
    pub life: Life,
    /// The epoch that the ballots are about.
    pub instance: u64,
    /// The highest ballot that the owner started.
    pub started: Ballot,
    /// The ballot in which the owner accepted `value`.
    pub accepted: Ballot,
    /// The view accepted in that ballot.
    pub value: Option<View>,
    /// The newest decided view that the owner knows.
    pub decided: Option<View>,
}

impl Decision {
    /// The epoch of the newest decided view, zero when there is none.
    pub fn epoch(&self) -> u64 {
        self.decided.as_ref().map_or(0, |view| view.epoch)
    }

    /// Takes over a decided view; ballots for its link are history then.
    pub fn adopt(&mut self, view: &View) {
        if view.epoch <= self.epoch() {
            return;
        }
        if self.instance <= view.epoch {
            self.instance = view.epoch + 1;
            self.started = Ballot::default();
            self.accepted = Ballot::default();
            self.value = None;
        }
        self.decided = Some(view.clone());
    }

    /// Encodes the block's body.
    pub fn write(&self, w: &mut Writer) {
        w.u64(self.seq);
        w.u64(self.life.boot);
        w.u32(self.life.session);
        w.u64(self.instance);
        for ballot in [self.started, self.accepted] {
            w.u64(ballot.number);
            w.u8(ballot.slot);
        }
        w.option(self.value.as_ref(), |w, view| view.write(w));
        w.option(self.decided.as_ref(), |w, view| view.write(w));
    }

    /// Decodes a block's body; every field is checked.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let seq = r.u64()?;
        let life = Life { boot: r.u64()?, session: r.u32()? };
        let instance = r.u64()?;
        let started = Ballot { number: r.u64()?, slot: r.u8()? };
        let accepted = Ballot { number: r.u64()?, slot: r.u8()? };
        let value = r.option(View::read)?;
        let decided = r.option(View::read)?;
        let sane = accepted <= started
            && value.is_some() == (accepted.number > 0)
            && value.as_ref().is_none_or(|view| view.epoch == instance);
        if !sane {
            return Err(Malformed);
        }
        Ok(Decision { seq, life, instance, started, accepted, value, decided })
    }
}

/// What a proposer makes of a full read of all blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A later view is decided already.
    Decided(Box<View>),
    /// A host runs a higher ballot for the same link.
    Outbid(Slot, Ballot),
    /// A block that matters could not be read.
    Unclear(Slot),
    /// Nobody is higher; the value that must be taken over, if any.
    Free(Option<Box<View>>),
}

/// Judges a read for the proposer of `own` (its block as written before the read began).
/// `unclear` names hosts whose block could not be read and may take part in this link.
pub fn judge(own: &Decision, others: &[(Slot, Decision)], unclear: &[Slot]) -> Verdict {
    let newest = others.iter().filter_map(|(_, d)| d.decided.as_ref()).max_by_key(|v| v.epoch);
    if let Some(view) = newest.filter(|view| view.epoch >= own.instance) {
        return Verdict::Decided(Box::new(view.clone()));
    }
    if let Some(slot) = unclear.first() {
        return Verdict::Unclear(*slot);
    }
    let same = || others.iter().filter(|(_, d)| d.instance == own.instance);
    if let Some((slot, d)) = same().max_by_key(|(_, d)| d.started)
        && d.started > own.started
    {
        return Verdict::Outbid(*slot, d.started);
    }
    let all = same().map(|(_, d)| d).chain([own]);
    let accepted = all.filter(|d| d.accepted.number > 0).max_by_key(|d| d.accepted);
    Verdict::Free(accepted.and_then(|d| d.value.clone()).map(Box::new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::view::{Member, Mode};
    use uuid::Uuid;

    fn view(epoch: u64, proposer: u8) -> View {
        let life = Life { boot: 1, session: 1 };
        let slot = Slot(proposer);
        let member = Member { slot, life, boot_id: Uuid::nil(), armed: true, weight: 0 };
        View {
            epoch,
            mode: Mode::Disk,
            members: vec![member],
            master: None,
            gone: Vec::new(),
            acceptors: 1,
            in_sync: 0,
            segment: 0,
            void: Vec::new(),
            proposer: slot,
        }
    }

    fn bid(number: u64, slot: u8) -> Decision {
        Decision { instance: 5, started: Ballot { number, slot }, ..Decision::default() }
    }

    #[test]
    fn a_higher_ballot_of_the_same_link_outbids() {
        let own = bid(1, 0);
        let higher = (Slot(1), bid(1, 1));
        let outbid = Verdict::Outbid(Slot(1), Ballot { number: 1, slot: 1 });
        assert_eq!(judge(&own, std::slice::from_ref(&higher), &[]), outbid);
        let other_link = (Slot(1), Decision { instance: 4, ..bid(9, 1) });
        assert_eq!(judge(&own, &[other_link], &[]), Verdict::Free(None));
    }

    #[test]
    fn the_value_of_the_highest_accepted_ballot_is_taken_over() {
        let accepted = |number, slot| Decision {
            accepted: Ballot { number, slot },
            value: Some(view(5, slot)),
            ..bid(number, slot)
        };
        let others = [(Slot(1), accepted(1, 1)), (Slot(2), accepted(2, 2))];
        let verdict = judge(&bid(3, 0), &others, &[]);
        assert_eq!(verdict, Verdict::Free(Some(Box::new(view(5, 2)))));
    }

    #[test]
    fn a_decided_view_ends_the_attempt_and_a_broken_block_stops_it() {
        let ahead = Decision { decided: Some(view(5, 1)), ..Decision::default() };
        let verdict = judge(&bid(1, 0), &[(Slot(1), ahead)], &[Slot(2)]);
        assert_eq!(verdict, Verdict::Decided(Box::new(view(5, 1))));
        assert_eq!(judge(&bid(1, 0), &[], &[Slot(2)]), Verdict::Unclear(Slot(2)));
    }
}
