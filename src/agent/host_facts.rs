//! What hosts report of themselves, and what the master makes of it.
//!
//! A host reports when it comes up and every few seconds after. What runs there the master asks for
//! itself: a host's word about its own VMs in its own boot is the truth (R6.5).

use super::jobs::{self, Done, FoundVm, Job};
use super::vm::{self, start::record_running};
use super::{Agent, new_reference, new_uuid, now};
use crate::host::hypervisor::RunState;
use crate::pool::{Database, Transaction};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, NULL_REF, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A host that was not heard for so long is shown as not live while HA is off.
const SILENT: Duration = Duration::from_secs(30);

/// One report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Facts {
    /// The host.
    pub host: Uuid,
    /// Its boot.
    pub boot: String,
    /// Its memory for VMs in bytes.
    pub memory: i64,
    /// Its processors.
    pub cpus: i64,
    /// Whether this is the first report of its agent: SRs must be attached again.
    pub first: bool,
}

static HEARD: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());

/// Notes that a host's agent was heard.
pub fn seen(agent: &Agent, host: &str) {
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    let known = heard.insert(host.to_owned(), Instant::now());
    drop(heard);
    if known.is_none_or(|at| at.elapsed() > SILENT) {
        set_live(agent, host, true);
    }
}

/// Shows hosts that were not heard lately as not live; only while HA is off, whose view knows more.
pub fn expire(agent: &Agent) {
    let silent: Vec<String> = {
        let heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = heard.iter().filter(|(_, at)| at.elapsed() > SILENT);
        silent.map(|(host, _)| host.clone()).collect()
    };
    for host in silent {
        set_live(agent, &host, false);
    }
}

/// Shows a host, by uuid, as live or not.
pub fn set_live(agent: &Agent, host: &str, live: bool) {
    agent.store.touch(|tx| {
        let db = tx.db().clone();
        let Some(host) = db.by_uuid("host", host) else { return };
        if let Some(metrics) = db.target("host", host, "metrics") {
            tx.set("host_metrics", metrics, "live", live);
            tx.set("host_metrics", metrics, "last_updated", now());
        }
    });
}

/// Takes a report of a host.
pub fn report(agent: &Agent, facts: &Facts) -> Answer<()> {
    let host_uuid = facts.host.to_string();
    let db = agent.store.read();
    let host = db
        .by_uuid("host", &host_uuid)
        .ok_or_else(|| Failure::new("HOST_UNKNOWN_TO_MASTER", [host_uuid.as_str()]))?
        .to_owned();
    seen(agent, &host_uuid);
    set_live(agent, &host_uuid, true);
    let rebooted = db.text("host", &host, "xe_boot") != facts.boot;
    if rebooted || facts.first {
        came_up(agent, &host, facts, rebooted)?;
    }
    if rebooted || facts.first {
        plug_srs(agent, &host);
        reconcile(agent, &host)?;
        super::recover::wake(agent);
    }
    Ok(())
}

/// A new boot: what the old one ran is gone with it (R5.3b; the report came over the pool's TLS).
fn came_up(agent: &Agent, host: &str, facts: &Facts, rebooted: bool) -> Answer<()> {
    agent.history.note(
        "host-up",
        if rebooted { "a new boot" } else { "a new agent" },
        serde_json::json!({ "host": facts.host, "boot": facts.boot }),
    );
    if rebooted && was_fenced(agent, facts.host) {
        let body = "the host was reset by its watchdog or lost its power";
        vm::message(agent, "HA_HOST_WAS_FENCED", 4, "Host", &facts.host.to_string(), body);
    }
    agent.store.commit(|tx| {
        let db = tx.db().clone();
        if rebooted {
            forget_boot(tx, host);
            for pbd in db.set_of("host", host, "PBDs") {
                tx.set("PBD", pbd, "currently_attached", false);
            }
            tx.set("host", host, "xe_boot", facts.boot.as_str());
            let disabled = db.key("host", host, "other_config", "xe-disabled-until-enabled");
            tx.set("host", host, "enabled", disabled.is_none());
            tx.put_key("host", host, "other_config", "boot_time", &epoch_seconds());
        }
        tx.put_key("host", host, "other_config", "agent_start_time", &epoch_seconds());
        if let Some(metrics) = db.target("host", host, "metrics") {
            tx.set("host_metrics", metrics, "memory_total", facts.memory);
        }
        for pif in db.set_of("host", host, "PIFs") {
            tx.set("PIF", pif, "currently_attached", true);
        }
        Ok(())
    })
}

