//! A host's part in deciding the next view on a disk: the newest decided view that it knows, and
//! its ballots for the link that follows (R3.2; the method is Disk Paxos).
//!
//! A proposer writes its ballot into its own block and reads all blocks. If nobody shows a
//! higher ballot for the same link, it takes the value of the highest accepted ballot it read,
//! or its own when there is none, accepts it in its own block and reads again. Still nobody
//! higher: the value is decided. Two proposers can so never decide differently for one link. A link
//! is known by the view that it follows, whatever epoch the next one gets: two that differ in what
//! they know of forgotten epochs ask for the same link still (found by simulation).

use std::sync::Arc;

use super::view::{Life, Slot, View};
use super::wire::{Malformed, Reader, Writer};

/// A ballot: ordered by number, then by host. The zero ballot stands for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ballot {
    /// Its number.
    pub number: u64,
    /// The slot of the host that runs it.
    pub slot: u16,
}

impl Ballot {
    pub(super) fn write(self, w: &mut Writer) {
        w.u64(self.number);
        w.u16(self.slot);
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Ballot { number: r.u64()?, slot: r.u16()? })
    }
}

/// The content of a decision block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// Grows by one with each change of the content, the same on every statefile.
    pub seq: u64,
    /// Grows by one with each write of this block on this statefile; its lowest bit names the
    /// copy, so that a torn write leaves what was acknowledged before.
    pub writes: u64,
    /// The life of the owner that wrote it.
    pub life: Life,
    /// The highest ballot that the owner started.
    pub started: Ballot,
    /// The ballot in which the owner accepted `value`.
    pub accepted: Ballot,
    /// The view accepted in that ballot.
    pub value: Option<Arc<View>>,
    /// The newest decided view that the owner knows: the ballots are about what follows it.
    pub decided: Option<Arc<View>>,
}

impl Decision {
    /// The epoch of the newest decided view, zero when there is none.
    pub fn epoch(&self) -> u64 {
        self.decided.as_ref().map_or(0, |view| view.epoch)
    }

    /// Takes over a decided view; ballots for its link are history then.
    pub fn adopt(&mut self, view: &Arc<View>) {
        if view.epoch <= self.epoch() {
            return;
        }
        self.started = Ballot::default();
        self.accepted = Ballot::default();
        self.value = None;
        self.decided = Some(Arc::clone(view));
    }

    /// Encodes the block's body.
    pub fn write(&self, w: &mut Writer) {
        w.u48(self.seq);
        w.u48(self.writes);
        self.life.write(w);
        self.started.write(w);
        self.accepted.write(w);
        w.option(self.value.as_ref(), |w, view| view.write(w));
        w.option(self.decided.as_ref(), |w, view| view.write(w));
    }

    /// Decodes a block's body; every field is checked.
    pub fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let seq = r.u48()?;
        let writes = r.u48()?;
        let life = Life::read(r)?;
        let started = Ballot::read(r)?;
        let accepted = Ballot::read(r)?;
        let value = r.option(View::read)?.map(Arc::new);
        let decided = r.option(View::read)?.map(Arc::new);
        let epoch = decided.as_ref().map_or(0, |view| view.epoch);
        let sane = accepted <= started
            && value.is_some() == (accepted.number > 0)
            && value.as_ref().is_none_or(|view| view.epoch > epoch);
        if !sane {
            return Err(Malformed);
        }
        Ok(Decision { seq, writes, life, started, accepted, value, decided })
    }
}

/// What a proposer makes of a full read of one statefile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A later view is decided already.
    Decided(Arc<View>),
    /// A host runs a higher ballot for the same link.
    Outbid(Slot, Ballot),
    /// A block that matters could not be read.
    Unclear(Slot),
    /// Nobody is higher; the highest accepted ballot and its value, if any.
    Free(Option<(Ballot, Arc<View>)>),
}

/// Judges a read for the proposer of `own` (its block as written before the read began).
/// `unclear` names hosts whose block could not be read and may take part in this link.
pub fn judge<'a>(
    own: &Decision,
    others: impl Iterator<Item = (Slot, &'a Decision)> + Clone,
    unclear: Option<Slot>,
) -> Verdict {
    let newest =
        others.clone().filter_map(|(_, d)| d.decided.as_ref()).max_by_key(|view| view.epoch);
    if let Some(view) = newest.filter(|view| view.epoch > own.epoch()) {
        return Verdict::Decided(Arc::clone(view));
    }
    if let Some(slot) = unclear {
        return Verdict::Unclear(slot);
    }
    // Ballots and what was accepted count for the link on top of the same view.
    let same = others.filter(|(_, d)| d.epoch() == own.epoch());
    if let Some((slot, d)) = same.clone().max_by_key(|(_, d)| d.started)
        && d.started > own.started
    {
        return Verdict::Outbid(slot, d.started);
    }
    let all = same.map(|(_, d)| d).chain([own]);
    let accepted = all.filter(|d| d.accepted.number > 0).max_by_key(|d| d.accepted);
    Verdict::Free(accepted.and_then(|d| d.value.clone().map(|value| (d.accepted, value))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::view::{Member, Mode};
    use uuid::Uuid;

    fn view(epoch: u64, proposer: u16) -> Arc<View> {
        let life = Life { boot: 1, session: 1 };
        let slot = Slot(proposer);
        let member = Member { slot, life, boot_id: Uuid::nil(), armed: true, weight: 0 };
        Arc::new(View {
            epoch,
            mode: Mode::Disk,
            members: vec![member],
            master: None,
            gone: Vec::new(),
            trusted: 1,
            base: Vec::new(),
            void: Vec::new(),
            proposer: slot,
        })
    }

    fn bid(number: u64, slot: u16) -> Decision {
        let decided = Some(view(4, 0));
        Decision { decided, started: Ballot { number, slot }, ..Decision::default() }
    }

    fn verdict(own: &Decision, others: &[(Slot, Decision)], unclear: Option<Slot>) -> Verdict {
        judge(own, others.iter().map(|(slot, d)| (*slot, d)), unclear)
    }

    #[test]
    fn a_higher_ballot_of_the_same_link_outbids() {
        let own = bid(1, 0);
        let higher = (Slot(1), bid(1, 1));
        let outbid = Verdict::Outbid(Slot(1), Ballot { number: 1, slot: 1 });
        assert_eq!(verdict(&own, std::slice::from_ref(&higher), None), outbid);
        let other_link = (Slot(1), Decision { decided: Some(view(3, 0)), ..bid(9, 1) });
        assert_eq!(verdict(&own, &[other_link], None), Verdict::Free(None));
    }

    #[test]
    fn the_value_of_the_highest_accepted_ballot_is_taken_over() {
        let accepted = |number, slot| Decision {
            accepted: Ballot { number, slot },
            value: Some(view(5, slot)),
            ..bid(number, slot)
        };
        let others = [(Slot(1), accepted(1, 1)), (Slot(2), accepted(2, 2))];
        let highest = Some((Ballot { number: 2, slot: 2 }, view(5, 2)));
        assert_eq!(verdict(&bid(3, 0), &others, None), Verdict::Free(highest));
    }

    #[test]
    fn a_decided_view_ends_the_attempt_and_a_broken_block_stops_it() {
        let ahead = Decision { decided: Some(view(5, 1)), ..Decision::default() };
        let decided = verdict(&bid(1, 0), &[(Slot(1), ahead)], Some(Slot(2)));
        assert_eq!(decided, Verdict::Decided(view(5, 1)));
        assert_eq!(verdict(&bid(1, 0), &[], Some(Slot(2))), Verdict::Unclear(Slot(2)));
    }
}
