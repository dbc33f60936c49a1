//! Operations that would break what HA promises are refused: the code that clients know, one
//! sentence with names, and on a terminal the commands that help.

use crate::world::{
    ANNA, BERT, BERT_WITHOUT_STORAGE, MAIL, MIB, OFF, POOL, SCRATCH, Saved, WAITING, WEB,
};

/// The sentence of the code HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN.
const BREAKS: &str = "After this the pool could no longer restart all protected VMs.\nwhy: ";

/// A VM with so much memory on anna leaves no room there for those of bert.
fn with_a_large_vm() -> Saved {
    let pool = Saved::with(&[]);
    pool.done(&resize(2300 * MIB));
    pool
}

/// The command that gives the halted VM that much memory.
fn resize(size: i64) -> String {
    format!(
        "vm-memory-limits-set uuid={OFF} static-min=0 dynamic-min={size} dynamic-max={size} \
         static-max={size}"
    )
}

#[test]
fn a_start_that_takes_the_room_of_others() {
    let pool = with_a_large_vm();
    let error = pool.refused("vm-start vm=off");
    assert!(error.starts_with(BREAKS), "{error}");
    assert!(error.contains("(bert) failed, no place would be left for"), "{error}");
    assert!(error.contains("(mail)"), "{error}");
    // Behind what scripts know, and with the real objects.
    let mail = "0000000e-0000-4000-8000-000000000436";
    let help = format!(
        "\nThese help:\n    xe pool-ha-status    what the pool survives now\n    \
         xe pool-param-set uuid={POOL} ha-host-failures-to-tolerate=0    promise less\n    \
         xe pool-param-set uuid={POOL} ha-allow-overcommit=true    guard nothing\n    \
         xe vm-param-set uuid={mail} ha-restart-priority=best-effort    protect fewer VMs\n"
    );
    assert!(error.ends_with(&help), "{error}");
    assert!(pool.refused("vm-start vm=off on=anna").starts_with(BREAKS));
}

#[test]
fn a_person_may_cancel_or_proceed_and_force_proceeds() {
    let pool = with_a_large_vm();
    let cancelled = pool.typed("vm-start vm=off", "cancel\n");
    assert_eq!(cancelled.code, 1);
    assert!(cancelled.err.starts_with("This would overcommit the pool: if "), "{}", cancelled.err);
    assert!(cancelled.err.contains("These help:\n    xe pool-ha-status"), "{}", cancelled.err);
    assert_eq!(pool.done("pool-ha-status --minimal"), "true,1,1,false");
    let went = pool.typed("vm-start vm=off", "proceed\n");
    assert_eq!(went.code, 0, "{}", went.err);
    assert_eq!(pool.done("pool-ha-status --minimal"), "true,1,0,true");
    let get = |name: &str| pool.done(&format!("pool-param-get uuid={POOL} param-name={name}"));
    assert_eq!((get("ha-overcommitted"), get("ha-plan-exists-for")), ("true".into(), "0".into()));
    assert!(pool.done("message-list params=name --minimal").contains("HA_POOL_OVERCOMMITTED"));

    let pool = with_a_large_vm();
    pool.done("vm-start vm=off --force");
    assert_eq!(pool.done("pool-ha-status --minimal"), "true,1,0,true");
}

#[test]
fn a_resume_is_guarded_like_a_start() {
    let halted = "power_state=\"Halted\" is_a_template=\"false\" is_a_snapshot=\"false\"";
    let pool = Saved::with(&[
        (halted, &halted.replace("Halted", "Suspended")),
        ("memory__static_max=\"4194304000\"", "memory__static_max=\"2411724800\""),
    ]);
    assert!(pool.refused("vm-resume vm=off").starts_with(BREAKS));
    assert!(pool.typed("vm-resume vm=off", "cancel\n").err.contains("These help"));
}

