//! What the master does with VMs: every start has an intent row before its command (R6.4), every
//! change of owner is one acknowledged transaction.

pub mod choose;
pub mod copy;
pub mod disks;
pub mod exits;
pub mod lifecycle;
pub mod migrate;
pub mod start;

use super::Agent;
pub use super::messages::message;
use super::standing::Standing;
use crate::pool::Database;
use crate::pool::Transaction;
use crate::pool::rows::Vm;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, NULL_REF};

/// The epoch in which this agent acts as master, or why it does not.
pub fn master_epoch(agent: &Agent) -> Answer<u64> {
    match agent.standing() {
        Standing::Master { epoch } => Ok(epoch),
        Standing::Member { master } => Err(Failure::new("HOST_IS_SLAVE", [master])),
        Standing::Emergency(why) => Err(why),
    }
}

/// Refuses unless the VM is in one of the power states.
pub fn assert_power(vm: &Vm<'_>, expected: &[&str]) -> Answer<()> {
    let actual = vm.power_state();
    if expected.contains(&actual) {
        return Ok(());
    }
    let words = [vm.reference, &expected.join(", ").to_lowercase(), &actual.to_lowercase()];
    Err(Failure::new("VM_BAD_POWER_STATE", words))
}

/// Refuses templates, snapshots and control domains.
pub fn assert_machine(vm: &Vm<'_>) -> Answer<()> {
    if vm.is_control_domain() {
        return Err(Failure::new("OPERATION_NOT_ALLOWED", ["the VM is a control domain"]));
    }
    if vm.is_a_snapshot() || vm.is_a_template() {
        return Err(Failure::new("VM_IS_TEMPLATE", [vm.reference]));
    }
    Ok(())
}

/// The uuid of a row as a value.
pub fn uuid_of(db: &Database, class: &str, reference: &str) -> Answer<uuid::Uuid> {
    let text = db.text(class, reference, "uuid");
    text.parse().map_err(|_| Failure::internal(format!("{class} {reference} has no uuid: {text}")))
}

/// Records that a VM does not run any more.
pub fn set_halted(tx: &mut Transaction, vm: &str) {
    tx.set("VM", vm, "power_state", "Halted");
    tx.set("VM", vm, "resident_on", NULL_REF);
    tx.set("VM", vm, "scheduled_to_be_resident_on", NULL_REF);
    tx.set("VM", vm, "xe_boot", "");
    tx.set("VM", vm, "domid", -1);
    release(tx, vm);
}

/// Takes the VM's name off its disks, and marks its devices as unplugged.
pub fn release(tx: &mut Transaction, vm: &str) {
    let db = tx.db().clone();
    for vbd in db.set_of("VM", vm, "VBDs") {
        tx.set("VBD", vbd, "currently_attached", false);
        if let Some(vdi) = db.target("VBD", vbd, "VDI") {
            tx.set("VDI", vdi, "xe_owner", "");
        }
    }
    for vif in db.set_of("VM", vm, "VIFs") {
        tx.set("VIF", vif, "currently_attached", false);
    }
}

/// The open intent row of a VM.
pub fn intent_of(db: &Database, vm: &str) -> Option<String> {
    let rows = db.table("xe_intent").keys();
    rows.filter(|row| db.text("xe_intent", row, "VM") == vm).map(String::clone).next()
}
