//! The storm brake (R7.4): a host fenced three times within half an hour for one cause comes up
//! unarmed and waits for clean paths. Time is counted in what the boots lived, not by a wall
//! clock, which may be wrong just after a boot.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::heartbeat::liveset::Event;
use crate::heartbeat::timing::{Nanos, SECOND};

const FILE: &str = "fences.json";
/// So many fences in a row pull the brake.
const FENCES: usize = 3;
/// When the boots between the first and the last of them lived no longer than this together.
const WITHIN: Nanos = 30 * 60 * SECOND;
/// How long the paths must be clean before a braked host arms again.
const CLEAN: Nanos = 5 * 60 * SECOND;

/// One fence of this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fence {
    /// What ended the session, as far as it was still written down.
    cause: String,
    /// How long that boot lived, in nanoseconds.
    lived_ns: Nanos,
}

fn read(state_dir: &Path) -> Vec<Fence> {
    let text = std::fs::read_to_string(state_dir.join(FILE)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// An armed session of an earlier boot has ended with that boot, which began at `began`; `last` is
/// the last thing that its history tells.
pub fn add(state_dir: &Path, last: Option<&Event>, began: Nanos) {
    let mut fences = read(state_dir);
    let told = last.filter(|event| event.event == "fence" || event.event == "reset");
    // The evidence differs each time; the cause stands before it.
    let cause = told.map_or("", |event| event.why.split(';').next().unwrap_or_default());
    let lived_ns = last.map_or(0, |event| event.t_ns.saturating_sub(began));
    fences.push(Fence { cause: cause.to_owned(), lived_ns });
    let from = fences.len().saturating_sub(FENCES);
    if let Ok(text) = serde_json::to_string(&fences[from..]) {
        let _told_again_next_time = std::fs::write(state_dir.join(FILE), text);
    }
}

/// A session has ended in order: what came before is no storm.
pub fn over(state_dir: &Path) {
    let _never_was = std::fs::remove_file(state_dir.join(FILE));
}

/// How long this host must see clean paths before it arms, if the brake is pulled.
pub fn brake(state_dir: &Path) -> Option<Nanos> {
    let fences = read(state_dir);
    let (first, rest) = fences.get(fences.len().checked_sub(FENCES)?..)?.split_first()?;
    let lived: Nanos = rest.iter().map(|fence| fence.lived_ns).sum();
    // A reset by the watchdog alone leaves no cause behind; it is like any other.
    let alike = |fence: &Fence| {
        fence.cause == first.cause || fence.cause.is_empty() || first.cause.is_empty()
    };
    (lived <= WITHIN && rest.iter().all(alike)).then_some(CLEAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(why: &str, minutes: u64) -> Event {
        Event {
            t_ns: minutes * 60 * SECOND,
            event: "fence".to_owned(),
            why: why.to_owned(),
            host: None,
            epoch: 1,
        }
    }

    fn after(fences: &[(&str, u64)]) -> bool {
        let dir = tempfile::tempdir().unwrap();
        for (why, minutes) in fences {
            // The clock of a machine in the lab began long before its boot.
            let hour = 60 * 60 * SECOND;
            let fence = fence(why, 60 + *minutes);
            add(dir.path(), Some(&fence), hour);
        }
        brake(dir.path()).is_some()
    }

    #[test]
    fn three_fences_of_one_cause_within_half_an_hour_pull_the_brake() {
        assert!(!after(&[("disk; 1", 5), ("disk; 2", 5)]));
        assert!(after(&[("disk; 1", 99), ("disk; 2", 10), ("disk; 3", 20)]));
        assert!(!after(&[("disk; 1", 5), ("disk; 2", 20), ("disk; 3", 20)]), "too slow");
        assert!(!after(&[("disk; 1", 5), ("net; 2", 5), ("disk; 3", 5)]), "other causes");
    }

    #[test]
    fn an_orderly_end_clears_it() {
        let dir = tempfile::tempdir().unwrap();
        (0..3).for_each(|_| add(dir.path(), None, 0));
        assert_eq!(brake(dir.path()), Some(CLEAN));
        over(dir.path());
        assert_eq!(brake(dir.path()), None);
    }
}
