//! What administrators have an agent do step by step, by the rules of [`crate::ha`]: HA on and off
//! for the pool, off on one host, and a host switched off. An errand ends with the process that
//! carries it out, wherever it stands.

use std::collections::VecDeque;

use uuid::Uuid;

use super::World;
use super::machine::{AgentState, What};
use crate::ha::enable::{Enable, Event};
use crate::ha::{disable, emergency, enable, leave};
use crate::heartbeat::liveset::{Liveness, Phase};
use crate::heartbeat::node::{Control, Refusal};
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::heartbeat::view::Mode;

/// How long an agent waits for a daemon, as in the agent itself.
const PATIENCE: Nanos = 60 * SECOND;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    On(enable::Step),
    Off(disable::Step),
    Alone(emergency::Step),
    Leave(leave::Step),
}

/// Why a step failed; `refused` when it was not even begun.
struct Fault {
    why: String,
    refused: bool,
}

impl Fault {
    fn of(why: &str) -> Self {
        Fault { why: why.to_owned(), refused: false }
    }
}

/// How a step begins.
enum Begun {
    Done,
    /// A daemon was asked.
    Asked(usize, u64),
    /// A daemon is waited for until it has disarmed.
    Disarming(usize),
}

/// A step whose end is not known yet.
struct Wait {
    step: Step,
    /// The host, its boot and the ticket there; without one it is to disarm.
    on: (usize, u32, Option<u64>),
    until: Nanos,
    /// How far a daemon that is to end has come.
    stage: usize,
}

/// An errand.
pub(super) struct Errand {
    enable: Option<Enable>,
    todo: VecDeque<Step>,
    waits: Vec<Wait>,
    /// The agent's process; one that leaves has a process of its own.
    pid: Option<u32>,
}

impl World {
    /// HA is switched on for the pool, asked of a host while it is off.
    pub fn switch_on(&mut self, host: usize) {
        let (enable, steps) = Enable::begin(&self.uuids);
        if !self.pool_on {
            self.set_out(host, Some(enable), steps.into_iter().map(Step::On), true);
        }
    }

    /// HA is switched off for the pool, asked of its master.
    pub fn switch_off(&mut self, host: usize) {
        if self.pool_on && self.acts(host) {
            self.set_out(host, None, disable::STEPS.into_iter().map(Step::Off), true);
        }
    }

    /// HA is switched off on one host alone.
    pub fn switch_off_alone(&mut self, host: usize) {
        let liveset = self.liveset(host);
        let is_me = |uuid: Uuid| uuid == self.uuids[host];
        let others = liveset.hosts.iter().filter(|other| !is_me(other.uuid));
        let others: Vec<_> = others.filter(|other| liveset.members.contains(&other.uuid)).collect();
        let facts = emergency::Facts {
            armed: liveset.hosts.iter().any(|other| is_me(other.uuid) && other.armed),
            others: others.len(),
            storage_lost_by_all: liveset.storage_lost_by_all,
            all_heard: others.iter().all(|other| other.liveness == Liveness::Live),
            may_run_twice: false,
            is_master: liveset.is_master,
        };
        let steps = emergency::plan(facts).steps;
        self.set_out(host, None, steps.into_iter().map(Step::Alone), true);
    }

    /// A host is switched off cleanly.
    pub fn shut_down(&mut self, host: usize) {
        let facts = leave::Facts {
            armed: self.machines[host].takes_part,
            in_session: self.phase(host) != Phase::Off,
            is_master: self.acts(host),
        };
        self.set_out(host, None, leave::steps(facts).into_iter().map(Step::Leave), false);
    }

    fn set_out(
        &mut self,
        host: usize,
        enable: Option<Enable>,
        steps: impl Iterator<Item = Step>,
        by_agent: bool,
    ) {
        let todo: VecDeque<Step> = steps.collect();
        let machine = &mut self.machines[host];
        let up = machine.alive && !machine.paused && machine.errand.is_none();
        if !up || by_agent && machine.agent != AgentState::Well {
            return;
        }
        let pid = by_agent.then_some(machine.pid);
        machine.errand = Some(Errand { enable, todo, waits: Vec::new(), pid });
        self.errand_goes_on(host);
    }

    /// Looks what has come of the steps under way, and begins the next ones.
    pub(super) fn errand_goes_on(&mut self, host: usize) {
        let Some(mut errand) = self.machines[host].errand.take() else { return };
        let (pid, agent) = (self.machines[host].pid, self.machines[host].agent);
        let gone = |of: u32| of != pid || agent == AgentState::Gone;
        if errand.pid.is_some_and(gone) {
            return;
        }
        if errand.pid.is_none() || agent != AgentState::Hangs {
            self.take_steps(host, &mut errand);
        }
        if self.machines[host].alive && !(errand.todo.is_empty() && errand.waits.is_empty()) {
            self.machines[host].errand = Some(errand);
            self.push(self.now + SECOND / 10, host, What::Errand);
        }
    }

