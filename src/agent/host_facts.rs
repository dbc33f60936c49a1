//! What hosts report of themselves, and what the master makes of it.
//!
//! A host reports when it comes up and every few seconds after. What runs there the master asks for
//! itself: a host's word about its own VMs in its own boot is the truth (R6.5).

use super::ha::figures::Figures;
use super::jobs::{self, Job};
use super::vm;
use super::{Agent, now};
use crate::pool::Transaction;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, NULL_REF};
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
    /// What it knows of its own paths, while its heartbeat runs.
    #[serde(default)]
    pub figures: Option<Figures>,
    /// Its SRs that do not answer.
    #[serde(default)]
    pub stuck: Vec<Uuid>,
    /// Why it cannot write its state directory, if it cannot.
    #[serde(default)]
    pub unwritten: Option<String>,
    /// Legs of its bonds that have no link.
    #[serde(default)]
    pub legs_down: Vec<String>,
}

impl Facts {
    /// The facts of a host that is well, without its sizes.
    pub fn of(host: Uuid, boot: &str) -> Self {
        Facts {
            host,
            boot: boot.to_owned(),
            memory: 0,
            cpus: 0,
            first: false,
            stuck: Vec::new(),
            unwritten: None,
            legs_down: Vec::new(),
            figures: None,
        }
    }
}

/// When each host's agent was heard last, by uuid.
pub type Heard = Mutex<BTreeMap<String, Instant>>;

/// Notes that a host's agent was heard.
pub fn seen(agent: &Agent, host: &str) {
    let mut heard = agent.heard.lock().unwrap_or_else(PoisonError::into_inner);
    let known = heard.insert(host.to_owned(), Instant::now());
    drop(heard);
    if known.is_none_or(|at| at.elapsed() > SILENT) {
        set_live(agent, host, true);
    }
}

/// Shows hosts that were not heard lately as not live; only while HA is off, whose view knows more.
pub fn expire(agent: &Agent) {
    let silent: Vec<String> = {
        let heard = agent.heard.lock().unwrap_or_else(PoisonError::into_inner);
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
    agent.ha.figures.take(facts.host, facts.figures.clone());
    set_live(agent, &host_uuid, true);
    super::ailments::told(agent, &host_uuid, facts);
    let known = db.text("host", &host, "xe_boot").to_owned();
    let rebooted = known != facts.boot;
    if rebooted && !is_present_boot(agent, facts, db.text("host", &host, "address")) {
        return Err(Failure::new("OPERATION_NOT_ALLOWED", ["the report is of an earlier boot"]));
    }
    if rebooted || facts.first {
        came_up(agent, &host, facts, &known)?;
    }
    if rebooted || facts.first {
        plug_srs(agent, &host);
        super::reconcile::reconcile(agent, &host)?;
        super::recover::wake(agent);
    }
    Ok(())
}

/// Whether the boot of a report is the one that answers now. A report of an earlier boot that was
/// held up on its way must not end what runs in the present one.
fn is_present_boot(agent: &Agent, facts: &Facts, address: &str) -> bool {
    if facts.host == agent.config.host {
        return facts.boot == agent.boot;
    }
    let answer = agent.peers.brief(address, "boot");
    answer.is_ok_and(|boot| boot.as_str() == Some(facts.boot.as_str()))
}

/// Why the last life of a host ended, as its own history tells.
fn why_it_ended(facts: &Facts) -> String {
    let told = facts.figures.as_ref().map(|figures| figures.last_end.as_str());
    match told.filter(|why| !why.is_empty()) {
        Some(why) => format!("the host reset itself: {why}"),
        None => "the host was reset by its watchdog or lost its power; it wrote down no cause"
            .to_owned(),
    }
}

/// A new boot: what the old one ran is gone with it (R5.3b; the report came over the pool's TLS).
fn came_up(agent: &Agent, host: &str, facts: &Facts, known: &str) -> Answer<()> {
    let rebooted = known != facts.boot;
    agent.history.note(
        "host-up",
        if rebooted { "a new boot" } else { "a new agent" },
        serde_json::json!({ "host": facts.host, "boot": facts.boot }),
    );
    if rebooted && agent.ha.take_lost(facts.host) {
        let body = why_it_ended(facts);
        vm::message(agent, "HA_HOST_WAS_FENCED", 4, "Host", &facts.host.to_string(), &body);
    }
    agent.store.commit(|tx| {
        let db = tx.db().clone();
        if db.text("host", host, "xe_boot") != known {
            // Another report of this host was taken meanwhile: it is the newer one.
            return Ok(());
        }
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
    for intent in db.table("xe_intent").keys() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::agility::assert_can_boot_here;
    use crate::agent::guard;
    use crate::agent::new_host::{NewHost, create_host};
    use crate::pool::rows::Vm;
    use std::sync::Arc;

    #[test]
    fn a_host_that_joined_takes_vms_once_it_has_reported_its_boot() {
        let mut agent = crate::agent::in_process::of_two_hosts();
        let uuid = Uuid::from_u128(77);
        let own = Arc::get_mut(&mut agent).unwrap();
        (own.config.host, own.boot) = (uuid, "the first boot".to_owned());
        let joins = NewHost {
            uuid,
            name: "carl".to_owned(),
            address: "127.0.0.3".to_owned(),
            memory: 1 << 33,
            cpus: 2,
            local_srs: Vec::new(),
            protocol: crate::heartbeat::PROTOCOL,
        };
        let host = agent.store.commit(|tx| Ok(create_host(tx, &joins))).unwrap();
        let enabled = || agent.store.read().flag("host", &host, "enabled");
        let refused = || {
            let db = agent.store.read();
            let vm = Vm::all(&db).find(|vm| vm.power_state() == "Halted").unwrap();
            let starts = assert_can_boot_here(&db, &vm, &host, &BTreeMap::new());
            [starts, guard::enable_host(&db, &host)].map(|it| it.err().map(|why| why.code))
        };
        let booting = Some("HOST_STILL_BOOTING".to_owned());
        assert!(!enabled(), "nobody has heard it yet");
        assert_eq!(refused(), [booting.clone(), booting]);

        let boot = agent.boot.clone();
        let sizes = Facts { memory: 1 << 33, cpus: 2, ..Facts::of(uuid, &boot) };
        let facts = Facts { first: true, ..sizes };
        report(&agent, &facts).unwrap();
        assert!(enabled());
        assert!(refused().iter().all(|code| code.as_deref() != Some("HOST_STILL_BOOTING")));
    }
}
