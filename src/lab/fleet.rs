//! The lab's VMs: mixed priorities and orders, spread so that every host is worth losing; or all
//! alike, to measure.

use crate::host::hypervisor::Kind;

/// Which VMs a lab has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fleet {
    /// Protected ones of several orders, a best-effort one, an unprotected one.
    Various,
    /// All protected, of one order, as many on each host, every second one of the same driver.
    Even,
}

impl Fleet {
    /// The VMs.
    pub fn machines(self, vms: usize, hosts: usize) -> Vec<Machine> {
        match self {
            Self::Various => machines(vms, hosts),
            Self::Even => (0..vms).map(|number| even(number, hosts)).collect(),
        }
    }
}

fn even(number: usize, hosts: usize) -> Machine {
    Machine {
        name: format!("guest-{}", number + 1),
        priority: "restart",
        order: 0,
        host: number % hosts,
        driver: driver(number / hosts),
    }
}

/// The drivers of a host that has both take turns.
fn driver(number: usize) -> Kind {
    if number.is_multiple_of(2) { Kind::Process } else { Kind::Qemu }
}

/// One VM to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its name-label.
    pub name: String,
    /// `restart`, `best-effort` or nothing.
    pub priority: &'static str,
    /// Its place in the order of starts.
    pub order: i64,
    /// The number of the host on which it starts.
    pub host: usize,
    /// What runs it where a host has both drivers.
    pub driver: Kind,
}

/// The VMs of a lab: protected ones of orders 0 to 2, one best-effort, one unprotected.
///
/// The protected ones go around the hosts in pairs of different orders, so that the loss of the
/// first or second host has an order to keep; the best-effort one runs on the second host too.
fn machines(vms: usize, hosts: usize) -> Vec<Machine> {
    let spare = if vms >= 4 { 2 } else { 0 };
    let named = ["db", "app", "web"];
    let mut machines: Vec<Machine> = (0..vms - spare)
        .map(|number| {
            let host = if hosts < 3 { number % hosts } else { number / 2 % hosts };
            let order = number % 3;
            Machine {
                name: format!("{}-{}", named[order], number / 3 + 1),
                priority: "restart",
                order: i64::try_from(order).unwrap_or(0),
                host,
                driver: driver(number),
            }
        })
        .collect();
    let second = 1.min(hosts - 1);
    let others = [("batch-1", "best-effort", second), ("scratch-1", "", hosts - 1)];
    machines.extend(others.into_iter().take(spare).map(|(name, priority, host)| Machine {
        name: name.to_owned(),
        priority,
        order: 0,
        host,
        driver: Kind::Process,
    }));
    machines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_lab_has_protected_vms_of_two_orders_on_its_first_two_hosts() {
        let machines = machines(6, 3);
        assert_eq!(machines.len(), 6);
        for host in [0, 1] {
            let mut orders: Vec<_> =
                machines.iter().filter(|m| m.host == host && m.priority == "restart").collect();
            orders.dedup_by_key(|machine| machine.order);
            assert_eq!(orders.len(), 2, "host {host}");
        }
        let names: std::collections::BTreeSet<_> = machines.iter().map(|m| &m.name).collect();
        assert_eq!(names.len(), 6);
        assert_eq!(machines.iter().filter(|m| m.priority == "best-effort").count(), 1);
    }

    #[test]
    fn an_even_fleet_has_as_many_of_each_driver_on_every_host() {
        let machines = Fleet::Even.machines(60, 3);
        for host in 0..3 {
            let of = |kind| {
                let here = machines.iter().filter(|m| m.host == host && m.driver == kind);
                here.filter(|machine| machine.priority == "restart" && machine.order == 0).count()
            };
            assert_eq!((of(Kind::Process), of(Kind::Qemu)), (10, 10));
        }
    }

    #[test]
    fn any_number_of_vms_and_hosts_will_do() {
        for (vms, hosts) in [(0, 1), (1, 1), (3, 2), (4, 1), (30, 3), (7, 16)] {
            for fleet in [Fleet::Various, Fleet::Even] {
                let machines = fleet.machines(vms, hosts);
                assert_eq!(machines.len(), vms);
                assert!(machines.iter().all(|machine| machine.host < hosts));
            }
        }
    }
}
