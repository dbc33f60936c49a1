//! What a process uses: processor, memory, threads, wake-ups, as the kernel counts them.

use std::path::PathBuf;

use crate::host::clock::boottime_ns;

/// The counters of a process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    t_ns: u64,
    ran_ns: u64,
    switches: u64,
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

fn threads(pid: u32) -> Vec<PathBuf> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    tasks.into_iter().flatten().flatten().map(|task| task.path()).collect()
}

/// The number behind a word of a `status` file, without its unit.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The counters of a process; of one that is gone, none.
pub fn count(pid: u32) -> Option<Counters> {
    let mut counters = Counters { t_ns: boottime_ns(), ran_ns: 0, switches: 0 };
    for thread in threads(pid) {
        // In nanoseconds; the times in `stat` have steps of ten milliseconds.
        let ran = std::fs::read_to_string(thread.join("schedstat")).ok();
        let ran = ran.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        let status = std::fs::read_to_string(thread.join("status")).ok()?;
        counters.ran_ns += ran.unwrap_or(0);
        counters.switches += field(&status, "voluntary_ctxt_switches").unwrap_or(0);
    }
    (counters.ran_ns > 0).then_some(counters)
}

/// What a process used since it was counted.
pub fn since(pid: u32, before: Counters) -> Option<Usage> {
    let now = count(pid)?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let took = (now.t_ns - before.t_ns) as f64;
    Some(Usage {
        cpu_percent: now.ran_ns.saturating_sub(before.ran_ns) as f64 / took * 100.0,
        wakes: now.switches.saturating_sub(before.switches) as f64 / (took / 1e9),
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
        let mut sum = 0u64;
        while count(own).unwrap().ran_ns < before.ran_ns + 20_000_000 {
            sum = std::hint::black_box(sum + 1);
        }
        let usage = since(own, before).unwrap();
        assert!(usage.cpu_percent > 0.0 && usage.threads >= 1, "{usage:?}");
        assert!(usage.anonymous_kb <= usage.resident_kb, "{usage:?}");
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let status = "VmRSSx:\t 1 kB\nVmRSS:\t   4096 kB\n";
        assert_eq!(field(status, "VmRSS"), Some(4096));
        assert_eq!(field(status, "VmLck"), None);
    }
}