/// Whether the last life of a host ended without its leave, as far as the living set tells.
fn was_fenced(agent: &Agent, host: Uuid) -> bool {
    let Some(liveset) = agent.ha.liveset() else { return false };
    let ended = liveset.dead.iter().find(|dead| dead.host == host);
    ended.is_some_and(|dead| dead.reason != crate::heartbeat::view::Proof::LeftEmpty)
}

fn epoch_seconds() -> String {
    format!("{}.", jiff::Timestamp::now().as_second())
}

/// Records that nothing of a host's boot runs any more.
pub fn forget_boot(tx: &mut Transaction, host: &str) {
    let db = tx.db().clone();
    for vm_row in db.set_of("host", host, "resident_VMs") {
        if !db.flag("VM", vm_row, "is_control_domain") {
            vm::set_halted(tx, vm_row);
        }
    }
    for (intent, _) in db.table("xe_intent") {
        if db.text("xe_intent", intent, "host") == host {
            let of = db.text("xe_intent", intent, "VM");
            // A migration's intent names the target; its VM runs on at the source.
            if db.target("VM", of, "resident_on").is_none() {
                vm::set_halted(tx, of);
            }
            tx.delete("xe_intent", intent);
        }
    }
}

/// Asks a host what really runs there and corrects the database by it (R6.5).
///
/// Only what the database said before the scan began, and still says after it, is judged: a VM that
/// started meanwhile is none of this scan's business.
pub fn reconcile(agent: &Agent, host: &str) -> Answer<()> {
    let epoch = vm::master_epoch(agent)?;
    let before = agent.store.read();
    let Done::Found(found) = jobs::on_host(agent, host, epoch, &Job::Scan)? else { return Ok(()) };
    let found: BTreeMap<String, &FoundVm> =
        found.iter().map(|found| (found.vm.to_string(), found)).collect();
    let mut notes = Vec::new();
    agent.store.commit(|tx| {
        let now = tx.db().clone();
        let unchanged = |vm_row: &str| settled(&before, vm_row) == settled(&now, vm_row);
        for vm_row in before.set_of("host", host, "resident_VMs") {
            let missing = !found.contains_key(before.text("VM", vm_row, "uuid"));
            let alone = vm::intent_of(&now, vm_row).is_none();
            let real = !before.flag("VM", vm_row, "is_control_domain");
            if missing && real && alone && unchanged(vm_row) {
                vm::set_halted(tx, vm_row);
                notes.push(("vm-gone", before.text("VM", vm_row, "uuid").to_owned()));
            }
        }
        for (uuid, found) in &found {
            let executes = matches!(found.state, RunState::Running | RunState::Paused);
            let Some(vm_row) = before.by_uuid("VM", uuid).filter(|_| executes) else { continue };
            let nowhere = now.target("VM", vm_row, "resident_on").is_none();
            if nowhere && unchanged(vm_row) && is_outcome(agent, &now, vm_row, host, found.run) {
                let state = if found.state == RunState::Paused { "Paused" } else { "Running" };
                record_running(tx, vm_row, host, state, found.run);
                notes.push(("vm-adopted", uuid.clone()));
            }
        }
        resolve_absent(agent, tx, &before, host, &found);
        Ok(())
    })?;
    tidy_migrations(agent, host, epoch, &found);
    for (event, uuid) in notes {
        let host = before.text("host", host, "uuid");
        agent.history.note(
            event,
            "its host's scan says so",
            serde_json::json!({
                "vm": uuid, "host": host,
            }),
        );
    }
    Ok(())
}

