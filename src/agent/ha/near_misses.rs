//! Near misses: a path that was silent for more than half of what is harmless is told to the
//! administrator, before it costs a host. The master tells for all hosts, since each beat carries
//! its sender's longest gaps.

use super::client;
use crate::agent::{Agent, vm};
use crate::heartbeat::liveset::{HostStatus, Liveset};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How often the master looks.
const PERIOD: Duration = Duration::from_secs(5);
/// A gap of this share of S is told of.
const TOLD: f64 = 0.5;
/// Below this share a path counts as well again.
const WELL: f64 = 0.3;

/// A path to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Path {
    Network,
    Statefile,
}

impl Path {
    /// The message that the peer has for it, its key in the host's metrics, and words.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Path::Network => ("HA_HEARTBEAT_APPROACHING_TIMEOUT", "ha-network-gap", "round trips"),
            Path::Statefile => {
                ("HA_STATEFILE_APPROACHING_TIMEOUT", "ha-statefile-gap", "disk cycles")
            }
        }
    }
}

/// What was told of each path, as a share of S.
#[derive(Debug, Default)]
struct Told(BTreeMap<(Uuid, Path), f64>);

impl Told {
    /// Takes the newest gap of a path; true when it must be told: it has crossed the line, or has
    /// grown by a fifth of S since.
    fn take(&mut self, host: Uuid, path: Path, gap: f64) -> bool {
        let last = self.0.get(&(host, path)).copied();
        if gap < WELL {
            self.0.remove(&(host, path));
            return false;
        }
        let due = gap >= TOLD && last.is_none_or(|last| gap >= last + 0.2);
        if due {
            self.0.insert((host, path), gap);
        }
        due
    }
}

fn gaps(host: &HostStatus) -> [(Path, f64); 2] {
    [(Path::Network, host.worst_gap_share), (Path::Statefile, host.worst_disk_gap_share)]
}

/// Watches the gaps of all hosts while this host is master. Runs on a thread of its own.
pub fn watch(agent: &Arc<Agent>) {
    let mut told = Told::default();
    loop {
        std::thread::sleep(PERIOD);
        if !agent.standing().is_master() || !super::is_armed(agent) {
            continue;
        }
        let Ok(client) = client(agent) else { continue };
        if let Ok(liveset) = client.with_timeout(PERIOD).liveset() {
            look(agent, &mut told, &liveset);
        }
    }
}

fn look(agent: &Agent, told: &mut Told, liveset: &Liveset) {
    for host in &liveset.hosts {
        for (path, gap) in gaps(host) {
            if told.take(host.uuid, path, gap) {
                tell(agent, host.uuid, path, gap);
            }
        }
    }
}

fn tell(agent: &Agent, host: Uuid, path: Path, gap: f64) {
    let (name, key, what) = path.names();
    let uuid = host.to_string();
    let percent = (gap * 100.0).round();
    let body = format!(
        "the longest gap between {what} of host {uuid} was {percent} % of the time after which it \
         counts as suspect"
    );
    vm::message(agent, name, 5, "Host", &uuid, &body);
    let kept = agent.store.commit(|tx| {
        let db = tx.db().clone();
        let host = db.by_uuid("host", &uuid).unwrap_or_default();
        let metrics = db.text("host", host, "metrics").to_owned();
        if db.table("host_metrics").contains_key(&metrics) {
            tx.put_key("host_metrics", &metrics, "other_config", key, &format!("{gap:.2}"));
        }
        Ok(())
    });
    if let Err(failure) = kept {
        tracing::warn!("a near miss cannot be kept: {failure}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_told_once_again_when_it_grows_and_after_the_path_was_well() {
        let (mut told, host) = (Told::default(), Uuid::nil());
        let mut take = |gap| told.take(host, Path::Network, gap);
        assert!(!take(0.4));
        assert!(take(0.6));
        assert!(!take(0.6) && !take(0.7), "told already");
        assert!(take(0.8), "it has grown");
        assert!(!take(0.2));
        assert!(take(0.5), "it was well in between");
    }
}
