//! Starting: reading before writing, and the ways into a view after a boot (R2.5, section 7).

use uuid::Uuid;

use super::{Effect, Node, Stage};
use crate::heartbeat::block::{BlockError, Seen};
use crate::heartbeat::node::effect::{CycleRead, Refusal};
use crate::heartbeat::report::{ARMED, WAITING};
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::heartbeat::view::{Life, Member, Mode, Proof, Slot, View};

use super::propose::Wish;

/// The own block before the first write: while it stands still, no other machine writes it and
/// no write of an earlier boot can be under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    since: Nanos,
    own: Option<(Life, Uuid, u64)>,
}

impl Node {
    /// How long the own block must stand still before the first write.
    fn drain(&self) -> Nanos {
        (3 * self.cfg.timing.beat).max(SECOND)
    }

    pub(super) fn tick_reading(&mut self, now: Nanos) {
        if self.cfg.form && now >= self.started_at + self.form_limit() {
            self.fail(now, Refusal::TimedOut("the statefile could not be read".to_owned()));
        }
    }

    /// The statefile was read, and it is not usable.
    pub(super) fn reading_refused(&mut self, now: Nanos, fault: &BlockError) {
        if matches!(self.stage, Stage::Reading { .. }) {
            self.fail(now, Refusal::Statefile(fault.to_string()));
        }
    }

    /// A read-only cycle has completed.
    pub(super) fn finish_reading(&mut self, now: Nanos, read: &CycleRead) {
        self.remember_newest();
        let (boot, own) = self.own_past(&read.image);
        let Stage::Reading { quiet } = &self.stage else { return };
        match quiet.clone() {
            None if self.cfg.form => self.begin_forming(now),
            None => match self.take_identity(boot, own) {
                Err(refusal) => self.fail(now, refusal),
                Ok(()) => self.stage = Stage::Reading { quiet: Some(Quiet { since: now, own }) },
            },
            Some(quiet) if quiet.own != own => self.fail(now, Refusal::ClonedIdentity),
            Some(quiet) => {
                if now >= quiet.since + self.drain() && !self.arming {
                    self.arm(now);
                }
            }
        }
    }

    /// Keeps the newest decided view that the statefile shows, without acting on it.
    fn remember_newest(&mut self) {
        let newest = self.decisions.iter().filter_map(|seen| match seen {
            Seen::Decision(decision, _) => decision.decided.as_ref(),
            _ => None,
        });
        let newest = newest.max_by_key(|view| view.epoch).cloned();
        if let Some(view) = newest.filter(|view| view.epoch > self.epoch()) {
            self.decision.adopt(&view);
            self.view = Some(view);
        }
    }

    /// Takes a life above every earlier one of this host, and the own ballots back.
    fn take_identity(&mut self, boot: u64, own: Option<(Life, Uuid, u64)>) -> Result<(), Refusal> {
        let Some(view) = self.view.clone() else {
            let why = "no view was ever decided on it; enable HA again";
            return Err(Refusal::Statefile(why.to_owned()));
        };
        if view.mode == Mode::Off {
            return Err(Refusal::PoolIsOff);
        }
        self.life = match own {
            Some((life, id, _)) if id == self.cfg.boot_id => {
                Life { boot: life.boot, session: life.session + 1 }
            }
            _ => Life { boot: boot + 1, session: 1 },
        };
        self.seq = own.map_or(0, |(_, _, seq)| seq);
        let mine = |member: &Member| member.boot_id == self.cfg.boot_id && member.armed;
        let gone = view.gone(self.me());
        if view.member(self.me()).is_some_and(mine)
            || gone.is_some_and(|g| mine(&g.member) && g.proof != Proof::LeftEmpty)
        {
            return Err(Refusal::UnfinishedSession);
        }
        match &self.decisions[self.me().index()] {
            Seen::Decision(decision, doubtful) => {
                self.decision = (**decision).clone();
                self.decision.seq += 2;
                self.muted_epoch = if *doubtful { view.epoch + 1 } else { 0 };
            }
            Seen::Broken => self.muted_epoch = view.epoch + 1,
            Seen::Blank => {}
        }
        self.decision.adopt(&view);
        Ok(())
    }

    /// Armed after reading: asks to be admitted.
    pub(super) fn begin_waiting(&mut self, now: Nanos) {
        self.stage = Stage::Waiting;
        self.disk.dirty = true;
        self.disk.next_at = now;
        self.next_beat = now;
        self.note(now, "waiting", Some(self.me()), "asks to be admitted".to_owned());
        self.fx.push(Effect::Changed);
    }

