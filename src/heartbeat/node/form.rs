//! Enabling: view 1 is decided by all hosts, the watchdogs are armed last (R9.1).

use super::wish::Wish;
use super::{Node, Stage};
use crate::heartbeat::node::effect::Refusal;
use crate::heartbeat::report::FORMING;
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::heartbeat::view::{Life, Mode, Slot, View};

impl Node {
    /// How long all hosts together have to form view 1.
    pub(super) fn form_limit(&self) -> Nanos {
        self.cfg.timing.t + 20 * SECOND
    }

    /// The statefile was read and is this session's: take part in forming.
    pub(super) fn begin_forming(&mut self, now: Nanos) {
        if self.view.is_some() {
            let why = "views were decided on it already; this host can only join";
            return self.fail(now, Refusal::Statefile(why.to_owned()));
        }
        self.life = Life { boot: 1, session: 1 };
        self.stage = Stage::Forming { until: self.started_at + self.form_limit() };
        self.next_beat = now;
    }

    pub(super) fn tick_forming(&mut self, now: Nanos, until: Nanos) {
        if now >= until {
            let missing = self.missing(now);
            return self.fail(now, Refusal::TimedOut(missing));
        }
        if self.first_view(now).is_some() {
            self.pursue(now, Wish::Calm("all hosts are there".to_owned()));
        }
    }

    /// View 1, once every host is there on both paths and reaches every other.
    pub(super) fn first_view(&self, now: Nanos) -> Option<View> {
        let slots: Vec<Slot> = self.slots().collect();
        let there = self.others().all(|slot| {
            let peer = self.peer(slot);
            peer.says(FORMING) && peer.block_moves() >= 1 && self.moving(now, slot)
        });
        let meshed =
            slots.iter().all(|a| slots.iter().all(|b| a == b || self.connected(now, *a, *b)));
        if !there || !meshed {
            return None;
        }
        let members: Option<Vec<_>> = slots.iter().map(|slot| self.as_member(*slot)).collect();
        let mut view = View {
            epoch: 1,
            mode: Mode::Disk,
            members: members?,
            master: None,
            gone: Vec::new(),
            trusted: ((1u16 << self.disks.len()) - 1) as u8,
            base: Vec::new(),
            void: Vec::new(),
            proposer: self.me(),
        };
        view.master = self.cfg.first_master.or_else(|| self.next_master(now, &view));
        Some(view)
    }

    /// Who is missing, in words.
    fn missing(&self, now: Nanos) -> String {
        let mut faults = Vec::new();
        for slot in self.others() {
            let (peer, name) = (self.peer(slot), self.uuid(slot));
            if peer.report.is_none() {
                faults.push(format!("nothing was heard or read of host {name}"));
            } else if peer.heard_at.is_none() {
                faults.push(format!("no packet of host {name} arrives here"));
            } else if peer.evidence.is_none() {
                faults.push(format!("no packet of this host arrives at host {name}"));
            } else if !self.moving(now, slot) {
                faults.push(format!("host {name} does not write to the statefile"));
            } else if !peer.says(FORMING) {
                faults.push(format!("host {name} does not take part"));
            }
        }
        if faults.is_empty() {
            faults.push("some hosts do not reach each other".to_owned());
        }
        faults.join("; ")
    }

    /// Between view 1 and the view that says "all armed": if it takes too long, the roll-back
    /// is a decision too, so that nobody can be armed and presumed dead by mistake.
    pub(super) fn tick_first_views(&mut self, now: Nanos) {
        let Some(view) = &self.view else { return };
        let unarmed = view.epoch == 1 && view.members.iter().any(|member| !member.armed);
        let late = now >= self.started_at + self.form_limit() + self.cfg.timing.t;
        if unarmed && late && self.marks.mode.is_none() {
            self.roll_back(now, "not every host armed its watchdog in time");
        }
    }

    /// The watchdog could not be armed.
    pub(super) fn refuse_arming(&mut self, now: Nanos, why: &str) {
        if self.stage == Stage::Member {
            self.roll_back(now, why);
        } else {
            let why = format!("the watchdog could not be armed: {why}");
            self.fail(now, Refusal::StartFailed(why));
        }
    }

    fn roll_back(&mut self, now: Nanos, why: &str) {
        self.note(now, "roll-back", None, why.to_owned());
        self.marks.mode = Some(Mode::Off);
    }
}
