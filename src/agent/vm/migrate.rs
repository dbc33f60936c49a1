//! Live migration: the owner changes in one acknowledged transaction between "source stopped" and
//! "target continues" (R6.4).

use super::start::{job_vm, own_disks, record_running};
use super::{assert_machine, assert_power, intent_of, master_epoch, message, uuid_of};
use crate::agent::agility::assert_can_boot_here;
use crate::agent::jobs::{self, Done, Job};
use crate::agent::{Agent, guard};
use crate::pool::rows::Vm;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, NULL_REF, Value};

/// Moves a running VM to another host of the pool.
pub fn migrate(agent: &Agent, vm: &str, to: &str) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let db = agent.store.read();
    let row = Vm::get(&db, vm)?;
    assert_machine(&row)?;
    assert_power(&row, &["Running"])?;
    let from = row.resident_on().unwrap_or(NULL_REF).to_owned();
    if from == to {
        return Ok(());
    }
    assert_can_boot_here(&db, &row, to, agent.host_memory())?;
    guard::start_on(agent, &db, vm, to)?;
    if agent.is_simulated() {
        // One driver stands for all hosts of a dump: there is nothing to hand over.
        return agent.store.commit(|tx| {
            tx.set("VM", vm, "resident_on", to);
            Ok(())
        });
    }
    let run = db.int("VM", vm, "xe_run");
    let job = job_vm(&db, vm, run)?;
    let uuid = uuid_of(&db, "VM", vm)?;
    let _waiting = crate::agent::recover::Starting::mark(agent, vm)?;
    reserve(agent, vm, to, run, epoch)?;
    let moved = hand_over(agent, vm, (&from, to), epoch, uuid, &job);
    match moved {
        Ok(()) => {
            message(agent, "VM_MIGRATED", 5, "VM", &uuid.to_string(), "");
            Ok(())
        }
        Err(failure) => Err(failure),
    }
}

/// Notes that the target may hold an instance from now on.
fn reserve(agent: &Agent, vm: &str, to: &str, run: i64, epoch: u64) -> Answer<()> {
    agent.store.commit(|tx| {
        let db = tx.db().clone();
        if intent_of(&db, vm).is_some() {
            return Err(Failure::new("OTHER_OPERATION_IN_PROGRESS", ["VM", vm]));
        }
        assert_power(&Vm::get(&db, vm)?, &["Running"])?;
        tx.set("VM", vm, "scheduled_to_be_resident_on", to);
        tx.create(
            "xe_intent",
            &crate::agent::new_reference(),
            [
                ("uuid", Value::from(crate::agent::new_uuid())),
                ("VM", Value::from(vm)),
                ("host", Value::from(to)),
                ("boot", Value::from(db.text("host", to, "xe_boot"))),
                ("run", Value::Int(run)),
                ("epoch", Value::Int(i64::try_from(epoch).unwrap_or(i64::MAX))),
            ],
        );
        Ok(())
    })
}

fn forget_intent(agent: &Agent, vm: &str) -> Answer<()> {
    agent.store.commit(|tx| {
        if let Some(intent) = intent_of(tx.db(), vm) {
            tx.delete("xe_intent", &intent);
        }
        tx.set("VM", vm, "scheduled_to_be_resident_on", NULL_REF);
        Ok(())
    })
}

fn hand_over(
    agent: &Agent,
    vm: &str,
    (from, to): (&str, &str),
    epoch: u64,
    uuid: uuid::Uuid,
    job: &jobs::JobVm,
) -> Answer<()> {
    let target = match jobs::on_host(agent, to, epoch, &Job::Receive { vm: job.clone() }) {
        Ok(Done::Listening(address)) => address,
        Ok(_) => return Err(Failure::internal("the target does not listen")),
        Err(failure) => {
            // Nothing executes there before it is told to: the source is untouched.
            forget_intent(agent, vm)?;
            return Err(failure);
        }
    };
    if let Err(failure) = jobs::on_host(agent, from, epoch, &Job::MigrateTo { vm: uuid, target }) {
        abort(agent, to, epoch, uuid);
        if !jobs::is_undecided(&failure) {
            forget_intent(agent, vm)?;
        }
        return Err(failure);
    }
    // The source has stopped. From this commit on the target owns the VM.
    let owned = agent.store.commit(|tx| {
        let db = tx.db().clone();
        let boot = db.text("host", to, "xe_boot").to_owned();
        let row = Vm::get(&db, vm)?;
        // Recovery may have judged the VM meanwhile, if its host died: then it is not ours to move.
        let ours = row.resident_on() == Some(from) && intent_of(&db, vm).is_some();
        if !ours {
            return Err(Failure::new("OTHER_OPERATION_IN_PROGRESS", ["VM", vm]));
        }
        own_disks(tx, &row, to, &boot, epoch, db.int("VM", vm, "xe_run"))?;
        record_running(tx, vm, to, "Running", job.run);
        Ok(())
    });
    if let Err(failure) = owned {
        abort(agent, to, epoch, uuid);
        jobs::on_host(agent, from, epoch, &Job::ResumeSource { vm: uuid })?;
        return Err(failure);
    }
    let continued = jobs::on_host(agent, to, epoch, &Job::ContinueReceived { vm: uuid });
    let finished = jobs::on_host(agent, from, epoch, &Job::FinishSource { vm: uuid });
    if let Err(failure) = finished {
        // It executes nothing; its agent ends it when it looks for VMs that it does not own.
        agent.history.note(
            "vm-source-left",
            &failure.to_string(),
            serde_json::json!({
                "vm": uuid, "host": agent.store.read().text("host", from, "uuid"),
            }),
        );
    }
    continued.map(|_| ())
}

fn abort(agent: &Agent, to: &str, epoch: u64, uuid: uuid::Uuid) {
    if let Err(failure) = jobs::on_host(agent, to, epoch, &Job::AbortReceived { vm: uuid }) {
        agent.history.note(
            "vm-target-left",
            &failure.to_string(),
            serde_json::json!({
                "vm": uuid, "host": agent.store.read().text("host", to, "uuid"),
            }),
        );
    }
}
