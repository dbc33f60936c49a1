//! Hosts in maintenance: disabled, empty, and out of the heartbeat until a person says otherwise,
//! through reboots.
//!
//! The pool's database says that a host takes no VMs; a file of the host itself says that it stays
//! out of the view. That file is written before its VMs are counted and refuses every start from
//! then on; the count waits for starts that were let in before. Only then the host leaves, so the
//! others may take "left empty" for what it is (R5.3c).

use super::ha::HostStep;
use super::jobs::{self, Done, Job};
use super::standing::Standing;
use super::{Agent, capacity, config, evacuate, guard, ha, master_change, starts, vm};
use crate::heartbeat::liveset::Phase;
use crate::pool::Database;
use crate::pool::rows::{Host, Pool};
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How far this host's own maintenance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// No VM starts here any more; the host is in the view still.
    Refuse,
    /// It leaves the view and stays out of it.
    Out,
    /// It comes back.
    Back,
}

/// The mark of a host in maintenance.
pub const MARK: &str = "xe-maintenance";
/// The mark of a host that a person disabled: it stays disabled through reboots.
pub const DISABLED: &str = "xe-disabled-until-enabled";
/// How long a host may take to leave the view, or to be in it again.
const CHANGE: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(200);
/// How long storage and networks of a host that has just booted may take.
const BOOT: Duration = Duration::from_secs(10);
/// How often a host in maintenance looks who is master, in rounds of its watch.
const LOOK: u32 = 10;

/// Whether a host is in maintenance.
pub fn is_in(db: &Database, host: &str) -> bool {
    db.key("host", host, "other_config", MARK).is_some()
}

/// What to type for a host in maintenance, as the end of a sentence.
pub fn way_out(db: &Database, host: &str) -> String {
    let uuid = db.text("host", host, "uuid");
    format!("it is in maintenance, which 'xe host-maintenance-exit uuid={uuid}' ends")
}

/// Whether a host is in maintenance and has left the heartbeat, if there is one.
fn is_away(agent: &Agent, db: &Database, host: &str) -> bool {
    let uuid = db.text("host", host, "uuid");
    let member = agent
        .ha
        .liveset()
        .is_some_and(|set| ha_is_on(db) && set.members.iter().any(|one| one.to_string() == uuid));
    is_in(db, host) && !member
}

fn mark(agent: &Agent, host: &str, on: bool) -> Answer<()> {
    agent.store.commit(|tx| {
        tx.row("host", host)?;
        for key in [MARK, DISABLED] {
            match on {
                true => tx.put_key("host", host, "other_config", key, "true"),
                false => tx.remove_key("host", host, "other_config", key),
            }
        }
        if on {
            tx.set("host", host, "enabled", false);
        }
        Ok(())
    })
}

/// Disables a host, moves its VMs away and takes it out of the heartbeat. When a VM cannot go, the
/// host stays disabled and in the heartbeat, and the answer names the VM.
pub fn enter(agent: &Arc<Agent>, host: &str, evacuate: bool) -> Answer<()> {
    let epoch = vm::master_epoch(agent)?;
    let admitted = guard::admit(agent);
    let db = agent.store.read();
    if is_away(agent, &db, host) {
        return Err(Failure::new("OPERATION_NOT_ALLOWED", [way_out(&db, host)]));
    }
    if !capacity::is_live(&db, &Host::get(&db, host)?) {
        // It could not be asked to stay out of the view: nothing is begun (S103).
        return Err(Failure::new("HOST_OFFLINE", [host]));
    }
    if agent.ha.liveset().is_some_and(|set| ha_is_on(&db) && set.members.len() < 2) {
        let why = "it is the last host of the view; switch HA off instead";
        return Err(Failure::new("OPERATION_NOT_ALLOWED", [why]));
    }
    if Host::get(&db, host)?.enabled() {
        guard::disable_host(agent, &db, host)?;
    }
    agent.store.commit(|tx| {
        tx.set("host", host, "enabled", false);
        tx.put_key("host", host, "other_config", DISABLED, "true");
        Ok(())
    })?;
    drop(admitted);
    if evacuate {
        evacuate::evacuate(agent, host, 0)?;
    }
    let db = agent.store.read();
    let own = |vm: &&str| !db.flag("VM", vm, "is_control_domain");
    if let Some(left) = db.set_of("host", host, "resident_VMs").into_iter().find(own) {
        let why = format!("{} runs there", guard::listed(&db, "VM", &[left]));
        return Err(Failure::new("OPERATION_NOT_ALLOWED", [why]));
    }
    mark(agent, host, true)?;
    let uuid = db.text("host", host, "uuid").to_owned();
    agent.history.note("maintenance", "entered", serde_json::json!({ "host": uuid }));
    if agent.is_simulated() {
        return Ok(());
    }
    let to = |stage| jobs::on_host(agent, host, epoch, &Job::Ha(HostStep::Maintain { stage }));
    to(Stage::Refuse)?;
    let boot = db.text("host", host, "xe_boot").to_owned();
    match jobs::on_host(agent, host, epoch, &Job::Scan { boot }) {
        Ok(Done::Found(found)) if found.is_empty() => to(Stage::Out)?,
        other => {
            to(Stage::Back)?;
            mark(agent, host, false)?;
            let why = "a VM was started there meanwhile".to_owned();
            return Err(other.err().unwrap_or(Failure::new("OPERATION_NOT_ALLOWED", [why])));
        }
    };
    let here = uuid == agent.config.host.to_string();
    // A master leaves after it has handed over, which ends this very process.
    if ha_is_on(&db) && !here { wait_for(agent, &uuid, false) } else { Ok(()) }
}

