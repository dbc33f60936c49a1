//! What one host of a large pool sends, hears, writes, reads and holds in memory at rest.
//!
//!     cargo bench --bench load -- [--hosts N]… [--timeout T] [--seconds S]
//!
//! One host is the daemon's own: its node, its packets and blocks as bytes, its disk cycles on a
//! statefile in memory, in simulated time. All others are played: each says, once a beat, what a
//! healthy host says in packets and blocks of the same length. At rest every host does the same,
//! so one is enough, and a pool of 1,000 costs as little as this one host would. That this gives
//! the same figures as a pool of real hosts is checked first, with three.
//!
//! # Growth
//!
//! With n hosts and a beat b (half a second up to 16 hosts where T allows it, a second above):
//!
//! * **packets**: n - 1 sent and n - 1 heard a beat: linear.
//! * **bytes of packets**: a report has an entry for each host, so a packet grows with n, and the
//!   network of one host with n²: that each host knows how each reaches each other is what makes
//!   the largest set that is connected known to all at the same moment (R3.3), and what lets an
//!   echo be dated (R2.2). The view is in a packet only while somebody may lack it.
//! * **writes**: one block a beat, which grows with n in steps of a page: linear.
//! * **reads**: one stretch of all beat blocks a beat: n blocks that grow with n, so n² bytes. Up
//!   to 64 hosts the decision blocks stand in it when all are needed; above, only those that
//!   changed are read, one by one, so that a pool at rest reads none.
//! * **memory**: the newest report of each host with an entry for each: n² once more, and the room
//!   for that stretch.
//!
//! So a pool of 64 is small for any network and disk; one of 1,000 needs a network of its own and a
//! statefile on flash. Beyond that, reports would have to name groups instead of hosts.

use std::alloc::{GlobalAlloc, Layout as Room, System};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use uuid::Uuid;
use xe::heartbeat::auth::Key;
use xe::heartbeat::block::{Kind, Layout, format_statefile, seal_beat};
use xe::heartbeat::node::{Config, CycleDone, Effect, Input, Node};
use xe::heartbeat::packet::{Packet, Rooms};
use xe::heartbeat::quorum::Acceptors;
use xe::heartbeat::report::{AGENT_OK, ARMED, FORMING, PeerReport, Report};
use xe::heartbeat::timing::{MILLISECOND, Nanos, SECOND, Timing};
use xe::heartbeat::view::{Life, Slot, View};
use xe::xhad::cycle::{Blocks, Cycles, Job, Place};
use xe::xhad::rehearsal::world::World;

