//! The view that freshly booted hosts may form by themselves (R7.2, R7.3).

use super::Node;
use super::network::AFTER_REWIND;
use crate::heartbeat::quorum::majority;
use crate::heartbeat::report::{ARMED, WAITING};
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Member, Mode, Proof, Slot, View};

impl Node {
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
        // Whoever is missing may alone have known of views that a statefile forgot (R2.4).
        let forgotten = if absent.is_empty() { 0 } else { AFTER_REWIND };
        let mut next = self.followed_by(old, members?, self.next_epoch() + forgotten);
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
        if self.statefiles_went_back(set, old) {
            // What they held is known to whoever took part in it: nobody forms alone.
            return 2 * of_view > old.members.len() && self.earlier_boots_ended(now, set, old);
        }
        let promised = self.next_epoch() > old.epoch + 1;
        let members: Vec<Slot> = old.members.iter().map(|member| member.slot).collect();
        let base = match (old.base.is_empty(), promised) {
            (false, _) => &old.base,
            (true, true) => &members,
            (true, false) => return by_view,
        };
        if !self.earlier_boots_ended(now, set, old) {
            return false;
        }
        let of_base = set.iter().filter(|slot| base.contains(slot)).count();
        // A witness that votes may have made a majority with any of them.
        let voters = self.cfg.acceptors.by_network(base.len());
        of_base > voters - majority(voters)
    }

    /// Whether one of the set has kept a newer view than the statefiles showed it.
    fn statefiles_went_back(&self, set: &[Slot], old: &View) -> bool {
        set.iter().any(|slot| match *slot == self.me() {
            true => self.past.behind.is_some(),
            false => self.peer(*slot).report.as_ref().is_some_and(|r| r.promise > old.epoch),
        })
    }

    /// Whoever is missing may have lived on the answers of the others' earlier boots until those
    /// ended.
    fn earlier_boots_ended(&self, now: Nanos, set: &[Slot], old: &View) -> bool {
        let boots =
            set.iter().filter(|slot| **slot != self.me()).map(|slot| self.peer(*slot).since);
        let newest = boots.max().unwrap_or(0).max(self.started_at);
        set.len() >= old.members.len() || now > newest + self.cfg.timing.death()
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
        let life = self.view.as_ref()?.member(slot)?.life;
        if self.declared_long_ago(now, slot, life) {
            return Some(Proof::Operator);
        }
        let tombstone = peer.life == life && peer.dead_at.is_some_and(|at| now >= at);
        tombstone.then_some(Proof::Tombstone)
    }

    /// An armed member's block stood still for T and margin, all of it read by this host in
    /// this boot. An unarmed member is never presumed dead.
    fn still_absent(&self, member: &Member) -> bool {
        let peer = self.peer(member.slot);
        let still = |disk: usize| {
            let block = &peer.blocks[disk];
            let since = match peer.life == member.life && block.seq > 0 {
                true => block.seen,
                // Never written in that life: since this host looks at the disk at all.
                false => self.started_at,
            };
            let silent = peer.heard_at.is_none_or(|at| peer.life != member.life || at <= since);
            silent.then_some((since, self.disks[disk].read_begun))
        };
        let later = peer.life > member.life;
        let unarmed = !member.armed || self.unarmed(member.slot, member.life);
        let seen: Vec<(Nanos, Nanos)> = (0..self.disks.len()).filter_map(still).collect();
        !unarmed && !later && self.still_together(&seen)
    }

    /// Whether a member of the last view bids for nothing any more: it is known dead, or its
    /// block stood still for T and margin.
    pub(super) fn certainly_absent(&self, now: Nanos, slot: Slot) -> bool {
        let member = self.view.as_ref().and_then(|view| view.member(slot));
        self.proven_absent(now, slot).is_some()
            || member.is_some_and(|member| self.still_absent(member))
    }
}
