//! Disk cycles: on each statefile, write the own blocks, then read all (sections 0 and 10).

use std::sync::Arc;

use uuid::Uuid;

use super::{CycleDone, CycleFault, CycleRead, Effect, Node, Stage};
use crate::heartbeat::block::{BlockError, Seen};
use crate::heartbeat::decision::{Ballot, Decision};
use crate::heartbeat::quorum::majority;
use crate::heartbeat::report::Report;
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Life, MOST_STATEFILES, Slot};

/// The state of one statefile's path.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    /// The cycle in flight.
    pub in_flight: Option<Flight>,
    pub(super) next_id: u64,
    /// When the next cycle is due.
    pub next_at: Nanos,
    /// Begin of the newest completed cycle.
    pub evidence: Option<Nanos>,
    /// Begin of the read in the newest completed cycle.
    pub read_begun: Nanos,
    /// The decision blocks as last read, by slot.
    pub decisions: Vec<Seen>,
    /// The sequence of the own beat block as last acknowledged.
    pub(super) written: u64,
    /// The decision block must be written.
    pub dirty: bool,
    /// The sequence of the decision that was last acknowledged.
    pub acked: u64,
    /// How often the own decision block was written; its lowest bit names the copy.
    pub writes: u64,
    /// The epoch at which it was seen to have gone back in time: what it shows counts for
    /// nothing until a later view lets it back in (R2.4).
    pub rewound: Option<u64>,
    /// How often a foreign life was found in the own block.
    pub(super) foreign: u32,
    pub(super) last_error: Option<Nanos>,
    /// The last cycle failed: the next one waits for its time, whatever there is to write.
    pub(super) failing: bool,
}

/// A cycle in flight.
#[derive(Debug, Clone)]
pub struct Flight {
    pub(super) id: u64,
    /// The sequence of the own beat block that it writes, zero when it only reads.
    pub(super) beat_seq: u64,
    pub(super) decision_seq: u64,
    pub(super) tombstone: bool,
    /// The ballot that stands in the block once it is done.
    pub started: Ballot,
    /// The accepted ballot that stands in the block once it is done.
    pub accepted: Ballot,
}

impl Disk {
    pub(super) fn new(now: Nanos, hosts: usize) -> Self {
        Disk { next_at: now, decisions: vec![Seen::Blank; hosts], ..Disk::default() }
    }
}

impl Node {
    /// Whether a statefile counts: the decided view trusts it, and it has not gone back in time.
    pub(super) fn counts(&self, disk: usize) -> bool {
        let trusted = self.view.as_ref().is_none_or(|view| view.trusted & (1 << disk) != 0);
        trusted && self.disks[disk].rewound.is_none()
    }

    /// The date of the own disk evidence: the begin of the last completed cycle on a majority of
    /// the acceptors, none while there is none (R2.3).
    pub(super) fn disk_evidence(&self) -> Option<Nanos> {
        let mut dates = [None; MOST_STATEFILES + 1];
        for (disk, date) in dates.iter_mut().enumerate().take(self.disks.len()) {
            *date = self.disks[disk].evidence.filter(|_| self.counts(disk));
        }
        if self.cfg.acceptors.witness_votes(self.disks.len()) {
            dates[self.disks.len()] = self.witness.evidence;
        }
        dates.sort_unstable_by(|a, b| b.cmp(a));
        match self.wrong(Variant::AnyDiskLives) {
            true => dates[0],
            false => dates[majority(self.cfg.acceptors.by_disk()) - 1],
        }
    }

    /// Everything that must reach the others by disk is to be written again on every statefile.
    pub(super) fn write_decision(&mut self) {
        self.decision.seq += 1;
        for disk in &mut self.disks {
            disk.dirty = true;
        }
    }

    /// The sequence of the own decision block that a majority of the statefiles hold.
    pub(super) fn decision_acked(&self) -> u64 {
        self.disks.iter().map(|disk| disk.acked).max().unwrap_or(0)
    }