    fn take_steps(&mut self, host: usize, errand: &mut Errand) {
        let mut ended = Vec::new();
        for wait in std::mem::take(&mut errand.waits) {
            match self.outcome(&wait) {
                None => errand.waits.push(wait),
                Some(outcome) => match self.next_stage(&wait, &outcome) {
                    Some(next) => errand.waits.push(next),
                    None => ended.push((wait.step, outcome)),
                },
            }
        }
        loop {
            for (step, outcome) in std::mem::take(&mut ended) {
                self.step_ended(host, errand, &step, outcome);
            }
            let together = errand.enable.is_some();
            if !self.machines[host].alive || !together && !errand.waits.is_empty() {
                return;
            }
            let count = if together { errand.todo.len() } else { errand.todo.len().min(1) };
            let batch: Vec<Step> = errand.todo.drain(..count).collect();
            for step in batch {
                match self.begin(host, &step) {
                    Ok(Begun::Done) => ended.push((step, Ok(()))),
                    Err(fault) => ended.push((step, Err(fault))),
                    Ok(Begun::Asked(on, ticket)) => {
                        errand.waits.push(self.wait(step, on, Some(ticket)));
                    }
                    Ok(Begun::Disarming(on)) => errand.waits.push(self.wait(step, on, None)),
                }
            }
            if ended.is_empty() {
                return;
            }
        }
    }

    fn wait(&self, step: Step, on: usize, ticket: Option<u64>) -> Wait {
        let boot = self.machines[on].boot;
        Wait { step, on: (on, boot, ticket), until: self.now + PATIENCE, stage: 0 }
    }

    fn outcome(&self, wait: &Wait) -> Option<Result<(), Fault>> {
        let (on, boot, ticket) = wait.on;
        let machine = &self.machines[on];
        let answer = match ticket {
            Some(ticket) => machine.answers.get(&ticket).cloned().map(|answer| answer.map(drop)),
            None => matches!(self.phase(on), Phase::Disarmed | Phase::Off).then_some(Ok(())),
        };
        match answer {
            Some(Ok(())) => Some(Ok(())),
            Some(Err(refusal)) => {
                let refused = matches!(refusal, Refusal::WrongState(_));
                Some(Err(Fault { why: refusal.to_string(), refused }))
            }
            None if machine.boot != boot || !machine.alive => Some(Err(Fault::of("it is down"))),
            None if self.now >= wait.until => Some(Err(Fault::of("no answer"))),
            None => None,
        }
    }

    /// A daemon that is to end disarms first when it is armed: by "off", or once all others know.
    fn next_stage(&mut self, wait: &Wait, outcome: &Result<(), Fault>) -> Option<Wait> {
        let Step::On(enable::Step::StopDaemon(_)) = wait.step else { return None };
        let (on, ..) = wait.on;
        let (stage, control) = match (wait.stage, outcome) {
            (0, Ok(())) => (1, Control::SetMode(Mode::Off)),
            (0 | 1, Err(_)) => (2, Control::Disarm { force: false }),
            (1 | 2, Ok(())) => {
                return Some(Wait { stage: 3, ..self.wait(wait.step.clone(), on, None) });
            }
            _ => return None,
        };
        let ticket = self.control(on, control);
        Some(Wait { stage, ..self.wait(wait.step.clone(), on, Some(ticket)) })
    }

    fn begin(&mut self, host: usize, step: &Step) -> Result<Begun, Fault> {
        match step {
            Step::On(step) => self.begin_on(host, step),
            Step::Off(step) => Ok(self.begin_off(host, *step)),
            Step::Alone(step) => Ok(self.begin_alone(host, *step)),
            Step::Leave(step) => self.begin_leave(host, *step),
        }
    }

    fn begin_on(&mut self, host: usize, step: &enable::Step) -> Result<Begun, Fault> {
        use enable::Step::*;
        let of = |uuid: &Uuid| self.uuids.iter().position(|other| other == uuid).unwrap_or(0);
        match step {
            PrepareStatefile => self.new_session(),
            EraseStatefile => self.blank_statefiles(),
            SetPoolFlag => {
                self.pool_on = true;
                self.tell(format_args!("HA is on in the database"));
            }
            HandOverKeys(uuid) => {
                let other = self.reach(host, of(uuid))?;
                self.stop_unarmed(other);
                if !matches!(self.phase(other), Phase::Disarmed | Phase::Off) {
                    return Err(Fault::of("it is armed"));
                }
            }
            StartDaemon(uuid) => {
                let other = self.reach(host, of(uuid))?;
                return Ok(Begun::Asked(other, self.start(other, true)));
            }
            StopDaemon(uuid) => {
                let other = self.reach(host, of(uuid))?;
                if !matches!(self.phase(other), Phase::Disarmed | Phase::Off) {
                    let ticket = self.control(other, Control::SetMode(Mode::OffPending));
                    return Ok(Begun::Asked(other, ticket));
                }
            }
            ForgetKeys(uuid) => {
                let other = self.reach(host, of(uuid))?;
                self.stop_unarmed(other);
                self.machines[other].takes_part = false;
            }
        }
        Ok(Begun::Done)
    }

