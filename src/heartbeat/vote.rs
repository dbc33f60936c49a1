//! Deciding without a disk: members, and the witness, are acceptors that keep their promises
//! durably (R8.3). A proposer's bid travels in its packets; each acceptor's vote in its own.
//!
//! It is the classical method: a promise to a ballot refuses every lower one; whoever asks for
//! the next view takes over the value of the highest ballot that its majority has accepted.
//! Together with [`super::decision`], an acceptor of either kind gives the same guarantee for
//! itself, so that a majority may be made of both kinds.

use std::sync::Arc;

use super::decision::Ballot;
use super::view::View;
use super::wire::{Malformed, Reader, Writer};

/// What a proposer asks of the acceptors.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bid {
    /// The epoch of the decided view that the link follows.
    pub link: u64,
    /// Its ballot.
    pub ballot: Ballot,
    /// Nothing in phase one; in phase two the view to be accepted.
    pub value: Option<Arc<View>>,
}

/// What an acceptor has promised and accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Vote {
    /// The epoch of the decided view that the link follows.
    pub link: u64,
    /// No lower ballot will be accepted.
    pub promised: Ballot,
    /// The highest ballot in which a value was accepted; the zero ballot when none.
    pub accepted: Ballot,
    /// The value accepted in it.
    pub value: Option<Arc<View>>,
}

impl Bid {
    pub(super) fn write(&self, w: &mut Writer) {
        w.u64(self.link);
        self.ballot.write(w);
        w.option(self.value.as_ref(), |w, view| view.write(w));
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let link = r.u64()?;
        let ballot = Ballot::read(r)?;
        let value = r.option(View::read)?.map(Arc::new);
        let sane = ballot.number > 0 && value.as_ref().is_none_or(|view| view.epoch > link);
        if sane { Ok(Bid { link, ballot, value }) } else { Err(Malformed) }
    }
}

impl Vote {
    /// Takes a bid; true when the vote has changed and must be kept before it is shown. A later
    /// link of the chain makes votes on earlier ones history: it is bid for only on top of a
    /// decided view.
    pub fn take(&mut self, bid: &Bid) -> bool {
        if bid.link < self.link {
            return false;
        }
        let mut next = match bid.link == self.link {
            true => self.clone(),
            false => Vote { link: bid.link, ..Vote::default() },
        };
        if bid.ballot < next.promised {
            return false;
        }
        next.promised = bid.ballot;
        if let Some(view) = &bid.value {
            next.accepted = bid.ballot;
            next.value = Some(Arc::clone(view));
        }
        let changed = next != *self;
        *self = next;
        changed
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.u64(self.link);
        self.promised.write(w);
        self.accepted.write(w);
        w.option(self.value.as_ref(), |w, view| view.write(w));
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let link = r.u64()?;
        let promised = Ballot::read(r)?;
        let accepted = Ballot::read(r)?;
        let value = r.option(View::read)?.map(Arc::new);
        let sane = accepted <= promised
            && value.is_some() == (accepted.number > 0)
            && value.as_ref().is_none_or(|view| view.epoch > link);
        if sane { Ok(Vote { link, promised, accepted, value }) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bid(link: u64, number: u64, value: Option<Arc<View>>) -> Bid {
        Bid { link, ballot: Ballot { number, slot: 0 }, value }
    }

    fn view(epoch: u64) -> Arc<View> {
        let view = crate::heartbeat::view::example(epoch);
        Arc::new(view)
    }

    #[test]
    fn a_promise_refuses_lower_ballots_and_keeps_what_was_accepted() {
        let mut vote = Vote::default();
        assert!(vote.take(&bid(5, 2, None)));
        assert!(!vote.take(&bid(5, 1, Some(view(5)))), "a lower ballot");
        assert!(vote.take(&bid(5, 2, Some(view(5)))));
        assert!(vote.take(&bid(5, 3, None)));
        assert_eq!((vote.accepted.number, vote.promised.number), (2, 3));
        assert!(!vote.take(&bid(5, 3, None)), "the same again changes nothing");
    }

    #[test]
    fn a_later_link_begins_anew_and_an_earlier_one_is_history() {
        let mut vote = Vote::default();
        assert!(vote.take(&bid(5, 2, Some(view(5)))));
        assert!(vote.take(&bid(6, 1, None)));
        assert_eq!((vote.accepted.number, vote.value.clone()), (0, None));
        assert!(!vote.take(&bid(5, 9, None)));
    }
}
