//! A small deterministic world for tests: nodes, links, one disk, watchdogs and clocks that
//! differ. After every event it checks what must always hold: decided views never differ,
//! at most one host may act as master, and no life is called dead while it still runs.

mod fault;
mod happen;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use uuid::Uuid;

use super::auth::Key;
use super::block::format_statefile;
use super::liveset::{Liveset, Phase};
use super::node::{Answer, Config, Control, Input, Node, Refusal};
use super::timing::{MILLISECOND, Nanos, SECOND, Timing};
use super::view::{Proof, Slot, View};

/// How a host's path to the disk behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    Fine,
    Fails,
    Hangs,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Wake,
    Deliver(Vec<u8>),
    Write(Job),
    Read(Job),
    Watchdog(Nanos),
    AgentTick,
    AgentGone,
}

/// A disk cycle under way; it belongs to one boot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Job {
    id: u64,
    own: usize,
    begun: Nanos,
    read_begun: Nanos,
    writes: Vec<(u64, Vec<u8>)>,
    own_before: Vec<u8>,
}

/// One machine.
pub struct Machine {
    pub node: Option<Node>,
    pub boot_id: Uuid,
    pub alive: bool,
    pub paused: bool,
    pub path: Path,
    pub agent: Option<u32>,
    pub agent_hangs: bool,
    /// How often it was reset by its watchdog or by itself.
    pub resets: u32,
    pub answers: BTreeMap<u64, Result<Answer, Refusal>>,
    pub notes: Vec<String>,
    /// Boot ids of lives that have ended, and those that ended their armed session orderly.
    ended: Vec<Uuid>,
    disarmed: bool,
    boot: u32,
    watchdog: Option<Nanos>,
    offset: Nanos,
    ppm: i64,
    parked: Vec<What>,
    backlog: Vec<What>,
    wake: Nanos,
}

/// What is to happen: when, in which order, to which host, in which of its boots.
type Due = Reverse<(Nanos, u64, usize, u32, What)>;

/// The world.
pub struct World {
    pub now: Nanos,
    pub machines: Vec<Machine>,
    pub uuids: Vec<Uuid>,
    pub image: Vec<u8>,
    pub timeout_s: u32,
    /// `cut[from][to]`: packets that way are lost.
    pub cut: Vec<Vec<bool>>,
    /// Packets lost anywhere, in percent.
    pub loss: u64,
    pub boot_reset_hosts: bool,
    /// Every decided view that was seen: two hosts may never know different ones of an epoch.
    chain: BTreeMap<u64, View>,
    queue: BinaryHeap<Due>,
    order: u64,
    random: u64,
    ticket: u64,
    generation: Uuid,
}

impl World {
    /// A world with so many machines, none of them started.
    pub fn new(hosts: usize, timeout_s: u32, seed: u64) -> World {
        let uuids: Vec<Uuid> = (0..hosts).map(|n| Uuid::from_u128(n as u128 + 1)).collect();
        let generation = Uuid::from_u128(77);
        let image = format_statefile(generation, &key(), &uuids).unwrap();
        let mut world = World {
            now: 1000 * SECOND,
            machines: Vec::new(),
            uuids,
            image,
            timeout_s,
            cut: vec![vec![false; hosts]; hosts],
            loss: 0,
            boot_reset_hosts: false,
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
            world.machines.push(Machine {
                node: None,
                boot_id: Uuid::from_u128(0x1000 + n as u128),
                alive: true,
                paused: false,
                path: Path::Fine,
                agent: Some(100),
                agent_hangs: false,
                resets: 0,
                answers: BTreeMap::new(),
                notes: Vec::new(),
                ended: Vec::new(),
                disarmed: true,
                boot: 0,
                watchdog: None,
                offset,
                ppm,
                parked: Vec::new(),
                backlog: Vec::new(),
                wake: 0,
            });
        }
        world
    }

