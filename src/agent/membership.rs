//! Joining and leaving a pool, and what an operator does when the master is lost.

use super::config::PoolRole;
use super::identity::Identity;
use super::new_host::{NewHost, create_host};
use super::standing::Standing;
use super::{Agent, init, master_change, new_reference, new_uuid};
use crate::client::http::HttpTransport;
use crate::client::{CallError, Transport};
use crate::heartbeat::PROTOCOL;
use crate::pool::rows::{Host, Pool, Sr, Vm};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::sync::Arc;
use std::time::Duration;

/// How long an agent waits before an emergency change of its role, so that the caller gets its
/// answer and a person can still stop it (the peer's fuse).
const FUSE: Duration = Duration::from_secs(10);

fn own_dir(agent: &Agent) -> Answer<&std::path::Path> {
    agent.state_dir.as_deref().ok_or_else(|| Failure::internal("this agent serves a dump"))
}

/// Joins this host to the pool of a master: its own database is given up for the pool's.
pub fn join(agent: &Arc<Agent>, master: &str, user: &str, password: &str) -> Answer<()> {
    let state_dir = own_dir(agent)?.to_owned();
    let db = agent.store.read();
    if Pool::all(&db).any(|pool| pool.ha_enabled()) {
        return Err(Failure::bare("HA_IS_ENABLED"));
    }
    if Host::all(&db).count() > 1 {
        let why = "this host already belongs to a pool of several hosts";
        return Err(Failure::new("OPERATION_NOT_ALLOWED", [why]));
    }
    if Vm::all(&db).any(|vm| super::capacity::is_machine(&vm) && vm.power_state() != "Halted") {
        return Err(Failure::bare("JOINING_HOST_CANNOT_HAVE_RUNNING_VMS"));
    }
    if Sr::all(&db).any(|sr| sr.shared()) {
        return Err(Failure::bare("JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS"));
    }
    let remote = HttpTransport::tcp(master, agent.config.https_port, true)
        .map_err(|error| offline(master, error))?;
    let call = |method: &str, params: &[Value]| {
        remote.call(method, params).map_err(|error| match error {
            CallError::Api(failure) => failure,
            other => offline(master, other),
        })
    };
    let login = [user.into(), password.into(), "1.0".into(), "xe-agent".into()];
    let session = call("session.login_with_password", &login)?;
    let facts = serde_json::to_string(&init::new_host(&agent.config))
        .map_err(|error| Failure::internal(error.to_string()))?;
    let admitted = call("pool.xe_admit", &[session, Value::text_map([("facts", facts)])])?;
    let identity: Identity = serde_json::from_str(admitted.as_str().unwrap_or(""))
        .map_err(|error| Failure::internal(format!("the master's answer: {error}")))?;
    let write = || -> anyhow::Result<()> {
        PoolRole::Member { master: master.to_owned() }.save(&state_dir)?;
        identity.save(&state_dir)?;
        std::fs::remove_file(state_dir.join("db.journal"))?;
        Ok(())
    };
    write().map_err(|error| Failure::internal(format!("{error:#}")))?;
    restart_soon(agent);
    Ok(())
}

fn offline(master: &str, error: impl std::fmt::Display) -> Failure {
    tracing::warn!(%master, "the master cannot be reached: {error}");
    Failure::new("JOINING_HOST_CONNECTION_FAILED", [master])
}

/// The master's side of a join: the new host's rows; gives what a member must hold.
pub fn admit(agent: &Agent, facts: &BTreeMap<String, String>) -> Answer<String> {
    super::vm::master_epoch(agent)?;
    let facts: NewHost = serde_json::from_str(facts.get("facts").map_or("", String::as_str))
        .map_err(|error| Failure::internal(error.to_string()))?;
    if facts.protocol != PROTOCOL {
        // HA could never be switched on with it (S119).
        let why = format!(
            "host {} speaks heartbeat protocol {}, this pool {PROTOCOL}; install the same release \
             on both, then run 'xe pool-join' again",
            facts.name, facts.protocol
        );
        return Err(Failure::new("HOSTS_NOT_HOMOGENEOUS", [why]));
    }
    agent.store.commit(|tx| {
        let db = tx.db().clone();
        if Pool::all(&db).any(|pool| pool.ha_enabled()) {
            return Err(Failure::bare("HA_IS_ENABLED"));
        }
        let same = |host: &Host<'_>| {
            host.uuid() == facts.uuid.to_string() || host.address() == facts.address
        };
        if let Some(host) = Host::all(&db).find(same) {
            let why = format!("host {} has the same uuid or address", host.uuid());
            return Err(Failure::new("OPERATION_NOT_ALLOWED", [why]));
        }
        let host = create_host(tx, &facts);
        for sr in Sr::all(&db).filter(|sr| sr.shared()) {
            let config = sr.PBDs().first().and_then(|pbd| db.get("PBD", pbd, "device_config"));
            tx.create(
                "PBD",
                &new_reference(),
                [
                    ("uuid", Value::from(new_uuid())),
                    ("host", Value::from(host.as_str())),
                    ("SR", Value::from(sr.reference)),
                    ("device_config", config.cloned().unwrap_or(Value::text_map([("", "")]))),
                ],
            );
        }
        Ok(())
    })?;
    agent.history.note("host-admitted", "pool-join", serde_json::json!({ "host": facts.uuid }));
    serde_json::to_string(&agent.identity).map_err(|error| Failure::internal(error.to_string()))
}

