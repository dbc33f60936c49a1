//! Processor time of the machines of a lab, looked at again and again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::host::clock::boottime_ns;
use crate::lab::group::{self, Role};

/// The time between two looks.
const PERIOD: Duration = Duration::from_millis(100);

/// Ticks in a second, as the kernel shows times to programs (USER_HZ).
const TICKS: u64 = 100;

/// What the processes of a machine have used since they began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Clock ticks of its VMs.
    pub vms: u64,
    /// Clock ticks of everything else: agent, daemon, and who starts the VMs.
    pub others: u64,
}

/// One look: when (CLOCK_BOOTTIME in nanoseconds), and what each machine had used until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub t_ns: u64,
    /// By the machine's name.
    pub used: BTreeMap<String, Used>,
}

/// Looks until it is told to end.
#[derive(Debug)]
pub struct Meter {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Sample>>,
}

impl Meter {
    /// Begins to look at machines, each with its process group.
    pub fn begin(machines: Vec<(String, i32)>) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            let (mut roles, mut samples) = (BTreeMap::new(), Vec::new());
            while !until.load(Ordering::Relaxed) {
                samples.push(look(&machines, &mut roles));
                std::thread::sleep(PERIOD);
            }
            samples
        });
        Self { ended, thread }
    }

    /// Ends, and gives what was seen.
    pub fn end(self) -> Vec<Sample> {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

fn look(machines: &[(String, i32)], roles: &mut BTreeMap<i32, Role>) -> Sample {
    let mut used: BTreeMap<String, Used> = BTreeMap::new();
    let t_ns = boottime_ns();
    for (pid, of, ticks) in group::processor_times() {
        let Some((name, _)) = machines.iter().find(|(_, group)| *group == of) else { continue };
        // A process that is to become a VM is not one yet.
        let role = roles.get(&pid).copied().filter(|role| *role != Role::Other);
        let role = *roles.entry(pid).insert_entry(role.unwrap_or_else(|| group::role(pid))).get();
        let used = used.entry(name.clone()).or_default();
        match role {
            Role::Vm => used.vms += ticks,
            _ => used.others += ticks,
        }
    }
    Sample { t_ns, used }
}

/// Seconds of a processor that every machine but one used between two moments: VMs, others.
pub fn between(samples: &[Sample], but: &str, from: u64, to: u64) -> (f64, f64) {
    let total = |at: u64, pick: fn(&Used) -> u64| {
        let sum = |sample: &Sample| {
            let machines = sample.used.iter().filter(|(name, _)| *name != but);
            machines.map(|(_, used)| pick(used) as f64).sum::<f64>()
        };
        let next = samples.partition_point(|sample| sample.t_ns < at);
        match (samples.get(next.wrapping_sub(1)), samples.get(next)) {
            (Some(before), Some(after)) => {
                let part = (at - before.t_ns) as f64 / (after.t_ns - before.t_ns) as f64;
                sum(before) + part * (sum(after) - sum(before))
            }
            (Some(only), None) | (None, Some(only)) => sum(only),
            (None, None) => 0.0,
        }
    };
    let used = |pick: fn(&Used) -> u64| (total(to, pick) - total(from, pick)) / TICKS as f64;
    (used(|used| used.vms), used(|used| used.others))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;

    #[test]
    fn a_machine_that_works_is_seen_to_work_with_what_its_children_did() {
        let words = ["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 60"];
        let mut child =
            std::process::Command::new("sh").args(words).process_group(0).spawn().unwrap();
        let machines = [("h1".to_owned(), i32::try_from(child.id()).unwrap())];
        let first = look(&machines, &mut BTreeMap::new());
        let mut last = first.clone();
        while between(&[first.clone(), last.clone()], "h2", first.t_ns, last.t_ns).1 <= 0.0 {
            last = look(&machines, &mut BTreeMap::new());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let samples = [first, last];
        let both = between(&samples, "h1", samples[0].t_ns, samples[1].t_ns);
        assert_eq!(both, (0.0, 0.0), "the lost machine does not count");
    }

    #[test]
    fn between_two_looks_it_grows_evenly() {
        let at = |t_ns, vms| {
            let used = Used { vms, others: 0 };
            Sample { t_ns, used: [("h1".to_owned(), used)].into() }
        };
        let samples = [at(100, 0), at(200, TICKS), at(300, 3 * TICKS)];
        assert_eq!(between(&samples, "", 150, 250).0, 1.5);
        assert_eq!(between(&samples, "", 0, 1000).0, 3.0);
        assert_eq!(between(&[], "", 0, 1000).0, 0.0);
    }
}
