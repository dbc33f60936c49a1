//! A small deterministic world: nodes, links, one disk, watchdogs and clocks that differ.
//! After every event it checks what must always hold ([`check`]). Hosts are named by number,
//! from zero; a number that no host has is a mistake of the caller.

pub mod check;
mod disk;
mod fault;
mod happen;
mod machine;

use std::collections::{BTreeMap, BinaryHeap};

use uuid::Uuid;

use crate::heartbeat::liveset::{Liveset, Phase};
use crate::heartbeat::node::{Answer, Config, Control, Input, Node, Refusal};
use crate::heartbeat::quorum::Acceptors;
use crate::heartbeat::timing::{MILLISECOND, Nanos, SECOND, Timing, TimingError};
use crate::heartbeat::view::{Slot, View};

pub use check::Violation;
pub use disk::Statefile;
use machine::{Job, What};
pub use machine::{Machine, Path};

/// The world's time at its beginning.
const BEGIN: Nanos = 1000 * SECOND;

/// Why there is no such world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No timers follow from its T.
    #[error(transparent)]
    Timing(#[from] TimingError),
}

/// What is to happen: when, in which order, to which host, in which of its boots.
#[derive(Debug)]
struct Due {
    at: Nanos,
    order: u64,
    host: usize,
    boot: u32,
    what: What,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    /// The earliest is the greatest, for the heap.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// The world.
pub struct World {
    /// The time, in nanoseconds.
    pub now: Nanos,
    /// The hosts' machines.
    pub machines: Vec<Machine>,
    /// The hosts' uuids.
    pub uuids: Vec<Uuid>,
    /// The statefiles.
    pub disks: Vec<Statefile>,
    /// T in seconds.
    pub timeout_s: u32,
    /// `cut[from][to]`: packets that way are lost.
    pub cut: Vec<Vec<bool>>,
    /// Packets lost anywhere, in percent.
    pub loss: u64,
    /// Whether a host that was reset boots again after some seconds.
    pub boot_reset_hosts: bool,
    timing: Timing,
    violation: Option<Violation>,
    /// The story so far.
    log: Vec<String>,
    /// Every decided view that was seen: two hosts may never know different ones of an epoch.
    chain: BTreeMap<u64, View>,
    queue: BinaryHeap<Due>,
    order: u64,
    random: u64,
    ticket: u64,
    generation: Uuid,
}

impl World {
    /// A world with so many machines, none of them started, and a T in seconds.
    pub fn new(hosts: usize, timeout_s: u32, seed: u64) -> Result<World, Unfit> {
        let uuids: Vec<Uuid> = (0..hosts).map(|n| Uuid::from_u128(n as u128 + 1)).collect();
        let generation = Uuid::from_u128(77);
        let mut world = World {
            now: BEGIN,
            machines: Vec::new(),
            disks: vec![Statefile::new(hosts)],
            timing: Timing::new(timeout_s, hosts, 0, 0)?,
            uuids,
            timeout_s,
            cut: vec![vec![false; hosts]; hosts],
            loss: 0,
            boot_reset_hosts: false,
            violation: None,
            log: Vec::new(),
            chain: BTreeMap::new(),
            queue: BinaryHeap::new(),
            order: 0,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            ticket: 0,
            generation,
        };
        for n in 0..hosts {
            let offset = world.chance(1_000_000) * SECOND;
            let ppm = world.chance(4000) as i64 - 2000;
            let boot_id = Uuid::from_u128(0x1000 + n as u128);
            world.machines.push(Machine::new(boot_id, offset, ppm));
        }
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
        for host in 0..hosts {
            self.start(host, true);
        }
        let limit = 30.max(2 * u64::from(self.timeout_s));
        let armed = self.run_until(limit, |world| (0..hosts).all(|h| world.armed_with(h, hosts)));
        self.require(armed, || format!("no view of all hosts within {limit} s"));
    }

    fn armed_with(&self, host: usize, members: usize) -> bool {
        let liveset = self.liveset(host);
        liveset.phase == Phase::Armed
            && liveset.members.len() == members
            && liveset.hosts.iter().filter(|h| h.armed).count() >= members
            && liveset.epoch >= 2
    }

