//! The living set as others may know it.

use super::{Effect, Node, Stage};
use crate::heartbeat::liveset::{
    DeadBoot, HostStatus, Liveness, Liveset, Phase, StatefileStatus, WitnessStatus,
};
use crate::heartbeat::report::{ARMED, DISK_LOST, WAITING};
use crate::heartbeat::timing::{MILLISECOND, Nanos};
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Life, Member, Mode, Proof, Slot};

/// What subscribers are told about; a change of it is a change of the living set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown {
    phase: Phase,
    epoch: u64,
    may_act: bool,
    lost: bool,
    disk: bool,
    /// A digest of how each host looks.
    hosts: u64,
    dead: usize,
}

impl Node {
    /// Where the node stands.
    pub fn phase(&self) -> Phase {
        match self.stage {
            Stage::Reading { .. } | Stage::Forming { .. } => Phase::Starting,
            Stage::Waiting | Stage::Held { .. } => Phase::Waiting,
            Stage::Member if self.stopping.is_some() => Phase::Fencing,
            // Without a lease a member may start nothing yet.
            Stage::Member if self.armed && self.lease_end.is_some() => Phase::Armed,
            Stage::Member => Phase::Starting,
            Stage::Disarmed => Phase::Disarmed,
            Stage::Fencing { .. } => Phase::Fencing,
            Stage::Failed => Phase::Off,
        }
    }

    /// Whether this life ever held a lease and has not given it back: only then can a VM run
    /// under it.
    pub fn was_leased(&self) -> bool {
        self.lease_end.is_some()
    }

    /// Whether this session has ended without VMs: a later one in the same boot is a fresh one.
    pub fn left_empty(&self) -> bool {
        self.stage == Stage::Disarmed && self.marks.leaving
    }

    /// Since when this host has been out by its own isolation response: its VMs are stopped, and
    /// it may ask to be admitted again.
    pub fn isolated_since(&self) -> Option<Nanos> {
        self.stopping.filter(|_| self.left_empty())
    }

    /// The life that this daemon has taken.
    pub fn life(&self) -> Life {
        self.life
    }

    /// The epoch of the newest decided view, zero when there is none.
    pub fn liveset_epoch(&self) -> u64 {
        self.epoch()
    }

    /// The epoch of the first view that this life is in; zero before. What a master has asked of
    /// this host before that was meant for an earlier life, which may have left as an empty host
    /// (R5.3c): none of it may take effect any more (found by simulation).
    pub fn admitted_in(&self) -> u64 {
        self.admitted_in
    }

    /// Until when this host may act as master, none when it may not (R4.4, R6.1).
    pub fn may_act_until(&self, now: Nanos) -> Option<Nanos> {
        let view = self.view.as_ref()?;
        let unchecked = self.wrong(Variant::NoLeaseCheck);
        let end = self.lease_end.filter(|end| now < *end || unchecked)?;
        let may = self.is_member()
            && self.stopping.is_none()
            // Who has said that it leaves is followed at once, by that mark alone (R5.3c).
            && !self.marks.leaving
            && self.armed
            && view.master == Some(self.me())
            && matches!(view.mode, Mode::Disk | Mode::Network)
            && view.member(self.me()).is_some_and(|member| member.armed)
            && !self.agent.handed_over
            && self.earlier_masters_dead();
        may.then_some(end)
    }

    /// The end of this host's lease, if it holds one.
    pub fn lease_end(&self) -> Option<Nanos> {
        self.lease_end.or(self.guard_end).filter(|_| self.armed)
    }

