//! Which VMs have a process on which host, whatever any database says.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::door::{self, Ask};
use super::group::{self, Life, Role};
use super::setting::Lab;

/// Every VM with a process, and the hosts of these processes.
pub type Places = BTreeMap<Uuid, BTreeSet<String>>;

/// Looks at the processes of all machines.
pub fn places(lab: &Lab) -> Places {
    let mut places = Places::new();
    for host in &lab.setting.hosts {
        let Ok(look) = door::ask(&lab.machine_dir(&host.name), &Ask::Look) else { continue };
        let alive = |member: &&group::Member| member.role == Role::Vm && member.life == Life::Alive;
        for vm in look.members.iter().filter(alive).filter_map(|member| group::vm_of(member.pid)) {
            places.entry(vm).or_default().insert(host.name.clone());
        }
    }
    places
}

/// The hosts on which a VM ran in both of two looks: its target and its source are both there only
/// for the moment of a migration.
pub fn in_both(vm: Uuid, before: &Places, now: &Places) -> Vec<String> {
    let empty = BTreeSet::new();
    let of = |places: &Places| places.get(&vm).unwrap_or(&empty).clone();
    of(before).intersection(&of(now)).cloned().collect()
}

/// What is to be said of VMs that run on several hosts at once; `names` gives their names.
pub fn twice(before: &Places, now: &Places, names: &BTreeMap<Uuid, String>) -> Vec<String> {
    let several = |vm: &&Uuid| in_both(**vm, before, now).len() > 1;
    let say = |vm: &Uuid| {
        let hosts = in_both(*vm, before, now).join(" and ");
        let name = names.get(vm).cloned().unwrap_or_else(|| vm.to_string());
        format!("TWICE: {name} runs on {hosts} at once, and both write to its disk")
    };
    now.keys().filter(several).map(say).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vm_that_moves_is_not_said_to_run_twice() {
        let vm = Uuid::from_u128(7);
        let on = |hosts: &[&str]| {
            Places::from([(vm, hosts.iter().map(|host| (*host).to_owned()).collect())])
        };
        let names = BTreeMap::from([(vm, "db-1".to_owned())]);
        assert!(twice(&on(&["h1"]), &on(&["h1", "h2"]), &names).is_empty());
        assert!(twice(&on(&["h1", "h2"]), &on(&["h2"]), &names).is_empty());
        let said = twice(&on(&["h1", "h2"]), &on(&["h1", "h2"]), &names);
        assert_eq!(said, ["TWICE: db-1 runs on h1 and h2 at once, and both write to its disk"]);
    }
}
