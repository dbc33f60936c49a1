//! The lease and the watchdog (section 4).

use super::{Effect, Node, Stage};
use crate::heartbeat::report::DISK_LOST;
use crate::heartbeat::timing::{MILLISECOND, Nanos};
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Mode, Slot, View};

/// How long a host that announces its death lives on at most (R5.4).
const LAST_WORDS: Nanos = 500 * MILLISECOND;

impl Node {
    /// The date of the oldest evidence that a renewal would use, none when R4.1 forbids one.
    fn oldest_evidence(&self, now: Nanos) -> Option<Nanos> {
        let view = self.view.as_ref()?;
        let left_out = !view.has(self.me(), self.life) && !self.wrong(Variant::ExcludedRenews);
        if left_out || view.mode == Mode::Off || self.stopping.is_some() {
            return None;
        }
        let limit = now.saturating_sub(self.cfg.timing.s);
        let oldest = match self.by_network() {
            true => self.majority_evidence()?.min(now),
            false => self.evidence_of_all(now, view, limit)?,
        };
        let oldest = if self.wrong(Variant::LeaseFromNow) { now } else { oldest };
        (oldest >= limit).then_some(oldest)
    }

    /// In disk mode every member and the disk are needed.
    fn evidence_of_all(&self, now: Nanos, view: &View, limit: Nanos) -> Option<Nanos> {
        let mut oldest = now;
        let mut missing = 0;
        for member in view.members.iter().filter(|member| member.slot != self.me()) {
            let peer = self.peer(member.slot);
            match peer.evidence.filter(|date| peer.life == member.life && *date >= limit) {
                Some(date) => oldest = oldest.min(date),
                None => missing += 1,
            }
        }
        let majority_only = self.wrong(Variant::RenewsWithoutAll);
        if missing > 0 && !(majority_only && 2 * missing < view.members.len()) {
            return None;
        }
        let disk = match self.disk_evidence().filter(|date| *date >= limit) {
            Some(date) => date,
            None if self.wrong(Variant::RenewsWithoutDisk) => now,
            None => self.answers_instead_of_disk(now)?,
        };
        Some(oldest.min(disk))
    }

    /// R8.1, the peer's rule: while every member says "no completed disk cycle" in beats that
    /// echo each other, those answers take the place of the disk.
    fn answers_instead_of_disk(&self, now: Nanos) -> Option<Nanos> {
        if !self.storage_lost_by_all(now) {
            return None;
        }
        let view = self.view.as_ref()?;
        let others = view.members.iter().filter(|member| member.slot != self.me());
        let dates: Option<Vec<Nanos>> =
            others.map(|member| self.peer(member.slot).lost_answer).collect();
        Some(dates?.into_iter().min().unwrap_or(0)).filter(|date| *date > 0)
    }

    /// Whether every member of the view, this host included, says that it lost the disk.
    pub(super) fn storage_lost_by_all(&self, now: Nanos) -> bool {
        let Some(view) = &self.view else { return false };
        self.disk_lost(now)
            && view.members.len() > 1
            && view.members.iter().all(|member| {
                let peer = self.peer(member.slot);
                member.slot == self.me()
                    || (peer.life == member.life
                        && peer.packet_flags & DISK_LOST != 0
                        && peer.lost_answer.is_some())
            })
    }

    /// Renews the lease if the rules allow it, and programs the watchdog to what is left.
    ///
    /// R4.2: the lease ends T after the oldest evidence used, never "now + something".
    pub(super) fn renew(&mut self, now: Nanos) {
        if !self.armed {
            return;
        }
        match self.stage {
            Stage::Waiting => {
                // It holds no lease and runs no VM: nothing rests on it. The watchdog guards
                // against a stall only. A host that took VMs over from an unarmed session
                // lives by the rule of members instead (R7.1).
                let end = match self.cfg.resident {
                    true => self.evidence_while_waiting(now).map(|date| date + self.cfg.timing.t),
                    false => Some(now + self.cfg.timing.t),
                };
                if let Some(end) = end.filter(|end| Some(*end) > self.guard_end) {
                    self.guard_end = Some(end);
                    self.fx.push(Effect::Program(end));
                }
            }
            Stage::Member => {
                let end = self.oldest_evidence(now).map(|date| date + self.cfg.timing.t);
                if end > self.lease_end {
                    self.lease_end = end;
                    self.guard_end = None;
                    self.program(now);
                }
            }
            _ => {}
        }
    }

    fn program(&mut self, now: Nanos) {
        let Some(end) = self.lease_end else { return };
        if end.saturating_sub(now) < self.cfg.step {
            return self.reset_now(now, "less than one step of the watchdog is left of the lease");
        }
        let end = match self.wrong(Variant::WatchdogFromNow) {
            true => now + self.cfg.timing.t,
            false => end,
        };
        self.fx.push(Effect::Program(end));
    }

    /// What a waiting host that runs VMs lives on: the members of the newest view, and the disk.
    pub(super) fn evidence_while_waiting(&self, now: Nanos) -> Option<Nanos> {
        let view = self.view.as_ref()?;
        let limit = now.saturating_sub(self.cfg.timing.s);
        self.evidence_of_all(now, view, limit).filter(|date| *date >= limit)
    }