/// Takes a host out of the pool; it becomes a pool of its own.
pub fn eject(agent: &Agent, host: &str) -> Answer<()> {
    super::vm::master_epoch(agent)?;
    let db = agent.store.read();
    let row = Host::get(&db, host)?;
    if Pool::all(&db).any(|pool| pool.ha_enabled()) {
        return Err(Failure::bare("HA_IS_ENABLED"));
    }
    if agent.host_ref(&db).as_deref() == Some(host) {
        return Err(Failure::new("HOST_CANNOT_DESTROY_SELF", [host]));
    }
    let busy = |vm: &&str| Vm::get(&db, vm).is_ok_and(|vm| !vm.is_control_domain());
    if let Some(vm) = row.resident_VMs().into_iter().find(|vm| busy(vm)) {
        let why = format!("VM {} runs there", db.text("VM", vm, "uuid"));
        return Err(Failure::new("OPERATION_NOT_ALLOWED", [why]));
    }
    agent.peers.call(row.address(), "ejected", &[])?;
    remove_host(agent, host)
}

/// This host was taken out of its pool: it starts anew as a pool of its own.
pub fn ejected(agent: &Arc<Agent>) -> Answer<()> {
    let state_dir = own_dir(agent)?;
    let password = agent.identity.as_ref().map(|identity| identity.password.clone());
    let write = || -> anyhow::Result<()> {
        let config = agent.config.clone();
        for file in ["agent.json", "db.journal", "pool.json"] {
            let _ = std::fs::remove_file(state_dir.join(file));
        }
        init::create(state_dir, &config, "")?;
        let mut identity = Identity::load(state_dir)?;
        identity.password = password.unwrap_or(identity.password);
        identity.save(state_dir)
    };
    write().map_err(|error| Failure::internal(format!("{error:#}")))?;
    restart_soon(agent);
    Ok(())
}

/// Removes a host's rows and what hangs on them.
pub fn remove_host(agent: &Agent, host: &str) -> Answer<()> {
    agent.store.commit(|tx| {
        let db = tx.db().clone();
        for pbd in db.set_of("host", host, "PBDs") {
            let sr = db.target("PBD", pbd, "SR").unwrap_or("").to_owned();
            tx.delete("PBD", pbd);
            if tx.db().set_of("SR", &sr, "PBDs").is_empty() {
                for vdi in db.set_of("SR", &sr, "VDIs") {
                    tx.delete("VDI", vdi);
                }
                tx.delete("SR", &sr);
            }
        }
        for pif in db.set_of("host", host, "PIFs") {
            tx.delete("PIF", pif);
        }
        for vm in db.set_of("host", host, "resident_VMs") {
            tx.delete("VM", vm);
        }
        if let Some(metrics) = db.target("host", host, "metrics") {
            tx.delete("host_metrics", metrics);
        }
        tx.delete("host", host);
        Ok(())
    })
}

/// Makes this host the master because the operator says that the old one is gone.
pub fn emergency_transition(agent: &Arc<Agent>) -> Answer<()> {
    own_dir(agent)?;
    master_change::assert_whole(agent)?;
    if super::ha::is_armed(agent) {
        return Err(Failure::bare("HA_IS_ENABLED"));
    }
    if let Some(host) = armed_host(agent) {
        let why = format!(
            "host {host} has HA on and decides with the others who is master; switch HA off there \
             first, or point this host to the master with 'xe pool-emergency-reset-master'"
        );
        return Err(Failure::new("OPERATION_NOT_ALLOWED", [why]));
    }
    after_fuse(agent, "emergency transition to master", |agent| {
        if let Err(failure) = transition(agent) {
            let why = failure.to_string();
            agent.history.note("emergency-transition-failed", &why, serde_json::json!({}));
        }
    });
    Ok(())
}

/// A host of the pool that answers and takes part in HA.
fn armed_host(agent: &Agent) -> Option<String> {
    let db = agent.store.read();
    let own = agent.config.address.to_string();
    let is_armed = |host: &Host<'_>| {
        let answer = agent.peers.brief(host.address(), "is_armed");
        answer.is_ok_and(|answer| answer == Value::Bool(true))
    };
    let mut others = Host::all(&db).filter(|host| host.address() != own);
    others.find(is_armed).map(|host| host.name_label().to_owned())
}

