//! Several SRs carry HA and the database: one of them may be lost.

use super::{Lab, really_running, wait_for};

#[test]
fn s37_one_of_three_srs_may_be_lost_and_vms_are_restarted_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::without_ha(dir.path(), 3);
    // The one that is lost is the first.
    let srs = ["two", "three"].map(|name| lab.new_sr(name, &dir.path().join(name)));
    let all = lab.done("h1", "sr-list shared=true params=uuid --minimal");
    let third = all.trim_end().split(',').find(|sr| !srs.contains(&(*sr).to_owned())).unwrap();
    let named = format!("{},{},{third}", srs[0], srs[1]);
    lab.done("h1", &format!("pool-ha-enable heartbeat-sr-uuids={named} ha-config:timeout=10"));
    assert!(lab.done("h1", "pool-ha-status").contains("3 of 3 on shared storage are well"));
    let folder = dir.path().join("two").join(&srs[0]);
    let folder = if folder.is_dir() { folder } else { dir.path().join("two") };
    for host in ["h1", "h2", "h3"] {
        lab.fault(&format!("{host} disk-eio --sr {}", folder.display()));
    }
    let line =
        format!("pool-param-set uuid={} name-label=x", lab.done("h1", "pool-list --minimal"));
    lab.done("h1", line.replace('\n', "").as_str());
    wait_for("the alert", || lab.messages("h1").contains("METADATA_LUN_BROKEN"));
    assert!(lab.done("h1", "pool-ha-status").contains("2 of 3 on shared storage are well"));
    // The master is lost: the next one knows all that was written without that copy.
    lab.fault("h1 power-off");
    let renamed = |host: &str| lab.done(host, "pool-list params=name-label --minimal") == "x\n";
    wait_for("another master", || lab.xe("h2", "pool-list").status.success());
    wait_for("its rows", || renamed("h2"));
    let vm = lab.done("h2", "vm-list name-label=app-1 --minimal");
    wait_for("the restart", || !really_running(&lab, &vm).is_empty());
    assert_eq!(really_running(&lab, &vm).len(), 1);
    for host in ["h2", "h3"] {
        lab.fault(&format!("{host} disk-heal"));
    }
    wait_for("its end", || lab.messages("h2").contains("METADATA_LUN_BROKEN_RECOVERED"));
}
