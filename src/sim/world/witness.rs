//! The witness of the world: it hears hosts over links of its own, keeps what it promises before
//! it answers, goes and comes back.

use std::sync::Arc;

use super::World;
use super::clock::Clock;
use super::machine::What;
use crate::heartbeat::kept::Kept;
use crate::heartbeat::packet::Packet;
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::view::Life;
use crate::heartbeat::witness::Witness;

/// The machine of the witness.
#[derive(Debug)]
pub(super) struct Outpost {
    /// Its program, while that runs.
    program: Option<Witness>,
    life: Life,
    kept: Option<Arc<Kept>>,
    /// When what it keeps now is on its disk.
    kept_at: Nanos,
    clock: Clock,
    /// Hosts that do not reach it.
    pub(super) cut: Vec<bool>,
}

impl Outpost {
    pub(super) fn new(hosts: usize, clock: Clock) -> Self {
        let life = Life { boot: 1, session: 0 };
        Outpost { program: None, life, kept: None, kept_at: 0, clock, cut: vec![false; hosts] }
    }
}

impl Outpost {
    /// Another session begins: nothing of the last one counts.
    pub(super) fn forget(&mut self) {
        (self.program, self.kept) = (None, None);
    }
}

impl World {
    /// The witness starts, in a later life, with what it kept.
    pub fn start_witness(&mut self) {
        let generation = self.generation;
        let Some(outpost) = self.outpost.as_mut().filter(|outpost| outpost.program.is_none())
        else {
            return;
        };
        outpost.life.session += 1;
        let kept = outpost.kept.as_deref().cloned();
        outpost.program = Some(Witness::new(generation, outpost.life, kept));
        self.tell(format_args!("the witness runs"));
    }

    /// The witness ends; a record under way is lost.
    pub fn end_witness(&mut self) {
        if let Some(outpost) = &mut self.outpost {
            outpost.program = None;
            self.tell(format_args!("the witness ends"));
        }
    }

    /// Cuts or heals the way between a host and the witness.
    pub fn cut_witness(&mut self, host: usize, cut: bool) {
        if let Some(outpost) = &mut self.outpost {
            outpost.cut[host] = cut;
            let what = if cut { "is cut off from" } else { "reaches" };
            self.tell(format_args!("h{} {what} the witness", host + 1));
        }
    }

    fn reaches_witness(&self, host: usize) -> bool {
        self.outpost.as_ref().is_some_and(|outpost| !outpost.cut[host])
    }

    /// A packet goes to the witness, too.
    pub(super) fn send_to_witness(&mut self, from: usize, packet: &Packet) {
        if self.reaches_witness(from) && (self.net.loss == 0 || self.chance(100) >= self.net.loss) {
            let at = self.now + self.travel();
            self.push(at, from, What::ToWitness(packet.clone()));
        }
    }

    /// The witness takes a packet. Its answer waits for what it promises to be kept.
    pub(super) fn at_witness(&mut self, from: usize, packet: &Packet) {
        // It does one thing after the other: what comes while it keeps something is lost.
        let idle = |outpost: &&mut Outpost| self.now >= outpost.kept_at;
        let Some(outpost) = self.outpost.as_mut().filter(idle) else { return };
        let (now, life) = (outpost.clock.at(self.now), outpost.life);
        let reply = outpost.program.as_mut().and_then(|program| program.take(now, packet));
        let Some(reply) = reply else { return };
        match reply.keep {
            None => self.witness_answers(from, reply.answer),
            Some(kept) => {
                let at = self.now + self.disk_latency();
                if let Some(outpost) = &mut self.outpost {
                    outpost.kept_at = at;
                }
                self.push(at, from, What::WitnessKept(life, Arc::new(kept), reply.answer));
            }
        }
    }

    /// What the witness promises is on its disk.
    pub(super) fn witness_kept(&mut self, to: usize, life: Life, kept: Arc<Kept>, answer: Packet) {
        let Some(outpost) = &mut self.outpost else { return };
        if outpost.life == life && outpost.program.is_some() {
            outpost.kept = Some(kept);
            self.witness_answers(to, answer);
        }
    }

    fn witness_answers(&mut self, to: usize, answer: Packet) {
        if self.reaches_witness(to) && self.machines[to].alive {
            let at = self.now + self.travel();
            self.push(at, to, What::Deliver(answer));
        }
    }
}
