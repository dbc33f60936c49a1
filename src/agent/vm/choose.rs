//! Where a VM starts when nobody says where.

use crate::agent::agility::{assert_can_boot_here, possible_hosts};
use crate::agent::capacity::{self, is_live};
use crate::agent::{Agent, cpu, guard, limits};
use crate::pool::Database;
use crate::pool::rows::{Host, Vm};
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;

/// The host for a VM: one with few VMs of its anti-affinity group, its affinity when that has room,
/// else the one with most free memory; with HA on, the first of them that keeps the failover plan,
/// unless it is forced.
pub fn choose(agent: &Agent, db: &Database, vm: &Vm<'_>, force: bool) -> Answer<String> {
    let given = agent.host_memory();
    let mut reasons = Vec::new();
    let mut candidates = Vec::new();
    for host in Host::all(db) {
        let here = host.reference;
        match assert_can_boot_here(db, vm, here, given).and_then(|()| goes_on(db, vm, here)) {
            Ok(()) => {
                let free = capacity::free_memory(db, &host, given)?;
                let apart = std::cmp::Reverse(limits::peers(db, vm, host.reference));
                let wished = vm.affinity() == Some(host.reference);
                candidates.push((apart, wished, free, host.reference));
            }
            Err(why) => reasons.push(why),
        }
    }
    candidates.sort_unstable();
    let best: Vec<&str> = candidates.iter().rev().map(|(.., host)| *host).collect();
    let host = match force {
        true => best.first().copied(),
        false => guard::first_for_start(agent, db, vm.reference, &best)?,
    };
    host.map(str::to_owned).ok_or_else(|| no_host(db, vm, &reasons))
}

/// Refuses a host on which a suspended VM could not go on.
pub fn goes_on(db: &Database, vm: &Vm<'_>, host: &str) -> Answer<()> {
    if vm.power_state() == "Suspended" { cpu::assert_goes_on(db, vm, host) } else { Ok(()) }
}

/// Why no host takes the VM: one shared reason, by the emptiest host, else that there is none.
fn no_host(db: &Database, vm: &Vm<'_>, reasons: &[Failure]) -> Failure {
    let room = ["HOST_NOT_ENOUGH_FREE_MEMORY", "HOST_NOT_ENOUGH_PCPUS", "XE_HOST_VM_LIMIT"];
    let left = |why: &&Failure| why.params.get(1).and_then(|left| left.parse::<u64>().ok());
    let room = reasons.iter().filter(|why| room.contains(&why.code.as_str())).max_by_key(left);
    let booting = reasons.iter().find(|why| why.code == "HOST_STILL_BOOTING");
    let live = Host::all(db).filter(|host| host.enabled() && is_live(db, host)).count();
    let reachable = possible_hosts(db, vm).len();
    match (room, booting) {
        (Some(why), _) if live > 0 && reachable > 0 => why.clone(),
        // Nobody else takes any VM, and that host will in some seconds.
        (_, Some(why)) if live == 0 => why.clone(),
        _ => Failure::bare("NO_HOSTS_AVAILABLE"),
    }
}
