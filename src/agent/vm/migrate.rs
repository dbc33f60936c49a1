//! Live migration: the owner changes in one acknowledged transaction between "source stopped" and
//! "target continues" (R6.4).

use super::start::{assert_intent, job_vm, own_disks, record_running, write_intent};
use super::{assert_machine, assert_power, master_epoch, message};
use crate::agent::agility::{assert_can_boot_here, assert_room};
use crate::agent::jobs::{self, Done, Job};
use crate::agent::{Agent, cpu, guard};
use crate::pool::rows::Vm;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, NULL_REF};

/// Moves a running VM to another host of the pool.
pub fn migrate(agent: &Agent, vm: &str, to: &str) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let admitted = guard::admit(agent);
    let db = agent.store.read();
    let row = Vm::get(&db, vm)?;
    assert_machine(&row)?;
    assert_power(&row, &["Running"])?;
    let from = row.resident_on().unwrap_or(NULL_REF).to_owned();
    if from == to {
        return Ok(());
    }
    assert_can_boot_here(&db, &row, to, agent.host_memory())?;
    cpu::assert_goes_on(&db, &row, to)?;
    guard::start_on(agent, &db, vm, to)?;
    if agent.is_simulated() {
        // One driver stands for all hosts of a dump: there is nothing to hand over.
        return agent.store.commit(|tx| {
            tx.set("VM", vm, "resident_on", to);
            Ok(())
        });
    }
    let run = db.int("VM", vm, "xe_run");
    let boot = db.text("host", to, "xe_boot");
    let job = job_vm(&db, vm, run, boot)?;
    let _waiting = crate::agent::recover::Starting::mark(agent, vm)?;
    // Notes that the target may hold an instance from now on.
    let intent = agent.store.commit(|tx| {
        let row = Vm::get(tx.db(), vm)?;
        assert_power(&row, &["Running"])?;
        // A recovery may have taken the room since.
        assert_room(tx.db(), &row, to, agent.host_memory())?;
        write_intent(tx, vm, (to, boot), run, epoch)
    })?;
    drop(admitted);
    Move { agent, vm, from: &from, to, epoch, intent, job: &job }.run()?;
    message(agent, "VM_MIGRATED", 5, "VM", &job.vm.to_string(), "");
    Ok(())
}

/// One move of a VM.
struct Move<'a> {
    agent: &'a Agent,
    vm: &'a str,
    from: &'a str,
    to: &'a str,
    epoch: u64,
    intent: String,
    job: &'a jobs::JobVm,
}

impl Move<'_> {
    fn run(&self) -> Answer<()> {
        let uuid = self.job.vm;
        let target = match self.have(self.to, &Job::Receive { vm: self.job.clone() }) {
            Ok(Done::Listening(address)) => address,
            Ok(_) => return Err(Failure::internal("the target does not listen")),
            Err(failure) => {
                // Nothing executes there before it is told to: the source is untouched.
                self.forget_intent()?;
                return Err(failure);
            }
        };
        if let Err(failure) = self.have(self.from, &Job::MigrateTo { vm: uuid, target }) {
            self.abort();
            if !jobs::is_undecided(&failure) {
                self.forget_intent()?;
            }
            return Err(failure);
        }
        // The source has stopped. A commit that failed may stand all the same: then nobody is
        // told to go on before the rows have been read again, after the next scans.
        self.change_owner()?;
        let continued = self.have(self.to, &Job::ContinueReceived { vm: uuid });
        if let Err(failure) = self.have(self.from, &Job::FinishSource { vm: uuid }) {
            // It executes nothing; its agent ends it when it looks for VMs that it does not own.
            self.note("vm-source-left", &failure, self.from);
        }
        continued.map(|_| ())
    }

    fn have(&self, host: &str, job: &Job) -> Answer<Done> {
        jobs::on_host(self.agent, host, self.epoch, job)
    }

    /// From this commit on the target owns the VM, unless recovery has judged it meanwhile.
    fn change_owner(&self) -> Answer<()> {
        self.agent.store.commit(|tx| {
            let db = tx.db().clone();
            let row = Vm::get(&db, self.vm)?;
            assert_intent(&db, self.vm, &self.intent)?;
            if row.resident_on() != Some(self.from) {
                return Err(Failure::new("OTHER_OPERATION_IN_PROGRESS", ["VM", self.vm]));
            }
            let run = db.int("VM", self.vm, "xe_run");
            own_disks(tx, &row, self.to, &self.job.boot, self.epoch, run)?;
            record_running(tx, self.vm, (self.to, &self.job.boot), "Running", self.job.run);
            Ok(())
        })
    }

    fn forget_intent(&self) -> Answer<()> {
        self.agent.store.commit(|tx| {
            if assert_intent(tx.db(), self.vm, &self.intent).is_ok() {
                tx.delete("xe_intent", &self.intent);
                tx.set("VM", self.vm, "scheduled_to_be_resident_on", NULL_REF);
            }
            Ok(())
        })
    }

    fn abort(&self) {
        if let Err(failure) = self.have(self.to, &Job::AbortReceived { vm: self.job.vm }) {
            self.note("vm-target-left", &failure, self.to);
        }
    }

    fn note(&self, event: &str, failure: &Failure, host: &str) {
        let host = self.agent.store.read().text("host", host, "uuid").to_owned();
        let about = serde_json::json!({ "vm": self.job.vm, "host": host });
        self.agent.history.note(event, &failure.to_string(), about);
    }
}