#[test]
fn a_migration_into_the_room_of_others() {
    // Scratch, on shared storage, would take the room of anna, which is smaller.
    let pool = Saved::with(&[
        (
            "name__label=\"disk 13000\" name__description=\"\" SR=\"OpaqueRef:sr-bert\"",
            "name__label=\"disk 13000\" name__description=\"\" SR=\"OpaqueRef:sr-shared\"",
        ),
        ("memory__static_max=\"524288000\"", "memory__static_max=\"1048576000\""),
        (
            "uuid=\"0000014b-0000-4000-8000-00000000638f\" memory__total=\"4718592000\"",
            "uuid=\"0000014b-0000-4000-8000-00000000638f\" memory__total=\"3500000000\"",
        ),
    ]);
    assert!(pool.refused("vm-migrate vm=scratch host=anna live=true").starts_with(BREAKS));
}

#[test]
fn a_host_that_the_others_cannot_do_without() {
    let pool = Saved::with(&[]);
    assert!(pool.refused(&format!("host-disable {ANNA}")).starts_with(BREAKS));
    assert!(pool.refused(&format!("host-evacuate {ANNA}")).starts_with(BREAKS));
    pool.done(&format!("pool-param-set uuid={POOL} ha-allow-overcommit=true"));
    pool.done(&format!("host-disable {ANNA}"));
}

#[test]
fn an_evacuation_stops_at_a_vm_that_is_not_protected_and_can_go_nowhere() {
    let pool = Saved::with(&[("ha_allow_overcommit=\"false\"", "ha_allow_overcommit=\"true\"")]);
    let told = pool.json(&format!("host-evacuate {BERT} --dry-run"));
    let why = told["left"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("it is not protected, and no room is left"), "{why}");
    let bert = "00000002-0000-4000-8000-00000000009a";
    let told = pool.done(&format!("host-get-vms-which-prevent-evacuation uuid={bert}"));
    assert!(told.contains("HOST_EVACUATE_VM_NOT_HA_PROTECTED"), "{told}");
    assert!(told.contains("name-label ( RW): scratch") && !told.contains("mail"), "{told}");
}

#[test]
fn more_failures_than_the_pool_survives() {
    let pool = Saved::with(&[]);
    let set = |n: &str| format!("pool-param-set uuid={POOL} ha-host-failures-to-tolerate={n}");
    let error = pool.refused(&set("2"));
    assert!(error.contains("why: the pool survives 1 host failures at most: if "), "{error}");
    let error = pool.refused(&set("-1"));
    assert!(error.contains("field: ha_host_failures_to_tolerate\nvalue: -1"), "{error}");
    pool.done(&set("0"));
    assert!(pool.refused(&set("2")).starts_with(BREAKS), "zero is no way around it");
}

#[test]
fn protection_that_the_plan_has_no_place_for() {
    let pool = Saved::with(&[]);
    let set = |word: &str| format!("vm-param-set uuid={SCRATCH} {word}");
    assert!(pool.refused(&set("ha-restart-priority=restart")).starts_with(BREAKS));
    assert!(pool.refused(&set("ha-always-run=true")).starts_with(BREAKS));
}

#[test]
fn storage_and_networks_of_protected_vms() {
    let pool = Saved::with(&[(
        "management=\"true\" physical=\"true\" VLAN=\"-1\" MAC=\"02:00:00:00:01:38\"",
        "management=\"false\" physical=\"true\" VLAN=\"-1\" MAC=\"02:00:00:00:01:38\"",
    )]);
    let pif = "pif-unplug uuid=00000138-0000-4000-8000-000000005dd8";
    let error = pool.refused(pif);
    let sentence = "A protected VM needs this network, and not every host has it.\n";
    assert!(error.starts_with(sentence), "{error}");
    assert!(error.contains("network: 00000155-0000-4000-8000-000000006691 (lan)\nwhy: bert would"));
    assert!(error.contains("(mail)") && error.contains("(web 'quoted')"), "{error}");
    let typed = pool.typed(pif, "").err;
    assert!(typed.contains("xe pif-list network-uuid=00000155-0000-4000-8000-000000006691 "));
    let forget = "pif-forget uuid=00000138-0000-4000-8000-000000005dd8";
    assert!(pool.refused(forget).starts_with(sentence));

    pool.done("vm-shutdown vm=mail");
    let error = pool.refused("pbd-unplug uuid=0000012e-0000-4000-8000-000000005ad6");
    assert!(error.starts_with("A protected VM needs this storage"), "{error}");
    assert!(
        error.contains("why: bert would lose it, and these protected VMs need it: "),
        "{error}"
    );

    pool.done(&format!("pool-param-set uuid={POOL} ha-allow-overcommit=true"));
    pool.done(pif);
}

