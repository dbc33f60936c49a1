//! How near each host's paths came to their limits, of late, in that host's metrics
//! (`other_config`): the longest gap and the longest latency as a share of S, and what its daemon
//! lacks to be in time under load. Written by the master when they change, gone with the session.

use super::client;
use crate::agent::Agent;
use crate::heartbeat::liveset::Liveset;
use crate::pool::Database;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

const NETWORK_GAP: &str = "ha-network-gap";
const STATEFILE_GAP: &str = "ha-statefile-gap";
const NETWORK_LATENCY: &str = "ha-network-latency";
const STATEFILE_LATENCY: &str = "ha-statefile-latency";
const NOT_REAL_TIME: &str = "ha-not-real-time";
const KEYS: [&str; 5] =
    [NETWORK_GAP, STATEFILE_GAP, NETWORK_LATENCY, STATEFILE_LATENCY, NOT_REAL_TIME];

/// How long the own daemon may take to say them.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a host knows of itself alone, and reports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The longest round trip of late, as a share of S.
    pub network_latency: f64,
    /// The longest disk cycle of late, as a share of S.
    pub statefile_latency: f64,
    /// What its daemon lacks to be in time under load; empty when it has all.
    pub not_real_time: String,
    /// Why its last armed session ended with an earlier boot, as far as it was written down.
    pub last_end: String,
}

/// What the hosts have reported, on the master.
#[derive(Debug, Default)]
pub struct Reported(Mutex<BTreeMap<Uuid, Figures>>);

impl Reported {
    /// Takes a host's report; nothing when it runs no session.
    pub fn take(&self, host: Uuid, told: Option<Figures>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match told {
            Some(told) => known.insert(host, told),
            None => known.remove(&host),
        };
    }

    fn of(&self, host: Uuid) -> Option<Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&host).cloned()
    }
}

/// This host's figures, while its daemon runs a session.
pub fn own(agent: &Agent) -> Option<Figures> {
    let liveset = client(agent).ok()?.with_timeout(PATIENCE).liveset().ok()?;
    let fenced = |event: &str| ["fence", "reset", "isolation"].contains(&event);
    let last_end = liveset.last_end.as_ref().filter(|end| fenced(&end.event));
    Some(Figures {
        network_latency: liveset.network.worst_latency_share,
        statefile_latency: liveset.statefile.worst_latency_share,
        not_real_time: liveset.not_real_time.join("; "),
        last_end: last_end.map(|end| end.why.clone()).unwrap_or_default(),
    })
}

/// What the metrics of a member should say.
fn wanted(liveset: &Liveset, host: Uuid, told: Option<&Figures>) -> BTreeMap<&'static str, String> {
    let mut wanted = BTreeMap::new();
    let status = liveset.hosts.iter().find(|status| status.uuid == host);
    let Some(status) = status.filter(|_| liveset.members.contains(&host)) else { return wanted };
    let share = |of: f64| format!("{of:.2}");
    wanted.insert(NETWORK_GAP, share(status.worst_gap_share));
    wanted.insert(STATEFILE_GAP, share(status.worst_disk_gap_share));
    if let Some(told) = told {
        wanted.insert(NETWORK_LATENCY, share(told.network_latency));
        wanted.insert(STATEFILE_LATENCY, share(told.statefile_latency));
        if !told.not_real_time.is_empty() {
            wanted.insert(NOT_REAL_TIME, told.not_real_time.clone());
        }
    }
    wanted
}

fn present(db: &Database, metrics: &str) -> BTreeMap<&'static str, String> {
    let value = |key| db.key("host_metrics", metrics, "other_config", key);
    KEYS.iter().filter_map(|key| Some((*key, value(key)?.to_owned()))).collect()
}

/// Writes what has changed. Runs on the master.
pub fn write(agent: &Agent, liveset: &Liveset) {
    put(agent, |host| wanted(liveset, host, agent.ha.figures.of(host).as_ref()));
}

/// Takes all of it back: no session runs.
pub fn clear(agent: &Agent) {
    put(agent, |_| BTreeMap::new());
}

fn put(agent: &Agent, wanted: impl Fn(Uuid) -> BTreeMap<&'static str, String>) {
    let db = agent.store.read();
    let mut changes = Vec::new();
    for host in db.table("host").keys() {
        let Some(metrics) = db.target("host", host, "metrics") else { continue };
        let Ok(uuid) = db.text("host", host, "uuid").parse() else { continue };
        let wanted = wanted(uuid);
        if present(&db, metrics) != wanted {
            changes.push((metrics.to_owned(), wanted));
        }
    }
    if changes.is_empty() {
        return;
    }
    let kept = agent.store.commit(|tx| {
        for (metrics, wanted) in &changes {
            if !tx.db().table("host_metrics").contains_key(metrics) {
                continue;
            }
            for key in KEYS {
                match wanted.get(key) {
                    Some(value) => tx.put_key("host_metrics", metrics, "other_config", key, value),
                    None => tx.remove_key("host_metrics", metrics, "other_config", key),
                }
            }
        }
        Ok(())
    });
    if let Err(failure) = kept {
        tracing::debug!("the figures of the paths cannot be kept: {failure}");
    }
}