/// Ends what a broken migration left: a target that is not the owner is aborted, a source that is not
/// is finished, a source that still is goes on. Only ContinueReceived makes a target execute, and that
/// comes after the owner's row.
fn tidy_migrations(agent: &Agent, host: &str, epoch: u64, found: &BTreeMap<String, &FoundVm>) {
    let db = agent.store.read();
    for (uuid, found) in found {
        let Some(vm_row) = db.by_uuid("VM", uuid) else { continue };
        if super::recover::is_starting(agent, vm_row) {
            continue;
        }
        let owner = db.target("VM", vm_row, "resident_on") == Some(host);
        let vm = found.vm;
        let job = match (found.state, owner) {
            (RunState::Stopped, true) => Job::ResumeSource { vm },
            (RunState::Stopped, false) => Job::FinishSource { vm },
            (RunState::Received, true) => Job::ContinueReceived { vm },
            (RunState::Receiving | RunState::Received, false) => Job::AbortReceived { vm },
            _ => continue,
        };
        let outcome = jobs::on_host(agent, host, epoch, &job);
        agent.history.note(
            "migration-tidied",
            &format!("{outcome:?}"),
            serde_json::json!({
                "vm": uuid, "state": found.state, "owner": owner,
            }),
        );
    }
}

/// What a scan must find unchanged: where a VM runs, which run, and what is intended.
fn settled(db: &Database, vm_row: &str) -> (String, i64, String, Option<String>) {
    (
        db.text("VM", vm_row, "resident_on").to_owned(),
        db.int("VM", vm_row, "xe_run"),
        db.text("VM", vm_row, "power_state").to_owned(),
        vm::intent_of(db, vm_row),
    )
}

/// Whether a VM that a host found is the outcome of a start whose result is not known, or one that
/// runs although the database thinks it halted: found is running, never killed.
fn is_outcome(agent: &Agent, db: &Database, vm_row: &str, host: &str, run: u64) -> bool {
    match vm::intent_of(db, vm_row) {
        Some(intent) => {
            db.text("xe_intent", &intent, "host") == host
                && u64::try_from(db.int("xe_intent", &intent, "run")) == Ok(run)
                && !super::recover::is_starting(agent, vm_row)
        }
        None => db.text("VM", vm_row, "power_state") == "Halted",
    }
}

/// Ends intents of starts on this host that nobody waits for and that left no VM.
fn resolve_absent(
    agent: &Agent,
    tx: &mut Transaction,
    before: &Database,
    host: &str,
    found: &BTreeMap<String, &FoundVm>,
) {
    let db = tx.db().clone();
    for intent in before.table("xe_intent").keys() {
        let of = before.text("xe_intent", intent, "VM");
        let here = before.text("xe_intent", intent, "host") == host;
        let still = db.row("xe_intent", intent).is_some();
        let absent = !found.contains_key(before.text("VM", of, "uuid"));
        if here && still && absent && !super::recover::is_starting(agent, of) {
            tx.delete("xe_intent", intent);
            if db.target("VM", of, "resident_on").is_none()
                && db.text("VM", of, "power_state") != "Suspended"
            {
                vm::set_halted(tx, of);
            }
        }
    }
}

/// Attaches the host's SRs again.
fn plug_srs(agent: &Agent, host: &str) {
    let db = agent.store.read();
    for pbd in db.set_of("host", host, "PBDs") {
        if let Err(failure) = plug(agent, pbd, false) {
            let uuid = db.text("host", host, "uuid");
            agent.history.note(
                "pbd-plug-failed",
                &failure.to_string(),
                serde_json::json!({
                    "pbd": db.text("PBD", pbd, "uuid"), "host": uuid,
                }),
            );
            vm::message(agent, "PBD_PLUG_FAILED_ON_SERVER_START", 3, "Host", uuid, "");
        }
    }
}

/// Attaches an SR to a host.
pub fn plug(agent: &Agent, pbd: &str, create: bool) -> Answer<()> {
    let epoch = vm::master_epoch(agent)?;
    let db = agent.store.read();
    db.require("PBD", pbd)?;
    let sr = db.target("PBD", pbd, "SR").unwrap_or(NULL_REF);
    let host = db.target("PBD", pbd, "host").unwrap_or(NULL_REF);
    if db.text("SR", sr, "type") == "file" {
        let location = db.key("PBD", pbd, "device_config", "location");
        let missing = || Failure::new("SR_BACKEND_FAILURE_90", ["", "the PBD has no location", ""]);
        let job = Job::PlugSr {
            sr: vm::uuid_of(&db, "SR", sr)?,
            location: PathBuf::from(location.ok_or_else(missing)?),
            shared: db.flag("SR", sr, "shared"),
            create,
        };
        jobs::on_host(agent, host, epoch, &job)?;
    }
    agent.store.commit(|tx| {
        tx.set("PBD", pbd, "currently_attached", true);
        Ok(())
    })
}

