//! The failover plan as the pool's row shows it.

use crate::agent::hooks::{self, Hook};
use crate::agent::{Agent, guard, vm::message};
use crate::pool::rows::Pool;
use crate::recovery::{PlanStatus, plan_messages};
use crate::xenapi::failure::Answer;
use std::sync::Arc;

/// Computes the plan anew, records what it promises, and tells changes for the worse.
pub fn update(agent: &Arc<Agent>) -> Answer<()> {
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
    if after.overcommitted && !before.overcommitted {
        let words = vec![
            ("pooluuid", pool.uuid().to_owned()),
            ("reason", format!("survives {most} of {wanted}")),
        ];
        hooks::run_aside(agent, Hook::PoolHaOvercommitted, words);
    }
    for one in plan_messages(before, after) {
        message(agent, one.name, one.priority, "Pool", pool.uuid(), &one.body);
    }
    Ok(())
}
