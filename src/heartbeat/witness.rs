//! The witness: no host, no VM, one answer. It hears hosts, votes as an acceptor where the others
//! are even in number, and tells whom it hears, so that of two halves the one that still reaches
//! the outside goes on (R3.2, R3.3, R8.3).
//!
//! It holds no lease and decides nothing by itself. What it promised is kept durably before it is
//! shown: [`Witness::take`] gives the record to be kept and the answer to be sent after that.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::kept::Kept;
use super::packet::Packet;
use super::report::{NEVER_MS, PeerReport, Report, age_ms};
use super::timing::Nanos;
use super::view::{Life, MOST_HOSTS, Slot, View};
use super::vote::Vote;

/// What the witness knows of one host.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    life: Life,
    seq: u64,
    at: Nanos,
}

/// The witness of one HA session.
#[derive(Debug)]
pub struct Witness {
    generation: Uuid,
    life: Life,
    seq: u64,
    hosts: BTreeMap<Slot, Heard>,
    view: Option<Arc<View>>,
    vote: Vote,
}

/// What follows from a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// To be kept durably before the answer is sent; none when nothing has changed.
    pub keep: Option<Kept>,
    /// The answer to the sender.
    pub answer: Packet,
}

impl Witness {
    /// The witness of a session, with what it kept before. Each start is a later life: its
    /// sequence begins anew, its promises do not.
    pub fn new(generation: Uuid, life: Life, kept: Option<Kept>) -> Self {
        let kept = kept.filter(|kept| kept.generation == generation).unwrap_or_default();
        Witness {
            generation,
            life,
            seq: 0,
            hosts: BTreeMap::new(),
            view: kept.view,
            vote: Arc::unwrap_or_clone(kept.vote),
        }
    }

    /// Takes a checked packet of a host; none when it is old or of nobody.
    pub fn take(&mut self, now: Nanos, packet: &Packet) -> Option<Reply> {
        let (slot, report) = (packet.sender, &packet.report);
        if packet.generation != self.generation || slot.index() >= MOST_HOSTS {
            return None;
        }
        let known = self.hosts.get(&slot).copied().unwrap_or_default();
        if (report.life, report.seq) <= (known.life, known.seq) {
            return None;
        }
        let newer = packet.view.as_ref().filter(|view| view.epoch > self.epoch());
        let mut changed = newer.is_some();
        if let Some(view) = newer {
            self.view = Some(Arc::clone(view));
        }
        // As with any member, the view comes first: of a sender that is ahead nothing else is
        // taken, and the answer's epoch makes it send the view (R2.1).
        if report.epoch <= self.epoch() {
            let heard = Heard { life: report.life, seq: report.seq, at: now };
            if !self.left_out(slot, report.life) {
                self.hosts.insert(slot, heard);
            }
            changed |= self.vote_on(slot, packet);
        }
        let keep = changed.then(|| Kept {
            generation: self.generation,
            view: self.view.clone(),
            vote: Arc::new(self.vote.clone()),
            ..Kept::default()
        });
        Some(Reply { keep, answer: self.answer(now) })
    }

    /// A member of the newest view may bid for the next one, also after a boot (R7.2).
    fn vote_on(&mut self, slot: Slot, packet: &Packet) -> bool {
        let Some(bid) = &packet.bid else { return false };
        let Some(view) = &self.view else { return self.vote.take(bid) };
        let member = view.member(slot).is_some_and(|member| packet.report.life >= member.life);
        let entitled = (member || view.base.contains(&slot)) && bid.link == view.epoch;
        entitled && self.vote.take(bid)
    }

    fn epoch(&self) -> u64 {
        self.view.as_ref().map_or(0, |view| view.epoch)
    }

    /// Whether the newest view has left that life out: it is echoed no more (R2.2).
    fn left_out(&self, slot: Slot, life: Life) -> bool {
        let Some(view) = &self.view else { return false };
        match view.member(slot) {
            Some(member) => life < member.life,
            None => view.gone(slot).is_some_and(|gone| life <= gone.member.life),
        }
    }

