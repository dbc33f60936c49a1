//! VM groups: VMs that are to stay apart are planned and started on different hosts.

use crate::world::{MAIL, Saved, WAITING, WEB};

const DB: &str = "0000000b-0000-4000-8000-00000000034f";

/// A group that keeps apart, with these VMs.
fn apart(pool: &Saved, vms: &[&str]) -> String {
    let group = pool.done("vm-group-create name-label=apart placement=anti-affinity");
    for vm in vms {
        pool.done(&format!("vm-param-set uuid={vm} groups={group}"));
    }
    group
}

/// Where the VMs of anna go when it fails.
fn targets(pool: &Saved) -> Vec<String> {
    let told = pool.json("pool-ha-what-if hosts=anna");
    let lost = told["steps"].as_array().unwrap().iter().filter(|step| !step["from"].is_null());
    lost.map(|step| step["to"]["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn two_vms_of_a_group_are_planned_on_different_hosts() {
    let pool = Saved::of_three_hosts();
    assert_eq!(targets(&pool), ["carl", "carl"], "the emptiest host");
    let group = apart(&pool, &[DB, WEB]);
    let mut told = targets(&pool);
    told.sort_unstable();
    assert_eq!(told, ["bert", "carl"]);
    let listed = pool.done("vm-group-list params=vm-uuids --minimal");
    assert!(listed.contains(DB) && listed.contains(WEB), "{listed}");
    pool.done(&format!("vm-group-destroy uuid={group}"));
    assert_eq!(targets(&pool), ["carl", "carl"]);
    assert_eq!(pool.done(&format!("vm-param-get uuid={WEB} param-name=groups")), "");
}

#[test]
fn a_start_goes_where_no_other_of_its_group_runs() {
    let pool = Saved::without_ha();
    let to = |pool: &Saved| {
        let told = pool.json(&format!("pool-ha-what-if vm-start={WAITING}"));
        told["steps"][0]["to"]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(to(&pool), "bert", "it has more room");
    apart(&pool, &[WAITING, MAIL]);
    assert_eq!(to(&pool), "anna");
    pool.done(&format!("vm-start uuid={WAITING}"));
    let at = pool.done(&format!("vm-list uuid={WAITING} params=resident-on --minimal"));
    assert_eq!(at, pool.done("host-list name-label=anna --minimal"));
}

#[test]
fn a_vm_is_in_one_group_that_exists() {
    let pool = Saved::without_ha();
    let group = apart(&pool, &[WEB]);
    let other = pool.done("vm-group-create name-label=other placement=normal");
    let error = pool.refused(&format!("vm-param-set uuid={WEB} groups={group},{other}"));
    assert!(error.contains("A VM can be in one group only."), "{error}");
    pool.refused(&format!("vm-param-set uuid={WEB} groups={MAIL}"));
    pool.refused("vm-group-create name-label=odd placement=together");
    let group_of = || pool.done(&format!("vm-param-get uuid={WEB} param-name=groups"));
    assert_eq!(group_of(), group);
    pool.done(&format!("vm-param-set uuid={WEB} groups={other}"));
    assert_eq!(group_of(), other);
    pool.done(&format!("vm-param-set uuid={WEB} groups="));
    assert_eq!(group_of(), "");
}