    /// A world whose hosts have formed view 1 and are all armed.
    pub fn formed(hosts: usize, timeout_s: u32, seed: u64) -> World {
        let mut world = World::new(hosts, timeout_s, seed);
        for host in 0..hosts {
            world.start(host, true);
        }
        assert!(
            world.run_until(30, |world| (0..hosts).all(|h| world.armed_with(h, hosts))),
            "no view 1: {:?}",
            world.machines.iter().map(|m| m.notes.clone()).collect::<Vec<_>>()
        );
        world
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

    pub fn config(&self, host: usize, form: bool) -> Config {
        Config {
            generation: self.generation,
            key: key(),
            hosts: self.uuids.clone(),
            addresses: Vec::new(),
            me: Slot(host as u8),
            timing: Timing::new(self.timeout_s, self.uuids.len(), 0, 0).unwrap(),
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

    pub fn answer(&self, host: usize, ticket: u64) -> Option<&Result<Answer, Refusal>> {
        self.machines[host].answers.get(&ticket)
    }

    pub fn liveset(&self, host: usize) -> Liveset {
        let now = self.clock(host, self.now);
        self.machines[host].node.as_ref().map_or_else(Liveset::off, |node| node.liveset(now))
    }

    pub fn members(&self, host: usize) -> Vec<usize> {
        let members = self.liveset(host).members;
        (0..self.uuids.len()).filter(|n| members.contains(&self.uuids[*n])).collect()
    }

    pub fn knows_dead(&self, host: usize, other: usize) -> bool {
        self.liveset(host).dead.iter().any(|dead| dead.host == self.uuids[other])
    }

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

    pub fn resets(&self) -> Vec<usize> {
        (0..self.uuids.len()).filter(|host| self.machines[*host].resets > 0).collect()
    }

    fn push(&mut self, at: Nanos, host: usize, what: What) {
        self.order += 1;
        let boot = self.machines[host].boot;
        self.queue.push(Reverse((at, self.order, host, boot, what)));
    }

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
        match self.queue.peek() {
            Some(Reverse((at, ..))) if *at <= end => {}
            _ => {
                self.now = end;
                return;
            }
        }
        let Some(Reverse((at, _, host, boot, what))) = self.queue.pop() else { return };
        self.now = self.now.max(at);
        if boot != self.machines[host].boot {
            return;
        }
        self.happen(host, what);
        self.check();
    }

    /// What must hold after every event.
    fn check(&mut self) {
        self.check_chain();
        let acting = self.acting();
        assert!(acting.len() <= 1, "two masters: {acting:?} at {}\n{}", self.now, self.story());
        for (host, machine) in self.machines.iter().enumerate() {
            if machine.alive && machine.node.is_some() {
                self.check_dead(host);
            }
        }
    }

    fn check_chain(&mut self) {
        for machine in &self.machines {
            let Some(view) = machine.node.as_ref().and_then(Node::decided) else { continue };
            match self.chain.get(&view.epoch) {
                Some(known) => assert_eq!(known, view, "two views of one epoch"),
                None => {
                    self.chain.insert(view.epoch, view.clone());
                }
            }
        }
    }

    fn check_dead(&self, host: usize) {
        let Some(node) = &self.machines[host].node else { return };
        for (slot, boot_id, proof) in node.known_dead() {
            let other = &self.machines[slot.index()];
            let over = other.ended.contains(&boot_id) || other.boot_id != boot_id;
            let vouched = matches!(proof, Proof::LeftEmpty | Proof::Operator);
            assert!(
                over || vouched,
                "host {host} calls host {} dead ({proof:?}) while it runs (disarmed: {})\n{}",
                slot.0,
                other.disarmed,
                self.story()
            );
        }
    }

    /// The notes of all hosts, for a failed check.
    pub fn story(&self) -> String {
        let notes = self.machines.iter().enumerate().flat_map(|(host, machine)| {
            machine.notes.iter().map(move |note| format!("host {host} {note}"))
        });
        notes.collect::<Vec<_>>().join("\n")
    }
}

/// The key of every test.
pub fn key() -> Key {
    Key::new([7; 32])
}
