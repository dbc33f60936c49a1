//! VMs that do not run as they should: protected ones that are down, and those of which nobody
//! knows, with what they wait for.

use crate::agent::capacity::{is_machine, is_protected};
use crate::agent::explain::named;
use crate::agent::vm::intent_of;
use crate::heartbeat::Liveset;
use crate::pool::Database;
use crate::pool::rows::{Pool, Vm};
use crate::xenapi::ha_view::Down;

/// The alert of a restart that did not succeed.
const FAILED: &str = "HA_PROTECTED_VM_RESTART_FAILED";

/// Protected VMs that are down while HA is on.
pub fn down(db: &Database) -> Vec<Down> {
    let on = Pool::all(db).any(|pool| pool.ha_enabled());
    let vms = Vm::all(db).filter(|vm| on && is_machine(vm) && is_protected(vm));
    vms.filter_map(|vm| Some(Down { vm: named(db, "VM", vm.reference), why: why_down(db, &vm)? }))
        .collect()
}

/// What a protected VM that is down waits for; none when it runs.
pub fn why_down(db: &Database, vm: &Vm<'_>) -> Option<String> {
    if vm.power_state() != "Halted" {
        return None;
    }
    if let Some(intent) = intent_of(db, vm.reference) {
        let host = db.text("host", db.text("xe_intent", &intent, "host"), "name_label");
        return Some(format!("it is being started on {host}"));
    }
    let told = |row: &&String| {
        db.text("message", row, "name") == FAILED
            && db.text("message", row, "obj_uuid") == vm.uuid()
    };
    let newest = db.table("message").keys().filter(told);
    let newest = newest.max_by_key(|row| db.text("message", row, "timestamp"));
    let cause = newest.map(|row| db.text("message", row, "body"));
    // The first line is the code, for programs; a sentence may follow.
    let cause = cause.and_then(|body| body.lines().last()).filter(|cause| !cause.is_empty());
    Some(match cause {
        Some(cause) => format!("it waits for its restart; the last one failed: {cause}"),
        None => "it waits for its restart".to_owned(),
    })
}

/// VMs on hosts that left the view and are not known dead.
pub fn unknown(db: &Database, set: Option<&Liveset>) -> Vec<Down> {
    let vms = Vm::all(db).filter(is_machine);
    vms.filter_map(|vm| {
        Some(Down { vm: named(db, "VM", vm.reference), why: why_unknown(db, &vm, set?)? })
    })
    .collect()
}

/// Why nobody knows whether a VM runs; none when somebody does.
pub fn why_unknown(db: &Database, vm: &Vm<'_>, set: &Liveset) -> Option<String> {
    let host = vm.resident_on()?;
    let name = db.text("host", host, "name_label");
    is_left(set, db.text("host", host, "uuid")).then(|| {
        format!("HA was switched off on {name} alone: whether it runs there is not known here")
    })
}

/// Whether a host, by uuid, is out of the view without a watchdog: nothing ends what it runs.
pub fn is_left(set: &Liveset, host: &str) -> bool {
    let is = |other: &uuid::Uuid| other.to_string() == host;
    let out = set.unknown.iter().any(is) && !set.members.iter().any(is);
    out && !set.hosts.iter().any(|it| is(&it.uuid) && it.armed)
}
