//! Switching HA on for the pool, step by step as [`crate::ha::enable`] says.

use super::preflight::Preflight;
use super::{HostStep, Session, Statefile, links, volumes, witness};
use crate::agent::jobs::{self, Done, Job};
use crate::agent::vm::{master_epoch, uuid_of};
use crate::agent::{Agent, capacity, pool_ref};
use crate::ha::enable::{Enable, Event, Step};
use crate::ha::preflight::{HostFacts, Objection, Verdict, preflight};
use crate::ha::settings::Settings;
use crate::heartbeat::Key;
use crate::heartbeat::timing::{LARGEST_T, SMALLEST_T};
use crate::pool::Database;
use crate::pool::rows::{Host, Vm};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// T when nobody says otherwise, in seconds (the peer's default).
const DEFAULT_TIMEOUT: u32 = 60;

/// Switches HA on: checks everything on all hosts, then forms the first view; any failure before it
/// is decided leaves nobody armed (R9.1).
pub fn enable(agent: &Arc<Agent>, srs: &[String], config: &BTreeMap<String, String>) -> Answer<()> {
    let epoch = master_epoch(agent)?;
    let db = agent.store.read();
    let pool = pool_ref(&db).unwrap_or("").to_owned();
    if db.flag("pool", &pool, "ha_enabled") {
        return Err(Failure::bare("HA_IS_ENABLED"));
    }
    let wanted = assert_possible(agent, &db, srs, config)?;
    let timeout = wanted.timeout;
    let mut session = new_session(agent, &db, wanted, epoch)?;
    write_statefiles(agent, &session)?;
    let verdict = judge(agent, epoch, &session)?;
    session.disk_cycle = verdict.disk_cycle;
    agent.history.note(
        "ha-enable",
        &verdict.lines().join("; "),
        serde_json::json!({
            "timeout": timeout, "generation": session.generation,
        }),
    );
    let hosts: Vec<Uuid> = session.hosts.iter().map(|(uuid, _)| *uuid).collect();
    let (mut switch, mut steps) = Enable::begin(&hosts);
    let mut refused = None;
    while !steps.is_empty() {
        let events = carry_out(agent, epoch, &session, &verdict, config, &steps, &mut refused);
        steps = events.into_iter().flat_map(|event| switch.event(event)).collect();
    }
    match switch.outcome() {
        Some(Ok(())) => super::plan::update(agent),
        outcome => {
            let why = outcome.and_then(Result::err).unwrap_or_default();
            agent.history.note("ha-enable-failed", &why, serde_json::json!({}));
            let failure =
                refused.unwrap_or_else(|| Failure::new("HA_FAILED_TO_FORM_LIVESET", [why]));
            Err(in_names(&db, failure))
        }
    }
}

/// A failure whose reason, which comes first, is the heartbeat's: that knows hosts by uuid only.
fn in_names(db: &Database, mut failure: Failure) -> Failure {
    if let Some(why) = failure.params.first_mut().filter(|why| why.contains(' ')) {
        *why = super::status::in_names(db, why);
    }
    failure
}

/// What HA is to be switched on with.
pub struct Wanted {
    timeout: u32,
    settings: Settings,
    witness: Option<SocketAddr>,
    links: Vec<links::Link>,
    srs: Vec<String>,
}

/// What can be asked before anything is begun: the settings, every host live and enabled, links
/// between them, SRs that all of them see. A pause asks the same, since it ends with an enable.
pub fn assert_possible(
    agent: &Agent,
    db: &Database,
    srs: &[String],
    config: &BTreeMap<String, String>,
) -> Answer<Wanted> {
    let timeout = timeout(db, pool_ref(db).unwrap_or(""), config)?;
    let settings = Settings::read(config)
        .map_err(|bad| Failure::new("INVALID_VALUE", [bad.field(), bad.value, bad.why]))?;
    for host in Host::all(db) {
        if !capacity::is_live(db, &host) {
            return Err(Failure::new("HOST_OFFLINE", [host.reference]));
        }
        if !host.enabled() {
            return Err(Failure::new("HOST_DISABLED", [host.reference]));
        }
    }
    let witness = witness::address(agent, settings.witness.as_deref())?;
    let links = links::links(db, &settings.links)?;
    let srs = volumes::choose_srs(agent, db, srs, &settings)?;
    Ok(Wanted { timeout, settings, witness, links, srs })
}

