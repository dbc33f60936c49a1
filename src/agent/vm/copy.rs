//! Clones, installation from a template, and destruction.

use super::{assert_power, master_epoch, message};
use crate::agent::jobs::{self, Job};
use crate::agent::{Agent, new_reference, new_uuid};
use crate::pool::rows::{Vbd, Vdi, Vif, Vm};
use crate::pool::{Database, Transaction, relations};
use crate::xenapi::failure::Answer;
use crate::xenapi::model::{Model, Qualifier};
use crate::xenapi::{Failure, NULL_REF, Value};
use std::collections::BTreeMap;

/// The fields of a row that a copy of it begins with.
fn copied(db: &Database, class: &str, reference: &str) -> BTreeMap<String, Value> {
    let Some(class) = Model::get().class(class) else { return BTreeMap::new() };
    let Some(row) = db.row(&class.name, reference) else { return BTreeMap::new() };
    let own = |name: &str| name.starts_with("xe_") || relations::is_mirror(&class.name, name);
    let fields = class.fields.iter().enumerate();
    fields
        .filter(|(_, f)| !f.transient && f.qualifier != Qualifier::Internal && !own(&f.name))
        .map(|(index, field)| (field.name.clone(), row.at(index).clone()))
        .collect()
}

/// Copies a VM or template with its disks; gives the new VM, halted.
pub fn clone(agent: &Agent, vm: &str, name: &str) -> Answer<String> {
    master_epoch(agent)?;
    let db = agent.store.read();
    let row = Vm::get(&db, vm)?;
    assert_power(&row, &["Halted"])?;
    let mut disks = BTreeMap::new();
    for vbd in row.VBDs().into_iter().filter_map(|vbd| Vbd::get(&db, vbd).ok()) {
        if let Some(vdi) = vbd.VDI().filter(|_| !vbd.empty() && vbd.mode() != "RO") {
            disks.insert(vdi.to_owned(), copy_disk(agent, vdi)?);
        }
    }
    let new = new_reference();
    agent.store.commit(|tx| {
        let db = tx.db().clone();
        let mut fields = copied(&db, "VM", vm);
        fields.insert("uuid".to_owned(), Value::from(new_uuid()));
        fields.insert("name_label".to_owned(), Value::from(name));
        fields.insert("is_default_template".to_owned(), Value::Bool(false));
        fields.insert("metrics".to_owned(), Value::from(new_metrics(tx)));
        for reset in ["resident_on", "suspend_VDI", "guest_metrics", "snapshot_of", "parent"] {
            fields.insert(reset.to_owned(), Value::from(NULL_REF));
        }
        fields.insert("ha_always_run".to_owned(), Value::Bool(false));
        tx.create("VM", &new, fields);
        for vbd in db.set_of("VM", vm, "VBDs") {
            let mut fields = copied(&db, "VBD", vbd);
            let disk = fields.get("VDI").and_then(Value::as_str).unwrap_or("").to_owned();
            if let Some(copy) = disks.get(&disk) {
                fields.insert("VDI".to_owned(), Value::from(copy.as_str()));
            }
            attach(tx, "VBD", &new, fields);
        }
        for vif in db.set_of("VM", vm, "VIFs") {
            let fields = copied(&db, "VIF", vif);
            attach(tx, "VIF", &new, fields);
        }
        Ok(())
    })?;
    message(agent, "VM_CLONED", 5, "VM", agent.store.read().text("VM", &new, "uuid"), "");
    Ok(new)
}

fn attach(tx: &mut Transaction, class: &str, vm: &str, mut fields: BTreeMap<String, Value>) {
    fields.insert("uuid".to_owned(), Value::from(new_uuid()));
    fields.insert("VM".to_owned(), Value::from(vm));
    fields.insert("currently_attached".to_owned(), Value::Bool(false));
    fields.insert("metrics".to_owned(), Value::from(NULL_REF));
    tx.create(class, &new_reference(), fields);
}

/// A row of the class VM_metrics for a new VM.
pub fn new_metrics(tx: &mut Transaction) -> String {
    let metrics = new_reference();
    tx.create("VM_metrics", &metrics, [("uuid", Value::from(new_uuid()))]);
    metrics
}

