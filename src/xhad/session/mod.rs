//! One session: the pure node with its socket, disk, watchdog and agent.

mod effects;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;

use uuid::Uuid;

use super::control::{Lease, Phase, Refused, RefusedKind, Response, StartConfig};
use super::cycle::{self, Job, Place};
use super::history::History;
use super::inbox::Inbox;
use super::kept::Keeper;
use super::spawner::Spawner;
use super::{agent, kept, start, storm};
use crate::heartbeat::auth::Key;
use crate::heartbeat::liveset::{Event, Liveset};
use crate::heartbeat::node::{Control, CycleDone, Effect, Input, Node};
use crate::heartbeat::packet::{LONGEST, Packet, Rooms};
use crate::heartbeat::view::{Life, Slot};
use crate::host::clock::boottime_ns;
use crate::host::faults::{EARLY_EXCLUSION, Faults};
use crate::host::udp::Link;
use crate::host::watchdog::{self, Watchdog};

/// How long after its VMs were stopped an isolated host asks to be admitted again; a new session
/// waits for as long as it takes.
const REJOIN_AFTER: u64 = 10 * crate::heartbeat::timing::SECOND;

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
    /// Who starts programs.
    pub spawner: Spawner,
    /// Who keeps records.
    pub keeper: Keeper,
    /// The processes that are watched.
    pub watched: agent::Watched,
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
    key: Key,
    /// The key of packets to and from the witness, where there is one.
    witness_key: Option<Key>,
    links: Vec<Link>,
    jobs: Vec<SyncSender<Job>>,
    /// The newest record, when there was no room for it yet.
    unkept: Option<kept::Job>,
    watchdog: Box<dyn Watchdog>,
    around: Surroundings,
    wake: u64,
    agent: Option<u32>,
    tickets: HashMap<u64, SyncSender<Response>>,
    next_ticket: u64,
    resetting: bool,
    after: After,
    /// Rooms that are used again with each step.
    effects: Vec<Effect>,
    sealed: Vec<u8>,
    buffer: Vec<u8>,
    rooms: Rooms,
    /// The agent was gone before anything could be done to it; the node is told with the next
    /// tick, which is due.
    agent_gone: bool,
    launch: Launch,
    armed: bool,
}

/// Whether an agent is being started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Launch {
    None,
    /// Its number is not known yet.
    UnderWay,
    /// The same, and it must be killed as soon as it is: the mastership leaves this host (R6.2).
    Unwanted,
}

pub(super) fn refused(kind: RefusedKind, sentence: impl ToString) -> Refused {
    Refused { kind, sentence: sentence.to_string() }
}