/// Does a batch of steps, those of hosts beside each other; gives what came of each.
fn carry_out(
    agent: &Arc<Agent>,
    epoch: u64,
    session: &Session,
    verdict: &Verdict,
    config: &BTreeMap<String, String>,
    steps: &[Step],
    refused: &mut Option<Failure>,
) -> Vec<Event> {
    let outcomes: Vec<(Option<Uuid>, Answer<()>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = steps
            .iter()
            .map(|step| {
                let work = move || one(agent, epoch, session, verdict, config, step);
                (host_of(step), scope.spawn(work))
            })
            .collect();
        let panicked = || Err(Failure::internal("a step panicked"));
        let end = |(host, thread): (_, std::thread::ScopedJoinHandle<'_, Answer<()>>)| {
            (host, thread.join().unwrap_or_else(|_| panicked()))
        };
        threads.into_iter().map(end).collect()
    });
    let event = |(host, outcome): (Option<Uuid>, Answer<()>)| match (host, outcome) {
        (Some(host), Ok(())) => Event::HostDone(host),
        (None, Ok(())) => Event::Done,
        (host, Err(failure)) => {
            let why = failure.to_string();
            note_failure(refused, failure);
            host.map_or(Event::Failed(why.clone()), |host| Event::HostFailed(host, why))
        }
    };
    outcomes.into_iter().map(event).collect()
}

/// Keeps the failure to tell of: the first, unless that one only waited in vain for another host.
fn note_failure(refused: &mut Option<Failure>, failure: Failure) {
    let waited = |known: &Failure| known.code == "HA_FAILED_TO_FORM_LIVESET";
    if refused.as_ref().is_none_or(|known| waited(known) && !waited(&failure)) {
        *refused = Some(failure);
    }
}

fn host_of(step: &Step) -> Option<Uuid> {
    match step {
        Step::HandOverKeys(host)
        | Step::StartDaemon(host)
        | Step::StopDaemon(host)
        | Step::ForgetKeys(host) => Some(*host),
        Step::PrepareStatefile | Step::SetPoolFlag | Step::EraseStatefile => None,
    }
}

fn one(
    agent: &Arc<Agent>,
    epoch: u64,
    session: &Session,
    verdict: &Verdict,
    config: &BTreeMap<String, String>,
    step: &Step,
) -> Answer<()> {
    let on_host = |host: &Uuid, step: HostStep| on_host(agent, epoch, *host, step).map(|_| ());
    match step {
        Step::PrepareStatefile | Step::EraseStatefile => write_statefiles(agent, session),
        Step::HandOverKeys(host) => {
            on_host(host, HostStep::Prepare { session: Box::new(session.clone()) })
        }
        Step::StartDaemon(host) => on_host(host, HostStep::Join),
        Step::StopDaemon(host) => on_host(host, HostStep::StopDaemon),
        Step::ForgetKeys(host) => on_host(host, HostStep::Forget),
        Step::SetPoolFlag => {
            wait_for_mastership(agent)?;
            record(agent, session, verdict, config)
        }
    }
}

fn on_host(agent: &Agent, epoch: u64, host: Uuid, step: HostStep) -> Answer<Done> {
    let db = agent.store.read();
    let row = db.require_uuid("host", &host.to_string())?;
    jobs::on_host(agent, row, epoch, &Job::Ha(step)).map_err(|mut failure| {
        // One that cannot be reached is named by its address; its row says more.
        if failure.code == "HOST_OFFLINE" {
            failure.params.clear();
        }
        failure.params.push(row.to_owned());
        failure
    })
}

