//! A pool of one real host and others that are played.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use uuid::Uuid;
use xe::heartbeat::auth::Key;
use xe::heartbeat::block::{Kind, Layout, format_statefile, seal_beat};
use xe::heartbeat::liveset::Liveset;
use xe::heartbeat::node::{Config, CycleDone, Effect, Input, Node};
use xe::heartbeat::packet::{Packet, Rooms};
use xe::heartbeat::report::{AGENT_OK, ARMED, FORMING, PeerReport, Report};
use xe::heartbeat::timing::{MILLISECOND, Nanos, SECOND, Timing};
use xe::heartbeat::view::{Life, Slot, View};
use xe::xhad::cycle::{Blocks, Cycles, Job, Place};

/// How long a disk cycle takes.
const CYCLE: Nanos = 5 * MILLISECOND;

/// What is counted of the one host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Packets and bytes sent.
    pub sent: (u64, u64),
    /// Packets and bytes heard.
    pub heard: (u64, u64),
    /// Writes and their bytes.
    pub written: (u64, u64),
    /// Reads and their bytes.
    pub read: (u64, u64),
}

/// One more, of that length.
pub fn count((times, bytes): &mut (u64, u64), length: usize) {
    *times += 1;
    *bytes += length as u64;
}

/// The statefile.
struct Memory {
    bytes: RefCell<Vec<u8>>,
    counts: Cell<Counts>,
}

impl Memory {
    fn note(&self, note: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        note(&mut counts);
        self.counts.set(counts);
    }
}

