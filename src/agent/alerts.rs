//! Alerts that are over are withdrawn: by a message of the same name with `_RECOVERED`.
//!
//! The master compares the messages with the pool as it is, whoever posted them: so a withdrawal is
//! neither lost with a master nor sent twice.

use super::{Agent, ailments, messages, vm};
use crate::pool::Database;
use crate::pool::rows::Pool;
use crate::recovery::Tries;
use std::collections::BTreeMap;

/// What a withdrawal's name ends with.
pub const RECOVERED: &str = "_RECOVERED";
/// The priority of a withdrawal.
const PRIORITY: i64 = 5;
/// A path whose worst gap of late is below this share of its limit is well again.
const WELL: f64 = 0.3;

/// What an alert is about, and whether that is over.
type IsOver = fn(&Agent, &Database, &str) -> bool;

const ALERTS: [(&str, IsOver); 15] = [
    ("HA_HOST_FAILED", |agent, _, host| is_member(agent, host)),
    ("HA_HOST_DISARMED", |agent, _, host| is_member(agent, host)),
    (LOST_COPY, |agent, _, _| agent.store.volume_copies().is_some_and(|(well, all)| well == all)),
    ("HA_PROTECTED_VM_RESTART_FAILED", |_, db, vm| {
        let row = db.by_uuid("VM", vm).unwrap_or("");
        // One that crashes soon after each start runs now and then; and a user may have ended the
        // waiting.
        let loops = Tries::of(db.text("VM", row, "xe_tries")).bounces > 0;
        let runs = db.text("VM", row, "power_state") == "Running" && !loops;
        runs || !db.flag("VM", row, "ha_always_run")
    }),
    ("HA_POOL_OVERCOMMITTED", |_, db, _| {
        Pool::all(db).all(|pool| pool.ha_enabled() && !pool.ha_overcommitted())
    }),
    ("HA_POOL_DROP_IN_PLAN_EXISTS_FOR", |_, db, _| {
        Pool::all(db).all(|pool| {
            let wanted = pool.ha_host_failures_to_tolerate();
            pool.ha_enabled() && pool.ha_plan_exists_for() >= wanted
        })
    }),
    ("HA_STATEFILE_LOST", |agent, _, host| {
        let set = agent.ha.liveset();
        is_member(agent, host)
            && set.is_some_and(|set| set.statefile_ok && !set.storage_lost_by_all)
    }),
    ("HA_HEARTBEAT_APPROACHING_TIMEOUT", |agent, _, host| is_well(agent, host, true)),
    ("HA_STATEFILE_APPROACHING_TIMEOUT", |agent, _, host| is_well(agent, host, false)),
    (super::ha::fence_alarm::FENCE_FAILED, |agent, _, host| !is_unknown(agent, host)),
    (super::ha::brake::HELD_BACK, |agent, _, host| is_member(agent, host)),
    (ailments::HANGS, |agent, _, host| agent.ailments.answers(host)),
    (ailments::BOND, |agent, _, host| agent.ailments.is_bonded(host)),
    (ailments::UNWRITTEN, |agent, _, host| agent.ailments.is_written(host)),
    ("HA_PAUSE_NOT_OVER", |_, db, _| {
        super::ha::pause::left(db).is_none() && Pool::all(db).all(|pool| pool.ha_enabled())
    }),
];

fn is_member(agent: &Agent, host: &str) -> bool {
    let set = agent.ha.liveset();
    set.is_some_and(|set| set.members.iter().any(|member| member.to_string() == host))
}

/// Whether a host is out of the view and nothing proves it dead.
fn is_unknown(agent: &Agent, host: &str) -> bool {
    let set = agent.ha.liveset();
    set.is_none_or(|set| set.unknown.iter().any(|unknown| unknown.to_string() == host))
}

fn is_well(agent: &Agent, host: &str, network: bool) -> bool {
    let Some(set) = agent.ha.liveset() else { return false };
    let found = set.hosts.iter().find(|status| status.uuid.to_string() == host);
    let share = |status: &crate::heartbeat::liveset::HostStatus| {
        if network { status.worst_gap_share } else { status.worst_disk_gap_share }
    };
    is_member(agent, host) && found.is_some_and(|status| share(status) < WELL)
}

