//! What ails hosts and kills nobody: SRs that hang (S44), a state directory that cannot be written,
//! such as a full one (S120), bonds that have lost a leg (S19). Each host says so in its report,
//! and the master tells of it. Nobody is reset for it: the heartbeat judges its own paths itself.
//!
//! SRs are asked now and then whether they still answer. A question that hangs holds a thread of
//! its own and nothing else: it is no job of the master, for which a scan after a change of masters
//! would have to wait.

use super::host_facts::Facts;
use super::{Agent, alerts, vm};
use crate::host::sr::file::FileSr;
use crate::pool::Database;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How often an SR is asked.
const PERIOD: Duration = Duration::from_secs(5);
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(20);

/// The alert about a host whose SRs hang.
pub const HANGS: &str = "SR_NOT_ANSWERING";
/// The alert about a bond that has lost a leg; the peer's name.
pub const BOND: &str = "HA_NETWORK_BONDING_ERROR";
/// The alert about a host that cannot write its state directory.
pub const UNWRITTEN: &str = "HOST_STATE_NOT_WRITTEN";

/// What is known of ailments.
#[derive(Debug, Default)]
pub struct Ailments {
    /// Since when this host's questions wait for an answer.
    asked: Arc<Mutex<BTreeMap<Uuid, Instant>>>,
    /// What each host has said last, by uuid.
    said: Mutex<BTreeMap<String, Facts>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ailments {
    /// Asks an SR, unless an earlier question still waits.
    fn ask(&self, sr: Arc<FileSr>) {
        let uuid = sr.uuid();
        if lock(&self.asked).contains_key(&uuid) {
            return;
        }
        lock(&self.asked).insert(uuid, Instant::now());
        let asked = Arc::clone(&self.asked);
        let work = move || {
            // An error is an answer, too: whoever uses the SR is told of it.
            let _answer = sr.check().and_then(|()| sr.space());
            lock(&asked).remove(&uuid);
        };
        if std::thread::Builder::new().name("storage".to_owned()).spawn(work).is_err() {
            lock(&self.asked).remove(&uuid);
        }
    }

    /// The SRs that have not answered this host for too long.
    pub fn stuck(&self) -> Vec<Uuid> {
        let asked = lock(&self.asked);
        let late = asked.iter().filter(|(_, since)| since.elapsed() > LIMIT);
        late.map(|(sr, _)| *sr).collect()
    }

    /// Whether a host has said that all its SRs answer.
    pub fn answers(&self, host: &str) -> bool {
        lock(&self.said).get(host).is_some_and(|facts| facts.stuck.is_empty())
    }

    /// Whether a host has said that it can write its state directory.
    pub fn is_written(&self, host: &str) -> bool {
        lock(&self.said).get(host).is_some_and(|facts| facts.unwritten.is_none())
    }

    /// Whether a host has said that its bonds have all their legs.
    pub fn is_bonded(&self, host: &str) -> bool {
        lock(&self.said).get(host).is_some_and(|facts| facts.legs_down.is_empty())
    }
}

/// Asks all SRs of this host again and again. Runs on a thread of its own.
pub fn watch(agent: &Arc<Agent>) {
    loop {
        agent.plugs.all().into_iter().for_each(|sr| agent.ailments.ask(sr));
        std::thread::sleep(PERIOD);
    }
}

/// The master takes what a host says of its storage, and tells of it once.
pub fn told(agent: &Agent, host: &str, facts: &Facts) {
    lock(&agent.ailments.said).insert(host.to_owned(), facts.clone());
    let db = agent.store.read();
    if !facts.stuck.is_empty() {
        let name = |sr: &Uuid| {
            let row = db.by_uuid("SR", &sr.to_string()).unwrap_or_default();
            format!("{sr} ({})", db.text("SR", row, "name_label"))
        };
        let names: Vec<String> = facts.stuck.iter().map(name).collect();
        let body = format!(
            "SR {} has not answered for {} s; what runs goes on, and what needs this storage waits",
            names.join(", SR "),
            LIMIT.as_secs()
        );
        tell_once(agent, &db, HANGS, host, &body);
    }
    if !facts.legs_down.is_empty() {
        let body = format!("{} of host {host} has no link", facts.legs_down.join(", "));
        tell_once(agent, &db, BOND, host, &body);
    }
    if let Some(why) = &facts.unwritten {
        let body = format!(
            "the agent of host {host} cannot write its state directory ({why}); the host stays a \
             member and cannot be master until there is room again"
        );
        tell_once(agent, &db, UNWRITTEN, host, &body);
    }
}

fn tell_once(agent: &Agent, db: &Database, name: &str, host: &str, body: &str) {
    if !alerts::stands(agent, db, name, host) {
        vm::message(agent, name, 3, "Host", host, body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::in_process;

    /// Looks that an alert comes with an ailment, once, and goes with it.
    fn is_told_and_withdrawn(name: &str, ail: impl Fn(&mut Facts)) {
        let agent = in_process::of_two_hosts();
        let db = agent.store.read();
        let host = db.text("host", db.table("host").keys().next().unwrap(), "uuid").to_owned();
        let stands = || alerts::stands(&agent, &agent.store.read(), name, &host);
        let well = Facts::of(Uuid::parse_str(&host).unwrap(), "boot");
        let ill = || {
            let mut facts = well.clone();
            ail(&mut facts);
            told(&agent, &host, &facts);
        };
        told(&agent, &host, &well);
        assert!(!stands());
        ill();
        ill();
        alerts::withdraw(&agent);
        assert!(stands(), "it is not over");
        let db = agent.store.read();
        let count = db.table("message").keys();
        assert_eq!(count.filter(|row| db.text("message", row, "name") == name).count(), 1);
        told(&agent, &host, &well);
        alerts::withdraw(&agent);
        assert!(!stands());
    }

    #[test]
    fn s19_s44_s120_an_ailment_is_told_once_and_withdrawn_when_it_is_over() {
        is_told_and_withdrawn(HANGS, |facts| facts.stuck.push(Uuid::from_u128(5)));
        is_told_and_withdrawn(UNWRITTEN, |facts| {
            facts.unwritten = Some("no space is left".to_owned())
        });
        is_told_and_withdrawn(BOND, |facts| facts.legs_down.push("eth1 of bond0".to_owned()));
    }
}
