//! One session: the pure node with its socket, disk, watchdog and agent.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::time::Duration;

use uuid::Uuid;

use super::agent;
use super::control::{HostAddress, Lease, Phase, Refused, RefusedKind, Response, StartConfig};
use super::cycle::{self, Job};
use super::history::History;
use super::inbox::{Inbox, Message};
use super::marker::{self, Marker};
use crate::heartbeat::auth::Key;
use crate::heartbeat::block::Layout;
use crate::heartbeat::liveset::{Event, Liveset};
use crate::heartbeat::node::{Config, Control, CycleDone, Effect, Input, Node, Refusal};
use crate::heartbeat::packet::LONGEST;
use crate::heartbeat::timing::Timing;
use crate::heartbeat::view::{MOST_HOSTS, Slot};
use crate::host::clock::boottime_ns;
use crate::host::faults::{EARLY_EXCLUSION, Faults};
use crate::host::udp::Link;
use crate::host::watchdog::{self, Watchdog};

/// What sessions share with the daemon.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The state directory.
    pub state_dir: PathBuf,
    /// The lab's faults.
    pub faults: Faults,
    /// The way to the loop.
    pub inbox: Inbox,
    /// The history.
    pub history: History,
}

/// What the daemon must do after a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct After {
    /// Tell the subscribers.
    pub changed: bool,
}

/// A running session.
pub struct Session {
    id: u64,
    config: StartConfig,
    node: Node,
    link: Link,
    jobs: Sender<Job>,
    watchdog: Box<dyn Watchdog>,
    around: Surroundings,
    wake: u64,
    agent: Option<u32>,
    tickets: HashMap<u64, Sender<Response>>,
    next_ticket: u64,
    resetting: bool,
    after: After,
}

fn refused(kind: RefusedKind, sentence: impl ToString) -> Refused {
    Refused { kind, sentence: sentence.to_string() }
}

fn bad(sentence: impl ToString) -> Refused {
    refused(RefusedKind::BadRequest, sentence)
}

/// The hosts in the order of their slots, each once.
fn sorted_hosts(config: &StartConfig) -> Result<Vec<HostAddress>, Refused> {
    let mut hosts = config.hosts.clone();
    hosts.sort_by_key(|host| host.uuid);
    hosts.dedup_by_key(|host| host.uuid);
    if hosts.len() != config.hosts.len() {
        return Err(bad("a host is named twice"));
    }
    if hosts.len() > MOST_HOSTS {
        return Err(bad(format!("more than {MOST_HOSTS} hosts cannot share a statefile")));
    }
    let mut addresses: Vec<_> = hosts.iter().map(|host| host.address).collect();
    addresses.sort();
    addresses.dedup();
    if addresses.len() != hosts.len() {
        return Err(bad("two hosts have the same address"));
    }
    Ok(hosts)
}

fn slot_of(hosts: &[HostAddress], uuid: Uuid) -> Option<Slot> {
    hosts.iter().position(|host| host.uuid == uuid).map(|index| Slot(index as u8))
}

fn node_config(
    config: &StartConfig,
    hosts: &[HostAddress],
    watchdog: &dyn Watchdog,
) -> Result<Config, Refused> {
    let me = slot_of(hosts, config.host).ok_or_else(|| bad("this host is not in the list"))?;
    let step = watchdog.step().as_nanos() as u64;
    let timing = Timing::new(config.timeout_s, hosts.len(), 0, step)
        .map_err(|error| refused(RefusedKind::Timing, error))?;
    Ok(Config {
        generation: config.generation,
        key: Key::from_hex(&config.key_hex).map_err(bad)?,
        hosts: hosts.iter().map(|host| host.uuid).collect(),
        addresses: hosts.iter().map(|host| host.address).collect(),
        me,
        timing,
        timeout_s: config.timeout_s,
        boot_id: Uuid::parse_str(&config.boot_id).map_err(|_| bad("the boot id is no UUID"))?,
        form: config.form,
        first_master: config.first_master.and_then(|uuid| slot_of(hosts, uuid)),
        weight: config.weight,
        step,
        tombstone: watchdog.trusted(),
        starts_agent: !config.agent_command.is_empty(),
        agent_pid: config.agent_pid,
    })
}

