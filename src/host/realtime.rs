//! Keeping the heartbeat on time: all memory locked, real-time priority. Both are best effort.

/// Locks all memory and asks for real-time priority for the calling thread; gives a sentence
/// for each that was refused.
pub fn prepare() -> Vec<String> {
    let mut refused = Vec::new();
    if let Err(error) =
        rustix::mm::mlockall(rustix::mm::MlockAllFlags::CURRENT | rustix::mm::MlockAllFlags::FUTURE)
    {
        refused.push(format!("memory cannot be locked: {error}"));
    }
    if let Err(error) = round_robin(20) {
        refused.push(format!("no real-time priority: {error}"));
    }
    refused
}

fn round_robin(priority: i32) -> std::io::Result<()> {
    let parameter = libc::sched_param { sched_priority: priority };
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the pointer is to a live structure; thread 0 is the calling one.
    let code = unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) };
    if code == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
