//! Sending and taking beats.

use std::sync::Arc;

use super::{Effect, Node, Stage};
use crate::heartbeat::packet::{Packet, PacketError};
use crate::heartbeat::report::{
    AGENT_OK, ARMED, BRAKED, CANDIDATE, DISK_LOST, FORMING, FRESH, HANDING_OVER, LEAVING, NEVER_MS,
    PeerReport, Report, TOMBSTONE, UNARMED, WAITING, age_ms,
};
use crate::heartbeat::timing::{MILLISECOND, Nanos, SECOND};
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Life, Slot};

impl Node {
    /// Whether a decided view has left that life out: it is echoed no more (R2.2).
    pub(super) fn left_out(&self, slot: Slot, life: Life) -> bool {
        let Some(view) = &self.view else { return false };
        if self.wrong(Variant::EchoesTheExcluded) {
            return false;
        }
        if let Some(member) = view.member(slot) {
            return life < member.life;
        }
        view.gone(slot).is_some_and(|gone| life <= gone.member.life)
    }

    /// Samples a report: takes the next sequence (R2.1).
    pub(super) fn sample(&mut self, now: Nanos) -> Arc<Report> {
        self.seq += 1;
        let age = |date: Option<Nanos>| date.map_or(NEVER_MS, |at| age_ms(now.saturating_sub(at)));
        let dead_within_ms = match self.stage {
            Stage::Fencing { .. } => {
                self.guard_end.map_or(0, |end| age_ms(end.saturating_sub(now) + self.cfg.step))
            }
            _ => 0,
        };
        let mut report = self.spare_report();
        let fresh = Arc::make_mut(&mut report);
        let mut peers = std::mem::take(&mut fresh.peers);
        peers.clear();
        peers.extend(self.slots().map(|slot| self.peer_report(now, slot)));
        *fresh = Report {
            life: self.life,
            boot_id: self.cfg.boot_id,
            seq: self.seq,
            epoch: self.epoch(),
            flags: self.flags(now),
            disk_ms: age(self.evidence_of_cycles()),
            disks: self.cycling(now),
            rewound: self.rewound_now(),
            witness_ms: age(self.witness.evidence),
            promise: self.said_promise(),
            network_gap: self.gaps.network.share(),
            disk_gap: self.gaps.disk.share(),
            weight: self.cfg.weight,
            dead_within_ms,
            decision_seq: self.decision_acked(),
            heir: self.agent.heir,
            peers,
        };
        self.reports.push(&report);
        report
    }

    /// The disk evidence as others should know it: in network mode a statefile that went back in
    /// time shows by new cycles that it can be written again.
    pub(super) fn evidence_of_cycles(&self) -> Option<Nanos> {
        if !self.by_network() {
            return self.disk_evidence();
        }
        let mut dates: Vec<Nanos> = self.disks.iter().filter_map(|disk| disk.evidence).collect();
        dates.sort_unstable_by(|a, b| b.cmp(a));
        dates.get(self.disks.len() / 2).copied()
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
            unarmed: self.keeping.kept.unarmed.contains(&(slot, peer.life)),
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
            | set(self.asks_to_join(now), WAITING)
            | set(matches!(self.stage, Stage::Held { .. }), BRAKED)
            | set(self.cfg.fresh, FRESH)
            | set(matches!(self.stage, Stage::Forming { .. }), FORMING)
            | set(self.disk_lost(now), DISK_LOST)
            | set(self.agent_ok(now), AGENT_OK)
            | set(marks.leaving, LEAVING)
            | set(matches!(self.stage, Stage::Fencing { cut: true, .. }), TOMBSTONE)
            | set(marks.unarmed, UNARMED)
            | set(self.agent.handed_over, HANDING_OVER)
            | set(marks.candidate, CANDIDATE)
    }

    /// Whether this host may be admitted: it waits, and where it runs VMs its lease would hold.
    fn asks_to_join(&self, now: Nanos) -> bool {
        self.stage == Stage::Waiting
            && (!self.cfg.resident || self.evidence_while_waiting(now).is_some())
    }