/// Copies a disk within its SR; gives the new VDI.
pub fn copy_disk(agent: &Agent, vdi: &str) -> Answer<String> {
    let epoch = master_epoch(agent)?;
    let db = agent.store.read();
    let row = Vdi::get(&db, vdi)?;
    let sr = row.SR().unwrap_or(NULL_REF);
    let host = super::disks::host_of_sr(agent, &db, sr)?;
    let (new, uuid) = (new_reference(), uuid::Uuid::new_v4());
    let job = Job::CopyVdi {
        sr: super::uuid_of(&db, "SR", sr)?,
        from: super::uuid_of(&db, "VDI", vdi)?,
        to: uuid,
    };
    jobs::on_host(agent, &host, epoch, &job)?;
    agent.store.commit(|tx| {
        let mut fields = copied(tx.db(), "VDI", vdi);
        fields.insert("uuid".to_owned(), Value::from(uuid.to_string()));
        fields.insert("location".to_owned(), Value::from(uuid.to_string()));
        fields.insert("snapshot_of".to_owned(), Value::from(NULL_REF));
        tx.create("VDI", &new, fields);
        Ok(())
    })?;
    Ok(new)
}

/// Makes the disks that a template describes (`other_config:disks`) and takes the description away.
pub fn provision(agent: &Agent, vm: &str) -> Answer<()> {
    let db = agent.store.read();
    assert_power(&Vm::get(&db, vm)?, &["Halted"])?;
    let wanted = db.key("VM", vm, "other_config", "disks").unwrap_or("").to_owned();
    for disk in described_disks(&wanted) {
        let sr = match db.by_uuid("SR", &disk.sr) {
            Some(sr) => sr.to_owned(),
            None => default_sr(&db)?,
        };
        let name = format!("{} {}", db.text("VM", vm, "name_label"), disk.device);
        let vdi = super::disks::create_vdi(agent, &sr, &name, disk.size, &BTreeMap::new())?;
        agent.store.commit(|tx| {
            tx.create(
                "VBD",
                &new_reference(),
                [
                    ("uuid", Value::from(new_uuid())),
                    ("VM", Value::from(vm)),
                    ("VDI", Value::from(vdi.as_str())),
                    ("userdevice", Value::from(disk.device.as_str())),
                    ("mode", Value::from("RW")),
                    ("type", Value::from("Disk")),
                    ("bootable", Value::Bool(disk.bootable)),
                ],
            );
            Ok(())
        })?;
    }
    agent.store.commit(|tx| {
        tx.remove_key("VM", vm, "other_config", "disks");
        tx.set("VM", vm, "is_a_template", false);
        Ok(())
    })
}

fn default_sr(db: &Database) -> Answer<String> {
    let pool = crate::agent::pool_ref(db).unwrap_or("");
    let sr = db.target("pool", pool, "default_SR").map(str::to_owned);
    sr.ok_or_else(|| Failure::new("DEFAULT_SR_NOT_FOUND", [NULL_REF]))
}

#[derive(Debug, PartialEq, Eq)]
struct Described {
    device: String,
    size: i64,
    sr: String,
    bootable: bool,
}

/// Reads `<provision><disk device="0" size="…" sr="…" bootable="true"/></provision>`.
fn described_disks(xml: &str) -> Vec<Described> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut disks = Vec::new();
    while let Ok(event) = reader.read_event() {
        let tag = match &event {
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == "disk" => tag,
            Event::Eof => break,
            _ => continue,
        };
        let attribute = |name: &str| {
            let found = tag.try_get_attribute(name).ok().flatten();
            found.map(|a| a.value.to_string()).unwrap_or_default()
        };
        disks.push(Described {
            device: attribute("device"),
            size: attribute("size").parse().unwrap_or(0),
            sr: attribute("sr"),
            bootable: attribute("bootable") == "true",
        });
    }
    disks
}

/// Removes a halted VM's row with its devices; disks stay.
pub fn destroy(agent: &Agent, vm: &str) -> Answer<()> {
    master_epoch(agent)?;
    agent.store.commit(|tx| {
        let db = tx.db().clone();
        let row = Vm::get(&db, vm)?;
        if row.is_control_domain() {
            return Err(Failure::new("OPERATION_NOT_ALLOWED", ["the VM is a control domain"]));
        }
        assert_power(&row, &["Halted"])?;
        for vbd in row.VBDs() {
            tx.delete("VBD", vbd);
        }
        for vif in row.VIFs().into_iter().filter(|vif| Vif::get(&db, vif).is_ok()) {
            tx.delete("VIF", vif);
        }
        if let Some(metrics) = row.metrics().filter(|m| db.row("VM_metrics", m).is_some()) {
            tx.delete("VM_metrics", metrics);
        }
        tx.delete("VM", vm);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_describe_their_disks_in_xml() {
        let disk = r#"<disk device="0" size="8589934592" sr="" bootable="true" type="system"/>"#;
        let xml = format!("<provision>{disk}</provision>");
        let disk =
            Described { device: "0".into(), size: 8 << 30, sr: String::new(), bootable: true };
        assert_eq!(described_disks(&xml), [disk]);
        assert!(described_disks("").is_empty() && described_disks("<provision").is_empty());
    }
}
