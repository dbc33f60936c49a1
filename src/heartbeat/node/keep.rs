//! What this host keeps on its own disk ([`crate::heartbeat::kept`]), and what it holds back until
//! that has happened.

use std::sync::Arc;

use super::{Effect, Node};
use crate::heartbeat::kept::Kept;
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Life, Slot, View};

/// The record on the own disk, and those on their way there.
#[derive(Debug, Clone, Default)]
pub struct Keeping {
    /// What is kept: only this is said to others.
    pub kept: Arc<Kept>,
    /// The newest record that was handed out.
    pub(super) record: u64,
    /// Records handed out and not kept yet.
    pub(super) waiting: Vec<(u64, Arc<Kept>)>,
    /// Lives of which the mark "unarmed" was seen.
    pub(super) unarmed: Vec<(Slot, Life)>,
}

impl Keeping {
    /// What an earlier boot has left. No vote of it counts again.
    pub(super) fn after(kept: &Kept) -> Self {
        let unarmed = kept.unarmed.clone();
        let kept = Kept { vote: Arc::default(), ..kept.clone() };
        Keeping { kept: Arc::new(kept), unarmed, ..Keeping::default() }
    }
}

impl Node {
    /// Hands the record out to be kept. What it holds counts when it is on the own disk.
    pub(super) fn keep(&mut self) {
        if let Some(view) = &self.view {
            let counts = |slot, life| {
                let gone = view.gone(slot).map(|gone| gone.member.life);
                view.member(slot).map(|m| m.life).or(gone).is_none_or(|known| life >= known)
            };
            self.keeping.unarmed.retain(|(slot, life)| counts(*slot, *life));
        }
        let kept = Arc::new(Kept {
            generation: self.cfg.generation,
            boot: self.life.boot.max(self.keeping.kept.boot),
            promise: self.acceptor.promise,
            view: self.newest_known().cloned(),
            unarmed: self.keeping.unarmed.clone(),
            vote: Arc::clone(&self.acceptor.vote),
        });
        self.keeping.record += 1;
        self.keeping.waiting.push((self.keeping.record, Arc::clone(&kept)));
        self.fx.push(Effect::Keep(self.keeping.record, kept));
    }

    /// The newest view of this and earlier boots. One that statefiles have forgotten stays in the
    /// record until a later one is decided, however often this host boots meanwhile (R2.4).
    fn newest_known(&self) -> Option<&Arc<View>> {
        let kept = self.keeping.kept.view.as_ref();
        let kept = kept.filter(|_| !self.wrong(Variant::RecordGoesBack));
        kept.into_iter().chain(&self.view).max_by_key(|view| view.epoch)
    }

    /// A record is on the own disk.
    pub(super) fn kept(&mut self, now: Nanos, record: u64) {
        let newest = self.keeping.waiting.iter().rfind(|(number, _)| *number <= record).cloned();
        self.keeping.waiting.retain(|(number, _)| *number > record);
        let Some((_, kept)) = newest else { return };
        let before = std::mem::replace(&mut self.keeping.kept, kept);
        let now_said = &self.keeping.kept;
        if (before.promise, &before.vote, &before.unarmed)
            != (now_said.promise, &now_said.vote, &now_said.unarmed)
        {
            self.next_beat = now;
        }
        self.after_votes(now);
    }

    /// Keeps the mark "unarmed" of a peer: whoever forgets it by a reboot might presume dead
    /// what nothing resets (R9.3; found by simulation).
    pub(super) fn keep_unarmed(&mut self, slot: Slot) {
        let peer = self.peer(slot);
        let entry = (slot, peer.life);
        if peer.unarmed && !self.keeping.unarmed.contains(&entry) {
            self.keeping.unarmed.push(entry);
            self.keep();
        }
    }

    /// Whether that life has said that it disarms, or disarmed, without a decision.
    pub(super) fn unarmed(&self, slot: Slot, life: Life) -> bool {
        self.keeping.unarmed.contains(&(slot, life))
    }
}