#[test]
fn drives_and_interfaces_that_tie_a_protected_vm_to_a_host() {
    let pool = Saved::with(&[]);
    let disk = |vm: &str| {
        format!(
            "vbd-create vm-uuid={vm} vdi-uuid=00003e80-0000-4000-8000-00000012cc80 device=5 \
             mode=RO type=Disk"
        )
    };
    let error = pool.refused(&disk(MAIL));
    assert!(error.contains("(local anna)\nwhy: one host alone has it, and "), "{error}");
    let vif = |vm: &str| {
        format!(
            "vif-create vm-uuid={vm} network-uuid=00000156-0000-4000-8000-0000000066de device=3 \
             mac=random"
        )
    };
    let error = pool.refused(&vif(MAIL));
    assert!(error.contains("(private)\nwhy: it exists inside each host alone, and "), "{error}");
    let moved = "vif-move uuid=00009858-0000-4000-8000-0000002dd278 \
                 network-uuid=00000156-0000-4000-8000-0000000066de";
    assert!(!pool.xe(moved).err.contains("protected VM needs"), "scratch is best-effort");
    pool.done(&vif(SCRATCH));
    pool.done(&disk(OFF));
    let shared = "sr-param-set uuid=00000141-0000-4000-8000-00000000608d shared=false";
    assert!(pool.refused(shared).starts_with("A protected VM needs this storage"));
}

#[test]
fn a_host_that_lacks_what_protected_vms_need_takes_none() {
    let pool = Saved::with(&[BERT_WITHOUT_STORAGE]);
    let error = pool.refused(&format!("host-enable {BERT}"));
    assert!(error.contains("(shared)\nwhy: it is not attached to bert, and these"), "{error}");
    pool.done("pbd-plug uuid=0000012e-0000-4000-8000-000000005ad6");
    pool.done(&format!("host-enable {BERT}"));
}

#[test]
fn a_size_that_the_plan_has_no_room_for() {
    let pool = Saved::with(&[]);
    let size = 3500 * MIB;
    let line = format!(
        "vm-memory-limits-set uuid={WAITING} static-min=0 dynamic-min={size} dynamic-max={size} \
         static-max={size}"
    );
    assert!(pool.refused(&line).starts_with(BREAKS));
}

#[test]
fn a_protected_vm_becomes_no_template() {
    let pool = Saved::with(&[]);
    let error = pool.refused(&format!("vm-param-set uuid={WAITING} is-a-template=true"));
    assert!(error.contains("(halted and protected)"), "{error}");
}

#[test]
fn what_is_not_done_while_ha_is_on() {
    let disk = "type=\"user\" sharable=\"false\" read_only=\"false\" managed=\"true\" \
                location=\"00003a98";
    let pool = Saved::with(&[
        ("ha_statefiles=\"()\"", "ha_statefiles=\"(&apos;OpaqueRef:vdi15-0&apos;)\""),
        (disk, &disk.replace("user", "ha_statefile")),
    ]);
    let statefile = "OpaqueRef:vdi15-0";
    let bert = "OpaqueRef:host-bert";
    for (method, params) in [
        ("pool.eject", vec![bert.into()]),
        ("pool.designate_new_master", vec![bert.into()]),
        ("pool.rotate_secret", vec![]),
        ("host.management_reconfigure", vec!["OpaqueRef:pif1".into()]),
        ("host.management_disable", vec![]),
        ("VDI.destroy", vec![statefile.into()]),
        ("VDI.resize", vec![statefile.into(), 1.into()]),
        ("VDI.snapshot", vec![statefile.into()]),
    ] {
        assert_eq!(pool.failure(method, &params), ["HA_IS_ENABLED"], "{method}");
    }
    let bond =
        ["OpaqueRef:net-lan".into(), xe::xenapi::Value::text_set(["OpaqueRef:pif1"]), "".into()];
    assert_eq!(pool.failure("Bond.create", &bond), ["HA_CANNOT_CHANGE_BOND_STATUS_OF_MGMT_IFACE"]);
    let off = Saved::without_ha().failure("pool.rotate_secret", &[]);
    assert_eq!(off[0], "NOT_IMPLEMENTED");
}

