//! How the events of the world reach its machines.

use super::World;
use super::machine::{AgentState, What};
use crate::heartbeat::PROTOCOL;
use crate::heartbeat::node::{Effect, Input};
use crate::heartbeat::packet::PacketError;
use crate::heartbeat::timing::Nanos;

impl What {
    /// Whether it happens whatever becomes of the boot that it belongs to.
    pub(super) fn outlives(&self) -> bool {
        matches!(
            self,
            What::Land(..) | What::Boot | What::ToWitness(_) | What::WitnessKept(..) | What::Copy
        )
    }

    /// Whether it is for the daemon.
    fn for_daemon(&self) -> bool {
        !matches!(
            self,
            What::Write(_)
                | What::Land(..)
                | What::Boot
                | What::Command(_)
                | What::JobDone(_)
                | What::GuestEnds(..)
                | What::Reply(_)
                | What::Errand
                | What::Settle
        )
    }
}

impl World {
    pub(super) fn push(&mut self, at: Nanos, host: usize, what: What) {
        let boot = self.machines[host].boot;
        self.queue.push(at, (host, boot, what));
    }

    pub(super) fn happen(&mut self, host: usize, what: What) {
        let machine = &mut self.machines[host];
        match what {
            What::Land(disk, blocks) => {
                return self.land(host, disk, blocks, super::disk::Landing::Whole);
            }
            What::ToWitness(packet) => return self.at_witness(host, &packet),
            What::WitnessKept(life, kept, answer) => {
                return self.witness_kept(host, life, kept, answer);
            }
            What::Copy => return self.copy_goes_on(host),
            What::Boot if !machine.alive => {
                self.boot(host);
                return;
            }
            _ if !machine.alive => return,
            _ => {}
        }
        // What was submitted is written whatever becomes of the machine; only a path that works
        // can write. What else comes of a cycle waits for the daemon.
        let writes = |job: &super::machine::Job| machine.paths[job.disk] == super::Path::Fine;
        let submitted = matches!(&what, What::Write(job) if writes(job) && !machine.tear);
        let cycle = matches!(what, What::Write(_));
        let waits = machine.paused || machine.stalled && (what.for_daemon() || cycle);
        if waits && !submitted {
            machine.backlog.push(what);
            return;
        }
        match what {
            What::Deliver(packet) => {
                // One of an earlier session has another key.
                if machine.other_protocol.1 {
                    self.step(host, Input::Refused(PacketError::Version(PROTOCOL)));
                } else if packet.generation == self.generation {
                    self.step(host, Input::Packet(0, &packet));
                }
            }
            What::Bytes(bytes) => self.open(host, &bytes),
            What::Kept(_, what) if what.generation != self.generation => {}
            What::Kept(record, what) => {
                self.machines[host].kept = Some((*what).clone());
                self.step(host, Input::Kept(record));
            }
            What::VmsStopped => {
                self.stop_vms(host);
                self.step(host, Input::VmsStopped(Ok(())));
            }
            What::Write(job) => self.disk_write(host, job),
            What::Read(job) => self.disk_read(host, job),
            What::AgentGone => self.step(host, Input::AgentGone),
            What::FenceDevice(slot, life, word) => {
                self.step(host, Input::FenceDevice(slot, life, word));
            }
            What::Command(command) => self.take_command(host, command),
            What::JobDone(number) => self.job_done(host, number),
            What::GuestEnds(vm, run) => self.guest_ends_in(host, vm, run),
            What::Reply(reply) => self.take_reply(host, reply),
            What::Errand => self.errand_goes_on(host),
            What::Settle => {
                self.settle(host);
            }
            What::Land(..)
            | What::Boot
            | What::ToWitness(_)
            | What::WitnessKept(..)
            | What::Copy => {}
        }
    }

    /// The agent looks around, once a second.
    pub(super) fn agent_tick(&mut self, host: usize) {
        let machine = &self.machines[host];
        if !machine.alive || machine.paused || machine.agent != AgentState::Well {
            return;
        }
        let pid = machine.pid;
        if !machine.stalled {
            self.step(host, Input::AgentLease(pid));
        }
        self.agent_looks(host);
    }

    /// Gives an input to a host's node, carries out what it says, and checks.
    pub(super) fn step(&mut self, host: usize, input: Input<'_>) {
        let now = self.clock(host);
        let machine = &mut self.machines[host];
        if machine.paused || machine.stalled || self.violation.is_some() {
            return;
        }
        let Some(node) = &mut machine.node else { return };
        let mut effects = self.spare.pop().unwrap_or_default();
        let mut wake = node.step(now, input, &mut effects);
        let mut next = 0;
        while next < effects.len() {
            let effect = std::mem::replace(&mut effects[next], Effect::Changed);
            next += 1;
            let Some(reading) = self.apply(host, effect) else { continue };
            let input = match reading {
                Ok(left) => Input::Watchdog(left),
                Err(why) => Input::WatchdogFailed(why),
            };
            let now = self.clock(host);
            if let Some(node) = &mut self.machines[host].node {
                wake = node.step(now, input, &mut effects);
            }
        }
        effects.clear();
        self.spare.push(effects);
        let at = self.world_time(host, wake);
        let machine = &mut self.machines[host];
        machine.wake = if machine.node.is_some() { at } else { Nanos::MAX };
        machine.leased = machine.node.as_ref().is_some_and(|node| node.was_leased());
        self.check(host);
    }
}
