//! Disk cycles: write the own blocks, read all blocks (sections 0 and 10).

use super::{CycleDone, CycleRead, Effect, Node, Stage};
use crate::heartbeat::block::{
    BLOCK, BlockError, Kind, Layout, Seen, open_beat, open_decision, open_header, seal_beat,
    seal_decision,
};
use crate::heartbeat::decision::Ballot;
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::heartbeat::view::{Life, Slot};

use super::peer::Path;

/// The state of the statefile's path.
#[derive(Debug, Default)]
pub struct Disk {
    /// The cycle in flight.
    pub in_flight: Option<Flight>,
    next_id: u64,
    /// When the next cycle is due.
    pub next_at: Nanos,
    /// Begin of the newest completed cycle (R2.3).
    pub evidence: Option<Nanos>,
    /// Begin of the read in the newest completed cycle.
    pub read_begun: Nanos,
    /// The sequence of the own beat block as last written.
    written_seq: u64,
    /// The decision block must be written.
    pub dirty: bool,
    /// The sequence of the last acknowledged write of the decision block.
    pub decision_acked: u64,
    /// How often a foreign life was found in the own block.
    foreign: u32,
    last_error: Option<Nanos>,
}

/// A cycle in flight.
#[derive(Debug)]
pub struct Flight {
    id: u64,
    decision_seq: u64,
    tombstone: bool,
    /// The ballot that stands in the block once it is done.
    pub started: Ballot,
    /// The accepted ballot that stands in the block once it is done.
    pub accepted: Ballot,
}

impl Disk {
    pub(super) fn new(now: Nanos) -> Self {
        Disk { next_at: now, ..Disk::default() }
    }
}

impl Node {
    fn layout(&self) -> Layout {
        Layout { hosts: self.cfg.hosts.len() }
    }

    pub(super) fn start_cycle_if_due(&mut self, now: Nanos) {
        if self.disk.in_flight.is_none() && (self.disk.dirty || now >= self.disk.next_at) {
            self.start_cycle(now);
        }
    }

    pub(super) fn start_cycle(&mut self, now: Nanos) {
        if self.disk.in_flight.is_some() {
            return;
        }
        let reading = matches!(self.stage, Stage::Reading { .. });
        let mut writes = Vec::new();
        if !reading && let Err(error) = self.own_blocks(now, &mut writes) {
            self.note(now, "block-too-long", Some(self.me()), error.to_string());
        }
        self.disk.next_id += 1;
        self.disk.next_at = now + self.cfg.timing.beat;
        self.disk.in_flight = Some(Flight {
            id: self.disk.next_id,
            decision_seq: self.decision.seq,
            tombstone: matches!(self.stage, Stage::Fencing { cut: true, .. }),
            started: self.decision.started,
            accepted: self.decision.accepted,
        });
        if !reading {
            self.disk.written_seq = self.seq;
        }
        let own = self.layout().offset(Kind::Beat, self.me());
        self.fx.push(Effect::Cycle { id: self.disk.next_id, own, writes });
    }

    /// The beat block first, then the decision block when it changed.
    fn own_blocks(
        &mut self,
        now: Nanos,
        writes: &mut Vec<(u64, Vec<u8>)>,
    ) -> Result<(), BlockError> {
        let report = self.sample(now);
        let (key, generation, me) = (&self.cfg.key, self.cfg.generation, self.cfg.me);
        let layout = Layout { hosts: self.cfg.hosts.len() };
        writes.push((layout.offset(Kind::Beat, me), seal_beat(key, generation, me, &report)?));
        if self.disk.dirty {
            self.decision.seq += 1;
            self.decision.life = self.life;
            let (kind, bytes) = seal_decision(key, generation, me, &self.decision)?;
            writes.push((layout.offset(kind, me), bytes));
            self.disk.dirty = false;
        }
        Ok(())
    }

    pub(super) fn finish_cycle(&mut self, now: Nanos, done: CycleDone) {
        let Some(flight) = self.disk.in_flight.take_if(|flight| flight.id == done.id) else {
            return;
        };
        if let Stage::Fencing { reset_at, cut } = &mut self.stage {
            if flight.tombstone && done.outcome.is_ok() {
                // The tombstone is on the disk: nothing to wait for.
                *reset_at = now;
            } else if *cut && !flight.tombstone {
                self.start_cycle(now);
            }
            return;
        }
        let read = match done.outcome {
            Ok(read) => read,
            Err(why) => return self.cycle_failed(now, &flight, &why),
        };
        if let Err(fault) = self.check_image(&read) {
            self.cycle_failed(now, &flight, &fault.to_string());
            return self.reading_refused(now, &fault);
        }
        if matches!(self.stage, Stage::Reading { .. }) {
            self.completed(&flight, done.begun, done.read_begun, false);
            self.take_image(now, done.ended, &read.image);
            return self.finish_reading(now, &read);
        }
        if self.cloned(&read) {
            return self.step_down(now);
        }
        self.completed(&flight, done.begun, done.read_begun, true);
        self.take_image(now, done.ended, &read.image);
        self.after_cycle(now, &flight);
    }

