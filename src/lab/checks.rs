//! What must hold when a host is lost: pure rules over what was seen.
//!
//! Times are CLOCK_BOOTTIME in nanoseconds throughout.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub mod masters;

/// How long a running VM's canary may stand still.
pub const STILL_NS: u64 = 3_000_000_000;
/// How many writes of a VM must be seen before and after the fault.
pub const WRITES: usize = 5;

/// One write that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// When it was seen, CLOCK_BOOTTIME in nanoseconds.
    pub t_ns: u64,
    /// The guest's counter.
    pub counter: u64,
}

/// Writes to one disk by one run of one VM, without another run's in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The VM.
    pub vm: Uuid,
    /// The run.
    pub run: u64,
    /// What it wrote; only the first and last write when nobody wants them all.
    pub writes: Vec<Write>,
}

/// Everything that was seen on one disk, oldest first.
pub type Disk = Vec<Span>;

/// A VM of the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The VM.
    pub vm: Uuid,
    /// Its name.
    pub name: String,
    /// Whether HA restarts it.
    pub protected: bool,
    /// Its place in the order of starts.
    pub order: i64,
    /// Whether it ran on the host that suffered the fault, and that host ends of it.
    pub lost: bool,
}

/// A start that some host was told to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The VM.
    pub vm: Uuid,
    /// The run.
    pub run: u64,
    /// When the host began.
    pub t_ns: u64,
}

/// Everything that the rules look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// When the fault took effect.
    pub fault_ns: u64,
    /// When the watching ended.
    pub end_ns: u64,
    /// When the old machine was dead, or its watchdog's last deadline if that was earlier; none
    /// when neither happened.
    pub old_end_ns: Option<u64>,
    /// How long the watch itself did not look, because the computer was busy.
    pub pause_ns: u64,
    /// The VMs.
    pub cases: Vec<Case>,
    /// What was seen on the disks.
    pub disks: Vec<Disk>,
    /// The starts after the fault.
    pub starts: Vec<Start>,
    /// Machines that ended after the fault without being its victim.
    pub others_lost: Vec<String>,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which rule, as a fixed word.
    pub rule: &'static str,
    /// What was seen.
    pub what: String,
}

pub(super) fn violation(rule: &'static str, what: String) -> Violation {
    Violation { rule, what }
}

fn name(evidence: &Evidence, vm: Uuid) -> String {
    let case = evidence.cases.iter().find(|case| case.vm == vm);
    case.map_or_else(|| format!("VM {vm}"), |case| case.name.clone())
}

/// Applies every rule.
pub fn violations(evidence: &Evidence) -> Vec<Violation> {
    let turns = evidence.disks.iter().filter_map(|disk| interleaved(evidence, disk));
    let mut found: Vec<Violation> = turns.collect();
    found.extend(early_starts(evidence));
    found.extend(out_of_order(evidence));
    for case in &evidence.cases {
        found.extend(of_case(evidence, case));
    }
    let lost = |host: &String| violation("host-lost", format!("{host} ended without a fault"));
    found.extend(evidence.others_lost.iter().map(lost));
    found
}

/// Two runs that took turns on one disk, or one run whose count went back: a VM ran twice.
fn interleaved(evidence: &Evidence, disk: &[Span]) -> Option<Violation> {
    let first = disk.first()?;
    let mut over: Vec<(Uuid, u64)> = Vec::new();
    let (mut again, mut back) = (0, 0);
    for span in disk {
        let who = (span.vm, span.run);
        again += usize::from(over.contains(&who));
        over.push(who);
        let steps = span.writes.windows(2);
        back += steps.filter(|pair| pair[1].counter < pair[0].counter).count();
    }
    let what = format!(
        "on the disk of {} a run wrote again after another {again} times, and a count went back \
         {back} times",
        name(evidence, first.vm)
    );
    (again + back > 0).then(|| violation("interleaved", what))
}

/// Starts of lost VMs while their old machine might still have run them.
fn early_starts(evidence: &Evidence) -> Vec<Violation> {
    let lost = |start: &&Start| evidence.cases.iter().any(|case| case.vm == start.vm && case.lost);
    let early = |start: &&Start| evidence.old_end_ns.is_none_or(|end| start.t_ns < end);
    let told = evidence.starts.iter().filter(lost).filter(early);
    told.map(|start| {
        let what = format!(
            "{} run {} was started {} after the fault, before the old machine's end",
            name(evidence, start.vm),
            start.run,
            seconds(start.t_ns.saturating_sub(evidence.fault_ns)),
        );
        violation("early-start", what)
    })
    .collect()
}