    /// The watchdog was read back after a change (R4.3).
    pub(super) fn take_watchdog(&mut self, now: Nanos, left: Nanos) {
        if let Stage::Fencing { reset_at, cut: false } = self.stage {
            self.stage = Stage::Fencing { reset_at, cut: true };
            self.guard_end = Some(now + left);
            return self.announce_death(now);
        }
        if self.arming {
            self.arming = false;
            self.armed = true;
            self.guard_end = Some(now + left);
            self.note(now, "armed", Some(self.me()), "the watchdog runs".to_owned());
            self.next_beat = now;
            if matches!(self.stage, Stage::Reading { .. } | Stage::Held { .. }) {
                self.begin_waiting(now);
            }
            return;
        }
        let end = self.lease_end.or(self.guard_end);
        // A watchdog set to fire later than the lease ends would be a lie to the others.
        let latest = end.map(|end| end + self.cfg.step + 100 * MILLISECOND);
        let latest = latest.filter(|_| !self.wrong(Variant::WatchdogFromNow));
        if self.armed && latest.is_some_and(|latest| now + left > latest) {
            self.reset_now(now, "the watchdog holds more time than the lease");
        }
    }

    pub(super) fn watchdog_failed(&mut self, now: Nanos, why: &str) {
        if self.arming {
            self.arming = false;
            self.note(now, "watchdog-failed", Some(self.me()), why.to_owned());
            self.refuse_arming(now, why);
        } else if self.armed {
            // It runs down by itself; say so and let the view leave this host out.
            self.note(now, "watchdog-failed", Some(self.me()), why.to_owned());
        }
    }

    /// Resets at once.
    pub(super) fn reset_now(&mut self, now: Nanos, why: &str) {
        self.note(now, "reset", Some(self.me()), self.with_evidence(now, why));
        self.stage = Stage::Fencing { reset_at: now, cut: true };
        self.fx.push(Effect::Changed);
        self.fx.push(Effect::Reset);
    }

    /// Ends this host's life in order: where the watchdog can be trusted, it is cut short
    /// first and the others are told (R5.4); else the reset comes at once.
    pub(super) fn fence(&mut self, now: Nanos, why: &str) {
        // The watchdog's minimum must not outlive the lease: cut to it in the last moment, it
        // would fire after the others counted on the end (found by simulation).
        let room = LAST_WORDS.max(2 * self.cfg.step);
        let end = self.lease_end.or(self.guard_end);
        let too_late = end.is_none_or(|end| end < now + room);
        if !self.cfg.tombstone || !self.armed || too_late {
            return self.reset_now(now, why);
        }
        self.note(now, "fence", Some(self.me()), self.with_evidence(now, why));
        if self.wrong(Variant::TombstoneFirst) {
            self.stage = Stage::Fencing { reset_at: now + self.cfg.timing.t, cut: true };
            return self.announce_death(now);
        }
        self.stage = Stage::Fencing { reset_at: now + LAST_WORDS, cut: false };
        self.fx.push(Effect::Changed);
        self.fx.push(Effect::CutWatchdog);
    }

    /// This host has lost its place: it is reset, or, where the pool wants it so, it stops its
    /// VMs within what is left of its lease and stays up (`isolation-response=stop-vms`). The
    /// watchdog runs on behind that.
    pub(super) fn lose(&mut self, now: Nanos, why: &str) {
        if self.stopping.is_some() {
            return;
        }
        if !self.cfg.stop_vms || !self.armed || self.lease_end.is_none() {
            return self.fence(now, why);
        }
        self.stopping = Some(now);
        let text = format!("{why}: this host stops its VMs instead of being reset");
        self.note(now, "isolation", Some(self.me()), self.with_evidence(now, &text));
        // The agent first: what it is about to start would be missed by the count.
        self.fx.push(Effect::KillAgent);
        self.fx.push(Effect::StopVms);
        self.fx.push(Effect::Changed);
    }

    /// Stops the VMs in time when the lease runs out unrenewed.
    pub(super) fn tick_isolation(&mut self, now: Nanos) {
        let Some(end) = self.lease_end.filter(|_| self.cfg.stop_vms && self.armed) else { return };
        if now + self.cfg.timing.l / 2 >= end {
            self.lose(now, "the lease runs out");
        }
    }

    /// The VMs of this host are stopped and counted, or that failed.
    pub(super) fn vms_stopped(&mut self, now: Nanos, outcome: Result<(), String>) {
        if self.stopping.is_none() || !self.armed {
            return;
        }
        match outcome {
            Ok(()) => {
                self.marks.leaving = true;
                self.disarm(now, "no VM runs here any more, and none is started");
                self.disk_soon(now);
            }
            Err(why) => self.fence(now, &format!("the VMs could not be stopped: {why}")),
        }
    }

    fn with_evidence(&self, now: Nanos, why: &str) -> String {
        let age = |date: Option<Nanos>| {
            date.map_or("never".to_owned(), |at| Self::seconds(now.saturating_sub(at)))
        };
        let mut text = format!("{why}; last disk cycle {} ago", age(self.disk_evidence()));
        for slot in self.others().collect::<Vec<Slot>>() {
            let evidence = age(self.peer(slot).evidence);
            text.push_str(&format!(", round trip with {} {evidence} ago", self.uuid(slot)));
        }
        text
    }
}
