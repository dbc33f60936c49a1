//! The figures of one measurement, and the table of all.

use comfy_table::{Table, presets};
use serde::Serialize;

use super::Case;
use super::processor::{self, Sample};
use crate::lab::checks::Violation;
use crate::lab::report::{Report, excluded_by};
use crate::lab::setting::LabHost;
use crate::lab::timeline::{Entry, seconds};

/// What was seen.
#[derive(Debug)]
pub struct Seen<'a> {
    /// Every history of the lab.
    pub entries: &'a [Entry],
    /// Processor time of its machines.
    pub samples: &'a [Sample],
    /// The computer's load just before the fault.
    pub load: f64,
}

/// The figures; times are seconds since the exclusion: the moment from which the host that is
/// master then knows that the lost one is dead (and, when that was the master, since it is master
/// itself).
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// `member` or `master`.
    pub on: &'static str,
    /// The setting.
    pub starts_per_host: u32,
    /// VMs of the lab.
    pub vms: usize,
    /// Exclusion, seconds since the fault.
    pub excluded: Option<f64>,
    /// The first start command that a host began.
    pub first_start: Option<f64>,
    /// The last one.
    pub last_start: Option<f64>,
    /// The last VM's first canary.
    pub last_canary: Option<f64>,
    /// Protected VMs that run again.
    pub restarted: usize,
    /// Protected VMs that the lost host ran.
    pub lost: usize,
    /// Processor seconds of the surviving machines until the last first canary: all of it.
    pub cpu: f64,
    /// Of that, agents, daemons and starters.
    pub cpu_agents: f64,
    /// Of that, what the machines would have used at rest.
    pub cpu_at_rest: f64,
    /// The computer's load just before the fault.
    pub load: f64,
    /// The rules that were broken.
    pub violations: Vec<Violation>,
    /// What did not happen in time.
    pub missing: Option<String>,
}

/// Moments of a recovery, CLOCK_BOOTTIME in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moments {
    fault: u64,
    excluded: u64,
    first_start: u64,
    last_start: u64,
}

/// Finds the moments; none while something of it did not happen.
fn moments(entries: &[Entry], on_master: bool) -> Option<(Moments, String)> {
    let fault = entries.iter().rfind(|entry| entry.source == "lab" && entry.event == "fault")?;
    let later = || entries.iter().filter(|entry| entry.t_ns >= fault.t_ns);
    let named = |event: &str| {
        let event = event.to_owned();
        later().filter(move |entry| entry.source == "agent" && entry.event == event)
    };
    // Whoever has the VMs started is the master.
    let master = &named("vm-start-intent").next()?.host;
    let uuid = &named("host-excluded").find(|entry| entry.host == *master)?.text("host");
    let lab_host = |name: &str, uuid: uuid::Uuid| LabHost {
        name: name.to_owned(),
        address: [0, 0, 0, 0].into(),
        uuid,
    };
    let victim = lab_host(&fault.host, uuid.parse().ok()?);
    let knows = excluded_by(entries, &lab_host(master, uuid::Uuid::nil()), &victim, fault.t_ns)?;
    let leads = named("master").find(|entry| entry.host == *master).map(|entry| entry.t_ns);
    let excluded = if on_master { knows.max(leads?) } else { knows };
    let mut starts = named("vm-start-command").map(|entry| entry.t_ns);
    let first_start = starts.next()?;
    let last_start = starts.next_back().unwrap_or(first_start);
    Some((Moments { fault: fault.t_ns, excluded, first_start, last_start }, fault.host.clone()))
}

