//! The rows of the pool's database as the recovery's policy sees them.

use super::agility::Reach;
use super::{Agent, capacity, limits, vm};
use crate::pool::Database;
use crate::pool::rows::{Host as HostRow, Pool as PoolRow, Vm as VmRow};
use crate::recovery::{Boot, Host, Intent, Limits, Loss, Pool, Power, Priority, Tries, Vm};
use crate::xenapi::failure::Answer;
use std::collections::BTreeSet;
use std::time::Duration;
use uuid::Uuid;

/// The rows as the policy sees them. While HA is off nothing is protected.
pub(super) fn view(agent: &Agent, db: &Database) -> Answer<Pool> {
    let row = PoolRow::all(db).next();
    let ha = row.is_some_and(|pool| pool.ha_enabled());
    let liveset = agent.ha.liveset();
    let epoch = vm::master_epoch(agent)?;
    let (mut hosts, limited) = (Vec::new(), limits::Limits::of(db));
    for host in HostRow::all(db) {
        let uuid = vm::uuid_of(db, "host", host.reference)?;
        let in_view = liveset.as_ref().is_none_or(|set| !ha || set.members.contains(&uuid));
        let dom0: u64 = VmRow::all(db)
            .filter(|vm| vm.is_control_domain() && vm.resident_on() == Some(host.reference))
            .map(|vm| capacity::footprint(&vm))
            .sum();
        let (vcpus, slots) = limited.most(db, &host);
        hosts.push(Host {
            promise: crate::recovery::promise_of(db.text("host", host.reference, "xe_promise")),
            vcpus,
            slots,
            boot: Boot {
                host: uuid,
                boot_id: db.text("host", host.reference, "xe_boot").to_owned(),
            },
            live: in_view && capacity::is_live(db, &host),
            enabled: host.enabled(),
            capacity: capacity::host_memory(db, &host, agent.host_memory())?.saturating_sub(dom0),
        });
    }
    let mut vms = Vec::new();
    let mut reach = Reach::of(db);
    for row in VmRow::all(db).filter(|vm| !vm.is_control_domain()) {
        vms.push(vm_of(agent, &row, ha, (db, &mut reach))?);
    }
    let dead = liveset.map(|set| set.dead).unwrap_or_default();
    let tolerance = match row {
        // Nobody asked for a number: what the pool can survive is what counts.
        Some(pool) if pool.ha_host_failures_to_tolerate() == 0 => 1,
        Some(pool) => u64::try_from(pool.ha_plan_exists_for()).unwrap_or(0),
        None => 0,
    };
    Ok(Pool {
        epoch,
        hosts,
        vms,
        dead: dead.into_iter().map(|d| Boot { host: d.host, boot_id: d.boot_id }).collect(),
        tolerance,
        restart_after_guest_shutdown: row.is_none_or(|p| p.ha_reboot_vm_on_internal_shutdown()),
        limits: Limits::of(|key| db.key("pool", row?.reference, "other_config", key)),
        hold_until: super::recover::hold_until(agent),
    })
}

