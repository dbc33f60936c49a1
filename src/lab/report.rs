//! What a demonstration found: the figures, the broken rules, the closing line.

use std::time::Duration;

use serde_json::{Value, json};

use super::checks::{self, Case, Disk, Evidence, Span, Start, Violation, masters};
use super::setting::{Lab, LabHost};
use super::timeline::{self, Entry};

/// What was seen in a demonstration.
#[derive(Debug)]
pub struct Seen {
    /// The fault's word.
    pub fault: &'static str,
    /// `member` or `master`.
    pub on: &'static str,
    /// The host that suffered it.
    pub victim: LabHost,
    /// The VMs.
    pub cases: Vec<Case>,
    /// When the fault took effect, CLOCK_BOOTTIME in nanoseconds.
    pub fault_ns: u64,
    /// When the watching ended.
    pub end_ns: u64,
    /// The longest time for which nobody looked.
    pub pause: Duration,
    /// What was seen on the disks.
    pub disks: Vec<Disk>,
}

/// The result of a demonstration; times are seconds since the fault.
#[derive(Debug)]
pub struct Report {
    /// The fault's word.
    pub fault: &'static str,
    /// `member` or `master`.
    pub on: &'static str,
    /// When the watchdog fired.
    pub fenced: Option<f64>,
    /// When the last survivor knew that the old machine was dead.
    pub excluded: Option<f64>,
    /// The first canary of the last protected VM's new run.
    pub last_restart: Option<f64>,
    /// How many protected VMs of the lost host run again.
    pub restarted: usize,
    /// How many protected VMs that host ran.
    pub lost: usize,
    /// The rules that were broken.
    pub violations: Vec<Violation>,
    /// What did not happen in time.
    pub missing: Option<String>,
}

/// When the watchdog of a host fired after a moment.
pub fn fenced(entries: &[Entry], victim: &LabHost, after: u64) -> Option<u64> {
    let fired = |entry: &&Entry| {
        entry.source == "watchdog" && entry.host == victim.name && entry.event == "expired"
    };
    entries.iter().filter(fired).map(|entry| entry.t_ns).find(|t_ns| *t_ns >= after)
}

/// When a host knew that the old boot of another was dead.
pub fn excluded_by(entries: &[Entry], host: &LabHost, victim: &LabHost, after: u64) -> Option<u64> {
    let victim = victim.uuid.to_string();
    let knew = |entry: &&Entry| {
        entry.source == "xhad"
            && entry.host == host.name
            && entry.event == "dead"
            && entry.text("host") == victim
            && entry.t_ns >= after
    };
    entries.iter().find(knew).map(|entry| entry.t_ns)
}

/// When a host's machine was dead after a moment, or its watchdog's last deadline, whichever is
/// earlier: before that its VMs may still run.
fn old_end(entries: &[Entry], victim: &LabHost, after: u64) -> Option<u64> {
    let own = || entries.iter().filter(|entry| entry.host == victim.name);
    let off = own().find(|entry| entry.event == "machine-off" && entry.t_ns >= after)?.t_ns;
    let set = own().filter(|entry| entry.source == "watchdog" && entry.t_ns <= off);
    let last = set.filter_map(|entry| entry.line.get("deadline_ns")?.as_u64()).next_back();
    let fired = fenced(entries, victim, after);
    // A power-off leaves a deadline behind that nobody keeps any more; death comes first then.
    [Some(off), fired, last.filter(|last| *last >= after)].into_iter().flatten().min()
}

fn starts(entries: &[Entry], after: u64) -> Vec<Start> {
    let told = entries.iter().filter(|entry| {
        entry.source == "agent" && entry.event == "vm-start-command" && entry.t_ns >= after
    });
    told.filter_map(|entry| {
        let (vm, run) = (entry.text("vm").parse().ok()?, entry.number("run"));
        Some(Start { vm, run, t_ns: entry.t_ns })
    })
    .collect()
}

/// Puts together what was seen.
pub fn make(lab: &Lab, seen: Seen, missing: Option<String>) -> Report {
    let entries = timeline::read(lab);
    let (after, victim) = (seen.fault_ns, &seen.victim);
    let others: Vec<String> = entries
        .iter()
        .filter(|entry| entry.event == "machine-off" && entry.t_ns >= after)
        .filter(|entry| entry.host != victim.name || !fatal(&seen))
        .map(|entry| entry.host.clone())
        .collect();
    let survivors = || lab.setting.hosts.iter().filter(|host| *host != victim);
    let excluded: Option<Vec<u64>> =
        survivors().map(|host| excluded_by(&entries, host, victim, after)).collect();
    let lost: Vec<&Case> = seen.cases.iter().filter(|c| c.lost && c.protected).collect();
    let anew: Vec<u64> = lost.iter().filter_map(|case| first_write(&seen, case)).collect();
    let figure = |t_ns: Option<u64>| t_ns.map(|t_ns| timeline::seconds(t_ns, after));
    let fired = fenced(&entries, victim, after).filter(|_| seen.fault != "power-off");
    let mut report = Report {
        fault: seen.fault,
        on: seen.on,
        fenced: figure(fired),
        excluded: figure(excluded.and_then(|all| all.into_iter().max())),
        last_restart: figure(anew.iter().copied().max()),
        restarted: anew.len(),
        lost: lost.len(),
        violations: Vec::new(),
        missing,
    };
    report.violations = masters::violations(&entries, after);
    report.violations.extend(checks::violations(&Evidence {
        fault_ns: after,
        end_ns: seen.end_ns,
        old_end_ns: old_end(&entries, victim, after),
        pause_ns: u64::try_from(seen.pause.as_nanos()).unwrap_or(u64::MAX),
        starts: starts(&entries, after),
        others_lost: others,
        cases: seen.cases,
        disks: seen.disks,
    }));
    report
}

