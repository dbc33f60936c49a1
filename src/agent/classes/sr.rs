//! SR: storage repositories.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::agent::jobs::{self, Done, Job};
use crate::agent::vm::{disks::host_of_sr, master_epoch, uuid_of};
use crate::agent::{Agent, host_facts, new_reference, new_uuid};
use crate::host::sr::file::FileSr;
use crate::pool::rows::{Host, Pbd, Sr};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) const METHODS: Methods = &[
    ("create", create),
    ("introduce", introduce),
    ("forget", forget),
    ("destroy", destroy),
    ("scan", |call| scan(call.agent, call.text(0)).map(|()| Value::void())),
    ("update", |call| scan(call.agent, call.text(0)).map(|()| Value::void())),
    ("probe", probe),
    ("get_supported_types", |_| Ok(Value::text_set(["file"]))),
    ("assert_can_host_ha_statefile", |call| {
        crate::agent::ha::volumes::assert_can_host(call.agent, call.text(0)).map(|()| Value::void())
    }),
];

/// The directory of a `file` SR, or what is missing.
fn location(config: &BTreeMap<String, String>) -> Answer<String> {
    match config.get("location") {
        Some(location) if Path::new(location).is_absolute() => Ok(location.clone()),
        Some(_) => {
            let why = "device-config:location must be an absolute path";
            Err(Failure::new("SR_BACKEND_FAILURE_90", ["", why, ""]))
        }
        None => {
            let why = "The request is missing the location parameter";
            Err(Failure::new("SR_BACKEND_FAILURE_90", ["", why, ""]))
        }
    }
}

fn only_file(kind: &str) -> Answer<()> {
    if kind == "file" { Ok(()) } else { Err(Failure::new("SR_UNKNOWN_DRIVER", [kind])) }
}

/// `create(host, device_config, physical_size, name_label, name_description, type, content_type,
/// shared, sm_config)`: the directory is made on one host, then plugged where it should be seen.
fn create(call: &Call<'_>) -> Answer {
    master_epoch(call.agent)?;
    let (host, config) = (call.text(0), call.map(1));
    only_file(call.text(5))?;
    location(&config)?;
    let shared = call.flag(7);
    let db = call.agent.store.read();
    db.require("host", host)?;
    let (sr, uuid) = (new_reference(), new_uuid());
    let hosts: Vec<String> = if shared {
        Host::all(&db).map(|host| host.reference.to_owned()).collect()
    } else {
        vec![host.to_owned()]
    };
    let mut pbds = Vec::new();
    call.agent.store.commit(|tx| {
        tx.create(
            "SR",
            &sr,
            [
                ("uuid", Value::from(uuid.as_str())),
                ("name_label", call.params[3].clone()),
                ("name_description", call.params[4].clone()),
                ("type", call.params[5].clone()),
                ("content_type", call.params[6].clone()),
                ("shared", Value::Bool(shared)),
                ("sm_config", Value::text_map(call.map(8))),
            ],
        );
        for host in &hosts {
            let pbd = new_reference();
            tx.create(
                "PBD",
                &pbd,
                [
                    ("uuid", Value::from(new_uuid())),
                    ("host", Value::from(host.as_str())),
                    ("SR", Value::from(sr.as_str())),
                    ("device_config", Value::text_map(config.clone())),
                ],
            );
            pbds.push((host.clone(), pbd));
        }
        Ok(())
    })?;
    // The host that was named makes the directory; a failure there takes everything back.
    pbds.sort_by_key(|(on, _)| on != host);
    for (number, (_, pbd)) in pbds.iter().enumerate() {
        let plugged = host_facts::plug(call.agent, pbd, number == 0);
        if let Err(failure) = plugged.filter_first(number) {
            call.agent.store.commit(|tx| {
                for (_, pbd) in &pbds {
                    tx.delete("PBD", pbd);
                }
                tx.delete("SR", &sr);
                Ok(())
            })?;
            return Err(failure);
        }
    }
    scan(call.agent, &sr)?;
    Ok(Value::from(sr))
}

trait FilterFirst {
    fn filter_first(self, number: usize) -> Answer<()>;
}

impl FilterFirst for Answer<()> {
    /// A host that cannot plug a shared SR keeps an unplugged PBD; only the first must succeed.
    fn filter_first(self, number: usize) -> Answer<()> {
        if number == 0 { self } else { Ok(()) }
    }
}

/// `introduce(uuid, name_label, name_description, type, content_type, shared, sm_config)`
fn introduce(call: &Call<'_>) -> Answer {
    only_file(call.text(3))?;
    let uuid = call.text(0).to_owned();
    if uuid.parse::<uuid::Uuid>().is_err() {
        return Err(Failure::new("UUID_INVALID", ["SR", &uuid]));
    }
    let sr = new_reference();
    call.agent.store.commit(|tx| {
        if tx.db().by_uuid("SR", &uuid).is_some() {
            return Err(Failure::new("SR_UUID_EXISTS", [uuid.as_str()]));
        }
        tx.create(
            "SR",
            &sr,
            [
                ("uuid", Value::from(uuid.as_str())),
                ("name_label", call.params[1].clone()),
                ("name_description", call.params[2].clone()),
                ("type", call.params[3].clone()),
                ("content_type", call.params[4].clone()),
                ("shared", call.params[5].clone()),
                ("sm_config", Value::text_map(call.map(6))),
            ],
        );
        Ok(())
    })?;
    Ok(Value::from(sr))
}

