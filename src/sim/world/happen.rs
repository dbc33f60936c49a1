//! How the events of the world reach its machines, and what their effects do to it.

use super::{Job, Path, What, World};
use crate::heartbeat::node::{CycleDone, CycleFault, CycleRead, Effect, Input};
use crate::heartbeat::packet::Packet;
use crate::heartbeat::timing::{MILLISECOND, Nanos, SECOND};

impl World {
    pub(super) fn happen(&mut self, host: usize, what: What) {
        let machine = &mut self.machines[host];
        if !machine.alive {
            if self.boot_reset_hosts && what == What::Wake {
                self.boot(host);
            }
            return;
        }
        if let What::Watchdog(deadline) = what {
            if machine.watchdog == Some(deadline) {
                self.reset(host);
            }
            return;
        }
        if machine.paused && !matches!(what, What::Write(_)) {
            machine.backlog.push(what);
            return;
        }
        match what {
            What::Wake => {
                let now = self.clock(host, self.now);
                if self.machines[host].node.is_some() && now >= self.machines[host].wake {
                    self.step(host, Input::Timer);
                }
            }
            What::Deliver(packet) => self.step(host, Input::Packet(0, &packet)),
            What::Kept(record, what) => {
                self.machines[host].kept = Some((*what).clone());
                self.step(host, Input::Kept(record));
            }
            What::VmsStopped => self.step(host, Input::VmsStopped(Ok(()))),
            What::Write(job) => self.disk_write(host, job),
            What::Read(job) => self.disk_read(host, job),
            What::AgentTick => {
                if let (Some(pid), false) = (machine.agent, machine.agent_hangs) {
                    self.step(host, Input::AgentLease(pid));
                }
                self.push(self.now + SECOND, host, What::AgentTick);
            }
            What::AgentGone => self.step(host, Input::AgentGone),
            What::Watchdog(_) => {}
        }
    }

    fn disk_write(&mut self, host: usize, mut job: Job) {
        match self.machines[host].path {
            Path::Hangs => self.machines[host].parked.push(What::Write(job)),
            Path::Fails => self.disk_failed(host, &job),
            Path::Fine => {
                let disk = &mut self.disks[job.disk];
                job.own_before.clone_from(&disk.beats[host]);
                disk.write(host, job.beat.take(), job.decision.take());
                job.read_begun = self.clock(host, self.now);
                let after = self.now + self.latency();
                self.push(after, host, What::Read(job));
            }
        }
    }

    fn disk_read(&mut self, host: usize, job: Job) {
        match self.machines[host].path {
            Path::Hangs => self.machines[host].parked.push(What::Read(job)),
            Path::Fails => self.disk_failed(host, &job),
            Path::Fine => {
                let ended = self.clock(host, self.now);
                let disk = &self.disks[job.disk];
                let read = CycleRead {
                    own_before: job.own_before,
                    beats: disk.beats.clone(),
                    decisions: disk.seen(),
                };
                let (id, begun, read_begun) = (job.id, job.begun, job.read_begun);
                let disk = job.disk as u8;
                let done = CycleDone { id, disk, begun, read_begun, ended, outcome: Ok(read) };
                self.step(host, Input::Cycle(done));
            }
        }
    }

    fn disk_failed(&mut self, host: usize, job: &Job) {
        let ended = self.clock(host, self.now);
        let outcome = Err(CycleFault::Path("the path failed".to_owned()));
        let (id, begun, disk) = (job.id, job.begun, job.disk as u8);
        let done = CycleDone { id, disk, begun, read_begun: begun, ended, outcome };
        self.step(host, Input::Cycle(done));
    }

    fn latency(&mut self) -> Nanos {
        (1 + self.chance(20)) * MILLISECOND
    }

    pub(super) fn step(&mut self, host: usize, input: Input<'_>) {
        let now = self.clock(host, self.now);
        let Some(node) = &mut self.machines[host].node else { return };
        let mut list = Vec::new();
        let mut wake = node.step(now, input, &mut list);
        let mut next = 0;
        while next < list.len() {
            let effect = std::mem::replace(&mut list[next], Effect::Changed);
            next += 1;
            let reading = self.apply(host, effect);
            let now = self.clock(host, self.now);
            if let (Some(left), Some(node)) = (reading, &mut self.machines[host].node) {
                wake = node.step(now, Input::Watchdog(left), &mut list);
            }
        }
        self.set_wake(host, wake);
    }

    fn set_wake(&mut self, host: usize, wake: Nanos) {
        self.machines[host].wake = wake;
        let at = self.world_time(host, wake);
        self.push(at, host, What::Wake);
    }

    fn set_watchdog(&mut self, host: usize, end: Nanos) -> Option<Nanos> {
        self.machines[host].watchdog = Some(end);
        self.machines[host].disarmed = false;
        let at = self.world_time(host, end);
        self.push(at, host, What::Watchdog(end));
        Some(end.saturating_sub(self.clock(host, self.now)))
    }

    /// Carries an effect out; a watchdog that was set gives its reading.
    fn apply(&mut self, host: usize, effect: Effect) -> Option<Nanos> {
        match effect {
            Effect::Send(packet) => self.send(host, &packet),
            Effect::Cycle { id, disk, beat, decision, all: _ } => {
                let begun = self.clock(host, self.now);
                let disk = usize::from(disk);
                let read_begun = begun;
                let job = Job { id, disk, begun, read_begun, beat, decision, own_before: None };
                let at = self.now + self.latency();
                self.push(at, host, What::Write(job));
            }
            Effect::Keep(record, what) => {
                let at = self.now + self.latency();
                self.push(at, host, What::Kept(record, what));
            }
            Effect::StopVms => {
                let at = self.now + self.latency();
                self.push(at, host, What::VmsStopped);
            }
            Effect::Arm(end) | Effect::Program(end) => return self.set_watchdog(host, end),
            Effect::CutWatchdog => {
                let end = self.clock(host, self.now) + 200 * MILLISECOND;
                return self.set_watchdog(host, end);
            }
            Effect::Disarm => {
                self.machines[host].watchdog = None;
                self.machines[host].disarmed = true;
            }
            Effect::Reset if self.machines[host].alive => self.reset(host),
            Effect::KillAgent => self.kill_agent(host),
            Effect::StartAgent => {
                self.machines[host].agent = Some(self.ticket as u32 + 1000);
                self.machines[host].agent_hangs = false;
            }
            Effect::Note(event) => {
                self.tell(format_args!("host {host} {}: {}", event.event, event.why));
                let line = format!("{} {}: {}", event.t_ns, event.event, event.why);
                self.machines[host].notes.push(line);
            }
            Effect::Answer(ticket, outcome) => {
                self.machines[host].answers.insert(ticket, outcome);
            }
            Effect::Reset | Effect::Changed | Effect::FenceDevice(_) => {}
        }
        None
    }

    fn send(&mut self, from: usize, packet: &Packet) {
        for to in 0..self.uuids.len() {
            let lost = self.chance(100) < self.loss;
            if to != from && !self.cut[from][to] && !lost {
                let at = self.now + self.latency() / 10;
                self.push(at, to, What::Deliver(packet.clone()));
            }
        }
    }
}
