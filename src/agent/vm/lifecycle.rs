//! Shutdown, reboot, pause, suspend: what ends or halts a VM on its host.

use super::start::{self, Begin, Pending};
use super::{assert_machine, assert_power, master_epoch, message, set_halted, uuid_of};
use crate::agent::Agent;
use crate::agent::jobs::{self, Job};
use crate::pool::Transaction;
use crate::pool::rows::Vm;
use crate::recovery::{Event, Loss};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, NULL_REF, Value};

/// How a VM is brought down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// The guest switches itself off.
    Clean,
    /// The guest is not asked.
    Hard,
}

/// The host of a running VM and the VM's uuid.
fn running(agent: &Agent, vm: &str, states: &[&str]) -> Answer<(String, uuid::Uuid)> {
    let db = agent.store.read();
    let row = Vm::get(&db, vm)?;
    assert_machine(&row)?;
    assert_power(&row, states)?;
    let host = row.resident_on().unwrap_or(NULL_REF).to_owned();
    Ok((host, uuid_of(&db, "VM", vm)?))
}

/// Shuts a VM down for a user: it stays off until it is started again (S54).
pub fn shutdown(agent: &Agent, vm: &str, down: Down) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let state = agent.store.read().text("VM", vm, "power_state").to_owned();
    if state == "Suspended" && down == Down::Hard {
        return discard_suspended(agent, vm);
    }
    if state == "Halted" && waits_for_restart(agent, vm) {
        return end_waiting(agent, vm);
    }
    let states: &[&str] = if down == Down::Hard { &["Running", "Paused"] } else { &["Running"] };
    let (host, uuid) = running(agent, vm, states)?;
    // Before the command: a VM that ends must not be taken for one that HA has to restart.
    agent.store.commit(|tx| {
        tx.set("VM", vm, "ha_always_run", false);
        Ok(())
    })?;
    let job = match down {
        Down::Clean => Job::CleanShutdown { vm: uuid },
        Down::Hard => Job::HardStop { vm: uuid },
    };
    if let Err(failure) = jobs::on_host(agent, &host, epoch, &job) {
        agent.store.commit(|tx| {
            let protected = tx.db().text("VM", vm, "ha_restart_priority") == "restart";
            tx.set("VM", vm, "ha_always_run", protected);
            Ok(())
        })?;
        return Err(failure);
    }
    halted(agent, vm)?;
    message(agent, "VM_SHUTDOWN", 5, "VM", &uuid.to_string(), "");
    Ok(())
}

/// Whether a VM that is off is owed a restart by HA.
fn waits_for_restart(agent: &Agent, vm: &str) -> bool {
    let db = agent.store.read();
    let ha = crate::agent::pool_ref(&db).is_some_and(|pool| db.flag("pool", pool, "ha_enabled"));
    let owed = !matches!(Loss::of(db.text("VM", vm, "xe_loss")), Loss::No | Loss::Spent);
    ha && (db.flag("VM", vm, "ha_always_run") || owed)
}

/// A VM that waits for its restart stays off from now on (S60). One whose start is under way does
/// not wait any more.
fn end_waiting(agent: &Agent, vm: &str) -> Answer<()> {
    let uuid = agent.store.commit(|tx| {
        if super::intent_of(tx.db(), vm).is_some() {
            return Err(Failure::new("OTHER_OPERATION_IN_PROGRESS", ["VM", vm]));
        }
        assert_power(&Vm::get(tx.db(), vm)?, &["Halted"])?;
        tx.set("VM", vm, "ha_always_run", false);
        tx.set("VM", vm, "xe_loss", Loss::No.word());
        tx.set("VM", vm, "xe_tries", "");
        Ok(tx.db().text("VM", vm, "uuid").to_owned())
    })?;
    agent.history.note("recovery", "a user ends its waiting", serde_json::json!({ "vm": uuid }));
    Ok(())
}

fn halted(agent: &Agent, vm: &str) -> Answer<()> {
    agent.store.commit(|tx| {
        set_halted(tx, vm);
        Ok(())
    })?;
    // There may be room now for one that waits. An end by itself says nothing: what ends soon
    // after each start must not end its own back-off.
    crate::agent::recover::push(agent, Event::Changed);
    Ok(())
}

/// Records the end of a VM and the intent to start it again where it was, both or only the end. No
/// other start takes its room in between.
pub fn again(agent: &Agent, vm: &str, host: &str) -> Answer<Pending> {
    let why = "second half of a reboot";
    let ended = |tx: &mut Transaction| set_halted(tx, vm);
    start::prepare_after(agent, (vm, host), Begin::Boot, why, ended).or_else(|failure| {
        halted(agent, vm)?;
        Err(failure)
    })
}