impl Session {
    /// Checks a configuration, opens everything and takes the first step. Nothing is armed yet.
    pub fn start(id: u64, config: StartConfig, around: Surroundings) -> Result<Self, Refused> {
        let hosts = start::sorted_hosts(&config)?;
        let watchdog = watchdog::open(&config.watchdog)
            .map_err(|error| refused(RefusedKind::Watchdog, error))?;
        if !around.keeper.settled() {
            let why = "the last record of the session before is not on this host's disk yet";
            return Err(refused(RefusedKind::StartFailed, why));
        }
        let kept = kept::read(&around.state_dir, config.generation, config.form)
            .map_err(|why| refused(RefusedKind::StartFailed, why))?;
        let brake = storm::brake(&around.state_dir);
        let node_config = start::node_config(&config, &hosts, watchdog.as_ref(), kept, brake)?;
        let links = start::links(&config, &hosts, &around.faults, &node_config.timing)?;
        let (key, witness_key) = (start::key(&config)?, start::witness_key(&config)?);
        let mut jobs = Vec::new();
        for (disk, path) in (0..).zip(&config.statefiles) {
            let place = Place {
                session: id,
                disk,
                path: path.clone(),
                generation: config.generation,
                key: key.clone(),
                hosts: node_config.hosts.clone(),
                me: node_config.me,
            };
            let thread = cycle::spawn(place, around.faults.clone(), around.inbox.clone());
            let why = "no thread for a statefile can be started";
            jobs.push(thread.ok_or_else(|| refused(RefusedKind::StartFailed, why))?);
        }
        let now = boottime_ns();
        let mut session = Session {
            id,
            node: Node::new(node_config, now),
            key,
            witness_key,
            links,
            jobs,
            unkept: None,
            watchdog,
            wake: now,
            agent: None,
            tickets: HashMap::new(),
            next_ticket: 0,
            resetting: false,
            after: After { changed: true },
            effects: Vec::with_capacity(64),
            sealed: Vec::with_capacity(LONGEST),
            buffer: vec![0; LONGEST + 1],
            rooms: Rooms::default(),
            agent_gone: false,
            launch: Launch::None,
            armed: false,
            around,
            config,
        };
        match session.config.agent_pid {
            Some(pid) => session.follow_agent(pid),
            None if session.config.agent_command.is_empty() => {}
            None => session.await_agent(),
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

    /// Whether it has ended without VMs.
    pub fn left_empty(&self) -> bool {
        self.node.left_empty()
    }

    /// Whether it ended by the isolation response long enough ago for a new attempt.
    pub fn may_rejoin(&self) -> bool {
        self.node.isolated_since().is_some_and(|since| boottime_ns() > since + REJOIN_AFTER)
    }

    /// The agent's process, while it runs.
    pub fn agent(&self) -> Option<u32> {
        self.agent.filter(|pid| *pid > 0)
    }

    /// The sockets to wait on.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// When the next step is due, CLOCK_BOOTTIME in nanoseconds.
    pub fn wake(&self) -> u64 {
        if self.agent_gone { 0 } else { self.wake }
    }

    /// Whether its watchdog runs.
    pub fn is_armed(&self) -> bool {
        self.armed
    }

    /// T, in nanoseconds.
    pub fn timeout(&self) -> u64 {
        self.node.timing().t
    }

    /// What it was started with.
    pub fn config(&self) -> &StartConfig {
        &self.config
    }

    /// The period of its beats, in nanoseconds.
    pub fn beat(&self) -> u64 {
        self.node.timing().beat
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
        let (act_until_ns, admitted) = (until.unwrap_or(0), self.node.admitted_in());
        Lease { epoch, act: until.is_some(), act_until_ns, admitted }
    }

    /// Takes what the subscribers must be told since the last call.
    pub fn take_after(&mut self) -> After {
        std::mem::take(&mut self.after)
    }

    /// What may have come up since the last turn of the loop. Not a part of [`Session::tick`]: a
    /// packet that comes when the step is due does its work, so that ticks may be rare.
    pub fn look_around(&mut self) {
        if std::mem::take(&mut self.agent_gone) {
            self.process_gone(0);
        }
        if let Some(job) = self.unkept.take() {
            self.unkept = self.around.keeper.keep(job).err();
        }
        if self.around.faults.bits() & EARLY_EXCLUSION != 0 {
            self.exclude_early();
        }
    }

    /// Time has passed.
    pub fn tick(&mut self) {
        self.feed(Input::Timer);
    }

    /// Breaks the rules on purpose (see [`EARLY_EXCLUSION`]).
    fn exclude_early(&mut self) {
        for host in self.liveset().unknown {
            let Some(slot) = self.slot(host) else { continue };
            let gone = self.node.decided().and_then(|view| view.gone(slot));
            if let Some(life) = gone.map(|gone| gone.member.life) {
                self.feed(Input::FenceDevice(slot, life, Ok(())));
            }
        }
    }

    /// Takes one packet of a link that has one; the next turn takes the next.
    pub fn take_packet(&mut self, link: usize) {
        let Some(socket) = self.links.get_mut(link) else { return };
        let Some((length, from)) = socket.receive(&mut self.buffer) else { return };
        let bytes = &self.buffer[..length];
        let key = match Packet::claims_witness(bytes) {
            true => self.witness_key.as_ref().unwrap_or(&self.key),
            false => &self.key,
        };
        match Packet::open_into(bytes, key, self.config.generation, &mut self.rooms) {
            Ok(packet) => {
                socket.heard(from, boottime_ns());
                self.feed(Input::Packet(link as u8, &packet));
            }
            Err(error) => self.feed(Input::Refused(error)),
        }
    }

    /// A record is on the own disk.
    pub fn kept(&mut self, record: u64) {
        self.feed(Input::Kept(record));
    }

    /// The VMs of this host are stopped, or could not be.
    pub fn vms_stopped(&mut self, outcome: Result<(), String>) {
        self.feed(Input::VmsStopped(outcome));
    }

    /// The fence device says that the host of that life is off, or why it is not.
    pub fn fence_word(&mut self, slot: Slot, life: Life, word: Result<(), String>) {
        self.feed(Input::FenceDevice(slot, life, word));
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
        self.around.watched.watch(pid, self.around.inbox.clone());
    }

    /// Nobody knows of an agent: one that runs says so soon, else the node has one started.
    fn await_agent(&mut self) {
        self.agent = Some(0);
        agent::await_word(self.around.inbox.clone());
    }

    /// A process has ended; it counts when it is the agent.
    pub fn process_gone(&mut self, pid: u32) {
        if self.agent == Some(pid) {
            self.agent = None;
            self.feed(Input::AgentGone);
        }
    }

    /// A request for the node; the answer goes to `reply` when there is one.
    pub fn control(&mut self, control: Control, reply: SyncSender<Response>) {
        self.next_ticket += 1;
        self.tickets.insert(self.next_ticket, reply);
        self.feed(Input::Control(self.next_ticket, control));
    }

    /// The slot of a host of this session.
    pub fn slot(&self, uuid: Uuid) -> Option<Slot> {
        let hosts = start::sorted_hosts(&self.config).ok()?;
        start::slot_of(&hosts, uuid)
    }

    fn feed(&mut self, input: Input<'_>) {
        if self.resetting {
            self.wake = boottime_ns() + 1_000_000_000;
            return;
        }
        let mut queue = std::mem::take(&mut self.effects);
        self.wake = self.node.step(boottime_ns(), input, &mut queue);
        let mut next = 0;
        while next < queue.len() {
            let effect = std::mem::replace(&mut queue[next], Effect::Changed);
            next += 1;
            let Some(reading) = self.apply(effect) else { continue };
            let input = match reading {
                Ok(left) => Input::Watchdog(left.as_nanos() as u64),
                Err(error) => Input::WatchdogFailed(error.to_string()),
            };
            self.wake = self.node.step(boottime_ns(), input, &mut queue);
        }
        queue.clear();
        self.effects = queue;
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
            let _client_gone = reply.try_send(Response::Refused(stopped));
        }
    }
}