impl Session {
    /// Checks a configuration, opens everything and takes the first step. Nothing is armed yet.
    pub fn start(id: u64, config: StartConfig, around: Surroundings) -> Result<Self, Refused> {
        let hosts = sorted_hosts(&config)?;
        let [statefile] = config.statefiles.as_slice() else {
            return Err(bad("this version uses exactly one statefile"));
        };
        let watchdog = watchdog::open(&config.watchdog)
            .map_err(|error| refused(RefusedKind::Watchdog, error))?;
        let node_config = node_config(&config, &hosts, watchdog.as_ref())?;
        let own = hosts[node_config.me.index()].address;
        let others: Vec<_> =
            hosts.iter().map(|host| host.address).filter(|address| *address != own).collect();
        let link = Link::bind(own, &others, config.udp_port, around.faults.clone())
            .map_err(|error| refused(RefusedKind::Network, format!("{own}: {error}")))?;
        let jobs = cycle::spawn(
            statefile.clone(),
            Layout { hosts: hosts.len() },
            around.faults.clone(),
            id,
            around.inbox.clone(),
        );
        let now = boottime_ns();
        let mut session = Session {
            id,
            node: Node::new(node_config, now),
            link,
            jobs,
            watchdog,
            wake: now,
            agent: None,
            tickets: HashMap::new(),
            next_ticket: 0,
            resetting: false,
            after: After { changed: true },
            around,
            config,
        };
        if let Some(pid) = session.config.agent_pid {
            session.follow_agent(pid);
        }
        Ok(session)
    }

