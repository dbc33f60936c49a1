//! Taking over a decided view.

use std::sync::Arc;

use super::{Effect, Node, Stage};
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Mode, Slot, View};

impl Node {
    /// Adopts a decided view if it is newer than the own one; `from` is who showed it.
    pub(super) fn adopt(&mut self, now: Nanos, view: Arc<View>, from: Option<Slot>) {
        let known = view.epoch <= self.epoch() && !self.wrong(Variant::OldEpochAccepted);
        if known || matches!(self.stage, Stage::Fencing { .. }) || self.view.as_ref() == Some(&view)
        {
            return;
        }
        if view.members.iter().any(|member| member.slot.index() >= self.cfg.hosts.len()) {
            return;
        }
        let was_in = self.view.as_ref().is_some_and(|old| old.has(self.me(), self.life));
        self.decision.adopt(&view);
        self.write_decision();
        self.proposing.reset();
        self.adopted_at = now;
        self.trust_again(&view);
        let source = match from {
            Some(Slot::WITNESS) => "learned from the witness".to_owned(),
            Some(slot) => format!("learned from {}", self.uuid(slot)),
            None => "decided here".to_owned(),
        };
        // Whoever is admitted again has come back from what was said of an earlier life.
        self.marks.declared.retain(|(slot, _)| view.member(*slot).is_none());
        let text = self.describe(&view);
        let without_disk = !view.base.is_empty();
        if !without_disk && self.view.as_ref().is_some_and(|old| !old.base.is_empty()) {
            self.came_back_at = now;
        }
        let in_network_mode = |view: &View| view.mode == Mode::Network;
        if let Some(old) = self.view.as_deref().filter(|old| !in_network_mode(old))
            && in_network_mode(&view)
        {
            // How long the storage had been back before says nothing any more.
            self.acceptor.back_since = None;
            self.acceptor.lost_again = !old.base.is_empty();
        }
        self.note_leavers(now, &view);
        self.view = Some(view);
        self.keep();
        self.note(now, "view", None, format!("{text}; {source}"));
        self.follow_gone();
        self.place(now, was_in);
        if !matches!(self.stage, Stage::Fencing { .. }) {
            // Spread it at once: the others' leases may depend on it.
            self.next_beat = now;
            self.disk_soon(now);
            self.renew(now);
        }
        self.fx.push(Effect::Changed);
    }

    /// A statefile that went back in time counts again under a view that lets it back in and
    /// that was decided on top of one adopted after that was seen (R2.4).
    fn trust_again(&mut self, next: &View) {
        let Some(old) = &self.view else { return };
        let returned = !old.base.is_empty() && old.mode != Mode::Disk && next.mode == Mode::Disk;
        for (bit, disk) in self.disks.iter_mut().enumerate() {
            let added = (next.trusted & !old.trusted) & (1 << bit) != 0;
            if (returned || added) && disk.rewound.is_some_and(|seen| seen + 1 < next.epoch) {
                disk.rewound = None;
            }
        }
    }

    /// The next cycles are due now.
    pub(super) fn disk_soon(&mut self, now: Nanos) {
        for disk in &mut self.disks {
            disk.next_at = now;
        }
    }

    /// What the view means for this host.
    fn place(&mut self, now: Nanos, was_in: bool) {
        let Some(view) = &self.view else { return };
        let (mode, is_in, epoch) = (view.mode, view.has(self.me(), self.life), view.epoch);
        match (&self.stage, is_in) {
            (Stage::Forming { .. } | Stage::Waiting, true) => {
                // The watchdog runs on as it was set; the lease proper begins with the first
                // renewal under R4.1. Until then this host starts nothing.
                self.admitted_at.get_or_insert(now);
                self.admitted_in = epoch;
                self.stage = Stage::Member;
            }
            (Stage::Member, false) if was_in && !self.wrong(Variant::ExcludedRenews) => {
                return self.left(now);
            }
            // Admitted and left out again before this host knew of either (R3.4).
            (Stage::Waiting, false) if self.left_out(self.me(), self.life) => {
                return self.fence(now, "decided views have admitted this host and left it out");
            }
            _ => {}
        }
        if mode == Mode::Off && matches!(self.stage, Stage::Member | Stage::Waiting) {
            return self.disarm(now, "HA is switched off by a decided view");
        }
        if self.stage == Stage::Member && !self.armed && !self.arming && !self.marks.unarmed {
            self.arm(now);
        }
        self.mastership_follows();
    }

    /// A decided view has left this host out (R3.4).
    fn left(&mut self, now: Nanos) {
        let entry = self.view.as_ref().and_then(|view| view.gone(self.me()));
        let presumable = entry.is_none_or(|gone| gone.member.armed);
        if self.marks.leaving || !presumable {
            let why = "a decided view has let this host leave";
            return self.disarm(now, why);
        }
        if !self.armed {
            let why = "a decided view has left this host out";
            return self.disarm(now, why);
        }
        self.lose(now, "a decided view has left this host out");
    }

    /// Ends the armed session without a reset.
    pub(super) fn disarm(&mut self, now: Nanos, why: &str) {
        self.note(now, "disarmed", Some(self.me()), why.to_owned());
        self.armed = false;
        self.arming = false;
        self.lease_end = None;
        self.guard_end = None;
        self.stage = Stage::Disarmed;
        self.next_beat = now;
        self.fx.push(Effect::Disarm);
        self.fx.push(Effect::Changed);
    }

    pub(super) fn arm(&mut self, now: Nanos) {
        self.arming = true;
        self.fx.push(Effect::Arm(now + self.cfg.timing.t));
    }

    /// A view in words.
    pub(super) fn describe(&self, view: &View) -> String {
        let names = |slots: Vec<Slot>| {
            slots.iter().map(|slot| self.uuid(*slot).to_string()).collect::<Vec<_>>().join(" ")
        };
        let members = names(view.members.iter().map(|member| member.slot).collect());
        let gone = names(view.gone.iter().map(|gone| gone.member.slot).collect());
        let master = view.master.map_or("nobody".to_owned(), |slot| self.uuid(slot).to_string());
        let mut text = format!("epoch {} with {members}; master {master}", view.epoch);
        if !gone.is_empty() {
            text.push_str(&format!("; left: {gone}"));
        }
        if view.mode != Mode::Disk {
            text.push_str(&format!("; mode {:?}", view.mode));
        }
        if !view.base.is_empty() {
            text.push_str(&format!("; network mode was entered by {}", names(view.base.clone())));
        }
        text
    }
}
