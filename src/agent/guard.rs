//! Operations that would break the failover plan are refused, with what breaks it.

use super::Agent;
use super::agility::{assert_reported, needed_networks, needed_srs, sees_network, sees_sr};
use super::capacity::{Capacity, budget, capacity, is_machine, is_protected};
use crate::plan::{self, Change, Guard, Host as PlanHost, Vm as PlanVm};
use crate::pool::Database;
use crate::pool::rows::{Host, Pif, Pool, Sr, Vm};
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

/// To be held from the look at the rows until what was judged by them is recorded: two operations
/// that keep the plan one by one can break it together, or take the same room.
pub fn admit(agent: &Agent) -> MutexGuard<'_, ()> {
    agent.admission.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many failures the pool is promised to survive, when an operation may be refused for it: HA
/// is on, overcommitting is not allowed, and a plan exists. The row is renewed a moment after what
/// changes it, so where it says less than was wished, the rows themselves are asked.
pub fn promised(agent: &Agent, db: &Database) -> Answer<Option<usize>> {
    if !guards_agility(db) {
        return Ok(None);
    }
    let Some(pool) = Pool::all(db).next() else { return Ok(None) };
    let count = |number: i64| usize::try_from(number).unwrap_or(0);
    let wished = count(pool.ha_host_failures_to_tolerate());
    let recorded = count(pool.ha_plan_exists_for());
    let failures = match recorded < wished {
        true => max_failures(agent, db)?.max.min(wished),
        false => recorded,
    };
    Ok(Some(failures).filter(|failures| *failures > 0))
}

/// Refuses when changes of the planning problem take away a plan that exists.
pub fn preserves_plan(
    agent: &Agent,
    db: &Database,
    changes: impl FnOnce(&Capacity) -> Vec<Change>,
) -> Answer<()> {
    let Some(failures) = promised(agent, db)? else { return Ok(()) };
    agent.abreast.ask_whether((db, failures), agent.host_memory(), |found, pool| {
        refusal(db, found, plan::guard(pool, &changes(found)), failures).map_or(Ok(()), Err)
    })?
}

/// Why an operation is refused, if it is.
fn refusal(db: &Database, found: &Capacity, verdict: Guard, failures: usize) -> Option<Failure> {
    let Guard::Breaks { hosts, vms, proved } = verdict else { return None };
    let hosts: Vec<&str> = hosts.iter().map(|host| found.hosts[*host].as_str()).collect();
    let vms: Vec<&str> = vms.iter().map(|vm| found.vms[*vm].as_str()).collect();
    let why = match (proved, hosts.is_empty()) {
        (true, false) => format!(
            "if {} failed, no place would be left for {}",
            listed(db, "host", &hosts),
            listed(db, "VM", &vms)
        ),
        (true, true) => format!("no place would be left for {}", listed(db, "VM", &vms)),
        (false, _) => {
            format!("that {failures} hosts may fail afterwards could not be proved in time")
        }
    };
    Some(Failure::new("HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN", [why]))
}

/// Objects by uuid and name, as a sentence has them; of many, the first few.
pub fn listed(db: &Database, class: &str, rows: &[&str]) -> String {
    const MOST: usize = 5;
    let name = |row: &&str| {
        format!("{} ({})", db.text(class, row, "uuid"), db.text(class, row, "name_label"))
    };
    let mut text = rows.iter().take(MOST).map(name).collect::<Vec<_>>().join(", ");
    if rows.len() > MOST {
        text += &format!(" and {} more", rows.len() - MOST);
    }
    text
}

/// Whether the agility of protected VMs is guarded.
fn guards_agility(db: &Database) -> bool {
    Pool::all(db).any(|pool| pool.ha_enabled() && !pool.ha_allow_overcommit())
}