    /// A number under `below`.
    pub fn chance(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn clock(&self, host: usize, at: Nanos) -> Nanos {
        let machine = &self.machines[host];
        let drift = (at as i128 * i128::from(machine.ppm) / 1_000_000) as i64;
        (at + machine.offset).saturating_add_signed(drift)
    }

    /// World time of a host's clock reading in the near future.
    fn world_time(&self, host: usize, clock: Nanos) -> Nanos {
        let here = self.clock(host, self.now);
        let left = clock.saturating_sub(here) as i128;
        let ppm = i128::from(self.machines[host].ppm);
        self.now + (left * 1_000_000 / (1_000_000 + ppm)) as Nanos + 1
    }

    /// The configuration of a host's daemon; `form` for a host that forms a pool.
    pub fn config(&self, host: usize, form: bool) -> Config {
        Config {
            generation: self.generation,
            hosts: self.uuids.clone(),
            addresses: Vec::new(),
            me: Slot::at(host),
            acceptors: Acceptors { statefiles: self.disks.len(), witness: false },
            kept: self.machines[host].kept.clone(),
            braked: None,
            resident: false,
            fresh: false,
            stop_vms: false,
            fence_device: false,
            #[cfg(feature = "wrong-variants")]
            variant: None,
            timing: self.timing,
            timeout_s: self.timeout_s,
            boot_id: self.machines[host].boot_id,
            form,
            first_master: None,
            weight: 0,
            step: 10 * MILLISECOND,
            tombstone: true,
            starts_agent: true,
            agent_pid: self.machines[host].agent,
        }
    }

    /// Starts a host's daemon; gives the ticket of its start.
    pub fn start(&mut self, host: usize, form: bool) -> u64 {
        let config = self.config(host, form);
        self.start_with(host, config)
    }

    /// Starts a host's daemon with a configuration; gives the ticket of its start.
    pub fn start_with(&mut self, host: usize, config: Config) -> u64 {
        let node = Node::new(config, self.clock(host, self.now));
        self.machines[host].node = Some(node);
        self.push(self.now, host, What::AgentTick);
        self.control(host, Control::Started)
    }

    /// Sends a request to a host; gives its ticket.
    pub fn control(&mut self, host: usize, control: Control) -> u64 {
        self.ticket += 1;
        let ticket = self.ticket;
        self.step(host, Input::Control(ticket, control));
        ticket
    }

    /// What a host has answered to a ticket; none while it has not.
    pub fn answer(&self, host: usize, ticket: u64) -> Option<&Result<Answer, Refusal>> {
        self.machines[host].answers.get(&ticket)
    }

    /// What a host's daemon says of the pool; off without a daemon.
    pub fn liveset(&self, host: usize) -> Liveset {
        let now = self.clock(host, self.now);
        self.machines[host].node.as_ref().map_or_else(Liveset::off, |node| node.liveset(now))
    }

    /// The members of the view that a host has adopted.
    pub fn members(&self, host: usize) -> Vec<usize> {
        let members = self.liveset(host).members;
        (0..self.uuids.len()).filter(|n| members.contains(&self.uuids[*n])).collect()
    }

    /// Whether a host knows another one to be dead.
    pub fn knows_dead(&self, host: usize, other: usize) -> bool {
        self.liveset(host).dead.iter().any(|dead| dead.host == self.uuids[other])
    }

    /// The hosts that may act as master now; never more than one.
    pub fn acting(&self) -> Vec<usize> {
        let acts = |host: &usize| {
            let machine = &self.machines[*host];
            let now = self.clock(*host, self.now);
            machine.alive
                && !machine.paused
                && machine.node.as_ref().is_some_and(|node| node.may_act_until(now).is_some())
        };
        (0..self.uuids.len()).filter(acts).collect()
    }

    /// The hosts that were reset, by their watchdog or by themselves.
    pub fn resets(&self) -> Vec<usize> {
        (0..self.uuids.len()).filter(|host| self.machines[*host].resets > 0).collect()
    }

    fn push(&mut self, at: Nanos, host: usize, what: What) {
        self.order += 1;
        let boot = self.machines[host].boot;
        let order = self.order;
        self.queue.push(Due { at, order, host, boot, what });
    }

    /// Runs for so many seconds.
    pub fn run(&mut self, seconds: u64) {
        self.run_until(seconds, |_| false);
    }

    /// Runs until the condition holds (looked at ten times a second) or the time is over.
    pub fn run_until(&mut self, seconds: u64, mut done: impl FnMut(&World) -> bool) -> bool {
        let end = self.now + seconds * SECOND;
        let mut look = self.now;
        while self.now < end {
            if self.now >= look {
                if done(self) {
                    return true;
                }
                look = self.now + SECOND / 10;
            }
            self.turn(end.min(look));
        }
        done(self)
    }

    /// Runs for exactly so many nanoseconds.
    pub fn run_for(&mut self, span: Nanos) {
        let end = self.now + span;
        while self.now < end {
            self.turn(end);
        }
    }

    fn turn(&mut self, end: Nanos) {
        if self.violation.is_some() {
            self.now = end;
            return;
        }
        match self.queue.peek() {
            Some(due) if due.at <= end => {}
            _ => {
                self.now = end;
                return;
            }
        }
        let Some(Due { at, host, boot, what, .. }) = self.queue.pop() else { return };
        self.now = self.now.max(at);
        if boot != self.machines[host].boot {
            return;
        }
        self.happen(host, what);
        self.check();
    }
}
