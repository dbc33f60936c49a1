//! What the next view should be (R3.3, R6.2).

use super::{Node, Stage};
use crate::heartbeat::clique::best_set;
use crate::heartbeat::quorum::majority;
use crate::heartbeat::report::{AGENT_OK, ARMED, CANDIDATE, FRESH, HANDING_OVER, WAITING};
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Gone, Life, Member, Proof, Slot, View};

impl Node {
    /// The view that should follow the present one; none when nothing is to change or this
    /// host does not belong to the best set.
    pub(super) fn next_view(&self, now: Nanos) -> Option<View> {
        let old = self.view.as_ref()?;
        let mut set = self.best_of(now, old, |member| self.present(now, member));
        if self.too_few(&set, old) {
            // Who wants to leave is let go when there are others enough to decide.
            set = self.best_of(now, old, |member| self.there_yet(now, member));
        }
        if !set.contains(&self.me()) || self.too_few(&set, old) {
            return None;
        }
        // A wish that can wait costs nobody its place: a member that is only slow to show itself
        // is waited for.
        let drops = set.len() < old.members.len();
        if drops && !old.members.iter().any(|m| self.must_go(now, m.slot, old).is_some()) {
            return None;
        }
        let mut members: Vec<Member> = old
            .members
            .iter()
            .filter(|member| set.contains(&member.slot))
            .map(|member| self.refreshed(member))
            .collect();
        let joiner = self
            .joiner(now, old)
            .filter(|_| !self.by_network())
            .filter(|joiner| set.iter().all(|slot| self.connected(now, *joiner, *slot)));
        members.extend(joiner.and_then(|slot| self.as_member(slot)));
        members.sort_by_key(|member| member.slot);
        let mut next = self.followed_by(old, members, self.next_epoch());
        (next.mode, next.base) = self.next_mode(now, old);
        next.trusted = self.disks_to_trust(now);
        next.master = self.next_master(now, &next);
        let same = next.members == old.members
            && next.master == old.master
            && (next.mode, next.trusted) == (old.mode, old.trusted)
            && next.base == old.base
            && !(self.by_network() && self.any_rewound() && self.settled(now));
        (!same).then_some(next)
    }

    /// The largest set of members that all reach each other, among those that are wanted.
    fn best_of(&self, now: Nanos, old: &View, wanted: impl Fn(&Member) -> bool) -> Vec<Slot> {
        let members = old.members.iter().filter(|member| wanted(member));
        let present: Vec<Slot> = members.map(|member| member.slot).collect();
        // The witness's answer goes before any weight.
        let weight = |slot: Slot| {
            let witnessed = u64::from(self.reaches_witness(now, slot)) << 40;
            witnessed + old.member(slot).map_or(0, |member| u64::from(member.weight))
        };
        best_set(&present, |a, b| self.connected(now, a, b), weight)
    }

    /// In network mode only a strict majority of those who entered it may go on.
    fn too_few(&self, set: &[Slot], old: &View) -> bool {
        if !self.by_network() {
            return false;
        }
        let votes = set.iter().filter(|slot| old.base.contains(slot)).count();
        let witness = self.cfg.acceptors.witness_votes(old.base.len());
        votes + usize::from(witness) < self.network_majority()
    }

    /// Whether a host has a fresh round trip with the witness.
    fn reaches_witness(&self, now: Nanos, slot: Slot) -> bool {
        let limit = self.cfg.timing.connected();
        match slot == self.me() {
            true => self.witness.evidence.is_some_and(|date| now < date + limit),
            false => self.peer(slot).witness_age(now).is_some_and(|age| age < limit),
        }
    }

    /// Whether a member has seen a statefile go back in time under the present view.
    pub(super) fn any_rewound(&self) -> bool {
        self.rewound_now() != 0 || self.members_reports().any(|(_, report)| report.rewound != 0)
    }

    /// Whether the view in force has stood for S. What may go on for ever, such as reads that are
    /// stale now and then, is answered by one view in that time.
    pub(super) fn settled(&self, now: Nanos) -> bool {
        now > self.adopted_at + self.cfg.timing.s
    }

    /// The newest reports of the other members that have adopted the present view.
    fn members_reports(&self) -> impl Iterator<Item = (Slot, &crate::heartbeat::report::Report)> {
        let view = self.view.as_deref();
        self.others().filter_map(move |slot| {
            let report = self.peer(slot).report.as_deref()?;
            let there = view?.has(slot, report.life) && report.epoch >= view?.epoch;
            there.then_some((slot, report))
        })
    }

