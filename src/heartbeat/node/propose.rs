//! When a host asks for the next view, and how it gets it decided (R3.2, R3.3).

use super::disk::Flight;
use super::{Node, Stage};
use crate::heartbeat::decision::{Ballot, Verdict, judge};
use crate::heartbeat::report::{ARMED, HANDING_OVER};
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::view::{Mode, Slot, View};

/// The own attempt to decide the next view.
#[derive(Debug, Default)]
pub struct Proposing {
    attempt: Option<Attempt>,
    /// Back-off after a higher ballot of a live proposer, or after an attempt in vain.
    pub not_before: Option<Nanos>,
    /// Since when a wish that can wait has stood.
    calm_since: Option<Nanos>,
}

#[derive(Debug)]
struct Attempt {
    ballot: Ballot,
    accepting: bool,
    why: String,
}

impl Proposing {
    /// A new view has been adopted: whatever ran is history.
    pub fn reset(&mut self) {
        *self = Proposing::default();
    }
}

/// Why the next view is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    /// A lease runs out meanwhile: at once.
    Urgent(String),
    /// Hosts take turns by rank, so that they do not bid against each other.
    Calm(String),
}

impl Node {
    /// Looks whether this host should ask for the next view.
    pub(super) fn consider(&mut self, now: Nanos) {
        let Some(wish) = self.wish(now) else {
            self.proposing.calm_since = None;
            return;
        };
        self.pursue(now, wish);
    }

    /// Starts an attempt for a wish when its time has come.
    pub(super) fn pursue(&mut self, now: Nanos, wish: Wish) {
        let can = self.disk.evidence.is_some_and(|at| now.saturating_sub(at) < self.cfg.timing.s);
        let barred = self.proposing.not_before.is_some_and(|at| now < at);
        if self.proposing.attempt.is_some() || barred || !can || self.epoch() < self.muted_epoch {
            return;
        }
        match wish {
            Wish::Urgent(why) => self.bid(now, why),
            Wish::Calm(why) => {
                let since = *self.proposing.calm_since.get_or_insert(now);
                if now >= since + self.rank(now) * 2 * self.cfg.timing.beat {
                    self.bid(now, why);
                }
            }
        }
    }

    /// This host's place among those that could propose, lowest first.
    fn rank(&self, now: Nanos) -> u64 {
        let before = self.slots().take_while(|slot| *slot != self.me());
        before.filter(|slot| self.moving(now, *slot)).count() as u64
    }

    /// Whether the peer's block was seen moving within G.
    pub(super) fn moving(&self, now: Nanos, slot: Slot) -> bool {
        self.peer(slot).block_age(now).is_some_and(|age| age < self.cfg.timing.connected())
    }

    fn wish(&self, now: Nanos) -> Option<Wish> {
        let view = self.view.as_ref()?;
        if view.mode == Mode::Off {
            return None;
        }
        let others = || view.members.iter().filter(|member| member.slot != self.me());
        if let Some(why) = others().find_map(|member| self.must_go(now, member.slot, view)) {
            return Some(Wish::Urgent(why));
        }
        let handing = |slot: Slot| match slot == self.me() {
            true => self.agent.handed_over,
            false => self.peer(slot).says(HANDING_OVER),
        };
        match view.master {
            None => return Some(Wish::Calm("the view names no master".to_owned())),
            Some(slot) if handing(slot) && self.successor(now, view).is_some() => {
                return Some(Wish::Calm(format!("{} gave the mastership up", self.uuid(slot))));
            }
            Some(_) => {}
        }
        if let Some(mode) = self.marks.mode.filter(|mode| *mode != view.mode) {
            return Some(Wish::Calm(format!("the pool's mode is to be {mode:?}")));
        }
        if let Some(slot) = self.joiner(now, view) {
            return Some(Wish::Calm(format!("{} asks to be admitted", self.uuid(slot))));
        }
        let armed = |slot: Slot| match slot == self.me() {
            true => self.armed,
            false => self.peer(slot).says(ARMED),
        };
        let unmarked = view.members.iter().any(|member| !member.armed);
        (unmarked && view.members.iter().all(|member| armed(member.slot)))
            .then(|| Wish::Calm("every member is armed".to_owned()))
    }