    /// Whether this host has completed no disk cycle for half of S (R8.1).
    pub(super) fn disk_lost(&self, now: Nanos) -> bool {
        let since = self.evidence_of_cycles().unwrap_or(self.started_at);
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
            // The answer dates from the peer's packet that it echoes: saying the same again
            // gives that peer nothing newer to live on.
            for (peer, entry) in self.peers.iter_mut().zip(&report.peers) {
                if entry.echo_seq > 0 {
                    peer.answered_lost = peer.heard_at;
                }
            }
        }
        let packet = Packet {
            generation: self.cfg.generation,
            sender: self.me(),
            report,
            view: self.view.clone().filter(|_| self.somebody_lags()),
            bid: self.bid_in_packets(),
            vote: self.vote_in_packets(),
        };
        self.fx.push(Effect::Send(self.shortened(packet)));
    }

    /// Whether a peer, or the witness, is not known to have adopted the newest view.
    fn somebody_lags(&self) -> bool {
        let epoch = self.epoch();
        let lags = |report: &Option<Arc<Report>>| {
            report.as_ref().is_none_or(|report| report.epoch < epoch)
        };
        self.others().any(|slot| lags(&self.peer(slot).report))
            || self.cfg.acceptors.witness && lags(&self.witness.report)
    }

    /// In pools so large that view, bid and vote do not fit into one datagram together, the
    /// packets take turns.
    fn shortened(&self, mut packet: Packet) -> Packet {
        if self.cfg.hosts.len() > 300 && (packet.bid.is_some() || packet.vote.is_some()) {
            match packet.report.seq % 3 {
                0 => (packet.bid, packet.vote) = (None, None),
                1 => (packet.view, packet.vote) = (None, None),
                _ => (packet.view, packet.bid) = (None, None),
            }
        }
        packet
    }

    pub(super) fn take_packet(&mut self, now: Nanos, link: u8, packet: &Packet) {
        if matches!(self.stage, Stage::Reading { .. }) {
            return;
        }
        let (slot, report) = (packet.sender, &packet.report);
        if slot == Slot::WITNESS {
            if let Some(view) = &packet.view {
                self.adopt(now, Arc::clone(view), Some(slot));
            }
            if report.epoch <= self.epoch() {
                self.take_witness(now, packet);
            }
            return;
        }
        if slot == self.me() || slot.index() >= self.cfg.hosts.len() {
            return;
        }
        let early = self.wrong(Variant::EchoBeforeView);
        // The view first: an echo of a host that has decided me out must not count (R2.1).
        if let (Some(view), false) = (&packet.view, early)
            && report.life >= self.peer(slot).life
        {
            self.adopt(now, Arc::clone(view), Some(slot));
        }
        if report.epoch > self.epoch() && !early {
            return;
        }
        self.links.heard(slot, link, now);
        if !self.peers[slot.index()].take_packet(now, report) {
            return;
        }
        self.keep_unarmed(slot);
        self.take_content(now, slot, packet);
        if let (Some(view), true) = (&packet.view, early) {
            self.adopt(now, Arc::clone(view), Some(slot));
        }
    }

    /// Takes what a packet says that is newer than all before it.
    fn take_content(&mut self, now: Nanos, slot: Slot, packet: &Packet) {
        let report = &packet.report;
        self.member_votes[slot.index()].clone_from(&packet.vote);
        if self.left_out(slot, report.life) {
            return;
        }
        let Some(entry) = report.peers.get(self.me().index()) else { return };
        let sent = match self.wrong(Variant::EvidenceByReception) {
            true => Some(now),
            false if entry.echo_life == self.life => self.sent_at(entry.echo_seq),
            false => None,
        };
        let s = self.cfg.timing.s;
        let peer = &mut self.peers[slot.index()];
        peer.heard_at = Some(now);
        if let Some(sent) = sent {
            let gap = sent.saturating_sub(peer.evidence.unwrap_or(sent));
            peer.take_echo(sent, report);
            self.gaps.network.take(now, gap, now.saturating_sub(sent), s);
        }
        if let Some(bid) = &packet.bid {
            self.take_bid(now, slot, bid);
        }
        if packet.vote.is_some() {
            self.after_votes(now);
        }
    }

    /// When the own packet with that sequence was sent.
    pub(super) fn sent_at(&self, seq: u64) -> Option<Nanos> {
        let index = self.sent.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
        self.sent.get(index).map(|(_, at)| *at)
    }

    /// One log line a minute at most about packets that cannot be used.
    pub(super) fn complain(&mut self, now: Nanos, error: &PacketError) {
        let due = self.last_complaint.is_none_or(|at| now >= at + 60 * SECOND);
        if due && *error != PacketError::Foreign {
            self.last_complaint = Some(now);
            self.note(now, "packet-refused", None, error.to_string());
        }
    }

    /// Announces a tombstone: packets at once, the block with the next cycle (R5.4).
    pub(super) fn announce_death(&mut self, now: Nanos) {
        self.send_beat(now);
        self.start_cycles(now);
    }

    /// The age in words, for sentences.
    pub(super) fn seconds(age: Nanos) -> String {
        format!("{}.{:01} s", age / SECOND, age % SECOND / (100 * MILLISECOND))
    }
}
