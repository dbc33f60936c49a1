//! The living set as others may know it.

use super::{Effect, Node, Stage};
use crate::heartbeat::liveset::{DeadBoot, HostStatus, Liveness, Liveset, Phase};
use crate::heartbeat::report::{ARMED, DISK_LOST, WAITING};
use crate::heartbeat::timing::{MILLISECOND, Nanos};
use crate::heartbeat::view::{Mode, Proof, Slot};

/// What subscribers are told about; a change of it is a change of the living set.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    phase: Phase,
    epoch: u64,
    may_act: bool,
    lost: bool,
    disk: bool,
    hosts: Vec<(Liveness, bool)>,
    dead: usize,
}

impl Node {
    /// Where the node stands.
    pub fn phase(&self) -> Phase {
        match self.stage {
            Stage::Reading { .. } | Stage::Forming { .. } => Phase::Starting,
            Stage::Waiting => Phase::Waiting,
            Stage::Member if self.armed => Phase::Armed,
            Stage::Member => Phase::Starting,
            Stage::Disarmed => Phase::Disarmed,
            Stage::Fencing { .. } => Phase::Fencing,
            Stage::Failed => Phase::Off,
        }
    }

    /// The epoch of the newest decided view, zero when there is none.
    pub fn liveset_epoch(&self) -> u64 {
        self.epoch()
    }

    /// Until when this host may act as master, none when it may not (R4.4, R6.1).
    pub fn may_act_until(&self, now: Nanos) -> Option<Nanos> {
        let view = self.view.as_ref()?;
        let end = self.lease_end.filter(|end| now < *end)?;
        let may = self.is_member()
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
            storage_lost_by_all: self.storage_lost_by_all(now),
            timeout_s: self.cfg.timeout_s,
            hosts: self.slots().map(|slot| self.host_status(now, slot)).collect(),
            dead: dead.collect(),
            unknown: self.unknown(),
            events: self.events.iter().cloned().collect(),
        }
    }

    /// The newest decided view that this host has adopted.
    pub fn decided(&self) -> Option<&crate::heartbeat::View> {
        self.view.as_ref()
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
            true => self.disk.evidence.map(|at| now.saturating_sub(at)),
            false => (peer.block_seq > 0).then(|| now.saturating_sub(peer.block_seen)),
        };
        let worst = match own {
            true => self.worst_gap,
            false => peer.report.as_ref().map_or(0, |report| report.worst_gap),
        };
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
            liveness: self.liveness(now, slot),
            boot_id: boot_id.map(|id| id.to_string()),
            armed: if own { self.armed } else { peer.says(ARMED) && !peer.unarmed },
            network_age_ms: if own { Some(0) } else { peer.evidence_age(now).map(ms) },
            disk_age_ms: disk_age.map(ms),
            worst_gap_share: f64::from(worst) / 1000.0,
        }
    }

    fn liveness(&self, now: Nanos, slot: Slot) -> Liveness {
        let peer = self.peer(slot);
        let view = self.view.as_ref();
        let member = view.and_then(|view| view.member(slot));
        let suspect = self.cfg.timing.s / 2;
        let old = |age: Option<Nanos>| age.is_none_or(|age| age > suspect);
        if let Some(member) = member {
            if slot == self.me() && member.life == self.life {
                return if self.disk_lost(now) { Liveness::Partitioned } else { Liveness::Live };
            }
            let lost = peer.says(DISK_LOST) || old(peer.block_age(now));
            return match (peer.life == member.life && !old(peer.evidence_age(now)), !lost) {
                (true, true) => Liveness::Live,
                (true, false) => Liveness::Partitioned,
                (false, true) => Liveness::Isolated,
                (false, false) => Liveness::Suspect,
            };
        }
        let waits = match slot == self.me() {
            true => self.stage == Stage::Waiting,
            false => peer.says(WAITING) && !old(peer.evidence_age(now)),
        };
        let gone = view.and_then(|view| view.gone(slot));
        let dead = self.dead.iter().find(|dead| dead.slot == slot);
        match (waits, gone, dead) {
            (true, _, _) => Liveness::Waiting,
            (_, _, Some(dead)) if dead.proof == Proof::LeftEmpty => Liveness::Excluded,
            (_, _, Some(_)) => Liveness::Fenced,
            (_, Some(gone), None) if gone.proof == Proof::LeftEmpty => Liveness::Excluded,
            _ => Liveness::Failed,
        }
    }

    /// Tells the shell when something changed that subscribers care about.
    pub(super) fn show_changes(&mut self, now: Nanos) {
        let shown = Shown {
            phase: self.phase(),
            epoch: self.epoch(),
            may_act: self.may_act_until(now).is_some(),
            lost: self.storage_lost_by_all(now),
            disk: self.disk_lost(now),
            hosts: self
                .slots()
                .map(|slot| (self.liveness(now, slot), self.peer(slot).says(ARMED)))
                .collect(),
            dead: self.dead.len(),
        };
        if self.shown.as_ref() != Some(&shown) {
            self.shown = Some(shown);
            if !self.fx.contains(&Effect::Changed) {
                self.fx.push(Effect::Changed);
            }
        }
    }
}