    pub(super) fn tick_waiting(&mut self, now: Nanos) {
        if let Some(view) = self.formed_view(now) {
            let why = format!("{} freshly booted hosts form a view", view.members.len());
            self.pursue(now, Wish::Calm(why));
        }
    }

    /// The view that freshly booted hosts may form now by R7.2 and R7.3, if any.
    pub(super) fn formed_view(&self, now: Nanos) -> Option<View> {
        let old = self.view.as_ref()?;
        old.member(self.me())?;
        let booted: Vec<Slot> = old
            .members
            .iter()
            .map(|member| member.slot)
            .filter(|slot| *slot == self.me() || self.booted(now, *slot))
            .collect();
        let mut set: Vec<Slot> = vec![self.me()];
        for slot in booted.into_iter().filter(|slot| *slot != self.me()) {
            if set.iter().all(|other| self.connected(now, *other, slot)) {
                set.push(slot);
            }
        }
        set.sort();
        let absent: Vec<&Member> =
            old.members.iter().filter(|member| !set.contains(&member.slot)).collect();
        let proven = absent.iter().all(|member| self.proven_absent(now, member).is_some());
        let still = absent
            .iter()
            .all(|member| self.proven_absent(now, member).is_some() || self.still_absent(member));
        let majority = 2 * set.len() > old.members.len();
        let one_of_two = old.members.len() == 2;
        if !(proven || still && (majority || one_of_two)) {
            return None;
        }
        let members: Option<Vec<Member>> = set.iter().map(|slot| self.as_member(*slot)).collect();
        let mut next = self.followed_by(old, members?);
        for gone in &mut next.gone {
            if gone.proof == Proof::None && gone.since == next.epoch {
                gone.proof =
                    self.proven_absent(now, &gone.member).unwrap_or(Proof::LeaseEndedByDisk);
            }
        }
        // The old master's life is over by what made the formation possible.
        next.master = self.next_master(now, &View { master: None, ..next.clone() });
        Some(next)
    }

    /// Whether a peer is a freshly booted host that asks to be admitted.
    fn booted(&self, now: Nanos, slot: Slot) -> bool {
        let peer = self.peer(slot);
        peer.says(WAITING)
            && peer.says(ARMED)
            && self.moving(now, slot)
            && peer.block_moves >= 2
            && !self.left_out(slot, peer.life)
    }

    fn proven_absent(&self, now: Nanos, member: &Member) -> Option<Proof> {
        let peer = self.peer(member.slot);
        if self.marks.declared.contains(&member.slot) {
            return Some(Proof::Operator);
        }
        let tombstone = peer.life == member.life && peer.dead_at.is_some_and(|at| now >= at);
        tombstone.then_some(Proof::Tombstone)
    }

    /// An armed member's block stood still for T and margin, all of it read by this host in
    /// this boot. An unarmed member is never presumed dead.
    fn still_absent(&self, member: &Member) -> bool {
        let peer = self.peer(member.slot);
        let since = match peer.life == member.life && peer.block_seq > 0 {
            true => peer.block_seen,
            // Never written in that life: since this host looks at the disk at all.
            false if peer.life < member.life => self.started_at,
            false => return false,
        };
        let unarmed = !member.armed || peer.unarmed;
        let silent = peer.heard_at.is_none_or(|at| peer.life != member.life || at <= since);
        !unarmed && silent && self.disk.read_begun > since + self.cfg.timing.death()
    }

    /// Somebody else writes the own block: leave quietly rather than fight for the identity.
    pub(super) fn step_down(&mut self, now: Nanos) {
        let why = "another machine writes this host's block: the identity was cloned";
        self.note(now, "cloned-identity", Some(self.me()), why.to_owned());
        if self.is_member() {
            return self.reset_now(now, why);
        }
        self.fail(now, Refusal::ClonedIdentity);
    }

    /// The start failed: nothing is armed any more.
    pub(super) fn fail(&mut self, now: Nanos, refusal: Refusal) {
        self.note(now, "start-failed", Some(self.me()), refusal.to_string());
        if self.armed || self.arming {
            self.fx.push(Effect::Disarm);
        }
        self.armed = false;
        self.arming = false;
        self.stage = Stage::Failed;
        for pending in std::mem::take(&mut self.pending) {
            self.fx.push(Effect::Answer(pending.ticket, Err(refusal.clone())));
        }
        self.fx.push(Effect::Changed);
    }
}
