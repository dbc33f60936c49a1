//! Nodes in memory that exchange real bytes: packets through the codec, blocks through the cycles
//! of the running daemon, time as the world sets it. For the rehearsal, and for tests that damage
//! bytes or count what the loop takes.

use std::cell::RefCell;
use std::collections::VecDeque;

use uuid::Uuid;

use crate::heartbeat::auth::Key;
use crate::heartbeat::block::{Layout, format_statefile};
use crate::heartbeat::liveset::{Event, Liveset};
use crate::heartbeat::node::{Config, Control, CycleDone, CycleFault, Effect, Input, Node};
use crate::heartbeat::packet::{LONGEST, Packet, Rooms};
use crate::heartbeat::timing::{MILLISECOND, Nanos, SECOND, Timing};
use crate::heartbeat::view::Slot;
use crate::xhad::cycle::{Blocks, Cycles, Job, Place};

/// How long a packet is under way.
const PACKET: Nanos = MILLISECOND;
/// How long a disk cycle takes.
const CYCLE: Nanos = 5 * MILLISECOND;
/// The shortest time that a watchdog of this world holds.
const SHORTEST: Nanos = 200 * MILLISECOND;

/// A statefile in memory.
#[derive(Debug)]
pub struct Memory(RefCell<Vec<u8>>);