fn vm_of<'a>(
    agent: &Agent,
    row: &VmRow<'a>,
    ha: bool,
    (db, reach): (&'a Database, &mut Reach<'a, BTreeSet<Uuid>>),
) -> Answer<Vm> {
    let reference = row.reference;
    let boot = |host: &str, boot: &str| -> Answer<Boot> {
        Ok(Boot { host: vm::uuid_of(db, "host", host)?, boot_id: boot.to_owned() })
    };
    let residence = match row.resident_on() {
        Some(host) => Some(boot(host, db.text("VM", reference, "xe_boot"))?),
        None => None,
    };
    let number =
        |field: &str, row: &str, class: &str| u64::try_from(db.int(class, row, field)).unwrap_or(0);
    let intent = match vm::intent_of(db, reference) {
        Some(intent) => Some(Intent {
            at: boot(db.text("xe_intent", &intent, "host"), db.text("xe_intent", &intent, "boot"))?,
            run: number("run", &intent, "xe_intent"),
            epoch: number("epoch", &intent, "xe_intent"),
            ours: super::recover::is_starting(agent, reference),
        }),
        None => None,
    };
    let uuids = |hosts: &[&str]| {
        hosts.iter().filter_map(|host| vm::uuid_of(db, "host", host).ok()).collect()
    };
    let template = row.is_a_template() || row.is_a_snapshot();
    Ok(Vm {
        uuid: vm::uuid_of(db, "VM", reference)?,
        power: match row.power_state() {
            "Running" => Power::Running,
            "Paused" => Power::Paused,
            "Suspended" => Power::Suspended,
            _ => Power::Halted,
        },
        residence,
        intent,
        run: number("xe_run", reference, "VM"),
        always_run: row.ha_always_run(),
        priority: match row.ha_restart_priority() {
            "restart" if ha => Priority::Restart,
            "best-effort" if ha => Priority::BestEffort,
            _ => Priority::None,
        },
        loss: Loss::of(db.text("VM", reference, "xe_loss")),
        tries: Tries::of(db.text("VM", reference, "xe_tries")),
        restart_after_guest_shutdown: vm::exits::wish_after_shutdown(db, reference),
        template,
        order: row.order(),
        start_delay: Duration::from_secs(u64::try_from(row.start_delay()).unwrap_or(0)),
        memory: capacity::footprint(row),
        vcpus: limits::vcpus(row),
        group: group_of(db, reference),
        allowed: (!template).then(|| reach.hosts(row, uuids)),
    })
}

/// The anti-affinity group of a VM.
fn group_of(db: &Database, vm: &str) -> Option<Uuid> {
    db.text("VM_group", limits::group_apart(db, vm)?, "uuid").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::pool_ref;

    #[test]
    fn settings_and_attempts_are_read_from_the_rows() {
        let agent = crate::agent::in_process::of_two_hosts();
        let read = || view(&agent, &agent.store.read()).unwrap();
        assert_eq!(read().limits, Limits::default());
        let settings = [
            ("ha-starts-per-host", "2"),
            ("ha-starts-per-pool", "9"),
            ("ha-best-effort-attempts", "3"),
        ];
        agent
            .store
            .commit(|tx| {
                let pool = pool_ref(tx.db()).unwrap().to_owned();
                for (key, value) in settings {
                    tx.put_key("pool", &pool, "other_config", key, value);
                }
                Ok(())
            })
            .unwrap();
        let limits = Limits { starts_per_host: 2, starts_per_pool: 9, attempts: 3 };
        assert_eq!(read().limits, limits);

        let (seen, vm) = (agent.store.read(), read().vms[0].uuid);
        let tries = Tries { bounces: 4, ..Tries::default() };
        let row = seen.by_uuid("VM", &vm.to_string()).unwrap();
        agent
            .store
            .commit(|tx| {
                tx.set("VM", row, "xe_tries", tries.text());
                Ok(())
            })
            .unwrap();
        assert_eq!(read().vm(vm).unwrap().tries, tries);
    }
    #[test]
    fn recovery_plans_with_the_limits_that_capacity_has() {
        let agent = crate::agent::in_process::of_two_hosts();
        agent
            .store
            .commit(|tx| {
                let pool = pool_ref(tx.db()).unwrap().to_owned();
                tx.put_key("pool", &pool, "other_config", "xe-vms-per-host", "7");
                tx.put_key("pool", &pool, "other_config", "xe-vcpu-percent", "300");
                let hosts: Vec<String> = tx.db().table("host").keys().cloned().collect();
                for host in hosts {
                    tx.put_key("host", &host, "cpu_info", "cpu_count", "4");
                }
                Ok(())
            })
            .unwrap();
        let db = agent.store.read();
        let recovery = view(&agent, &db).unwrap().problem();
        let capacity = capacity::capacity(&agent, &db).unwrap().problem;
        let room = |problem: &crate::plan::Problem| {
            let room = problem.hosts.iter().map(|h| (h.id.clone(), h.free, h.vcpus, h.slots));
            room.collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(room(&recovery), room(&capacity));
        assert!(capacity.hosts.iter().all(|h| h.slots <= Some(7) && h.vcpus <= Some(12)));
        assert!(capacity.hosts.iter().all(|h| h.slots.is_some() && h.vcpus.is_some()));
    }
}