fn forget(call: &Call<'_>) -> Answer {
    let sr = call.text(0);
    call.agent.store.commit(|tx| {
        let db = tx.db().clone();
        let row = Sr::get(&db, sr)?;
        let plugged = |pbd: &&str| Pbd::get(&db, pbd).is_ok_and(|pbd| pbd.currently_attached());
        if row.PBDs().iter().any(plugged) {
            return Err(Failure::new("SR_HAS_PBD", [sr]));
        }
        for vdi in row.VDIs() {
            for vbd in db.set_of("VDI", vdi, "VBDs") {
                tx.delete("VBD", vbd);
            }
            tx.delete("VDI", vdi);
        }
        for pbd in row.PBDs() {
            tx.delete("PBD", pbd);
        }
        tx.delete("SR", sr);
        Ok(Value::void())
    })
}

/// Removes every disk of the SR and then its row. The SR is plugged on one host for that long.
fn destroy(call: &Call<'_>) -> Answer {
    let sr = call.text(0);
    let db = call.agent.store.read();
    let row = Sr::get(&db, sr)?;
    let plugged = |pbd: &&str| Pbd::get(&db, pbd).is_ok_and(|pbd| pbd.currently_attached());
    if row.PBDs().iter().any(plugged) {
        return Err(Failure::new("SR_HAS_PBD", [sr]));
    }
    let Some(pbd) = row.PBDs().first().map(|pbd| (*pbd).to_owned()) else {
        return Err(Failure::new("SR_HAS_NO_PBDS", [sr]));
    };
    host_facts::plug(call.agent, &pbd, false)?;
    for vdi in row.VDIs() {
        crate::agent::vm::disks::destroy_vdi(call.agent, vdi)?;
    }
    call.agent.store.commit(|tx| {
        tx.set("PBD", &pbd, "currently_attached", false);
        Ok(())
    })?;
    forget(call)
}

/// Reads the SR's space and disks; disks that have no row get one.
pub fn scan(agent: &Agent, sr: &str) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let db = agent.store.read();
    if db.require("SR", sr).is_ok() && db.text("SR", sr, "type") != "file" {
        return Ok(());
    }
    let host = host_of_sr(agent, &db, sr)?;
    let job = Job::ScanSr { sr: uuid_of(&db, "SR", sr)? };
    let Done::Sr { total, free, disks } = jobs::on_host(agent, &host, epoch, &job)? else {
        return Ok(());
    };
    let number = |bytes: u64| Value::Int(i64::try_from(bytes).unwrap_or(i64::MAX));
    agent.store.commit(|tx| {
        for (uuid, size, used) in &disks {
            let known = tx.db().by_uuid("VDI", &uuid.to_string()).map(str::to_owned);
            let vdi = known.unwrap_or_else(|| {
                let vdi = new_reference();
                let fields = [
                    ("uuid", Value::from(uuid.to_string())),
                    ("SR", Value::from(sr)),
                    ("location", Value::from(uuid.to_string())),
                    ("managed", Value::Bool(true)),
                    ("type", Value::from("user")),
                ];
                tx.create("VDI", &vdi, fields);
                vdi
            });
            tx.set("VDI", &vdi, "virtual_size", number(*size));
            tx.set("VDI", &vdi, "physical_utilisation", number(*used));
        }
        let allocated: i64 = tx
            .db()
            .set_of("SR", sr, "VDIs")
            .iter()
            .map(|vdi| tx.db().int("VDI", vdi, "virtual_size"))
            .sum();
        tx.set("SR", sr, "physical_size", number(total));
        tx.set("SR", sr, "physical_utilisation", number(total.saturating_sub(free)));
        tx.set("SR", sr, "virtual_allocation", allocated);
        Ok(())
    })
}

/// `probe(host, device_config, type, sm_config)`: the SR that lives in a directory, as XML.
fn probe(call: &Call<'_>) -> Answer {
    only_file(call.text(2))?;
    let location = location(&call.map(1))?;
    let found = FileSr::probe(Path::new(&location)).map_err(|error| {
        Failure::new("SR_BACKEND_FAILURE_40", ["", &format!("{location}: {error}"), ""])
    })?;
    let inner = found.map_or(String::new(), |uuid| format!("<SR><UUID>{uuid}</UUID></SR>"));
    Ok(Value::from(format!("<?xml version=\"1.0\" ?>\n<SRlist>{inner}</SRlist>\n")))
}