impl Blocks for Memory {
    fn read_into(&self, offset: u64, room: &mut [u8]) -> std::io::Result<()> {
        let (bytes, at) = (self.0.borrow(), offset as usize);
        let part = bytes.get(at..at + room.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        room.copy_from_slice(part);
        Ok(())
    }

    fn write_from(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        let (mut all, at) = (self.0.borrow_mut(), offset as usize);
        let room = all.get_mut(at..at + bytes.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        room.copy_from_slice(bytes);
        Ok(())
    }
}

/// One host of the world.
#[derive(Debug)]
pub struct Host {
    /// Whether it has power.
    pub powered: bool,
    /// Whether its packets are lost, both ways.
    pub net_cut: bool,
    /// Whether its disk cycles fail.
    pub disk_fails: bool,
    /// How many of its disk cycles have failed.
    pub failed_cycles: u32,
    /// Whether it was reset, by itself or by its watchdog.
    pub was_reset: bool,
    /// When its watchdog fires.
    pub dog: Option<Nanos>,
    /// What its history tells.
    pub events: Vec<Event>,
    node: Node,
    wake: Nanos,
    cycles: Cycles,
    jobs: VecDeque<(Nanos, Job)>,
    effects: Vec<Effect>,
    rooms: Rooms,
    sealed: Vec<u8>,
}

#[derive(Debug)]
struct Mail {
    at: Nanos,
    to: usize,
    bytes: Vec<u8>,
}

/// Some hosts, one statefile, one network.
#[derive(Debug)]
pub struct World {
    /// The time.
    pub now: Nanos,
    /// The hosts by slot.
    pub hosts: Vec<Host>,
    /// The statefile.
    pub disk: Memory,
    /// The key of the session.
    pub key: Key,
    /// The session.
    pub generation: Uuid,
    /// Called with true before and with false after what the daemon's loop does.
    pub on_loop: fn(bool),
    /// Called with every packet before it arrives.
    pub tap: Option<fn(&[u8])>,
    mail: VecDeque<Mail>,
    rooms: Vec<Vec<u8>>,
}

fn config(hosts: &[Uuid], me: Slot, timing: Timing, timeout_s: u32) -> Config {
    let boot_id = Uuid::from_u128(100 + u128::from(me.0));
    Config {
        addresses: hosts.iter().map(|_| [127, 0, 0, 1].into()).collect(),
        form: true,
        first_master: Some(Slot(0)),
        agent_pid: Some(1),
        ..Config::plain(Uuid::from_u128(1), hosts.to_vec(), me, timing, timeout_s, boot_id)
    }
}

impl World {
    /// Hosts that begin to form a pool; none for a T that cannot be.
    pub fn new(hosts: usize, timeout_s: u32) -> Option<Self> {
        let (now, generation, key) = (SECOND, Uuid::from_u128(1), Key::new([7; 32]));
        let timing = Timing::new(timeout_s, hosts, 0, 10 * MILLISECOND).ok()?;
        let uuids: Vec<Uuid> = (1..=hosts as u128).map(|n| Uuid::from_u128(n << 64)).collect();
        let image = format_statefile(generation, &key, &uuids).ok()?;
        let host = |me: Slot| Host {
            powered: true,
            net_cut: false,
            disk_fails: false,
            failed_cycles: 0,
            was_reset: false,
            dog: None,
            events: Vec::new(),
            node: Node::new(config(&uuids, me, timing, timeout_s), now),
            wake: now,
            cycles: Cycles::new(Place {
                session: 1,
                disk: 0,
                path: "memory".into(),
                generation,
                key: key.clone(),
                hosts: uuids.clone(),
                me,
            }),
            jobs: VecDeque::new(),
            effects: Vec::with_capacity(64),
            rooms: Rooms::default(),
            sealed: Vec::with_capacity(LONGEST.min(16 << 10)),
        };
        Some(World {
            now,
            hosts: (0..hosts).map(Slot::at).map(host).collect(),
            disk: Memory(RefCell::new(image)),
            key,
            generation,
            on_loop: |_| {},
            tap: None,
            mail: VecDeque::new(),
            rooms: Vec::new(),
        })
    }

    /// What that host tells of the pool.
    pub fn liveset(&self, host: usize) -> Liveset {
        self.hosts[host].node.liveset(self.now)
    }

    /// How many members the view has at that host, zero once it was reset.
    pub fn members(&self, host: usize) -> usize {
        if self.hosts[host].was_reset { 0 } else { self.liveset(host).members.len() }
    }

    /// Where the blocks stand in the statefile.
    pub fn layout(&self) -> Layout {
        Layout { hosts: self.hosts.len() }
    }

    /// A byte of the statefile, zero behind its end.
    pub fn byte(&self, at: usize) -> u8 {
        self.disk.0.borrow().get(at).copied().unwrap_or(0)
    }

    /// Changes one byte of the statefile.
    pub fn flip(&self, at: usize, mask: u8) {
        if let Some(byte) = self.disk.0.borrow_mut().get_mut(at) {
            *byte ^= mask;
        }
    }

    /// A request to that host.
    pub fn control(&mut self, host: usize, control: Control) {
        (self.on_loop)(true);
        self.feed(host, Input::Control(1, control));
        (self.on_loop)(false);
    }

    /// Bytes that arrive at that host, whoever sent them.
    pub fn arrive(&mut self, host: usize, bytes: &[u8]) {
        if self.hosts[host].net_cut {
            return;
        }
        (self.on_loop)(true);
        let rooms = &mut self.hosts[host].rooms;
        let packet = Packet::open_into(bytes, &self.key, self.generation, rooms);
        match &packet {
            Ok(packet) => self.feed(host, Input::Packet(0, packet)),
            Err(error) => self.feed(host, Input::Refused(error.clone())),
        }
        drop(packet);
        (self.on_loop)(false);
    }

    /// Lets that much time pass.
    pub fn run_for(&mut self, time: Nanos) {
        let end = self.now + time;
        while let Some(next) = self.next_time().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.happen();
        }
        self.now = end;
    }

    fn next_time(&self) -> Option<Nanos> {
        let mail = self.mail.front().map(|mail| mail.at);
        let hosts = self.hosts.iter().filter(|host| host.powered).flat_map(|host| {
            [Some(host.wake), host.jobs.front().map(|(begun, _)| begun + CYCLE), host.dog]
        });
        hosts.chain([mail]).flatten().min()
    }

    /// Everything that is due now.
    fn happen(&mut self) {
        while self.mail.front().is_some_and(|mail| mail.at <= self.now) {
            let Some(mail) = self.mail.pop_front() else { break };
            if self.hosts[mail.to].powered {
                if let Some(tap) = self.tap {
                    tap(&mail.bytes);
                }
                self.arrive(mail.to, &mail.bytes);
            }
            self.rooms.push(mail.bytes);
        }
        for host in 0..self.hosts.len() {
            if self.hosts[host].dog.is_some_and(|end| self.now >= end) {
                self.lose_power(host);
            }
            if self.hosts[host].powered {
                self.finish_cycle(host);
            }
            if self.hosts[host].powered && self.now >= self.hosts[host].wake {
                (self.on_loop)(true);
                self.feed(host, Input::Timer);
                (self.on_loop)(false);
            }
        }
    }

    fn lose_power(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        (host.powered, host.was_reset, host.dog) = (false, true, None);
        host.jobs.clear();
    }

    fn finish_cycle(&mut self, number: usize) {
        let host = &mut self.hosts[number];
        let Some((begun, job)) = host.jobs.pop_front_if(|(begun, _)| self.now >= *begun + CYCLE)
        else {
            return;
        };
        host.failed_cycles += u32::from(host.disk_fails);
        let outcome = match host.disk_fails {
            true => Err(CycleFault::Path("the disk fails".to_owned())),
            false => host.cycles.cycle(&self.disk, &job, || {}),
        };
        let (id, disk, ended) = (job.id, 0, self.now);
        let done = CycleDone { id, disk, begun, read_begun: begun, ended, outcome };
        (self.on_loop)(true);
        self.feed(number, Input::Cycle(done));
        (self.on_loop)(false);
    }

    fn feed(&mut self, number: usize, input: Input<'_>) {
        let host = &mut self.hosts[number];
        let mut queue = std::mem::take(&mut host.effects);
        host.wake = host.node.step(self.now, input, &mut queue);
        let mut next = 0;
        while next < queue.len() {
            let effect = std::mem::replace(&mut queue[next], Effect::Changed);
            next += 1;
            let Some(answer) = self.apply(number, effect) else { continue };
            let host = &mut self.hosts[number];
            host.wake = host.node.step(self.now, answer, &mut queue);
        }
        queue.clear();
        self.hosts[number].effects = queue;
    }

    /// Carries an effect out; some have an answer at once.
    fn apply(&mut self, number: usize, effect: Effect) -> Option<Input<'static>> {
        let host = &mut self.hosts[number];
        match effect {
            Effect::Send(packet) => self.send(number, &packet),
            Effect::Cycle { id, beat, decision, all, .. } => {
                host.jobs.push_back((self.now, Job { id, beat, decision, all }));
            }
            Effect::Arm(end) | Effect::Program(end) => {
                host.dog = Some(end);
                return Some(Input::Watchdog(end.saturating_sub(self.now)));
            }
            Effect::CutWatchdog => {
                let soon = self.now + SHORTEST;
                let end = host.dog.map_or(soon, |end| end.min(soon));
                host.dog = Some(end);
                return Some(Input::Watchdog(end.saturating_sub(self.now)));
            }
            Effect::Keep(record, what) => {
                let _durable = what.bytes();
                return Some(Input::Kept(record));
            }
            Effect::Disarm => host.dog = None,
            Effect::Reset => self.lose_power(number),
            Effect::KillAgent => return Some(Input::AgentGone),
            Effect::Note(event) => host.events.push(event),
            Effect::StopVms
            | Effect::FenceDevice(..)
            | Effect::StartAgent
            | Effect::Changed
            | Effect::Answer(..) => {}
        }
        None
    }

    /// Seals as the daemon does; the world's own mail is no work of the loop.
    fn send(&mut self, from: usize, packet: &Packet) {
        let host = &mut self.hosts[from];
        host.sealed = packet.seal_over(&self.key, std::mem::take(&mut host.sealed));
        if host.net_cut {
            return;
        }
        (self.on_loop)(false);
        for to in (0..self.hosts.len()).filter(|to| *to != from) {
            let mut bytes = self.rooms.pop().unwrap_or_default();
            bytes.clone_from(&self.hosts[from].sealed);
            self.mail.push_back(Mail { at: self.now + PACKET, to, bytes });
        }
        (self.on_loop)(true);
    }
}
