//! `lab demo`: a pool comes up, one host suffers a fault, the recovery is watched and checked.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use uuid::Uuid;

use super::api::until;
use super::canaries::Watch;
use super::checks::{Case, Span, WRITES};
use super::door::{self, Ask};
use super::events::Events;
use super::fault::{self, Fault};
use super::group::Role;
use super::report::{self, Report};
use super::setting::{Lab, LabHost};
use super::up::{self, Wish};
use super::{print, status, timeline};
use crate::host::clock::boottime_ns;
use crate::host::faults::EARLY_EXCLUSION;
use crate::host::hypervisor::Kind;
use crate::xhad::control::Client;

/// What is to be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The lab for it.
    pub wish: Wish,
    /// Whether its directory is only for this trial, and goes with it when all is well.
    pub own_dir: bool,
    /// What happens to the host.
    pub fault: Fault,
    /// Whether the master suffers it, else a member.
    pub on_master: bool,
    /// Whether hosts count as dead before they are (see [`EARLY_EXCLUSION`]).
    pub early_exclusion: bool,
}

/// How long everything is watched after the recovery, for VMs that run a second time.
const AFTERWARDS: Duration = Duration::from_secs(3);

/// Runs a demonstration; fails when the recovery did or a rule was broken.
pub fn run(trial: &Trial, json: bool) -> anyhow::Result<()> {
    if !trial.wish.ha {
        bail!("a demonstration needs HA");
    }
    if trial.wish.hypervisor == Kind::Sim {
        bail!("nothing stands behind the VMs of sim; use --hypervisor process or qemu");
    }
    let held = up::up(&trial.wish, &|step| eprintln!("{step}"))?;
    let outcome = watch(trial, &held.lab);
    // The timeline is read before the lab goes, whatever happened.
    let entries = timeline::read(&held.lab);
    let names = timeline::names(&held.lab, &entries);
    let down = up::down(&held.lab.dir);
    let zero = timeline::zero(&entries);
    if !json {
        for entry in timeline::shown(entries.clone(), false) {
            print(&timeline::line(&entry, zero, &names));
        }
    }
    let report = outcome?;
    if json {
        let entries = timeline::shown(entries, false);
        let lines = entries.iter().map(|entry| timeline::object(entry, zero)).collect();
        print(&report.object(lines).to_string());
        eprintln!("{}", report.summary());
    } else {
        for broken in &report.violations {
            print(&format!("violation: {}: {}", broken.rule, broken.what));
        }
        if let Some(missing) = &report.missing {
            print(&format!("not recovered: {missing}"));
        }
        print(&report.summary());
    }
    down?;
    let well = report.violations.is_empty() && report.missing.is_none();
    match trial.own_dir {
        true if well => std::fs::remove_dir_all(&held.lab.dir)?,
        true => eprintln!("the histories are in {}", held.lab.dir.display()),
        false => {}
    }
    match (report.violations.len(), &report.missing) {
        (0, None) => Ok(()),
        (0, Some(missing)) => bail!("the recovery is not complete: {missing}"),
        (count, _) => bail!("{count} violations"),
    }
}

/// How much slower than usual things may go, by the load of this computer.
pub fn slowness() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get());
    (load / f64::from(u32::try_from(cpus).unwrap_or(1))).clamp(1.0, 5.0)
}

/// Injects the fault into a lab that is up, waits for the recovery and puts together what was seen.
pub(super) fn watch(trial: &Trial, lab: &Lab) -> anyhow::Result<Report> {
    let watch = Watch::begin(&lab.sr_dir(), Events::of(&lab.dir), true);
    let rows = status::pool_vms(lab)?;
    let patience = Duration::from_secs(60).mul_f64(slowness());
    until("canary writes of every VM", patience, || {
        let counts = counts(&watch.disks(), 0);
        let enough = rows.iter().all(|row| {
            row.uuid.parse().is_ok_and(|vm| counts.get(&vm).is_some_and(|count| *count >= WRITES))
        });
        Ok(enough.then_some(()))
    })?;
    let victim = choose(lab, trial.on_master)?;
    let cases: Vec<Case> = rows
        .iter()
        .filter_map(|row| {
            Some(Case {
                vm: row.uuid.parse().ok()?,
                name: row.name.clone(),
                protected: row.priority == "restart",
                order: row.order,
                lost: trial.fault.is_fatal() && row.host == victim.name,
            })
        })
        .collect();
    if trial.early_exclusion {
        for host in lab.setting.hosts.iter().filter(|host| **host != victim) {
            let name = "early-exclusion".to_owned();
            let ask = Ask::Faults { on: EARLY_EXCLUSION, off: 0, name };
            door::ask(&lab.machine_dir(&host.name), &ask)?;
        }
    }
    let agent_before = door::ask(&lab.machine_dir(&victim.name), &Ask::Look)?.process(Role::Agent);
    eprintln!("{} on {} ({})", trial.fault.word(), victim.name, on(trial));
    let fault_ns = fault::inflict(lab, &victim.name, trial.fault, &fault::Reach::default())?.t_ns;
    let missing = wait(trial, lab, &watch, &victim, &cases, fault_ns, agent_before).err();
    std::thread::sleep(AFTERWARDS);
    let seen = report::Seen {
        fault: trial.fault.word(),
        on: on(trial),
        victim,
        cases,
        fault_ns,
        end_ns: boottime_ns(),
        pause: watch.longest_pause(),
        disks: watch.disks(),
    };
    Ok(report::make(lab, seen, missing.map(|error| format!("{error:#}"))))
}