    /// The living set at the time `now`.
    pub fn liveset(&self, now: Nanos) -> Liveset {
        let view = self.view.as_ref();
        let act_until = self.may_act_until(now);
        let master = view.and_then(|view| view.master);
        let gone = || view.into_iter().flat_map(|view| &view.gone);
        let dead = self.dead.iter().filter_map(|dead| {
            let entry = gone().find(|gone| gone.member.slot == dead.slot)?;
            Some(DeadBoot {
                host: self.uuid(dead.slot),
                boot_id: entry.member.boot_id.to_string(),
                since_ns: dead.since,
                reason: dead.proof,
            })
        });
        Liveset {
            phase: self.phase(),
            epoch: self.epoch(),
            mode: view.map(|view| view.mode),
            members: view.map_or(Vec::new(), |view| {
                view.members.iter().map(|member| self.uuid(member.slot)).collect()
            }),
            master: master.map(|slot| self.uuid(slot)),
            me: Some(self.uuid(self.me())),
            is_master: master == Some(self.me()) && self.is_member(),
            may_act: act_until.is_some(),
            act_until_ns: act_until.unwrap_or(0),
            statefile_ok: !self.disk_lost(now),
            storage_lost_by_all: self.storage_lost_by_all(now) || self.by_network(),
            statefiles: self.statefiles(now),
            witness: self.cfg.acceptors.witness.then(|| WitnessStatus {
                age_ms: self.witness.evidence.map(|at| now.saturating_sub(at) / MILLISECOND),
            }),
            network: self.gaps.network.status(self.cfg.timing.s),
            statefile: self.gaps.disk.status(self.cfg.timing.s),
            last_end: None,
            not_real_time: Vec::new(),
            worst_wake_ms: 0,
            timeout_s: self.cfg.timeout_s,
            hosts: self.slots().map(|slot| self.host_status(now, slot)).collect(),
            dead: dead.collect(),
            unknown: self.unknown(),
            events: self.events.iter().cloned().collect(),
        }
    }

    /// The newest decided view that this host has adopted.
    pub fn decided(&self) -> Option<&crate::heartbeat::View> {
        self.view.as_deref()
    }

    fn statefiles(&self, now: Nanos) -> Vec<StatefileStatus> {
        let states = self.disks.iter().enumerate();
        states
            .map(|(disk, state)| StatefileStatus {
                age_ms: state.evidence.map(|at| now.saturating_sub(at) / MILLISECOND),
                trusted: self.counts(disk),
            })
            .collect()
    }

    /// The lives that this host knows to be dead: slot, boot id, proof.
    pub fn known_dead(&self) -> Vec<(Slot, uuid::Uuid, Proof)> {
        let gone = |slot: Slot| self.view.as_ref().and_then(|view| view.gone(slot));
        let known = self.dead.iter().filter_map(|dead| {
            gone(dead.slot).map(|gone| (dead.slot, gone.member.boot_id, dead.proof))
        });
        known.collect()
    }

    /// Hosts out of the view that nothing proves dead.
    fn unknown(&self) -> Vec<uuid::Uuid> {
        let Some(view) = &self.view else { return Vec::new() };
        let dead = |slot: Slot| self.dead.iter().any(|dead| dead.slot == slot);
        self.slots()
            .filter(|slot| view.member(*slot).is_none() && !dead(*slot) && *slot != self.me())
            .map(|slot| self.uuid(slot))
            .collect()
    }

