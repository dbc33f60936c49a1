//! VMs that wait for their restart, and what users may do to them.

use crate::world::{Saved, WAITING};

#[test]
fn s60_a_user_ends_the_waiting_by_a_shutdown() {
    let pool = Saved::with(&[]);
    let get = |name: &str| pool.done(&format!("vm-param-get uuid={WAITING} param-name={name}"));
    assert_eq!((get("power-state").as_str(), get("ha-always-run").as_str()), ("halted", "true"));
    pool.done(&format!("vm-shutdown uuid={WAITING}"));
    assert_eq!((get("power-state").as_str(), get("ha-always-run").as_str()), ("halted", "false"));
    assert_eq!(get("ha-restart-priority"), "restart", "it is protected again once it is started");
    assert!(pool.refused(&format!("vm-shutdown uuid={WAITING}")).contains("power state"));
}
