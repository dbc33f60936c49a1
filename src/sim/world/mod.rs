//! A small deterministic world: nodes, links, statefiles, watchdogs, clocks that differ, and the
//! VMs that a master of them restarts. After every event it checks what must always hold
//! ([`check`]). Hosts are named by number, from zero; a number that no host has is a mistake of
//! the caller. In stories they are called h1, h2 and so on.
//!
//! | to find | look in |
//! |---|---|
//! | how time passes | `turn` |
//! | events and effects | `happen`, `effects`, `cycle`, `net` |
//! | what can be done to it | [`fault`] |
//! | what must hold | [`check`] |
//! | a copy of a machine | `copy` |
//! | HA on and off, step by step | `errand`, `session`, `settle` |
//! | VMs, the hosts' part and the master's | `guests`, `shell`, `rows` |
//! | what VMs are like, what users and guests do | `wish`, `people` |

mod admin;
pub mod check;
mod clock;
mod copy;
mod cycle;
pub mod disk;
mod effects;
mod errand;
pub mod fault;
mod guests;
mod happen;
mod look;
mod machine;
mod master;
mod net;
mod people;
mod queue;
mod rows;
mod session;
mod settle;
mod shell;
mod story;
mod turn;
mod wish;
mod witness;

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::heartbeat::kept::Kept;
use crate::heartbeat::node::{Config, Control, Effect, Node};
use crate::heartbeat::quorum::Acceptors;
use crate::heartbeat::timing::{MILLISECOND, Nanos, SECOND, Timing, TimingError};
use crate::heartbeat::variant::Variant;
use crate::heartbeat::view::{Life, Slot, View};
use crate::recovery::Limits;

pub use check::Violation;
use clock::Clock;
pub use disk::Statefile;
use machine::{AgentState, What};
pub use machine::{Machine, Path};
use net::Net;
use people::People;
use queue::Queue;
use rows::Rows;
pub use story::in_host_names;
pub use wish::Wish;
use witness::Outpost;

/// The world's time at its beginning.
const BEGIN: Nanos = 1000 * SECOND;

/// Why there is no such world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No timers follow from its T.
    #[error(transparent)]
    Timing(#[from] TimingError),
    /// Nothing can be decided by these.
    #[error("{0}")]
    Acceptors(String),
}

/// A fence device. It deals with one question about a host at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FenceDevice {
    /// How long its word takes, after the host is off.
    pub takes: Nanos,
    /// One of so many questions fails; none does when that is zero.
    pub fails: u64,
}

/// What a world is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The number of hosts.
    pub hosts: usize,
    /// T in seconds.
    pub timeout_s: u32,
    /// The number of statefiles.
    pub statefiles: usize,
    /// Losers stop their VMs instead of being reset.
    pub stop_vms: bool,
    /// The fence device, where there is one.
    pub fence_device: Option<FenceDevice>,
    /// Hosts that were fenced come up braked.
    pub braked: bool,
    /// There is a witness.
    pub witness: bool,
    /// The number of VMs.
    pub vms: usize,
    /// The VMs that are not like the others.
    pub wishes: BTreeMap<usize, Wish>,
    /// How many GiB of VMs a host has room for.
    pub room: u64,
    /// VMs whose guest switches itself off stay off.
    pub stays_off: bool,
    /// How much the master starts at once, and how often.
    pub limits: Limits,
    /// Packets and blocks go through their real bytes.
    pub bytes: bool,
    /// The rule that every node breaks.
    pub variant: Option<Variant>,
}

impl Setting {
    /// The plain setting: one statefile, no VMs.
    pub fn of(hosts: usize, timeout_s: u32) -> Self {
        Setting {
            hosts,
            timeout_s,
            statefiles: 1,
            stop_vms: false,
            fence_device: None,
            braked: false,
            witness: false,
            vms: 0,
            wishes: BTreeMap::new(),
            room: 16,
            stays_off: false,
            limits: Limits::default(),
            bytes: false,
            variant: None,
        }
    }
}

