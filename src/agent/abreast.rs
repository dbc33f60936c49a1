//! What the planner was asked about last, kept for the next question.
//!
//! From one question to the next little changes: a VM started, a host was disabled. What was made
//! of the rows is kept with them and follows the rows of the next question. Whoever asks takes it
//! along, so nobody waits for a search of another; who finds it gone builds it anew.

use super::capacity::{Capacity, budget};
use crate::plan::Standing;
use crate::pool::Database;
use crate::xenapi::failure::Answer;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The last question, unless somebody is asking.
#[derive(Debug, Default)]
pub struct Abreast {
    last: Mutex<Option<Box<Known>>>,
}

/// Rows and what was made of them.
#[derive(Debug)]
struct Known {
    db: Database,
    capacity: Capacity,
    /// The planner's question about the capacity, once it was asked.
    standing: Option<Standing>,
}

impl Abreast {
    /// Asks about the rows as they are.
    pub fn ask<T>(
        &self,
        db: &Database,
        given: &BTreeMap<String, u64>,
        question: impl FnOnce(&Capacity) -> T,
    ) -> Answer<T> {
        let known = self.take(db, given)?;
        let answer = question(&known.capacity);
        self.keep(known);
        Ok(answer)
    }

    /// The same with the planner's question whether `failures` hosts may fail.
    pub fn ask_whether<T>(
        &self,
        (db, failures): (&Database, usize),
        given: &BTreeMap<String, u64>,
        question: impl FnOnce(&Capacity, &mut Standing) -> T,
    ) -> Answer<T> {
        let mut known = self.take(db, given)?;
        let standing = known.standing.take().filter(|it| it.failures() == failures);
        let mut standing = standing
            .unwrap_or_else(|| Standing::new(known.capacity.problem.clone(), failures, budget()));
        let answer = question(&known.capacity, &mut standing);
        known.standing = Some(standing);
        self.keep(known);
        Ok(answer)
    }

    fn keep(&self, known: Box<Known>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    /// What is known of these rows.
    fn take(&self, db: &Database, given: &BTreeMap<String, u64>) -> Answer<Box<Known>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut known) = last
            && let Some(changes) = known.capacity.follow((&known.db, db), given)?
        {
            free_aside(std::mem::replace(&mut known.db, db.clone()));
            if let Some(standing) = &mut known.standing {
                for change in changes {
                    standing.change(change);
                }
            }
            return Ok(known);
        }
        let capacity = Capacity::of(db, given)?;
        Ok(Box::new(Known { db: db.clone(), capacity, standing: None }))
    }
}