    fn host_status(&self, now: Nanos, slot: Slot) -> HostStatus {
        let (peer, own) = (self.peer(slot), slot == self.me());
        let ms = |age: Nanos| age / MILLISECOND;
        let disk_age = match own {
            true => self.disk_evidence().map(|at| now.saturating_sub(at)),
            false => peer.block_age(now),
        };
        let gaps = match (own, &peer.report) {
            (true, _) => (self.gaps.network.share(), self.gaps.disk.share()),
            (false, Some(report)) => (report.network_gap, report.disk_gap),
            (false, None) => (0, 0),
        };
        let liveness = self.liveness(now, slot);
        let boot_id = match own {
            true => Some(self.cfg.boot_id),
            false => (peer.life.boot > 0).then_some(peer.boot_id),
        };
        HostStatus {
            uuid: self.uuid(slot),
            address: self
                .cfg
                .addresses
                .get(slot.index())
                .copied()
                .unwrap_or(core::net::IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED)),
            liveness,
            why: self.why(now, slot, liveness),
            links_ms: self.links.ages(slot, now).map(|(link, age)| (link, ms(age))).collect(),
            boot_id: boot_id.map(|id| id.to_string()),
            armed: if own { self.armed } else { peer.says(ARMED) && !peer.unarmed },
            network_age_ms: if own { Some(0) } else { peer.evidence_age(now).map(ms) },
            disk_age_ms: disk_age.map(ms),
            worst_gap_share: f64::from(gaps.0) / 1000.0,
            worst_disk_gap_share: f64::from(gaps.1) / 1000.0,
            braked: liveness == Liveness::Waiting && self.is_braked(slot),
        }
    }

    /// How a host looks from here.
    fn liveness(&self, now: Nanos, slot: Slot) -> Liveness {
        let peer = self.peer(slot);
        let view = self.view.as_ref();
        if let Some(member) = view.and_then(|view| view.member(slot)) {
            return self.member_liveness(now, member);
        }
        // One without a network shows by its block that it is there.
        let signs = [peer.evidence_age(now), peer.block_age(now)];
        let fresh = signs.into_iter().flatten().any(|age| age <= self.cfg.timing.s / 2);
        let waits = match slot == self.me() {
            true => matches!(self.stage, Stage::Waiting | Stage::Held { .. }),
            false => (peer.says(WAITING) || self.is_braked(slot)) && fresh,
        };
        let gone = view.and_then(|view| view.gone(slot));
        let proof = gone.and_then(|gone| self.known_proof(gone));
        match (waits, proof) {
            (true, _) => Liveness::Waiting,
            (_, Some(Proof::LeftEmpty)) => Liveness::Excluded,
            (_, Some(_)) => Liveness::Fenced,
            (_, None) => Liveness::Failed,
        }
    }

    fn member_liveness(&self, now: Nanos, member: &Member) -> Liveness {
        let half = self.cfg.timing.s / 2;
        let old = |age: Option<Nanos>| age.is_none_or(|age| age > half);
        let slot = member.slot;
        if slot == self.me() {
            let own_life = member.life == self.life;
            return match self.stage {
                Stage::Fencing { .. } => Liveness::Fenced,
                _ if !own_life => Liveness::Failed,
                _ if self.disk_lost(now) && !self.by_network() => Liveness::Suspect,
                _ => Liveness::Live,
            };
        }
        let peer = self.peer(slot);
        if peer.dead_at.is_some() && peer.life == member.life {
            return Liveness::Fenced;
        }
        let network = peer.life == member.life && !old(peer.evidence_age(now));
        let disk = !old(peer.block_age(now)) && !peer.says(DISK_LOST);
        let others = self.others().filter(|other| *other != slot);
        let seen_by_some = others.into_iter().any(|other| {
            !old(self.peer(other).evidence_age(now))
                && !old(self.peer(other).reported_age(now, slot))
        });
        match (network, disk || self.by_network(), seen_by_some) {
            (true, true, _) => Liveness::Live,
            (true, false, _) => Liveness::Suspect,
            (false, _, true) => Liveness::Partitioned,
            (false, true, false) if !self.by_network() => Liveness::Isolated,
            (false, ..) => Liveness::Failed,
        }
    }

    /// Tells the shell when something changed that subscribers care about.
    pub(super) fn show_changes(&mut self, now: Nanos) {
        let mut hosts = 0u64;
        for slot in self.slots() {
            let look = self.liveness(now, slot) as u64 * 2 + u64::from(self.peer(slot).says(ARMED));
            hosts = hosts.wrapping_mul(31).wrapping_add(look + 1);
        }
        let shown = Shown {
            phase: self.phase(),
            epoch: self.epoch(),
            may_act: self.may_act_until(now).is_some(),
            lost: self.storage_lost_by_all(now),
            disk: self.disk_lost(now),
            hosts,
            dead: self.dead.len(),
        };
        if self.shown.as_ref() != Some(&shown) {
            self.shown = Some(shown);
            if !self.fx.contains(&Effect::Changed) {
                self.fx.push(Effect::Changed);
            }
        }
    }

    /// Warns of a path that has been silent for more than half of what is harmless.
    pub(super) fn warn_of_paths(&mut self, now: Nanos) {
        let s = self.cfg.timing.s;
        let Some(view) = self.view.as_ref().filter(|_| self.is_member() && self.armed) else {
            return;
        };
        let others = view.members.iter().filter(|member| member.slot != self.me());
        let worst = others.map(|member| (self.peer(member.slot).evidence, member.slot)).min();
        if let Some((Some(date), slot)) = worst
            && self.gaps.network.warns(now, now.saturating_sub(date), s)
        {
            let age = Self::seconds(now.saturating_sub(date));
            let why = format!("no round trip with {} for {age}", self.uuid(slot));
            self.note(now, "approaching-network-timeout", Some(slot), why);
        }
        let date = self.evidence_of_cycles().unwrap_or(self.started_at);
        if self.gaps.disk.warns(now, now.saturating_sub(date), s) {
            let why = format!("no disk cycle for {}", Self::seconds(now.saturating_sub(date)));
            self.note(now, "approaching-statefile-timeout", Some(self.me()), why);
        }
    }
}
