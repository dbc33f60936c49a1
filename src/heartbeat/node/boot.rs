//! Starting: reading before writing, and the ways into a view after a boot (R2.5, section 7).

use std::sync::Arc;

use uuid::Uuid;

use super::{Effect, Node, Stage};
use crate::heartbeat::block::{BlockError, Seen};
use crate::heartbeat::decision::Decision;
use crate::heartbeat::node::effect::{CycleRead, Refusal};
use crate::heartbeat::quorum::majority;
use crate::heartbeat::report::{ARMED, BRAKED, WAITING};
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Life, Member, Mode, Proof, Slot, View};

use super::wish::Wish;

/// The own block before the first write: while it stands still, no other machine writes it and
/// no write of an earlier boot can be under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    pub(super) since: Nanos,
    pub(super) own: Option<(Life, Uuid, u64)>,
}

/// What the statefiles show of this host's earlier lives.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// The highest boot number in its own blocks.
    pub(super) boot: u32,
    /// Life, boot id and sequence of its newest beat block.
    pub(super) own: Option<(Life, Uuid, u64)>,
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

    /// A read-only cycle has completed. Only what a majority of the statefiles has shown counts.
    pub(super) fn finish_reading(&mut self, now: Nanos, read: &CycleRead) {
        let (boot, own) = self.own_past(read);
        self.past.boot = self.past.boot.max(boot);
        if own > self.past.own {
            self.past.own = own;
        }
        self.remember_newest();
        let read_ones = self.disks.iter().filter(|disk| disk.evidence.is_some()).count();
        if read_ones < self.cfg.acceptors.meeting() {
            return;
        }
        let Stage::Reading { quiet } = &self.stage else { return };
        match quiet.clone() {
            None if self.cfg.form => self.begin_forming(now),
            None => match self.take_identity() {
                Err(refusal) => self.fail(now, refusal),
                Ok(()) => {
                    let own = self.past.own;
                    self.stage = Stage::Reading { quiet: Some(Quiet { since: now, own }) };
                }
            },
            Some(quiet) if quiet.own != self.past.own => self.fail(now, Refusal::ClonedIdentity),
            Some(quiet) => {
                if self.view.as_ref().is_some_and(|view| view.mode == Mode::Off) {
                    return self.fail(now, Refusal::PoolIsOff);
                }
                if now >= quiet.since + self.drain() && !self.arming {
                    self.rise(now);
                }
            }
        }
    }

    /// The own block is still: this host may write. One that was fenced again and again waits
    /// unarmed first (R7.4).
    fn rise(&mut self, now: Nanos) {
        if self.cfg.braked.is_none() {
            return self.arm(now);
        }
        self.stage = Stage::Held { clean_since: None };
        self.next_beat = now;
        let why = "fenced several times in a row: waits, unarmed, for clean paths".to_owned();
        self.note(now, "held", Some(self.me()), why);
        self.fx.push(Effect::Changed);
    }

    /// A braked host joins after its paths to a majority of the last view were clean for long
    /// enough, or when a majority waits so: then nobody else can form the pool (R7.4).
    pub(super) fn tick_held(&mut self, now: Nanos, clean_since: Option<Nanos>) {
        let Some(view) = &self.view else { return };
        let limit = self.cfg.timing.connected();
        let fresh = |date: Option<Nanos>| date.is_some_and(|date| now < date + limit);
        let count = |holds: &dyn Fn(Slot) -> bool| {
            view.members.iter().filter(|m| m.slot != self.me() && holds(m.slot)).count()
        };
        let own = usize::from(view.member(self.me()).is_some());
        let reached = count(&|slot| fresh(self.peer(slot).evidence)) + own;
        let clean = fresh(self.disk_evidence()) && reached >= majority(view.members.len());
        let waits = |slot: Slot| self.peer(slot).says(WAITING) || self.peer(slot).says(BRAKED);
        let nobody_else = count(&waits) + own >= majority(view.members.len());
        let clean_since = clean_since.or(Some(now)).filter(|_| clean);
        let long = self.cfg.braked.unwrap_or(0);
        let over = clean_since.is_some_and(|since| now >= since + long);
        self.stage = Stage::Held { clean_since };
        if (over || nobody_else && clean || self.marks.released) && !self.arming {
            self.arm(now);
        }
    }

    /// Keeps the newest decided view that the statefiles, or the own record, show, without
    /// acting on it.
    fn remember_newest(&mut self) {
        let shown = self.disks.iter().flat_map(|disk| &disk.decisions);
        let shown = shown.filter_map(|seen| seen.decision()?.decided.clone());
        let kept = self.cfg.kept.as_ref().and_then(|kept| kept.view.clone());
        let kept = kept.filter(|_| !self.wrong(Variant::PromiseForgotten));
        let newest = shown.chain(kept).max_by_key(|view| view.epoch);
        if let Some(view) = newest.filter(|view| view.epoch > self.epoch()) {
            self.decision.adopt(&view);
            self.view = Some(view);
        }
    }

    /// Takes a life above every earlier one of this host, and the own ballots back.
    fn take_identity(&mut self) -> Result<(), Refusal> {
        let Some(view) = self.view.clone() else {
            let why = "no view was ever decided on it; enable HA again";
            return Err(Refusal::Statefile(why.to_owned()));
        };
        if view.mode == Mode::Off {
            return Err(Refusal::PoolIsOff);
        }
        let known = view.member(self.me()).map_or(0, |member| member.life.boot);
        let known = known.max(view.gone(self.me()).map_or(0, |gone| gone.member.life.boot));
        let highest = self.past.boot.max(known);
        self.life = match self.past.own {
            Some((life, id, _)) if id == self.cfg.boot_id => {
                Life { boot: life.boot, session: life.session.saturating_add(1) }
            }
            _ if self.wrong(Variant::BootsUnordered) => Life { boot: highest.max(1), session: 1 },
            _ => Life { boot: highest + 1, session: 1 },
        };
        self.seq = self.past.own.map_or(0, |(_, _, seq)| seq);
        let mine = |member: &Member| member.boot_id == self.cfg.boot_id && member.armed;
        let gone = view.gone(self.me());
        let unfinished = view.member(self.me()).is_some_and(mine)
            || gone.is_some_and(|g| mine(&g.member) && g.proof != Proof::LeftEmpty);
        if unfinished && !self.cfg.fresh && !self.wrong(Variant::SessionIsBoot) {
            return Err(Refusal::UnfinishedSession);
        }
        self.take_ballots_back(&view);
        Ok(())
    }

    /// The own ballots of earlier boots bind this one too. Where a block cannot be read, this
    /// host bids for nothing until a view is decided without it.
    fn take_ballots_back(&mut self, view: &Arc<View>) {
        let me = self.me().index();
        let mut newest: Option<Arc<Decision>> = None;
        for disk in &mut self.disks {
            match &disk.decisions[me] {
                Seen::Decision(decision, doubtful) => {
                    disk.writes = decision.writes;
                    if *doubtful {
                        self.muted_epoch = view.epoch + 1;
                    }
                    if newest.as_ref().is_none_or(|known| decision.seq > known.seq) {
                        newest = Some(Arc::clone(decision));
                    }
                }
                Seen::Broken => self.muted_epoch = view.epoch + 1,
                Seen::Blank => {}
            }
        }
        if let Some(decision) = newest.filter(|_| !self.wrong(Variant::BallotsForgotten)) {
            self.decision = Decision::clone(&decision);
        }
        self.decision.adopt(view);
        self.write_decision();
    }

    /// Armed after reading: asks to be admitted.
    pub(super) fn begin_waiting(&mut self, now: Nanos) {
        self.stage = Stage::Waiting;
        self.write_decision();
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
        old.member(self.me()).or_else(|| old.base.contains(&self.me()).then(|| &old.members[0]))?;
        let set = self.booted_set(now, old);
        let absent: Vec<&Member> =
            old.members.iter().filter(|member| !set.contains(&member.slot)).collect();
        let proven = absent.iter().all(|member| self.proven_absent(now, member.slot).is_some());
        let gone_long = |member: &&Member| {
            self.proven_absent(now, member.slot).is_some() || self.still_absent(member)
        };
        let still = absent.iter().all(gone_long);
        let enough = self.wrong(Variant::FormsByMinority) || self.enough_to_form(now, &set, old);
        let at_once = self.wrong(Variant::FormsAtOnce) && enough;
        if !(proven || still && enough || at_once) {
            return None;
        }
        let members: Option<Vec<Member>> = set.iter().map(|slot| self.as_member(*slot)).collect();
        let mut next = self.followed_by(old, members?);
        if old.mode == Mode::Network {
            next.mode = Mode::Disk;
        }
        next.base = Vec::new();
        next.trusted = ((1u16 << self.disks.len()) - 1) as u8;
        for gone in &mut next.gone {
            if gone.proof == Proof::None && gone.since == next.epoch {
                gone.proof =
                    self.proven_absent(now, gone.member.slot).unwrap_or(Proof::LeaseEndedByDisk);
            }
        }
        // The old master's life is over by what made the formation possible.
        next.master = self.next_master(now, &View { master: None, ..next.clone() });
        Some(next)
    }

    /// This host and the freshly booted ones that all reach each other, lowest first.
    fn booted_set(&self, now: Nanos, old: &View) -> Vec<Slot> {
        let mut set: Vec<Slot> = vec![self.me()];
        let last = |slot: &Slot| old.member(*slot).is_some() || old.base.contains(slot);
        for slot in self.others().filter(last).filter(|slot| self.booted(now, *slot)) {
            if set.iter().all(|other| self.connected(now, *other, slot)) {
                set.push(slot);
            }
        }
        set.sort();
        set
    }

    /// A majority of the last view; one of two hosts (R7.3). After network mode, so many of
    /// those who entered it that whatever they decided there is known to one of the set.
    fn enough_to_form(&self, now: Nanos, set: &[Slot], old: &View) -> bool {
        let of_view = set.iter().filter(|slot| old.member(**slot).is_some()).count();
        let by_view = 2 * of_view > old.members.len() || old.members.len() == 2 && of_view == 1;
        let promised = self.next_epoch() > old.epoch + 1;
        let members: Vec<Slot> = old.members.iter().map(|member| member.slot).collect();
        let base = match (old.base.is_empty(), promised) {
            (false, _) => &old.base,
            (true, true) => &members,
            (true, false) => return by_view,
        };
        // Somebody may have lived on the answers of their earlier boots until those ended.
        let boots =
            set.iter().filter(|slot| **slot != self.me()).map(|slot| self.peer(*slot).since);
        let newest = boots.max().unwrap_or(0).max(self.started_at);
        if set.len() < old.members.len() && now <= newest + self.cfg.timing.death() {
            return false;
        }
        let of_base = set.iter().filter(|slot| base.contains(slot)).count();
        let voters = self.cfg.acceptors.by_network(base.len());
        of_base > base.len() - majority(voters).min(base.len())
    }

    /// Whether a peer is a freshly booted host that asks to be admitted.
    fn booted(&self, now: Nanos, slot: Slot) -> bool {
        let peer = self.peer(slot);
        peer.says(WAITING)
            && peer.says(ARMED)
            && self.moving(now, slot)
            && peer.block_moves() >= 2
            && !self.left_out(slot, peer.life)
    }

    fn proven_absent(&self, now: Nanos, slot: Slot) -> Option<Proof> {
        let peer = self.peer(slot);
        if self.marks.declared.contains(&slot) {
            return Some(Proof::Operator);
        }
        let life = self.view.as_ref()?.member(slot)?.life;
        let tombstone = peer.life == life && peer.dead_at.is_some_and(|at| now >= at);
        tombstone.then_some(Proof::Tombstone)
    }

    /// An armed member's block stood still for T and margin, all of it read by this host in
    /// this boot. An unarmed member is never presumed dead.
    fn still_absent(&self, member: &Member) -> bool {
        let peer = self.peer(member.slot);
        let death = self.cfg.timing.death();
        let still = |disk: &usize| {
            let block = &peer.blocks[*disk];
            let since = match peer.life == member.life && block.seq > 0 {
                true => block.seen,
                // Never written in that life: since this host looks at the disk at all.
                false => self.started_at,
            };
            let silent = peer.heard_at.is_none_or(|at| peer.life != member.life || at <= since);
            silent && self.disks[*disk].read_begun > since + death
        };
        let later = peer.life > member.life;
        let unarmed = !member.armed || peer.unarmed;
        let enough = (0..self.disks.len()).filter(still).count();
        !unarmed && !later && enough >= self.cfg.acceptors.meeting()
    }

    /// Whether a member of the last view bids for nothing any more: it is known dead, or its
    /// block stood still for T and margin.
    pub(super) fn certainly_absent(&self, now: Nanos, slot: Slot) -> bool {
        let member = self.view.as_ref().and_then(|view| view.member(slot));
        self.proven_absent(now, slot).is_some()
            || member.is_some_and(|member| self.still_absent(member))
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
