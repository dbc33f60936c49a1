//! When the VMs of a host that a decided view lacks may be restarted (section 5).

use super::{Effect, Node};
use crate::heartbeat::report::NEVER_MS;
use crate::heartbeat::timing::{MILLISECOND, Nanos};
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
    pub(super) fn follow_gone(&mut self, _now: Nanos) {
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
            .filter(|gone| !known(gone))
            .filter_map(|gone| {
                let proof = self.proof_of(now, gone)?;
                Some((gone.member.slot, gone.member.life, proof))
            })
            .collect();
        for (slot, life, proof) in found {
            self.declare(now, slot, life, proof);
        }
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
        if peer.life.boot > life.boot && peer.boot_id != gone.member.boot_id {
            return Some(Proof::NewBoot);
        }
        if peer.life == life && peer.dead_at.is_some_and(|at| now >= at) {
            return Some(Proof::Tombstone);
        }
        // An unarmed host is never presumed dead: nothing would have reset it.
        let unarmed = !gone.member.armed || (peer.life == life && peer.unarmed);
        if unarmed || now < self.floor(slot)? {
            return None;
        }
        if self.silent_long_enough(now, gone) {
            return Some(Proof::LeaseEndedByNetwork);
        }
        self.still_long_enough(slot, life).then_some(Proof::LeaseEndedByDisk)
    }

    /// No deadline is earlier than T and margin after this host was admitted, nor after its
    /// own last answer under R8.1.
    fn floor(&self, slot: Slot) -> Option<Nanos> {
        let answered = self.peer(slot).answered_lost.unwrap_or(0);
        Some(self.admitted_at?.max(answered) + self.cfg.timing.death())
    }

    /// R5.1: any one member is enough, since the lease needed every member.
    fn silent_long_enough(&self, now: Nanos, gone: &Gone) -> bool {
        let (slot, life) = (gone.member.slot, gone.member.life);
        let own = self.rests_on(slot).filter(|_| self.peer(slot).life <= life);
        let reported = self.others().filter(|other| *other != slot).filter_map(|other| {
            let peer = self.peer(other);
            let report = peer.report.as_ref()?;
            let entry = report.peers.get(slot.index())?;
            // Only what a member says after it stopped echoing that life counts.
            let after = report.epoch >= gone.since && entry.echo_life == life;
            let member = self.view.as_ref()?.has(other, report.life);
            let heard = u64::from(entry.heard_ms) * MILLISECOND;
            (after && member && entry.heard_ms != NEVER_MS)
                .then(|| peer.report_at.saturating_sub(heard))
        });
        own.into_iter().chain(reported).any(|rest| now > rest + self.cfg.timing.death())
    }

    /// R5.2: a read begun after the deadline still shows the same sequence.
    fn still_long_enough(&self, slot: Slot, life: Life) -> bool {
        let peer = self.peer(slot);
        peer.life == life
            && peer.block_seq > 0
            && self.disk.read_begun > peer.block_seen + self.cfg.timing.death()
    }

    /// Whether every earlier master that left is dead (R6.1).
    pub(super) fn earlier_masters_dead(&self) -> bool {
        let Some(view) = &self.view else { return false };
        view.gone.iter().filter(|gone| gone.was_master).all(|gone| {
            self.dead.iter().any(|d| d.slot == gone.member.slot && d.life == gone.member.life)
        })
    }
}
