//! VBD: the drives of VMs.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::agent::generic::checked_record;
use crate::agent::{guard, new_reference, new_uuid};
use crate::pool::Database;
use crate::pool::rows::{Vbd, Vdi, Vm};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Model, NULL_REF, Value};
use std::collections::BTreeMap;

pub(super) const METHODS: Methods = &[
    ("create", create),
    ("destroy", destroy),
    ("plug", |call| plug(call, true)),
    ("unplug", |call| plug(call, false)),
    ("unplug_force", |call| plug(call, false)),
    ("insert", insert),
    ("eject", eject),
    ("assert_attachable", assert_attachable),
];

/// Refuses a disk that would tie a protected VM to some hosts (S84).
fn assert_keeps_agile(db: &Database, vm: &str, vdi: &str) -> Answer<()> {
    match Vdi::get(db, vdi).ok().and_then(|vdi| vdi.SR()) {
        Some(sr) => guard::storage(db, vm, sr),
        None => Ok(()),
    }
}

fn create(call: &Call<'_>) -> Answer {
    let reference = new_reference();
    let empty = BTreeMap::new();
    let given = call.params[0].as_struct().unwrap_or(&empty);
    let class = Model::get().class("VBD").ok_or_else(|| Failure::internal("no VBDs"))?;
    call.agent.store.commit(|tx| {
        let db = tx.db().clone();
        let mut fields = checked_record(&db, class, given)?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        let (vm, vdi, mut device) = (text("VM"), text("VDI"), text("userdevice"));
        let row = Vm::get(&db, &vm)?;
        let empty = fields.get("empty").and_then(Value::as_bool).unwrap_or(false);
        if !empty {
            db.require("VDI", &vdi)?;
            assert_keeps_agile(&db, &vm, &vdi)?;
        }
        let used: Vec<&str> =
            row.VBDs().iter().map(|vbd| db.text("VBD", vbd, "userdevice")).collect();
        if device == "autodetect" || device.is_empty() {
            let free = (0..16).map(|n| n.to_string()).find(|n| !used.contains(&n.as_str()));
            device = free.ok_or_else(|| Failure::new("INVALID_DEVICE", [device.as_str()]))?;
            fields.insert("userdevice".to_owned(), Value::from(device.as_str()));
        }
        if used.contains(&device.as_str()) {
            return Err(Failure::new("DEVICE_ALREADY_EXISTS", [device]));
        }
        fields.insert("uuid".to_owned(), Value::from(new_uuid()));
        tx.create("VBD", &reference, fields);
        Ok(())
    })?;
    Ok(Value::from(reference))
}

fn destroy(call: &Call<'_>) -> Answer {
    call.agent.store.commit(|tx| {
        let vbd = call.text(0);
        if Vbd::get(tx.db(), vbd)?.currently_attached() {
            return Err(Failure::new("OPERATION_NOT_ALLOWED", ["the VBD is plugged"]));
        }
        tx.delete("VBD", vbd);
        Ok(Value::void())
    })
}

/// No driver can change the drives of a running VM: what is not there at the start is refused.
fn plug(call: &Call<'_>, plug: bool) -> Answer {
    let vbd = call.text(0);
    let db = call.agent.store.read();
    let row = Vbd::get(&db, vbd)?;
    let vm = Vm::get(&db, row.VM().unwrap_or(NULL_REF))?;
    crate::agent::vm::assert_power(&vm, &["Running"])?;
    if plug == row.currently_attached() {
        let code = if plug { "DEVICE_ALREADY_ATTACHED" } else { "DEVICE_ALREADY_DETACHED" };
        return Err(Failure::new(code, [vbd]));
    }
    let why = "this VM's drives can only change while it is halted";
    Err(Failure::new("OPERATION_NOT_ALLOWED", [why]))
}

fn insert(call: &Call<'_>) -> Answer {
    let (vbd, vdi) = (call.text(0), call.text(1));
    call.agent.store.commit(|tx| {
        let db = tx.db().clone();
        let row = Vbd::get(&db, vbd)?;
        db.require("VDI", vdi)?;
        if !row.empty() {
            return Err(Failure::new("VBD_NOT_EMPTY", [vbd]));
        }
        if db.text("VBD", vbd, "type") != "CD" {
            return Err(Failure::new("VBD_NOT_REMOVABLE_MEDIA", [vbd]));
        }
        assert_keeps_agile(&db, row.VM().unwrap_or(NULL_REF), vdi)?;
        tx.set("VBD", vbd, "VDI", vdi);
        tx.set("VBD", vbd, "empty", false);
        Ok(Value::void())
    })
}

fn eject(call: &Call<'_>) -> Answer {
    let vbd = call.text(0);
    call.agent.store.commit(|tx| {
        let db = tx.db().clone();
        if Vbd::get(&db, vbd)?.empty() {
            return Err(Failure::new("VBD_IS_EMPTY", [vbd]));
        }
        if db.text("VBD", vbd, "type") != "CD" {
            return Err(Failure::new("VBD_NOT_REMOVABLE_MEDIA", [vbd]));
        }
        tx.set("VBD", vbd, "VDI", NULL_REF);
        tx.set("VBD", vbd, "empty", true);
        Ok(Value::void())
    })
}

/// Whether the disk could be attached now: it exists, and no other VM writes to it.
fn assert_attachable(call: &Call<'_>) -> Answer {
    let db = call.agent.store.read();
    let vbd = Vbd::get(&db, call.text(0))?;
    let Some(vdi) = vbd.VDI().filter(|_| !vbd.empty()) else { return Ok(Value::void()) };
    let row = Vdi::get(&db, vdi)?;
    let busy = |other: &&&str| {
        **other != vbd.reference
            && db.flag("VBD", other, "currently_attached")
            && db.text("VBD", other, "mode") == "RW"
    };
    if !row.sharable() && row.VBDs().iter().any(|other| busy(&other)) {
        return Err(Failure::new("VDI_IN_USE", [vdi, "attach"]));
    }
    Ok(Value::void())
}