/// The protected VMs for which something holds.
fn protected<'a>(db: &'a Database, holds: impl Fn(&Vm<'a>) -> bool) -> Vec<&'a str> {
    let vms = Vm::all(db).filter(|vm| is_machine(vm) && is_protected(vm) && holds(vm));
    vms.map(|vm| vm.reference).collect()
}

/// Refuses a disk for a protected VM on an SR that not every enabled host has (S84).
pub fn storage(db: &Database, vm: &str, sr: &str) -> Answer<()> {
    if !guards_agility(db) || !Vm::get(db, vm).is_ok_and(|vm| is_protected(&vm)) {
        return Ok(());
    }
    let vm = listed(db, "VM", &[vm]);
    let lacks = |host: &Host<'_>| host.enabled() && !sees_sr(db, host.reference, sr);
    let why = if !Sr::get(db, sr)?.shared() {
        format!("one host alone has it, and {vm} is protected")
    } else if let Some(host) = Host::all(db).find(lacks) {
        format!("it is not attached to {}, and {vm} is protected", host.name_label())
    } else {
        return Ok(());
    };
    Err(Failure::new("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", [sr, &why]))
}

/// Refuses an interface for a protected VM on a network that not every enabled host has.
pub fn network(db: &Database, vm: &str, network: &str) -> Answer<()> {
    if !guards_agility(db) || !Vm::get(db, vm).is_ok_and(|vm| is_protected(&vm)) {
        return Ok(());
    }
    let vm = listed(db, "VM", &[vm]);
    let anywhere = Pif::all(db).any(|pif| pif.network() == Some(network));
    let lacks = |host: &Host<'_>| host.enabled() && !sees_network(db, host.reference, network);
    let why = if !anywhere {
        format!("it exists inside each host alone, and {vm} is protected")
    } else if let Some(host) = Host::all(db).find(lacks) {
        format!("{} has no plugged interface on it, and {vm} is protected", host.name_label())
    } else {
        return Ok(());
    };
    Err(Failure::new("HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED", [network, &why]))
}

/// Refuses to take an SR away from a host while protected VMs need it.
pub fn storage_of_protected(db: &Database, sr: &str, what: &str) -> Answer<()> {
    let vms = protected(db, |vm| needed_srs(db, vm).contains(&sr));
    if vms.is_empty() || !guards_agility(db) {
        return Ok(());
    }
    let why = format!("{what}, and these protected VMs need it: {}", listed(db, "VM", &vms));
    Err(Failure::new("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", [sr, &why]))
}

/// Refuses to take a host's interface off a network while protected VMs need it.
pub fn interface(db: &Database, pif: &str) -> Answer<()> {
    let row = Pif::get(db, pif)?;
    let Some(network) = row.network().filter(|_| guards_agility(db)) else { return Ok(()) };
    let vms = protected(db, |vm| needed_networks(db, vm).contains(&network));
    if vms.is_empty() {
        return Ok(());
    }
    let host = row.host().map_or("", |host| db.text("host", host, "name_label"));
    let why = format!(
        "{host} would have no interface on it, and these protected VMs need it: {}",
        listed(db, "VM", &vms)
    );
    Err(Failure::new("HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED", [network, &why]))
}

/// Refuses to let a host take VMs that has not reported yet, or that lacks storage or networks of
/// protected VMs.
pub fn enable_host(db: &Database, host: &str) -> Answer<()> {
    assert_reported(db, host)?;
    if !guards_agility(db) {
        return Ok(());
    }
    let name = db.text("host", host, "name_label");
    for pbd in db.set_of("host", host, "PBDs") {
        if let Some(sr) = db.target("PBD", pbd, "SR")
            && !db.flag("PBD", pbd, "currently_attached")
        {
            storage_of_protected(db, sr, &format!("it is not attached to {name}"))?;
        }
    }
    for pif in db.set_of("host", host, "PIFs") {
        let row = Pif::get(db, pif)?;
        if !row.currently_attached() && row.bond_slave_of().is_none() {
            interface(db, pif)?;
        }
    }
    Ok(())
}

/// Refuses another size of a VM that the plan has no room for.
pub fn resize(agent: &Agent, db: &Database, vm: &str, memory: u64) -> Answer<()> {
    preserves_plan(agent, db, |found| {
        let resized = |at: usize| PlanVm { memory, ..found.problem.vms[at].clone() };
        found.vm(vm).map(|at| Change::Vm(at, resized(at))).into_iter().collect()
    })
}

/// Refuses a start (or an arrival by migration) that takes memory which the plan needs.
pub fn start_on(agent: &Agent, db: &Database, vm: &str, host: &str) -> Answer<()> {
    first_for_start(agent, db, vm, &[host]).map(drop)
}

/// The first of these hosts on which a start keeps the plan; if there is none, why not on the last.
pub fn first_for_start<'h>(
    agent: &Agent,
    db: &Database,
    vm: &str,
    hosts: &[&'h str],
) -> Answer<Option<&'h str>> {
    let row = Vm::get(db, vm)?;
    let Some(failures) = promised(agent, db)? else { return Ok(hosts.first().copied()) };
    agent.abreast.ask_whether((db, failures), agent.host_memory(), |found, pool| {
        let mut refused = None;
        for host in hosts {
            let verdict = plan::guard(pool, &started(found, &row, host));
            refused = refusal(db, found, verdict, failures);
            if refused.is_none() {
                return Ok(Some(*host));
            }
        }
        refused.map_or(Ok(None), Err)
    })?
}

