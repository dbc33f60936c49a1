//! When the VMs of a host that a decided view lacks may be restarted (section 5).

use super::{Effect, Node};
use crate::heartbeat::report::NEVER_MS;
use crate::heartbeat::timing::{MILLISECOND, Nanos};
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Gone, Life, Proof, Slot};

/// A life that this host knows to be dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// Its slot.
    pub slot: Slot,
    /// The life.
    pub life: Life,
    /// When this host knew.
    pub since: Nanos,
    /// How.
    pub proof: Proof,
}

impl Node {
    /// Forgets the dead whose later life has been admitted.
    pub(super) fn follow_gone(&mut self) {
        let Some(view) = &self.view else { return };
        self.dead
            .retain(|dead| view.gone(dead.slot).is_some_and(|gone| gone.member.life == dead.life));
    }

    /// Judges every life that left the view and is not known to be dead.
    pub(super) fn judge(&mut self, now: Nanos) {
        let Some(view) = &self.view else { return };
        let known = |gone: &Gone| {
            self.dead.iter().any(|d| d.slot == gone.member.slot && d.life == gone.member.life)
        };
        let found: Vec<(Slot, Life, Proof)> = view
            .gone
            .iter()
            .filter(|gone| gone.member.slot != self.me() && !known(gone))
            .filter_map(|gone| {
                let proof = self.proof_of(now, gone)?;
                Some((gone.member.slot, gone.member.life, proof))
            })
            .collect();
        for (slot, life, proof) in found {
            self.declare(now, slot, life, proof);
        }
        self.ask_fence_device(now);
    }

    pub(super) fn declare(&mut self, now: Nanos, slot: Slot, life: Life, proof: Proof) {
        self.dead.push(Dead { slot, life, since: now, proof });
        self.note(now, "dead", Some(slot), proof.sentence().to_owned());
        self.fx.push(Effect::Changed);
    }

    fn proof_of(&self, now: Nanos, gone: &Gone) -> Option<Proof> {
        let (slot, life) = (gone.member.slot, gone.member.life);
        let peer = self.peer(slot);
        if gone.proof != Proof::None {
            return Some(gone.proof);
        }
        let later = peer.life.boot > life.boot && peer.boot_id != gone.member.boot_id;
        if later || peer.life > life && self.wrong(Variant::SessionIsBoot) {
            return Some(Proof::NewBoot);
        }
        if peer.vouches_for(life) {
            return Some(Proof::LeftEmpty);
        }
        if peer.life == life && peer.dead_at.is_some_and(|at| now >= at) {
            return Some(Proof::Tombstone);
        }
        if self.declared_long_ago(now, slot, life) {
            return Some(Proof::Operator);
        }
        // An unarmed host is never presumed dead: nothing would have reset it.
        let unarmed = !gone.member.armed || self.unarmed(slot, life);
        let unarmed = unarmed && !self.wrong(Variant::UnarmedPresumedDead);
        if unarmed || now < self.floor(slot)? {
            return None;
        }
        if self.silent_long_enough(now, gone) {
            return Some(Proof::LeaseEndedByNetwork);
        }
        self.still_long_enough(gone).then_some(Proof::LeaseEndedByDisk)
    }

    /// How long after its last sign a host is certainly reset.
    fn certainly(&self) -> Nanos {
        let timing = &self.cfg.timing;
        match (self.wrong(Variant::ExcludeOneBeatEarly), self.wrong(Variant::NoMargin)) {
            (true, _) => timing.death().saturating_sub(2 * timing.beat + timing.margin),
            (_, true) => timing.t.saturating_sub(self.cfg.step),
            _ => timing.death(),
        }
    }

    /// No deadline is earlier than T and margin after this host was admitted, nor after its
    /// own last answer under R8.1, nor after the end of network mode: until then a lease could
    /// rest on a majority, whatever one member heard and however long the block stood still.
    fn floor(&self, slot: Slot) -> Option<Nanos> {
        if self.wrong(Variant::NoFloor) {
            return Some(0);
        }
        let answered = self.peer(slot).answered_lost.unwrap_or(0);
        Some(self.admitted_at?.max(answered).max(self.came_back_at) + self.certainly())
    }

