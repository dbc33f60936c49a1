//! What the pool's database says of hosts and VMs, and the policy's view of it. The rows are the
//! real ones; their journal is not: a commit is durable at once, unless a later epoch has opened
//! the database.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use super::Wish;
use crate::pool::{Database, Transaction};
use crate::recovery::{Boot, Host, Intent, Limits, Loss, Pool, Power, Priority, Tries, Vm};
use crate::xenapi::{NULL_REF, Value};

/// A GiB, in bytes: the unit of VMs' sizes and hosts' rooms.
const MEMORY: u64 = 1 << 30;

/// The database and the newest epoch that has opened it.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) db: Database,
    pub(super) epoch: u64,
    /// Grows with each commit.
    pub(super) version: u64,
    /// How many GiB of VMs a host has room for.
    pub(super) room: u64,
    /// Hosts on which nothing may be started.
    pub(super) disabled: BTreeSet<usize>,
    /// The failures that the plan tolerates.
    pub(super) tolerance: u64,
    pub(super) limits: Limits,
    /// What the VMs are like.
    wishes: Vec<Wish>,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            db: Database::default(),
            epoch: 0,
            version: 0,
            room: 16,
            disabled: BTreeSet::new(),
            tolerance: 1,
            limits: Limits::default(),
            wishes: Vec::new(),
        }
    }
}

/// The reference of a host's row.
pub(super) fn host_row(host: usize) -> String {
    format!("OpaqueRef:host{host}")
}

/// The reference of a VM's row.
pub(super) fn vm_row(vm: usize) -> String {
    format!("OpaqueRef:vm{vm}")
}

/// A VM's uuid.
pub(super) fn vm_uuid(vm: usize) -> Uuid {
    Uuid::from_u128(0x5000 + vm as u128)
}

/// The VM with that uuid.
pub(super) fn vm_of(uuid: Uuid) -> usize {
    (uuid.as_u128() - 0x5000) as usize
}

/// The open intent of a VM.
pub(super) fn intent_of(db: &Database, vm: usize) -> Option<String> {
    let reference = vm_row(vm);
    let mut rows = db.table("xe_intent").keys();
    rows.find(|row| db.text("xe_intent", row, "VM") == reference).cloned()
}

/// The host that a reference field names.
pub(super) fn host_at(db: &Database, class: &str, row: &str, field: &str) -> Option<usize> {
    let target = db.target(class, row, field)?;
    target.strip_prefix("OpaqueRef:host")?.parse().ok()
}

/// Where a VM is resident.
pub(super) fn residence(db: &Database, vm: usize) -> Option<usize> {
    host_at(db, "VM", &vm_row(vm), "resident_on")
}

/// Writes that a VM is halted.
pub(super) fn set_halted(tx: &mut Transaction, vm: usize) {
    let row = vm_row(vm);
    tx.set("VM", &row, "power_state", "Halted");
    tx.set("VM", &row, "resident_on", NULL_REF);
    tx.set("VM", &row, "xe_boot", "");
}

/// Writes that a VM runs on a host, in that boot.
pub(super) fn set_running(tx: &mut Transaction, vm: usize, host: usize, boot: &str, run: u64) {
    if let Some(intent) = intent_of(tx.db(), vm) {
        tx.delete("xe_intent", &intent);
    }
    let row = vm_row(vm);
    tx.set("VM", &row, "power_state", "Running");
    tx.set("VM", &row, "xe_loss", "");
    tx.set("VM", &row, "resident_on", host_row(host));
    tx.set("VM", &row, "xe_boot", boot);
    tx.set("VM", &row, "xe_run", number(run));
}

/// Writes an intent row.
pub(super) fn intend(tx: &mut Transaction, vm: usize, host: usize, run: u64, epoch: u64) {
    let boot = tx.db().text("host", &host_row(host), "xe_boot").to_owned();
    tx.set("VM", &vm_row(vm), "xe_run", number(run));
    tx.create(
        "xe_intent",
        &format!("OpaqueRef:intent{vm}"),
        [
            ("VM", Value::from(vm_row(vm))),
            ("host", Value::from(host_row(host))),
            ("boot", Value::from(boot)),
            ("run", Value::Int(number(run))),
            ("epoch", Value::Int(number(epoch))),
        ],
    );
}

fn number(of: u64) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

impl Rows {
    /// The first rows: every VM runs on the host that its number falls on, unless it has a wish.
    pub(super) fn fill(&mut self, boots: &[Uuid], uuids: &[Uuid], wishes: Vec<Wish>) {
        let mut tx = Transaction::over(&self.db);
        for (host, (uuid, boot)) in uuids.iter().zip(boots).enumerate() {
            let uuid = Value::from(uuid.to_string());
            let boot = Value::from(boot.to_string());
            tx.create("host", &host_row(host), [("uuid", uuid), ("xe_boot", boot)]);
        }
        for (vm, wish) in wishes.iter().enumerate() {
            let priority = wish.priority;
            let delay = Value::Int(number(wish.delay_s));
            let fields = [
                ("uuid", Value::from(vm_uuid(vm).to_string())),
                ("ha_restart_priority", Value::from(priority)),
                ("ha_always_run", Value::from(priority == "restart")),
                ("order", Value::Int(wish.order)),
                ("start_delay", delay),
                ("is_a_template", Value::from(wish.template)),
            ];
            tx.create("VM", &vm_row(vm), fields);
            let host = wish.on.unwrap_or(vm % uuids.len());
            if wish.begins_up() {
                set_running(&mut tx, vm, host, &boots[host].to_string(), 1);
            }
            let state = match wish.power {
                Power::Paused => "Paused",
                Power::Suspended => "Suspended",
                Power::Running if !wish.template => "Running",
                _ => "Halted",
            };
            tx.set("VM", &vm_row(vm), "power_state", state);
        }
        self.db.apply(&tx.into_changes());
        self.wishes = wishes;
    }