#[test]
fn priorities_of_old_releases_are_answered_with_the_new_value() {
    let pool = Saved::with(&[]);
    let set = |value: &str| format!("vm-param-set uuid={WEB} ha-restart-priority={value}");
    let error = pool.refused(&set("1"));
    assert!(error.contains("value: 1\nwhy: old releases: use restart with order=1"), "{error}");
    assert!(pool.refused(&set("best_effort")).contains("why: use best-effort"));
    assert!(pool.refused(&set("whatever")).ends_with("value: whatever\n"));
    assert_eq!(
        pool.failure("VM.set_ha_restart_priority", &["OpaqueRef:vm12".into(), "3".into()])[..3],
        ["INVALID_VALUE", "ha_restart_priority", "3"]
    );
}

#[test]
fn always_run_is_the_priority_by_another_name() {
    let pool = Saved::with(&[]);
    let get = |name: &str| pool.done(&format!("vm-param-get uuid={WEB} param-name={name}"));
    pool.done(&format!("vm-param-set uuid={WEB} ha-always-run=false"));
    assert_eq!((get("ha-restart-priority"), get("ha-always-run")), ("".into(), "false".into()));
    pool.done(&format!("vm-param-set uuid={WEB} ha-always-run=true"));
    assert_eq!(
        (get("ha-restart-priority"), get("ha-always-run")),
        ("restart".into(), "true".into())
    );
    // A halted VM is not meant to run by its priority alone.
    pool.done(&format!("vm-param-set uuid={OFF} ha-always-run=true"));
    assert_eq!(pool.done(&format!("vm-param-get uuid={OFF} param-name=ha-always-run")), "false");
}

#[test]
fn a_host_in_maintenance_is_empty_and_takes_nothing() {
    let pool = Saved::with(&[("ha_allow_overcommit=\"false\"", "ha_allow_overcommit=\"true\"")]);
    pool.done(&format!("host-maintenance-enter {ANNA}"));
    let anna = || pool.json("pool-ha-status")["hosts"][0].clone();
    assert_eq!((&anna()["maintenance"], &anna()["enabled"]), (&true.into(), &false.into()));
    assert_eq!(anna()["restart"], 0);
    assert!(pool.done("pool-ha-status").contains("in maintenance"));
    let out = "'xe host-maintenance-exit uuid=00000001-0000-4000-8000-00000000004d'";
    for line in ["vm-start vm=off on=anna", "host-maintenance-enter host=anna"] {
        let error = pool.refused(line);
        assert!(error.contains(&format!("it is in maintenance, which {out} ends")), "{error}");
        assert!(!error.contains("stays disabled"), "{error}");
    }
    let error = pool.typed("vm-start vm=off on=anna", "").err;
    assert!(error.contains("These help:\n    xe host-maintenance-exit uuid=0000"), "{error}");
    pool.done(&format!("host-maintenance-exit {ANNA}"));
    assert_eq!((&anna()["maintenance"], &anna()["enabled"]), (&false.into(), &true.into()));
    // A VM that cannot go keeps the host out of it; it is disabled and says which.
    let error = pool.xe(&format!("host-maintenance-enter {BERT}")).err;
    assert!(error.contains("(scratch)") && !error.contains("<extra>"), "{error}");
    assert!(
        error.contains("not in maintenance but stays disabled: type 'xe host-maint"),
        "{error}"
    );
    let bert = &pool.json("pool-ha-status")["hosts"][1];
    assert_eq!((&bert["maintenance"], &bert["enabled"]), (&false.into(), &false.into()));
}

