//! Who is master while HA is off: the pool configuration says so, and each assumption of mastership
//! raises the epoch durably.

use super::config::{self, PoolRole};
use super::standing::Standing;
use super::{Agent, pool_ref};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};

/// Makes this host the master in a new epoch; its database is the pool's from now on.
pub fn become_master(agent: &Agent) -> Answer<()> {
    become_master_after(agent, 0)
}

/// The same, in an epoch above one that others may have seen.
pub fn become_master_after(agent: &Agent, seen: u64) -> Answer<()> {
    let state_dir = agent.state_dir.as_deref().ok_or_else(|| Failure::bare("HOST_IS_LIVE"))?;
    assert_whole(agent)?;
    let path = state_dir.join("epoch.json");
    let last: u64 = config::read(&path).unwrap_or(0);
    let epoch = last.max(seen).max(agent.store.position().epoch) + 1;
    let write = || -> anyhow::Result<()> {
        config::write(&path, &epoch)?;
        PoolRole::Master.save(state_dir)
    };
    write().map_err(|error| Failure::internal(format!("{error:#}")))?;
    // By that everybody knows what this host is in its pool.
    super::ha::emergency::clear_mark(agent);
    assume(agent, epoch, Box::new(move || Ok(epoch)))
}

/// The address of a host of this pool that became master while this one was away (S41).
pub fn successor(agent: &Agent) -> Option<String> {
    let db = agent.store.read();
    let own = agent.config.address.to_string();
    let others: Vec<String> = crate::pool::rows::Host::all(&db)
        .map(|host| host.address().to_owned())
        .filter(|address| *address != own)
        .collect();
    let is_master = |address: &String| {
        let answer = agent.peers.brief(address, "is_master");
        answer.ok().and_then(|answer| answer.as_bool()).unwrap_or(false)
    };
    let found = std::thread::scope(|scope| {
        let asked: Vec<_> =
            others.iter().map(|address| (address, scope.spawn(|| is_master(address)))).collect();
        let answers = asked.into_iter().map(|(address, thread)| (address, thread.join()));
        answers.filter(|(_, yes)| matches!(yes, Ok(true))).map(|(a, _)| a.clone()).next()
    });
    if let Some(master) = &found {
        let why = "another host of the pool is master already; this one follows it";
        agent.history.note("stale-master", why, serde_json::json!({ "master": master }));
    }
    found
}

/// Refuses to be master from a journal that is damaged before whole records: it lacks what others
/// were told is there.
pub fn assert_whole(agent: &Agent) -> Answer<()> {
    match agent.store.damage() {
        None => Ok(()),
        Some(damage) => Err(Failure::new("XE_JOURNAL_DAMAGED", [damage.to_string()])),
    }
}

/// Acts as master from now on, in this epoch, as long as `lease` says so.
pub fn assume(agent: &Agent, epoch: u64, lease: super::store::Lease) -> Answer<()> {
    assert_whole(agent)?;
    agent.store.set_lease(Some(lease));
    agent.set_standing(Standing::Master { epoch });
    agent.history.note(
        "master",
        "this host is the master now",
        serde_json::json!({
            "epoch": epoch, "host": agent.config.host,
        }),
    );
    agent.store.commit(|tx| {
        let db = tx.db().clone();
        if let (Some(pool), Some(host)) = (pool_ref(&db), agent.host_ref(&db)) {
            tx.set("pool", pool, "master", host);
        }
        Ok(())
    })?;
    super::recover::wake(agent);
    Ok(())
}

/// Follows the master at an address from now on.
pub fn follow(agent: &Agent, master: &str) {
    if let Some(state_dir) = &agent.state_dir
        && let Err(error) = (PoolRole::Member { master: master.to_owned() }).save(state_dir)
    {
        agent.history.note("pool-role-not-saved", &format!("{error:#}"), serde_json::json!({}));
    }
    step_down(agent, Standing::Member { master: master.to_owned() });
}

/// Stops acting as master.
pub fn step_down(agent: &Agent, standing: Standing) {
    agent.store.set_lease(None);
    let before = agent.set_standing(standing.clone());
    if before != standing {
        agent.history.note("standing", &format!("{standing:?}"), serde_json::json!({}));
    }
}

/// Hands the mastership to another live host while HA is off.
pub fn designate(agent: &Agent, host: &str) -> Answer<()> {
    super::vm::master_epoch(agent)?;
    let db = agent.store.read();
    db.require("host", host)?;
    let pool = pool_ref(&db).unwrap_or("");
    if db.target("pool", pool, "master") == Some(host) {
        return Ok(());
    }
    if db.flag("pool", pool, "ha_enabled") {
        return Err(Failure::bare("HA_IS_ENABLED"));
    }
    let address = db.text("host", host, "address").to_owned();
    let own = agent.config.address.to_string();
    wait_until_current(agent, db.text("host", host, "uuid"))?;
    // From here on this host writes nothing: the new master's database is the last word.
    step_down(agent, Standing::Emergency(Failure::bare("HOST_STILL_BOOTING")));
    if let Err(failure) = agent.peers.call(&address, "become_master", &[]) {
        become_master(agent)?;
        return Err(Failure::new("HA_ABORT_NEW_MASTER", [failure.to_string()]));
    }
    for other in db.table("host").keys() {
        let to = db.text("host", other, "address");
        if to != own && to != address {
            let told = agent.peers.call(to, "new_master", &[Value::from(address.as_str())]);
            if let Err(failure) = told {
                agent.history.note(
                    "new-master-not-told",
                    &failure.to_string(),
                    serde_json::json!({ "host": db.text("host", other, "uuid") }),
                );
            }
        }
    }
    follow(agent, &address);
    Ok(())
}

/// Waits until a member holds everything that this master has written.
fn wait_until_current(agent: &Agent, member: &str) -> Answer<()> {
    let generation = agent.store.position().generation;
    for _ in 0..200 {
        if agent.store.acknowledged().get(member).is_some_and(|at| *at >= generation) {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let why = "the host does not follow the master's database";
    Err(Failure::new("HA_ABORT_NEW_MASTER", [why]))
}
