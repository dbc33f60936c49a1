//! VMs that ended by themselves: their host tells the master, the master decides.

use super::{message, set_halted};
use crate::agent::Agent;
use crate::host::hypervisor::ExitKind;
use crate::pool::Database;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, NULL_REF};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// One VM that ended on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The VM.
    pub vm: Uuid,
    /// The run that ended.
    pub run: u64,
    /// Why.
    pub kind: ExitKind,
}

/// Takes the word of a host, by uuid, about its own VMs (R6.5).
pub fn handle(agent: &Arc<Agent>, host: &str, ended: Vec<Ended>) -> Answer<()> {
    for one in ended {
        let db = agent.store.read();
        let Some(vm) = db.by_uuid("VM", &one.vm.to_string()).map(str::to_owned) else { continue };
        let here = db.by_uuid("host", host) == db.target("VM", &vm, "resident_on");
        let this_run = u64::try_from(db.int("VM", &vm, "xe_run")) == Ok(one.run);
        if !here || !this_run {
            continue;
        }
        agent.history.note(
            "vm-ended",
            &format!("{:?}", one.kind),
            serde_json::json!({
                "vm": one.vm, "run": one.run, "host": host,
            }),
        );
        if one.kind == ExitKind::GuestReboot {
            begin_again(agent, &vm, one.vm);
            continue;
        }
        record(agent, &vm, one.kind)?;
        if one.kind == ExitKind::Crash {
            message(agent, "VM_CRASHED", 2, "VM", &one.vm.to_string(), "");
        }
    }
    crate::agent::recover::wake(agent);
    Ok(())
}

/// Whether a VM is to be started again after its guest switched it off, where it has a wish of its
/// own that differs from the pool's.
pub fn wish_after_shutdown(db: &Database, vm: &str) -> Option<bool> {
    match db.key("VM", vm, "other_config", "ha-reboot-on-internal-shutdown")?.trim() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

/// A VM that its own guest switched off is restarted by HA unless the VM, or else the pool, says
/// otherwise; every other end leaves `ha_always_run` as it is.
fn record(agent: &Agent, vm: &str, kind: ExitKind) -> Answer<()> {
    agent.store.commit(|tx| {
        let db = tx.db().clone();
        let pool = crate::agent::pool_ref(&db).unwrap_or("");
        let of_pool = db.flag("pool", pool, "ha_reboot_vm_on_internal_shutdown");
        let restarts = wish_after_shutdown(&db, vm).unwrap_or(of_pool);
        if kind == ExitKind::GuestShutdown && !restarts {
            tx.set("VM", vm, "ha_always_run", false);
        }
        set_halted(tx, vm);
        Ok(())
    })?;
    Ok(())
}

/// A VM whose guest rebooted starts again where it ran, whether or not its host takes new VMs. If
/// that cannot be, it is halted: HA restarts it elsewhere when it is protected.
fn begin_again(agent: &Arc<Agent>, vm: &str, uuid: Uuid) {
    let failed = move |agent: &Agent, failure: &Failure| {
        let about = serde_json::json!({ "vm": uuid });
        agent.history.note("vm-reboot-failed", &failure.to_string(), about);
        crate::agent::recover::wake(agent);
    };
    let host = agent.store.read().target("VM", vm, "resident_on").unwrap_or(NULL_REF).to_owned();
    let pending = match super::lifecycle::again(agent, vm, &host) {
        Ok(pending) => pending,
        Err(failure) => return failed(agent, &failure),
    };
    // Others that ended are waiting to be told.
    let agent = Arc::clone(agent);
    std::thread::spawn(move || {
        if let Err(failure) = pending.execute(&agent) {
            failed(&agent, &failure);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::rows::Vm;

    /// What is left of the protection of a VM whose guest switched itself off.
    fn stays_wanted(pool_restarts: bool, of_vm: Option<&str>) -> bool {
        let agent = crate::agent::in_process::of_two_hosts();
        let db = agent.store.read();
        let vm = Vm::all(&db)
            .find(|vm| vm.ha_always_run() && vm.power_state() == "Running")
            .map(|vm| (vm.reference.to_owned(), vm.uuid().parse().unwrap()));
        let (vm, uuid): (String, Uuid) = vm.unwrap();
        agent
            .store
            .commit(|tx| {
                let pool = crate::agent::pool_ref(tx.db()).unwrap().to_owned();
                tx.set("pool", &pool, "ha_reboot_vm_on_internal_shutdown", pool_restarts);
                if let Some(word) = of_vm {
                    let key = "ha-reboot-on-internal-shutdown";
                    tx.put_key("VM", &vm, "other_config", key, word);
                }
                Ok(())
            })
            .unwrap();
        let host = db.target("VM", &vm, "resident_on").unwrap();
        let run = u64::try_from(db.int("VM", &vm, "xe_run")).unwrap();
        let ended = Ended { vm: uuid, run, kind: ExitKind::GuestShutdown };
        handle(&agent, db.text("host", host, "uuid"), vec![ended]).unwrap();
        let db = agent.store.read();
        assert_eq!(db.text("VM", &vm, "power_state"), "Halted");
        db.flag("VM", &vm, "ha_always_run")
    }

    #[test]
    fn s53_a_vm_may_wish_something_else_than_its_pool_when_its_guest_switches_it_off() {
        assert!(stays_wanted(true, None));
        assert!(!stays_wanted(false, None));
        assert!(!stays_wanted(true, Some("false")));
        assert!(stays_wanted(false, Some("true")));
        assert!(!stays_wanted(true, Some(" no ")), "what is taken as a setting counts");
        assert!(stays_wanted(true, Some("perhaps")), "what is not understood changes nothing");
    }
}
