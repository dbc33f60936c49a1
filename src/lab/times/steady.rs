//! What daemons and keepers use when nothing happens.

use std::time::Duration;

use serde_json::{Value, json};

use super::rig::{Build, Rig};
use super::row::{shown, spread, table};
use super::trial::load;
use super::usage::{self, Usage};

/// The usage of all processes of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// `xhad` or `keeper`.
    pub of: &'static str,
    /// One a process.
    pub each: Vec<Usage>,
}

/// What a quiet pool uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Steady {
    /// How long it was watched, in seconds.
    pub seconds: u64,
    /// Daemons and keepers.
    pub shares: Vec<Share>,
    /// What joined the hosts.
    pub network: &'static str,
}

/// Watches every process of a rig that is armed.
pub fn watch(rig: &Rig, seconds: u64) -> Steady {
    let pids = |of: &str| -> Vec<u32> {
        let daemon = of == "xhad";
        let hosts = rig.hosts.iter();
        hosts
            .filter_map(|host| if daemon { Some(host.daemon_pid()) } else { host.keeper_pid() })
            .collect()
    };
    let before: Vec<(&'static str, Vec<_>)> = ["xhad", "keeper"]
        .into_iter()
        .map(|of| (of, pids(of).into_iter().map(|pid| (pid, usage::count(pid))).collect()))
        .collect();
    std::thread::sleep(Duration::from_secs(seconds));
    let used = |(pid, counters): (u32, Option<_>)| usage::since(pid, &counters?);
    let shares = before
        .into_iter()
        .map(|(of, counted)| Share { of, each: counted.into_iter().filter_map(used).collect() })
        .collect();
    Steady { seconds, shares, network: rig.network.word() }
}

/// Makes a rig and watches it after the noise of its start.
pub fn run(build: &Build, seconds: u64) -> anyhow::Result<Steady> {
    let rig = Rig::start(build)?;
    rig.form()?;
    std::thread::sleep(Duration::from_secs(3));
    Ok(watch(&rig, seconds))
}

impl Share {
    fn worst(&self, figure: impl Fn(&Usage) -> f64) -> Option<f64> {
        spread(self.each.iter().map(figure).collect()).map(|[_, _, worst]| worst)
    }
}

impl Steady {
    /// For scripts: one object a kind of process, each with the worst of its figures.
    pub fn objects(&self, build: &Build) -> Vec<Value> {
        let object = |share: &Share| {
            json!({
                "steady": share.of, "timeout": build.timeout_s, "hosts": build.hosts,
                "seconds": self.seconds, "processes": share.each.len(),
                "cpu_percent": share.worst(|usage| usage.cpu_percent),
                "wakes_per_second": share.worst(|usage| usage.wakes),
                "resident_kb": share.worst(|usage| usage.resident_kb as f64),
                "anonymous_kb": share.worst(|usage| usage.anonymous_kb as f64),
                "locked_kb": share.worst(|usage| usage.locked_kb as f64),
                "threads": share.worst(|usage| usage.threads as f64),
                "network": self.network, "load": load(),
            })
        };
        self.shares.iter().map(object).collect()
    }

    /// For a person.
    pub fn show(&self) -> String {
        let mut table = table(&[
            "process",
            "CPU, % of a core",
            "wakes a second",
            "resident, MB",
            "anonymous, MB",
            "locked, MB",
            "threads",
        ]);
        for share in &self.shares {
            let all =
                |figure: fn(&Usage) -> f64| shown(spread(share.each.iter().map(figure).collect()));
            table.add_row([
                share.of.to_owned(),
                all(|usage| usage.cpu_percent),
                all(|usage| usage.wakes),
                all(|usage| usage.resident_kb as f64 / 1024.0),
                all(|usage| usage.anonymous_kb as f64 / 1024.0),
                all(|usage| usage.locked_kb as f64 / 1024.0),
                share.worst(|usage| usage.threads as f64).map_or("-".to_owned(), |n| n.to_string()),
            ]);
        }
        format!(
            "{table}\nsmallest / middle / largest of the processes, over {} s; load {:.2}",
            self.seconds,
            load()
        )
    }
}