/// The world.
pub struct World {
    /// The time, in nanoseconds.
    pub now: Nanos,
    /// What it is made of.
    pub setting: Setting,
    /// The hosts' machines.
    pub machines: Vec<Machine>,
    /// The hosts' uuids.
    pub uuids: Vec<Uuid>,
    /// The statefiles.
    pub disks: Vec<Statefile>,
    /// The links.
    pub net: Net,
    /// Whether a host that was reset boots again after some seconds.
    pub boot_reset_hosts: bool,
    /// Whether what happens is written down.
    pub telling: bool,
    /// Keep what the statefiles held, for rewinds.
    pub remembers: bool,
    remembered: Nanos,
    timing: Timing,
    violation: Option<Violation>,
    /// The story so far.
    log: Vec<String>,
    /// Every decided view that was seen: two hosts may never know different ones of an epoch.
    chain: BTreeMap<u64, View>,
    /// Since when, at most some seconds ago, so many views were decided.
    views: (Nanos, u32),
    /// Lives that somebody called dead while their boot went on: they never hold a lease again.
    over: Vec<(usize, Uuid, Life)>,
    queue: Queue<(usize, u32, What)>,
    random: u64,
    ticket: u64,
    /// How often HA was switched on, and the session that came of it last.
    sessions: u32,
    generation: Uuid,
    /// What is added to a session's epochs, so that those of the pool never go back.
    epoch_base: u64,
    /// What the pool's database says: HA is on.
    pub(in crate::sim) pool_on: bool,
    /// What the database says of the VMs; durable, and fenced by epoch.
    rows: Rows,
    outpost: Option<Outpost>,
    pub(in crate::sim) people: People,
    /// Rooms for effects, used again.
    spare: Vec<Vec<Effect>>,
    /// The host that acted as master last: its own configuration names it.
    named_master: Option<usize>,
}

impl World {
    /// A world with so many machines, none of them started, and a T in seconds.
    pub fn new(hosts: usize, timeout_s: u32, seed: u64) -> Result<World, Unfit> {
        let mut world = World::with(Setting::of(hosts, timeout_s), seed)?;
        world.telling = true;
        Ok(world)
    }

    /// A world of that setting; it tells nothing.
    pub fn with(setting: Setting, seed: u64) -> Result<World, Unfit> {
        let acceptors = Acceptors { statefiles: setting.statefiles, witness: setting.witness };
        if let Some(fault) = acceptors.fault() {
            return Err(Unfit::Acceptors(fault));
        }
        let hosts = setting.hosts;
        let uuids: Vec<Uuid> = (0..hosts).map(|n| Uuid::from_u128(n as u128 + 1)).collect();
        let mut world = World {
            now: BEGIN,
            machines: Vec::new(),
            disks: (0..setting.statefiles).map(|_| Statefile::new(hosts)).collect(),
            timing: Timing::new(setting.timeout_s, hosts, 0, 10 * MILLISECOND)?,
            uuids,
            net: Net::new(hosts),
            boot_reset_hosts: false,
            telling: false,
            remembers: false,
            remembered: 0,
            violation: None,
            log: Vec::new(),
            chain: BTreeMap::new(),
            views: (0, 0),
            over: Vec::new(),
            queue: Queue::new(),
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            ticket: 0,
            sessions: 0,
            generation: Uuid::from_u128(1),
            epoch_base: 0,
            pool_on: false,
            rows: Rows::default(),
            outpost: None,
            people: People::default(),
            spare: Vec::new(),
            named_master: None,
            setting,
        };
        for n in 0..hosts {
            let offset = world.chance(1_000_000) * SECOND;
            let rate = world.chance(2 * clock::MOST as u64 + 1) as i64 - clock::MOST;
            let boot_id = Uuid::from_u128(0x1000 + n as u128);
            let clock = Clock { offset, rate };
            world.machines.push(Machine::new(boot_id, clock, world.setting.statefiles));
        }
        if world.setting.witness {
            let clock = Clock { offset: SECOND, rate: clock::MOST };
            world.outpost = Some(Outpost::new(hosts, clock));
            world.start_witness();
        }
        world.place_vms();
        Ok(world)
    }

