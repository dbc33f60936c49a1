//! Fields whose value comes by a rule of their own.

use super::evaluate::{Row, Rows};
use crate::cli::errors::{CliError, layout};
use crate::cli::printing::spelling::{NOT_IN_DATABASE, UNKNOWN, is_null};
use crate::client::CallError;
use crate::xenapi::Value;

type Shown = Result<Value, CliError>;

/// The storage types that the pool's drivers offer.
pub fn supported_sr_types(rows: &Rows<'_>, _: &Row) -> Shown {
    rows.asked("SR.get_supported_types", &[])
}

/// The address of the switch controller, if one is set.
pub fn vswitch_controller(_: &Rows<'_>, row: &Row) -> Shown {
    Ok(match row.text("vswitch_controller") {
        "" => "<not set>".into(),
        address => address.into(),
    })
}

/// True when every host has it.
pub fn https_only(rows: &Rows<'_>, _: &Row) -> Shown {
    let hosts = rows.session.records_once("host")?;
    let on = |host: &Value| host.get("https_only").and_then(Value::as_bool) == Some(true);
    Ok(Value::Bool(hosts.values().all(on)))
}

/// The value that all hosts agree on.
fn same_on_hosts(rows: &Rows<'_>, api: &str) -> Shown {
    let hosts = rows.session.records_once("host")?;
    let mut values = hosts.values().map(|host| host.get(api));
    let Some(Some(first)) = values.next() else { return Ok(NOT_IN_DATABASE.into()) };
    Ok(if values.all(|value| value == Some(first)) {
        first.clone()
    } else {
        "<inconsistent>".into()
    })
}

/// `ssh-enabled` of all hosts.
pub fn ssh_enabled(rows: &Rows<'_>, _: &Row) -> Shown {
    same_on_hosts(rows, "ssh_enabled")
}

/// `ssh-enabled-timeout` of all hosts.
pub fn ssh_enabled_timeout(rows: &Rows<'_>, _: &Row) -> Shown {
    same_on_hosts(rows, "ssh_enabled_timeout")
}

/// `ssh-expiry` of all hosts.
pub fn ssh_expiry(rows: &Rows<'_>, _: &Row) -> Shown {
    same_on_hosts(rows, "ssh_expiry")
}

/// `console-idle-timeout` of all hosts.
pub fn console_idle_timeout(rows: &Rows<'_>, _: &Row) -> Shown {
    same_on_hosts(rows, "console_idle_timeout")
}

/// `ssh-auto-mode` of all hosts.
pub fn ssh_auto_mode(rows: &Rows<'_>, _: &Row) -> Shown {
    same_on_hosts(rows, "ssh_auto_mode")
}

/// A figure of a VM or host that may not exist.
fn figure(rows: &Rows<'_>, class: &str, reference: &str, source: &str) -> Shown {
    let method = format!("{class}.query_data_source");
    match rows.session.call(&method, &[reference.into(), source.into()]) {
        Ok(value) => Ok(value),
        Err(CallError::Api(_)) => Ok(UNKNOWN.into()),
        Err(broken) => Err(broken.into()),
    }
}

/// A rate in KiB per second.
fn rate(rows: &Rows<'_>, class: &str, reference: &str, source: &str) -> Shown {
    let value = figure(rows, class, reference, source)?;
    Ok(value.as_float().map_or(value, |bytes| Value::Float(bytes / 1024.0)))
}

/// What a VM reads from a block device.
pub fn vbd_read(rows: &Rows<'_>, row: &Row) -> Shown {
    rate(rows, "VM", row.text("VM"), &format!("vbd_{}_read", row.text("device")))
}

/// What a VM writes to a block device.
pub fn vbd_write(rows: &Rows<'_>, row: &Row) -> Shown {
    rate(rows, "VM", row.text("VM"), &format!("vbd_{}_write", row.text("device")))
}

/// What a VM receives.
pub fn vif_read(rows: &Rows<'_>, row: &Row) -> Shown {
    rate(rows, "VM", row.text("VM"), &format!("vif_{}_rx", row.text("device")))
}

/// What a VM sends.
pub fn vif_write(rows: &Rows<'_>, row: &Row) -> Shown {
    rate(rows, "VM", row.text("VM"), &format!("vif_{}_tx", row.text("device")))
}

/// What a host receives.
pub fn pif_read(rows: &Rows<'_>, row: &Row) -> Shown {
    rate(rows, "host", row.text("host"), &format!("pif_{}_rx", row.text("device")))
}

/// What a host sends.
pub fn pif_write(rows: &Rows<'_>, row: &Row) -> Shown {
    rate(rows, "host", row.text("host"), &format!("pif_{}_tx", row.text("device")))
}

/// The load of one host CPU.
pub fn cpu_utilisation(rows: &Rows<'_>, row: &Row) -> Shown {
    let number = row.record.get("number").and_then(Value::as_int).unwrap_or_default();
    figure(rows, "host", row.text("host"), &format!("cpu{number}"))
}

