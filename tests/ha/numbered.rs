//! Scenarios of `tests/scenarios/README.md` that an administrator meets as a refusal.

use crate::world::{ANNA, BERT, BERT_WITHOUT_STORAGE, Saved, WEB};

const SR: &str = "00000141-0000-4000-8000-00000000608d";
const SHARED: &str = "shared=\"true\" type=\"nfs\"";
const LIVE: &str = "memory__free=\"0\" live=\"true\" _ref=\"OpaqueRef:hm2\"";

#[test]
fn s32_a_kind_of_storage_that_cannot_carry_ha_is_refused() {
    for kind in ["smb", "lvmoiscsi", "nfs"] {
        let pool = Saved::changed(&[(SHARED, &format!("shared=\"true\" type=\"{kind}\""))]);
        let why = pool.refused(&format!("pool-ha-enable heartbeat-sr-uuids={SR}"));
        assert!(why.starts_with("The storage cannot do this") && why.contains(SR), "{kind}: {why}");
        assert_eq!(pool.done("pool-list params=ha-enabled --minimal"), "false", "{kind}");
    }
}

#[test]
fn s33_storage_that_a_host_has_not_attached_is_refused_and_the_host_named() {
    let file = (SHARED, "shared=\"true\" type=\"file\"");
    let pool = Saved::changed(&[file, BERT_WITHOUT_STORAGE]);
    let why = pool.refused(&format!("pool-ha-enable heartbeat-sr-uuids={SR}"));
    assert!(why.starts_with("The storage is not attached"), "{why}");
    assert!(why.contains("(bert)") && !why.contains("(anna)"), "{why}");
}

#[test]
fn s101_an_evacuation_names_the_vm_that_cannot_go_and_moves_the_others() {
    let pool = Saved::with(&[("ha_allow_overcommit=\"false\"", "ha_allow_overcommit=\"true\"")]);
    let on = |host: &str| pool.done(&format!("vm-list resident-on={host} params=name-label"));
    let bert = pool.done("host-list name-label=bert --minimal");
    assert!(on(&bert).contains("mail") && on(&bert).contains("scratch"));
    pool.done(&format!("host-disable {BERT}"));
    let why = pool.xe(&format!("host-evacuate {BERT}")).err;
    assert!(why.contains("(scratch)"), "{why}");
    assert!(!on(&bert).contains("mail") && on(&bert).contains("scratch"), "{}", on(&bert));
    assert_eq!(pool.done("host-list name-label=bert params=enabled --minimal"), "false");
}

#[test]
fn s103_maintenance_of_a_host_that_is_away_is_refused() {
    let pool = Saved::with(&[
        ("ha_allow_overcommit=\"false\"", "ha_allow_overcommit=\"true\""),
        (LIVE, &LIVE.replace("true", "false")),
    ]);
    for words in ["", " evacuate=false"] {
        let why = pool.refused(&format!("host-maintenance-enter {BERT}{words}"));
        assert!(why.starts_with("The host is not reachable") && why.contains("(bert)"), "{why}");
    }
    assert!(!pool.done("pool-ha-status").contains("in maintenance"));
}

#[test]
fn s118_s119_no_host_leaves_or_enters_a_pool_with_ha_or_speaks_another_protocol() {
    let pool = Saved::with(&[]);
    assert_eq!(pool.failure("pool.eject", &["OpaqueRef:host-bert".into()]), ["HA_IS_ENABLED"]);
    let bert = pool.done("host-list name-label=bert --minimal");
    let why = pool.refused(&format!("pool-eject host-uuid={bert} --force"));
    assert!(why.contains("HA is on"), "{why}");
    let facts = r#"{"uuid":"00000000-0000-4000-8000-00000000cafe","name":"carl",
                    "address":"10.0.0.3","memory":8589934592,"cpus":2,
                    "local_srs":[],"protocol":PROTOCOL}"#;
    let joins = |facts: String| [xe::xenapi::Value::text_map([("facts", facts)])];
    let ours = facts.replace("PROTOCOL", &xe::heartbeat::PROTOCOL.to_string());
    assert_eq!(pool.failure("pool.xe_admit", &joins(ours)), ["HA_IS_ENABLED"]);
    // A host of another protocol could never have HA (S119).
    let pool = Saved::without_ha();
    let other = facts.replace("PROTOCOL", "0");
    let refused = pool.failure("pool.xe_admit", &joins(other));
    assert_eq!(refused[0], "HOSTS_NOT_HOMOGENEOUS");
    assert!(refused[1].contains("carl") && refused[1].contains("protocol 0"), "{refused:?}");
}

#[test]
fn s125_no_vm_is_started_on_or_moved_to_a_host_in_maintenance() {
    let pool = Saved::with(&[("ha_allow_overcommit=\"false\"", "ha_allow_overcommit=\"true\"")]);
    pool.done(&format!("host-maintenance-enter {ANNA}"));
    for line in ["vm-start vm=off on=anna".to_owned(), format!("vm-migrate uuid={WEB} {ANNA}")] {
        let why = pool.refused(&line);
        assert!(why.contains("disabled"), "{line}: {why}");
    }
}
