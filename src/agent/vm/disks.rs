//! Virtual disks: made and removed by a host that has their SR attached.

use super::{master_epoch, uuid_of};
use crate::agent::Agent;
use crate::agent::agility::sees_sr;
use crate::agent::capacity::is_live;
use crate::agent::jobs::{self, Done, Job};
use crate::host::hypervisor::Format;
use crate::pool::Database;
use crate::pool::rows::{Host, Vdi};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use std::collections::BTreeMap;

/// A live host that has the SR attached: this one if it has.
pub fn host_of_sr(agent: &Agent, db: &Database, sr: &str) -> Answer<String> {
    db.require("SR", sr)?;
    let own = agent.host_ref(db).unwrap_or_default();
    if agent.is_simulated() || sees_sr(db, &own, sr) {
        return Ok(own);
    }
    Host::all(db)
        .find(|host| is_live(db, host) && sees_sr(db, host.reference, sr))
        .map(|host| host.reference.to_owned())
        .ok_or_else(|| Failure::new("SR_HAS_NO_PBDS", [sr]))
}

/// Makes a disk; gives its row. Sizes are bytes and are rounded up to whole MiB.
pub fn create_vdi(
    agent: &Agent,
    sr: &str,
    name: &str,
    size: i64,
    more: &BTreeMap<String, Value>,
) -> Answer<String> {
    let epoch = master_epoch(agent)?;
    let db = agent.store.read();
    let size =
        u64::try_from(size).map_err(|_| Failure::new("VDI_TOO_SMALL", [size.to_string()]))?;
    let format = match more.get("sm_config").and_then(|c| c.get("image-format")?.as_str()) {
        Some("qcow2") => Format::Qcow2,
        _ => Format::Raw,
    };
    let host = host_of_sr(agent, &db, sr)?;
    let (reference, uuid) = (crate::agent::new_reference(), uuid::Uuid::new_v4());
    let job = Job::CreateVdi { sr: uuid_of(&db, "SR", sr)?, vdi: uuid, format, size };
    let made = if agent.is_simulated() {
        Done::Vdi { uuid, size, used: 0 }
    } else {
        jobs::on_host(agent, &host, epoch, &job)?
    };
    let Done::Vdi { size, used, .. } = made else {
        return Err(Failure::internal("the host made no disk"));
    };
    agent.store.commit(|tx| {
        let mut fields = more.clone();
        let number = |n: u64| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        fields.insert("uuid".to_owned(), Value::from(uuid.to_string()));
        fields.insert("name_label".to_owned(), Value::from(name));
        fields.insert("SR".to_owned(), Value::from(sr));
        fields.insert("virtual_size".to_owned(), number(size));
        fields.insert("physical_utilisation".to_owned(), number(used));
        fields.insert("location".to_owned(), Value::from(uuid.to_string()));
        fields.insert("managed".to_owned(), Value::Bool(true));
        fields.entry("type".to_owned()).or_insert_with(|| Value::from("user"));
        tx.create("VDI", &reference, fields);
        Ok(())
    })?;
    Ok(reference)
}

/// Removes a disk that nothing uses.
pub fn destroy_vdi(agent: &Agent, vdi: &str) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let db = agent.store.read();
    let row = Vdi::get(&db, vdi)?;
    assert_unused(&db, &row)?;
    let sr = row.SR().unwrap_or("");
    let host = host_of_sr(agent, &db, sr)?;
    let job = Job::DestroyVdi { sr: uuid_of(&db, "SR", sr)?, vdi: uuid_of(&db, "VDI", vdi)? };
    if !agent.is_simulated() {
        jobs::on_host(agent, &host, epoch, &job)?;
    }
    agent.store.commit(|tx| {
        for vbd in tx.db().clone().set_of("VDI", vdi, "VBDs") {
            tx.delete("VBD", vbd);
        }
        tx.delete("VDI", vdi);
        Ok(())
    })
}

/// Changes the size of a disk that nothing uses.
pub fn resize_vdi(agent: &Agent, vdi: &str, size: i64) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let db = agent.store.read();
    let row = Vdi::get(&db, vdi)?;
    assert_unused(&db, &row)?;
    if size < row.virtual_size() {
        let why = "a disk can grow but not shrink";
        return Err(Failure::new("VDI_TOO_SMALL", [vdi, &row.virtual_size().to_string(), why]));
    }
    let sr = row.SR().unwrap_or("");
    let host = host_of_sr(agent, &db, sr)?;
    let job = Job::ResizeVdi {
        sr: uuid_of(&db, "SR", sr)?,
        vdi: uuid_of(&db, "VDI", vdi)?,
        size: u64::try_from(size).unwrap_or(0),
    };
    let size = match jobs::on_host(agent, &host, epoch, &job)? {
        Done::Vdi { size, .. } => i64::try_from(size).unwrap_or(i64::MAX),
        _ => size,
    };
    agent.store.commit(|tx| {
        tx.set("VDI", vdi, "virtual_size", size);
        Ok(())
    })
}

/// Refuses disks that a VM uses, and those that HA needs.
fn assert_unused(db: &Database, vdi: &Vdi<'_>) -> Answer<()> {
    let kind = db.text("VDI", vdi.reference, "type");
    let pool = crate::agent::pool_ref(db).unwrap_or("");
    if matches!(kind, "ha_statefile" | "redo_log") && db.flag("pool", pool, "ha_enabled") {
        return Err(Failure::bare("HA_IS_ENABLED"));
    }
    let attached = |vbd: &&str| db.flag("VBD", vbd, "currently_attached");
    if vdi.VBDs().iter().any(attached) {
        return Err(Failure::new("VDI_IN_USE", [vdi.reference, "destroy"]));
    }
    Ok(())
}