/// Puts the figures together.
pub fn make(case: &Case, report: Report, seen: &Seen<'_>) -> Figures {
    let mut figures = Figures {
        on: report.on,
        starts_per_host: case.starts_per_host,
        vms: case.trial.wish.vms,
        excluded: None,
        first_start: None,
        last_start: None,
        last_canary: None,
        restarted: report.restarted,
        lost: report.lost,
        cpu: 0.0,
        cpu_agents: 0.0,
        cpu_at_rest: 0.0,
        load: seen.load,
        violations: report.violations,
        missing: report.missing,
    };
    let Some((at, victim)) = moments(seen.entries, case.trial.on_master) else { return figures };
    figures.excluded = Some(seconds(at.excluded, at.fault));
    figures.first_start = Some(seconds(at.first_start, at.excluded));
    figures.last_start = Some(seconds(at.last_start, at.excluded));
    let Some(last) = report.last_restart else { return figures };
    let took = last - seconds(at.excluded, at.fault);
    figures.last_canary = Some(took);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds of one measurement"
    )]
    let canary_ns = at.fault + (last.max(0.0) * 1e9) as u64;
    let used = |from, to| processor::between(seen.samples, &victim, from, to);
    let (vms, others) = used(at.excluded, canary_ns);
    let (vms_at_rest, others_at_rest) = used(at.fault, at.excluded);
    figures.cpu = vms + others;
    figures.cpu_agents = others;
    figures.cpu_at_rest =
        (vms_at_rest + others_at_rest) / seconds(at.excluded, at.fault).max(0.001) * took;
    figures
}

impl Figures {
    /// Whether every VM came back and no rule was broken.
    pub fn is_well(&self) -> bool {
        self.violations.is_empty() && self.missing.is_none()
    }

    fn cells(&self) -> [String; 11] {
        let time = |s: Option<f64>| s.map_or("-".to_owned(), |s| format!("{s:.3}"));
        [
            self.on.to_owned(),
            self.starts_per_host.to_string(),
            time(self.excluded),
            time(self.first_start),
            time(self.last_start),
            time(self.last_canary),
            format!("{}/{}", self.restarted, self.lost),
            format!("{:.2}", self.cpu),
            format!("{:.2}", self.cpu_agents),
            format!("{:.2}", self.cpu_at_rest),
            format!("{:.1}", self.load),
        ]
    }

    /// One line for people who wait for the table.
    pub fn line(&self) -> String {
        let said = HEAD.iter().zip(self.cells()).map(|(head, cell)| format!("{head} {cell}"));
        format!("{}, violations {}", said.collect::<Vec<_>>().join(", "), self.violations.len())
    }
}

const HEAD: [&str; 11] = [
    "lost",
    "starts per host",
    "excluded",
    "first start",
    "last start",
    "last canary",
    "restarted",
    "CPU s",
    "of agents",
    "at rest",
    "load",
];

/// The table of all measurements.
pub fn table(rows: &[Figures]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(HEAD);
    for row in rows {
        table.add_row(row.cells());
    }
    format!(
        "{table}\nexcluded: seconds since the fault; first start to last canary: seconds since the \
         exclusion;\nCPU: processor seconds of the surviving machines from the exclusion to the \
         last canary,\nagents with daemons and starters, at rest: what the machines use anyway"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn entry(t_ns: u64, host: &str, source: &'static str, event: &str, line: Value) -> Entry {
        let (host, event) = (host.to_owned(), event.to_owned());
        Entry { t_ns, host, source, event, why: String::new(), line }
    }

    #[test]
    fn times_count_from_what_the_master_of_that_moment_knows() {
        let lost = json!({ "host": uuid::Uuid::from_u128(1) });
        let entries = [
            entry(90, "h3", "agent", "vm-start-command", json!({})),
            entry(100, "h1", "lab", "fault", json!({})),
            entry(150, "h3", "xhad", "dead", lost.clone()),
            entry(160, "h2", "xhad", "dead", lost.clone()),
            entry(170, "h2", "agent", "master", json!({})),
            entry(175, "h2", "agent", "host-excluded", lost),
            entry(180, "h2", "agent", "vm-start-intent", json!({})),
            entry(190, "h3", "agent", "vm-start-command", json!({})),
            entry(220, "h3", "agent", "vm-start-command", json!({})),
        ];
        let all = |excluded| Moments { fault: 100, excluded, first_start: 190, last_start: 220 };
        assert_eq!(moments(&entries, true), Some((all(170), "h1".to_owned())));
        assert_eq!(moments(&entries, false), Some((all(160), "h1".to_owned())));
        assert_eq!(moments(&entries[..7], true), None, "nothing was started");
    }
}