    pub(super) fn start_cycles_if_due(&mut self, now: Nanos) {
        let reading = matches!(self.stage, Stage::Reading { .. });
        for disk in 0..self.disks.len() {
            let state = &self.disks[disk];
            // What is new goes out at once, but one that failed is not asked again and again.
            let due = now >= state.next_at || state.dirty && !reading && !state.failing;
            if state.in_flight.is_none() && due {
                self.start_cycle(now, disk);
            }
        }
    }

    /// Starts a cycle on every statefile that has none in flight.
    pub(super) fn start_cycles(&mut self, now: Nanos) {
        for disk in 0..self.disks.len() {
            if self.disks[disk].in_flight.is_none() {
                self.start_cycle(now, disk);
            }
        }
    }

    fn start_cycle(&mut self, now: Nanos, disk: usize) {
        let reading = matches!(self.stage, Stage::Reading { .. });
        let beat = (!reading).then(|| self.sample(now));
        let all = reading || self.proposing.active() || self.cfg.hosts.len() <= ALWAYS_ALL;
        let state = &mut self.disks[disk];
        let decision = (!reading && state.dirty).then(|| {
            self.decision.life = self.life;
            state.dirty = false;
            state.writes += 1;
            Arc::new(Decision { writes: state.writes, ..self.decision.clone() })
        });
        state.next_id += 1;
        state.next_at = now + self.cfg.timing.beat;
        state.in_flight = Some(Flight {
            id: state.next_id,
            beat_seq: beat.as_ref().map_or(0, |report| report.seq),
            decision_seq: decision.as_ref().map_or(state.acked, |decision| decision.seq),
            tombstone: matches!(self.stage, Stage::Fencing { cut: true, .. }),
            started: self.decision.started,
            accepted: self.decision.accepted,
        });
        let id = state.next_id;
        self.fx.push(Effect::Cycle { id, disk: disk as u8, beat, decision, all });
    }

    pub(super) fn finish_cycle(&mut self, now: Nanos, done: CycleDone) {
        let disk = usize::from(done.disk);
        let Some(state) = self.disks.get_mut(disk) else { return };
        let Some(flight) = state.in_flight.take_if(|flight| flight.id == done.id) else { return };
        if let Stage::Fencing { reset_at, cut } = &mut self.stage {
            if flight.tombstone && done.outcome.is_ok() {
                // The tombstone is on the disk: nothing to wait for.
                *reset_at = now;
            } else if *cut && !flight.tombstone {
                self.start_cycle(now, disk);
            }
            return;
        }
        let read = match done.outcome {
            Ok(ref read) => read,
            Err(ref fault) => return self.cycle_failed(now, disk, &flight, fault),
        };
        let reading = matches!(self.stage, Stage::Reading { .. });
        // A cycle begun while only reading wrote nothing that could be checked.
        if flight.beat_seq > 0 {
            if self.cloned(disk, read) {
                return self.step_down(now);
            }
            if let Err(fault) = self.check_own(now, disk, &flight, read) {
                return self.cycle_failed(now, disk, &flight, &fault.into());
            }
        }
        let wrong_date = self.wrong(Variant::RenewFromCycleEnd);
        let begun = if wrong_date { done.ended } else { done.begun };
        self.completed(disk, &flight, begun, &done);
        self.take_read(now, disk, done.ended, read);
        if reading {
            return self.finish_reading(now, read);
        }
        self.after_cycle(now, disk, &flight);
    }

    fn completed(&mut self, disk: usize, flight: &Flight, begun: Nanos, done: &CycleDone) {
        let state = &mut self.disks[disk];
        let gap = begun.saturating_sub(state.evidence.unwrap_or(begun));
        // Time in which this host completed no cycles says nothing about the others' blocks.
        let own = gap.min(2 * self.cfg.timing.beat);
        for peer in &mut self.peers {
            peer.blocks[disk].still += own;
        }
        state.evidence = Some(begun);
        state.failing = false;
        state.read_begun = done.read_begun;
        if flight.beat_seq > 0 {
            state.written = flight.beat_seq;
            state.acked = flight.decision_seq;
        }
        let took = done.ended.saturating_sub(done.begun);
        self.gaps.disk.take(begun, gap, took, self.cfg.timing.s);
    }