/// Asks all hosts whether HA could run there and judges them at once.
fn judge(agent: &Arc<Agent>, epoch: u64, session: &Session) -> Answer<Verdict> {
    let step = HostStep::Preflight { session: Box::new(session.clone()) };
    let mut facts = Vec::new();
    for (uuid, _) in &session.hosts {
        let Done::Ha(value) = on_host(agent, epoch, *uuid, step.clone())? else { continue };
        let told: Preflight =
            serde_json::from_value(value).map_err(|error| Failure::internal(error.to_string()))?;
        facts.push(HostFacts {
            uuid: *uuid,
            live: true,
            enabled: true,
            plugged: true,
            same_statefile: told.same_statefile,
            watchdog: told.watchdog,
            disk_cycle: told.disk_cycle,
            protocol: told.protocol,
            armed: told.armed,
            fence_hook: told.fence_hook,
            witness: told.witness,
        });
    }
    preflight(&facts, session.timeout_s, session.witness)
        .map_err(|objections| objected(session, &objections))
}

/// The failure that tells of objections; one setting that they all are about is named.
fn objected(session: &Session, objections: &[Objection]) -> Failure {
    let why = objections.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let (settings, timeout) = (&session.settings, session.timeout_s.to_string());
    let value = |objection: &Objection| match objection {
        Objection::Timing(_) => Some(("timeout", timeout.clone())),
        Objection::DeafWitness { .. } => Some(("ha-config:witness", settings.witness.clone()?)),
        Objection::NoFenceHook { .. } => {
            let (program, _) = settings.fence_hook.as_ref()?;
            Some(("ha-config:fence-hook", program.display().to_string()))
        }
        _ => None,
    };
    let first = objections.first().and_then(value);
    match first.filter(|first| objections.iter().all(|one| value(one).as_ref() == Some(first))) {
        Some((field, value)) => Failure::new("INVALID_VALUE", [field, &value, &why]),
        None => Failure::new("HA_HEARTBEAT_DAEMON_STARTUP_FAILED", [why]),
    }
}

fn timeout(db: &Database, pool: &str, config: &BTreeMap<String, String>) -> Answer<u32> {
    let given = config.get("timeout").map(String::as_str);
    let word = given.or_else(|| db.key("pool", pool, "other_config", "default_ha_timeout"));
    let Some(word) = word else { return Ok(DEFAULT_TIMEOUT) };
    let why = format!("a time-out is a whole number of seconds, {SMALLEST_T} to {LARGEST_T}");
    let seconds = word.parse().ok().filter(|seconds| (SMALLEST_T..=LARGEST_T).contains(seconds));
    seconds.ok_or_else(|| Failure::new("INVALID_VALUE", ["timeout", word, &why]))
}

fn new_session(
    agent: &Agent,
    db: &Database,
    Wanted { timeout: timeout_s, settings, witness, links, srs }: Wanted,
    epoch: u64,
) -> Answer<Session> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| Failure::internal(error.to_string()))?;
    let mut hosts = Vec::new();
    for host in Host::all(db) {
        hosts.push((uuid_of(db, "host", host.reference)?, host.address().to_owned()));
    }
    hosts.sort();
    let volume = |sr: &String, metadata: bool| {
        let vdi = volumes::ensure(agent, db, sr, epoch, metadata)?;
        Ok(Statefile { sr: uuid_of(db, "SR", sr)?, vdi, path: Default::default() })
    };
    let statefiles = srs.iter().map(|sr| volume(sr, false)).collect::<Answer<_>>()?;
    // Of an even number a majority is no smaller than of one more: the last one adds nothing.
    let copies = srs.len() - usize::from(srs.len() % 2 == 0);
    let metadata = srs.iter().take(copies).map(|sr| volume(sr, true)).collect::<Answer<_>>()?;
    Ok(Session {
        generation: Uuid::new_v4(),
        key_hex: key.iter().map(|byte| format!("{byte:02x}")).collect(),
        timeout_s,
        hosts,
        statefiles,
        metadata,
        witness,
        links,
        settings,
        disk_cycle: 0,
        epoch_base: epoch,
        first_master: agent.config.host,
        armed: false,
    })
}