/// Counts the bytes that are held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, room: Room) -> *mut u8 {
        HELD.fetch_add(room.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the rules of `alloc`.
        unsafe { System.alloc(room) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, room: Room) {
        HELD.fetch_sub(room.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the rules of `dealloc`.
        unsafe { System.dealloc(memory, room) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What is counted of the one host.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    sent: (u64, u64),
    heard: (u64, u64),
    written: (u64, u64),
    read: (u64, u64),
}

fn count((times, bytes): &mut (u64, u64), length: usize) {
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
struct Pool {
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
    fn new(hosts: usize, timeout_s: u32) -> Option<Pool> {
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
            generation: GENERATION,
            hosts: uuids.clone(),
            addresses: uuids.iter().map(|_| [127, 0, 0, 1].into()).collect(),
            me: ME,
            timing,
            timeout_s,
            acceptors: Acceptors { statefiles: 1, witness: false },
            boot_id: boot_id(0),
            kept: None,
            braked: None,
            resident: false,
            fresh: false,
            stop_vms: false,
            fence_device: false,
            #[cfg(feature = "wrong-variants")]
            variant: None,
            form: true,
            first_master: Some(ME),
            weight: 0,
            step: 10 * MILLISECOND,
            tombstone: true,
            starts_agent: false,
            agent_pid: Some(1),
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

    fn run_for(&mut self, time: Nanos) {
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

    fn counts(&self) -> Counts {
        let disk = self.disk.counts.get();
        Counts { written: disk.written, read: disk.read, ..self.counts }
    }
}

thread_local! {
    static TAPPED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

fn tap(bytes: &[u8]) {
    let mut tapped = TAPPED.get();
    count(&mut tapped, bytes.len());
    TAPPED.set(tapped);
}

/// Three hosts that are all real hear as much as the one beside two that are played.
fn check(timeout_s: u32) -> Result<(), String> {
    let none = || "there is no such pool".to_owned();
    let mut world = World::new(3, timeout_s).ok_or_else(none)?;
    world.run_for(30 * SECOND);
    world.tap = Some(tap);
    world.run_for(60 * SECOND);
    let real = TAPPED.get().1 / 3;
    let mut pool = Pool::new(3, timeout_s).ok_or_else(none)?;
    pool.run_for(30 * SECOND);
    let before = pool.counts();
    pool.run_for(60 * SECOND);
    let played = pool.counts().heard.1 - before.heard.1;
    println!("three hosts hear in a minute: all real {real} bytes each, one real {played} bytes");
    let off = real.abs_diff(played) * 20;
    if off > real { Err("the hosts that are played say something else".to_owned()) } else { Ok(()) }
}

/// How long a disk cycle takes.
const CYCLE: Nanos = 5 * MILLISECOND;

/// Measures one pool at rest and prints its row.
fn measure(hosts: usize, timeout_s: u32, seconds: u64) -> Result<(), String> {
    let before = HELD.load(Ordering::Relaxed);
    let mut pool = Pool::new(hosts, timeout_s).ok_or("there is no such pool")?;
    pool.run_for(30 * SECOND);
    let liveset = pool.node.liveset(pool.now);
    if liveset.members.len() != hosts || !liveset.is_master {
        return Err(format!("the pool has not formed: {:?}", liveset.events.last()));
    }
    drop(liveset);
    let first = pool.counts();
    pool.run_for(seconds * SECOND);
    let last = pool.counts();
    let statefile = pool.disk.bytes.borrow().len();
    let held = HELD.load(Ordering::Relaxed) - before - statefile;
    let rate = |of: fn(&Counts) -> (u64, u64)| {
        let ((a, b), (c, d)) = (of(&first), of(&last));
        let per = |count: u64| count as f64 / seconds as f64;
        (per(c - a), per(d - b) / 1024.0)
    };
    let (sent, heard) = (rate(|c| c.sent), rate(|c| c.heard));
    let (written, read) = (rate(|c| c.written), rate(|c| c.read));
    println!(
        "hosts={hosts} timeout={timeout_s} beat-ms={} sent={:.1}/s sent-kib={:.1}/s \
         heard={:.1}/s heard-kib={:.1}/s writes={:.1}/s written-kib={:.1}/s reads={:.1}/s \
         read-kib={:.1}/s heap-kib={} statefile-kib={}",
        pool.timing.beat / MILLISECOND,
        sent.0,
        sent.1,
        heard.0,
        heard.1,
        written.0,
        written.1,
        read.0,
        read.1,
        held / 1024,
        statefile / 1024
    );
    Ok(())
}

fn main() -> ExitCode {
    let (mut hosts, mut timeout_s, mut seconds) = (Vec::new(), 60, 120);
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next().and_then(|value| value.parse::<u32>().ok());
        match (word.as_str(), value) {
            ("--hosts", Some(value)) => hosts.push(value as usize),
            ("--timeout", Some(value)) => timeout_s = value,
            ("--seconds", Some(value)) => seconds = u64::from(value),
            _ => {
                eprintln!("usage: load [--hosts N]... [--timeout T] [--seconds S]");
                return ExitCode::from(2);
            }
        }
    }
    if hosts.is_empty() {
        hosts = vec![3, 64, 256, 1000];
    }
    if let Err(why) = check(timeout_s) {
        eprintln!("{why}");
        return ExitCode::FAILURE;
    }
    for hosts in hosts {
        if let Err(why) = measure(hosts, timeout_s, seconds) {
            eprintln!("{hosts} hosts: {why}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