    fn cycle_failed(&mut self, now: Nanos, disk: usize, flight: &Flight, fault: &CycleFault) {
        let beat = self.cfg.timing.beat;
        let state = &mut self.disks[disk];
        // What was to be written may or may not be there: write it again.
        state.dirty |= flight.decision_seq > state.acked;
        state.failing = true;
        state.next_at = state.next_at.max(now + beat / 2);
        if state.last_error.is_none_or(|at| now >= at + 10 * SECOND) {
            state.last_error = Some(now);
            self.note(now, "disk-failed", Some(self.me()), fault.to_string());
        }
        if let CycleFault::Content(fault) = fault {
            self.reading_refused(now, fault);
        }
    }

    /// The own blocks must be what was written last; older ones show that the whole disk has
    /// gone back in time (R2.4).
    fn check_own(
        &mut self,
        now: Nanos,
        disk: usize,
        flight: &Flight,
        read: &CycleRead,
    ) -> Result<(), BlockError> {
        let (me, state) = (self.me().index(), &self.disks[disk]);
        let older = |own: &Report| {
            own.life < self.life || own.life == self.life && own.seq < flight.beat_seq
        };
        let before = |own: &Report| own.life == self.life && own.seq < state.written;
        let own_decision = read.decisions.get(me).and_then(Seen::decision);
        // An older copy beside one that was acknowledged and cannot be read any more shows damage;
        // any other older copy shows that time went back. A block that was written and is blank
        // again has gone back to before its first write.
        let acknowledged = flight.decision_seq == state.acked;
        let (ballots_back, damaged) = match read.decisions.get(me) {
            Some(Seen::Decision(own, doubtful)) => {
                let old = own.seq < flight.decision_seq;
                let damaged = old && *doubtful && acknowledged;
                (old && !damaged, damaged)
            }
            Some(Seen::Blank) => (flight.decision_seq > 0, false),
            Some(Seen::Broken) | None => (false, false),
        };
        let back = read.beats.get(me).and_then(Option::as_ref).is_some_and(|own| older(own))
            || read.own_before.as_ref().is_some_and(|own| before(own))
            || ballots_back;
        let first = state.acked == 0 && flight.decision_seq > 0;
        if let (true, true, Some(own)) = (ballots_back, first, own_decision) {
            // The first write in this life to a statefile that was not read before it: an older
            // copy stands there with a higher number. It is written over the next time.
            self.disks[disk].writes = self.disks[disk].writes.max(own.writes);
            return Err(BlockError::Damaged);
        }
        if back && !self.wrong(Variant::RewoundDiskTrusted) {
            let epoch = self.epoch();
            if self.disks[disk].rewound.is_none() {
                let why = format!("statefile {disk} shows this host's blocks as they were before");
                self.note(now, "disk-rewound", Some(self.me()), why);
            }
            let state = &mut self.disks[disk];
            state.rewound = Some(epoch);
            state.dirty = true;
            return Ok(());
        }
        if damaged {
            // What was written is not there: it is written again, and until then not counted.
            self.disks[disk].dirty = true;
            return Err(BlockError::Damaged);
        }
        match (read.beats.get(me), read.decisions.get(me)) {
            (Some(Some(_)), decision) => {
                // A copy that cannot be read any more is written anew.
                let broken = matches!(decision, Some(Seen::Broken | Seen::Decision(_, true)));
                self.disks[disk].dirty |= broken && flight.decision_seq > 0;
                Ok(())
            }
            _ => Err(BlockError::Damaged),
        }
    }

    /// Whether somebody else moves the own block (a cloned identity, S22).
    fn cloned(&mut self, disk: usize, read: &CycleRead) -> bool {
        let (life, boot_id) = (self.life, self.cfg.boot_id);
        let state = &mut self.disks[disk];
        if let Some(found) = &read.own_before {
            let foreign = found.life > life || found.life == life && found.boot_id != boot_id;
            let ours_was_there = state.written > 0 || state.foreign > 0;
            state.foreign = if foreign && ours_was_there { state.foreign + 1 } else { 0 };
        }
        state.foreign >= 2
    }

