//! The fence device switches off who left (R5.3d). The master asks it about one life; its word
//! counts for that life alone, and where it fails it is asked again, for as long as nothing else
//! proves that life dead.
//!
//! Its word may come minutes after the question. By then a later life of that host may have been
//! admitted and have left again, with a lease that still runs, or unarmed with its VMs: of that
//! one the word says nothing.

use super::{Effect, Node};
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Life, Proof, Slot};

/// How long after it has failed it is asked again.
const AGAIN: Nanos = 30 * SECOND;

/// A question without any answer for so long, longer than a hook may take, is asked again, too.
const LOST: Nanos = 660 * SECOND;

/// A life that the device was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub(super) slot: Slot,
    pub(super) life: Life,
    /// When it is asked again.
    pub(super) again: Nanos,
}

impl Node {
    /// The master has the device switch off whoever left and is not known to be dead.
    pub(super) fn ask_fence_device(&mut self, now: Nanos) {
        if !self.cfg.fence_device || !self.is_view_master() {
            return;
        }
        let Some(view) = &self.view else { return };
        let open = view.gone.iter().filter(|gone| self.known_proof(gone).is_none());
        let open: Vec<(Slot, Life)> =
            open.map(|gone| (gone.member.slot, gone.member.life)).collect();
        self.asked.retain(|asked| open.contains(&(asked.slot, asked.life)));
        for (slot, life) in open {
            let again = now + LOST;
            match self.asked.iter_mut().find(|asked| asked.slot == slot) {
                Some(asked) if now < asked.again => continue,
                Some(asked) => asked.again = again,
                None => self.asked.push(Asked { slot, life, again }),
            }
            self.fx.push(Effect::FenceDevice(slot, life));
        }
    }

    /// The device says that the host of that life is off, or why it is not.
    pub(super) fn fence_word(
        &mut self,
        now: Nanos,
        slot: Slot,
        life: Life,
        outcome: Result<(), String>,
    ) {
        if let Err(why) = outcome {
            if let Some(asked) = self.asked.iter_mut().find(|a| (a.slot, a.life) == (slot, life)) {
                asked.again = now + AGAIN;
            }
            let why = format!("{why}; asked again each 30 s while nothing proves that host dead");
            return self.note(now, "fence-device-failed", Some(slot), why);
        }
        let any = self.wrong(Variant::FenceWordForAnyLife);
        let gone = self.view.as_ref().and_then(|view| view.gone(slot));
        let gone = gone.filter(|gone| any || gone.member.life == life);
        let Some(gone) = gone.filter(|gone| self.known_proof(gone).is_none()) else {
            let why = "the fence device says off, of a life that is not waited for any more";
            return self.note(now, "fence-device", Some(slot), why.to_owned());
        };
        let life = gone.member.life;
        self.note(now, "fence-device", Some(slot), "the fence device says off".to_owned());
        self.declare(now, slot, life, Proof::FenceDevice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::node::Config;
    use crate::heartbeat::timing::Timing;
    use crate::heartbeat::view::{Gone, Member, View, example};
    use std::sync::Arc;
    use uuid::Uuid;

    const LOST: Slot = Slot(2);

    fn life(boot: u32) -> Life {
        Life { boot, session: 1 }
    }

    /// A master beside whose view that life of the lost host is gone, unarmed.
    fn master(boot: u32) -> Node {
        let hosts: Vec<Uuid> = (1..4).map(Uuid::from_u128).collect();
        let timing = Timing::new(10, 3, 0, 0).unwrap();
        let plain = Config::plain(Uuid::nil(), hosts, Slot(0), timing, 10, Uuid::nil());
        let mut node = Node::new(Config { fence_device: true, ..plain }, 0);
        lose(&mut node, boot);
        node
    }

    fn lose(node: &mut Node, boot: u32) {
        let (boot_id, armed, weight) = (Uuid::nil(), false, 0);
        let member = Member { slot: LOST, life: life(boot), boot_id, armed, weight };
        let gone = Gone { member, since: 4, was_master: false, proof: Proof::None, words: 0 };
        let view = View { master: Some(Slot(0)), gone: vec![gone], ..example(4) };
        node.view = Some(Arc::new(view));
    }

    fn asked(node: &mut Node, seconds: u64) -> Vec<Effect> {
        node.ask_fence_device(seconds * SECOND);
        std::mem::take(&mut node.fx)
    }

    #[test]
    fn a_word_about_one_life_says_nothing_of_the_next() {
        let mut node = master(1);
        assert_eq!(asked(&mut node, 1), [Effect::FenceDevice(LOST, life(1))]);
        lose(&mut node, 2);
        assert_eq!(asked(&mut node, 2), [Effect::FenceDevice(LOST, life(2))]);
        node.fence_word(3 * SECOND, LOST, life(1), Ok(()));
        assert_eq!(node.dead, []);
        node.fence_word(4 * SECOND, LOST, life(2), Ok(()));
        assert_eq!(node.dead.len(), 1);
        assert_eq!((node.dead[0].life, node.dead[0].proof), (life(2), Proof::FenceDevice));
    }

    #[test]
    fn a_device_that_fails_is_asked_again_while_that_life_is_open() {
        let mut node = master(1);
        let question = [Effect::FenceDevice(LOST, life(1))];
        assert_eq!(asked(&mut node, 1), question);
        assert_eq!(asked(&mut node, 2), [], "its answer is awaited");
        node.fence_word(5 * SECOND, LOST, life(1), Err("busy".to_owned()));
        let event = node.events.back().unwrap();
        assert_eq!(
            (event.event.as_str(), event.host),
            ("fence-device-failed", Some(node.uuid(LOST)))
        );
        assert!(event.why.contains("busy"), "{event:?}");
        node.fx.clear();
        assert_eq!(asked(&mut node, 34), []);
        assert_eq!(asked(&mut node, 35), question);
        node.fence_word(36 * SECOND, LOST, life(1), Err("busy".to_owned()));
        node.fence_word(37 * SECOND, LOST, life(1), Ok(()));
        node.fx.clear();
        assert_eq!(asked(&mut node, 99), [], "it is known to be dead");
    }
}