/// The row of a new host with what belongs to every host: metrics, control domain, interface.
pub fn create_host(tx: &mut Transaction, facts: &NewHost) -> String {
    let (host, metrics) = (new_reference(), new_reference());
    tx.create(
        "host_metrics",
        &metrics,
        [
            ("uuid", Value::from(new_uuid())),
            ("memory_total", Value::Int(facts.memory)),
            ("live", Value::Bool(true)),
        ],
    );
    tx.create(
        "host",
        &host,
        [
            ("uuid", Value::from(facts.uuid.to_string())),
            ("name_label", Value::from(facts.name.as_str())),
            ("hostname", Value::from(facts.name.as_str())),
            ("address", Value::from(facts.address.as_str())),
            ("enabled", Value::Bool(true)),
            ("metrics", Value::from(metrics.as_str())),
            ("API_version_major", Value::Int(2)),
            ("API_version_minor", Value::Int(21)),
            ("API_version_vendor", Value::from("xe")),
            ("xe_boot", Value::from(facts.boot.as_str())),
            ("cpu_info", Value::text_map([("cpu_count", facts.cpus.to_string())])),
            (
                "software_version",
                Value::text_map([
                    ("product_brand", "xe"),
                    ("product_version", env!("CARGO_PKG_VERSION")),
                ]),
            ),
        ],
    );
    create_control_domain(tx, &host, facts);
    create_interface(tx, &host);
    host
}

/// What is known of a host when it joins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewHost {
    /// The host.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its memory for VMs in bytes.
    pub memory: i64,
    /// Its processors.
    pub cpus: i64,
    /// Its boot.
    pub boot: String,
    /// Where its own SRs are: `(name, directory)`.
    pub local_srs: Vec<(String, String)>,
}

fn create_control_domain(tx: &mut Transaction, host: &str, facts: &NewHost) {
    let dom0 = new_reference();
    let metrics = vm::copy::new_metrics(tx);
    tx.create(
        "VM",
        &dom0,
        [
            ("uuid", Value::from(new_uuid())),
            ("name_label", Value::from(format!("Control domain on host: {}", facts.name))),
            ("is_control_domain", Value::Bool(true)),
            ("power_state", Value::from("Running")),
            ("resident_on", Value::from(host)),
            ("affinity", Value::from(host)),
            ("metrics", Value::from(metrics)),
            ("VCPUs_max", Value::Int(facts.cpus)),
            ("VCPUs_at_startup", Value::Int(facts.cpus)),
        ],
    );
    tx.set("host", host, "control_domain", dom0);
}

fn create_interface(tx: &mut Transaction, host: &str) {
    let db = tx.db().clone();
    let named = |network: &&String| db.text("network", network, "bridge") == "xenbr0";
    let network = match db.table("network").keys().find(named) {
        Some(network) => network.clone(),
        None => {
            let network = new_reference();
            tx.create(
                "network",
                &network,
                [
                    ("uuid", Value::from(new_uuid())),
                    ("name_label", Value::from("Pool-wide network associated with eth0")),
                    ("bridge", Value::from("xenbr0")),
                    ("MTU", Value::Int(1500)),
                ],
            );
            network
        }
    };
    tx.create(
        "PIF",
        &new_reference(),
        [
            ("uuid", Value::from(new_uuid())),
            ("device", Value::from("eth0")),
            ("host", Value::from(host)),
            ("network", Value::from(network)),
            ("management", Value::Bool(true)),
            ("physical", Value::Bool(true)),
            ("currently_attached", Value::Bool(true)),
            ("VLAN", Value::Int(-1)),
            ("IP", Value::from(tx.db().text("host", host, "address"))),
        ],
    );
}
