//! `lab restarts`: how soon the VMs of a lost host run again, with how many starts at once, and
//! what it costs.

pub mod figures;
pub mod processor;

use std::time::Duration;

use anyhow::bail;

use self::figures::Figures;
use self::processor::Meter;
use super::demo::{self, Trial};
use super::door::{self, Ask};
use super::group::Role;
use super::{found, print, timeline, up};
use crate::host::hypervisor::Kind;

/// One measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The lab, and which host loses its power.
    pub trial: Trial,
    /// Starts in flight on a host.
    pub starts_per_host: u32,
}

/// How long the guests are left alone before the fault: what they use at rest is seen then.
const REST: Duration = Duration::from_secs(5);

/// Measures each case in a lab of its own; fails when a rule was broken or a VM did not come back.
pub fn run(cases: &[Case], json: bool) -> anyhow::Result<()> {
    if cases.iter().any(|case| case.trial.wish.hypervisor == Kind::Sim) {
        bail!("nothing stands behind the VMs of sim; use --hypervisor process, qemu or mixed");
    }
    let mut rows = Vec::new();
    let mut bad = 0;
    for case in cases {
        let figures = measure(case)?;
        for broken in &figures.violations {
            eprintln!("violation: {}: {}", broken.rule, broken.what);
        }
        if let Some(missing) = &figures.missing {
            eprintln!("not recovered: {missing}");
        }
        bad += usize::from(!figures.is_well());
        match json {
            true => print(&serde_json::to_string(&figures)?),
            false => eprintln!("{}", figures.line()),
        }
        rows.push(figures);
    }
    if !json {
        print(&figures::table(&rows));
    }
    match bad {
        0 => Ok(()),
        bad => bail!("{bad} of {} runs broke a rule or are not complete", rows.len()),
    }
}

fn measure(case: &Case) -> anyhow::Result<Figures> {
    let trial = &case.trial;
    let say = |step: &str| {
        if !step.contains(" starts on ") {
            eprintln!("{step}");
        }
    };
    let held = up::up(&trial.wish, &say)?;
    let lab = &held.lab;
    let seen = found::limit_starts(lab, case.starts_per_host).and_then(|()| {
        let mut machines = Vec::new();
        for host in &lab.setting.hosts {
            let look = door::ask(&lab.machine_dir(&host.name), &Ask::Look)?;
            machines.push((host.name.clone(), look.process(Role::Init).unwrap_or(0)));
        }
        let meter = Meter::begin(machines);
        std::thread::sleep(REST);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Ok((demo::watch(trial, lab)?, meter.end(), load))
    });
    let entries = timeline::read(lab);
    let down = up::down(&lab.dir);
    let (report, samples, load) = seen?;
    down?;
    let load = load.split_whitespace().next().and_then(|word| word.parse().ok());
    let well = report.violations.is_empty() && report.missing.is_none();
    let seen = figures::Seen { entries: &entries, samples: &samples, load: load.unwrap_or(0.0) };
    let figures = figures::make(case, report, &seen);
    match trial.own_dir {
        true if well => std::fs::remove_dir_all(&lab.dir)?,
        true => eprintln!("the histories are in {}", lab.dir.display()),
        false => {}
    }
    Ok(figures)
}
