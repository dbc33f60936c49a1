//! What must hold after every step.

use std::sync::Arc;

use super::setup::{Setup, TICK};
use super::state::State;
use super::truth::Dated;
use crate::heartbeat::liveset::Phase;
use crate::heartbeat::quorum::majority;
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::view::{Member, Mode, Proof, View};

impl State {
    /// Decided views never differ, at most one host may act as master, and no life is called
    /// dead while VMs may run under it.
    pub fn check(&mut self, _setup: &Setup) {
        self.check_chain();
        let acting: Vec<usize> = (0..self.hosts.len()).filter(|host| self.acts(*host)).collect();
        if acting.len() > 1 {
            self.violate(|| format!("two masters: hosts {acting:?}"));
        }
        for host in 0..self.hosts.len() {
            self.check_dead(host);
        }
    }

    /// Whether a host may act as master at this moment.
    pub fn acts(&self, host: usize) -> bool {
        let may = |node: &crate::heartbeat::Node| node.may_act_until(self.clock(host)).is_some();
        self.runs(host) && self.hosts[host].node.as_deref().is_some_and(may)
    }

    fn check_chain(&mut self) {
        for host in 0..self.hosts.len() {
            let node = self.hosts[host].node.as_ref();
            let Some(view) = node.and_then(|node| node.decided()) else { continue };
            match self.chain.binary_search_by_key(&view.epoch, |known| known.epoch) {
                Ok(at) if *self.chain[at] == *view => {}
                Ok(at) => {
                    let known = self.chain[at].clone();
                    let view = view.clone();
                    self.violate(|| {
                        let told = |view: &View| {
                            let names: Vec<u16> = view.members.iter().map(|m| m.slot.0).collect();
                            format!("{names:?} by {}", view.proposer.0)
                        };
                        let (one, other) = (told(&known), told(&view));
                        format!("two views of epoch {}: {one}, {other}", view.epoch)
                    });
                }
                Err(at) => Arc::make_mut(&mut self.chain).insert(at, Arc::new(view.clone())),
            }
        }
    }

    /// A host that has held a lease may run VMs until it is reset, paused or not. One that only
    /// waits, guarded by its watchdog, holds no lease and runs none (R7.1); were it called dead
    /// and admitted later in the same boot, its first lease would show it here.
    fn check_dead(&mut self, host: usize) {
        let Some(node) = self.hosts[host].node.clone() else { return };
        for (slot, boot_id, proof) in node.known_dead() {
            let other = &self.hosts[slot.index()];
            let runs = other.alive && other.leased;
            let same = boot_id == State::boot_id(slot.index(), other.boot);
            let vouched = matches!(proof, Proof::LeftEmpty | Proof::Operator);
            if runs && same && !vouched {
                let slot = slot.0;
                self.violate(|| {
                    format!("host {host} calls host {slot} dead while it runs: {proof:?}")
                });
            }
        }
    }

    /// A lease ends no later than T after the oldest evidence that the world itself knows of
    /// (R4.2). The view may have changed within the step: the milder of both counts.
    pub fn check_lease(&mut self, setup: &Setup, host: usize, before: Option<&View>, end: Nanos) {
        let Some(node) = self.hosts[host].node.clone() else { return };
        if node.phase() != Phase::Armed {
            return;
        }
        let views = before.into_iter().chain(node.decided());
        let latest = views.filter_map(|view| self.evidence(host, view)).max();
        let latest = latest.map(|date| date + setup.timing().t);
        if latest.is_none_or(|latest| end > latest) {
            let ticks = |date: Nanos| (date as f64 - self.clock(host) as f64) / TICK as f64;
            let (has, may) = (ticks(end), latest.map(ticks));
            self.violate(|| {
                format!("host {host} sets its watchdog to {has} ticks; its evidence gives {may:?}")
            });
        }
    }

    /// The date of the oldest evidence that a lease under that view needs; none where some of it
    /// never was.
    fn evidence(&self, host: usize, view: &View) -> Option<Nanos> {
        let truth = &self.hosts[host].truth;
        let others = view.members.iter().filter(|member| member.slot.index() != host);
        let trips = others.clone().map(|member| self.date(member, &truth.trip));
        if !view.base.is_empty() && view.mode != Mode::Disk {
            let of_base = others.clone().filter(|member| view.base.contains(&member.slot));
            let mut dates: Vec<Nanos> =
                of_base.filter_map(|member| self.date(member, &truth.trip)).collect();
            dates.sort_unstable_by(|a, b| b.cmp(a));
            return match majority(view.base.len()) {
                0 | 1 => Some(self.clock(host)),
                needed => dates.get(needed - 2).copied(),
            };
        }
        let answers = others.map(|member| self.date(member, &truth.lost));
        let answers = answers.min().flatten();
        let disk = truth.majority_cycle(self.disks.len()).max(answers)?;
        trips.chain([Some(disk)]).min().flatten()
    }

    fn date(&self, member: &Member, dates: &[Option<Dated>]) -> Option<Nanos> {
        let slot = member.slot.index();
        let same = |date: &Dated| State::boot_id(slot, date.boot) == member.boot_id;
        dates[slot].filter(same).map(|date| date.at)
    }
}
