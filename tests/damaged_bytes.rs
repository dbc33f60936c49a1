//! Bytes that somebody has damaged or forged, against running nodes: a byte anywhere in the
//! statefile, and packets that are almost right. Nobody is fenced, nobody loses the disk, no view
//! changes. Real bytes through the daemon's own codecs and cycles, in simulated time.
//!
//! `XE_FLIPS=all` flips every byte of the statefile, `XE_FORGED=10000000` forges as many packets.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::cell::RefCell;

use xe::heartbeat::auth::Key;
use xe::heartbeat::block::{Kind, PAGE};
use xe::heartbeat::packet::Packet;
use xe::heartbeat::timing::SECOND;
use xe::heartbeat::view::Slot;
use xe::xhad::rehearsal::world::World;

/// A pool of three at T = 10, of which the last may be dead and excluded.
fn pool(dead: bool) -> World {
    let mut world = World::new(3, 10).unwrap();
    world.run_for(5 * SECOND);
    if dead {
        world.hosts[2].powered = false;
        world.run_for(20 * SECOND);
    }
    world
}

/// What must not change.
fn look(world: &World) -> Vec<(bool, u64, bool, usize)> {
    let look = |host: usize| {
        let live = world.liveset(host);
        (world.hosts[host].was_reset, live.epoch, live.statefile_ok, live.members.len())
    };
    (0..world.hosts.len()).filter(|host| world.hosts[*host].powered).map(look).collect()
}

/// Whether a place in a block is flipped without being asked for all: every byte of head and
/// tail, the beginning of the content, and some of the rest.
fn telling(at: usize) -> bool {
    let at = at % PAGE;
    !(64..PAGE - 36).contains(&at) || at.is_multiple_of(97)
}

fn flip_bytes(dead: bool) {
    let mut world = pool(dead);
    let before = look(&world);
    assert_eq!(before.len(), if dead { 2 } else { 3 });
    assert!(
        before
            .iter()
            .all(|(reset, _, disk, members)| { !reset && *disk && *members == before.len() })
    );
    let all = std::env::var("XE_FLIPS").is_ok_and(|word| word == "all");
    let masks: &[u8] = if all { &[1, 0x80, 0xff] } else { &[0x10] };
    let length = world.layout().len();
    let mut flips = 0;
    for at in (0..length).filter(|at| all || telling(*at)) {
        for mask in masks {
            let good = world.byte(at);
            world.flip(at, *mask);
            world.run_for(SECOND);
            assert_eq!(look(&world), before, "byte {at}, bits {mask:#04x}, dead: {dead}");
            // The blocks of the dead stay as they are; the next byte finds them whole again.
            if world.byte(at) == good ^ mask {
                world.flip(at, *mask);
            }
            flips += 1;
        }
    }
    println!("{flips} flips of {length} bytes, a dead host: {dead}");
}

#[test]
fn a_byte_of_a_live_host_harms_nobody() {
    flip_bytes(false);
}

#[test]
fn a_byte_of_a_dead_host_harms_nobody() {
    flip_bytes(true);
}

#[test]
fn a_damaged_header_is_put_right_by_those_who_know_it() {
    let mut world = pool(false);
    let good: Vec<u8> = (0..PAGE).map(|at| world.byte(at)).collect();
    (10..100).for_each(|at| world.flip(at, 0xff));
    world.run_for(SECOND);
    let now: Vec<u8> = (0..PAGE).map(|at| world.byte(at)).collect();
    assert!(good == now, "the header is as it was");
    assert_eq!(world.layout().offset(Kind::Header, Slot(0)), 0);
}

thread_local! {
    static HEARD: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn overhear(bytes: &[u8]) {
    HEARD.with(|heard| heard.borrow_mut().push(bytes.to_vec()));
}

/// A small generator of numbers from a fixed seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

/// A packet that somebody without the key can make of those that were overheard.
fn forge(dice: &mut Dice, heard: &[Vec<u8>], theirs: &Packet) -> Vec<u8> {
    let mut bytes = heard[dice.roll(heard.len())].clone();
    match dice.roll(6) {
        0 => {
            let at = dice.roll(bytes.len());
            bytes[at] ^= 1 << dice.roll(8);
        }
        1 => bytes.truncate(dice.roll(bytes.len())),
        2 => bytes.push(dice.roll(256) as u8),
        3 => {
            // The head of one with the rest of another.
            let other = &heard[dice.roll(heard.len())];
            let at = dice.roll(bytes.len().min(other.len()));
            bytes.truncate(at);
            bytes.extend_from_slice(&other[at..]);
        }
        4 => {
            let key = Key::new([dice.roll(256) as u8 & !7; 32]);
            bytes = theirs.seal(&key);
        }
        _ => {
            let from = dice.roll(bytes.len());
            let to = from + dice.roll(bytes.len() - from);
            bytes[from..to].iter_mut().for_each(|byte| *byte = dice.roll(256) as u8);
        }
    }
    bytes
}

#[test]
fn forged_packets_change_nothing() {
    let count = std::env::var("XE_FORGED").ok().and_then(|word| word.parse().ok());
    let count: usize = count.unwrap_or(100_000);
    let mut world = pool(false);
    world.tap = Some(overhear);
    world.run_for(5 * SECOND);
    world.tap = None;
    let heard = HEARD.with(|heard| heard.borrow().clone());
    assert!(heard.len() > 50);
    let theirs = Packet::open(&heard[0], &world.key, world.generation).unwrap();
    let before = look(&world);
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for number in 0..count {
        let bytes = forge(&mut dice, &heard, &theirs);
        // Those that came out as they went in are old packets, which change nothing either.
        world.arrive(number % 3, &bytes);
        if number.is_multiple_of(1000) {
            assert_eq!(look(&world), before, "packet {number}");
            world.run_for(SECOND / 10);
        }
    }
    world.run_for(20 * SECOND);
    assert_eq!(look(&world), before);
    println!("{count} forged packets");
}
