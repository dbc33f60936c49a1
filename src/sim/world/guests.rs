//! A host's part in running VMs: it carries out the commands of the newest epoch that it has
//! seen, starts nothing unless armed, and says what really exists on it.

use std::collections::BTreeMap;

use super::machine::{AgentState, What};
use super::{Wish, World};
use crate::heartbeat::liveset::Phase;
use crate::heartbeat::timing::SECOND;
use crate::heartbeat::variant::Variant;

/// What a VM's instance on a host does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// The source of a migration after it stopped.
    Stopped,
    /// The target of a migration before it may execute.
    Received,
}

/// What the master asks of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Start,
    Scan,
    Receive,
    StopSource,
    Continue,
    ResumeSource,
    /// End an instance that executes nothing.
    Discard,
}

/// A command on its way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    /// Its number: no other command of any master has it.
    pub(super) number: u64,
    pub(super) order: Order,
    pub(super) vm: usize,
    pub(super) run: u64,
    pub(super) epoch: u64,
    /// The boot of the host that it was decided for.
    pub(super) boot: String,
    /// The master's host and its agent's process: others do not hear the answer.
    pub(super) from: (usize, u32),
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    Done,
    Refused,
    /// No answer came in time.
    Unknown,
    Found(BTreeMap<usize, (u64, State)>),
}

/// An answer on its way to the master.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) command: Command,
    pub(super) host: usize,
    pub(super) outcome: Outcome,
}

/// What exists on a host.
#[derive(Debug, Default)]
pub(super) struct Guests {
    /// Instances by VM: the run and what it does.
    pub(super) executing: BTreeMap<usize, (u64, State)>,
    /// Jobs under way, by number.
    jobs: BTreeMap<u64, Command>,
    /// Scans that wait for jobs (R6.3).
    scans: Vec<Command>,
    /// Commands that a hung agent has not looked at.
    pub(super) waiting: Vec<Command>,
    /// The newest epoch whose command came.
    pub(super) newest: u64,
    next_job: u64,
    /// The host is about to leave: it starts nothing more.
    pub(super) leaving: bool,
}

impl World {
    /// Every VM runs on the host that its number falls on.
    pub(super) fn place_vms(&mut self) {
        let (hosts, vms) = (self.machines.len(), self.setting.vms);
        if vms == 0 {
            return;
        }
        let boots: Vec<_> = self.machines.iter().map(|machine| machine.boot_id).collect();
        let wishes: Vec<Wish> = (0..vms)
            .map(|vm| self.setting.wishes.get(&vm).cloned().unwrap_or_else(|| Wish::of(vm)))
            .collect();
        for (vm, wish) in wishes.iter().enumerate().filter(|(_, wish)| wish.begins_up()) {
            let host = wish.on.unwrap_or(vm % hosts);
            self.machines[host].guests.executing.insert(vm, (1, State::Running));
        }
        self.rows.room = self.setting.room;
        self.rows.limits = self.setting.limits;
        self.rows.fill(&boots, &self.uuids, wishes);
    }

    /// The boot is over, and so is all that ran in it.
    pub(super) fn guests_end(&mut self, host: usize) {
        self.machines[host].guests = Guests::default();
        self.machines[host].shell = None;
    }

    /// Every VM of a host is stopped, and what was about to start there.
    pub(super) fn stop_vms(&mut self, host: usize) {
        self.tell(format_args!("h{} has stopped its VMs", host + 1));
        let guests = &mut self.machines[host].guests;
        guests.executing.clear();
        guests.jobs.clear();
    }

    /// A VM's guest ends by itself.
    pub(in crate::sim) fn vm_ends(&mut self, vm: usize) {
        for machine in &mut self.machines {
            if machine.guests.executing.get(&vm).is_some_and(|(_, s)| *s == State::Running) {
                machine.guests.executing.remove(&vm);
            }
        }
    }

    pub(super) fn agent_takes_waiting(&mut self, host: usize) {
        for command in std::mem::take(&mut self.machines[host].guests.waiting) {
            self.push(self.now, host, What::Command(command));
        }
    }

