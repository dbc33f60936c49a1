//! Why a host is not simply live, and why a decided view has left it out: in words for a person.

use super::{Node, Stage};
use crate::heartbeat::liveset::Liveness;
use crate::heartbeat::report::BRAKED;
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::view::{Gone, Life, Proof, Slot, View};

/// Why a life is out of the view, as this host saw it when it took the view over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    slot: Slot,
    life: Life,
    why: String,
}

impl Node {
    /// Takes down why those go whom the next view lacks.
    pub(super) fn note_leavers(&mut self, now: Nanos, next: &View) {
        let still = |left: &Left| next.gone(left.slot).is_some_and(|g| g.member.life == left.life);
        self.left.retain(still);
        let Some(old) = self.view.clone() else { return };
        let me = self.me();
        for gone in next.gone.iter().filter(|gone| gone.member.slot != me) {
            let (slot, life) = (gone.member.slot, gone.member.life);
            if old.has(slot, life) {
                let why = self.must_go(now, slot, &old).unwrap_or_else(|| self.silence(now, slot));
                self.left.push(Left { slot, life, why });
            }
        }
    }

    /// Whether a host waits because it was fenced several times in a row (R7.4).
    pub(super) fn is_braked(&self, slot: Slot) -> bool {
        match slot == self.me() {
            true => matches!(self.stage, Stage::Held { .. }),
            false => self.peer(slot).says(BRAKED),
        }
    }

    /// Why a host is not simply live.
    pub(super) fn why(&self, now: Nanos, slot: Slot, liveness: Liveness) -> Option<String> {
        let gone = self.view.as_ref().and_then(|view| view.gone(slot));
        match (liveness, gone) {
            (Liveness::Live, _) => None,
            (Liveness::Waiting, _) => Some(self.why_it_waits(now, slot)),
            (_, Some(gone)) => Some(self.why_it_is_out(now, gone)),
            (Liveness::Suspect, None) => {
                let disk = match slot == self.me() {
                    true => self.disk_evidence().map(|at| now.saturating_sub(at)),
                    false => self.peer(slot).disk_age(now),
                };
                Some(format!("last disk cycle {}", Self::ago(disk)))
            }
            _ => Some(self.silence(now, slot)),
        }
    }

    fn why_it_waits(&self, now: Nanos, slot: Slot) -> String {
        let limit = self.cfg.timing.s / 2;
        let heard = self.peer(slot).evidence_age(now);
        match self.is_braked(slot) {
            true => "fenced several times in a row: joins after clean paths, or at once by xe \
                     host-ha-release"
                .to_owned(),
            false if slot != self.me() && heard.is_none_or(|age| age > limit) => {
                let heard = Self::ago(heard);
                format!("asks to be admitted on the statefile; last round trip {heard}")
            }
            false => "asks to be admitted".to_owned(),
        }
    }

    /// Why the view left it out, and what is known of it since.
    fn why_it_is_out(&self, now: Nanos, gone: &Gone) -> String {
        let (slot, life) = (gone.member.slot, gone.member.life);
        let unarmed = !gone.member.armed || self.unarmed(slot, life);
        let since = match self.known_proof(gone) {
            // Nobody left it out: it went.
            Some(Proof::LeftEmpty) => return Proof::LeftEmpty.sentence().to_owned(),
            Some(proof) => proof.sentence().to_owned(),
            None if unarmed => "unarmed: nothing resets it, so its VMs are unknown until a person \
                                or a fence device says that it is off"
                .to_owned(),
            None => self.silence(now, slot),
        };
        let left = self.left.iter().find(|left| (left.slot, left.life) == (slot, life));
        left.map_or(since.clone(), |left| format!("{}; {since}", left.why))
    }

    fn silence(&self, now: Nanos, slot: Slot) -> String {
        let peer = self.peer(slot);
        let (heard, moved) = (peer.evidence_age(now), peer.block_age(now));
        format!("last round trip {}, block last moved {}", Self::ago(heard), Self::ago(moved))
    }

    fn ago(age: Option<Nanos>) -> String {
        age.map_or("never".to_owned(), |age| format!("{} ago", Self::seconds(age)))
    }
}