/// Lets a host into the heartbeat and has it take VMs again.
pub fn exit(agent: &Arc<Agent>, host: &str) -> Answer<()> {
    let epoch = vm::master_epoch(agent)?;
    let db = ready(agent, host)?;
    let uuid = db.text("host", host, "uuid").to_owned();
    if !agent.is_simulated() {
        let back = HostStep::Maintain { stage: Stage::Back };
        jobs::on_host(agent, host, epoch, &Job::Ha(back))?;
        if ha_is_on(&db) {
            wait_for(agent, &uuid, true)?;
        }
    }
    mark(agent, host, false)?;
    agent.store.commit(|tx| {
        tx.set("host", host, "enabled", true);
        Ok(())
    })?;
    agent.history.note("maintenance", "left", serde_json::json!({ "host": uuid }));
    super::recover::wake(agent);
    Ok(())
}

/// The rows by which a host may take VMs. What a boot is still about to attach is waited for: its
/// person types this as soon as the host answers.
pub fn ready(agent: &Agent, host: &str) -> Answer<Arc<Database>> {
    let begun = Instant::now();
    loop {
        let db = agent.store.read();
        match guard::enable_host(&db, host) {
            Ok(()) => return Ok(db),
            Err(_) if begun.elapsed() < BOOT && !agent.is_simulated() => std::thread::sleep(STEP),
            Err(failure) => return Err(failure),
        }
    }
}

/// Takes marks away that are stale (S104). A host in maintenance is disabled before it is marked
/// and enabled after its mark is gone, so one that is enabled is not in maintenance, whoever set
/// its mark. Its VMs stay where they are. Runs on the master.
pub fn clear_stale(agent: &Agent) -> Answer<()> {
    let stale = |db: &Database, host: &str| is_in(db, host) && db.flag("host", host, "enabled");
    let db = agent.store.read();
    for host in db.table("host").keys().filter(|host| stale(&db, host)) {
        agent.store.commit(|tx| {
            if stale(&tx.db().clone(), host) {
                tx.remove_key("host", host, "other_config", MARK);
            }
            Ok(())
        })?;
        let about = serde_json::json!({ "host": db.text("host", host, "uuid") });
        agent.history.note("maintenance", "a stale mark was taken away", about);
    }
    Ok(())
}

fn ha_is_on(db: &Database) -> bool {
    Pool::all(db).any(|pool| pool.ha_enabled())
}

/// Waits until a host is in the view, or out of it.
fn wait_for(agent: &Agent, host: &str, member: bool) -> Answer<()> {
    for _ in 0..CHANGE.as_millis() / STEP.as_millis() {
        let is_member = agent
            .ha
            .liveset()
            .is_some_and(|set| set.members.iter().any(|one| one.to_string() == host));
        if is_member == member {
            return Ok(());
        }
        std::thread::sleep(STEP);
    }
    let why =
        if member { "the host is not in the view yet" } else { "the host is still in the view" };
    Err(Failure::new("HA_FAILED_TO_FORM_LIVESET", [why]))
}

fn file(agent: &Agent) -> Option<PathBuf> {
    agent.state_dir.as_ref().map(|dir| dir.join("maintenance.json"))
}

/// What this host's own file says; nothing when it is not in maintenance.
fn own(agent: &Agent) -> Option<Stage> {
    let path = file(agent)?;
    // A file that cannot be read is a file that is there.
    path.exists().then(|| config::read(&path).unwrap_or(Stage::Refuse))
}

/// Whether this host refuses VMs because it is in maintenance.
pub fn is_here(agent: &Agent) -> bool {
    own(agent).is_some()
}

/// Whether this host has nothing to do with the view because of it.
pub fn is_out(agent: &Agent) -> bool {
    own(agent).is_some_and(|stage| stage != Stage::Refuse)
}

