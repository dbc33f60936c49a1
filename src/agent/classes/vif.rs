//! VIF: the network interfaces of VMs.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::agent::generic::checked_record;
use crate::agent::{guard, new_reference, new_uuid};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Model, Value};
use std::collections::BTreeMap;

pub(super) const METHODS: Methods = &[
    ("create", create),
    ("destroy", destroy),
    ("plug", |call| attach(call, true)),
    ("unplug", |call| attach(call, false)),
];

fn create(call: &Call<'_>) -> Answer {
    let reference = new_reference();
    let empty = BTreeMap::new();
    let given = call.params[0].as_struct().unwrap_or(&empty);
    let class = Model::get().class("VIF").ok_or_else(|| Failure::internal("no VIFs"))?;
    call.agent.store.commit(|tx| {
        let mut fields = checked_record(tx.db(), class, given)?;
        let vm = fields.get("VM").and_then(Value::as_str).unwrap_or("").to_owned();
        tx.row("VM", &vm)?;
        let network = fields.get("network").and_then(Value::as_str).unwrap_or("");
        guard::network(tx.db(), &vm, network)?;
        let device = fields.get("device").and_then(Value::as_str).unwrap_or("").to_owned();
        if device.parse::<u8>().map_or(true, |number| number > 6) {
            return Err(Failure::new("INVALID_DEVICE", [device]));
        }
        let taken = |vif: &&str| tx.db().text("VIF", vif, "device") == device;
        if tx.db().set_of("VM", &vm, "VIFs").iter().any(taken) {
            return Err(Failure::new("DEVICE_ALREADY_EXISTS", [device]));
        }
        fields.insert("uuid".to_owned(), Value::from(new_uuid()));
        tx.create("VIF", &reference, fields);
        Ok(())
    })?;
    Ok(Value::from(reference))
}

fn destroy(call: &Call<'_>) -> Answer {
    call.agent.store.commit(|tx| {
        tx.row("VIF", call.text(0))?;
        tx.delete("VIF", call.text(0));
        Ok(Value::void())
    })
}

/// No driver can give a running VM another interface: a VIF takes part from the next start on.
fn attach(call: &Call<'_>, attached: bool) -> Answer {
    let vif = call.text(0);
    call.agent.store.commit(|tx| {
        tx.row("VIF", vif)?;
        let vm = tx.db().text("VIF", vif, "VM").to_owned();
        let state = tx.db().text("VM", &vm, "power_state").to_owned();
        if state != "Running" {
            let words = [vm.as_str(), "running", &state.to_lowercase()];
            return Err(Failure::new("VM_BAD_POWER_STATE", words));
        }
        if attached == tx.db().flag("VIF", vif, "currently_attached") {
            let code = if attached { "DEVICE_ALREADY_ATTACHED" } else { "DEVICE_ALREADY_DETACHED" };
            return Err(Failure::new(code, [vif]));
        }
        tx.set("VIF", vif, "currently_attached", attached);
        Ok(Value::void())
    })
}
