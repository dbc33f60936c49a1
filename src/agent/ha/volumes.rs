//! The SRs that carry HA: what is asked of them, and their two volumes.

use crate::agent::jobs::{self, Done, Job};
use crate::agent::vm::{master_epoch, uuid_of};
use crate::agent::{Agent, agility};
use crate::ha::settings::Settings;
use crate::heartbeat::quorum::Acceptors;
use crate::host::sr::{METADATA, MIB};
use crate::host::system_word::system_word;
use crate::pool::Database;
use crate::pool::rows::{Host, Sr};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use crate::xhad::statefile::{needed_bytes, volume_bytes};
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

/// How long a statefile must stand still before it is taken over: many beats of any pool.
const STILL: Duration = Duration::from_secs(3);

/// Refuses SRs that cannot hold a statefile: local, not attached everywhere, too small.
pub fn assert_can_host(agent: &Agent, sr: &str) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let db = agent.store.read();
    let row = Sr::get(&db, sr)?;
    if db.text("SR", sr, "type") != "file" || !row.shared() {
        return Err(Failure::new("SR_OPERATION_NOT_SUPPORTED", [sr]));
    }
    for host in Host::all(&db) {
        if !agility::sees_sr(&db, host.reference, sr) {
            return Err(Failure::new("SR_HAS_NO_PBDS", [sr, host.reference]));
        }
    }
    let hosts = db.table("host").len();
    let has = |kind: &str, least: u64| {
        let size = |vdi: &str| db.get("VDI", vdi, "virtual_size").and_then(Value::as_int);
        let fits =
            |vdi: &str| size(vdi).is_some_and(|size| u64::try_from(size).unwrap_or(0) >= least);
        row.VDIs().iter().any(|vdi| db.text("VDI", vdi, "type") == kind && fits(vdi))
    };
    let lacks = |kind, least, size| if has(kind, least) { 0 } else { size };
    let needed = lacks("ha_statefile", needed_bytes(hosts), volume_bytes(hosts))
        + lacks("redo_log", METADATA, METADATA);
    if needed == 0 {
        return Ok(());
    }
    let host = agent.host_ref(&db).unwrap_or_default();
    match jobs::on_host(agent, &host, epoch, &Job::ScanSr { sr: uuid_of(&db, "SR", sr)? })? {
        Done::Sr { free, .. } if free < needed => {
            let words = [sr.to_owned(), needed.to_string(), free.to_string()];
            Err(Failure::new("SR_SOURCE_SPACE_INSUFFICIENT", words))
        }
        _ => Ok(()),
    }
}

/// The SRs that carry the statefiles: those named, else as many as are wanted of those that all
/// hosts see. They hold the metadata volumes as well.
pub fn choose_srs(
    agent: &Agent,
    db: &Database,
    named: &[String],
    settings: &Settings,
) -> Answer<Vec<String>> {
    let mut srs: Vec<String> = Vec::new();
    for sr in named {
        assert_can_host(agent, sr)?;
        if !srs.contains(sr) {
            srs.push(sr.clone());
        }
    }
    let wanted = settings.statefiles.unwrap_or(srs.len().max(1));
    let (field, value) = match srs.is_empty() {
        true => ("ha-config:statefiles", wanted.to_string()),
        false => ("heartbeat-sr-uuids", srs.len().to_string() + " SRs"),
    };
    let refused = |why: String| Failure::new("INVALID_VALUE", [field, &value, &why]);
    if srs.is_empty() {
        srs = able(agent, db, wanted)?;
        if srs.len() < wanted {
            let why = format!("{} shared SRs can hold a statefile; see 'xe sr-list'", srs.len());
            return Err(refused(why));
        }
    }
    if srs.len() != wanted {
        let why = format!("ha-config:statefiles={wanted} says another number; leave it out");
        return Err(refused(why));
    }
    let acceptors = Acceptors { statefiles: srs.len(), witness: settings.witness.is_some() };
    acceptors.fault().map_or(Ok(srs), |why| Err(refused(why)))
}

/// So many of the SRs that can hold a statefile. When none can and there is too little room on one
/// that could, that is the reason to tell of.
fn able(agent: &Agent, db: &Database, wanted: usize) -> Answer<Vec<String>> {
    let (mut srs, mut full) = (Vec::new(), None);
    for sr in Sr::all(db) {
        match assert_can_host(agent, sr.reference) {
            Ok(()) => srs.push(sr.reference.to_owned()),
            Err(failure) if failure.code == "SR_SOURCE_SPACE_INSUFFICIENT" => full = Some(failure),
            Err(_) => {}
        }
        if srs.len() == wanted {
            return Ok(srs);
        }
    }
    let bytes = volume_bytes(db.table("host").len()) + METADATA;
    let room = || format!("no SR is so, with {} MiB free", bytes / MIB);
    match full {
        Some(failure) => Err(failure),
        None if srs.is_empty() => Err(Failure::new("CANNOT_CREATE_STATE_FILE", [room()])),
        None => Ok(srs),
    }
}

/// Finds or makes a volume of HA and its row.
pub fn ensure(agent: &Agent, db: &Database, sr: &str, epoch: u64, metadata: bool) -> Answer<Uuid> {
    let host = agent.host_ref(db).unwrap_or_default();
    let job = Job::EnsureVolume { sr: uuid_of(db, "SR", sr)?, metadata };
    let Done::Vdi { uuid, size, used } = jobs::on_host(agent, &host, epoch, &job)? else {
        return Err(Failure::bare("CANNOT_CREATE_STATE_FILE"));
    };
    let (kind, name) = if metadata {
        ("redo_log", "Metadata for HA")
    } else {
        ("ha_statefile", "Statefile for HA")
    };
    let number = |bytes: u64| Value::Int(i64::try_from(bytes).unwrap_or(i64::MAX));
    agent.store.commit(|tx| {
        if tx.db().by_uuid("VDI", &uuid.to_string()).is_none() {
            tx.create(
                "VDI",
                &crate::agent::new_reference(),
                [
                    ("uuid", Value::from(uuid.to_string())),
                    ("name_label", Value::from(name)),
                    ("SR", Value::from(sr)),
                    ("type", Value::from(kind)),
                    ("virtual_size", number(size)),
                    ("physical_utilisation", number(used)),
                    ("sharable", Value::Bool(true)),
                    ("managed", Value::Bool(true)),
                    ("location", Value::from(uuid.to_string())),
                ],
            );
        }
        Ok(uuid)
    })
}

/// Refuses a statefile in which somebody writes: another pool lives by it.
pub fn assert_still(path: &Path) -> Result<(), String> {
    let read = || {
        std::fs::read(path).map_err(|error| format!("{}: {}", path.display(), system_word(&error)))
    };
    let before = read()?;
    std::thread::sleep(STILL);
    if before == read()? {
        return Ok(());
    }
    let path = path.display();
    Err(format!(
        "{path} is the statefile of another pool, whose heartbeat is alive; use another SR"
    ))
}

/// Refuses when a host has lost the statefile.
pub fn assert_reached(agent: &Agent, host: &str) -> Answer<()> {
    let db = agent.store.read();
    let own = agent.host_ref(&db).as_deref() == Some(host);
    match agent.ha.liveset() {
        Some(liveset) if own && !liveset.statefile_ok => Err(Failure::bare("HA_LOST_STATEFILE")),
        _ => Ok(()),
    }
}
