//! At most one host is the master at any time, by what the hosts' agents wrote down.

use std::collections::BTreeSet;

use super::Violation;
use crate::lab::timeline::Entry;

/// Every moment after the fault at which a host became master beside another one.
///
/// An agent is master from its own word on until it says that it is a member, starts anew, is
/// killed by the lab, or its machine goes off.
pub fn violations(entries: &[Entry], after: u64) -> Vec<Violation> {
    let mut masters = BTreeSet::new();
    let mut found = Vec::new();
    for entry in entries {
        let host = entry.host.as_str();
        match (entry.source, entry.event.as_str()) {
            ("agent", "master") => {
                masters.insert(host);
                if masters.len() > 1 && entry.t_ns >= after {
                    let all: Vec<&str> = masters.iter().copied().collect();
                    let what = format!("{} are masters at the same time", all.join(" and "));
                    found.push(super::violation("masters", what));
                }
            }
            ("agent", "standing" | "agent-start") | ("lab", "machine-off") => {
                masters.remove(host);
            }
            ("lab", "fault") if entry.why == "kill-agent" => {
                masters.remove(host);
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(t_ns: u64, host: &str, source: &'static str, event: &str) -> Entry {
        let (host, event) = (host.to_owned(), event.to_owned());
        Entry { t_ns, host, source, event, why: String::new(), line: serde_json::Value::Null }
    }

    #[test]
    fn a_second_master_is_noticed_and_a_successor_is_none() {
        let begin = [
            entry(1, "h1", "agent", "master"),
            entry(2, "h2", "agent", "master"),
            entry(3, "h2", "agent", "agent-start"),
        ];
        let lost = [entry(20, "h1", "lab", "machine-off"), entry(30, "h2", "agent", "master")];
        let well = [begin.as_slice(), &lost].concat();
        assert_eq!(violations(&well, 10), []);
        let early = [begin.as_slice(), &[entry(15, "h2", "agent", "master")], &lost].concat();
        let found = violations(&early, 10);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].what, "h1 and h2 are masters at the same time");
    }
}