/// Frees the rows of the last question while this one is answered: of tables that have changed
/// since nobody else holds the old rows, and to free thousands takes as long as the answer.
fn free_aside(rows: Database) {
    let aside = std::thread::Builder::new().name("free".to_owned());
    let _freed_here = aside.spawn(move || drop(rows));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::capacity::free_memory;
    use crate::agent::{guard, in_process};
    use crate::pool::rows::{Host, Vm};
    use crate::pool::{Change, Transaction};
    use crate::xenapi::{Failure, Model, Value};

    /// The rows after some changes.
    fn with(db: &Database, change: impl FnOnce(&mut Transaction)) -> Database {
        let mut tx = Transaction::over(db);
        change(&mut tx);
        let mut db = db.clone();
        db.apply(&tx.into_changes());
        db
    }

    /// A pool with a group, a limit of VMs, and a start under way.
    fn rich() -> Database {
        with(&in_process::of_two_hosts().store.read(), |tx| {
            let group = [("placement", Value::from("anti_affinity"))];
            tx.create("VM_group", "OpaqueRef:group", group);
            let groups = Value::Array(vec!["OpaqueRef:group".into()]);
            tx.set("VM", "OpaqueRef:vm11", "groups", groups);
            tx.put_key("pool", "OpaqueRef:pool1", "other_config", "xe-vms-per-host", "9");
            let start = [("VM", "OpaqueRef:vm15"), ("host", "OpaqueRef:host-anna")];
            let start = start.map(|(field, row)| (field, Value::from(row)));
            tx.create("xe_intent", "OpaqueRef:intent", start);
            tx.set("pool", "OpaqueRef:pool1", "ha_plan_exists_for", 1);
            tx.create("GPU_group", "OpaqueRef:gpus", [("name_label", Value::from("cards"))]);
            let card = [("GPU_group", "OpaqueRef:gpus"), ("host", "OpaqueRef:host-anna")];
            tx.create("PGPU", "OpaqueRef:card", card.map(|(field, row)| (field, row.into())));
            let vgpu = [("GPU_group", "OpaqueRef:gpus"), ("VM", "OpaqueRef:vm13")];
            tx.create("VGPU", "OpaqueRef:vgpu", vgpu.map(|(field, row)| (field, row.into())));
        })
    }

    /// Other values that the field might have: what other rows have there, and what is near.
    fn others(db: &Database, class: &str, field: usize, value: &Value) -> Vec<Value> {
        let mut others: Vec<Value> =
            db.table(class).values().map(|r| r.at(field).clone()).collect();
        others.extend(match value {
            Value::Bool(flag) => vec![Value::Bool(!flag)],
            Value::Int(number) => vec![Value::Int(number + (1 << 20)), Value::Int(0)],
            Value::Struct(_) => vec![Value::text_map([("xe-vms-per-host", "3")])],
            Value::Array(_) => vec![Value::Array(Vec::new())],
            _ => ["Paused", "Suspended", "Halted", "restart", "none"].map(Value::from).to_vec(),
        });
        others.retain(|other| other != value);
        others.dedup();
        others
    }

    /// Every change of one field that there can be, or of a row that goes.
    fn every_change(db: &Database) -> Vec<Change> {
        let mut changes = Vec::new();
        for (class, row, values) in db.rows() {
            let name = (class.to_owned(), row.to_owned());
            changes.push(Change::Delete { class: name.0.clone(), reference: name.1.clone() });
            for (at, field) in Model::get().class(class).unwrap().fields.iter().enumerate() {
                changes.extend(others(db, class, at, values.at(at)).iter().map(|value| {
                    let ((class, reference), field) = (name.clone(), field.name.clone());
                    Change::Set { class, reference, field, value: value.into() }
                }));
            }
        }
        changes
    }

    #[test]
    fn what_followed_any_change_is_what_would_be_built_anew() {
        let (db, given) = (rich(), BTreeMap::new());
        let (mut followed, mut changed) = (0, 0);
        for change in every_change(&db) {
            let mut now = db.clone();
            now.apply(std::slice::from_ref(&change));
            let mut capacity = Capacity::of(&db, &given).unwrap();
            let before = capacity.problem.clone();
            let Ok(fresh) = Capacity::of(&now, &given) else { continue };
            for (host, room) in fresh.hosts.iter().zip(&fresh.problem.hosts) {
                let host = Host::get(&now, host).unwrap();
                assert_eq!(free_memory(&now, &host, &given), Ok(room.free), "{change:?}");
            }
            if let Some(changes) = capacity.follow((&db, &now), &given).unwrap() {
                assert_eq!(capacity, fresh, "{change:?}");
                let mut known = fresh.clone();
                known.problem = before;
                known.apply(changes);
                assert_eq!(known, fresh, "{change:?}");
                followed += 1;
            } else {
                changed += usize::from(fresh.problem != before);
            }
        }
        assert!(followed > 1_000 && changed > 20, "{followed} followed, {changed} not");
    }

    /// What the guard says about every start, and about every host that would be disabled.
    fn guards(agent: &crate::agent::Agent, db: &Database) -> Vec<Result<(), Failure>> {
        let machines: Vec<_> = Vm::all(db).filter(crate::agent::capacity::is_machine).collect();
        let hosts: Vec<_> = Host::all(db).collect();
        let starts = machines.iter().flat_map(|vm| {
            hosts.iter().map(|host| guard::start_on(agent, db, vm.reference, host.reference))
        });
        let closed = hosts.iter().map(|host| guard::disable_host(agent, db, host.reference));
        starts.chain(closed).collect()
    }

    #[test]
    fn a_guard_answers_after_each_change_as_one_that_asks_anew() {
        let agent = in_process::of_two_hosts();
        let mut db = rich();
        let steps: [(&str, &str, &str, Value); 13] = [
            ("VM", "vm15", "resident_on", "OpaqueRef:host-anna".into()),
            ("VM", "vm15", "power_state", "Running".into()),
            ("VM", "vm13", "resident_on", "OpaqueRef:host-anna".into()),
            ("VM", "vm16", "memory_static_max", (200 << 20).into()),
            ("VM", "vm11", "memory_static_max", (100 << 20).into()),
            ("VM", "vm14", "power_state", "Halted".into()),
            ("host", "host-bert", "enabled", false.into()),
            ("VM", "vm12", "power_state", "Paused".into()),
            ("host", "host-bert", "enabled", true.into()),
            ("PBD", "pbd2", "currently_attached", false.into()),
            ("VM", "vm12", "ha_always_run", false.into()),
            ("PBD", "pbd2", "currently_attached", true.into()),
            ("host_metrics", "hm2", "live", false.into()),
        ];
        let (mut refused, mut allowed) = (0, 0);
        for (class, row, field, value) in steps {
            let fresh = in_process::of_two_hosts();
            let told = guards(&agent, &db);
            assert_eq!(told, guards(&fresh, &db), "before {row} {field}");
            refused += told.iter().filter(|told| told.is_err()).count();
            allowed += told.iter().filter(|told| told.is_ok()).count();
            db = with(&db, |tx| tx.set(class, &format!("OpaqueRef:{row}"), field, value));
        }
        assert_eq!(guards(&agent, &db), guards(&in_process::of_two_hosts(), &db));
        assert!(refused > 10 && allowed > 10, "{refused} refused, {allowed} allowed");
    }
}
