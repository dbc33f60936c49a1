//! Why no host takes a VM: what is told of one that a placement left out.

use super::{Host, Problem};

/// What the hosts that can run a VM lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// There is no such host.
    Hosts,
    /// Each of them runs as many VMs as it may.
    Slots,
    /// The vCPUs that they may promise are given to others.
    Vcpus,
    /// Memory; also when the room that is there is needed for VMs before it.
    Memory,
}

impl Shortage {
    /// What is short for a VM on the enabled hosts among these, once the others have their places.
    pub fn of(problem: &Problem, vm: usize, among: impl Fn(usize) -> bool) -> Self {
        let vm = &problem.vms[vm];
        let target = |at: usize, host: &Host| host.enabled && vm.may(at) && among(at);
        let hosts = problem.hosts.iter().enumerate().filter(|(at, host)| target(*at, host));
        let hosts: Vec<&Host> = hosts.map(|(_, host)| host).collect();
        let would = |change: fn(Host) -> Host| {
            hosts.iter().any(|host| change((*host).clone()).has_room(vm))
        };
        if hosts.is_empty() {
            Shortage::Hosts
        } else if would(|host| host) {
            Shortage::Memory
        } else if would(|host| Host { slots: None, ..host }) {
            Shortage::Slots
        } else if would(|host| Host { slots: None, vcpus: None, ..host }) {
            Shortage::Vcpus
        } else {
            Shortage::Memory
        }
    }

    /// The XenAPI code; ours where the API knows of no such limit.
    pub fn code(self) -> &'static str {
        match self {
            Shortage::Hosts => "NO_HOSTS_AVAILABLE",
            Shortage::Slots => "XE_HOST_VM_LIMIT",
            Shortage::Vcpus => "HOST_NOT_ENOUGH_PCPUS",
            Shortage::Memory => "HOST_NOT_ENOUGH_FREE_MEMORY",
        }
    }

    /// The same for people, with the setting that limits.
    pub fn sentence(self) -> &'static str {
        match self {
            Shortage::Hosts => "no enabled host that is there can run it",
            Shortage::Slots => {
                "its hosts run as many VMs as the pool's other-config:xe-vms-per-host allows"
            }
            Shortage::Vcpus => {
                "its hosts have no vCPUs left for it under the pool's other-config:xe-vcpu-percent"
            }
            Shortage::Memory => "its hosts have too little free memory",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Vm;
    use super::*;

    #[test]
    fn what_is_short_is_named() {
        let host = |free, vcpus, slots| Host {
            free,
            vcpus: Some(vcpus),
            slots: Some(slots),
            enabled: true,
            ..Host::default()
        };
        let short = |hosts: Vec<Host>| {
            let vms = vec![Vm { memory: 4, vcpus: 2, ..Vm::default() }];
            Shortage::of(&Problem { hosts, vms, ..Problem::default() }, 0, |_| true)
        };
        assert_eq!(short(vec![]), Shortage::Hosts);
        assert_eq!(short(vec![Host { enabled: false, ..host(9, 9, 9) }]), Shortage::Hosts);
        assert_eq!(short(vec![host(3, 9, 9), host(9, 9, 0)]), Shortage::Slots);
        assert_eq!(short(vec![host(3, 9, 9), host(9, 1, 9)]), Shortage::Vcpus);
        assert_eq!(short(vec![host(9, 1, 0)]), Shortage::Vcpus);
        assert_eq!(short(vec![host(3, 1, 0)]), Shortage::Memory);
        assert_eq!(short(vec![host(9, 9, 9)]), Shortage::Memory, "others need that room");
    }
}
