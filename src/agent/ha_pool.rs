//! HA of the pool, on its master: switching it on and off, keeping the plan, telling what happened.

use super::ha::{self, HostStep, Preflight, Session};
use super::jobs::{self, Done, Job};
use super::standing::Standing;
use super::vm::{master_epoch, message, uuid_of};
use super::{Agent, agility, capacity, guard, host_facts, master_change, pool_ref};
use crate::heartbeat::{Key, Liveset, Timing};
use crate::pool::Database;
use crate::pool::rows::{Host, Pool, Sr};
use crate::recovery::{PlanStatus, plan_messages};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, NULL_REF, Value};
use crate::xhad::control::PoolState;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// T when nobody says otherwise, in seconds (the peer's default).
const DEFAULT_TIMEOUT: u32 = 60;
/// The smallest T that is accepted, in seconds.
const LEAST_TIMEOUT: u32 = 3;
/// Bytes of both volumes.
const VOLUMES: u64 = (4 + 256) << 20;

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
    let has = |kind: &str| row.VDIs().iter().any(|vdi| db.text("VDI", vdi, "type") == kind);
    if has("ha_statefile") && has("redo_log") {
        return Ok(());
    }
    let host = agent.host_ref(&db).unwrap_or_default();
    match jobs::on_host(agent, &host, epoch, &Job::ScanSr { sr: uuid_of(&db, "SR", sr)? })? {
        Done::Sr { free, .. } if free < VOLUMES => {
            let words = [sr.to_owned(), VOLUMES.to_string(), free.to_string()];
            Err(Failure::new("SR_SOURCE_SPACE_INSUFFICIENT", words))
        }
        _ => Ok(()),
    }
}

/// Switches HA on: checks everything on all hosts, then forms the first view; any failure before it
/// is decided leaves nobody armed (R9.1).
pub fn enable(agent: &Arc<Agent>, srs: &[String], config: &BTreeMap<String, String>) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let db = agent.store.read();
    let pool = pool_ref(&db).unwrap_or("").to_owned();
    if db.flag("pool", &pool, "ha_enabled") {
        return Err(Failure::bare("HA_IS_ENABLED"));
    }
    let timeout = timeout(&db, &pool, config)?;
    for host in Host::all(&db) {
        if !capacity::is_live(&db, &host) {
            return Err(Failure::new("HOST_OFFLINE", [host.reference]));
        }
        if !host.enabled() {
            return Err(Failure::new("HOST_DISABLED", [host.reference]));
        }
    }
    let sr = choose_sr(agent, &db, srs)?;
    let session = new_session(agent, &db, &sr, timeout, epoch)?;
    preflight_all(agent, epoch, &session)?;
    write_statefile(agent, &session)?;
    agent.history.note(
        "ha-enable",
        "asked for by a user",
        serde_json::json!({
            "timeout": timeout, "generation": session.generation,
        }),
    );
    if let Err(failure) = form(agent, epoch, &session) {
        agent.history.note("ha-enable-failed", &failure.to_string(), serde_json::json!({}));
        for (host, _) in hosts_of(&agent.store.read(), &session) {
            let _ = jobs::on_host(agent, &host, epoch, &Job::Ha(HostStep::RollBack));
        }
        return Err(failure);
    }
    wait_for_mastership(agent)?;
    record_enabled(agent, &session, config)?;
    update_plan(agent)
}

fn timeout(db: &Database, pool: &str, config: &BTreeMap<String, String>) -> Answer<u32> {
    let given = config.get("timeout").map(String::as_str);
    let word = given.or_else(|| db.key("pool", pool, "other_config", "default_ha_timeout"));
    let Some(word) = word else { return Ok(DEFAULT_TIMEOUT) };
    match word.parse() {
        Ok(seconds) if seconds >= LEAST_TIMEOUT => Ok(seconds),
        _ => Err(Failure::new("INVALID_VALUE", ["timeout", word])),
    }
}

/// The first SR named that can hold a statefile; without names, the first that can.
fn choose_sr(agent: &Agent, db: &Database, srs: &[String]) -> Answer<String> {
    for sr in srs {
        assert_can_host(agent, sr)?;
    }
    if let Some(first) = srs.first() {
        return Ok(first.clone());
    }
    Sr::all(db)
        .find(|sr| assert_can_host(agent, sr.reference).is_ok())
        .map(|sr| sr.reference.to_owned())
        .ok_or_else(|| Failure::bare("CANNOT_CREATE_STATE_FILE"))
}

