//! What a node's effects do to its host and to the others.

use std::sync::Arc;

use super::setup::Setup;
use super::state::{Job, Mail, State};
use super::truth::{Dated, Proof};
use crate::heartbeat::liveset::Phase;
use crate::heartbeat::node::{Effect, Input};
use crate::heartbeat::packet::Packet;
use crate::heartbeat::timing::{MILLISECOND, Nanos};

/// What is left on a watchdog that was cut short.
const CUT: Nanos = 200 * MILLISECOND;

impl State {
    /// Gives an event to a host's daemon and carries out what it wants.
    pub fn step(&mut self, setup: &Setup, host: usize, input: Input<'_>) {
        let now = self.clock(host);
        let mut list = Vec::new();
        let Some(node) = self.node_mut(host) else { return };
        let before = node.decided().cloned();
        node.step(now, input, &mut list);
        let mut next = 0;
        while next < list.len() {
            let effect = std::mem::replace(&mut list[next], Effect::Changed);
            next += 1;
            if let Effect::Program(end) = effect {
                self.check_lease(setup, host, before.as_ref(), end);
            }
            let reading = self.apply(setup, host, effect);
            if let (Some(left), Some(node)) = (reading, self.node_mut(host)) {
                node.step(now, Input::Watchdog(left), &mut list);
            }
        }
        let Some(node) = self.node_mut(host) else { return };
        node.forget();
        let (phase, epoch) = (node.phase(), node.liveset_epoch());
        let it = &mut self.hosts[host];
        it.leased |= phase == Phase::Armed;
        let highest = it.epoch;
        it.epoch = highest.max(epoch);
        if epoch < highest {
            self.violate(|| format!("host {host} goes back from epoch {highest} to {epoch}"));
        }
    }

    fn node_mut(&mut self, host: usize) -> Option<&mut crate::heartbeat::Node> {
        self.hosts[host].node.as_mut().map(Arc::make_mut)
    }

    /// Carries an effect out; a watchdog that was set gives its reading.
    fn apply(&mut self, setup: &Setup, host: usize, effect: Effect) -> Option<Nanos> {
        let now = self.clock(host);
        let it = &mut self.hosts[host];
        match effect {
            Effect::Send(packet) => self.send(setup, host, &packet),
            Effect::Cycle { id, disk, beat, decision, all: _ } => it.jobs.push(Job {
                boot: it.boot,
                id,
                disk: usize::from(disk),
                begun: now,
                beat,
                decision,
                own_before: None,
                written: None,
                lands_by: 0,
            }),
            Effect::Keep(record, what) => it.keeping.push((record, what)),
            Effect::Arm(end) | Effect::Program(end) => return it.set_watchdog(now, end),
            Effect::CutWatchdog => return it.set_watchdog(now, now + CUT),
            Effect::Disarm => it.watchdog = None,
            Effect::Reset => self.end(host),
            Effect::Note(event) => {
                if let Some(notes) = &mut self.notes {
                    notes.push(format!("host {host} {}: {}", event.event, event.why));
                }
            }
            Effect::StopVms
            | Effect::FenceDevice(..)
            | Effect::KillAgent
            | Effect::StartAgent
            | Effect::Changed
            | Effect::Answer(..) => {}
        }
        None
    }

    fn send(&mut self, setup: &Setup, from: usize, packet: &Packet) {
        let at = self.clock(from);
        let it = &self.hosts[from];
        let truth = &it.truth;
        let since = truth.majority_cycle(self.disks.len()).unwrap_or(0);
        let lost = at.saturating_sub(since) > setup.timing().s / 2;
        let (sent, proof) = (Dated { boot: it.boot, at }, Proof { taken: truth.taken, lost });
        for to in (0..self.hosts.len()).filter(|to| *to != from) {
            let bit = 1 << (from * self.hosts.len() + to);
            if !self.linked(from, to) || self.lossy & bit != 0 || !self.hosts[to].alive {
                continue;
            }
            let mail = Mail { from, sent, proof, packet: packet.clone() };
            match self.slow_links & bit == 0 {
                true => self.mail[to].push(mail),
                false => self.later[to].push(mail),
            }
        }
    }
}

impl super::state::Host {
    fn set_watchdog(&mut self, now: Nanos, end: Nanos) -> Option<Nanos> {
        self.watchdog = Some(end);
        Some(end.saturating_sub(now))
    }
}
