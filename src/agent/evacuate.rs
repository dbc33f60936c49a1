//! Evacuation: every VM of a host moves to another one, while it runs.

use super::capacity::{capacity, footprint};
use super::vm::{master_epoch, migrate::migrate};
use super::{Agent, cpu, guard, maintenance};
use crate::plan::{self, Evacuation, Problem, Shortage};
use crate::pool::Database;
use crate::pool::rows::{Host, Pool, Vm};
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::collections::{BTreeMap, BTreeSet};

/// Migrations that run beside each other when the caller does not say.
const BATCH: usize = 4;

/// Where each VM of a host goes, or why it cannot.
pub fn planned(agent: &Agent, db: &Database, host: &str) -> Answer<Vec<(String, Answer<String>)>> {
    db.require("host", host)?;
    let found = capacity(agent, db)?;
    let Some(at) = found.hosts.iter().position(|known| known == host) else {
        return Err(match maintenance::is_in(db, host) {
            true => Failure::new("HOST_NOT_LIVE", [maintenance::way_out(db, host)]),
            false => Failure::bare("HOST_NOT_LIVE"),
        });
    };
    let promised = guard::promised(agent, db)?.unwrap_or(0);
    let mut problem = found.problem.clone();
    for index in 0..problem.vms.len() {
        if problem.vms[index].host == Some(at) {
            let row = Vm::get(db, &found.vms[index])?;
            let suits =
                |to: &usize| problem.vms[index].may(*to) && cpu::suits(db, &row, &found.hosts[*to]);
            let allowed: BTreeSet<usize> = (0..found.hosts.len()).filter(suits).collect();
            problem.vms[index].allowed = Some(allowed).filter(|it| it.len() < found.hosts.len());
        }
    }
    let targets = plan::evacuation(&problem, at, promised);
    let mut left = problem;
    for one in &targets {
        if let Ok(host) = one.target {
            left.hosts[host].take(&left.vms[one.vm]);
        }
    }
    let resolve = |one: Evacuation| {
        let vm = found.vms[one.vm].clone();
        let target = one
            .target
            .map(|host| found.hosts[host].clone())
            .map_err(|_| no_target(db, &vm, &left, (one.vm, at)));
        (vm, target)
    };
    Ok(targets.into_iter().map(resolve).collect())
}

/// Why a VM has no target: no host can run it, or none has room for it. With HA on, a VM that is
/// not protected gets what the protected ones leave; where nothing is left, it blocks by that.
fn no_target(db: &Database, vm: &str, left: &Problem, (at, from): (usize, usize)) -> Failure {
    let Ok(row) = Vm::get(db, vm) else { return Failure::new("HANDLE_INVALID", ["VM", vm]) };
    let ha = Pool::all(db).any(|pool| pool.ha_enabled());
    if ha && !super::capacity::is_protected(&row) {
        return Failure::new("HOST_EVACUATE_VM_NOT_HA_PROTECTED", [vm]);
    }
    let target = |host: usize| host != from && left.hosts[host].enabled && left.vms[at].may(host);
    let most = |room: fn(&plan::Host) -> Option<u64>| {
        let targets = (0..left.hosts.len()).filter(|host| target(*host));
        targets.filter_map(|host| room(&left.hosts[host])).max().unwrap_or(0).to_string()
    };
    let short = Shortage::of(left, at, target);
    let words = match short {
        Shortage::Hosts => {
            let others = Host::all(db).filter(|host| row.resident_on() != Some(host.reference));
            let cpu = others.map(|host| cpu::assert_goes_on(db, &row, host.reference).err());
            let cpu = cpu.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().next());
            match super::agility::assert_agile(db, &row).err().or(cpu) {
                Some(why) => return why,
                None => vec![vm.to_owned()],
            }
        }
        Shortage::Slots => {
            let pool = Pool::all(db).next();
            let limit = pool
                .and_then(|pool| db.key("pool", pool.reference, "other_config", "xe-vms-per-host"));
            vec![limit.unwrap_or("").to_owned(), vm.to_owned()]
        }
        Shortage::Vcpus => {
            vec![left.vms[at].vcpus.to_string(), most(|host| host.vcpus), vm.to_owned()]
        }
        Shortage::Memory => {
            vec![footprint(&row).to_string(), most(|host| Some(host.free)), vm.to_owned()]
        }
    };
    Failure::new(short.code(), words)
}

/// The VMs that cannot leave a host, with the reasons.
pub fn preventing(agent: &Agent, host: &str) -> Answer<BTreeMap<String, Failure>> {
    let db = agent.store.read();
    let targets = planned(agent, &db, host)?;
    Ok(targets.into_iter().filter_map(|(vm, target)| Some((vm, target.err()?))).collect())
}

/// Refuses when the pool cannot do without the host, or not with its VMs where they would go: a
/// part of them would be moved by the time that shows. A disabled host is out of the plan already.
pub fn allowed(agent: &Agent, db: &Database, host: &str, moves: &[Move]) -> Answer<()> {
    if Host::get(db, host)?.enabled() {
        guard::disable_host(agent, db, host)?;
    }
    guard::preserves_plan(agent, db, |found| {
        let (mut after, mut changes) = (found.clone(), guard::disabled(found, host));
        after.apply(changes.clone());
        for (vm, to) in moves {
            let Ok(row) = Vm::get(db, vm) else { continue };
            let moved = guard::started(&after, &row, to);
            after.apply(moved.clone());
            changes.extend(moved);
        }
        changes
    })
}

/// A VM and the host that it goes to.
pub type Move = (String, String);

/// What can move of a plan, and the first reason why something cannot.
pub fn moves(
    db: &Database,
    planned: Vec<(String, Answer<String>)>,
) -> (Vec<Move>, Option<Failure>) {
    let (mut moves, mut refused) = (Vec::new(), None);
    for (vm, target) in planned {
        match target {
            Ok(target) if db.text("VM", &vm, "power_state") == "Running" => {
                moves.push((vm, target));
            }
            Ok(_) => {
                let words = [vm.as_str(), "running", "paused"];
                refused = refused.or(Some(Failure::new("VM_BAD_POWER_STATE", words)));
            }
            Err(why) => refused = refused.or(Some(why)),
        }
    }
    (moves, refused)
}

/// Moves every VM away that can go; the first that cannot is the answer's error (S101).
pub fn evacuate(agent: &Agent, host: &str, batch: i64) -> Answer<()> {
    master_epoch(agent)?;
    let db = agent.store.read();
    let (moves, mut refused) = moves(&db, planned(agent, &db, host)?);
    allowed(agent, &db, host, &moves)?;
    let batch = usize::try_from(batch).ok().filter(|size| *size > 0).unwrap_or(BATCH);
    for group in moves.chunks(batch) {
        let failures = std::thread::scope(|scope| {
            let running: Vec<_> = group
                .iter()
                .map(|(vm, target)| scope.spawn(move || migrate(agent, vm, target)))
                .collect();
            let outcome = |thread: std::thread::ScopedJoinHandle<'_, Answer<()>>| {
                thread.join().unwrap_or_else(|_| Err(Failure::internal("a migration panicked")))
            };
            running.into_iter().filter_map(|thread| outcome(thread).err()).collect::<Vec<_>>()
        });
        refused = refused.or(failures.into_iter().next());
    }
    refused.map_or(Ok(()), Err)
}