    /// The session's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.node.phase()
    }

    /// The socket to wait on.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// When the next step is due, CLOCK_BOOTTIME in nanoseconds.
    pub fn wake(&self) -> u64 {
        self.wake
    }

    /// What is known now.
    pub fn liveset(&self) -> Liveset {
        self.node.liveset(boottime_ns())
    }

    /// The lease of the master.
    pub fn lease(&self) -> Lease {
        let now = boottime_ns();
        let until = self.node.may_act_until(now);
        let epoch = self.node.liveset_epoch();
        Lease { epoch, act: until.is_some(), act_until_ns: until.unwrap_or(0) }
    }

    /// Takes what the subscribers must be told since the last call.
    pub fn take_after(&mut self) -> After {
        std::mem::take(&mut self.after)
    }

    /// Time has passed.
    pub fn tick(&mut self) {
        self.feed(Input::Timer);
        if self.around.faults.bits() & EARLY_EXCLUSION != 0 {
            self.exclude_early();
        }
    }

    /// Breaks the rules on purpose (see [`EARLY_EXCLUSION`]).
    fn exclude_early(&mut self) {
        for host in self.liveset().unknown {
            if let Some(slot) = self.slot(host) {
                self.feed(Input::Control(0, Control::DeclareDead(slot)));
            }
        }
    }

    /// Takes every packet that is there.
    pub fn take_packets(&mut self) {
        let mut buffer = [0; LONGEST + 1];
        while let Some(length) = self.link.receive(&mut buffer) {
            self.feed(Input::Packet(&buffer[..length]));
        }
    }

    /// A disk cycle has ended.
    pub fn take_cycle(&mut self, done: CycleDone) {
        self.feed(Input::Cycle(done));
    }

    /// The agent renews its lease.
    pub fn agent_lease(&mut self, pid: u32) {
        if self.agent != Some(pid) {
            self.follow_agent(pid);
        }
        self.feed(Input::AgentLease(pid));
    }

    fn follow_agent(&mut self, pid: u32) {
        self.agent = Some(pid);
        agent::watch(pid, self.around.inbox.clone());
    }

    /// A process has ended; it counts when it is the agent.
    pub fn process_gone(&mut self, pid: u32) {
        if self.agent == Some(pid) {
            self.agent = None;
            self.feed(Input::AgentGone);
        }
    }

    /// A request for the node; the answer goes to `reply` when there is one.
    pub fn control(&mut self, control: Control, reply: Sender<Response>) {
        self.next_ticket += 1;
        self.tickets.insert(self.next_ticket, reply);
        self.feed(Input::Control(self.next_ticket, control));
    }

    /// The slot of a host of this session.
    pub fn slot(&self, uuid: Uuid) -> Option<Slot> {
        let hosts = sorted_hosts(&self.config).ok()?;
        slot_of(&hosts, uuid)
    }

    fn feed(&mut self, input: Input<'_>) {
        if self.resetting {
            self.wake = boottime_ns() + 1_000_000_000;
            return;
        }
        let effects = self.node.step(boottime_ns(), input);
        self.wake = effects.wake;
        let mut queue: VecDeque<Effect> = effects.list.into();
        while let Some(effect) = queue.pop_front() {
            let Some(reading) = self.apply(effect) else { continue };
            let input = match reading {
                Ok(left) => Input::Watchdog(left.as_nanos() as u64),
                Err(error) => Input::WatchdogFailed(error.to_string()),
            };
            let effects = self.node.step(boottime_ns(), input);
            self.wake = effects.wake;
            queue.extend(effects.list);
        }
    }

    /// Carries an effect out; a watchdog that was changed gives its reading.
    fn apply(&mut self, effect: Effect) -> Option<Result<Duration, watchdog::WatchdogError>> {
        match effect {
            Effect::Send(bytes) => self.link.send(&bytes),
            Effect::Cycle { id, own, writes } => {
                let _thread_gone = self.jobs.send(Job { id, own, writes });
            }
            Effect::Arm(end) => return Some(self.arm(end)),
            Effect::Program(end) => {
                let set = self.watchdog.set_remaining(left_until(end));
                return Some(set.and_then(|()| self.watchdog.read_back()));
            }
            Effect::CutWatchdog => return Some(self.watchdog.cut_to_minimum()),
            Effect::Disarm => self.disarm(),
            Effect::Reset => self.reset(),
            Effect::KillAgent => match self.agent {
                Some(pid) => agent::kill(pid),
                None => self.agent_was_gone(),
            },
            Effect::StartAgent => self.start_agent(),
            Effect::Note(event) => self.around.history.add(event),
            Effect::Changed => self.after.changed = true,
            Effect::Answer(ticket, outcome) => {
                if let Some(reply) = self.tickets.remove(&ticket) {
                    let response = match outcome {
                        Ok(_) => Response::Done,
                        Err(refusal) => Response::Refused(as_refused(&refusal)),
                    };
                    let _client_gone = reply.send(response);
                }
            }
        }
        None
    }

    fn arm(&mut self, end: u64) -> Result<Duration, watchdog::WatchdogError> {
        let marker =
            Marker { boot_id: self.config.boot_id.clone(), watchdog: self.config.watchdog.clone() };
        if let Err(error) = marker::set(&self.around.state_dir, &marker) {
            return Err(watchdog::WatchdogError::Unusable {
                name: "marker".to_owned(),
                reason: error.to_string(),
            });
        }
        self.watchdog.arm(left_until(end))?;
        self.watchdog.read_back()
    }

    fn disarm(&mut self) {
        match self.watchdog.disarm() {
            Ok(()) => marker::clear(&self.around.state_dir),
            Err(error) => self.say("disarm-failed", &error.to_string()),
        }
    }

    /// Nothing happens any more after this: whatever resets the host, the watchdog at last.
    fn reset(&mut self) {
        self.resetting = true;
        self.around.history.flush(Duration::from_millis(20));
        self.watchdog.reset_now();
    }

    fn start_agent(&mut self) {
        match agent::start(&self.config.agent_command, &self.around.inbox) {
            Ok(pid) => self.agent = Some(pid),
            Err(error) => {
                self.say("agent-start-failed", &error.to_string());
                self.agent_was_gone();
            }
        }
    }

    /// No process stands behind the agent: tell the node as if one had ended.
    fn agent_was_gone(&mut self) {
        self.agent = Some(0);
        self.around.inbox.send(Message::ProcessGone(0));
    }

    fn say(&self, event: &str, why: &str) {
        self.around.history.add(Event {
            t_ns: boottime_ns(),
            event: event.to_owned(),
            why: why.to_owned(),
            host: Some(self.config.host),
            epoch: self.node.liveset_epoch(),
        });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for (_, reply) in self.tickets.drain() {
            let why = "the session was stopped";
            let stopped = refused(RefusedKind::StartFailed, why);
            let _client_gone = reply.send(Response::Refused(stopped));
        }
    }
}

fn left_until(end: u64) -> Duration {
    Duration::from_nanos(end.saturating_sub(boottime_ns()))
}

fn as_refused(refusal: &Refusal) -> Refused {
    let kind = match refusal {
        Refusal::WrongState(_) => RefusedKind::WrongState,
        Refusal::MasterIs(_) => RefusedKind::NotMaster,
        Refusal::StartFailed(_) => RefusedKind::StartFailed,
        Refusal::PoolIsOff => RefusedKind::PoolIsOff,
        Refusal::Statefile(_) => RefusedKind::Statefile,
        Refusal::UnfinishedSession => RefusedKind::UnfinishedSession,
        Refusal::ClonedIdentity => RefusedKind::ClonedIdentity,
        Refusal::TimedOut(_) => RefusedKind::TimedOut,
    };
    refused(kind, refusal)
}
