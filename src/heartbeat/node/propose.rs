//! When a host asks for the next view, and how it gets it decided (R3.2, R3.3, R8.3).

use std::sync::Arc;

use super::disk::Flight;
use super::{Node, Stage};
use crate::heartbeat::decision::{Ballot, Decision, Verdict, judge};
use crate::heartbeat::quorum::majority;
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Slot, View};
use crate::heartbeat::vote::{Bid, Vote};

use super::wish::Wish;

/// The own attempt to decide the next view.
#[derive(Debug, Clone, Default)]
pub struct Proposing {
    pub(super) attempt: Option<Attempt>,
    /// Back-off after a higher ballot of a live proposer, or after an attempt in vain.
    pub not_before: Option<Nanos>,
    /// Since when a wish that can wait has stood.
    pub(super) calm_since: Option<Nanos>,
}

/// One ballot on its way.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub(super) ballot: Ballot,
    /// Phase two: the value is to be accepted.
    pub(super) accepting: bool,
    /// The statefiles that have completed the present phase, as a bit each.
    pub(super) disks: u8,
    /// The highest ballot accepted before, with its value, as phase one has met it.
    pub(super) taken: Option<(Ballot, Arc<View>)>,
    pub(super) began: Nanos,
    pub(super) why: String,
}

impl Proposing {
    /// A new view has been adopted: whatever ran is history.
    pub fn reset(&mut self) {
        *self = Proposing::default();
    }

    /// Whether an attempt is under way.
    pub fn active(&self) -> bool {
        self.attempt.is_some()
    }
}

impl Node {
    /// Looks whether this host should ask for the next view.
    pub(super) fn consider(&mut self, now: Nanos) {
        let Some(wish) = self.wish(now) else {
            self.proposing.calm_since = None;
            return;
        };
        self.pursue(now, wish);
    }

    /// Whether this host can decide: it reaches a majority of those who do. After a promise
    /// nothing is decided by disk any more (R8.2).
    fn can_decide(&self, now: Nanos) -> bool {
        let limit = now.saturating_sub(self.cfg.timing.s);
        if self.by_network() {
            return self.majority_evidence().is_some_and(|date| date > limit);
        }
        let bound = self.is_member() && self.promised(self.epoch());
        let bound = bound && !self.wrong(Variant::PromiseBroken);
        !bound && self.disk_evidence().is_some_and(|date| date > limit)
    }

    /// Starts an attempt for a wish when its time has come.
    pub(super) fn pursue(&mut self, now: Nanos, wish: Wish) {
        self.give_up_if_stuck(now);
        let barred = self.proposing.not_before.is_some_and(|at| now < at);
        if self.proposing.active() || barred || self.epoch() < self.muted_epoch {
            return;
        }
        if !self.can_decide(now) {
            return;
        }
        if self.hopeless(now) {
            self.proposing.not_before = Some(now + self.cfg.timing.beat);
            return;
        }
        match wish {
            Wish::Urgent(why) => self.bid(now, why),
            Wish::Calm(why) => {
                let since = *self.proposing.calm_since.get_or_insert(now);
                if now >= since + self.rank(now) * 2 * self.cfg.timing.beat {
                    self.bid(now, why);
                }
            }
        }
    }

    /// Whether a bid could only end in nothing and disturb others: this host would not propose
    /// a view that leaves itself out, and no value accepted before waits to be taken over.
    fn hopeless(&self, now: Nanos) -> bool {
        let link = self.epoch();
        let waits = |decision: &Decision| decision.epoch() == link && decision.accepted.number > 0;
        let mut seen = (0..self.disks.len()).flat_map(|disk| self.seen_decisions(disk));
        let accepted = waits(&self.decision)
            || seen.any(|(_, decision)| waits(decision))
            || self.votes().any(|vote| vote.link == link && vote.accepted.number > 0);
        self.stage == Stage::Member && !accepted && self.next_view(now).is_none()
    }

    /// An attempt that has met no majority for long begins anew.
    fn give_up_if_stuck(&mut self, now: Nanos) {
        let limit = 12 * self.cfg.timing.beat;
        if self.proposing.attempt.as_ref().is_some_and(|attempt| now > attempt.began + limit) {
            self.back_off(now, 1);
        }
    }

