//! Sending and taking beats.

use super::{Effect, Node, Stage};
use crate::heartbeat::packet::{Packet, PacketError};
use crate::heartbeat::report::{
    AGENT_OK, ARMED, CANDIDATE, DISK_LOST, FORMING, HANDING_OVER, LEAVING, NEVER_MS, PeerReport,
    Report, TOMBSTONE, UNARMED, WAITING, age_ms,
};
use crate::heartbeat::timing::{MILLISECOND, Nanos, SECOND};
use crate::heartbeat::view::{Life, Slot};

use super::peer::Path;

impl Node {
    /// Whether a decided view has left that life out: it is echoed no more (R2.2).
    pub(super) fn left_out(&self, slot: Slot, life: Life) -> bool {
        let Some(view) = &self.view else { return false };
        if let Some(member) = view.member(slot) {
            return life < member.life;
        }
        view.gone(slot).is_some_and(|gone| life <= gone.member.life)
    }

    /// Samples a report: takes the next sequence (R2.1).
    pub(super) fn sample(&mut self, now: Nanos) -> Report {
        self.seq += 1;
        let peers = self.slots().map(|slot| self.peer_report(now, slot)).collect();
        let dead_within_ms = match self.stage {
            Stage::Fencing { .. } => {
                self.guard_end.map_or(0, |end| age_ms(end.saturating_sub(now) + self.cfg.step))
            }
            _ => 0,
        };
        Report {
            life: self.life,
            boot_id: self.cfg.boot_id,
            seq: self.seq,
            epoch: self.epoch(),
            flags: self.flags(now),
            disk_ms: self.disk.evidence.map_or(NEVER_MS, |at| age_ms(now.saturating_sub(at))),
            worst_gap: self.worst_gap,
            weight: self.cfg.weight,
            dead_within_ms,
            decision_seq: self.disk.decision_acked,
            heir: self.agent.heir,
            peers,
        }
    }

    fn peer_report(&self, now: Nanos, slot: Slot) -> PeerReport {
        let peer = self.peer(slot);
        let echoed = slot != self.me() && !self.left_out(slot, peer.life);
        let age = |date: Option<Nanos>| date.map_or(NEVER_MS, |at| age_ms(now.saturating_sub(at)));
        PeerReport {
            echo_life: peer.life,
            echo_seq: if echoed { peer.packet_seq } else { 0 },
            evidence_ms: age(peer.evidence),
            heard_ms: age(self.rests_on(slot)),
        }
    }

    /// The latest date on which a lease of that peer may rest as far as this host goes: its last
    /// packet taken, this host's last answer under R8.1, this host's own admission.
    pub(super) fn rests_on(&self, slot: Slot) -> Option<Nanos> {
        let peer = self.peer(slot);
        self.admitted_at
            .map(|at| at.max(peer.heard_at.unwrap_or(0)))
            .map(|at| at.max(peer.answered_lost.unwrap_or(0)))
    }

    fn flags(&self, now: Nanos) -> u32 {
        let set = |on: bool, flag: u32| if on { flag } else { 0 };
        let marks = &self.marks;
        set(self.armed, ARMED)
            | set(matches!(self.stage, Stage::Waiting), WAITING)
            | set(matches!(self.stage, Stage::Forming { .. }), FORMING)
            | set(self.disk_lost(now), DISK_LOST)
            | set(self.agent_ok(now), AGENT_OK)
            | set(marks.leaving, LEAVING)
            | set(matches!(self.stage, Stage::Fencing { cut: true, .. }), TOMBSTONE)
            | set(marks.unarmed_since.is_some(), UNARMED)
            | set(self.agent.handed_over, HANDING_OVER)
            | set(marks.candidate, CANDIDATE)
    }

    /// Whether this host has completed no disk cycle for half of S (R8.1).
    pub(super) fn disk_lost(&self, now: Nanos) -> bool {
        let since = self.disk.evidence.unwrap_or(self.started_at);
        now.saturating_sub(since) > self.cfg.timing.s / 2
    }

    pub(super) fn send_beat(&mut self, now: Nanos) {
        self.next_beat = now + self.cfg.timing.beat;
        let report = self.sample(now);
        self.sent.push_back((report.seq, now));
        let horizon = now.saturating_sub(2 * self.cfg.timing.t);
        while self.sent.front().is_some_and(|(_, at)| *at < horizon) {
            self.sent.pop_front();
        }
        if report.says(DISK_LOST) {
            for (slot, entry) in self.slots().zip(&report.peers) {
                if entry.echo_seq > 0 {
                    self.peers[slot.index()].answered_lost = Some(now);
                }
            }
        }
        let packet = Packet {
            generation: self.cfg.generation,
            sender: self.me(),
            report,
            view: self.view.clone(),
        };
        self.fx.push(Effect::Send(packet.seal(&self.cfg.key)));
    }

    pub(super) fn take_packet(&mut self, now: Nanos, bytes: &[u8]) {
        if matches!(self.stage, Stage::Reading { .. }) {
            return;
        }
        let packet = match Packet::open(bytes, &self.cfg.key, self.cfg.generation) {
            Ok(packet) => packet,
            Err(error) => return self.complain(now, &error),
        };
        let slot = packet.sender;
        if slot == self.me() || slot.index() >= self.cfg.hosts.len() {
            return;
        }
        let report = &packet.report;
        if !self.peers[slot.index()].take(now, report, Path::Packet) {
            return;
        }
        // The view first: an echo of a host that has decided me out must not count (R2.1).
        if let Some(view) = packet.view {
            self.adopt(now, view, Some(slot));
        }
        if self.left_out(slot, report.life) {
            return;
        }
        let Some(entry) = report.peers.get(self.me().index()) else { return };
        let sent = (entry.echo_life == self.life)
            .then(|| self.sent.iter().rev().find(|(seq, _)| *seq == entry.echo_seq))
            .flatten()
            .map(|(_, at)| *at);
        let peer = &mut self.peers[slot.index()];
        peer.heard_at = Some(now);
        if let Some(sent) = sent {
            let gap = sent.saturating_sub(peer.evidence.unwrap_or(sent));
            let share = gap.saturating_mul(1000) / self.cfg.timing.s;
            self.worst_gap = self.worst_gap.max(u16::try_from(share).unwrap_or(u16::MAX));
            peer.take_echo(sent, report);
        }
    }

    /// One log line a minute at most about packets that cannot be used.
    fn complain(&mut self, now: Nanos, error: &PacketError) {
        let due = self.last_complaint.is_none_or(|at| now >= at + 60 * SECOND);
        if due && *error != PacketError::Foreign {
            self.last_complaint = Some(now);
            self.note(now, "packet-refused", None, error.to_string());
        }
    }

    /// Announces a tombstone: packets at once, the block with the next cycle (R5.4).
    pub(super) fn announce_death(&mut self, now: Nanos) {
        self.send_beat(now);
        self.start_cycle(now);
    }

    /// The age in words, for sentences.
    pub(super) fn seconds(age: Nanos) -> String {
        format!("{}.{:01} s", age / SECOND, age % SECOND / (100 * MILLISECOND))
    }
}
