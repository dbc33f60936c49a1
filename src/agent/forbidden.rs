//! What HA does not allow while it is on, whoever would do it: one table for all methods.

use super::capacity::is_protected;
use super::guard;
use crate::pool::Database;
use crate::pool::rows::{Pif, Pool, Vm};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};

/// Methods that change addresses, secrets or packages under a pool that counts on them.
const NEVER: [&str; 16] = [
    "host.apply_updates",
    "host.install_server_certificate",
    "host.management_disable",
    "host.management_reconfigure",
    "host.refresh_server_certificate",
    "host.reset_server_certificate",
    "pool.certificate_sync",
    "pool.enable_tls_verification",
    "pool.management_reconfigure",
    "pool.rotate_secret",
    "pool.sync_updates",
    "pool_patch.apply",
    "pool_patch.pool_apply",
    "pool_update.apply",
    "pool_update.pool_apply",
    "pool_update.precheck",
];

/// What may not be done to the volumes that hold heartbeat and metadata.
const VOLUMES: [&str; 12] = [
    "VDI.clone",
    "VDI.copy",
    "VDI.data_destroy",
    "VDI.destroy",
    "VDI.disable_cbt",
    "VDI.enable_cbt",
    "VDI.forget",
    "VDI.pool_migrate",
    "VDI.resize",
    "VDI.resize_online",
    "VDI.snapshot",
    "VDI.update",
];

/// Why a protected VM gets no device of one machine.
const TIED: &str = "it is protected, and such a device would tie it to one host";

/// Refuses a method that HA does not allow. `params` are those after the session.
pub fn assert_allowed(db: &Database, method: &str, params: &[Value]) -> Answer<()> {
    let Some(pool) = Pool::all(db).find(Pool::ha_enabled) else { return Ok(()) };
    let text = |at: usize| params.get(at).and_then(Value::as_str).unwrap_or("");
    let is_on = || Err(Failure::bare("HA_IS_ENABLED"));
    if NEVER.contains(&method) {
        return is_on();
    }
    if VOLUMES.contains(&method) {
        let kind = db.text("VDI", text(0), "type");
        return if matches!(kind, "ha_statefile" | "redo_log") { is_on() } else { Ok(()) };
    }
    match method {
        "PIF.reconfigure_ip" | "PIF.reconfigure_ipv6" | "PIF.set_primary_address_type" => {
            if db.flag("PIF", text(0), "currently_attached") { is_on() } else { Ok(()) }
        }
        "Bond.create" | "Bond.destroy" => bond(db, method, params),
        "PIF.destroy" | "PIF.forget" | "PIF.db_forget" => guard::interface(db, text(0)),
        "VLAN.destroy" => guard::interface(db, db.text("VLAN", text(0), "untagged_PIF")),
        "VIF.move" => guard::network(db, db.text("VIF", text(0), "VM"), text(1)),
        "SR.set_shared" if params.get(1).and_then(Value::as_bool) == Some(false) => {
            guard::storage_of_protected(db, text(0), "it would be shared no more")
        }
        // Such a device ties a VM to one machine.
        "VGPU.create" | "VUSB.create" if !pool.ha_allow_overcommit() => {
            let code = if method == "VGPU.create" { "VM_HAS_VGPU" } else { "VM_HAS_VUSBS" };
            match Vm::get(db, text(0)) {
                Ok(vm) if is_protected(&vm) => Err(Failure::new(code, [text(0), TIED])),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// The management interface can neither be bonded nor unbonded.
fn bond(db: &Database, method: &str, params: &[Value]) -> Answer<()> {
    let refs = |value: Option<&Value>| -> Vec<String> {
        let items = value.and_then(Value::as_array).unwrap_or(&[]);
        items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let interfaces = match method {
        "Bond.create" => refs(params.get(1)),
        _ => {
            let bond = params.first().and_then(Value::as_str).unwrap_or("");
            let own = db.target("Bond", bond, "master").map(str::to_owned);
            own.into_iter().collect()
        }
    };
    let manages = |pif: &String| Pif::get(db, pif).is_ok_and(|pif| pif.management());
    if interfaces.iter().any(manages) {
        return Err(Failure::bare("HA_CANNOT_CHANGE_BOND_STATUS_OF_MGMT_IFACE"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xenapi::Model;

    #[test]
    fn every_method_of_the_table_exists() {
        for method in NEVER.iter().chain(&VOLUMES) {
            let (class, name) = method.split_once('.').unwrap();
            let class = Model::get().class(class).unwrap_or_else(|| panic!("{method}"));
            assert!(
                class.methods.contains_key(name)
                    || crate::agent::generic::find(class, name).is_some(),
                "{method}"
            );
        }
    }
}