fn new_session(
    agent: &Agent,
    db: &Database,
    sr: &str,
    timeout_s: u32,
    epoch: u64,
) -> Answer<Session> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| Failure::internal(error.to_string()))?;
    let mut hosts = Vec::new();
    for host in Host::all(db) {
        hosts.push((uuid_of(db, "host", host.reference)?, host.address().to_owned()));
    }
    hosts.sort();
    Ok(Session {
        generation: Uuid::new_v4(),
        key_hex: key.iter().map(|byte| format!("{byte:02x}")).collect(),
        timeout_s,
        hosts,
        sr: uuid_of(db, "SR", sr)?,
        statefile: volume(agent, db, sr, epoch, false)?,
        metadata: volume(agent, db, sr, epoch, true)?,
        epoch_base: epoch,
        first_master: agent.config.host,
        statefile_path: Default::default(),
        metadata_path: Default::default(),
        armed: false,
    })
}

/// Finds or makes a volume of HA and its row.
fn volume(agent: &Agent, db: &Database, sr: &str, epoch: u64, metadata: bool) -> Answer<Uuid> {
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
                &super::new_reference(),
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

fn hosts_of(db: &Database, session: &Session) -> Vec<(String, Uuid)> {
    let row = |(uuid, _): &(Uuid, String)| {
        Some((db.by_uuid("host", &uuid.to_string())?.to_owned(), *uuid))
    };
    session.hosts.iter().filter_map(row).collect()
}

/// Asks all hosts at once whether HA could run there, and judges T by the slowest of them.
fn preflight_all(agent: &Arc<Agent>, epoch: u64, session: &Session) -> Answer<()> {
    let db = agent.store.read();
    let step = HostStep::Preflight {
        sr: session.sr,
        statefile: session.statefile,
        hosts: session.hosts.len(),
    };
    let (mut cycle, mut watchdog) = (0, 0);
    for (host, answer) in on_all(agent, epoch, session, &step) {
        let named = |failure: Failure| {
            let mut params = failure.params;
            params.push(host.clone());
            Failure { code: failure.code, params }
        };
        let Done::Ha(value) = answer.map_err(named)? else { continue };
        let figures: Preflight =
            serde_json::from_value(value).map_err(|error| Failure::internal(error.to_string()))?;
        cycle = cycle.max(figures.cycle_ns);
        watchdog = watchdog.max(figures.step_ns);
    }
    let _ = db;
    let timing =
        Timing::new(session.timeout_s, session.hosts.len(), cycle, watchdog).map_err(|error| {
            Failure::new("INVALID_VALUE", ["timeout".to_owned(), error.to_string()])
        })?;
    let promise = timing.promise();
    agent.history.note(
        "ha-promise",
        "what may be disturbed without a reset",
        serde_json::json!({ "promise": format!("{promise:?}") }),
    );
    Ok(())
}

/// Does one step on all hosts beside each other.
fn on_all(
    agent: &Arc<Agent>,
    epoch: u64,
    session: &Session,
    step: &HostStep,
) -> Vec<(String, Answer<Done>)> {
    let hosts = hosts_of(&agent.store.read(), session);
    std::thread::scope(|scope| {
        let threads: Vec<_> = hosts
            .into_iter()
            .map(|(host, _)| {
                let job = Job::Ha(step.clone());
                scope.spawn(move || {
                    let answer = jobs::on_host(agent, &host, epoch, &job);
                    (host, answer)
                })
            })
            .collect();
        let outcome = |thread: std::thread::ScopedJoinHandle<'_, (String, Answer<Done>)>| {
            let panicked = || (NULL_REF.to_owned(), Err(Failure::internal("a step panicked")));
            thread.join().unwrap_or_else(|_| panicked())
        };
        threads.into_iter().map(outcome).collect()
    })
}

fn write_statefile(agent: &Agent, session: &Session) -> Answer<()> {
    let sr = agent.plugs.get(session.sr).map_err(jobs::sr_failure)?;
    let path = sr.find(session.statefile).map_err(jobs::sr_failure)?.path;
    let key = Key::from_hex(&session.key_hex).map_err(|e| Failure::internal(e.to_string()))?;
    let hosts: Vec<Uuid> = session.hosts.iter().map(|(uuid, _)| *uuid).collect();
    crate::xhad::statefile::prepare(&path, session.generation, &key, &hosts)
        .map_err(|error| Failure::new("CANNOT_CREATE_STATE_FILE", [error.to_string()]))
}

