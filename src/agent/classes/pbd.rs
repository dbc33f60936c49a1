//! PBD: the attachment of SRs to hosts.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::agent::generic::checked_record;
use crate::agent::jobs::{self, Job};
use crate::agent::vm::{master_epoch, uuid_of};
use crate::agent::{guard, host_facts, new_reference, new_uuid};
use crate::pool::rows::{Pbd, Pool, Vm};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Model, NULL_REF, Value};
use std::collections::BTreeMap;

pub(super) const METHODS: Methods =
    &[("create", create), ("destroy", destroy), ("plug", plug), ("unplug", unplug)];

fn create(call: &Call<'_>) -> Answer {
    let reference = new_reference();
    let empty = BTreeMap::new();
    let given = call.params[0].as_struct().unwrap_or(&empty);
    let class = Model::get().class("PBD").ok_or_else(|| Failure::internal("no PBDs"))?;
    call.agent
        .store
        .commit(|tx| {
            let mut fields = checked_record(tx.db(), class, given)?;
            let text =
                |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
            let (host, sr) = (text("host"), text("SR"));
            tx.row("host", &host)?;
            tx.row("SR", &sr)?;
            let same = |pbd: &Pbd<'_>| pbd.host() == Some(&host) && pbd.SR() == Some(&sr);
            if let Some(pbd) = Pbd::all(tx.db()).find(same) {
                return Ok(pbd.reference.to_owned());
            }
            fields.insert("uuid".to_owned(), Value::from(new_uuid()));
            tx.create("PBD", &reference, fields);
            Ok(reference.clone())
        })
        .map(Value::from)
}

fn destroy(call: &Call<'_>) -> Answer {
    call.agent.store.commit(|tx| {
        if Pbd::get(tx.db(), call.text(0))?.currently_attached() {
            return Err(Failure::new("OPERATION_NOT_ALLOWED", ["the PBD is plugged"]));
        }
        tx.delete("PBD", call.text(0));
        Ok(Value::void())
    })
}

fn plug(call: &Call<'_>) -> Answer {
    host_facts::plug(call.agent, call.text(0), false)?;
    Ok(Value::void())
}

fn unplug(call: &Call<'_>) -> Answer {
    let epoch = master_epoch(call.agent)?;
    let db = call.agent.store.read();
    let pbd = Pbd::get(&db, call.text(0))?;
    let (host, sr) = (pbd.host().unwrap_or(NULL_REF), pbd.SR().unwrap_or(NULL_REF));
    let ha = Pool::all(&db).find(Pool::ha_enabled);
    let holds = |vdi: &&str| db.target("VDI", vdi, "SR") == Some(sr);
    if ha.is_some_and(|pool| pool.ha_statefiles().iter().any(holds)) {
        return Err(Failure::bare("HA_IS_ENABLED"));
    }
    for vm in Vm::all(&db).filter(|vm| vm.resident_on() == Some(host)) {
        let mut disks = vm.VBDs().into_iter().filter(|vbd| !db.flag("VBD", vbd, "empty"));
        if let Some(vdi) = disks.find_map(|vbd| db.target("VBD", vbd, "VDI").filter(holds)) {
            let why = format!("VM {} uses it there", guard::listed(&db, "VM", &[vm.reference]));
            return Err(Failure::new("VDI_IN_USE", [vdi, &why]));
        }
    }
    if ha.is_some() {
        let host = db.text("host", host, "name_label");
        guard::storage_of_protected(&db, sr, &format!("{host} would lose it"))?;
    }
    if db.text("SR", sr, "type") == "file" && pbd.currently_attached() {
        jobs::on_host(call.agent, host, epoch, &Job::UnplugSr { sr: uuid_of(&db, "SR", sr)? })?;
    }
    call.agent.store.commit(|tx| {
        tx.set("PBD", call.text(0), "currently_attached", false);
        Ok(Value::void())
    })
}
