//! How the events of the world reach its machines, and what their effects do to it.

use super::{Job, Path, What, World};
use crate::heartbeat::block::BLOCK;
use crate::heartbeat::node::{CycleDone, CycleRead, Effect, Input};
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
            What::Deliver(bytes) => self.step(host, Input::Packet(&bytes)),
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
                job.own_before = self.image[job.own..job.own + BLOCK].to_vec();
                for (offset, bytes) in &job.writes {
                    let at = *offset as usize;
                    self.image[at..at + bytes.len()].copy_from_slice(bytes);
                }
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
                let read = CycleRead { own_before: job.own_before, image: self.image.clone() };
                let (id, begun, read_begun) = (job.id, job.begun, job.read_begun);
                let done = CycleDone { id, begun, read_begun, ended, outcome: Ok(read) };
                self.step(host, Input::Cycle(done));
            }
        }
    }

    fn disk_failed(&mut self, host: usize, job: &Job) {
        let ended = self.clock(host, self.now);
        let outcome = Err("the path failed".to_owned());
        let done =
            CycleDone { id: job.id, begun: job.begun, read_begun: job.begun, ended, outcome };
        self.step(host, Input::Cycle(done));
    }

    fn latency(&mut self) -> Nanos {
        (1 + self.chance(20)) * MILLISECOND
    }

    pub(super) fn step(&mut self, host: usize, input: Input<'_>) {
        let now = self.clock(host, self.now);
        let Some(node) = &mut self.machines[host].node else { return };
        let effects = node.step(now, input);
        self.set_wake(host, effects.wake);
        let mut list: std::collections::VecDeque<Effect> = effects.list.into();
        while let Some(effect) = list.pop_front() {
            let reading = self.apply(host, effect);
            let now = self.clock(host, self.now);
            if let (Some(left), Some(node)) = (reading, &mut self.machines[host].node) {
                let effects = node.step(now, Input::Watchdog(left));
                self.set_wake(host, effects.wake);
                list.extend(effects.list);
            }
        }
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
            Effect::Send(bytes) => self.send(host, &bytes),
            Effect::Cycle { id, own, writes } => {
                let begun = self.clock(host, self.now);
                let own = own as usize;
                let job = Job { id, own, begun, read_begun: begun, writes, own_before: Vec::new() };
                let at = self.now + self.latency();
                self.push(at, host, What::Write(job));
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
            Effect::Reset | Effect::Changed => {}
        }
        None
    }

    fn send(&mut self, from: usize, bytes: &[u8]) {
        for to in 0..self.uuids.len() {
            let lost = self.chance(100) < self.loss;
            if to != from && !self.cut[from][to] && !lost {
                let at = self.now + self.latency() / 10;
                self.push(at, to, What::Deliver(bytes.to_vec()));
            }
        }
    }
}