fn fatal(seen: &Seen) -> bool {
    super::fault::Fault::by_word(seen.fault).is_some_and(super::fault::Fault::is_fatal)
}

/// The first canary of a VM's first run that began after the fault.
fn first_write(seen: &Seen, case: &Case) -> Option<u64> {
    let spans = || seen.disks.iter().flatten().filter(|span| span.vm == case.vm);
    let first = |span: &Span| span.writes.first().map(|write| write.t_ns);
    let before = |t_ns: Option<u64>| t_ns.is_some_and(|t_ns| t_ns < seen.fault_ns);
    let old = spans().filter(|span| before(first(span))).map(|span| span.run).max();
    spans().filter(|span| Some(span.run) > old).filter_map(first).min()
}

impl Report {
    /// The closing line.
    pub fn summary(&self) -> String {
        let figure = |s: Option<f64>| s.map_or("-".to_owned(), |s| format!("{s:.2}s"));
        format!(
            "summary: fault={} on={} fenced={} excluded={} last-restart={} restarted={}/{} \
             violations={}",
            self.fault,
            self.on,
            figure(self.fenced),
            figure(self.excluded),
            figure(self.last_restart),
            self.restarted,
            self.lost,
            self.violations.len()
        )
    }

    /// Everything for programs.
    pub fn object(&self, timeline: Vec<Value>) -> Value {
        json!({
            "fault": self.fault, "on": self.on, "fenced": self.fenced,
            "excluded": self.excluded, "last_restart": self.last_restart,
            "restarted": self.restarted, "lost": self.lost, "violations": self.violations,
            "missing": self.missing, "summary": self.summary(), "timeline": timeline,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn host(number: u128) -> LabHost {
        let address = [127, 0, 0, 1].into();
        LabHost { name: format!("h{number}"), address, uuid: Uuid::from_u128(number) }
    }

    fn entry(t_ns: u64, host: &str, source: &'static str, event: &str, line: Value) -> Entry {
        let (host, event) = (host.to_owned(), event.to_owned());
        Entry { t_ns, host, source, event, why: String::new(), line }
    }

    #[test]
    fn the_old_machine_ends_by_death_or_by_its_last_deadline() {
        let set = |t_ns, deadline: u64| {
            entry(t_ns, "h1", "watchdog", "set", json!({ "deadline_ns": deadline }))
        };
        let off = |t_ns| entry(t_ns, "h1", "lab", "machine-off", json!({}));
        let alive = [set(90, 110), set(101, 120)];
        assert_eq!(old_end(&alive, &host(1), 100), None);
        let [first, second] = alive;
        assert_eq!(old_end(&[first.clone(), off(103)], &host(1), 100), Some(103));
        let kept_late = [first, second, off(125)];
        assert_eq!(old_end(&kept_late, &host(1), 100), Some(120));
        assert_eq!(old_end(&kept_late, &host(2), 100), None);
    }

    #[test]
    fn only_the_first_word_about_this_host_after_the_fault_counts_as_exclusion() {
        let dead = |t_ns, of: u128| {
            let of = json!({ "host": Uuid::from_u128(of) });
            entry(t_ns, "h2", "xhad", "dead", of)
        };
        let entries = [dead(50, 1), dead(120, 3), dead(130, 1), dead(140, 1)];
        assert_eq!(excluded_by(&entries, &host(2), &host(1), 100), Some(130));
        assert_eq!(excluded_by(&entries, &host(3), &host(1), 100), None);
    }

    #[test]
    fn the_closing_line_has_its_figures_in_their_order() {
        let report = Report {
            fault: "net-cut",
            on: "master",
            fenced: Some(8.264),
            excluded: Some(8.6),
            last_restart: None,
            restarted: 1,
            lost: 2,
            violations: Vec::new(),
            missing: None,
        };
        assert_eq!(
            report.summary(),
            "summary: fault=net-cut on=master fenced=8.26s excluded=8.60s last-restart=- \
             restarted=1/2 violations=0"
        );
    }
}