    fn completed(&mut self, flight: &Flight, begun: Nanos, read_begun: Nanos, wrote: bool) {
        let last = self.disk.evidence.unwrap_or(begun);
        // Time in which this host completed no cycles says nothing about the others' blocks.
        let own = begun.saturating_sub(last).min(2 * self.cfg.timing.beat);
        for peer in &mut self.peers {
            peer.block_still += own;
        }
        self.disk.evidence = Some(begun);
        self.disk.read_begun = read_begun;
        if wrote {
            self.disk.decision_acked = flight.decision_seq;
        }
    }

    fn cycle_failed(&mut self, now: Nanos, flight: &Flight, why: &str) {
        // What was to be written may or may not be there: write it again.
        self.disk.dirty |= flight.decision_seq > self.disk.decision_acked;
        self.disk.next_at = self.disk.next_at.max(now + self.cfg.timing.beat / 2);
        if self.disk.last_error.is_none_or(|at| now >= at + 10 * SECOND) {
            self.disk.last_error = Some(now);
            self.note(now, "disk-failed", Some(self.me()), why.to_owned());
        }
    }

    /// The header must be this session's, and the own block must be what was written last.
    fn check_image(&self, read: &CycleRead) -> Result<(), BlockError> {
        let (key, generation) = (&self.cfg.key, self.cfg.generation);
        let image = read.image.as_slice();
        if image.len() != self.layout().len() {
            return Err(BlockError::Foreign);
        }
        let hosts = open_header(key, generation, image.get(..BLOCK).unwrap_or_default())?;
        if hosts != self.cfg.hosts {
            return Err(BlockError::Foreign);
        }
        if self.disk.written_seq > 0 {
            let part = self.layout().part(image, Kind::Beat, self.me()).unwrap_or_default();
            let own = open_beat(key, generation, self.me(), part)?;
            if own.life == self.life && own.seq < self.disk.written_seq {
                return Err(BlockError::Damaged);
            }
        }
        Ok(())
    }

    /// Whether somebody else moves the own block (a cloned identity).
    fn cloned(&mut self, read: &CycleRead) -> bool {
        let (key, generation) = (&self.cfg.key, self.cfg.generation);
        if let Ok(found) = open_beat(key, generation, self.me(), &read.own_before) {
            let foreign = found.life != self.life || found.boot_id != self.cfg.boot_id;
            let ours_was_there = self.disk.decision_acked > 0 || self.disk.foreign > 0;
            self.disk.foreign = if foreign && ours_was_there { self.disk.foreign + 1 } else { 0 };
        }
        self.disk.foreign >= 2
    }

    /// Takes what an image of the statefile shows.
    fn take_image(&mut self, now: Nanos, ended: Nanos, image: &[u8]) {
        let (key, generation) = (self.cfg.key.clone(), self.cfg.generation);
        let layout = self.layout();
        for slot in self.others() {
            let part = layout.part(image, Kind::Beat, slot).unwrap_or_default();
            // An unreadable block is no evidence about its owner and nothing else.
            if let Ok(report) = open_beat(&key, generation, slot, part) {
                self.peers[slot.index()].take(now, &report, Path::Block(ended));
            }
        }
        for slot in self.slots() {
            self.decisions[slot.index()] = open_decision(&key, generation, layout, slot, image);
        }
        let newest = self.others().filter_map(|slot| match &self.decisions[slot.index()] {
            Seen::Decision(decision, _) => decision.decided.clone().map(|view| (slot, view)),
            _ => None,
        });
        if let Some((slot, view)) = newest.max_by_key(|(_, view)| view.epoch)
            && !matches!(self.stage, Stage::Reading { .. })
        {
            self.adopt(now, view, Some(slot));
        }
    }

    /// The highest boot number in the own blocks, and the life and boot id of the beat block.
    pub(super) fn own_past(&self, image: &[u8]) -> (u64, Option<(Life, uuid::Uuid, u64)>) {
        let (key, generation) = (&self.cfg.key, self.cfg.generation);
        let part = self.layout().part(image, Kind::Beat, self.me()).unwrap_or_default();
        let beat = open_beat(key, generation, self.me(), part).ok();
        let decision = match &self.decisions[self.me().index()] {
            Seen::Decision(decision, _) => decision.life.boot,
            _ => 0,
        };
        let boot = beat.as_ref().map_or(0, |report| report.life.boot).max(decision);
        (boot, beat.map(|report| (report.life, report.boot_id, report.seq)))
    }

    /// The decision blocks of the others, and the slots whose block may hide a ballot.
    pub(super) fn seen_decisions(
        &self,
    ) -> (Vec<(Slot, crate::heartbeat::decision::Decision)>, Vec<Slot>) {
        let mut seen = Vec::new();
        let mut unclear = Vec::new();
        for slot in self.others() {
            let acked = self.peer(slot).report.as_ref().map_or(0, |report| report.decision_seq);
            match &self.decisions[slot.index()] {
                Seen::Blank if acked == 0 => {}
                Seen::Decision(decision, doubtful) => {
                    // A copy that was never acknowledged is a torn write; nobody relied on it.
                    if *doubtful && decision.seq < acked {
                        unclear.push(slot);
                    }
                    seen.push((slot, (**decision).clone()));
                }
                Seen::Blank | Seen::Broken if acked > 0 => unclear.push(slot),
                Seen::Blank | Seen::Broken => {}
            }
        }
        (seen, unclear)
    }
}