impl Blocks for Memory {
    fn read_into(&self, offset: u64, room: &mut [u8]) -> std::io::Result<()> {
        self.note(|counts| count(&mut counts.read, room.len()));
        let (bytes, at) = (self.bytes.borrow(), offset as usize);
        let part = bytes.get(at..at + room.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        room.copy_from_slice(part);
        Ok(())
    }

    fn write_from(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.note(|counts| count(&mut counts.written, bytes.len()));
        let (mut all, at) = (self.bytes.borrow_mut(), offset as usize);
        let room = all.get_mut(at..at + bytes.len()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        room.copy_from_slice(bytes);
        Ok(())
    }
}

const ME: Slot = Slot(0);
const LIFE: Life = Life { boot: 1, session: 1 };
const GENERATION: Uuid = Uuid::from_u128(1);

/// The pool: one host that is real, and what the others say.
pub struct Pool {
    now: Nanos,
    timing: Timing,
    uuids: Vec<Uuid>,
    key: Key,
    disk: Memory,
    node: Node,
    wake: Nanos,
    cycles: Cycles,
    jobs: VecDeque<(Nanos, Job)>,
    rooms: Rooms,
    /// The newest view that the real host has shown.
    view: Option<Arc<View>>,
    /// The sequence of its newest packet.
    echo: u64,
    seq: u64,
    counts: Counts,
}

fn boot_id(slot: usize) -> Uuid {
    Uuid::from_u128(0x1000 + slot as u128)
}

impl Pool {
    /// A pool that begins to form; none for a T that cannot be.
    pub fn new(hosts: usize, timeout_s: u32) -> Option<Pool> {
        let (now, key) = (SECOND, Key::new([7; 32]));
        let timing = Timing::new(timeout_s, hosts, 0, 10 * MILLISECOND).ok()?;
        let uuids: Vec<Uuid> = (1..=hosts as u128).map(|n| Uuid::from_u128(n << 64)).collect();
        let bytes = RefCell::new(format_statefile(GENERATION, &key, &uuids).ok()?);
        let place = Place {
            session: 1,
            disk: 0,
            path: "memory".into(),
            generation: GENERATION,
            key: key.clone(),
            hosts: uuids.clone(),
            me: ME,
        };
        let config = Config {
            addresses: uuids.iter().map(|_| [127, 0, 0, 1].into()).collect(),
            form: true,
            first_master: Some(ME),
            agent_pid: Some(1),
            ..Config::plain(GENERATION, uuids.clone(), ME, timing, timeout_s, boot_id(0))
        };
        Some(Pool {
            now,
            timing,
            key,
            disk: Memory { bytes, counts: Cell::default() },
            node: Node::new(config, now),
            wake: now,
            cycles: Cycles::new(place),
            jobs: VecDeque::new(),
            rooms: Rooms::default(),
            view: None,
            echo: 0,
            seq: 1,
            counts: Counts::default(),
            uuids,
        })
    }

    /// What a healthy host says.
    fn report(&self) -> Report {
        let forming = self.view.is_none();
        let peer = PeerReport {
            echo_life: LIFE,
            echo_seq: self.seq,
            evidence_ms: 100,
            heard_ms: 100,
            unarmed: false,
        };
        let mut peers = vec![peer; self.uuids.len()];
        peers[ME.index()].echo_seq = self.echo;
        Report {
            life: LIFE,
            seq: self.seq,
            epoch: self.view.as_ref().map_or(0, |view| view.epoch),
            flags: AGENT_OK | if forming { FORMING } else { ARMED },
            disk_ms: 100,
            disks: 1,
            peers,
            ..Report::empty()
        }
    }

    /// Every other host beats: a packet to the real one, and its block.
    fn others_beat(&mut self) {
        self.seq += 1;
        let mut report = self.report();
        let layout = Layout { hosts: self.uuids.len() };
        for slot in (1..self.uuids.len()).map(Slot::at) {
            report.boot_id = boot_id(slot.index());
            let sealed = seal_beat(&self.key, GENERATION, layout, slot, &report);
            if let Ok(sealed) = sealed {
                let at = layout.offset(Kind::Beat, slot) as usize;
                self.disk.bytes.borrow_mut()[at..at + sealed.len()].copy_from_slice(&sealed);
            }
            let packet = Packet {
                generation: GENERATION,
                sender: slot,
                report: Arc::new(report.clone()),
                view: None,
                bid: None,
                vote: None,
            };
            let bytes = packet.seal(&self.key);
            count(&mut self.counts.heard, bytes.len());
            let mut rooms = std::mem::take(&mut self.rooms);
            if let Ok(packet) = Packet::open_into(&bytes, &self.key, GENERATION, &mut rooms) {
                self.feed(Input::Packet(0, &packet));
            }
            self.rooms = rooms;
        }
    }

    /// Lets that much time pass.
    pub fn run_for(&mut self, time: Nanos) {
        let end = self.now + time;
        while self.now < end {
            let beat = (self.now + self.timing.beat).min(end);
            self.others_beat();
            loop {
                let done = self.jobs.front().map_or(Nanos::MAX, |(begun, _)| begun + CYCLE);
                let next = self.wake.min(done);
                if next > beat {
                    break;
                }
                self.now = self.now.max(next);
                if done <= self.now {
                    self.finish_cycle();
                } else {
                    self.feed(Input::Timer);
                }
            }
            self.now = beat;
        }
    }

    fn finish_cycle(&mut self) {
        let Some((begun, job)) = self.jobs.pop_front() else { return };
        let outcome = self.cycles.cycle(&self.disk, &job, || {});
        let (id, ended) = (job.id, self.now);
        let done = CycleDone { id, disk: 0, begun, read_begun: begun, ended, outcome };
        self.feed(Input::Cycle(done));
    }

    fn feed(&mut self, input: Input<'_>) {
        let mut effects = Vec::new();
        self.wake = self.node.step(self.now, input, &mut effects);
        let mut next = 0;
        while next < effects.len() {
            let effect = std::mem::replace(&mut effects[next], Effect::Changed);
            next += 1;
            let answer = match effect {
                Effect::Send(packet) => {
                    self.send(&packet);
                    continue;
                }
                Effect::Cycle { id, beat, decision, all, .. } => {
                    self.jobs.push_back((self.now, Job { id, beat, decision, all }));
                    continue;
                }
                Effect::Arm(end) | Effect::Program(end) => {
                    Input::Watchdog(end.saturating_sub(self.now))
                }
                Effect::Keep(record, _) => Input::Kept(record),
                _ => continue,
            };
            self.wake = self.node.step(self.now, answer, &mut effects);
        }
    }

    /// The same bytes go to every other host; they take the view over at once.
    fn send(&mut self, packet: &Packet) {
        let bytes = packet.seal(&self.key);
        (1..self.uuids.len()).for_each(|_| count(&mut self.counts.sent, bytes.len()));
        self.echo = packet.report.seq;
        if packet.view.is_some() {
            self.view.clone_from(&packet.view);
        }
    }

    /// What the real host tells of the pool.
    pub fn liveset(&self) -> Liveset {
        self.node.liveset(self.now)
    }

    /// The period of beats.
    pub fn beat(&self) -> Nanos {
        self.timing.beat
    }

    /// Bytes of the statefile.
    pub fn statefile(&self) -> usize {
        self.disk.bytes.borrow().len()
    }

    /// What was counted since the pool began.
    pub fn counts(&self) -> Counts {
        let disk = self.disk.counts.get();
        Counts { written: disk.written, read: disk.read, ..self.counts }
    }
}
