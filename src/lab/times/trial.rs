//! One host, one fault, once: how long it took.

use std::time::{Duration, Instant};

use super::harm::Harm;
use super::rig::{Build, Rig, random_part};
use super::watch::Watch;
use crate::host::faults::EARLY_EXCLUSION;
use crate::lab::demo::slowness;

/// How long the others are watched afterwards, for resets that should not be.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// A fault to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// What happens.
    pub harm: Harm,
    /// Whether the master suffers it, else a member.
    pub on_master: bool,
    /// Whether hosts count as dead before they are (see [`EARLY_EXCLUSION`]), to show that it
    /// would be noticed.
    pub early_exclusion: bool,
}

/// What was measured, in seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// From the fault to the reset by the watchdog.
    pub fenced: Option<f64>,
    /// From the fault until every other host had a view without the victim and knew it dead.
    pub excluded: Option<f64>,
    /// From the first host that knew it until one that knew it could act as master.
    pub master: Option<f64>,
    /// From the reset until every other host knew.
    pub after_reset: Option<f64>,
    /// How many other hosts were reset.
    pub false_fences: usize,
    /// Whether somebody knew the victim dead before it was reset: its VMs could run twice.
    pub too_early: bool,
    /// What did not happen in time.
    pub missing: Option<&'static str>,
    /// The load of this computer at the end.
    pub load: f64,
    /// What joined the hosts.
    pub network: &'static str,
}

fn seconds(from: u64, to: u64) -> f64 {
    (to as f64 - from as f64) / 1e9
}

/// The average number of processes that wanted to run in the last minute.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

impl Trial {
    /// `member` or `master`.
    pub fn on(self) -> &'static str {
        if self.on_master { "master" } else { "member" }
    }

    /// Makes a rig, loses one of its hosts, and measures.
    pub fn run(self, build: &Build) -> anyhow::Result<Outcome> {
        let rig = Rig::start(build)?;
        rig.form()?;
        let master = rig.master()?;
        let victim = match self.on_master {
            true => master,
            false => (master + 1) % rig.hosts.len(),
        };
        let watch = Watch::begin(&rig, &[victim])?;
        for host in rig.hosts.iter().filter(|host| self.early_exclusion && host.number != victim) {
            host.channel.set(EARLY_EXCLUSION)?;
        }
        // A few beats for fresh evidence everywhere, and then any phase of the beat.
        let beat = rig.session.timing()?.beat;
        std::thread::sleep(Duration::from_nanos(3 * beat) + random_part(2 * beat)?);
        let fault = self.harm.inflict(&rig, victim)?;
        let limit = Duration::from_secs(3 * u64::from(build.timeout_s) + 30).mul_f64(slowness());
        let seen = watch.wait(limit);
        let reset = self.harm.leaves_a_machine().then(|| wait_for_reset(&rig, victim)).flatten();
        std::thread::sleep(AFTERWARDS);
        let missing = match () {
            () if self.harm.leaves_a_machine() && reset.is_none() => Some("the reset"),
            () if seen.all.is_none() => Some("the exclusion"),
            () if seen.master.is_none() => Some("a master"),
            () => None,
        };
        let between = |from: Option<u64>, to: Option<u64>| Some(seconds(from?, to?));
        Ok(Outcome {
            fenced: between(Some(fault), reset),
            excluded: between(Some(fault), seen.all),
            master: between(seen.first, seen.master),
            after_reset: between(reset, seen.all),
            false_fences: rig.resets_but(&[victim]),
            too_early: self.harm.leaves_a_machine() && too_early(seen.first, reset),
            missing,
            load: load(),
            network: rig.network.word(),
        })
    }
}

/// Whether a host was known dead that had not been reset.
fn too_early(known: Option<u64>, reset: Option<u64>) -> bool {
    known.is_some_and(|known| reset.is_none_or(|reset| known < reset))
}

/// The reset comes before the exclusion; the line about it may take a little longer.
fn wait_for_reset(rig: &Rig, victim: usize) -> Option<u64> {
    let began = Instant::now();
    loop {
        let reset = rig.hosts[victim].reset_at();
        if reset.is_some() || began.elapsed() > Duration::from_secs(3).mul_f64(slowness()) {
            return reset;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs that many jobs, some of them at the same time; the outcomes in the order of the jobs.
pub fn beside<T: Send>(
    at_once: usize,
    jobs: usize,
    work: impl Fn(usize) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let numbers: Vec<usize> = (0..jobs).collect();
    let mut outcomes = Vec::new();
    for some in numbers.chunks(at_once.max(1)) {
        let ended: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|number| scope.spawn(|| work(*number))).collect();
            threads.into_iter().map(|thread| thread.join()).collect()
        });
        for outcome in ended {
            outcomes.push(outcome.map_err(|_| anyhow::anyhow!("a measurement panicked"))??);
        }
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_be_known_dead_before_the_reset_is_too_early() {
        assert!(too_early(Some(5), Some(6)) && too_early(Some(5), None));
        assert!(!too_early(Some(6), Some(6)) && !too_early(None, Some(6)));
    }

    #[test]
    fn jobs_keep_their_order_and_an_error_ends_them() {
        assert_eq!(beside(2, 5, |n| Ok(n * n)).unwrap(), [0, 1, 4, 9, 16]);
        let failing = beside(3, 5, |n| if n == 3 { anyhow::bail!("no {n}") } else { Ok(n) });
        assert_eq!(failing.unwrap_err().to_string(), "no 3");
    }
}
