//! What the `process` driver does beside what every one does.

use xe::host::hypervisor::Kind;

use crate::bench::{crash, host, spec, until};

#[test]
fn what_another_boot_left_behind_is_no_news() {
    let dir = tempfile::tempdir().unwrap();
    let state_dir = dir.path().join("vms");
    let before = host(Kind::Process, &state_dir, "boot-1");
    before.driver.start(&spec(dir.path(), 1), false).unwrap();
    crash(&before);
    until("the end", || before.driver.scan().unwrap().is_empty().then_some(()));
    let after = host(Kind::Process, &state_dir, "boot-2");
    assert_eq!(after.driver.exits().unwrap(), []);
    after.driver.start(&spec(dir.path(), 2), false).unwrap();
}