    /// Commits for a master of that epoch; refused when a later one has opened the database.
    pub(super) fn commit(&mut self, epoch: u64, change: impl FnOnce(&mut Transaction)) -> bool {
        if epoch < self.epoch {
            return false;
        }
        let mut tx = Transaction::over(&self.db);
        change(&mut tx);
        self.db.apply(&tx.into_changes());
        self.version += 1;
        true
    }

    /// Whether a VM is protected and not suspended: it is to run.
    pub(super) fn is_protected(&self, vm: usize) -> bool {
        let (db, row) = (&self.db, vm_row(vm));
        db.flag("VM", &row, "ha_always_run")
            && db.text("VM", &row, "ha_restart_priority") == "restart"
            && db.text("VM", &row, "power_state") != "Suspended"
            && !db.flag("VM", &row, "is_a_template")
    }

    /// The rows as the policy sees them.
    pub(super) fn pool(
        &self,
        epoch: u64,
        live: &[(usize, bool)],
        dead: BTreeSet<Boot>,
        ours: &BTreeMap<usize, u64>,
    ) -> Pool {
        let db = &self.db;
        let host = |(host, live): &(usize, bool)| {
            let row = host_row(*host);
            let boot_id = db.text("host", &row, "xe_boot").to_owned();
            let boot = Boot { host: Uuid::from_u128(*host as u128 + 1), boot_id };
            Host {
                promise: crate::recovery::promise_of(db.text("host", &row, "xe_promise")),
                boot,
                live: *live,
                enabled: !self.disabled.contains(host),
                capacity: self.room * MEMORY,
                vcpus: None,
                slots: None,
            }
        };
        let there = |vm: &usize| db.row("VM", &vm_row(*vm)).is_some();
        let vms = (0..self.wishes.len()).filter(there);
        Pool {
            epoch,
            hosts: live.iter().map(host).collect(),
            vms: vms.map(|vm| self.vm(vm, ours)).collect(),
            dead,
            tolerance: self.tolerance,
            restart_after_guest_shutdown: true,
            limits: self.limits,
            hold_until: Duration::ZERO,
        }
    }

    fn vm(&self, vm: usize, ours: &BTreeMap<usize, u64>) -> Vm {
        let (db, row, wish) = (&self.db, vm_row(vm), &self.wishes[vm]);
        let host_uuid = |host: &usize| Uuid::from_u128(*host as u128 + 1);
        let text = |field: &str| db.text("VM", &row, field);
        let boot = |host: usize, boot: &str| Boot {
            host: Uuid::from_u128(host as u128 + 1),
            boot_id: boot.to_owned(),
        };
        let count = |class: &str, row: &str, field: &str| {
            u64::try_from(db.int(class, row, field)).unwrap_or(0)
        };
        let intent = intent_of(db, vm).and_then(|intent| {
            let host = host_at(db, "xe_intent", &intent, "host")?;
            Some(Intent {
                at: boot(host, db.text("xe_intent", &intent, "boot")),
                run: count("xe_intent", &intent, "run"),
                epoch: count("xe_intent", &intent, "epoch"),
                ours: ours.contains_key(&vm),
            })
        });
        Vm {
            uuid: vm_uuid(vm),
            power: match text("power_state") {
                "Running" => Power::Running,
                "Paused" => Power::Paused,
                "Suspended" => Power::Suspended,
                _ => Power::Halted,
            },
            residence: residence(db, vm).map(|host| boot(host, text("xe_boot"))),
            intent,
            run: count("VM", &row, "xe_run"),
            always_run: db.flag("VM", &row, "ha_always_run"),
            priority: match text("ha_restart_priority") {
                "restart" => Priority::Restart,
                "best-effort" => Priority::BestEffort,
                _ => Priority::None,
            },
            loss: Loss::of(text("xe_loss")),
            tries: Tries::of(text("xe_tries")),
            restart_after_guest_shutdown: None,
            template: db.flag("VM", &row, "is_a_template"),
            order: db.int("VM", &row, "order"),
            start_delay: Duration::from_secs(count("VM", &row, "start_delay")),
            memory: wish.size * MEMORY,
            vcpus: 1,
            allowed: (!wish.only.is_empty()).then(|| wish.only.iter().map(host_uuid).collect()),
            group: wish.group.map(|group| Uuid::from_u128(0x6000 + u128::from(group))),
        }
    }
}