    /// Another host, if its agent can be asked.
    fn reach(&self, host: usize, other: usize) -> Result<usize, Fault> {
        let machine = &self.machines[other];
        let cut = host != other && (self.net.calls[host][other] || self.net.calls[other][host]);
        match !cut && machine.alive && !machine.paused && machine.agent == AgentState::Well {
            true => Ok(other),
            false => Err(Fault::of("it does not answer")),
        }
    }

    fn begin_off(&mut self, host: usize, step: disable::Step) -> Begun {
        let mode = match step {
            disable::Step::DecideOffPending => Mode::OffPending,
            disable::Step::DecideOff => Mode::Off,
            disable::Step::AwaitOff => return Begun::Disarming(host),
            disable::Step::ClearPoolFlag => {
                self.pool_on = false;
                self.tell(format_args!("HA is off in the database"));
                let off = self.newest_mode() == Some(Mode::Off);
                self.require(off, || "HA is off in the database, and no view says so".to_owned());
                return Begun::Done;
            }
        };
        Begun::Asked(host, self.control(host, Control::SetMode(mode)))
    }

    fn begin_alone(&mut self, host: usize, step: emergency::Step) -> Begun {
        match step {
            emergency::Step::HandOver => {
                let ticket = self.control(host, Control::GiveUpMastership(None));
                // Where nobody can take it over it goes on all the same.
                if !matches!(self.answer(host, ticket), Some(Err(_))) {
                    return Begun::Asked(host, ticket);
                }
            }
            emergency::Step::RefuseVms => self.machines[host].guests.leaving = true,
            emergency::Step::StopVms => self.stop_vms(host),
            emergency::Step::Disarm => {
                return Begun::Asked(host, self.control(host, Control::Disarm { force: false }));
            }
            emergency::Step::DisarmByForce => {
                return Begun::Asked(host, self.control(host, Control::Disarm { force: true }));
            }
            emergency::Step::ClearLocalFlag => self.machines[host].takes_part = false,
        }
        Begun::Done
    }

    fn begin_leave(&mut self, host: usize, step: leave::Step) -> Result<Begun, Fault> {
        match step {
            leave::Step::AssertEmpty => {
                self.machines[host].guests.leaving = true;
                self.stop_vms(host);
            }
            leave::Step::GiveUpMastership => {
                return Ok(Begun::Asked(host, self.control(host, Control::GiveUpMastership(None))));
            }
            leave::Step::SetExcluded => {
                return Ok(Begun::Asked(host, self.control(host, Control::Leave)));
            }
            leave::Step::StopDaemon => return Ok(Begun::Disarming(host)),
            leave::Step::SwitchOff if self.chance(4) == 0 => {
                return Err(Fault::of("the machine does not go down"));
            }
            leave::Step::SwitchOff => self.crash(host),
        }
        Ok(Begun::Done)
    }

    fn step_ended(
        &mut self,
        host: usize,
        errand: &mut Errand,
        step: &Step,
        outcome: Result<(), Fault>,
    ) {
        if let Err(fault) = &outcome {
            self.tell(format_args!("h{} does not get on with {step:?}: {}", host + 1, fault.why));
        }
        if let (Some(rule), Step::On(step)) = (&mut errand.enable, step) {
            let steps = rule.event(event(step, outcome));
            errand.todo.extend(steps.into_iter().map(Step::On));
            return;
        }
        let Err(fault) = outcome else { return };
        errand.todo.clear();
        let Step::Leave(step) = step else { return };
        if leave::after_failure(*step, fault.refused) == leave::Refusal::Ends {
            self.machines[host].guests.leaving = false;
            if *step == leave::Step::SwitchOff {
                self.start_daemon(host);
            }
        }
    }
}

fn event(step: &enable::Step, outcome: Result<(), Fault>) -> Event {
    use enable::Step::{ForgetKeys, HandOverKeys, StartDaemon, StopDaemon};
    let host = match step {
        HandOverKeys(host) | StartDaemon(host) | StopDaemon(host) | ForgetKeys(host) => Some(*host),
        _ => None,
    };
    match (host, outcome) {
        (None, Ok(())) => Event::Done,
        (None, Err(fault)) => Event::Failed(fault.why),
        (Some(host), Ok(())) => Event::HostDone(host),
        (Some(host), Err(fault)) => Event::HostFailed(host, fault.why),
    }
}