    /// A world whose hosts have formed view 1 and are all armed.
    pub fn formed(hosts: usize, timeout_s: u32, seed: u64) -> Result<World, Unfit> {
        let mut world = World::new(hosts, timeout_s, seed)?;
        world.form();
        Ok(world)
    }

    /// Starts all hosts and runs until they are armed together; it is a violation when that
    /// takes longer than 30 seconds and 2 T.
    pub fn form(&mut self) {
        let hosts = self.machines.len();
        self.switch_on(0);
        let limit = 30.max(2 * u64::from(self.setting.timeout_s));
        let armed = self.run_until(limit, |world| (0..hosts).all(|h| world.armed_with(h, hosts)));
        self.require(armed, || format!("no view of all hosts within {limit} s"));
    }

    /// A number under `below`.
    pub fn chance(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn clock(&self, host: usize) -> Nanos {
        self.machines[host].clock.at(self.now)
    }

    /// World time of a host's clock reading in the near future.
    fn world_time(&self, host: usize, clock: Nanos) -> Nanos {
        let left = clock.saturating_sub(self.clock(host));
        self.now + self.machines[host].clock.span(left)
    }

    /// The configuration of a host's daemon; `form` for a host that forms a pool.
    pub fn config(&self, host: usize, form: bool) -> Config {
        let machine = &self.machines[host];
        let running = !machine.guests.executing.is_empty();
        let (hosts, t) = (self.uuids.clone(), self.setting.timeout_s);
        let me = Slot::at(host);
        let kept = machine.kept.clone().filter(|kept| kept.generation == self.generation);
        Config {
            acceptors: Acceptors {
                statefiles: self.setting.statefiles,
                witness: self.setting.witness,
            },
            kept: kept.map(|kept| self.remembered(kept)),
            braked: (self.setting.braked && machine.resets > 2).then_some(20 * SECOND),
            resident: machine.fresh && running,
            fresh: machine.fresh && !running,
            stop_vms: self.setting.stop_vms,
            fence_device: self.setting.fence_device.is_some(),
            #[cfg(feature = "wrong-variants")]
            variant: self.setting.variant,
            form,
            starts_agent: true,
            agent_pid: (machine.agent != AgentState::Gone).then_some(machine.pid),
            ..Config::plain(self.generation, hosts, me, self.timing, t, machine.boot_id)
        }
    }

    /// The record that a daemon finds; without its promises and votes where that rule is broken.
    fn remembered(&self, kept: Kept) -> Kept {
        match self.wrong(Variant::PromiseForgotten) {
            true => Kept { promise: 0, vote: Default::default(), ..kept },
            false => kept,
        }
    }

    /// Starts a host's daemon; gives the ticket of its start.
    pub fn start(&mut self, host: usize, form: bool) -> u64 {
        let config = self.config(host, form);
        self.start_with(host, config)
    }

    /// Starts a host's daemon with a configuration; gives the ticket of its start.
    pub fn start_with(&mut self, host: usize, config: Config) -> u64 {
        let node = Node::new(config, self.clock(host));
        let machine = &mut self.machines[host];
        machine.node = Some(node);
        machine.fresh = false;
        machine.takes_part = true;
        machine.session = self.sessions;
        machine.other_protocol.1 = machine.other_protocol.0;
        machine.guests.leaving = false;
        machine.checked = (0, 0);
        machine.acts_until = 0;
        machine.agent_tick = self.now + 1;
        if machine.agent == AgentState::Gone {
            // Like the daemon's shell: a session that begins without an agent has one started.
            self.push(self.now, host, What::AgentGone);
        }
        self.control(host, Control::Started)
    }

    /// Whether a rule that the world itself keeps is to be broken.
    fn wrong(&self, variant: Variant) -> bool {
        self.setting.variant == Some(variant)
    }
}