/// The memory that a VM is asked to have.
pub fn memory_target(rows: &Rows<'_>, row: &Row) -> Shown {
    figure(rows, "VM", &row.reference, "memory_target")
}

/// The load of each of a VM's CPUs.
pub fn vcpus_utilisation(rows: &Rows<'_>, row: &Row) -> Shown {
    let metrics = rows.other("VM_metrics", row.text("metrics"))?;
    let count = metrics.and_then(|m| m.get("VCPUs_number")?.as_int()).unwrap_or_default();
    let mut loads = Vec::new();
    for cpu in 0..count {
        let load = figure(rows, "VM", &row.reference, &format!("cpu{cpu}"))?;
        let shown = load.as_float().map_or_else(|| UNKNOWN.to_owned(), |f| format!("{f:.3}"));
        loads.push((cpu.to_string(), shown));
    }
    Ok(Value::text_map(loads))
}

/// Half or full duplex; nothing without carrier.
pub fn duplex(rows: &Rows<'_>, row: &Row) -> Shown {
    let Some(metrics) = rows.other("PIF_metrics", row.text("metrics"))? else {
        return Ok(NOT_IN_DATABASE.into());
    };
    let flag = |api| metrics.get(api).and_then(Value::as_bool).unwrap_or_default();
    Ok(match (flag("carrier"), flag("duplex")) {
        (false, _) => "unknown".into(),
        (true, true) => "full".into(),
        (true, false) => "half".into(),
    })
}

/// The uuids of the patches behind a host's patch records.
pub fn host_patches(rows: &Rows<'_>, row: &Row) -> Shown {
    through(rows, row, "patches", "host_patch", "pool_patch", "pool_patch")
}

/// The hosts behind a patch's host records.
pub fn patch_hosts(rows: &Rows<'_>, row: &Row) -> Shown {
    through(rows, row, "host_patches", "host_patch", "host", "host")
}

/// Uuids two references away: own set, its class, that class's reference, the last class.
fn through(rows: &Rows<'_>, row: &Row, set: &str, class: &str, link: &str, last: &str) -> Shown {
    let mut uuids = Vec::new();
    for item in row.record.get(set).and_then(Value::as_array).unwrap_or_default() {
        let between = rows.other(class, item.as_str().unwrap_or(""))?;
        let end = between.as_ref().and_then(|b| b.get(link)?.as_str()).unwrap_or("");
        let found = rows.other(last, end)?;
        let uuid = found.as_ref().and_then(|f| f.get("uuid")?.as_str());
        uuids.push(uuid.unwrap_or(NOT_IN_DATABASE).to_owned());
    }
    Ok(Value::text_set(uuids))
}

/// The pool whose metadata a disk holds.
pub fn metadata_of_pool(rows: &Rows<'_>, row: &Row) -> Shown {
    let reference = row.text("metadata_of_pool");
    let found = rows.other("pool", reference)?;
    Ok(found.and_then(|pool| pool.get("uuid").cloned()).unwrap_or(NOT_IN_DATABASE.into()))
}

/// The name of a drive's disk, or that it is empty.
pub fn vdi_name(rows: &Rows<'_>, row: &Row) -> Shown {
    if row.record.get("empty").and_then(Value::as_bool) == Some(true) {
        return Ok("<EMPTY>".into());
    }
    let found = rows.other("VDI", row.text("VDI"))?;
    Ok(found.and_then(|vdi| vdi.get("name_label").cloned()).unwrap_or(NOT_IN_DATABASE.into()))
}

/// Whether a block device can be attached now, and if not, why.
pub fn attachable(rows: &Rows<'_>, row: &Row) -> Shown {
    match rows.session.call("VBD.assert_attachable", &[row.reference.as_str().into()]) {
        Ok(_) => Ok("true".into()),
        Err(CallError::Api(failure)) => {
            Ok(format!("false (error: {})", layout::raised(&failure)).into())
        }
        Err(broken) => Err(broken.into()),
    }
}

/// The one host that a storage repository is connected to, or that it is shared.
pub fn sr_host(rows: &Rows<'_>, row: &Row) -> Shown {
    let pbds = row.record.get("PBDs").and_then(Value::as_array).unwrap_or_default();
    let pbd = match pbds {
        [] => return Ok(NOT_IN_DATABASE.into()),
        [one] => rows.other("PBD", one.as_str().unwrap_or(""))?,
        _ => return Ok("<shared>".into()),
    };
    let host = pbd.as_ref().and_then(|pbd| pbd.get("host")?.as_str()).unwrap_or("");
    let found = rows.other("host", host)?;
    Ok(found.and_then(|host| host.get("name_label").cloned()).unwrap_or(NOT_IN_DATABASE.into()))
}

/// The names of a subject's roles.
pub fn subject_roles(rows: &Rows<'_>, row: &Row) -> Shown {
    named(rows, row.record.get("roles"), "role", "name_label")
}