    /// The statefiles that the next view should trust (R2.4): one that went back in time is out,
    /// and comes back when every member completes cycles on it again, S later at the earliest.
    /// Never fewer than decide.
    pub(super) fn disks_to_trust(&self, now: Nanos) -> u8 {
        let Some(view) = &self.view else { return u8::MAX };
        let count = self.disks.len();
        let all = ((1u16 << count) - 1) as u8;
        let mut bad = self.rewound_now();
        let mut good = self.cycling(now);
        let mut heard = 1;
        for (_, report) in self.members_reports() {
            bad |= report.rewound;
            good &= report.disks;
            heard += 1;
        }
        if !self.by_network() && !self.settled(now) {
            good &= view.trusted;
        }
        let complete = heard == view.members.len();
        let kept = if self.by_network() { 0 } else { view.trusted };
        let next = match complete {
            true => (kept | good) & !bad & all,
            false => view.trusted & !bad & all,
        };
        let needed = majority(self.cfg.acceptors.by_disk()) as u32;
        let witness = self.cfg.acceptors.witness_votes(count);
        match next.count_ones() + u32::from(witness) >= needed {
            true => next,
            false => view.trusted,
        }
    }

    /// The statefiles that this host has seen go back in time under the present view.
    pub(super) fn rewound_now(&self) -> u8 {
        let epoch = self.epoch();
        let seen = self.disks.iter().enumerate().filter(|(_, disk)| disk.rewound == Some(epoch));
        seen.fold(0, |mask, (disk, _)| mask | 1 << disk)
    }

    /// The statefiles on which this host completes cycles, whether they count or not.
    pub(super) fn cycling(&self, now: Nanos) -> u8 {
        let limit = self.cfg.timing.connected();
        let fresh = |date: Nanos| now < date + limit;
        let disks = self.disks.iter().enumerate();
        let cycling = disks.filter(|(_, disk)| disk.evidence.is_some_and(fresh));
        cycling.fold(0, |mask, (disk, _)| mask | 1 << disk)
    }

    /// The next link with these members: whoever is missing has gone.
    pub(super) fn followed_by(&self, old: &View, members: Vec<Member>, epoch: u64) -> View {
        let stays = |slot: Slot, life: Life| {
            members.iter().any(|member| member.slot == slot && member.life >= life)
        };
        let mut gone: Vec<Gone> = old
            .gone
            .iter()
            .filter(|gone| !stays(gone.member.slot, gone.member.life))
            .map(|gone| Gone { proof: self.best_proof(gone), ..gone.clone() })
            .collect();
        for member in old.members.iter().filter(|member| !stays(member.slot, member.life)) {
            let unmarked = Gone {
                member: member.clone(),
                since: epoch,
                was_master: old.master == Some(member.slot),
                proof: Proof::None,
                words: self.words_needed(old),
            };
            let mut entry = Gone { proof: self.best_proof(&unmarked), ..unmarked };
            entry.member.armed &= !self.unarmed(member.slot, member.life);
            gone.retain(|other| other.member.slot != member.slot);
            gone.push(entry);
        }
        gone.sort_by_key(|gone| gone.member.slot);
        View {
            epoch,
            master: old.master.filter(|slot| members.iter().any(|m| m.slot == *slot)),
            members,
            gone,
            proposer: self.me(),
            ..old.clone()
        }
    }

    /// How many members' words bound the lease of whoever leaves on top of that view (R5.1).
    fn words_needed(&self, old: &View) -> u16 {
        if old.base.is_empty() {
            return 0;
        }
        let voters = self.cfg.acceptors.by_network(old.base.len());
        u16::try_from(voters + 1 - majority(voters)).unwrap_or(u16::MAX)
    }

    /// What this host can prove about a life that left, for the next view to carry.
    fn best_proof(&self, gone: &Gone) -> Proof {
        let (slot, life) = (gone.member.slot, gone.member.life);
        let peer = self.peer(slot);
        if let Some(proof) = self.known_proof(gone) {
            proof
        } else if peer.life.boot > life.boot && peer.boot_id != gone.member.boot_id {
            Proof::NewBoot
        } else if peer.life == life && peer.leaving || peer.vouches_for(life) {
            Proof::LeftEmpty
        } else {
            Proof::None
        }
    }

    fn refreshed(&self, member: &Member) -> Member {
        let (says_armed, unarmed, weight) = match member.slot == self.me() {
            true => (self.armed, self.marks.unarmed, self.cfg.weight),
            false => {
                let peer = self.peer(member.slot);
                let weight = peer.report.as_ref().map_or(member.weight, |report| report.weight);
                (peer.says(ARMED), self.unarmed(member.slot, member.life), weight)
            }
        };
        Member { armed: (member.armed || says_armed) && !unarmed, weight, ..member.clone() }
    }

    /// Whether a member is there and does not want to go.
    fn present(&self, now: Nanos, member: &Member) -> bool {
        let leaves = member.slot != self.me() && self.peer(member.slot).leaving;
        self.there_yet(now, member) && !leaves
    }