/// Takes a step of this host's own maintenance; [`watch`] does what follows from it.
pub fn set_here(agent: &Agent, stage: Stage) -> Answer<()> {
    let Some(path) = file(agent) else { return Ok(()) };
    if stage == Stage::Back && !path.exists() {
        return Ok(());
    }
    config::write(&path, &stage).map_err(|error| Failure::internal(format!("{error:#}")))
}

/// Keeps this host out of the view while it is in maintenance. Runs on a thread of its own.
pub fn watch(agent: &Arc<Agent>) {
    let (mut round, mut leaving) = (0_u32, false);
    loop {
        std::thread::sleep(STEP);
        let done = match own(agent) {
            None | Some(Stage::Refuse) => {
                (round, leaving) = (0, false);
                continue;
            }
            Some(Stage::Out) => {
                round = round.saturating_add(1);
                stay_out(agent, round, &mut leaving)
            }
            Some(Stage::Back) => come_back(agent, leaving),
        };
        if let Err(failure) = done {
            tracing::debug!("this host is in maintenance: {failure}");
        }
    }
}

/// One round of a host in maintenance: out of the view, and a member of whoever is master.
fn stay_out(agent: &Arc<Agent>, round: u32, leaving: &mut bool) -> Answer<()> {
    let armed = ha::session(agent).is_some_and(|session| session.armed);
    let client = ha::client(agent)?.with_timeout(CHANGE);
    let phase = if armed { client.liveset().ok() } else { None };
    match phase {
        Some(set) if set.phase == Phase::Armed && set.is_master => {
            // The call that asked for this is still being answered. The daemon ends this process
            // before another host is master (R6.2).
            if round > LOOK && set.members.len() > 1 {
                client.give_up_mastership(None).map_err(ha::refusal)?;
            }
            return Ok(());
        }
        Some(set) if set.phase == Phase::Armed => {
            leave(agent, &client)?;
            *leaving = true;
        }
        Some(set) if set.phase == Phase::Disarmed => client.stop().map_err(ha::refusal)?,
        _ => {}
    }
    let follows = matches!(agent.standing(), Standing::Member { .. });
    if (!follows || round.is_multiple_of(LOOK))
        && armed
        && let Some(master) = master_change::successor(agent)
        && agent.standing() != (Standing::Member { master: master.clone() })
    {
        master_change::follow(agent, &master);
    }
    Ok(())
}

/// Ends the session that this host left, so that it may join anew; then the file goes. A leave that
/// was asked for cannot be taken back, so its end comes first.
fn come_back(agent: &Agent, leaving: bool) -> Answer<()> {
    let client = ha::client(agent)?;
    match client.liveset().map(|set| set.phase) {
        Ok(Phase::Armed) if leaving => return Ok(()),
        Ok(Phase::Disarmed) => client.stop().map_err(ha::refusal)?,
        _ => {}
    }
    match file(agent).map(std::fs::remove_file) {
        Some(Err(error)) => Err(Failure::internal(error.to_string())),
        _ => Ok(()),
    }
}

/// Leaves the view: empty, and no start is under way that was let in before the mark.
fn leave(agent: &Agent, client: &crate::xhad::control::Client) -> Answer<()> {
    if !starts::scan_after(agent)?.is_empty() {
        return Err(Failure::new("OPERATION_NOT_ALLOWED", ["VMs are still here"]));
    }
    client.set_excluded().map_err(ha::refusal)?;
    agent.history.note("maintenance", "this host leaves the view", serde_json::json!({}));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::in_process;

    #[test]
    fn s104_a_stale_mark_on_the_host_that_runs_vms_is_taken_away_and_they_stay() {
        let agent = in_process::of_two_hosts();
        let db = agent.store.read();
        let runs = |host: &&String| {
            let vms = db.set_of("host", host, "resident_VMs");
            vms.into_iter().any(|vm| !db.flag("VM", vm, "is_control_domain"))
        };
        let host = db.table("host").keys().find(runs).unwrap();
        let set = |enabled: bool| {
            let marked = agent.store.commit(|tx| {
                tx.put_key("host", host, "other_config", MARK, "true");
                tx.set("host", host, "enabled", enabled);
                Ok(())
            });
            marked.unwrap();
        };
        let marked = || is_in(&agent.store.read(), host);
        set(false);
        clear_stale(&agent).unwrap();
        assert!(marked(), "a disabled host may be in maintenance");
        set(true);
        clear_stale(&agent).unwrap();
        assert!(!marked());
        let now = agent.store.read();
        let vms = |db: &Database| db.set_of("host", host, "resident_VMs").len();
        assert_eq!(vms(&now), vms(&db));
        assert!(now.flag("host", host, "enabled"));
    }
}