fn discard_suspended(agent: &Agent, vm: &str) -> Answer<()> {
    agent.store.commit(|tx| {
        if let Some(image) = tx.db().target("VM", vm, "suspend_VDI").map(str::to_owned) {
            tx.set("VM", vm, "suspend_VDI", NULL_REF);
            tx.delete("VDI", &image);
        }
        tx.set("VM", vm, "ha_always_run", false);
        set_halted(tx, vm);
        Ok(())
    })
}

/// Reboots a VM on its host.
pub fn reboot(agent: &Agent, vm: &str, down: Down) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let (host, uuid) = running(agent, vm, &["Running", "Paused"])?;
    let job = match down {
        Down::Clean => Job::CleanShutdown { vm: uuid },
        Down::Hard => Job::HardStop { vm: uuid },
    };
    jobs::on_host(agent, &host, epoch, &job)?;
    again(agent, vm, &host)?.execute(agent)?;
    message(agent, "VM_REBOOTED", 5, "VM", &uuid.to_string(), "");
    Ok(())
}

/// Stops or continues execution without ending the VM.
pub fn pause(agent: &Agent, vm: &str, pause: bool) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let (from, to) = if pause { ("Running", "Paused") } else { ("Paused", "Running") };
    let (host, uuid) = running(agent, vm, &[from])?;
    let job = if pause { Job::Pause { vm: uuid } } else { Job::Unpause { vm: uuid } };
    jobs::on_host(agent, &host, epoch, &job)?;
    agent.store.commit(|tx| {
        tx.set("VM", vm, "power_state", to);
        Ok(())
    })?;
    message(agent, if pause { "VM_PAUSED" } else { "VM_UNPAUSED" }, 5, "VM", &uuid.to_string(), "");
    Ok(())
}

/// Saves a VM to its suspend SR (else the SR of its first disk) and ends it.
pub fn suspend(agent: &Agent, vm: &str) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let (host, uuid) = running(agent, vm, &["Running"])?;
    let db = agent.store.read();
    let row = Vm::get(&db, vm)?;
    let pool = crate::agent::pool_ref(&db).unwrap_or("");
    let sr = [db.target("VM", vm, "suspend_SR"), db.target("pool", pool, "suspend_image_SR")]
        .into_iter()
        .flatten()
        .chain(crate::agent::agility::needed_srs(&db, &row))
        .find(|sr| crate::agent::agility::sees_sr(&db, &host, sr))
        .ok_or_else(|| Failure::new("VM_NO_SUSPEND_SR", [vm]))?
        .to_owned();
    let (reference, image) = (crate::agent::new_reference(), uuid::Uuid::new_v4());
    let job = Job::Suspend { vm: uuid, sr: uuid_of(&db, "SR", &sr)?, image };
    let was_meant_to_run = row.ha_always_run();
    agent.store.commit(|tx| {
        tx.set("VM", vm, "ha_always_run", false);
        Ok(())
    })?;
    if let Err(failure) = jobs::on_host(agent, &host, epoch, &job) {
        agent.store.commit(|tx| {
            tx.set("VM", vm, "ha_always_run", was_meant_to_run);
            Ok(())
        })?;
        return Err(failure);
    }
    agent.store.commit(|tx| {
        tx.create(
            "VDI",
            &reference,
            [
                ("uuid", Value::from(image.to_string())),
                ("name_label", Value::from("Suspend image")),
                ("SR", Value::from(sr.as_str())),
                ("type", Value::from("suspend")),
                ("location", Value::from(format!("{image}.suspend"))),
            ],
        );
        set_halted(tx, vm);
        tx.set("VM", vm, "power_state", "Suspended");
        tx.set("VM", vm, "suspend_VDI", reference.as_str());
        Ok(())
    })?;
    message(agent, "VM_SUSPENDED", 5, "VM", &uuid.to_string(), "");
    Ok(())
}

/// Declares a VM halted although nobody asked its host: only where the host is known to be dead or
/// gone, or says itself that the VM is not there.
pub fn power_state_reset(agent: &Agent, vm: &str) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let db = agent.store.read();
    let row = Vm::get(&db, vm)?;
    assert_machine(&row)?;
    let host = row.resident_on().map(str::to_owned);
    if let Some(host) = host {
        let uuid = uuid_of(&db, "VM", vm)?;
        let boot = db.text("host", &host, "xe_boot").to_owned();
        match jobs::on_host(agent, &host, epoch, &Job::Scan { boot }) {
            Ok(jobs::Done::Found(found)) if found.iter().any(|f| f.vm == uuid) => {
                let why = "the VM runs on its host; shut it down instead";
                return Err(Failure::new("OPERATION_NOT_ALLOWED", [why]));
            }
            Ok(_) => {}
            Err(failure) => return Err(failure),
        }
    }
    agent.store.commit(|tx| {
        if let Some(intent) = super::intent_of(tx.db(), vm) {
            tx.delete("xe_intent", &intent);
        }
        tx.set("VM", vm, "ha_always_run", false);
        set_halted(tx, vm);
        Ok(())
    })
}