    pub(super) fn take_command(&mut self, host: usize, command: Command) {
        let machine = &mut self.machines[host];
        match machine.agent {
            AgentState::Gone => return,
            AgentState::Hangs => return machine.guests.waiting.push(command),
            AgentState::Well => {}
        }
        let present = command.boot == machine.boot_id.to_string();
        let starts = matches!(command.order, Order::Start | Order::Receive);
        let admitted = machine.node.as_ref().map_or(0, |node| node.admitted_in());
        let since = if starts { self.epoch_base + admitted } else { 0 };
        let oldest = machine.guests.newest.max(since);
        let stale = command.epoch < oldest && !self.wrong(Variant::StaleCommand);
        let meant = present || !starts && command.order != Order::Scan;
        if stale || !meant || starts && !self.may_run(host) {
            return self.reply(host, command, Outcome::Refused);
        }
        let guests = &mut self.machines[host].guests;
        guests.newest = guests.newest.max(command.epoch);
        if command.order == Order::Scan {
            guests.scans.push(command);
            return self.answer_scans(host);
        }
        guests.next_job += 1;
        let number = guests.next_job;
        let long = if command.order == Order::Start { 3 * SECOND } else { SECOND / 4 };
        guests.jobs.insert(number, command);
        let at = self.now + 1 + self.chance(long);
        self.push(at, host, What::JobDone(number));
    }

    /// Whether a host may start or receive VMs: only an armed member, by the state that its
    /// daemon gave last.
    fn may_run(&self, host: usize) -> bool {
        let machine = &self.machines[host];
        let phase = machine.node.as_ref().map(|node| node.phase());
        let unarmed = self.wrong(Variant::UnarmedStarts);
        !machine.guests.leaving && (phase == Some(Phase::Armed) || unarmed)
    }

    pub(super) fn job_done(&mut self, host: usize, number: u64) {
        let Some(command) = self.machines[host].guests.jobs.remove(&number) else { return };
        let outcome = self.carry_out(host, &command);
        self.answer_scans(host);
        self.reply(host, command, outcome);
    }

    fn carry_out(&mut self, host: usize, command: &Command) -> Outcome {
        let vm = command.vm;
        let here = self.machines[host].guests.executing.get(&vm).copied();
        let next = match (command.order, here) {
            (Order::Start, None) if self.people.broken.contains(&(vm, host)) => {
                return Outcome::Refused;
            }
            (Order::Start, None) => State::Running,
            (Order::Receive, None) => State::Received,
            (Order::StopSource, Some((_, State::Running))) => State::Stopped,
            (Order::ResumeSource, Some((_, State::Stopped))) => State::Running,
            (Order::Continue, Some((_, State::Received))) => State::Running,
            (Order::Discard, Some((_, State::Stopped | State::Received))) => {
                self.machines[host].guests.executing.remove(&vm);
                return Outcome::Done;
            }
            (Order::Discard, None) => return Outcome::Done,
            // It is here already: only a scan can tell what it is.
            (Order::Start, Some(_)) => return Outcome::Unknown,
            _ => return Outcome::Refused,
        };
        if next == State::Running {
            self.tell(format_args!("vm{vm} runs on h{}", host + 1));
            self.check_runs_once(host, vm);
        }
        self.machines[host].guests.executing.insert(vm, (command.run, next));
        if command.order == Order::Start {
            self.guest_began(host, vm, command.run);
        }
        Outcome::Done
    }

    /// No VM runs twice, whoever believes what.
    fn check_runs_once(&mut self, host: usize, vm: usize) {
        let runs = |machine: &super::Machine| {
            let state = machine.guests.executing.get(&vm);
            machine.alive && !machine.risk_taken && state.is_some_and(|(_, s)| *s == State::Running)
        };
        let others = (0..self.machines.len()).filter(|other| *other != host);
        if let Some(other) = others.into_iter().find(|other| runs(&self.machines[*other])) {
            let risk = self.machines[host].risk_taken;
            self.require(risk, || format!("vm{vm} runs on h{} and on h{}", host + 1, other + 1));
        }
    }

    /// A scan is answered once every job that came before it has ended (R6.3): also of the same
    /// epoch, since its master may have given up waiting for it.
    fn answer_scans(&mut self, host: usize) {
        let guests = &mut self.machines[host].guests;
        let oldest = guests.jobs.values().map(|job| job.epoch).min().unwrap_or(u64::MAX);
        let ready = |scan: &mut Command| scan.epoch < oldest;
        let ready: Vec<Command> = guests.scans.extract_if(.., ready).collect();
        for scan in ready {
            let found = self.machines[host].guests.executing.clone();
            self.reply(host, scan, Outcome::Found(found));
        }
    }

    pub(super) fn reply(&mut self, host: usize, command: Command, outcome: Outcome) {
        let to = command.from.0;
        if to != host && self.net.calls[host][to] {
            return;
        }
        let at = self.now + if to == host { 1 } else { self.travel() };
        self.push(at, to, What::Reply(Reply { command, host, outcome }));
    }
}
