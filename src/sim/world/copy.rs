//! A copy of a host's machine, disk and all, that somebody starts beside it (S22): it reads and
//! writes the same statefiles under the same name. Nobody hears its packets, since the address
//! leads to the one that was there first.

use super::World;
use super::disk::{Blocks, Landing};
use super::machine::What;
use crate::heartbeat::Node;
use crate::heartbeat::liveset::Phase;
use crate::heartbeat::node::{Config, Control, CycleDone, CycleRead, Effect, Input};
use crate::heartbeat::timing::MILLISECOND;

/// The copy's daemon, and why it gave up.
pub(super) struct Copy {
    node: Node,
    refused: String,
}

impl World {
    /// A copy of a host's machine is started.
    pub fn copy_machine(&mut self, host: usize) {
        self.tell(format_args!("a copy of h{} is started", host + 1));
        let boot_id = uuid::Uuid::from_u128(0xC10 + self.chance(0x100) as u128);
        let config = Config { boot_id, ..self.config(host, false) };
        let node = Node::new(config, self.now);
        self.machines[host].copy = Some(Copy { node, refused: String::new() });
        self.copy_takes(host, Input::Control(0, Control::Started));
        self.push(self.now, host, What::Copy);
    }

    /// The copy does what is due, ten times a second until it gives up.
    pub(super) fn copy_goes_on(&mut self, host: usize) {
        self.copy_takes(host, Input::Timer);
        let gone = |copy: &Copy| copy.node.phase() == Phase::Off;
        if !self.machines[host].copy.as_ref().is_none_or(gone) {
            self.push(self.now + 100 * MILLISECOND, host, What::Copy);
        }
    }

    fn copy_takes(&mut self, host: usize, input: Input<'_>) {
        let Some(mut copy) = self.machines[host].copy.take() else { return };
        let (now, mut effects) = (self.now, Vec::new());
        copy.node.step(now, input, &mut effects);
        while let Some(effect) = effects.pop() {
            match effect {
                Effect::Cycle { id, disk, beat, decision, .. } => {
                    let done = self.copy_cycle(host, (id, disk), Blocks { beat, decision });
                    copy.node.step(now, Input::Cycle(done), &mut effects);
                }
                Effect::Keep(record, _) => {
                    copy.node.step(now, Input::Kept(record), &mut effects);
                }
                Effect::Answer(_, Err(refusal)) => copy.refused = refusal.to_string(),
                _ => {}
            }
        }
        self.machines[host].copy = Some(copy);
    }

    fn copy_cycle(&mut self, host: usize, (id, disk): (u64, u8), blocks: Blocks) -> CycleDone {
        let at = usize::from(disk);
        let own_before = self.disks[at].now.beats[host].clone();
        if blocks != Blocks::default() {
            self.land(host, at, blocks, Landing::Whole);
        }
        let content = &self.disks[at].now;
        let (beats, decisions) = (content.beats.clone(), content.seen());
        let outcome = Ok(CycleRead { own_before, beats, decisions });
        let now = self.now;
        CycleDone { id, disk, begun: now, read_begun: now, ended: now, outcome }
    }

    /// Where the copy of a host's machine stands, and why it gave up.
    pub fn copy_stands(&self, host: usize) -> String {
        let stands = |copy: &Copy| format!("{:?} {}", copy.node.phase(), copy.refused);
        self.machines[host].copy.as_ref().map_or("none".to_owned(), stands).to_lowercase()
    }
}
