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

/// Why a braked host goes on at once when nobody else can form the pool.
pub const MAJORITY_WAITS: &str =
    "a majority of the pool's hosts waits, and nobody else can form the pool";

/// The own block before the first write: while it stands still, no other machine writes it and
/// no write of an earlier boot can be under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    pub(super) since: Nanos,
    pub(super) own: Option<(Life, Uuid, u64)>,
    /// How often another statefile showed a newer one.
    pub(super) changes: usize,
}

/// What the statefiles show of this host's earlier lives.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// The highest boot number in its own blocks.
    pub(super) boot: u32,
    /// Life, boot id and sequence of its newest beat block.
    pub(super) own: Option<(Life, Uuid, u64)>,
    /// The epoch of the own record, when the statefiles have gone back to before it.
    pub(super) behind: Option<u64>,
}

impl Node {
    /// How long the own block must stand still before the first write. Where the statefiles have
    /// gone back in time, long enough to see whether a pool lives by what they show.
    fn drain(&self) -> Nanos {
        match self.forgotten() {
            Some(_) => self.cfg.timing.death(),
            None => (3 * self.cfg.timing.beat).max(SECOND),
        }
    }

    /// The newest view that this host has kept, if the statefiles have gone back to before it:
    /// what was decided with them in disk mode they would show.
    fn forgotten(&self) -> Option<&Arc<View>> {
        let kept = self.cfg.kept.as_ref()?.view.as_ref()?;
        let newer = kept.base.is_empty() && kept.epoch > self.epoch();
        (newer && !self.wrong(Variant::RewoundDiskTrusted)).then_some(kept)
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
                    let quiet = Quiet { since: now, own, changes: 0 };
                    self.stage = Stage::Reading { quiet: Some(quiet) };
                }
            },
            Some(quiet) if quiet.own != self.past.own => self.look_again(now, &quiet),
            Some(quiet) => {
                if self.view.as_ref().is_some_and(|view| view.mode == Mode::Off) {
                    return self.fail(now, Refusal::PoolIsOff);
                }
                let kept = self.keeping.kept.boot >= self.life.boot;
                if kept && now >= quiet.since + self.drain() && !self.arming {
                    self.rise(now);
                }
            }
        }
    }

    /// The own block has changed: a statefile that was read late may hold a newer one than those
    /// before it, each of them once; more than that is another machine.
    fn look_again(&mut self, now: Nanos, quiet: &Quiet) {
        if quiet.changes + 1 >= self.disks.len() {
            return self.fail(now, Refusal::ClonedIdentity);
        }
        if let Err(refusal) = self.take_identity() {
            return self.fail(now, refusal);
        }
        let (own, changes) = (self.past.own, quiet.changes + 1);
        self.stage = Stage::Reading { quiet: Some(Quiet { since: now, own, changes }) };
    }

    /// The own block is still: this host may write. One that was fenced again and again waits
    /// unarmed first (R7.4).
    fn rise(&mut self, now: Nanos) {
        self.recall(now);
        if self.cfg.braked.is_none() {
            return self.arm(now);
        }
        self.stage = Stage::Held { clean_since: None };
        self.next_beat = now;
        let why = "fenced several times in a row: waits, unarmed, for clean paths".to_owned();
        self.note(now, "held", Some(self.me()), why);
        self.fx.push(Effect::Changed);
    }

    /// Goes by the own record where the statefiles have gone back in time, unless a pool lives by
    /// what they show now: that one decides.
    fn recall(&mut self, now: Nanos) {
        let Some(kept) = self.forgotten().cloned() else { return };
        let lives = |slot: Slot| {
            let peer = self.peer(slot);
            peer.block_moves() > 0 && peer.says(ARMED) && !peer.says(WAITING)
        };
        let followed = self.view.is_some() && self.others().any(lives);
        self.past.behind = Some(kept.epoch);
        let why = match followed {
            true => "a pool lives by what the statefiles show, and decides",
            false => {
                self.decision.adopt(&kept);
                self.view = Some(Arc::clone(&kept));
                self.write_decision();
                "this host goes by its own record"
            }
        };
        let why = format!("the statefiles show nothing of epoch {}: {why}", kept.epoch);
        self.note(now, "disk-rewound", Some(self.me()), why);
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
        let why = match (self.marks.released, over) {
            (true, _) => "a person has ended its wait",
            (_, true) => "its paths were clean for long enough",
            _ if nobody_else && clean => MAJORITY_WAITS,
            _ => return,
        };
        if !self.arming {
            self.note(now, "held-no-more", Some(self.me()), why.to_owned());
            self.arm(now);
        }
    }

    /// Keeps the newest decided view that the statefiles, or the own record, show, without
    /// acting on it.
    fn remember_newest(&mut self) {
        let shown = self.disks.iter().flat_map(|disk| &disk.decisions);
        let shown = shown.filter_map(|seen| seen.decision()?.decided.clone());
        let kept = self.cfg.kept.as_ref().and_then(|kept| kept.view.clone());
        let by_network = |view: &Arc<View>| !view.base.is_empty();
        let kept = kept.filter(by_network).filter(|_| !self.wrong(Variant::PromiseForgotten));
        let newest = kept.into_iter().chain(shown).max_by_key(|view| view.epoch);
        if let Some(view) = newest.filter(|view| view.epoch > self.epoch()) {
            self.decision.adopt(&view);
            self.view = Some(view);
        }
    }

    /// Takes a life above every earlier one of this host, and the own ballots back.
    fn take_identity(&mut self) -> Result<(), Refusal> {
        let record = self.forgotten().cloned();
        let Some(view) = self.view.clone().or_else(|| record.clone()) else {
            let why = "no view was ever decided on it; enable HA again";
            return Err(Refusal::Statefile(why.to_owned()));
        };
        if view.mode == Mode::Off {
            return Err(Refusal::PoolIsOff);
        }
        let me = self.me();
        let entry = |view: &View| {
            view.member(me).map(|m| m.life.boot).max(view.gone(me).map(|g| g.member.life.boot))
        };
        let known = entry(&view).max(record.as_deref().and_then(entry)).unwrap_or(0);
        let kept = self.keeping.kept.boot;
        let kept = if self.wrong(Variant::BootsUnkept) { 0 } else { kept };
        let highest = self.past.boot.max(known).max(kept);
        self.life = match self.past.own {
            Some((life, id, _)) if id == self.cfg.boot_id && life.boot >= highest => {
                Life { boot: life.boot, session: life.session.saturating_add(1) }
            }
            _ if self.wrong(Variant::BootsUnordered) => Life { boot: highest.max(1), session: 1 },
            _ => Life { boot: highest + 1, session: 1 },
        };
        self.seq = self.past.own.map_or(0, |(_, _, seq)| seq);
        let mine = |member: &Member| member.boot_id == self.cfg.boot_id && member.armed;
        let unfinished = |view: &View| {
            view.member(me).is_some_and(mine)
                || view.gone(me).is_some_and(|g| mine(&g.member) && g.proof != Proof::LeftEmpty)
        };
        let unfinished = unfinished(&view) || record.as_deref().is_some_and(unfinished);
        if unfinished && !self.cfg.fresh && !self.wrong(Variant::SessionIsBoot) {
            return Err(Refusal::UnfinishedSession);
        }
        self.take_ballots_back(&view);
        self.keep();
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
