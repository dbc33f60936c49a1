//! Storage lost by all: the way into network mode, deciding there, and the way back (section 8).

use std::sync::Arc;

use super::{Node, Stage};
use crate::heartbeat::kept::Kept;
use crate::heartbeat::quorum::majority;
use crate::heartbeat::report::{DISK_LOST, WAITING};
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Mode, Slot, View};
use crate::heartbeat::vote::{Bid, Vote};

/// By so many epochs the next view is above the newest that is remembered, after the statefiles
/// have gone back in time: more views than this were not decided unseen by all who form it.
pub(super) const AFTER_REWIND: u64 = 1000;

/// The own part as an acceptor over the network. Others are told what of it is kept ([`Keeping`]).
#[derive(Debug, Clone, Default)]
pub struct Acceptor {
    /// Zero, or the epoch on top of which this host promised to decide nothing by disk.
    pub(super) promise: u64,
    pub(super) vote: Arc<Vote>,
    /// Since when a majority of the members has completed cycles again.
    pub(super) back_since: Option<Nanos>,
    /// It was lost again before all had come back.
    pub(super) lost_again: bool,
}

impl Acceptor {
    /// The part that an earlier boot has left. No vote of it counts again; its epochs do.
    pub(super) fn after(kept: &Kept) -> Self {
        let promise = kept.promise.max(kept.vote.link);
        Acceptor { promise, ..Acceptor::default() }
    }
}

impl Node {
    /// Whether the next view is decided over the network. Freshly booted hosts decide by disk
    /// whatever the last view was: nobody who entered network mode can be alive then (R7.2).
    pub(super) fn by_network(&self) -> bool {
        self.stage == Stage::Member
            && self
                .view
                .as_ref()
                .is_some_and(|view| !view.base.is_empty() && view.mode != Mode::Disk)
    }

    /// How many votes decide over the network.
    pub(super) fn network_majority(&self) -> usize {
        let base = self.view.as_ref().map_or(0, |view| view.base.len());
        let voters = self.cfg.acceptors.by_network(base);
        match self.wrong(Variant::HalfIsEnough) {
            true => voters.div_ceil(2),
            false => majority(voters),
        }
    }

    /// Whether this host has promised to decide nothing by disk on top of that epoch.
    pub(super) fn promised(&self, epoch: u64) -> bool {
        self.acceptor.promise == epoch && epoch > 0
    }

    /// The epoch of the next view: above every one that may have been decided without the disk
    /// while this host, or one that boots beside it, was away.
    pub(super) fn next_epoch(&self) -> u64 {
        let floor = |epoch: u64, promise: u64| epoch.max(if promise > 0 { promise + 1 } else { 0 });
        let mut newest = self.epoch();
        let member = self.is_member();
        if !member {
            newest = floor(newest, self.said_promise().max(self.acceptor.promise));
        }
        if !self.by_network() && self.may_be_forgotten() {
            newest += AFTER_REWIND;
        }
        for slot in self.others() {
            let Some(report) = &self.peer(slot).report else { continue };
            if !member || report.says(WAITING) {
                newest = floor(newest, report.promise);
            }
        }
        newest + 1
    }

    /// What this host says that it promised. One whose own record is newer than what the
    /// statefiles show has seen them go back in time: whatever is decided next stands far above
    /// every epoch that was forgotten with them (R2.4).
    pub(super) fn said_promise(&self) -> u64 {
        match self.past.behind.filter(|_| !self.is_member()) {
            Some(epoch) => epoch + AFTER_REWIND,
            None => self.keeping.kept.promise,
        }
    }

    /// Promises, enters and leaves network mode as the rules allow.
    pub(super) fn tick_network(&mut self, now: Nanos) {
        let Some(view) = &self.view else { return };
        let (epoch, alone) = (view.epoch, view.members.len() < 2);
        // On the way back the storage may be lost to all again: they promise once more.
        let by_network = !view.base.is_empty() && view.mode != Mode::Disk;
        if by_network || view.mode == Mode::Off {
            return self.watch_storage(now);
        }
        if alone || !self.armed {
            return;
        }
        if !self.promised(epoch) && self.storage_lost_by_all(now) {
            self.proposing.reset();
            self.acceptor.promise = epoch;
            let why = "every member has lost the storage: nothing is decided by disk any more";
            self.note(now, "promise", None, why.to_owned());
            self.keep();
        }
        if self.keeping.kept.promise == epoch && self.all_promised() {
            self.enter(now);
        }
    }

    fn all_promised(&self) -> bool {
        let Some(view) = &self.view else { return false };
        if self.wrong(Variant::EntersAlone) {
            return true;
        }
        view.members.iter().filter(|member| member.slot != self.me()).all(|member| {
            let peer = self.peer(member.slot);
            let promise = peer.report.as_ref().map_or(0, |report| report.promise);
            peer.life == member.life && promise == view.epoch
        })
    }

    /// All have promised: the next view is the same for whoever sees that, so it needs no vote.
    fn enter(&mut self, now: Nanos) {
        let Some(old) = &self.view else { return };
        let members: Vec<Slot> = old.members.iter().map(|member| member.slot).collect();
        let next = View {
            epoch: old.epoch + 1,
            mode: if old.mode == Mode::Disk { Mode::Network } else { old.mode },
            proposer: members.first().copied().unwrap_or(self.me()),
            base: members,
            ..View::clone(old)
        };
        self.adopt(now, Arc::new(next), None);
    }

    /// Since when the storage is back for a majority of the members.
    fn watch_storage(&mut self, now: Nanos) {
        let Some(view) = &self.view else { return };
        let back = view.members.iter().filter(|member| self.has_disk(now, member.slot)).count();
        let enough = back >= majority(view.members.len());
        self.acceptor.back_since = match enough {
            true => self.acceptor.back_since.or(Some(now)),
            false => None,
        };
    }