/// A field of each object of a set.
fn named(rows: &Rows<'_>, set: Option<&Value>, class: &str, api: &str) -> Shown {
    let mut texts = Vec::new();
    for item in set.and_then(Value::as_array).unwrap_or_default() {
        let found = rows.other(class, item.as_str().unwrap_or(""))?;
        let text = found.as_ref().and_then(|f| f.get(api)?.as_str());
        texts.push(text.unwrap_or(NOT_IN_DATABASE).to_owned());
    }
    Ok(Value::text_set(texts))
}

/// The PCI ids that a GPU's device depends on.
pub fn pgpu_dependencies(rows: &Rows<'_>, row: &Row) -> Shown {
    let device = rows.other("PCI", row.text("PCI"))?;
    named(rows, device.as_ref().and_then(|d| d.get("dependencies")), "PCI", "pci_id")
}

/// The PCI ids that a device depends on.
pub fn pci_dependencies(rows: &Rows<'_>, row: &Row) -> Shown {
    named(rows, row.record.get("dependencies"), "PCI", "pci_id")
}

/// The largest picture of a virtual GPU type.
pub fn max_resolution(_: &Rows<'_>, row: &Row) -> Shown {
    let side = |api| row.record.get(api).and_then(Value::as_int).unwrap_or_default();
    Ok(format!("{}x{}", side("max_resolution_x"), side("max_resolution_y")).into())
}

/// How many virtual functions are left.
pub fn remaining_capacity(rows: &Rows<'_>, row: &Row) -> Shown {
    let method = "network_sriov.get_remaining_capacity";
    match rows.session.call(method, &[row.reference.as_str().into()]) {
        Ok(value) => Ok(value),
        Err(CallError::Api(_)) => Ok(UNKNOWN.into()),
        Err(broken) => Err(broken.into()),
    }
}

/// Whether a driver's variant is the active one.
pub fn driver_active(rows: &Rows<'_>, row: &Row) -> Shown {
    is_variant(rows, row, "active_variant")
}

/// Whether a driver's variant is the selected one.
pub fn driver_selected(rows: &Rows<'_>, row: &Row) -> Shown {
    is_variant(rows, row, "selected_variant")
}

fn is_variant(rows: &Rows<'_>, row: &Row, api: &str) -> Shown {
    let driver = rows.other("Host_driver", row.text("driver"))?;
    let chosen = driver.as_ref().and_then(|d| d.get(api)?.as_str()).unwrap_or("");
    Ok(Value::Bool(chosen == row.reference))
}

/// The name of a driver's active variant.
pub fn active_variant(rows: &Rows<'_>, row: &Row) -> Shown {
    variant_name(rows, row.text("active_variant"))
}

/// The name of a driver's selected variant.
pub fn selected_variant(rows: &Rows<'_>, row: &Row) -> Shown {
    variant_name(rows, row.text("selected_variant"))
}

fn variant_name(rows: &Rows<'_>, reference: &str) -> Shown {
    if is_null(reference) {
        return Ok("<none>".into());
    }
    let found = rows.other("Driver_variant", reference)?;
    Ok(found.and_then(|v| v.get("name").cloned()).unwrap_or("<none>".into()))
}

/// A driver's variants as texts.
fn variants(rows: &Rows<'_>, row: &Row, show: fn(&str, &Value) -> Option<String>) -> Shown {
    let mut texts = Vec::new();
    for item in row.record.get("variants").and_then(Value::as_array).unwrap_or_default() {
        if let Some(variant) = rows.other("Driver_variant", item.as_str().unwrap_or(""))? {
            let name = variant.get("name").and_then(Value::as_str).unwrap_or("");
            texts.extend(show(name, &variant));
        }
    }
    Ok(Value::text_set(texts))
}

fn versioned(name: &str, variant: &Value) -> String {
    format!("{name}/{}", variant.get("version").and_then(Value::as_str).unwrap_or(""))
}

/// Names and versions of a driver's variants.
pub fn driver_variants(rows: &Rows<'_>, row: &Row) -> Shown {
    variants(rows, row, |name, variant| Some(versioned(name, variant)))
}

/// How ripe a driver's variants are.
pub fn driver_status(rows: &Rows<'_>, row: &Row) -> Shown {
    variants(rows, row, |name, variant| {
        Some(format!("{name}={}", variant.get("status")?.as_str()?))
    })
}

/// The uuids of a driver's variants.
pub fn driver_uuids(rows: &Rows<'_>, row: &Row) -> Shown {
    variants(rows, row, |name, variant| Some(format!("{name}={}", variant.get("uuid")?.as_str()?)))
}

/// The variants for which the host has hardware.
pub fn driver_hardware(rows: &Rows<'_>, row: &Row) -> Shown {
    variants(rows, row, |name, variant| {
        variant.get("hardware_present")?.as_bool()?.then(|| versioned(name, variant))
    })
}