/// Prepares all hosts, then has them form the first view together.
fn form(agent: &Arc<Agent>, epoch: u64, session: &Session) -> Answer<()> {
    let prepare = HostStep::Prepare { session: Box::new(session.clone()) };
    for step in [prepare, HostStep::Join] {
        for (host, answer) in on_all(agent, epoch, session, &step) {
            answer.map_err(|failure| {
                let mut params = failure.params;
                params.push(host);
                Failure { code: failure.code, params }
            })?;
        }
    }
    Ok(())
}

/// Waits until this agent acts as the master that the first view names.
fn wait_for_mastership(agent: &Agent) -> Answer<()> {
    for _ in 0..300 {
        let named = agent.ha.liveset().is_some_and(|liveset| liveset.may_act);
        if named && agent.store.volume_works() == Some(true) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(Failure::new("HA_FAILED_TO_FORM_LIVESET", ["this host did not become its master"]))
}

fn record_enabled(
    agent: &Agent,
    session: &Session,
    config: &BTreeMap<String, String>,
) -> Answer<()> {
    let mut shown = config.clone();
    shown.insert("timeout".to_owned(), session.timeout_s.to_string());
    agent.store.commit(|tx| {
        let db = tx.db().clone();
        let pool = pool_ref(&db).unwrap_or("");
        let statefile = db.by_uuid("VDI", &session.statefile.to_string()).unwrap_or("");
        tx.set("pool", pool, "ha_enabled", true);
        tx.set("pool", pool, "ha_configuration", Value::text_map(shown.clone()));
        tx.set("pool", pool, "ha_statefiles", Value::text_set([statefile]));
        tx.set("pool", pool, "ha_cluster_stack", "xhad");
        // Hosts that run protected VMs are meant to keep them running from now on.
        for vm in crate::pool::rows::Vm::all(&db) {
            if vm.ha_restart_priority() == "restart" && vm.power_state() == "Running" {
                tx.set("VM", vm.reference, "ha_always_run", true);
            }
        }
        Ok(())
    })
}

/// Switches HA off for the pool by decided views: "off pending", then "off" (R9.2).
pub fn disable(agent: &Arc<Agent>) -> Answer<()> {
    master_epoch(agent)?;
    let db = agent.store.read();
    let pool = pool_ref(&db).unwrap_or("");
    if !db.flag("pool", pool, "ha_enabled") {
        return Err(Failure::bare("HA_NOT_ENABLED"));
    }
    agent.history.note("ha-disable", "asked for by a user", serde_json::json!({}));
    let client = ha::client(agent)?;
    client.set_pool_state(PoolState::OffPending).map_err(ha::refusal)?;
    client.set_pool_state(PoolState::Off).map_err(ha::refusal)?;
    for _ in 0..300 {
        let off = !agent.store.read().flag("pool", pool, "ha_enabled");
        if off && agent.standing().is_master() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(Failure::bare("HA_LOST_STATEFILE"))
}

/// This host's daemon is disarmed: HA was switched off by a decided view, or this host left.
pub fn went_off(agent: &Arc<Agent>, liveset: &Liveset) {
    let decided_off = liveset.mode == Some(crate::heartbeat::Mode::Off);
    let Some(session) = ha::session(agent).filter(|_| decided_off) else { return };
    agent.history.note(
        "ha-off",
        "a decided view says so",
        serde_json::json!({
            "epoch": liveset.epoch,
        }),
    );
    ha::end_session(agent);
    agent.store.set_volume(None);
    if liveset.is_master {
        let done = master_change::become_master(agent).and_then(|()| record_disabled(agent));
        if let Err(failure) = done {
            agent.history.note("ha-off-failed", &failure.to_string(), serde_json::json!({}));
        }
    } else if let Some(master) = liveset.master.and_then(|m| ha::address_of(&session, m)) {
        master_change::follow(agent, &master);
    }
}

fn record_disabled(agent: &Agent) -> Answer<()> {
    agent.store.commit(|tx| {
        let db = tx.db().clone();
        let pool = pool_ref(&db).unwrap_or("");
        tx.set("pool", pool, "ha_enabled", false);
        tx.set("pool", pool, "ha_configuration", Value::Struct(BTreeMap::new()));
        tx.set("pool", pool, "ha_statefiles", Value::Array(Vec::new()));
        tx.set("pool", pool, "ha_plan_exists_for", 0);
        tx.set("pool", pool, "ha_overcommitted", false);
        for (host, _) in db.table("host") {
            tx.set("host", host, "ha_statefiles", Value::Array(Vec::new()));
            tx.set("host", host, "ha_network_peers", Value::Array(Vec::new()));
        }
        Ok(())
    })
}

/// Computes the plan anew, records what it promises, and tells changes for the worse.
pub fn update_plan(agent: &Agent) -> Answer<()> {
    let db = agent.store.read();
    let Some(pool) = Pool::all(&db).next().filter(Pool::ha_enabled) else { return Ok(()) };
    let verdict = guard::max_failures(agent, &db)?;
    let wanted = pool.ha_host_failures_to_tolerate();
    let most = i64::try_from(verdict.max).unwrap_or(i64::MAX);
    let after = PlanStatus {
        exists_for: u64::try_from(wanted.min(most)).unwrap_or(0),
        overcommitted: !verdict.startable || wanted > most,
    };
    let before = PlanStatus {
        exists_for: u64::try_from(pool.ha_plan_exists_for()).unwrap_or(0),
        overcommitted: pool.ha_overcommitted(),
    };
    if before == after {
        return Ok(());
    }
    agent.store.commit(|tx| {
        tx.set("pool", pool.reference, "ha_plan_exists_for", wanted.min(most));
        tx.set("pool", pool.reference, "ha_overcommitted", after.overcommitted);
        Ok(())
    })?;
    for one in plan_messages(before, after) {
        message(agent, one.name, one.priority, "Pool", pool.uuid(), &one.body);
    }
    Ok(())
}

/// What a new living set means for rows and recovery. Runs on the master.
pub fn view_changed(agent: &Arc<Agent>, before: Option<&Liveset>, now: &Liveset) {
    let members: BTreeSet<Uuid> = now.members.iter().copied().collect();
    let old: BTreeSet<Uuid> =
        before.map(|before| before.members.iter().copied().collect()).unwrap_or_default();
    let gone: Vec<Uuid> = old.difference(&members).copied().collect();
    let left_cleanly = |host: &Uuid| {
        let status = now.hosts.iter().find(|status| status.uuid == *host);
        status.is_some_and(|s| s.liveness == crate::heartbeat::liveset::Liveness::Excluded)
    };
    let failed: Vec<Uuid> = gone.iter().copied().filter(|host| !left_cleanly(host)).collect();
    for status in &now.hosts {
        if members.contains(&status.uuid) != old.contains(&status.uuid) || before.is_none() {
            host_facts::set_live(agent, &status.uuid.to_string(), members.contains(&status.uuid));
        }
    }
    if !failed.is_empty() {
        agent.history.note(
            "hosts-failed",
            "a decided view lacks them",
            serde_json::json!({
                "hosts": failed, "epoch": now.epoch,
            }),
        );
        super::recover::push(agent, crate::recovery::Event::View { failed });
    }
    let dead_before = before.map_or(&[][..], |before| &before.dead);
    for dead in now.dead.iter().filter(|dead| !dead_before.contains(dead)) {
        agent.history.note(
            "host-excluded",
            &format!("{:?}", dead.reason),
            serde_json::json!({
                "host": dead.host, "boot": dead.boot_id, "since_ns": dead.since_ns,
            }),
        );
    }
    if matches!(agent.standing(), Standing::Master { .. }) {
        super::recover::wake(agent);
    }
}

/// Refuses when a host has lost the statefile.
pub fn assert_statefile(agent: &Agent, host: &str) -> Answer<()> {
    let db = agent.store.read();
    let own = agent.host_ref(&db).as_deref() == Some(host);
    match agent.ha.liveset() {
        Some(liveset) if own && !liveset.statefile_ok => Err(Failure::bare("HA_LOST_STATEFILE")),
        _ => Ok(()),
    }
}

/// Takes a host out of the view before it is switched off (R9.4).
pub fn leave_cleanly(agent: &Agent, host: &str) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let db = agent.store.read();
    if !Pool::all(&db).any(|pool| pool.ha_enabled()) {
        return Ok(());
    }
    jobs::on_host(agent, host, epoch, &Job::Ha(HostStep::Leave)).map(|_| ())
}
