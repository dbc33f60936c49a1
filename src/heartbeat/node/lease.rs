//! The lease and the watchdog (section 4).

use super::{Effect, Node, Stage};
use crate::heartbeat::report::DISK_LOST;
use crate::heartbeat::timing::{MILLISECOND, Nanos};
use crate::heartbeat::view::{Mode, Slot};

/// How long a host that announces its death lives on at most (R5.4).
const LAST_WORDS: Nanos = 500 * MILLISECOND;

impl Node {
    /// The date of the oldest evidence that a renewal would use, none when R4.1 forbids one.
    fn oldest_evidence(&self, now: Nanos) -> Option<Nanos> {
        let view = self.view.as_ref()?;
        if !view.has(self.me(), self.life) || view.mode == Mode::Off {
            return None;
        }
        let limit = now.saturating_sub(self.cfg.timing.s);
        let mut oldest = now;
        for member in view.members.iter().filter(|member| member.slot != self.me()) {
            let peer = self.peer(member.slot);
            let date = peer.evidence.filter(|_| peer.life == member.life)?;
            oldest = oldest.min(date);
        }
        let disk = match self.disk.evidence.filter(|date| *date >= limit) {
            Some(date) => date,
            None => self.answers_instead_of_disk(now)?,
        };
        oldest = oldest.min(disk);
        (oldest >= limit).then_some(oldest)
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
                // No member yet: nothing rests on this host. The watchdog guards against a
                // stall only, so that a late awakening cannot act on an old admission.
                self.guard_end = Some(now + self.cfg.timing.t);
                self.fx.push(Effect::Program(now + self.cfg.timing.t));
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
        self.fx.push(Effect::Program(end));
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
            if matches!(self.stage, Stage::Reading { .. }) {
                self.begin_waiting(now);
            }
            return;
        }
        let end = self.lease_end.or(self.guard_end);
        // A watchdog set to fire later than the lease ends would be a lie to the others.
        let latest = end.map(|end| end + self.cfg.step + 100 * MILLISECOND);
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
        if !self.cfg.tombstone || !self.armed {
            return self.reset_now(now, why);
        }
        self.note(now, "fence", Some(self.me()), self.with_evidence(now, why));
        self.stage = Stage::Fencing { reset_at: now + LAST_WORDS, cut: false };
        self.fx.push(Effect::Changed);
        self.fx.push(Effect::CutWatchdog);
    }

    fn with_evidence(&self, now: Nanos, why: &str) -> String {
        let age = |date: Option<Nanos>| {
            date.map_or("never".to_owned(), |at| Self::seconds(now.saturating_sub(at)))
        };
        let mut text = format!("{why}; last disk cycle {} ago", age(self.disk.evidence));
        for slot in self.others().collect::<Vec<Slot>>() {
            let evidence = age(self.peer(slot).evidence);
            text.push_str(&format!(", round trip with {} {evidence} ago", self.uuid(slot)));
        }
        text
    }
}