    /// Why a member cannot stay, if so.
    fn must_go(&self, now: Nanos, slot: Slot, view: &View) -> Option<String> {
        let (peer, member, timing) = (self.peer(slot), view.member(slot)?, &self.cfg.timing);
        let name = self.uuid(slot);
        if peer.life > member.life {
            return Some(format!("a later life of {name} was seen"));
        }
        if peer.dead_at.is_some() {
            return Some(format!("{name} announced its reset"));
        }
        if peer.leaving {
            return Some(format!("{name} leaves"));
        }
        if peer.unarmed {
            return Some(format!("{name} disarmed by emergency"));
        }
        // A member admitted just now has had no time to answer.
        let since = self.adopted_at.max(self.admitted_at.unwrap_or(0));
        let evidence = peer.evidence.map_or(since, |date| date);
        let age = now.saturating_sub(evidence);
        if age > timing.s {
            return Some(format!("no round trip with {name} for {}", Self::seconds(age)));
        }
        if peer.block_still > timing.s {
            let still = Self::seconds(peer.block_still);
            return Some(format!("the block of {name} stood still for {still}"));
        }
        None
    }

    /// Opens a ballot above every one seen for this link.
    fn bid(&mut self, now: Nanos, why: String) {
        let instance = self.epoch() + 1;
        if self.decision.instance != instance {
            self.decision.instance = instance;
            self.decision.started = Ballot::default();
            self.decision.accepted = Ballot::default();
            self.decision.value = None;
        }
        let (seen, _) = self.seen_decisions();
        let highest = seen
            .iter()
            .filter(|(_, decision)| decision.instance == instance)
            .map(|(_, decision)| decision.started.number)
            .fold(self.decision.started.number, u64::max);
        let ballot = Ballot { number: highest + 1, slot: self.me().0 };
        self.decision.started = ballot;
        self.disk.dirty = true;
        self.note(now, "proposal", None, format!("{why}; ballot {}", ballot.number));
        self.proposing.attempt = Some(Attempt { ballot, accepting: false, why });
    }

    /// A cycle has completed: goes on with the attempt that it wrote, if any.
    pub(super) fn after_cycle(&mut self, now: Nanos, flight: &Flight) {
        let Some(attempt) = &self.proposing.attempt else { return };
        let (ballot, accepting) = (attempt.ballot, attempt.accepting);
        let written = if accepting { flight.accepted } else { flight.started };
        if written != ballot {
            return;
        }
        let (seen, unclear) = self.seen_decisions();
        match judge(&self.decision, &seen, &unclear) {
            Verdict::Decided(view) => self.adopt(now, *view, None),
            Verdict::Outbid(slot, _) => self.outbid(now, slot),
            Verdict::Unclear(slot) => {
                self.note(now, "ballots-unclear", Some(slot), "its block is broken".to_owned());
                self.back_off(now, 1);
            }
            Verdict::Free(_) if accepting => {
                if let Some(view) = self.decision.value.clone() {
                    self.adopt(now, view, None);
                }
            }
            Verdict::Free(taken) => self.accept(now, ballot, taken.map(|view| *view)),
        }
    }

    /// The end of phase one: a value accepted before must be taken over, else the membership
    /// is computed now, by this proposer alone.
    fn accept(&mut self, now: Nanos, ballot: Ballot, taken: Option<View>) {
        let next = match taken {
            Some(view) => Some(view),
            None if self.view.is_none() => self.first_view(now),
            None if self.stage == Stage::Member => self.next_view(now),
            None => self.formed_view(now),
        };
        let Some(view) = next else { return self.back_off(now, 1) };
        // A host never proposes a view that leaves itself out: it waits and looks again.
        if view.member(self.me()).is_none() {
            return self.back_off(now, 2);
        }
        self.decision.accepted = ballot;
        self.decision.value = Some(view);
        self.disk.dirty = true;
        if let Some(attempt) = &mut self.proposing.attempt {
            attempt.accepting = true;
        }
    }

    /// A higher ballot: wait for a live proposer, overtake a dead one.
    fn outbid(&mut self, now: Nanos, slot: Slot) {
        if self.moving(now, slot) {
            return self.back_off(now, 2);
        }
        if let Some(attempt) = self.proposing.attempt.take() {
            self.bid(now, attempt.why);
        }
    }

    fn back_off(&mut self, now: Nanos, cycles: u64) {
        self.proposing.attempt = None;
        let wait = (cycles + self.rank(now)) * self.cfg.timing.beat;
        self.proposing.not_before = Some(now + wait);
    }
}
