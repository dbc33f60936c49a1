//! Operations that would break the failover plan are refused, with what breaks it.

use super::Agent;
use super::capacity::{Capacity, capacity, footprint, is_protected};
use crate::plan::{self, Budget, Guard};
use crate::pool::Database;
use crate::pool::rows::{Pool, Vm};
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::collections::{BTreeMap, BTreeSet};

/// How many failures the pool is promised to survive, when an operation may be refused for it: HA
/// is on, overcommitting is not allowed, and a plan exists.
fn promised(db: &Database) -> Option<usize> {
    let pool = Pool::all(db).next()?;
    let guarded = pool.ha_enabled() && !pool.ha_allow_overcommit();
    let failures = usize::try_from(pool.ha_plan_exists_for()).ok()?;
    (guarded && failures > 0).then_some(failures)
}

/// Refuses when a change of the planning problem takes away a plan that exists.
pub fn preserves_plan(
    agent: &Agent,
    db: &Database,
    change: impl FnOnce(&mut Capacity),
) -> Answer<()> {
    let Some(failures) = promised(db) else { return Ok(()) };
    let before = capacity(agent, db)?;
    let mut after = before.clone();
    change(&mut after);
    let verdict = plan::guard(&before.problem, &after.problem, failures, &Budget::default());
    let Guard::Breaks { hosts, vms, proved } = verdict else { return Ok(()) };
    let name = |class: &str, row: &str| {
        format!("{} ({})", db.text(class, row, "uuid"), db.text(class, row, "name_label"))
    };
    let hosts: Vec<String> = hosts.iter().map(|host| name("host", &after.hosts[*host])).collect();
    let vms: Vec<String> = vms.iter().map(|vm| name("VM", &after.vms[*vm])).collect();
    let why = if proved {
        format!("when {} fail, {} find no place", hosts.join(", "), vms.join(", "))
    } else {
        format!("that {failures} hosts may fail afterwards could not be proved in time")
    };
    Err(Failure::new("HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN", [why]))
}

/// Refuses a start (or an arrival by migration) that takes memory which the plan needs.
pub fn start_on(agent: &Agent, db: &Database, vm: &str, host: &str) -> Answer<()> {
    let row = Vm::get(db, vm)?;
    preserves_plan(agent, db, |capacity| started(db, capacity, &row, host))
}

/// The pool once a VM runs on a host.
pub fn started(db: &Database, capacity: &mut Capacity, vm: &Vm<'_>, host: &str) {
    let Some(at) = capacity.hosts.iter().position(|known| known == host) else { return };
    let size = footprint(vm);
    let target = &mut capacity.problem.hosts[at];
    target.free = target.free.saturating_sub(size);
    let protected = vm.ha_restart_priority() == "restart";
    if let Some(known) = capacity.vms.iter().position(|known| known == vm.reference) {
        let old = capacity.problem.vms[known].host.replace(at);
        if let Some(old) = old {
            capacity.problem.hosts[old].free += size;
        }
        capacity.problem.vms[known].protected = protected;
        return;
    }
    let allowed = allowed_hosts(db, capacity, vm);
    capacity.problem.vms.push(plan::Vm {
        id: vm.uuid().to_owned(),
        memory: size,
        host: Some(at),
        protected,
        allowed,
    });
    capacity.vms.push(vm.reference.to_owned());
}

fn allowed_hosts(db: &Database, capacity: &Capacity, vm: &Vm<'_>) -> Option<BTreeSet<usize>> {
    let allowed = super::agility::possible_hosts(db, vm);
    let index = |host: &String| capacity.hosts.iter().position(|known| known == host);
    let every = capacity.hosts.iter().all(|host| allowed.contains(host));
    (!every).then(|| allowed.iter().filter_map(index).collect())
}

/// Refuses to take a host out of the plan when the others cannot do without it.
pub fn disable_host(agent: &Agent, db: &Database, host: &str) -> Answer<()> {
    preserves_plan(agent, db, |capacity| disabled(capacity, host))
}

/// The pool once a host takes no VMs any more.
pub fn disabled(capacity: &mut Capacity, host: &str) {
    if let Some(at) = capacity.hosts.iter().position(|known| known == host) {
        capacity.problem.hosts[at].enabled = false;
    }
}

/// Refuses to protect a running VM that the plan has no place for (S90).
pub fn protect(agent: &Agent, db: &Database, vm: &str) -> Answer<()> {
    preserves_plan(agent, db, |capacity| {
        if let Some(at) = capacity.vms.iter().position(|known| known == vm) {
            capacity.problem.vms[at].protected = true;
        }
    })
}

/// The largest number of failures that the pool survives, as its priorities stand.
pub fn max_failures(agent: &Agent, db: &Database) -> Answer<plan::Verdict> {
    Ok(verdict(agent, db)?.0)
}

/// The same with the rows that its indexes stand for.
pub fn verdict(agent: &Agent, db: &Database) -> Answer<(plan::Verdict, Capacity)> {
    let rows = capacity(agent, db)?;
    Ok((plan::max_failures(&rows.problem, &Budget::default()), rows))
}

/// The same with other priorities: exactly the VMs given as `restart` are protected (and, of the
/// others, those that are protected now stay out).
pub fn hypothetical(
    agent: &Agent,
    db: &Database,
    priorities: &BTreeMap<String, String>,
) -> Answer<plan::Verdict> {
    let mut found = capacity(agent, db)?;
    for (at, vm) in found.vms.iter().enumerate() {
        found.problem.vms[at].protected = priorities.get(vm).is_some_and(|p| p == "restart");
    }
    found.problem.vms.retain(|vm| vm.protected || vm.host.is_some());
    for (vm, priority) in priorities {
        let row = Vm::get(db, vm)?;
        let known = found.problem.vms.iter().any(|known| known.id == row.uuid());
        if priority == "restart" && !known && !is_protected(&row) {
            found.problem.vms.push(plan::Vm {
                id: row.uuid().to_owned(),
                memory: footprint(&row),
                host: None,
                protected: true,
                allowed: allowed_hosts(db, &found, &row),
            });
        }
    }
    Ok(plan::max_failures(&found.problem, &Budget::default()))
}
