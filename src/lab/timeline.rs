//! `lab timeline`: every history of the lab in one, a line an event.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::setting::Lab;
use crate::host::rolling;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When, CLOCK_BOOTTIME in nanoseconds.
    pub t_ns: u64,
    /// The name of the host whose history it comes from; empty for the lab as a whole.
    pub host: String,
    /// Who wrote it down: lab, agent, xhad or watchdog.
    pub source: &'static str,
    /// What.
    pub event: String,
    /// Why.
    pub why: String,
    /// The line as it was written.
    pub line: Value,
}

impl Entry {
    /// A text of the line, empty when absent.
    pub fn text(&self, field: &str) -> &str {
        self.line.get(field).and_then(Value::as_str).unwrap_or("")
    }

    /// A number of the line, 0 when absent.
    pub fn number(&self, field: &str) -> u64 {
        self.line.get(field).and_then(Value::as_u64).unwrap_or(0)
    }
}

/// Reads every history of a lab, oldest event first.
pub fn read(lab: &Lab) -> Vec<Entry> {
    let mut entries = file(&lab.dir.join(super::events::FILE), "", "lab");
    for host in &lab.setting.hosts {
        let state = lab.state_dir(&host.name);
        entries.extend(file(&state.join("history-agent.jsonl"), &host.name, "agent"));
        entries.extend(file(&state.join(crate::xhad::history::FILE), &host.name, "xhad"));
        let record = lab.machine_dir(&host.name).join(super::boot::WATCHDOG_RECORD);
        entries.extend(file(&record, &host.name, "watchdog"));
    }
    entries.sort_by_key(|entry| entry.t_ns);
    entries
}

/// The events of one history; lines that are not understood (a torn last one) are left out.
fn file(path: &Path, host: &str, source: &'static str) -> Vec<Entry> {
    let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let text = text(&rolling::older(path)) + &text(path);
    text.lines().filter_map(|line| entry(line, host, source)).collect()
}

fn entry(line: &str, host: &str, source: &'static str) -> Option<Entry> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |field: &str| line.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
    let watchdog = source == "watchdog";
    let fired = line.get("fired_ns").and_then(Value::as_u64);
    Some(Entry {
        t_ns: fired.or_else(|| line.get("t_ns")?.as_u64())?,
        host: if source == "lab" { text("host") } else { host.to_owned() },
        source,
        event: if watchdog { text("set") } else { text("event") },
        why: if watchdog { watchdog_words(&line) } else { text("why") },
        line,
    })
}

fn watchdog_words(line: &Value) -> String {
    match line.get("set").and_then(Value::as_str) {
        Some("expired") => "the deadline has passed; the machine was killed".to_owned(),
        Some("cut") => "the daemon asks for the shortest time".to_owned(),
        Some("disarm") => "the watchdog is stopped".to_owned(),
        Some("fire") => "the daemon asks for the reset".to_owned(),
        Some("set") => "the watchdog is set to the lease".to_owned(),
        _ => String::new(),
    }
}

/// The moment from which times are counted: the last fault, else the end of the setup.
pub fn zero(entries: &[Entry]) -> u64 {
    let last = |event: &str| {
        let of = |entry: &&Entry| entry.source == "lab" && entry.event == event;
        entries.iter().rev().find(of).map(|entry| entry.t_ns)
    };
    let first = || entries.first().map(|entry| entry.t_ns);
    last("fault").or_else(|| last("lab-ready")).or_else(first).unwrap_or(0)
}

/// What people want to see: no routine renewals of the watchdog, nothing long before the fault.
pub fn shown(entries: Vec<Entry>, all: bool) -> Vec<Entry> {
    let from = if all { 0 } else { zero(&entries).saturating_sub(1_000_000_000) };
    let routine = |entry: &Entry| entry.source == "watchdog" && entry.event == "set";
    entries.into_iter().filter(|entry| entry.t_ns >= from && !routine(entry)).collect()
}

/// Names for uuids, from the lab and from what the agents wrote.
pub fn names(lab: &Lab, entries: &[Entry]) -> BTreeMap<String, String> {
    let hosts = lab.setting.hosts.iter().map(|host| (host.uuid.to_string(), host.name.clone()));
    let named = entries.iter().filter(|entry| !entry.text("name").is_empty());
    let vms = named.map(|entry| (entry.text("vm").to_owned(), entry.text("name").to_owned()));
    hosts.chain(vms).collect()
}

/// One line for people.
pub fn line(entry: &Entry, zero: u64, names: &BTreeMap<String, String>) -> String {
    let name = |uuid: &str| names.get(uuid).cloned().unwrap_or_else(|| uuid.to_owned());
    let mut about = Vec::new();
    for field in ["vm", "host", "run", "epoch", "dead", "zombie", "alive", "counter"] {
        match entry.line.get(field) {
            Some(Value::String(text)) if text != &entry.host && !text.is_empty() => {
                about.push(name(text));
            }
            Some(Value::Number(number)) => about.push(format!("{field} {number}")),
            _ => {}
        }
    }
    let about = if about.is_empty() { String::new() } else { format!(" [{}]", about.join(", ")) };
    let mut why = entry.why.clone();
    for (uuid, name) in names {
        why = why.replace(uuid, name);
    }
    let t = seconds(entry.t_ns, zero);
    format!("{t:+9.3}s  {:3} {:8} {}{about}: {why}", entry.host, entry.source, entry.event)
}

/// One object for programs.
pub fn object(entry: &Entry, zero: u64) -> Value {
    json!({
        "t": seconds(entry.t_ns, zero), "t_ns": entry.t_ns, "host": entry.host,
        "source": entry.source, "event": entry.event, "why": entry.why, "line": entry.line,
    })
}

/// Seconds from one moment to another.
pub fn seconds(t_ns: u64, zero: u64) -> f64 {
    let apart = i128::from(t_ns) - i128::from(zero);
    #[expect(clippy::cast_precision_loss, reason = "a time shown to people, in milliseconds")]
    let seconds = apart as f64 / 1e9;
    seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_the_last_fault_and_renewals_are_left_out() {
        let lines = [
            (r#"{"t_ns":1000000000,"event":"fault","host":"h1","why":"net-cut"}"#, "lab"),
            (r#"{"t_ns":5000000000,"event":"fault","host":"h2","why":"power-off"}"#, "lab"),
            (r#"{"t_ns":6000000000,"armed":true,"set":"set","deadline_ns":9}"#, "watchdog"),
            (
                r#"{"t_ns":8000000000,"armed":false,"set":"expired","fired_ns":7500000000}"#,
                "watchdog",
            ),
            (r#"{"t_ns":90000"#, "lab"),
        ];
        let entries: Vec<_> = lines.iter().filter_map(|(l, s)| entry(l, "h3", s)).collect();
        assert_eq!(zero(&entries), 5_000_000_000);
        let zero = zero(&entries);
        let shown = shown(entries, false);
        let lines: Vec<_> = shown.iter().map(|e| line(e, zero, &BTreeMap::new())).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], "   +0.000s  h2  lab      fault: power-off");
        assert!(lines[1].starts_with("   +2.500s  h3  watchdog expired"), "{}", lines[1]);
    }
}