/// How often something was told and withdrawn, and when last.
#[derive(Debug, Default)]
struct Told<'a> {
    alert: Option<(&'a str, usize)>,
    withdrawal: Option<(&'a str, usize)>,
}

impl<'a> Told<'a> {
    fn note(newest: &mut Option<(&'a str, usize)>, at: &'a str) {
        *newest = match *newest {
            Some((known, count)) if known == at => Some((at, count + 1)),
            Some((known, count)) if known > at => Some((known, count)),
            _ => Some((at, 1)),
        };
    }

    /// Whether the alert stands. Within one second the number of messages decides.
    fn stands(&self) -> bool {
        self.alert > self.withdrawal
    }
}

/// The alerts that stand: name, class and object.
fn standing(db: &Database) -> Vec<(&'static str, &str, &str)> {
    let mut told: BTreeMap<(&'static str, &str, &str), Told<'_>> = BTreeMap::new();
    for row in db.table("message").keys() {
        let text = |field: &str| db.text("message", row, field);
        let name = text("name");
        let base = name.strip_suffix(RECOVERED).unwrap_or(name);
        let Some((base, _)) = ALERTS.iter().find(|(known, _)| *known == base) else { continue };
        let one = told.entry((base, text("cls"), text("obj_uuid"))).or_default();
        let newest = if name == *base { &mut one.alert } else { &mut one.withdrawal };
        Told::note(newest, text("timestamp"));
    }
    told.into_iter().filter(|(_, told)| told.stands()).map(|(key, _)| key).collect()
}

/// Whether an alert about an object stands, or waits to be recorded.
pub fn stands(agent: &Agent, db: &Database, name: &str, object: &str) -> bool {
    messages::some_wait(agent)
        || standing(db).iter().any(|(known, _, of)| *known == name && *of == object)
}

/// Tells that a copy of the database on shared storage is lost, while others are left. Runs on the
/// master.
pub fn tell_lost_copy(agent: &Agent) {
    let Some((well, all)) = agent.store.volume_copies().filter(|(well, all)| well < all) else {
        return;
    };
    let db = agent.store.read();
    let told = standing(&db).iter().any(|(name, ..)| *name == LOST_COPY);
    if let Some(pool) = Pool::all(&db).next().filter(|_| !told && !messages::some_wait(agent)) {
        let why =
            format!("{well} of {all} copies of the pool's database on shared storage are well");
        vm::message(agent, LOST_COPY, 3, "Pool", pool.uuid(), &why);
    }
}

/// The peer's name of that alert.
const LOST_COPY: &str = "METADATA_LUN_BROKEN";

/// Withdraws what is over. Runs on the master.
pub fn withdraw(agent: &Agent) {
    if messages::some_wait(agent) {
        return;
    }
    let db = agent.store.read();
    for (name, class, object) in standing(&db) {
        let over = ALERTS.iter().any(|(known, over)| *known == name && over(agent, &db, object));
        if over {
            let name = format!("{name}{RECOVERED}");
            vm::message(agent, &name, PRIORITY, class, object, "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Transaction;
    use crate::xenapi::Value;

    fn told(messages: &[(&str, &str)]) -> Vec<String> {
        let db = Database::default();
        let mut tx = Transaction::over(&std::sync::Arc::new(db.clone()));
        for (at, (name, when)) in messages.iter().enumerate() {
            let fields = [
                ("name", Value::from(*name)),
                ("cls", Value::from("Host")),
                ("obj_uuid", Value::from("h")),
                ("timestamp", Value::DateTime((*when).to_owned())),
            ];
            tx.create("message", &format!("OpaqueRef:{at}"), fields);
        }
        let mut db = db;
        db.apply(&tx.into_changes());
        standing(&db).into_iter().map(|(name, _, _)| name.to_owned()).collect()
    }

    #[test]
    fn a_mail_has_words_for_every_alert() {
        let words = crate::agent::mail::letter::WORDS;
        for (name, _) in ALERTS {
            assert!(words.iter().any(|(known, ..)| *known == name), "{name}");
        }
    }

    #[test]
    fn a_failed_restart_is_withdrawn_when_a_user_ends_the_waiting() {
        let agent = crate::agent::in_process::of_two_hosts();
        let db = agent.store.read();
        let waits = |row: &&String| {
            let halted = db.text("VM", row, "power_state") == "Halted";
            halted && db.flag("VM", row, "ha_always_run")
        };
        let row = db.table("VM").keys().find(waits).unwrap().clone();
        let uuid = db.text("VM", &row, "uuid");
        vm::message(&agent, "HA_PROTECTED_VM_RESTART_FAILED", 2, "VM", uuid, "");
        withdraw(&agent);
        assert_eq!(standing(&agent.store.read()).len(), 1, "it waits still");
        let off = |tx: &mut Transaction| {
            tx.set("VM", &row, "ha_always_run", false);
            Ok(())
        };
        agent.store.commit(off).unwrap();
        withdraw(&agent);
        assert!(standing(&agent.store.read()).is_empty());
    }

    #[test]
    fn a_crash_loop_is_withdrawn_when_the_vm_runs_for_good() {
        let agent = crate::agent::in_process::of_two_hosts();
        let db = agent.store.read();
        let runs = |row: &&String| {
            let running = db.text("VM", row, "power_state") == "Running";
            running && db.flag("VM", row, "ha_always_run")
        };
        let row = db.table("VM").keys().find(runs).unwrap().clone();
        let set = |text: &str| {
            agent.store.commit(|tx| {
                tx.set("VM", &row, "xe_tries", text);
                Ok(())
            })
        };
        set(&Tries { bounces: 3, ..Tries::default() }.text()).unwrap();
        let uuid = db.text("VM", &row, "uuid");
        vm::message(&agent, "HA_PROTECTED_VM_RESTART_FAILED", 2, "VM", uuid, "crash loop");
        withdraw(&agent);
        assert_eq!(standing(&agent.store.read()).len(), 1, "it runs, but for how long?");
        set("").unwrap();
        withdraw(&agent);
        assert!(standing(&agent.store.read()).is_empty());
    }

    #[test]
    fn an_alert_stands_until_its_withdrawal_and_again_after_it() {
        let failed = "HA_HOST_FAILED";
        let back = "HA_HOST_FAILED_RECOVERED";
        assert_eq!(told(&[(failed, "20260101T00:00:01Z")]), [failed]);
        assert!(told(&[(failed, "20260101T00:00:01Z"), (back, "20260101T00:00:02Z")]).is_empty());
        let again = [
            (failed, "20260101T00:00:01Z"),
            (back, "20260101T00:00:02Z"),
            (failed, "20260101T00:00:03Z"),
        ];
        assert_eq!(told(&again), [failed]);
        let at_once = [(failed, "20260101T00:00:01Z"), (back, "20260101T00:00:01Z")];
        assert!(told(&at_once).is_empty());
        assert!(told(&[("VM_STARTED", "20260101T00:00:01Z")]).is_empty());
    }
}
