//! What a process uses: processor, memory, threads, wake-ups, as the kernel counts them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::host::clock::boottime_ns;

/// The counters of a process at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    t_ns: u64,
    threads: BTreeMap<String, Thread>,
}

/// The counters of one thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Thread {
    ran_ns: u64,
    waits: u64,
}

/// What a process used between two moments, and what it holds at the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Share of one processor, in percent.
    pub cpu_percent: f64,
    /// How often it waited and was woken, in a second.
    pub wakes: f64,
    /// Resident memory in kilobytes (VmRSS).
    pub resident_kb: u64,
    /// Of that, what no other process shares (anonymous memory).
    pub anonymous_kb: u64,
    /// Locked memory in kilobytes (VmLck).
    pub locked_kb: u64,
    /// Threads.
    pub threads: u64,
}

/// The number behind a word of a `status` file, without its unit.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The counters of a thread, unless it has ended.
fn thread(task: &Path) -> Option<Thread> {
    let status = std::fs::read_to_string(task.join("status")).ok()?;
    // In nanoseconds; the times in `stat` have steps of ten milliseconds.
    let ran = std::fs::read_to_string(task.join("schedstat")).ok()?;
    let ran_ns = ran.split_whitespace().next()?.parse().ok()?;
    Some(Thread { ran_ns, waits: field(&status, "voluntary_ctxt_switches")? })
}

/// The counters of a process; of one that is gone, none.
pub fn count(pid: u32) -> Option<Counters> {
    let t_ns = boottime_ns();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let threads: BTreeMap<String, Thread> = tasks
        .flatten()
        .filter_map(|task| Some((task.file_name().into_string().ok()?, thread(&task.path())?)))
        .collect();
    (!threads.is_empty()).then_some(Counters { t_ns, threads })
}

/// What a process used since it was counted; threads that have ended meanwhile are left out.
pub fn since(pid: u32, before: &Counters) -> Option<Usage> {
    let now = count(pid)?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let took = (now.t_ns - before.t_ns) as f64;
    let (mut ran_ns, mut waits) = (0, 0);
    for (id, thread) in &now.threads {
        let earlier = before.threads.get(id).copied().unwrap_or_default();
        ran_ns += thread.ran_ns.saturating_sub(earlier.ran_ns);
        waits += thread.waits.saturating_sub(earlier.waits);
    }
    Some(Usage {
        cpu_percent: ran_ns as f64 / took * 100.0,
        wakes: waits as f64 / (took / 1e9),
        resident_kb: field(&status, "VmRSS")?,
        anonymous_kb: field(&status, "RssAnon")?,
        locked_kb: field(&status, "VmLck")?,
        threads: field(&status, "Threads")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_is_seen_to_work() {
        let own = std::process::id();
        let before = count(own).unwrap();
        // Looking at itself is work enough; the scheduler notes it at the next tick.
        let mut usage = since(own, &before).unwrap();
        while usage.cpu_percent <= 0.0 {
            usage = since(own, &before).unwrap();
        }
        assert!(usage.threads >= 1 && usage.wakes >= 0.0, "{usage:?}");
        assert!(usage.anonymous_kb <= usage.resident_kb, "{usage:?}");
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let status = "VmRSSx:\t 1 kB\nVmRSS:\t   4096 kB\n";
        assert_eq!(field(status, "VmRSS"), Some(4096));
        assert_eq!(field(status, "VmLck"), None);
    }
}