    /// Whether a host completes disk cycles, as far as known here.
    fn has_disk(&self, now: Nanos, slot: Slot) -> bool {
        let limit = self.cfg.timing.connected();
        match slot == self.me() {
            true => self.evidence_of_cycles().is_some_and(|date| now < date + limit),
            false => {
                let peer = self.peer(slot);
                peer.packet_flags & DISK_LOST == 0
                    && peer.disk_age(now).is_some_and(|age| age < limit)
            }
        }
    }

    /// Whether a host has completed a cycle that it began under the view in force.
    fn has_disk_anew(&self, now: Nanos, slot: Slot) -> bool {
        let limit = now.saturating_sub(self.adopted_at);
        let age = match slot == self.me() {
            true => self.evidence_of_cycles().map(|date| now.saturating_sub(date)),
            false => self.peer(slot).disk_age(now),
        };
        self.has_disk(now, slot) && age.is_some_and(|age| age < limit)
    }

    /// The storage is back: all members complete cycles begun under this view, or a majority has
    /// for longer than S. It counts as lost before its last sign is older than G: an old sign
    /// alone would bring the pool back at once, to lose it again, without end. What has gone back
    /// in time, or was lost again on the way back, may do so at once again: S for it, too.
    pub(super) fn storage_is_back(&self, now: Nanos) -> bool {
        let Some(view) = self.view.as_ref().filter(|view| view.mode == Mode::Network) else {
            return false;
        };
        let doubtful = self.disks.iter().any(|disk| disk.rewound.is_some());
        let doubtful = doubtful || self.acceptor.lost_again;
        let all = !doubtful && view.members.iter().all(|m| self.has_disk_anew(now, m.slot));
        let all = all || self.wrong(Variant::ReturnsAlone);
        let since = self.acceptor.back_since;
        // A statefile that went back under this view counts again only two views later.
        !self.any_rewound()
            && self.has_disk(now, self.me())
            && (all || since.is_some_and(|since| now > since + self.cfg.timing.s))
    }

    /// Whether the way back is over: every member has adopted a view in disk mode, and whoever
    /// left meanwhile is dead, so that nobody lives by a majority any more.
    pub(super) fn all_came_back(&self, view: &View) -> bool {
        let here = |slot: Slot| {
            let report = self.peer(slot).report.as_ref();
            slot == self.me() || report.is_some_and(|report| report.epoch >= view.epoch)
        };
        view.mode == Mode::Disk
            && !view.base.is_empty()
            && view.members.iter().all(|member| here(member.slot))
            && view.gone.iter().all(|gone| gone.words == 0 || self.known_proof(gone).is_some())
    }

    /// The mode of the next view and who may still live by a majority under it.
    pub(super) fn next_mode(&self, now: Nanos, old: &View) -> (Mode, Vec<Slot>) {
        if let Some(mode) = self.marks.mode {
            return (mode, old.base.clone());
        }
        if self.storage_is_back(now) {
            return (Mode::Disk, old.base.clone());
        }
        match self.all_came_back(old) {
            true => (old.mode, Vec::new()),
            false => (old.mode, old.base.clone()),
        }
    }

    /// The date of the oldest evidence of the newest majority of those who entered network mode;
    /// this host itself counts as now (R4.1).
    pub(super) fn majority_evidence(&self) -> Option<Nanos> {
        let view = self.view.as_ref()?;
        let mut dates: Vec<Nanos> = view
            .members
            .iter()
            .filter(|member| member.slot != self.me() && view.base.contains(&member.slot))
            .filter_map(|member| {
                let peer = self.peer(member.slot);
                peer.evidence.filter(|_| peer.life == member.life)
            })
            .collect();
        if self.cfg.acceptors.witness_votes(view.base.len()) {
            dates.extend(self.witness.evidence);
        }
        dates.sort_unstable_by(|a, b| b.cmp(a));
        match self.network_majority() {
            0 | 1 => Some(Nanos::MAX),
            needed => dates.get(needed - 2).copied(),
        }
    }

    /// Takes a bid of a member over the network; the answer is shown once it is kept.
    pub(super) fn take_bid(&mut self, now: Nanos, from: Slot, bid: &Bid) {
        let Some(view) = &self.view else { return };
        let entitled = self.by_network()
            && view.base.contains(&self.me())
            && view.member(from).is_some()
            && bid.link == view.epoch;
        if entitled && Arc::make_mut(&mut self.acceptor.vote).take(bid) {
            self.keep();
            self.next_beat = self.next_beat.min(now + self.cfg.timing.beat);
        }
    }

    /// Every vote that is known and kept: the own one, the members', the witness's.
    pub(super) fn votes(&self) -> impl Iterator<Item = &Vote> {
        let base = self.view.as_ref().map_or(&[][..], |view| view.base.as_slice());
        let others = self.others().filter(|slot| base.contains(slot));
        let by_network = self.by_network();
        let count = if by_network { base.len() } else { self.cfg.acceptors.statefiles };
        let witness = self.cfg.acceptors.witness_votes(count);
        others
            .filter(move |_| by_network)
            .filter_map(|slot| self.member_votes[slot.index()].as_deref())
            .chain(Some(&*self.keeping.kept.vote).filter(move |_| by_network))
            .chain(self.witness.vote.as_deref().filter(move |_| witness))
    }

    /// The vote that packets show.
    pub(super) fn vote_in_packets(&self) -> Option<Arc<Vote>> {
        let vote = &self.keeping.kept.vote;
        (self.by_network() && vote.promised.number > 0).then(|| Arc::clone(vote))
    }
}