    /// R5.1. Where the lease needed every member, any one member's word is enough. Where it may
    /// have rested on a majority over the network, so many words are needed that every majority
    /// has one among them, and the newest counts.
    fn silent_long_enough(&self, now: Nanos, gone: &Gone) -> bool {
        let slot = gone.member.slot;
        let own = self.rests_on(slot).filter(|_| self.peer(slot).life <= gone.member.life);
        let others = self.others().filter(|other| *other != slot);
        let words = others.filter_map(|other| self.word_of(other, gone)).chain(own);
        let over = |date: Nanos| now > date + self.certainly();
        if gone.words == 0 || self.wrong(Variant::OneWordIsEnough) {
            return words.into_iter().any(over);
        }
        let base = self.view.as_ref().map_or(&[][..], |view| view.base.as_slice());
        let ended = |other: Slot| self.word_of(other, gone).is_some_and(over);
        let mut enough = base.iter().filter(|other| **other != slot && ended(**other)).count();
        enough += usize::from(base.contains(&self.me()) && own.is_some_and(over));
        if self.cfg.acceptors.witness_votes(base.len()) {
            enough += usize::from(self.word_of(Slot::WITNESS, gone).is_some_and(over));
        }
        enough >= usize::from(gone.words)
    }

    /// The date of the last thing that a life's lease can rest on as far as a member, or the
    /// witness, goes: only what it says after it stopped echoing that life counts.
    fn word_of(&self, other: Slot, gone: &Gone) -> Option<Nanos> {
        let (report, at) = match other == Slot::WITNESS {
            true => (self.witness.report.as_ref()?, self.witness.report_at),
            false => {
                let peer = self.peer(other);
                let report = peer.report.as_ref()?;
                self.view.as_ref().filter(|view| view.has(other, report.life))?;
                (report, peer.report_at)
            }
        };
        let entry = report.peers.get(gone.member.slot.index())?;
        let after = report.epoch >= gone.since && entry.echo_life == gone.member.life;
        let heard = u64::from(entry.heard_ms) * MILLISECOND;
        (after && entry.heard_ms != NEVER_MS).then(|| at.saturating_sub(heard))
    }

    /// R5.2: reads begun after the deadline still show the same sequence, on so many statefiles
    /// that every majority of the acceptors has one among them. Whoever may have lived over the
    /// network needed no disk.
    fn still_long_enough(&self, gone: &Gone) -> bool {
        let (peer, life) = (self.peer(gone.member.slot), gone.member.life);
        let early = match self.wrong(Variant::ReadBeforeDeadline) {
            true => self.cfg.timing.l,
            false => 0,
        };
        let seen = (0..self.disks.len()).filter(|disk| self.counts(*disk)).filter_map(|disk| {
            let block = &peer.blocks[disk];
            (block.seq > 0).then_some((block.seen, self.disks[disk].read_begun + early))
        });
        gone.words == 0 && peer.life == life && self.still_together(&seen.collect::<Vec<_>>())
    }

    /// Whether a block stood still for as long as a lease can last, *at the same time* on enough
    /// statefiles: each entry is when its newest content was first seen and the begin of the last
    /// read. Statefiles seen to stand still one after the other prove nothing, since its host
    /// needs a majority of them only (found by simulation).
    pub(super) fn still_together(&self, seen: &[(Nanos, Nanos)]) -> bool {
        let span = self.certainly();
        let apart = self.wrong(Variant::StillOneAfterTheOther);
        let from = |since: Nanos| {
            let still = |(seen, read): &&(Nanos, Nanos)| match apart {
                true => *read > *seen + span,
                false => *seen <= since && *read > since + span,
            };
            seen.iter().filter(still).count() >= self.cfg.acceptors.meeting()
        };
        seen.iter().any(|(since, _)| from(*since))
    }

    /// What is known about a life that left, by the view or by this host.
    pub(super) fn known_proof(&self, gone: &Gone) -> Option<Proof> {
        let same = |dead: &&Dead| dead.slot == gone.member.slot && dead.life == gone.member.life;
        match gone.proof {
            Proof::None => self.dead.iter().find(same).map(|dead| dead.proof),
            proof => Some(proof),
        }
    }

    /// Whether every earlier master that left is dead (R6.1).
    pub(super) fn earlier_masters_dead(&self) -> bool {
        let Some(view) = &self.view else { return false };
        if self.wrong(Variant::ActsBesideOldMaster) {
            return true;
        }
        view.gone.iter().filter(|gone| gone.was_master).all(|gone| {
            self.dead.iter().any(|d| d.slot == gone.member.slot && d.life == gone.member.life)
        })
    }
}