    /// Whether a member is there: its block moves and its own disk evidence is fresh (in network
    /// mode neither is needed).
    fn there_yet(&self, now: Nanos, member: &Member) -> bool {
        if member.slot == self.me() {
            return true;
        }
        let peer = self.peer(member.slot);
        let limit = self.cfg.timing.connected();
        let on_disk =
            || self.moving(now, member.slot) && peer.disk_age(now).is_some_and(|age| age < limit);
        peer.life == member.life
            && (self.by_network() || on_disk())
            && peer.dead_at.is_none()
            && !self.unarmed(member.slot, member.life)
    }

    /// Whether two hosts reach each other: both ages are under G.
    pub(super) fn connected(&self, now: Nanos, a: Slot, b: Slot) -> bool {
        let age = |of: Slot, towards: Slot| match of == self.me() {
            true => self.peer(towards).evidence_age(now),
            false if self.wrong(Variant::StaleAgesTrusted) => {
                self.peer(of).reported_age(self.peer(of).report_at, towards)
            }
            false => self.peer(of).reported_age(now, towards),
        };
        let under = |age: Option<Nanos>| age.is_some_and(|age| age < self.cfg.timing.connected());
        under(age(a, b)) && under(age(b, a))
    }

    /// The host to admit next, lowest first: it asks, its block moved in this life, it is
    /// connected with every member, and its last life is over.
    pub(super) fn joiner(&self, now: Nanos, view: &View) -> Option<Slot> {
        self.others().find(|slot| {
            let peer = self.peer(*slot);
            let earlier = view.gone(*slot).map(|gone| &gone.member);
            // The same boot may come back only after it had left cleanly or unarmed: a boot
            // that was presumed dead must never run again.
            let over = earlier.is_none_or(|member| {
                peer.life.boot > member.life.boot
                    || (peer.life > member.life
                        && (!member.armed
                            || peer.says(FRESH)
                            || view.gone(*slot).is_some_and(|g| g.proof == Proof::LeftEmpty)))
            });
            peer.says(WAITING)
                && peer.says(ARMED)
                && view.member(*slot).is_none()
                && over
                && peer.dead_at.is_none()
                && !peer.leaving
                && peer.block_moves() >= 2
                && self.moving(now, *slot)
                && view.members.iter().all(|m| self.connected(now, *slot, m.slot))
        })
    }

    /// A peer's newest life as a member.
    pub(super) fn as_member(&self, slot: Slot) -> Option<Member> {
        if slot == self.me() {
            return Some(Member {
                slot,
                life: self.life,
                boot_id: self.cfg.boot_id,
                armed: self.armed,
                weight: self.cfg.weight,
            });
        }
        let peer = self.peer(slot);
        let report = peer.report.as_ref()?;
        Some(Member {
            slot,
            life: peer.life,
            boot_id: peer.boot_id,
            armed: report.says(ARMED),
            weight: report.weight,
        })
    }

    /// The master of the next view: the present one stays unless it left or hands over.
    pub(super) fn next_master(&self, now: Nanos, next: &View) -> Option<Slot> {
        match next.master {
            Some(slot) if !self.hands_over(slot) => Some(slot),
            Some(slot) => self.successor(now, next).or(Some(slot)),
            None => self.successor(now, next).or(next.members.first().map(|m| m.slot)),
        }
    }

    /// Who should be master next: a host that asks for it, else the lowest with a live agent.
    pub(super) fn successor(&self, now: Nanos, view: &View) -> Option<Slot> {
        self.successor_but(now, view, None)
    }

    /// The same, with one host passed over.
    pub(super) fn successor_but(
        &self,
        now: Nanos,
        view: &View,
        passed_over: Option<Slot>,
    ) -> Option<Slot> {
        let fit = |slot: &Slot| match *slot == self.me() {
            true => self.agent_ok(now) && !self.agent.handed_over,
            false => {
                let peer = self.peer(*slot);
                peer.says(AGENT_OK) && !peer.says(HANDING_OVER)
            }
        };
        let asks = |slot: &Slot| match *slot == self.me() {
            true => self.marks.candidate,
            false => self.peer(*slot).says(CANDIDATE),
        };
        let slots = view.members.iter().map(|member| member.slot);
        let mut fit = slots.filter(|slot| Some(*slot) != passed_over).filter(fit);
        let heir = view.master.and_then(|master| match master == self.me() {
            true => self.agent.heir,
            false => self.peer(master).report.as_ref().and_then(|report| report.heir),
        });
        let wanted = fit.clone().find(|slot| Some(*slot) == heir);
        wanted.or_else(|| fit.clone().find(asks)).or_else(|| fit.next())
    }

    /// Whether this host is a member of the decided view under its present life.
    pub(super) fn is_member(&self) -> bool {
        self.stage == Stage::Member
            && self.view.as_ref().is_some_and(|view| view.has(self.me(), self.life))
    }
}