/// Writes the initial state to the heartbeat volumes, unless somebody else's heart beats there.
fn write_statefiles(agent: &Agent, session: &Session) -> Answer<()> {
    let refused = |why: String| Failure::new("CANNOT_CREATE_STATE_FILE", [why]);
    let key = Key::from_hex(&session.key_hex).map_err(|e| Failure::internal(e.to_string()))?;
    let hosts: Vec<Uuid> = session.hosts.iter().map(|(uuid, _)| *uuid).collect();
    for statefile in &session.statefiles {
        let sr = agent.plugs.get(statefile.sr).map_err(crate::agent::storage_jobs::sr_failure)?;
        let path = sr.find(statefile.vdi).map_err(crate::agent::storage_jobs::sr_failure)?.path;
        let before = crate::xhad::statefile::generation(&path);
        if before.is_ok_and(|generation| generation != session.generation) {
            volumes::assert_still(&path).map_err(refused)?;
        }
        crate::xhad::statefile::prepare(&path, session.generation, &key, &hosts)
            .map_err(|error| refused(error.to_string()))?;
    }
    Ok(())
}

/// Waits until this agent acts as the master that the first view names.
fn wait_for_mastership(agent: &Agent) -> Answer<()> {
    for _ in 0..300 {
        let named = agent.ha.liveset().is_some_and(|liveset| liveset.may_act);
        if named && agent.store.has_volume() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(Failure::new("HA_FAILED_TO_FORM_LIVESET", ["this host did not become its master"]))
}

/// Writes "HA is on" to the database, with the figures of what HA will bear.
fn record(
    agent: &Agent,
    session: &Session,
    verdict: &Verdict,
    config: &BTreeMap<String, String>,
) -> Answer<()> {
    let mut shown = config.clone();
    shown.insert("timeout".to_owned(), session.timeout_s.to_string());
    let seconds = |nanos: u64| format!("{:.1}", nanos as f64 / 1e9);
    shown.insert("bears-network".to_owned(), seconds(verdict.promise.network));
    shown.insert("bears-disk".to_owned(), seconds(verdict.promise.disk));
    shown.insert("bears-stall".to_owned(), seconds(verdict.promise.stall));
    shown.extend(verdict.warning().map(|line| ("warning".to_owned(), line.to_owned())));
    agent.store.commit(|tx| {
        let db = tx.db().clone();
        let pool = pool_ref(&db).unwrap_or("");
        let row = |vdi: Uuid| db.by_uuid("VDI", &vdi.to_string()).unwrap_or("").to_owned();
        let statefiles: Vec<String> = session.statefiles.iter().map(|s| row(s.vdi)).collect();
        tx.set("pool", pool, "ha_enabled", true);
        tx.set("pool", pool, "ha_configuration", Value::text_map(shown.clone()));
        tx.set("pool", pool, "ha_statefiles", Value::text_set(statefiles.clone()));
        tx.set("pool", pool, "ha_cluster_stack", "xhad");
        for host in db.table("host").keys() {
            let others = db.table("host").keys().map(|host| db.text("host", host, "uuid"));
            tx.set("host", host, "ha_statefiles", Value::text_set(statefiles.clone()));
            tx.set("host", host, "ha_network_peers", Value::text_set(others));
        }
        // VMs that are protected and run are meant to keep running from now on.
        for vm in Vm::all(&db) {
            if vm.ha_restart_priority() == "restart" && vm.power_state() == "Running" {
                tx.set("VM", vm.reference, "ha_always_run", true);
            }
        }
        Ok(())
    })
}