/// A protected VM that was started before one of a lower order.
fn out_of_order(evidence: &Evidence) -> Vec<Violation> {
    let mut groups: BTreeMap<i64, Vec<(&Case, u64)>> = BTreeMap::new();
    for case in evidence.cases.iter().filter(|case| case.lost && case.protected) {
        let first = evidence.starts.iter().filter(|start| start.vm == case.vm);
        if let Some(t_ns) = first.map(|start| start.t_ns).min() {
            groups.entry(case.order).or_default().push((case, t_ns));
        }
    }
    let mut found = Vec::new();
    let mut latest: Option<(&Case, u64)> = None;
    for group in groups.values() {
        for (case, t_ns) in group {
            if let Some((before, at)) = latest.filter(|(_, at)| t_ns < at) {
                let late = seconds(at - t_ns);
                let what = format!("{} was started {late} before {}", case.name, before.name);
                found.push(violation("order", what));
            }
        }
        latest = group.iter().copied().chain(latest).max_by_key(|(_, at)| *at);
    }
    found
}

/// The rules about one VM: enough writes, no pause, running at the end, never stopped needlessly.
fn of_case(evidence: &Evidence, case: &Case) -> Vec<Violation> {
    let spans: Vec<&Span> =
        evidence.disks.iter().flatten().filter(|span| span.vm == case.vm).collect();
    let mut found = Vec::new();
    let writes = |after: bool| {
        let counted = spans.iter().flat_map(|span| &span.writes);
        counted.filter(|write| (write.t_ns >= evidence.fault_ns) == after).count()
    };
    if writes(false) < WRITES {
        let what = format!("{} wrote {} canaries before the fault", case.name, writes(false));
        found.push(violation("writes-before", what));
    }
    let old_run = spans
        .iter()
        .filter(|span| span.writes.first().is_some_and(|write| write.t_ns < evidence.fault_ns))
        .map(|span| span.run)
        .max();
    let newer = spans.iter().filter(|span| Some(span.run) > old_run);
    if !case.lost && newer.clone().count() > 0 {
        let what = format!("{} was started anew although its host lived", case.name);
        found.push(violation("stopped", what));
    }
    let must_run = case.protected || !case.lost;
    let after = match case.lost {
        true => newer.map(|span| span.writes.len()).sum(),
        false => writes(true),
    };
    if must_run && after < WRITES {
        let what = format!("{} wrote {after} canaries after the fault", case.name);
        found.push(violation("writes-after", what));
    }
    found.extend(still(evidence, case, &spans, old_run, must_run));
    found
}

/// A running VM whose canary stands still, in the middle of a run or at the end.
fn still(
    evidence: &Evidence,
    case: &Case,
    spans: &[&Span],
    old_run: Option<u64>,
    must_run: bool,
) -> Vec<Violation> {
    let limit = STILL_NS + 2 * evidence.pause_ns;
    // What a host in trouble does to its VMs is its own affair until they run elsewhere.
    let ours = |span: &&&Span| !case.lost || Some(span.run) > old_run;
    let mut found = Vec::new();
    for span in spans.iter().filter(ours) {
        for pair in span.writes.windows(2) {
            let pause = pair[1].t_ns - pair[0].t_ns;
            if pause > limit {
                let what = format!("{} did not write for {}", case.name, seconds(pause));
                found.push(violation("still", what));
            }
        }
    }
    let last =
        spans.iter().filter(ours).filter_map(|span| span.writes.last()).map(|w| w.t_ns).max();
    let silent = last.is_none_or(|last| evidence.end_ns.saturating_sub(last) > limit);
    if must_run && silent {
        let rule = if case.protected { "not-running" } else { "still" };
        found.push(violation(rule, format!("{} does not run at the end", case.name)));
    }
    found
}

fn seconds(ns: u64) -> String {
    format!("{}.{:03} s", ns / 1_000_000_000, ns / 1_000_000 % 1000)
}

#[cfg(test)]
mod tests;
