//! Storage that hangs (S44): each host asks its SRs now and then whether they still answer, and says
//! in its report which do not. The master tells of it; nobody is reset for it, since the heartbeat
//! has its own word on its own disks.
//!
//! A question that hangs holds a thread of its own and nothing else: it is no job of the master, for
//! which a scan after a change of masters would have to wait.

use super::{Agent, alerts, vm};
use crate::host::sr::file::FileSr;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How often an SR is asked.
const PERIOD: Duration = Duration::from_secs(5);
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(20);

/// The alert about a host whose storage hangs.
pub const ALERT: &str = "SR_NOT_ANSWERING";

/// What is known of storage that hangs.
#[derive(Debug, Default)]
pub struct StorageWatch {
    /// Since when this host's questions wait for an answer.
    asked: Arc<Mutex<BTreeMap<Uuid, Instant>>>,
    /// What hosts have said, by uuid.
    said: Mutex<BTreeMap<String, Vec<Uuid>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StorageWatch {
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

    /// Whether a host has said that all its storage answers.
    pub fn is_well(&self, host: &str) -> bool {
        lock(&self.said).get(host).is_some_and(Vec::is_empty)
    }
}

/// Asks all SRs of this host again and again. Runs on a thread of its own.
pub fn watch(agent: &Arc<Agent>) {
    loop {
        agent.plugs.all().into_iter().for_each(|sr| agent.storage.ask(sr));
        std::thread::sleep(PERIOD);
    }
}

/// The master takes what a host says of its storage, and tells of it once.
pub fn told(agent: &Agent, host: &str, stuck: &[Uuid]) {
    lock(&agent.storage.said).insert(host.to_owned(), stuck.to_vec());
    let db = agent.store.read();
    if stuck.is_empty() || alerts::stands(agent, &db, ALERT, host) {
        return;
    }
    let name = |sr: &Uuid| {
        let row = db.by_uuid("SR", &sr.to_string()).unwrap_or_default();
        format!("{sr} ({})", db.text("SR", row, "name_label"))
    };
    let names: Vec<String> = stuck.iter().map(name).collect();
    let body = format!(
        "SR {} has not answered for {} s; what runs goes on, and what needs this storage waits",
        names.join(", SR "),
        LIMIT.as_secs()
    );
    vm::message(agent, ALERT, 3, "Host", host, &body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::in_process;

    #[test]
    fn s44_storage_that_hangs_is_told_once_and_withdrawn_when_it_answers() {
        let agent = in_process::of_two_hosts();
        let db = agent.store.read();
        let (host, sr) = (db.table("host").keys().next().unwrap(), Uuid::from_u128(5));
        let host = db.text("host", host, "uuid").to_owned();
        let stands = || alerts::stands(&agent, &agent.store.read(), ALERT, &host);
        told(&agent, &host, &[]);
        assert!(!stands());
        told(&agent, &host, &[sr]);
        told(&agent, &host, &[sr]);
        alerts::withdraw(&agent);
        assert!(stands(), "it hangs still");
        let db = agent.store.read();
        let count = db.table("message").keys();
        assert_eq!(count.filter(|row| db.text("message", row, "name") == ALERT).count(), 1);
        told(&agent, &host, &[]);
        alerts::withdraw(&agent);
        assert!(!stands());
    }
}