#[test]
fn a_pause_needs_ha_and_a_sensible_time() {
    let off = Saved::without_ha();
    assert!(off.refused("pool-ha-pause seconds=60").starts_with("HA is not on"));
    let error = Saved::with(&[]).refused("pool-ha-pause seconds=100000");
    assert!(error.contains("field: seconds\nvalue: 100000\nwhy: 0 to 86400"), "{error}");
}

#[test]
fn a_host_that_has_not_reported_yet_takes_nothing_and_the_sentence_says_so() {
    let joined = "name__label=\"bert\" ";
    let pool = Saved::with(&[(joined, &format!("{joined}xe_boot=\"unreported\" "))]);
    let sentence = "The host is still starting.\n\
                    host: 00000002-0000-4000-8000-00000000009a (bert)\n\
                    why: its agent has not reported yet";
    for line in ["vm-start vm=off on=bert", "host-enable host=bert"] {
        let error = pool.refused(line);
        assert!(error.starts_with(sentence), "{line}: {error}");
    }
    let error = pool.typed("host-enable host=bert", "").err;
    assert!(error.contains("These help:\n    xe host-list params="), "{error}");
}

#[test]
fn a_vm_that_cannot_leave_says_which_limit_keeps_it() {
    let pool = Saved::with(&[("ha_allow_overcommit=\"false\"", "ha_allow_overcommit=\"true\"")]);
    let why = || {
        let told = pool.json(&format!("host-evacuate {BERT} --dry-run"));
        let left = told["left"].as_array().unwrap().iter();
        left.map(|left| left["why"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join("\n")
    };
    let set = |word: &str| pool.done(&format!("pool-param-set uuid={POOL} other-config:{word}"));
    assert!(!why().contains("xe-vms-per-host"), "{}", why());
    set("xe-vms-per-host=0");
    assert!(why().contains("xe-vms-per-host"), "{}", why());
}

#[test]
fn a_user_starts_no_more_vms_than_the_pool_lets_a_host_run() {
    let pool = Saved::with(&[("ha_allow_overcommit=\"false\"", "ha_allow_overcommit=\"true\"")]);
    pool.done(&resize(64 * MIB));
    pool.done(&format!("pool-param-set uuid={POOL} other-config:xe-vms-per-host=0"));
    for line in ["vm-start vm=off on=anna", "vm-start vm=off"] {
        let error = pool.refused(line);
        assert!(error.starts_with("No host may run one more VM"), "{line}: {error}");
    }
}

#[test]
fn a_pause_is_refused_for_just_what_would_keep_ha_from_coming_back() {
    let statefiles = "ha_statefiles=\"()\"";
    let one = "ha_statefiles=\"(&apos;OpaqueRef:vdi15-0&apos;)\"";
    let bert = "address=\"10.0.0.2\" enabled=\"true\"";
    let live = "memory__free=\"0\" live=\"true\" _ref=\"OpaqueRef:hm2\"";
    let file = ("shared=\"true\" type=\"nfs\"", "shared=\"true\" type=\"file\"");
    let obstacles: [(&str, &[(&str, &str)]); 4] = [
        ("The host is disabled", &[(bert, &bert.replace("true", "false"))]),
        ("The host is not reachable", &[(live, &live.replace("true", "false"))]),
        ("The storage cannot do this", &[]),
        ("The storage is not attached", &[file, BERT_WITHOUT_STORAGE]),
    ];
    let sr = "00000141-0000-4000-8000-00000000608d";
    for (says, obstacle) in obstacles {
        let on = Saved::with(&[obstacle, &[(statefiles, one)]].concat());
        let paused = on.refused("pool-ha-pause seconds=60");
        let off = Saved::changed(obstacle);
        let enabled = off.refused(&format!("pool-ha-enable heartbeat-sr-uuids={sr}"));
        assert_eq!(paused, enabled);
        assert!(paused.starts_with(says), "{paused}");
    }
}
