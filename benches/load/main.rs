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
//! Measured at T = 60, a second of one host, sent and heard alike:
//!
//! | hosts | packets | of packets | writes | reads | memory of the node |
//! |---|---|---|---|---|---|
//! | 3 | 4 | 0.8 KiB | 8 KiB | 88 KiB | 0.1 MiB |
//! | 64 | 63 | 83 KiB | 4 KiB | 280 KiB | 2.5 MiB |
//! | 256 | 255 | 1.2 MiB | 8 KiB | 2.1 MiB | 20 MiB |
//! | 1,000 | 999 | 18 MiB | 20 KiB | 20 MiB | 264 MiB |
//!
//! So a pool of 64 is small for any network and disk; one of 1,000 needs a network of its own and a
//! statefile on flash. Beyond that, reports would have to name groups instead of hosts.

mod pool;

use std::alloc::{GlobalAlloc, Layout as Room, System};
use std::cell::Cell;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use pool::{Counts, Pool, count};
use xe::heartbeat::timing::{MILLISECOND, SECOND};
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

/// Measures one pool at rest and prints its row.
fn measure(hosts: usize, timeout_s: u32, seconds: u64) -> Result<(), String> {
    let before = HELD.load(Ordering::Relaxed);
    let mut pool = Pool::new(hosts, timeout_s).ok_or("there is no such pool")?;
    pool.run_for(30 * SECOND);
    let liveset = pool.liveset();
    if liveset.members.len() != hosts || !liveset.is_master {
        return Err(format!("the pool has not formed: {:?}", liveset.events.last()));
    }
    drop(liveset);
    let first = pool.counts();
    pool.run_for(seconds * SECOND);
    let last = pool.counts();
    let statefile = pool.statefile();
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
        pool.beat() / MILLISECOND,
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