    /// This host's place among those that could propose, lowest first.
    fn rank(&self, now: Nanos) -> u64 {
        if self.wrong(Variant::NoBackOff) {
            return 0;
        }
        let before = self.slots().take_while(|slot| *slot != self.me());
        before.filter(|slot| self.there(now, *slot)).count() as u64
    }

    /// Whether a peer could propose: its block moves, or in network mode it answers.
    fn there(&self, now: Nanos, slot: Slot) -> bool {
        match self.by_network() {
            true => self.peer(slot).evidence_age(now).is_some_and(|age| age < self.cfg.timing.s),
            false => self.moving(now, slot),
        }
    }

    /// Whether the peer's block was seen moving within G.
    pub(super) fn moving(&self, now: Nanos, slot: Slot) -> bool {
        self.peer(slot).block_age(now).is_some_and(|age| age < self.cfg.timing.connected())
    }

    /// Opens a ballot above every one seen for this link.
    fn bid(&mut self, now: Nanos, why: String) {
        let link = self.epoch();
        let mut highest = self.decision.started.number;
        for disk in 0..self.disks.len() {
            for (_, decision) in self.seen_decisions(disk) {
                if decision.epoch() == link {
                    highest = highest.max(decision.started.number);
                }
            }
        }
        for vote in self.votes().filter(|vote| vote.link == link) {
            highest = highest.max(vote.promised.number);
        }
        let ballot = Ballot { number: highest + 1, slot: self.me().0 };
        self.decision.started = ballot;
        self.write_decision();
        self.note(now, "proposal", None, format!("{why}; ballot {}", ballot.number));
        let attempt = Attempt { ballot, accepting: false, disks: 0, taken: None, began: now, why };
        self.proposing.attempt = Some(attempt);
        if self.wrong(Variant::PhaseOneSkipped) {
            return self.accept(now);
        }
        self.bid_by_network(now);
    }

    /// What the own attempt asks of the acceptors that vote over the network, if anything.
    pub(super) fn bid_in_packets(&self) -> Option<Arc<Bid>> {
        let attempt = self.proposing.attempt.as_ref()?;
        let statefiles = self.cfg.acceptors.statefiles;
        if !self.by_network() && !self.cfg.acceptors.witness_votes(statefiles) {
            return None;
        }
        let value = self.decision.value.clone().filter(|_| attempt.accepting);
        Some(Arc::new(Bid { link: self.epoch(), ballot: attempt.ballot, value }))
    }

    /// Asks the acceptors that vote over the network, this host among them.
    fn bid_by_network(&mut self, now: Nanos) {
        let Some(bid) = self.bid_in_packets() else { return };
        self.next_beat = now;
        if self.by_network() {
            self.take_bid(now, self.me(), &bid);
        }
    }

    /// A cycle has completed: goes on with the attempt that it wrote, if any.
    pub(super) fn after_cycle(&mut self, now: Nanos, disk: usize, flight: &Flight) {
        let Some(attempt) = &self.proposing.attempt else { return };
        if self.by_network() || !self.counts(disk) {
            return;
        }
        let (ballot, accepting) = (attempt.ballot, attempt.accepting);
        let written = if accepting { flight.accepted } else { flight.started };
        if written != ballot {
            return;
        }
        let unclear = self.unclear(now, disk);
        let mut verdict = judge(&self.decision, self.seen_decisions(disk), unclear);
        let ties =
            self.wrong(Variant::BallotTie) || accepting && self.wrong(Variant::DecidedUnread);
        if let (Verdict::Outbid(_, higher), true) = (&verdict, ties)
            && (higher.number == ballot.number || accepting)
        {
            verdict = Verdict::Free(None);
        }
        match verdict {
            Verdict::Decided(view) => self.adopt(now, view, None),
            Verdict::Outbid(slot, _) => self.outbid(now, slot),
            Verdict::Unclear(slot) => {
                self.note(now, "ballots-unclear", Some(slot), "its block is broken".to_owned());
            }
            Verdict::Free(taken) => {
                self.phase_done(now, |attempt| attempt.disks |= 1 << disk, taken)
            }
        }
    }