    /// Takes what a read of a statefile shows.
    fn take_read(&mut self, now: Nanos, disk: usize, ended: Nanos, read: &CycleRead) {
        for slot in self.others() {
            if let Some(Some(report)) = read.beats.get(slot.index()) {
                self.peers[slot.index()].take_block(now, report, disk, ended);
                self.keep_unarmed(slot);
            }
        }
        for (place, seen) in self.disks[disk].decisions.iter_mut().zip(&read.decisions) {
            place.clone_from(seen);
        }
        if matches!(self.stage, Stage::Reading { .. }) || self.disks[disk].rewound.is_some() {
            return;
        }
        if let Some((slot, view)) = self.newest_decided(disk) {
            self.adopt(now, view, Some(slot));
        }
    }

    /// The newest decided view that a statefile shows in another host's block.
    fn newest_decided(&self, disk: usize) -> Option<(Slot, Arc<crate::heartbeat::View>)> {
        let shown = self.others().filter_map(|slot| {
            let decision = self.disks[disk].decisions[slot.index()].decision()?;
            Some((slot, decision.decided.as_ref()?))
        });
        let (slot, view) = shown.max_by_key(|(_, view)| view.epoch)?;
        (view.epoch > self.epoch()).then(|| (slot, Arc::clone(view)))
    }

    /// The highest boot number in the own blocks of any statefile, and the life, boot id and
    /// sequence of the newest beat block.
    pub(super) fn own_past(&self, read: &CycleRead) -> (u32, Option<(Life, Uuid, u64)>) {
        let me = self.me().index();
        let beat = read.beats.get(me).and_then(Option::as_ref);
        let decision = read.decisions.get(me).and_then(Seen::decision);
        let boot = beat.map_or(0, |report| report.life.boot);
        let boot = boot.max(decision.map_or(0, |decision| decision.life.boot));
        (boot, beat.map(|report| (report.life, report.boot_id, report.seq)))
    }

    /// The decisions of the others that a statefile shows.
    pub(super) fn seen_decisions(
        &self,
        disk: usize,
    ) -> impl Iterator<Item = (Slot, &Decision)> + Clone {
        let seen = &self.disks[disk].decisions;
        self.others().filter_map(move |slot| Some((slot, &**seen[slot.index()].decision()?)))
    }

    /// A host whose block on a statefile cannot be read and may take part in this link. Whoever
    /// is no member of the predecessor bids for nothing; a member that is certainly dead bids
    /// for nothing more, and the view records its ballots void (section 10).
    pub(super) fn unclear(&self, now: Nanos, disk: usize) -> Option<Slot> {
        let member = |slot: &Slot| match &self.view {
            Some(view) => view.member(*slot).is_some(),
            None => true,
        };
        self.others()
            .filter(member)
            .find(|slot| self.hides(disk, *slot) && !self.certainly_absent(now, *slot))
    }

    /// Whether a statefile no longer shows what a host has decided or accepted.
    fn hides(&self, disk: usize, slot: Slot) -> bool {
        let acked = self.peer(slot).report.as_ref().map_or(0, |report| report.decision_seq);
        match &self.disks[disk].decisions[slot.index()] {
            // A copy that was never acknowledged is a torn write; nobody relied on it.
            Seen::Decision(decision, doubtful) => *doubtful && decision.seq < acked,
            Seen::Blank | Seen::Broken => acked > 0,
        }
    }

    /// Whether a member of the predecessor, passed over as dead, may have decided something that
    /// no statefile shows any more: its epoch must not be given again.
    pub(super) fn may_be_forgotten(&self) -> bool {
        let Some(view) = &self.view else { return false };
        let needed = self.cfg.acceptors.meeting();
        view.members.iter().filter(|member| member.slot != self.me()).any(|member| {
            // A host that has booted again says no more what its earlier life had written.
            let broken = |disk: usize| {
                self.disks[disk].decisions[member.slot.index()] == Seen::Broken
                    || self.hides(disk, member.slot)
            };
            let shows = |disk: &usize| self.counts(*disk) && !broken(*disk);
            let hidden = (0..self.disks.len()).any(broken);
            hidden && (0..self.disks.len()).filter(shows).count() < needed
        })
    }
}

/// Up to so many hosts every cycle reads every decision block; in larger pools only those that
/// beats show changed, and all of them while a view is being decided.
const ALWAYS_ALL: usize = 35;
