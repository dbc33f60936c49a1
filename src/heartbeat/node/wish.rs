//! Why a host would ask for the next view (R3.3).

use super::Node;
use crate::heartbeat::report::{ARMED, HANDING_OVER};
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::view::{Mode, Slot, View};

/// Why the next view is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    /// A lease runs out meanwhile: at once.
    Urgent(String),
    /// Hosts take turns by rank, so that they do not bid against each other.
    Calm(String),
}

impl Node {
    /// What this host wants to be changed, the most urgent first.
    pub(super) fn wish(&self, now: Nanos) -> Option<Wish> {
        let view = self.view.as_ref()?;
        if view.mode == Mode::Off {
            return None;
        }
        let others = || view.members.iter().filter(|member| member.slot != self.me());
        if let Some(why) = others().find_map(|member| self.must_go(now, member.slot, view)) {
            return Some(Wish::Urgent(why));
        }
        self.calm_wish(now, view).map(Wish::Calm)
    }

    fn calm_wish(&self, now: Nanos, view: &View) -> Option<String> {
        match view.master {
            None => return Some("the view names no master".to_owned()),
            Some(slot) if self.hands_over(slot) && self.successor(now, view).is_some() => {
                return Some(format!("{} gave the mastership up", self.uuid(slot)));
            }
            Some(_) => {}
        }
        if let Some(mode) = self.marks.mode.filter(|mode| *mode != view.mode) {
            return Some(format!("the pool's mode is to be {mode:?}"));
        }
        if self.by_network() && self.any_rewound() && self.settled(now) {
            return Some("a statefile went back in time".to_owned());
        }
        if self.storage_is_back(now) {
            return Some("the storage is back".to_owned());
        }
        if self.all_came_back(view) {
            return Some("every member came back from network mode".to_owned());
        }
        let trusted = self.disks_to_trust(now);
        if trusted != view.trusted && !self.by_network() {
            return Some(format!("the statefiles to be trusted are {trusted:#07b}"));
        }
        // Nobody is admitted in network mode: a bid for that would be in vain, again and again.
        if let Some(slot) = self.joiner(now, view).filter(|_| !self.by_network()) {
            return Some(format!("{} asks to be admitted", self.uuid(slot)));
        }
        let armed = |slot: Slot| match slot == self.me() {
            true => self.armed,
            false => self.peer(slot).says(ARMED),
        };
        let unmarked = view.members.iter().any(|member| !member.armed);
        (unmarked && view.members.iter().all(|member| armed(member.slot)))
            .then(|| "every member is armed".to_owned())
    }

    /// Whether a host has given the mastership up: its agent is killed.
    pub(super) fn hands_over(&self, slot: Slot) -> bool {
        match slot == self.me() {
            true => self.agent.handed_over,
            false => self.peer(slot).says(HANDING_OVER),
        }
    }

    /// Why a member cannot stay, if so.
    pub(super) fn must_go(&self, now: Nanos, slot: Slot, view: &View) -> Option<String> {
        let (peer, member, timing) = (self.peer(slot), view.member(slot)?, &self.cfg.timing);
        let name = || self.uuid(slot);
        if peer.life > member.life {
            return Some(format!("a later life of {} was seen", name()));
        }
        if peer.dead_at.is_some() {
            return Some(format!("{} announced its reset", name()));
        }
        if peer.leaving {
            return Some(format!("{} leaves", name()));
        }
        if self.unarmed(slot, member.life) {
            let how = "an emergency disable, or an upgrade of its daemon";
            return Some(format!("{} disarmed without a decision ({how})", name()));
        }
        // A member admitted just now has had no time to answer.
        let since = self.adopted_at.max(self.admitted_at.unwrap_or(0));
        let age = now.saturating_sub(peer.evidence.unwrap_or(since));
        if age > timing.s {
            return Some(format!("no round trip with {} for {}", name(), Self::seconds(age)));
        }
        if self.by_network() {
            return None;
        }
        let still = self.stood_still(now, slot)?;
        if still > timing.s {
            let still = Self::seconds(still);
            return Some(format!("the block of {} stood still for {still}", name()));
        }
        // Its report lags by a beat, and so does the first cycle after a disturbance.
        let limit = timing.s + 2 * timing.beat;
        let age = peer.disk_age(now).filter(|age| *age > limit && now > since + limit)?;
        Some(format!("{} completes no disk cycle for {}", name(), Self::seconds(age)))
    }

    /// How long a peer's block has stood still on every statefile that this host reads, counted
    /// in this host's own cycles; none when it reads none.
    fn stood_still(&self, now: Nanos, slot: Slot) -> Option<Nanos> {
        let limit = now.saturating_sub(self.cfg.timing.s);
        let read = |disk: &usize| self.counts(*disk) && self.disks[*disk].evidence >= Some(limit);
        let read = (0..self.disks.len()).filter(read);
        read.map(|disk| self.peer(slot).blocks[disk].still).min()
    }
}