/// The operator's word makes this host the master, without HA. Hosts that it could not ask may take
/// part in HA all the same: its epochs lie beyond all that their views reach, and they take no job
/// of such an epoch ([`super::ha::named::assert_of_view`]).
fn transition(agent: &Arc<Agent>) -> Answer<()> {
    let db = agent.store.read();
    let on = db.flag("pool", super::pool_ref(&db).unwrap_or(""), "ha_enabled");
    let far = if on { agent.store.position().epoch + super::ha::named::BEYOND_VIEWS } else { 0 };
    master_change::become_master_after(agent, far)?;
    if on {
        super::ha::disable::record(agent)?;
        let host = agent.config.host.to_string();
        let why = "this host was made the master by hand; HA is off";
        super::vm::message(agent, "HA_STATEFILE_LOST", 2, "Host", &host, why);
    }
    Ok(())
}

/// Points this host to another master because the operator says so.
pub fn emergency_reset(agent: &Arc<Agent>, master: &str) -> Answer<()> {
    own_dir(agent)?;
    if super::ha::is_armed(agent) {
        return Err(Failure::bare("HA_IS_ENABLED"));
    }
    let own = agent.config.address.to_string();
    if master == own || master == agent.config.name {
        let why = format!("{master} is this host; it cannot be a member of itself");
        return Err(Failure::new("OPERATION_NOT_ALLOWED", [why]));
    }
    if master.is_empty() {
        return Err(Failure::new("INVALID_VALUE", ["master-address", ""]));
    }
    let master = master.to_owned();
    after_fuse(agent, "emergency reset of the master's address", move |agent| {
        super::ha::emergency::clear_mark(agent);
        master_change::follow(agent, &master);
    });
    Ok(())
}

fn after_fuse(agent: &Arc<Agent>, why: &str, work: impl FnOnce(&Arc<Agent>) + Send + 'static) {
    let why = why.to_owned();
    let agent = Arc::clone(agent);
    std::thread::spawn(move || {
        std::thread::sleep(FUSE);
        agent.history.note("fuse", &why, serde_json::json!({}));
        work(&agent);
    });
}

/// Points every other host to this master; gives those that obeyed.
pub fn recover_slaves(agent: &Agent) -> Answer<Vec<String>> {
    super::vm::master_epoch(agent)?;
    let db = agent.store.read();
    let own = agent.config.address.to_string();
    let others = Host::all(&db).filter(|host| host.address() != own);
    let told = others.filter(|host| {
        let call = agent.peers.call(host.address(), "new_master", &[Value::from(own.as_str())]);
        call.is_ok()
    });
    Ok(told.map(|host| host.reference.to_owned()).collect())
}

/// Waits until every live member holds all that was written until now.
pub fn sync_database(agent: &Agent) -> Answer<()> {
    super::vm::master_epoch(agent)?;
    let generation = agent.store.position().generation;
    let db = agent.store.read();
    let own = agent.host_ref(&db);
    for host in Host::all(&db) {
        if own.as_deref() == Some(host.reference) || !super::capacity::is_live(&db, &host) {
            continue;
        }
        let mut tries = 0;
        while agent.store.acknowledged().get(host.uuid()).is_none_or(|at| *at < generation) {
            tries += 1;
            if tries > 400 {
                return Err(Failure::new("HOST_OFFLINE", [host.reference]));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Has the agent of a host start anew. The heartbeat is a process of its own, so HA goes on; an
/// agent that is the master's lets another host be master while it is away.
pub fn restart_agent(agent: &Arc<Agent>, host: &str) -> Answer<()> {
    let db = agent.store.read();
    let row = Host::get(&db, host)?;
    if agent.is_simulated() {
        return Err(Failure::new("OPERATION_NOT_ALLOWED", ["a saved database has no agents"]));
    }
    if agent.host_ref(&db).as_deref() == Some(host) {
        restart_soon(agent);
        return Ok(());
    }
    let asked = agent.peers.call(db.text("host", row.reference, "address"), "restart_agent", &[]);
    asked.map(drop).map_err(|failure| match failure.code.as_str() {
        "HOST_OFFLINE" => Failure::new("HOST_OFFLINE", [host]),
        _ => failure,
    })
}

/// Starts this agent anew in place, after the answer of the present call has gone out. VMs do not
/// notice: the new agent finds them by scan.
pub fn restart_soon(agent: &Arc<Agent>) {
    agent.history.note("agent-restart", "asked for", serde_json::json!({}));
    agent.set_standing(Standing::Emergency(Failure::bare("HOST_STILL_BOOTING")));
    agent.store.set_lease(None);
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(500));
        let mut words = std::env::args_os();
        let name = words.next().unwrap_or_else(|| "xe-agent".into());
        let error = std::process::Command::new("/proc/self/exe").arg0(name).args(words).exec();
        tracing::error!("the agent could not start anew: {error}");
        std::process::exit(1);
    });
}
