//! Rows to play with, for the tests of this room and of the shells around it.

use super::*;

/// A number as a uuid.
pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// The first boot of a host.
pub fn boot(host: u128) -> Boot {
    Boot { host: id(host), boot_id: "1".to_owned() }
}

/// A live host with so much memory and no other limit.
pub fn host(number: u128, capacity: u64) -> Host {
    Host {
        boot: boot(number),
        live: true,
        enabled: true,
        capacity,
        vcpus: None,
        slots: None,
        promise: None,
    }
}

/// A VM of size 1 that runs on a host.
pub fn vm(number: u128, host: u128, priority: Priority) -> Vm {
    Vm {
        uuid: id(number),
        power: Power::Running,
        residence: Some(boot(host)),
        intent: None,
        run: 1,
        always_run: priority == Priority::Restart,
        priority,
        loss: Loss::No,
        tries: Tries::default(),
        restart_after_guest_shutdown: None,
        template: false,
        order: 0,
        start_delay: Duration::ZERO,
        memory: 1,
        vcpus: 1,
        allowed: None,
        group: None,
    }
}

/// A pool that tolerates one failure.
pub fn pool(hosts: Vec<Host>, vms: Vec<Vm>) -> Pool {
    Pool {
        epoch: 5,
        hosts,
        vms,
        dead: BTreeSet::new(),
        tolerance: 1,
        restart_after_guest_shutdown: true,
        limits: Limits::default(),
        hold_until: Duration::ZERO,
    }
}
