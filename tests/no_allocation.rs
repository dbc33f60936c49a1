//! The daemon's loop takes no memory in its steady state: a thousand beats of three hosts, counted
//! by an allocator of this test alone. What the loop does is counted (a step of the node, sealing
//! and opening packets), and apart from it what the threads of the statefile do.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use xe::heartbeat::timing::SECOND;
use xe::xhad::rehearsal::world::World;

/// Counts what is taken while the loop works; whoever else takes something is counted apart.
struct Counting;

thread_local! {
    static ON_LOOP: Cell<bool> = const { Cell::new(false) };
    static LOOP: Cell<u64> = const { Cell::new(0) };
    static BESIDE: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // Threads that end have no counters any more.
    let loop_works = ON_LOOP.try_with(Cell::get).unwrap_or(false);
    let counter = if loop_works { &LOOP } else { &BESIDE };
    let _ending = counter.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the rules of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the rules of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the rules of `realloc`.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn on_loop(works: bool) {
    ON_LOOP.with(|on| on.set(works));
}

fn counted() -> (u64, u64) {
    (LOOP.with(Cell::get), BESIDE.with(Cell::get))
}

#[test]
fn a_thousand_beats_of_three_hosts_take_no_memory_on_the_loop() {
    let mut world = World::new(3, 30).unwrap();
    world.on_loop = on_loop;
    // Rooms grow to their size while packets of two T are remembered.
    world.run_for(150 * SECOND);
    assert!((0..3).all(|host| world.members(host) == 3), "a pool of three hosts");
    assert!(counted().0 > 0, "forming takes memory, and the counter sees it");
    let before = counted();
    // A beat is half a second at T = 30.
    world.run_for(500 * SECOND);
    let after = counted();
    assert!((0..3).all(|host| world.members(host) == 3), "nothing has happened");
    println!("beside the loop, per cycle: {}", (after.1 - before.1) / 3000);
    assert_eq!(after.0 - before.0, 0, "memory taken by the loops of three hosts");
}