    /// What the witness says now.
    fn answer(&mut self, now: Nanos) -> Packet {
        self.seq += 1;
        let last = self.hosts.keys().next_back().map_or(0, |slot| slot.index() + 1);
        let entry = |slot: Slot| {
            let heard = self.hosts.get(&slot);
            let echo = heard.filter(|heard| !self.left_out(slot, heard.life));
            PeerReport {
                echo_life: heard.map_or(Life::default(), |heard| heard.life),
                echo_seq: echo.map_or(0, |heard| heard.seq),
                evidence_ms: NEVER_MS,
                heard_ms: heard.map_or(NEVER_MS, |heard| age_ms(now.saturating_sub(heard.at))),
                unarmed: false,
            }
        };
        let report = Report {
            life: self.life,
            seq: self.seq,
            epoch: self.epoch(),
            disk_ms: NEVER_MS,
            witness_ms: NEVER_MS,
            peers: (0..last).map(|index| entry(Slot::at(index))).collect(),
            ..Report::empty()
        };
        Packet {
            generation: self.generation,
            sender: Slot::WITNESS,
            report: Arc::new(report),
            view: self.view.clone(),
            bid: None,
            vote: Some(Arc::new(self.vote.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::decision::Ballot;
    use crate::heartbeat::view::example;
    use crate::heartbeat::vote::Bid;

    const SESSION: Uuid = Uuid::from_u128(5);

    fn packet(seq: u64, epoch: u64, view: Option<View>, bid: Option<Bid>) -> Packet {
        let mut witness = Witness::new(SESSION, Life { boot: 1, session: 1 }, None);
        let report = Report::clone(&witness.answer(0).report);
        let report = Report { seq, epoch, ..report };
        Packet {
            generation: SESSION,
            sender: Slot(0),
            report: Arc::new(report),
            view: view.map(Arc::new),
            bid: bid.map(Arc::new),
            vote: None,
        }
    }

    fn witness() -> Witness {
        Witness::new(SESSION, Life { boot: 9, session: 1 }, None)
    }

    #[test]
    fn it_echoes_whom_it_hears_and_asks_for_a_view_it_lacks() {
        let mut witness = witness();
        let behind = witness.take(10, &packet(1, 3, None, None)).unwrap();
        assert_eq!((behind.answer.report.epoch, behind.answer.report.peers.len()), (0, 0));
        let told = witness.take(20, &packet(2, 3, Some(example(3)), None)).unwrap();
        assert_eq!(told.answer.report.epoch, 3);
        assert_eq!(told.answer.report.peers[0].echo_seq, 2);
        assert!(told.keep.is_some(), "the view is kept");
        assert_eq!(witness.take(30, &packet(2, 3, None, None)), None, "an old packet");
    }

    #[test]
    fn a_host_decided_out_is_echoed_no_more() {
        let mut witness = witness();
        witness.take(10, &packet(1, 3, Some(example(3)), None)).unwrap();
        let mut out = example(4);
        let gone = out.members[0].clone();
        out.members[0].slot = Slot(1);
        let proof = crate::heartbeat::view::Proof::None;
        let left =
            super::super::view::Gone { member: gone, since: 4, was_master: false, proof, words: 2 };
        out.gone = vec![left];
        let mut other = packet(1, 4, Some(out), None);
        other.sender = Slot(1);
        let reply = witness.take(20, &other).unwrap();
        let entry = reply.answer.report.peers[0];
        assert_eq!((entry.echo_seq, entry.heard_ms), (0, 1), "its last word stays known");
    }

    #[test]
    fn promises_outlive_a_restart_and_refuse_lower_ballots() {
        let bid = |number| Bid { link: 3, ballot: Ballot { number, slot: 0 }, value: None };
        let mut first = witness();
        let asked = packet(1, 3, Some(example(3)), Some(bid(7)));
        let kept = first.take(10, &asked).unwrap().keep.unwrap();
        let mut again = Witness::new(SESSION, Life { boot: 10, session: 1 }, Some(kept));
        let lower = again.take(10, &packet(1, 3, None, Some(bid(6)))).unwrap();
        assert_eq!(lower.keep, None);
        assert_eq!(lower.answer.vote.unwrap().promised.number, 7);
    }
}
