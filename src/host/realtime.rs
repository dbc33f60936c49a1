//! Keeping the heartbeat on time: all memory locked, real-time priority. Both are best effort;
//! what is refused is said, so that a host can show it and refuse a short T.

use rustix::mm::{MlockAllFlags, mlockall};

/// The priority of the loop and of the watchdog's keeper.
pub const LOOP: i32 = 20;
/// The priority of the threads that run disk cycles: never before the loop.
pub const DISK: i32 = 15;

/// Locks all memory, present and future, each page from its first use on: the stacks of sleeping
/// threads and code that never runs take no room. What must not be cold later is used once before
/// (see `xhad::rehearsal`). Gives a sentence when it is refused.
pub fn lock_memory() -> Result<(), String> {
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE;
    // Kernels before 4.4 know no locking on use; they take all of it at once.
    mlockall(flags | MlockAllFlags::ONFAULT)
        .or_else(|_| mlockall(flags))
        .map_err(|error| format!("memory cannot be locked: {error}"))
}

/// Asks for real-time priority for the calling thread; gives a sentence when it is refused.
/// Threads and processes that it starts do not inherit it.
pub fn round_robin(priority: i32) -> Result<(), String> {
    let parameter = libc::sched_param { sched_priority: priority };
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the pointer is to a live structure; thread 0 is the calling one.
    let code = unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
    match code {
        0 => Ok(()),
        _ => Err(format!("no real-time priority: {}", std::io::Error::last_os_error())),
    }
}
