//! How a tick runs: watchdogs first, then the hosts' steps.

use super::setup::{Order, Setup};
use super::state::State;
use crate::heartbeat::node::{CycleDone, CycleFault, CycleRead, Input};

/// Beat, write, read.
const STEPS: u8 = 3;

impl State {
    /// The tick begins: watchdogs whose time has come fire, writes of dead hosts land.
    pub fn begin_tick(&mut self, setup: &Setup) {
        self.open = false;
        for host in 0..self.hosts.len() {
            let now = self.clock(host);
            if self.hosts[host].watchdog.is_some_and(|end| end <= now) {
                self.end(host);
            }
            let it = &mut self.hosts[host];
            it.done = 0;
            if it.late.is_some_and(|until| until <= self.tick) {
                it.late = None;
            }
            self.land_of_the_dead(host, self.tick);
        }
        if setup.order == Order::Lockstep {
            for _ in 0..STEPS {
                (0..self.hosts.len()).for_each(|host| self.step_once(setup, host));
            }
        }
    }

    /// Whether a host has still something to do in this tick.
    pub fn has_steps(&self, host: usize) -> bool {
        self.runs(host) && self.hosts[host].done < STEPS
    }

    /// A host takes its next step, or its whole turn.
    pub fn take_steps(&mut self, setup: &Setup, host: usize) {
        self.step_once(setup, host);
        while setup.order != Order::Free && self.violation.is_none() && self.has_steps(host) {
            self.step_once(setup, host);
        }
    }

    /// The tick is over when every host has taken its steps.
    pub fn end_tick_if_over(&mut self) {
        if self.open || (0..self.hosts.len()).any(|host| self.has_steps(host)) {
            return;
        }
        self.open = true;
        self.tick += 1;
        self.lossy = 0;
        self.slow_links = 0;
        for (mail, later) in self.mail.iter_mut().zip(&mut self.later) {
            mail.append(later);
        }
        self.hosts.iter_mut().for_each(|host| host.done = 0);
    }

    fn step_once(&mut self, setup: &Setup, host: usize) {
        if self.violation.is_some() || !self.has_steps(host) {
            return;
        }
        self.hosts[host].done += 1;
        match self.hosts[host].done {
            1 => {
                self.take_mail(setup, host);
                self.step(setup, host, Input::Timer);
            }
            2 => self.land_writes(host),
            _ => {
                self.take_mail(setup, host);
                self.end_cycles(setup, host);
            }
        }
        self.check(setup);
    }

    fn take_mail(&mut self, setup: &Setup, host: usize) {
        for (record, what) in std::mem::take(&mut self.hosts[host].keeping) {
            self.hosts[host].kept = Some(what);
            self.step(setup, host, Input::Kept(record));
        }
        for mail in std::mem::take(&mut self.mail[host]) {
            let it = &mut self.hosts[host];
            let me = (host, it.boot);
            it.truth.take(me, mail.from, mail.sent, &mail.proof);
            self.step(setup, host, Input::Packet(0, &mail.packet));
        }
    }

    /// The writes of a host's cycles land, where nothing is in their way.
    fn land_writes(&mut self, host: usize) {
        if self.hosts[host].late.is_some() {
            return;
        }
        let now = self.clock(host);
        for number in 0..self.hosts[host].jobs.len() {
            let job = &self.hosts[host].jobs[number];
            if job.written.is_none() && self.reaches(host, job.disk) {
                self.write(host, number);
                self.hosts[host].jobs[number].written = Some(now);
            }
        }
    }

    fn write(&mut self, host: usize, number: usize) {
        let job = &mut self.hosts[host].jobs[number];
        let disk = &mut self.disks[job.disk];
        job.own_before.clone_from(&disk.beats[host]);
        if let Some(beat) = job.beat.take() {
            disk.beats[host] = Some(beat);
        }
        if let Some(decision) = job.decision.take() {
            let copy = usize::from(decision.writes & 1 == 1);
            disk.decisions[host][copy] = Some(decision);
        }
    }

    /// Cycles whose write has landed read and end; those whose path is cut fail.
    fn end_cycles(&mut self, setup: &Setup, host: usize) {
        let jobs = std::mem::take(&mut self.hosts[host].jobs);
        for job in jobs {
            let reached = self.reaches(host, job.disk);
            if reached && job.written.is_none() || job.lands_by > 0 {
                self.hosts[host].jobs.push(job);
                continue;
            }
            let disk = &self.disks[job.disk];
            let outcome = match reached {
                false => Err(CycleFault::Path("the path is cut".to_owned())),
                true => Ok(CycleRead {
                    own_before: job.own_before,
                    beats: disk.beats.clone(),
                    decisions: disk.seen(),
                }),
            };
            if reached {
                self.hosts[host].truth.cycle[job.disk] = Some(job.begun);
            }
            let (begun, ended) = (job.begun, self.clock(host));
            let read_begun = job.written.unwrap_or(begun);
            let disk = job.disk as u8;
            let done = CycleDone { id: job.id, disk, begun, read_begun, ended, outcome };
            self.step(setup, host, Input::Cycle(done));
        }
    }

    /// What hangs at a host lands.
    pub fn land(&mut self, host: usize) {
        self.hosts[host].late = None;
        self.land_of_the_dead(host, u64::MAX);
    }

    /// The writes of earlier boots of a host that are due by that tick land.
    fn land_of_the_dead(&mut self, host: usize, by: u64) {
        let due = |state: &State| {
            let jobs = &state.hosts[host].jobs;
            jobs.iter().position(|job| job.lands_by > 0 && job.lands_by <= by)
        };
        while let Some(number) = due(self) {
            self.write(host, number);
            self.hosts[host].jobs.remove(number);
        }
    }
}
