//! A guard as the agent asks it: from the rows of its database to the answer.

use std::collections::BTreeMap;
use std::time::Instant;

use xe::agent::abreast::Abreast;
use xe::agent::guard::started;
use xe::plan::{Guard, Problem, guard};
use xe::pool::Database;
use xe::pool::Transaction;
use xe::pool::rows::Vm;
use xe::xenapi::Value;

use crate::pools::{SIZES, Seeded};
use crate::table::{head, ms, row};

/// VMs start one after the other; before each the guard is asked, and its rows change.
pub fn guards() {
    const STARTS: usize = 40;
    println!("\n## The same from the agent's rows, {STARTS} starts one after the other");
    head(&["pool", "r", "first", "median", "worst"]);
    for sizes in SIZES {
        let (hosts, vms, r) = (64, 2_560, 3);
        let mut db = rows(&Seeded::new(hosts, vms, sizes, 1).at(0.8));
        let (abreast, given) = (Abreast::default(), BTreeMap::new());
        let mut times = Vec::new();
        for vm in 0..=STARTS {
            let (vm, host) = (reference("vm", vm), reference("host", vm % hosts));
            let began = Instant::now();
            let held = Vm::get(&db, &vm).and_then(|vm| {
                abreast.ask_whether((&db, r), &given, |found, pool| {
                    guard(pool, &started(found, &vm, &host))
                })
            });
            times.push(began.elapsed());
            assert_eq!(held.ok(), Some(Guard::Holds));
            start(&mut db, &vm, &host);
        }
        let first = times.remove(0);
        times.sort_unstable();
        let (median, worst) = (times[STARTS / 2], times[STARTS - 1]);
        let name = format!("{hosts} x {vms}, {}, 80 %", sizes.name());
        row(&[&name, &r.to_string(), &ms(first), &ms(median), &ms(worst)]);
    }
}

fn reference(class: &str, number: usize) -> String {
    format!("OpaqueRef:00000000-0000-0000-{class:>4}-{number:012}")
}

/// What a start changes: the VM's row, and those of its disk and its interface.
fn start(db: &mut Database, vm: &str, host: &str) {
    let mut tx = Transaction::over(db);
    tx.set("VM", vm, "power_state", "Running");
    tx.set("VM", vm, "resident_on", host);
    for class in ["VBD", "VIF"] {
        tx.set(class, &vm.replace("  vm", class), "currently_attached", true);
    }
    let changes = tx.into_changes();
    db.apply(&changes);
}

/// The rows of a pool: each VM has a disk on the one shared SR and an interface on one of four
/// networks. The first VMs are halted.
fn rows(pool: &Problem) -> Database {
    const HALTED: usize = 64;
    let mut db = Database::default();
    let mut tx = Transaction::over(&db);
    tx.create("pool", "OpaqueRef:pool", [("name_label", Value::from("pool"))]);
    tx.create("SR", "OpaqueRef:sr", [("shared", Value::Bool(true))]);
    for (number, host) in pool.hosts.iter().enumerate() {
        let (row, link) = (reference("host", number), reference("link", number));
        let memory = Value::Int(i64::try_from(host.total).unwrap_or(0));
        tx.create("host_metrics", &link, [("live", true.into()), ("memory_total", memory)]);
        let own = [("enabled", true.into()), ("metrics", Value::from(link.as_str()))];
        tx.create("host", &row, own);
        let sr = ("SR", Value::from("OpaqueRef:sr"));
        let at = ("host", Value::from(row.as_str()));
        tx.create("PBD", &link, [at.clone(), sr, ("currently_attached", true.into())]);
        for network in 0..4 {
            let net = ("network", Value::from(format!("OpaqueRef:net-{network}")));
            tx.create("PIF", &format!("{link}-{network}"), [at.clone(), net]);
        }
    }
    for (number, vm) in pool.vms.iter().enumerate() {
        let row = reference("vm", number);
        let memory = Value::Int(i64::try_from(vm.memory).unwrap_or(0));
        let mut own = vec![
            ("memory_static_max", memory),
            ("ha_always_run", (vm.protected && number >= HALTED).into()),
            ("ha_restart_priority", Value::from("restart")),
        ];
        if let Some(host) = vm.host.filter(|_| number >= HALTED) {
            own.push(("power_state", Value::from("Running")));
            own.push(("resident_on", Value::from(reference("host", host))));
        }
        tx.create("VM", &row, own);
        let its = ("VM", Value::from(row.as_str()));
        let disk = reference("VDI", number);
        tx.create("VDI", &disk, [("SR", Value::from("OpaqueRef:sr"))]);
        let vdi = ("VDI", Value::from(disk.as_str()));
        tx.create("VBD", &reference("VBD", number), [its.clone(), vdi]);
        let net = ("network", Value::from(format!("OpaqueRef:net-{}", number % 4)));
        tx.create("VIF", &reference("VIF", number), [its, net]);
    }
    let changes = tx.into_changes();
    db.apply(&changes);
    db
}