    /// Votes have changed: goes on with the attempt that they answer, if any.
    pub(super) fn after_votes(&mut self, now: Nanos) {
        let Some(attempt) = &self.proposing.attempt else { return };
        let (ballot, link) = (attempt.ballot, self.epoch());
        let higher = self.votes().filter(|vote| vote.link == link).map(|v| v.promised).max();
        if let Some(higher) = higher.filter(|higher| *higher > ballot) {
            return self.outbid(now, Slot(higher.slot));
        }
        let own = |vote: &&Vote| vote.link == link && vote.accepted.number > 0;
        let taken = self.votes().filter(own).max_by_key(|vote| vote.accepted);
        let taken = taken.and_then(|vote| Some((vote.accepted, vote.value.clone()?)));
        self.phase_done(now, |_| {}, taken);
    }

    /// One more acceptor has answered the present phase: with a majority of them it is over.
    fn phase_done(
        &mut self,
        now: Nanos,
        mark: impl FnOnce(&mut Attempt),
        taken: Option<(Ballot, Arc<View>)>,
    ) {
        let Some(attempt) = &mut self.proposing.attempt else { return };
        mark(attempt);
        if !attempt.accepting
            && taken.as_ref().map(|(ballot, _)| ballot)
                > attempt.taken.as_ref().map(|(ballot, _)| ballot)
        {
            attempt.taken = taken;
        }
        let accepting = attempt.accepting;
        if self.answered() < self.needed() {
            return;
        }
        if !accepting {
            return self.accept(now);
        }
        if let Some(view) = self.decision.value.clone() {
            self.adopt(now, view, None);
        }
    }

    /// How many acceptors have answered the present phase of the attempt.
    fn answered(&self) -> usize {
        let Some(attempt) = &self.proposing.attempt else { return 0 };
        let link = self.epoch();
        let says = |vote: &Vote| {
            let ballot = if attempt.accepting { vote.accepted } else { vote.promised };
            vote.link == link && ballot == attempt.ballot
        };
        if self.by_network() {
            return self.votes().filter(|vote| says(vote)).count();
        }
        let witness = self.cfg.acceptors.witness_votes(self.cfg.acceptors.statefiles);
        let voted = witness && self.witness.vote.as_deref().is_some_and(says);
        attempt.disks.count_ones() as usize + usize::from(voted)
    }

    /// How many acceptors must answer.
    fn needed(&self) -> usize {
        match self.by_network() {
            true => self.network_majority(),
            false => majority(self.cfg.acceptors.by_disk()),
        }
    }

    /// The end of phase one: a value accepted before must be taken over, else the membership
    /// is computed now, by this proposer alone.
    fn accept(&mut self, now: Nanos) {
        let Some(attempt) = &self.proposing.attempt else { return };
        let (ballot, taken) = (attempt.ballot, attempt.taken.clone());
        let taken = taken.filter(|_| !self.wrong(Variant::ForeignValueDropped));
        let next = match taken {
            Some((_, view)) => Some(view),
            None if self.view.is_none() => self.first_view(now).map(Arc::new),
            None if self.stage == Stage::Member => self.next_view(now).map(Arc::new),
            None => self.formed_view(now).map(Arc::new),
        };
        let Some(view) = next else { return self.back_off(now, 1) };
        // A host never proposes a view that leaves itself out: it waits and looks again.
        if view.member(self.me()).is_none() {
            return self.back_off(now, 2);
        }
        if self.wrong(Variant::ViewsUndecided) {
            return self.adopt(now, view, None);
        }
        self.decision.accepted = ballot;
        self.decision.value = Some(view);
        self.write_decision();
        if let Some(attempt) = &mut self.proposing.attempt {
            attempt.accepting = true;
            attempt.disks = 0;
        }
        self.bid_by_network(now);
    }

    /// A higher ballot: wait for a live proposer, overtake a dead one.
    fn outbid(&mut self, now: Nanos, slot: Slot) {
        if self.there(now, slot) && !self.wrong(Variant::NoBackOff) {
            return self.back_off(now, 2);
        }
        if let Some(attempt) = self.proposing.attempt.take() {
            self.bid(now, attempt.why);
        }
    }

    pub(super) fn back_off(&mut self, now: Nanos, cycles: u64) {
        self.proposing.attempt = None;
        let wait = (cycles + self.rank(now)) * self.cfg.timing.beat;
        self.proposing.not_before = Some(now + wait);
    }
}
