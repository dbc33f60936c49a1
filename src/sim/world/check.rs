//! What must hold after every event, and the first thing that did not. Only the host that took
//! a step is looked at: what the others may do by time alone is known from their own steps.

use std::fmt;

use uuid::Uuid;

use super::{BEGIN, World};
use crate::heartbeat::liveset::Phase;
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::heartbeat::view::{Life, Proof};

/// Something that must hold and did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When, in nanoseconds of the world.
    pub at: Nanos,
    /// What was seen.
    pub why: String,
    /// Whether it broke a safety property. Else the pool did not come back in its time.
    pub safety: bool,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (after {:.3} s)", self.why, since_begin(self.at))
    }
}

/// Seconds since the world began.
pub fn since_begin(at: Nanos) -> f64 {
    at.saturating_sub(BEGIN) as f64 / SECOND as f64
}

impl World {
    /// The first violation that was seen. Nothing happens in the world after it.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Takes the violation out, for whoever reports it.
    pub fn take_violation(&mut self) -> Option<Violation> {
        self.violation.take()
    }

    /// Says that something must hold; the first that does not is the violation.
    pub fn require(&mut self, holds: bool, why: impl FnOnce() -> String) {
        self.demand(holds, true, why);
    }

    /// Says that something must come true in its time (liveness).
    pub fn require_in_time(&mut self, holds: bool, why: impl FnOnce() -> String) {
        self.demand(holds, false, why);
    }

    fn demand(&mut self, holds: bool, safety: bool, why: impl FnOnce() -> String) {
        if holds || self.violation.is_some() {
            return;
        }
        let why = super::in_host_names(&why(), &self.uuids);
        self.tell(format_args!("VIOLATION: {why}"));
        self.violation = Some(Violation { at: self.now, why, safety });
    }

    /// The host has taken a step: decided views never differ, at most one host may act as
    /// master, and nobody is called dead who holds a lease, or gets one again.
    pub(super) fn check(&mut self, host: usize) {
        self.check_chain(host);
        self.check_master(host);
        self.check_own_end(host);
        self.check_dead(host);
    }

    fn check_chain(&mut self, host: usize) {
        let machine = &mut self.machines[host];
        let Some(view) = machine.node.as_ref().and_then(|node| node.decided()) else { return };
        let looked_at = (view.epoch, std::ptr::from_ref(view).addr());
        if machine.checked == looked_at {
            return;
        }
        let before = machine.checked.0;
        machine.checked = looked_at;
        let epoch = view.epoch;
        let known = self.chain.get(&epoch);
        let differs = known.filter(|known| *known != view).map(|known| {
            let names = |view: &crate::heartbeat::View| {
                let slots = view.members.iter().map(|m| format!("h{}", m.slot.0 + 1));
                slots.collect::<Vec<_>>().join(" ")
            };
            let (a, b) = (names(view), names(known));
            format!("two views of epoch {epoch}: h{} has {a}, another had {b}", host + 1)
        });
        if known.is_none() {
            self.chain.insert(epoch, view.clone());
            self.check_rest();
        }
        let differs = differs.unwrap_or_default();
        self.require(differs.is_empty(), || differs);
        self.require(epoch >= before, || {
            format!("h{} goes back from epoch {before} to epoch {epoch}", host + 1)
        });
    }

    /// Views answer events: the pool does not go round between two of them.
    fn check_rest(&mut self) {
        let (since, count) = &mut self.views;
        if self.now >= *since + 5 * SECOND {
            (*since, *count) = (self.now, 0);
        }
        *count += 1;
        let most = 20 + 2 * self.machines.len() as u32;
        let restless = *count > most;
        self.require_in_time(!restless, || "view follows upon view without end".to_owned());
    }

    fn check_master(&mut self, host: usize) {
        let now = self.clock(host);
        let node = self.machines[host].node.as_ref();
        let until = node.and_then(|node| node.may_act_until(now));
        self.machines[host].acts_until = match until {
            None => 0,
            // Whoever does not look at its lease acts until somebody stops it.
            Some(end) if end <= now => Nanos::MAX,
            Some(end) => self.world_time(host, end),
        };
        if until.is_none() {
            return;
        }
        self.named_master = Some(host);
        let others = (0..self.machines.len()).filter(|other| *other != host);
        if let Some(other) = others.into_iter().find(|other| self.acts(*other)) {
            self.require(false, || format!("two masters: h{} and h{}", host + 1, other + 1));
        }
    }

    /// A life that was called dead while it held no lease must never get one.
    fn check_own_end(&mut self, host: usize) {
        if self.over.is_empty() {
            return;
        }
        let machine = &self.machines[host];
        let Some(life) = machine.node.as_ref().map(|node| node.life()) else { return };
        if self.over.contains(&(host, machine.boot_id, life)) {
            let holds = self.holds_lease(host);
            self.require(!holds, || {
                format!("h{} gets a lease in a life that was called dead", host + 1)
            });
        }
    }

    fn check_dead(&mut self, host: usize) {
        let Some(node) = &self.machines[host].node else { return };
        let known = node.known_dead();
        if known.is_empty() {
            return;
        }
        let gone = |slot| node.decided().and_then(|view| view.gone(slot));
        let known: Vec<_> = known
            .into_iter()
            .filter_map(|(slot, boot, proof)| Some((slot, boot, gone(slot)?.member.life, proof)))
            .collect();
        for (slot, boot_id, life, proof) in known {
            self.check_dead_one(host, slot.index(), (boot_id, life), proof);
        }
    }

    fn check_dead_one(
        &mut self,
        host: usize,
        other: usize,
        (boot_id, life): (Uuid, Life),
        proof: Proof,
    ) {
        let machine = &self.machines[other];
        let later = machine.node.as_ref().is_some_and(|node| node.life() > life);
        let ended = machine.boot_id != boot_id || !machine.alive || later;
        if ended || machine.risk_taken {
            return;
        }
        // What left empty may come back in the same boot, in a later session.
        if proof == Proof::Operator {
            return;
        }
        if proof == Proof::LeftEmpty {
            let empty = machine.guests.executing.is_empty();
            return self.require(empty, || {
                format!("h{} runs VMs and h{} was told that it left empty", other + 1, host + 1)
            });
        }
        let holds = self.holds_lease(other);
        self.require(!holds, || {
            let (a, b) = (host + 1, other + 1);
            format!("h{a} calls h{b} dead ({proof:?}) while it may run VMs")
        });
        if !self.over.contains(&(other, boot_id, life)) {
            self.over.push((other, boot_id, life));
        }
    }

    /// Whether a host may run VMs as far as its own daemon goes: it holds a lease, or it had one
    /// and its watchdog has not fired yet. A host that waits holds none.
    fn holds_lease(&self, host: usize) -> bool {
        let machine = &self.machines[host];
        let runs = !machine.guests.executing.is_empty();
        match &machine.node {
            _ if !machine.alive => false,
            Some(node) => match node.phase() {
                Phase::Armed => true,
                // Whoever never had one loses nothing that another could wait for.
                Phase::Fencing if machine.leased => true,
                Phase::Fencing | Phase::Waiting | Phase::Starting | Phase::Disarmed => runs,
                Phase::Off => !machine.disarmed,
            },
            None => machine.watchdog != Nanos::MAX && (machine.leased || runs),
        }
    }
}