fn on(trial: &Trial) -> &'static str {
    if trial.on_master { "master" } else { "member" }
}

/// The host to suffer: the master, or the first other one (which runs protected VMs).
fn choose(lab: &Lab, master: bool) -> anyhow::Result<LabHost> {
    let first = &lab.setting.hosts[0];
    let client = Client::of_state_dir(&lab.state_dir(&first.name));
    let liveset = client.with_timeout(Duration::from_secs(20)).liveset()?;
    let now = liveset.master.context("the pool has no master")?;
    let fits = |host: &&LabHost| (host.uuid == now) == master;
    lab.setting.hosts.iter().find(fits).cloned().context("no such host in this pool")
}

/// Writes of each VM's newest run after a moment.
fn counts(disks: &[Vec<Span>], after: u64) -> BTreeMap<Uuid, usize> {
    let newest = disks.iter().filter_map(|disk| disk.last());
    newest
        .map(|span| {
            let writes = span.writes.iter().filter(|write| write.t_ns > after).count();
            (span.vm, writes)
        })
        .collect()
}

/// Waits until everything that must happen has happened; the error says what is missing.
fn wait(
    trial: &Trial,
    lab: &Lab,
    watch: &Watch,
    victim: &LabHost,
    cases: &[Case],
    fault_ns: u64,
    agent_before: Option<i32>,
) -> anyhow::Result<()> {
    let timeout = u64::from(lab.setting.timeout);
    let limit = Duration::from_secs(4 * timeout + 60).mul_f64(slowness());
    if !trial.fault.is_fatal() {
        // Time enough for everybody to be fenced who wrongly would be.
        let began = Instant::now();
        until("a new agent", limit, || {
            let now = door::ask(&lab.machine_dir(&victim.name), &Ask::Look)?.process(Role::Agent);
            Ok((now.is_some() && now != agent_before).then_some(()))
        })?;
        std::thread::sleep(Duration::from_secs(timeout + 5).saturating_sub(began.elapsed()));
        return Ok(());
    }
    let old_runs = runs(&watch.disks(), fault_ns);
    until("recovery", limit, || {
        let entries = timeline::read(lab);
        if trial.fault != Fault::PowerOff && report::fenced(&entries, victim, fault_ns).is_none() {
            bail!("{} is not fenced", victim.name);
        }
        for host in lab.setting.hosts.iter().filter(|host| *host != victim) {
            if report::excluded_by(&entries, host, victim, fault_ns).is_none() {
                bail!("{} has not found {} dead", host.name, victim.name);
            }
        }
        let disks = watch.disks();
        let (counts, now) = (counts(&disks, fault_ns), runs(&disks, u64::MAX));
        for case in cases.iter().filter(|case| case.lost && case.protected) {
            let anew = now.get(&case.vm) > old_runs.get(&case.vm);
            if !anew || counts.get(&case.vm).is_none_or(|count| *count < WRITES) {
                bail!("{} does not run again", case.name);
            }
        }
        Ok(Some(()))
    })
}

/// The newest run of each VM that had written before a moment.
fn runs(disks: &[Vec<Span>], before: u64) -> BTreeMap<Uuid, u64> {
    let begun = |span: &&Span| span.writes.first().is_some_and(|write| write.t_ns <= before);
    let mut runs = BTreeMap::new();
    for span in disks.iter().flatten().filter(begun) {
        let run = runs.entry(span.vm).or_insert(span.run);
        *run = span.run.max(*run);
    }
    runs
}
