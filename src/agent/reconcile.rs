//! What hosts really run, and what the database says: a host's word about its own VMs in its own
//! boot is the truth (R6.5).

use super::Agent;
use super::jobs::{self, Done, FoundVm, Job};
use super::vm::{self, start::record_running};
use crate::host::hypervisor::RunState;
use crate::pool::{Database, Transaction};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, NULL_REF};
use std::collections::BTreeMap;

/// Asks a host what really runs there and corrects the database by it (R6.5).
///
/// Only what the database said before the scan began, and still says after it, is judged: a VM that
/// started meanwhile is none of this scan's business.
pub fn reconcile(agent: &Agent, host: &str) -> Answer<()> {
    let epoch = vm::master_epoch(agent)?;
    let before = agent.store.read();
    let boot = before.text("host", host, "xe_boot").to_owned();
    let scan = Job::Scan { boot: boot.clone() };
    let Done::Found(found) = jobs::on_host(agent, host, epoch, &scan)? else { return Ok(()) };
    let found: BTreeMap<String, &FoundVm> =
        found.iter().map(|found| (found.vm.to_string(), found)).collect();
    let mut notes = Vec::new();
    agent.store.commit(|tx| {
        let now = tx.db().clone();
        let unchanged = |vm_row: &str| settled(&before, vm_row) == settled(&now, vm_row);
        for vm_row in before.set_of("host", host, "resident_VMs") {
            let missing = !found.contains_key(before.text("VM", vm_row, "uuid"));
            let alone = vm::intent_of(&now, vm_row).is_none();
            let real = !before.flag("VM", vm_row, "is_control_domain");
            if missing && real && alone && unchanged(vm_row) {
                vm::set_halted(tx, vm_row);
                notes.push(("vm-gone", before.text("VM", vm_row, "uuid").to_owned()));
            }
        }
        for (uuid, found) in &found {
            let executes = matches!(found.state, RunState::Running | RunState::Paused);
            let Some(vm_row) = before.by_uuid("VM", uuid).filter(|_| executes) else { continue };
            let nowhere = now.target("VM", vm_row, "resident_on").is_none();
            if nowhere && unchanged(vm_row) && is_outcome(agent, &now, vm_row, host, found.run) {
                let state = if found.state == RunState::Paused { "Paused" } else { "Running" };
                record_running(tx, vm_row, (host, &boot), state, found.run);
                notes.push(("vm-adopted", uuid.clone()));
            }
        }
        resolve_absent(agent, tx, &before, host, &found);
        Ok(())
    })?;
    tidy_migrations(agent, host, epoch, &found);
    for (event, uuid) in notes {
        let host = before.text("host", host, "uuid");
        agent.history.note(
            event,
            "its host's scan says so",
            serde_json::json!({
                "vm": uuid, "host": host,
            }),
        );
    }
    Ok(())
}

/// Ends what a broken migration left: a target that is not the owner is aborted, a source that is
/// not is finished, a source that still is goes on. Only ContinueReceived makes a target execute,
/// and that comes after the owner's row.
fn tidy_migrations(agent: &Agent, host: &str, epoch: u64, found: &BTreeMap<String, &FoundVm>) {
    let db = agent.store.read();
    for (uuid, found) in found {
        let Some(vm_row) = db.by_uuid("VM", uuid) else { continue };
        // As long as it is marked no other move of it begins, which this job might disturb.
        let Ok(_tidying) = super::recover::Starting::mark(agent, vm_row) else { continue };
        let db = agent.store.read();
        let owner = db.target("VM", vm_row, "resident_on") == Some(host);
        let vm = found.vm;
        let job = match (found.state, owner) {
            (RunState::Stopped, true) => match end_move(agent, vm_row, host) {
                Ok(()) => Job::ResumeSource { vm },
                Err(_) => continue,
            },
            (RunState::Stopped, false) => Job::FinishSource { vm },
            (RunState::Received, true) => Job::ContinueReceived { vm },
            (RunState::Receiving | RunState::Received, false) => Job::AbortReceived { vm },
            _ => continue,
        };
        let outcome = jobs::on_host(agent, host, epoch, &job);
        agent.history.note(
            "migration-tidied",
            &format!("{outcome:?}"),
            serde_json::json!({
                "vm": uuid, "state": found.state, "owner": owner,
            }),
        );
    }
}

/// Ends the move of a VM that its source still owns. The commit that was to make the target its
/// owner may have failed without an answer; once this one is acknowledged, that one is not valid.
fn end_move(agent: &Agent, vm_row: &str, host: &str) -> Answer<()> {
    agent.store.commit(|tx| {
        let db = tx.db().clone();
        if db.target("VM", vm_row, "resident_on") != Some(host) {
            return Err(Failure::new("OTHER_OPERATION_IN_PROGRESS", ["VM", vm_row]));
        }
        if let Some(intent) = vm::intent_of(&db, vm_row) {
            tx.delete("xe_intent", &intent);
            tx.set("VM", vm_row, "scheduled_to_be_resident_on", NULL_REF);
        }
        Ok(())
    })
}

/// What a scan must find unchanged: where a VM runs, which run, and what is intended.
fn settled(db: &Database, vm_row: &str) -> (String, i64, String, Option<String>) {
    (
        db.text("VM", vm_row, "resident_on").to_owned(),
        db.int("VM", vm_row, "xe_run"),
        db.text("VM", vm_row, "power_state").to_owned(),
        vm::intent_of(db, vm_row),
    )
}

/// Whether a VM that a host found is the outcome of a start whose result is not known, or one that
/// runs although the database thinks it halted: found is running, never killed.
fn is_outcome(agent: &Agent, db: &Database, vm_row: &str, host: &str, run: u64) -> bool {
    match vm::intent_of(db, vm_row) {
        Some(intent) => {
            db.text("xe_intent", &intent, "host") == host
                && u64::try_from(db.int("xe_intent", &intent, "run")) == Ok(run)
                && !super::recover::is_starting(agent, vm_row)
        }
        None => db.text("VM", vm_row, "power_state") == "Halted",
    }
}

/// Ends intents of starts on this host that nobody waits for and that left no VM.
fn resolve_absent(
    agent: &Agent,
    tx: &mut Transaction,
    before: &Database,
    host: &str,
    found: &BTreeMap<String, &FoundVm>,
) {
    let db = tx.db().clone();
    for intent in before.table("xe_intent").keys() {
        let of = before.text("xe_intent", intent, "VM");
        let here = before.text("xe_intent", intent, "host") == host;
        let still = db.row("xe_intent", intent).is_some();
        let absent = !found.contains_key(before.text("VM", of, "uuid"));
        if here && still && absent && !super::recover::is_starting(agent, of) {
            tx.delete("xe_intent", intent);
            if db.target("VM", of, "resident_on").is_none()
                && db.text("VM", of, "power_state") != "Suspended"
            {
                vm::set_halted(tx, of);
            }
        }
    }
}
