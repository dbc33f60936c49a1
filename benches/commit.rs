//! A durable change of the pool database, beside a bare write and sync of as many bytes to the same
//! disk. `XE_BENCH_DIR` names the directory; without it a temporary one is used, which may be RAM.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod side_by_side;

use std::fs::File;
use std::io::Write;

use criterion::{Criterion, criterion_group, criterion_main};
use xe::agent::replica::LocalJournal;
use xe::agent::store::Store;
use xe::pool::journal::Position;
use xe::xenapi::Value;

/// The row that changes.
const ROW: &str = "OpaqueRef:1";
/// Rows beside it.
const VMS: usize = 1000;

fn store(path: &std::path::Path) -> Store {
    let opened = LocalJournal::open(path).unwrap();
    let store =
        Store::new(opened.replayed.database, Position::default(), Some(opened.journal), "bench");
    store.set_lease(Some(Box::new(|| Ok(1))));
    store
        .commit(|change| {
            for index in 0..VMS {
                let fields = [("name_label", Value::from(format!("vm-{index}")))];
                change.create("VM", &format!("OpaqueRef:{index}"), fields);
            }
            Ok(())
        })
        .unwrap();
    store
}

fn commit(criterion: &mut Criterion) {
    let named = std::env::var_os("XE_BENCH_DIR");
    let dir = match &named {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let path = dir.path().join("db.journal");
    let store = store(&path);
    let length = || std::fs::metadata(&path).unwrap().len();
    let mut number = 0;
    let mut change = || {
        number += 1;
        let name = format!("name {number:012}");
        store
            .commit(|tx| {
                tx.set("VM", ROW, "name_label", name.as_str());
                Ok(())
            })
            .unwrap();
    };
    let before = length();
    change();
    let record = vec![0x5a; usize::try_from(length() - before).unwrap()];
    println!("a record has {} bytes, the pool {VMS} VMs", record.len());
    let mut plain = File::create(dir.path().join("plain")).unwrap();
    side_by_side::compare(
        criterion,
        "one durable change",
        ("write and fdatasync", || {
            plain.write_all(&record).unwrap();
            plain.sync_data().unwrap();
        }),
        ("the store's commit", change),
    );
}

criterion_group!(benches, commit);
criterion_main!(benches);
