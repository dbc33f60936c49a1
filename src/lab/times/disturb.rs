//! Disturbances as long as the promise allows: nobody may be reset.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::rig::{Build, Rig, random_part};
use super::row::table;
use super::trial::load;
use crate::heartbeat::Timing;
use crate::host::clock::boottime_ns;
use crate::host::faults::{DISK_EIO, DISK_HANG, NET_CUT};

/// What is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// All packets of one host, for exactly as long.
    Network,
    /// One host's cable is out of the switch. Its kernel may take longer to talk to the others
    /// again: it asks for lost neighbours only once a second. Without namespaces as `Network`.
    Cable,
    /// One host's accesses to the statefile fail.
    DiskErrors,
    /// One host's accesses to the statefile hang.
    DiskHang,
    /// One host's daemon is stopped.
    Stall,
    /// Packets and accesses to the statefile of one host, for less than either may.
    NetworkAndDisk,
    /// Everybody's accesses to the statefile hang.
    EverybodysDisk,
}

/// Every path with its word.
pub const PATHS: [(&str, Path); 7] = [
    ("network", Path::Network),
    ("cable", Path::Cable),
    ("disk-errors", Path::DiskErrors),
    ("disk-hang", Path::DiskHang),
    ("stall", Path::Stall),
    ("network-and-disk", Path::NetworkAndDisk),
    ("everybodys-disk", Path::EverybodysDisk),
];

/// A sleep may take a little longer than it should; the promise is not to be exceeded.
const SPARE: Duration = Duration::from_millis(30);

/// What came of the disturbances of one path.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// The path's word.
    pub path: &'static str,
    /// How long it may be disturbed, in seconds.
    pub promise: f64,
    /// How long the disturbances lasted that count, in seconds.
    pub lasted: Vec<f64>,
    /// How many lasted longer than the promise, for this computer was busy: they prove nothing.
    pub overran: usize,
    /// How many hosts were reset.
    pub fenced: usize,
    /// The worst gap that a host has seen of another, as a share of S.
    pub worst_gap: f64,
    /// What joined the hosts.
    pub network: &'static str,
}

impl Path {
    fn promise(self, timing: &Timing) -> u64 {
        let promise = timing.promise();
        match self {
            Path::Network | Path::Cable => promise.network,
            Path::DiskErrors | Path::DiskHang | Path::EverybodysDisk => promise.disk,
            Path::Stall => promise.stall,
            Path::NetworkAndDisk => promise.network.min(promise.disk).min(promise.stall),
        }
    }

    /// Begins or ends the disturbance of a host.
    fn set(self, rig: &Rig, host: usize, on: bool) -> anyhow::Result<()> {
        let bits = |bits: u64| if on { bits } else { 0 };
        let one = &rig.hosts[host];
        match self {
            Path::DiskErrors => one.channel.set(bits(DISK_EIO))?,
            Path::DiskHang => one.channel.set(bits(DISK_HANG))?,
            Path::Stall => one.signal(if on { Signal::STOP } else { Signal::CONT })?,
            Path::Cable if rig.network.plug(host, !on)? => {}
            Path::Network | Path::Cable => one.channel.set(bits(NET_CUT))?,
            Path::NetworkAndDisk => one.channel.set(bits(NET_CUT | DISK_EIO))?,
            Path::EverybodysDisk => {
                for host in &rig.hosts {
                    host.channel.set(bits(DISK_HANG))?;
                }
            }
        }
        Ok(())
    }
}

/// Disturbs one path again and again, each time another host and another phase of the beat.
pub fn run(
    build: &Build,
    (word, path): (&'static str, Path),
    rounds: usize,
) -> anyhow::Result<Tally> {
    let mut rig = Rig::start(build)?;
    rig.form()?;
    let timing = rig.session.timing()?;
    let promise = path.promise(&timing);
    let mut tally = Tally {
        path: word,
        promise: promise as f64 / 1e9,
        lasted: Vec::new(),
        overran: 0,
        fenced: 0,
        worst_gap: 0.0,
        network: rig.network.word(),
    };
    for round in 0..rounds {
        let victim = round % rig.hosts.len();
        // Fresh evidence everywhere, and then any phase of the beat.
        std::thread::sleep(Duration::from_nanos(4 * timing.beat) + random_part(2 * timing.beat)?);
        let began = boottime_ns();
        path.set(&rig, victim, true)?;
        std::thread::sleep(Duration::from_nanos(promise).saturating_sub(SPARE));
        // The cable of a machine that was reset is gone with it.
        path.set(&rig, victim, false).or_else(|error| match rig.resets_but(&[]) {
            0 => Err(error),
            _ => Ok(()),
        })?;
        let lasted = boottime_ns() - began;
        // Long enough for whoever lost a lease by it to be reset.
        std::thread::sleep(Duration::from_nanos(timing.l + timing.margin + 4 * timing.beat));
        let fenced = rig.resets_but(&[]);
        tally.worst_gap = tally.worst_gap.max(worst_gap(&rig));
        match lasted <= promise {
            true => {
                tally.lasted.push(lasted as f64 / 1e9);
                tally.fenced += fenced;
            }
            false => tally.overran += 1,
        }
        if fenced > 0 && round + 1 < rounds {
            rig = Rig::start(build)?;
            rig.form()?;
        }
    }
    Ok(tally)
}

/// The worst gap between any two hosts, as a share of S.
pub fn worst_gap(rig: &Rig) -> f64 {
    let livesets = rig.hosts.iter().filter_map(|host| host.client.liveset().ok());
    let gaps = livesets.flat_map(|liveset| liveset.hosts).map(|host| host.worst_gap_share);
    gaps.fold(0.0, f64::max)
}

impl Tally {
    /// For scripts.
    pub fn object(&self, build: &Build) -> Value {
        json!({
            "disturbed": self.path, "timeout": build.timeout_s, "hosts": build.hosts,
            "promise": self.promise, "rounds": self.lasted.len(), "overran": self.overran,
            "longest": self.longest(), "fenced": self.fenced, "worst_gap_share": self.worst_gap,
            "network": self.network, "load": load(),
        })
    }

    fn longest(&self) -> Option<f64> {
        self.lasted.iter().copied().max_by(f64::total_cmp)
    }
}

/// The tallies for a person.
pub fn show(tallies: &[Tally]) -> String {
    let mut table =
        table(&["disturbed", "promised", "longest", "rounds", "overran", "fenced", "worst gap"]);
    for tally in tallies {
        table.add_row([
            tally.path.to_owned(),
            format!("{:.2} s", tally.promise),
            tally.longest().map_or("-".to_owned(), |longest| format!("{longest:.2} s")),
            tally.lasted.len().to_string(),
            tally.overran.to_string(),
            tally.fenced.to_string(),
            format!("{:.2} S", tally.worst_gap),
        ]);
    }
    format!("{table}\nload {:.2}", load())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_paths_together_are_disturbed_for_no_longer_than_each_alone() {
        let timing = Timing::new(30, 3, 0, 0).unwrap();
        let both = Path::NetworkAndDisk.promise(&timing);
        for (word, path) in PATHS {
            assert!(both <= path.promise(&timing), "{word}");
            assert!(path.promise(&timing) < timing.s, "{word}");
        }
    }
}
