//! Near misses: a path that was silent for more than half of what is harmless is told to the
//! administrator, before it costs a host. The master tells for all hosts, since each beat carries
//! its sender's longest gaps.

use super::brake::{Alarm, HELD_BACK};
use super::fence_alarm::{FENCE_FAILED, FenceAlarm};
use super::{client, figures};
use crate::agent::{Agent, vm};
use crate::heartbeat::liveset::{HostStatus, Liveset};
use crate::heartbeat::timing::{Nanos, SECOND};
use crate::host::clock::boottime_ns;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How often the master looks.
const PERIOD: Duration = Duration::from_secs(5);
/// So many looks later the figures are written again, if they have changed.
const WRITE_EACH: u32 = 12;
/// A gap of this share of S is told of.
const TOLD: f64 = 0.5;
/// Below this share a path counts as well again.
const WELL: f64 = 0.3;
/// What happened longer ago is no news to an agent that has just begun.
const NEWS: Nanos = 60 * SECOND;

/// Whether something that happened at that time is to be told of now.
pub(super) fn is_news(now: Nanos, at: Nanos) -> bool {
    now < at.saturating_add(NEWS)
}

/// A path to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Path {
    Network,
    Statefile,
}

impl Path {
    /// The message that the peer has for it, and words.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Path::Network => ("HA_HEARTBEAT_APPROACHING_TIMEOUT", "round trips"),
            Path::Statefile => ("HA_STATEFILE_APPROACHING_TIMEOUT", "disk cycles"),
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
    let mut watch = Watch::default();
    loop {
        std::thread::sleep(PERIOD);
        if !agent.standing().is_master() {
            continue;
        }
        if !super::is_armed(agent) {
            figures::clear(agent);
            continue;
        }
        let Ok(client) = client(agent) else { continue };
        if let Ok(liveset) = client.with_timeout(PERIOD).liveset() {
            watch.look(agent, &liveset);
        }
    }
}

#[derive(Debug, Default)]
struct Watch {
    told: Told,
    alarm: Alarm,
    fences: FenceAlarm,
    looks: u32,
}

impl Watch {
    fn look(&mut self, agent: &Agent, liveset: &Liveset) {
        let mut news = false;
        for host in liveset.hosts.iter().filter(|host| liveset.members.contains(&host.uuid)) {
            for (path, gap) in gaps(host) {
                if self.told.take(host.uuid, path, gap) {
                    news = true;
                    tell(agent, host.uuid, path, gap);
                }
            }
        }
        if news || self.looks.is_multiple_of(WRITE_EACH) {
            figures::write(agent, liveset);
        }
        self.looks = self.looks.wrapping_add(1);
        let now = boottime_ns();
        if let Some((host, body)) = self.alarm.news(now, liveset) {
            vm::message(agent, HELD_BACK, 3, "Host", &host.to_string(), &body);
        }
        if let Some((host, body)) = self.fences.news(now, liveset) {
            vm::message(agent, FENCE_FAILED, 2, "Host", &host.to_string(), &body);
        }
    }
}

fn tell(agent: &Agent, host: Uuid, path: Path, gap: f64) {
    let (name, what) = path.names();
    let uuid = host.to_string();
    let percent = (gap * 100.0).round();
    let body = format!(
        "the longest gap between {what} of host {uuid} was {percent} % of the time after which it \
         counts as suspect"
    );
    vm::message(agent, name, 5, "Host", &uuid, &body);
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

    fn liveset(host: Uuid, network: f64, disk: f64) -> Liveset {
        let status = HostStatus {
            worst_gap_share: network,
            worst_disk_gap_share: disk,
            ..HostStatus::live(host)
        };
        Liveset { members: vec![host], hosts: vec![status], ..Liveset::off() }
    }

    #[test]
    fn an_approaching_time_out_is_told_shown_and_withdrawn() {
        let agent = crate::agent::in_process::of_two_hosts();
        let db = agent.store.read();
        let host = db.table("host").keys().next().unwrap().to_owned();
        let uuid: Uuid = db.text("host", &host, "uuid").parse().unwrap();
        let messages = || {
            let db = agent.store.read();
            let rows = db.table("message").keys().map(|row| db.text("message", row, "name"));
            rows.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        let shown = |key: &str| {
            let db = agent.store.read();
            let metrics = db.target("host", &host, "metrics").unwrap();
            db.key("host_metrics", metrics, "other_config", key).map(str::to_owned)
        };
        let mut watch = Watch::default();
        let told = figures::Figures { statefile_latency: 0.375, ..Default::default() };
        agent.ha.figures.take(uuid, Some(told));
        watch.look(&agent, &liveset(uuid, 0.83, 0.1));
        let name = "HA_HEARTBEAT_APPROACHING_TIMEOUT";
        assert!(messages().contains(name), "{:?}", messages());
        assert!(!messages().contains("HA_STATEFILE_APPROACHING_TIMEOUT"));
        assert_eq!(shown("ha-network-gap").as_deref(), Some("0.83"));
        assert_eq!(shown("ha-statefile-gap").as_deref(), Some("0.10"));
        assert_eq!(shown("ha-statefile-latency").as_deref(), Some("0.38"));

        let still = liveset(uuid, 0.6, 0.1);
        agent.ha.locked().replace(still);
        crate::agent::alerts::withdraw(&agent);
        assert!(!messages().contains(&format!("{name}_RECOVERED")), "it is not well yet");

        let well = liveset(uuid, 0.1, 0.1);
        agent.ha.locked().replace(well.clone());
        crate::agent::alerts::withdraw(&agent);
        assert!(messages().contains(&format!("{name}_RECOVERED")));
        (0..WRITE_EACH).for_each(|_| watch.look(&agent, &well));
        assert_eq!(shown("ha-network-gap").as_deref(), Some("0.10"), "it was taken back");
        figures::clear(&agent);
        assert_eq!(shown("ha-network-gap"), None, "no session runs any more");
        assert_eq!(shown("ha-statefile-latency"), None);
    }
}
