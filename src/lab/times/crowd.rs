//! Many daemons on one computer: they form, and some die at once.

use std::time::Duration;

use serde_json::{Value, json};

use super::harm::Harm;
use super::rig::{Build, Rig};
use super::steady::{self, Steady};
use super::trial::load;
use super::watch::Watch;
use crate::host::clock::boottime_ns;
use crate::lab::demo::slowness;

/// How long the quiet crowd is watched, in seconds.
const QUIET: u64 = 20;

/// What came of a crowd; times in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Crowd {
    /// Until all were armed in one view.
    pub formed: f64,
    /// What they used while nothing happened.
    pub quiet: Steady,
    /// How many lost their power at once, the master among them.
    pub lost: usize,
    /// Until every other host had a view without them and knew them dead.
    pub excluded: Option<f64>,
    /// From the first host that knew it until one that knew it could act as master.
    pub master: Option<f64>,
    /// How many other hosts were reset.
    pub false_fences: usize,
}

/// Makes a crowd and takes some of it away.
pub fn run(build: &Build, lost: usize) -> anyhow::Result<Crowd> {
    anyhow::ensure!(lost > 0 && 2 * lost < build.hosts, "a minority of the hosts can be lost");
    let rig = Rig::start(build)?;
    let formed = rig.form()?.as_secs_f64();
    eprintln!("{} hosts formed in {formed:.2} s", build.hosts);
    let quiet = steady::watch(&rig, QUIET);
    let master = rig.master()?;
    let victims: Vec<usize> = (0..lost).map(|n| (master + n) % rig.hosts.len()).collect();
    let watch = Watch::begin(&rig, &victims)?;
    let fault = boottime_ns();
    for victim in &victims {
        Harm::PowerOff.inflict(&rig, *victim)?;
    }
    let limit = Duration::from_secs(3 * u64::from(build.timeout_s) + 30).mul_f64(slowness());
    let seen = watch.wait(limit);
    std::thread::sleep(Duration::from_secs(3));
    let between = |from: Option<u64>, to: Option<u64>| Some((to? - from?) as f64 / 1e9);
    Ok(Crowd {
        formed,
        quiet,
        lost,
        excluded: between(Some(fault), seen.all),
        master: between(seen.first, seen.master),
        false_fences: rig.resets_but(&victims),
    })
}

impl Crowd {
    /// For scripts.
    pub fn object(&self, build: &Build) -> Value {
        json!({
            "crowd": build.hosts, "timeout": build.timeout_s, "formed": self.formed,
            "lost": self.lost, "excluded": self.excluded, "master": self.master,
            "false_fences": self.false_fences, "load": load(),
            "network": self.quiet.network, "quiet": self.quiet.objects(build),
        })
    }

    /// For a person.
    pub fn show(&self, build: &Build) -> String {
        let figure = |s: Option<f64>| s.map_or("never".to_owned(), |s| format!("{s:.2} s"));
        format!(
            "{}\n{} hosts, T={}: formed in {:.2} s; {} lost at once, excluded after {}, master \
             {} after the first knew; false fences: {}",
            self.quiet.show(),
            build.hosts,
            build.timeout_s,
            self.formed,
            self.lost,
            figure(self.excluded),
            figure(self.master),
            self.false_fences,
        )
    }
}