/// What it changes that a VM runs on a host.
pub fn started(found: &Capacity, vm: &Vm<'_>, host: &str) -> Vec<Change> {
    let (Some(to), Some(at)) = (found.host(host), found.vm(vm.reference)) else {
        return Vec::new();
    };
    let mut changes = found.problem.run(at, to);
    if let Some(Change::Vm(_, it)) = changes.last_mut() {
        it.protected = vm.ha_restart_priority() == "restart";
    }
    changes
}

/// Refuses to take a host out of the plan when the others cannot do without it.
pub fn disable_host(agent: &Agent, db: &Database, host: &str) -> Answer<()> {
    preserves_plan(agent, db, |found| disabled(found, host))
}

/// What it changes that a host takes no VMs any more.
pub fn disabled(found: &Capacity, host: &str) -> Vec<Change> {
    let closed = |at: usize| PlanHost { enabled: false, ..found.problem.hosts[at].clone() };
    found.host(host).map(|at| Change::Host(at, closed(at))).into_iter().collect()
}

/// Refuses to protect a running VM that the plan has no place for (S90), or that is lost with the
/// few hosts that can run it.
pub fn protect(agent: &Agent, db: &Database, vm: &str) -> Answer<()> {
    if Vm::get(db, vm)?.power_state() == "Suspended" {
        return Ok(());
    }
    if let Some(failures) = promised(agent, db)? {
        let rows = capacity(agent, db)?;
        let allowed = rows.vm(vm).and_then(|at| rows.problem.vms[at].allowed.as_ref());
        let hosts: Option<Vec<&str>> = allowed.map(|allowed| {
            let enabled = allowed.iter().filter(|host| rows.problem.hosts[**host].enabled);
            enabled.map(|host| rows.hosts[*host].as_str()).collect()
        });
        if let Some(hosts) = hosts.filter(|hosts| hosts.len() <= failures) {
            let why = match hosts.is_empty() {
                true => "no host could run it".to_owned(),
                false => format!("no host but {} could run it", listed(db, "host", &hosts)),
            };
            return Err(Failure::new("HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN", [why]));
        }
    }
    preserves_plan(agent, db, |found| {
        let protected = |at: usize| PlanVm { protected: true, ..found.problem.vms[at].clone() };
        found.vm(vm).map(|at| Change::Vm(at, protected(at))).into_iter().collect()
    })
}

/// Refuses to promise more failures than the pool survives.
pub fn promise(agent: &Agent, db: &Database, failures: usize) -> Answer<()> {
    let (verdict, rows) = verdict(agent, db)?;
    if verdict.startable && failures <= verdict.max {
        return Ok(());
    }
    let why = match &verdict.counterexample {
        Some(breaking) => {
            let hosts: Vec<&str> = breaking.hosts.iter().map(|h| rows.hosts[*h].as_str()).collect();
            format!(
                "the pool survives {} host failures at most: if {} failed, no place would be left \
                 for {}",
                verdict.max,
                listed(db, "host", &hosts),
                listed(db, "VM", &[&rows.vms[breaking.vm]])
            )
        }
        None => format!("the pool survives {} host failures at most", verdict.max),
    };
    Err(Failure::new("HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN", [why]))
}

/// The largest number of failures that the pool survives, as its priorities stand.
pub fn max_failures(agent: &Agent, db: &Database) -> Answer<plan::Verdict> {
    Ok(verdict(agent, db)?.0)
}

/// The same with the rows that its indexes stand for.
pub fn verdict(agent: &Agent, db: &Database) -> Answer<(plan::Verdict, Capacity)> {
    let rows = capacity(agent, db)?;
    Ok((plan::max_failures(&rows.problem, &budget()), rows))
}

/// The same with other priorities: exactly the VMs given as `restart` are protected.
pub fn hypothetical(
    agent: &Agent,
    db: &Database,
    priorities: &BTreeMap<String, String>,
) -> Answer<plan::Verdict> {
    for vm in priorities.keys() {
        db.require("VM", vm)?;
    }
    let mut found = capacity(agent, db)?;
    for (at, vm) in found.vms.iter().enumerate() {
        let wanted = priorities.get(vm).is_some_and(|priority| priority == "restart");
        found.problem.vms[at].protected = wanted && db.text("VM", vm, "power_state") != "Suspended";
    }
    Ok(plan::max_failures(&found.problem, &budget()))
}
