//! Commands with an output or a dialogue of their own.

use serde_json::json;
use xe::xenapi::Value;

use crate::world::World;

#[test]
fn diagnostic_vm_status() {
    let world = World::pool()
        .answers("VM.get_possible_hosts", json!(["OpaqueRef:h1", "OpaqueRef:h2"]))
        .answers("VBD.assert_attachable", json!(""))
        .answers("VM.assert_can_boot_here", json!(""))
        .fails("VM.assert_agile", "HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", &["OpaqueRef:sr2"]);
    let done = world.xe("diagnostic-vm-status uuid=00000022-0000-4000-8000-000000000000");
    let expected = concat!(
        "uuid ( RO)              : 00000022-0000-4000-8000-000000000000\n",
        "        name-label ( RW): web\n",
        "       power-state ( RO): running\n",
        "    possible-hosts ( RO): 00000011-0000-4000-8000-000000000000; ",
        "00000012-0000-4000-8000-000000000000\n\n\n",
        "Checking to see whether disks are attachable\n",
        "uuid ( RO)            : 00000061-0000-4000-8000-000000000000\n",
        "        vdi-uuid ( RO): 00000051-0000-4000-8000-000000000000\n",
        "           empty ( RO): false\n",
        "          device ( RO): xvda\n",
        "      userdevice ( RW): 0\n",
        "            mode ( RW): RW\n",
        "            type ( RW): Disk\n",
        "      attachable ( RO): true\n",
        "    storage-lock ( RO): false\n\n\n",
        "uuid ( RO)            : 00000062-0000-4000-8000-000000000000\n",
    );
    assert!(done.out.starts_with(expected), "{}", done.out);
    let tail = concat!(
        "Checking to see whether VM can boot on each host\n",
        "host-a    : OK\n",
        "    host-b: OK\n\n\n",
        "VM is not agile because: VM requires access to non-shared SR: ",
        "00000032-0000-4000-8000-000000000000 (local).",
    );
    assert!(done.out.contains(tail), "{}", done.out);
    let world = world.answers("VM.assert_agile", json!(""));
    let done = world.xe("diagnostic-vm-status uuid=00000022-0000-4000-8000-000000000000");
    assert!(done.out.ends_with("\n\n\nVM is agile.\n"), "{}", done.out);
}

#[test]
fn failover_plan_puts_errors_before_placed_vms() {
    let world = World::pool().answers(
        "pool.ha_compute_vm_failover_plan",
        json!({
            "OpaqueRef:v1": {"host": "OpaqueRef:h2"},
            "OpaqueRef:v2": {"error_code": "HOST_NOT_ENOUGH_FREE_MEMORY"},
        }),
    );
    let done = world
        .xe("pool-ha-compute-vm-failover-plan host-uuids=00000011-0000-4000-8000-000000000000");
    let first = "    00000022-0000-4000-8000-000000000000 (web): HOST_NOT_ENOUGH_FREE_MEMORY\n";
    let second = "   00000021-0000-4000-8000-000000000000 (test): \
                  00000012-0000-4000-8000-000000000000 (host-b)\n";
    let width = 4 + "00000021-0000-4000-8000-000000000000 (test)".len();
    let head = format!("{:<width$}: Destination Host or Error\n", "VM");
    assert_eq!(done.out, format!("{head} {first} {second}\n\n"));
    let call = &world.calls("pool.ha_compute_vm_failover_plan")[0];
    assert_eq!(call[1], Value::text_set(["OpaqueRef:v2"]), "control domains are left out");
}

#[test]
fn hypothetical_wants_pairs() {
    let method = "pool.ha_compute_hypothetical_max_host_failures_to_tolerate";
    let world = World::pool().answers(method, json!("2"));
    let command = "pool-ha-compute-hypothetical-max-host-failures-to-tolerate";
    let vm = "vm-uuid=00000021-0000-4000-8000-000000000000";
    assert_eq!(world.xe(&format!("{command} {vm} restart-priority=restart")).out, "2\n");
    assert_eq!(world.calls(method)[0][0], Value::text_map([("OpaqueRef:v1", "restart")]));
    assert_eq!(
        world.xe(&format!("{command} {vm}")).err,
        "Error: Call requires an equal number of vm-uuid and restart-priority arguments\n"
    );
}

#[test]
fn pool_ha_enable_is_silent() {
    let world = World::pool().answers("pool.enable_ha", json!(""));
    let done = world.xe("pool-ha-enable heartbeat-sr-uuids=00000031-0000-4000-8000-000000000000,\
         00000032-0000-4000-8000-000000000000 ha-config:timeout=30");
    assert_eq!((done.out.as_str(), done.err.as_str(), done.code), ("", "", 0));
    let call = &world.calls("pool.enable_ha")[0];
    assert_eq!(call[0], Value::text_set(["OpaqueRef:sr1", "OpaqueRef:sr2"]));
    assert_eq!(call[1], Value::text_map([("timeout", "30")]));
}

#[test]
fn prompts_take_yes_in_any_case_and_nothing_else() {
    let line = "host-forget uuid=00000012-0000-4000-8000-000000000000";
    let world = World::pool().answers("host.destroy", json!(""));
    let done = world.xe_answering(line, " YES \n");
    assert_eq!(done.code, 0);
    assert!(done.out.ends_with("Type 'yes' to continue\n"), "{}", done.out);
    assert_eq!(done.out.matches("WARNING: ").count(), 4);
    assert_eq!(world.calls("host.destroy").len(), 1);

    let world = World::pool().answers("host.destroy", json!(""));
    let done = world.xe_answering(line, "no\n");
    assert_eq!(done.code, 0);
    assert!(done.out.ends_with("Aborted (you typed: 'no')\n"), "{}", done.out);
    let done = world.xe_answering(line, "");
    let told = "Error: no answer was given, so nothing was done; --force goes on without the \
                question\n";
    assert_eq!((done.code, done.err.as_str()), (1, told));
    assert!(world.calls("host.destroy").is_empty());
    let done = world.xe(&format!("{line} --force"));
    assert_eq!((done.out.as_str(), done.code), ("", 0));
    assert_eq!(world.calls("host.destroy").len(), 1);
}

#[test]
fn emergency_commands_of_a_host() {
    let world = World::pool()
        .answers("pool.emergency_reset_master", json!(""))
        .answers("pool.emergency_transition_to_master", json!(""))
        .answers("session.get_this_host", json!("OpaqueRef:h2"))
        .answers("host.is_in_emergency_mode", json!(true));
    assert_eq!(
        world.xe("pool-emergency-reset-master master-address=10.0.0.2").out,
        "Host agent will restart and become slave of 10.0.0.2 in 10.000 seconds...\n"
    );
    let line = "pool-emergency-transition-to-master";
    let told = "Host agent will restart and transition to master in 10.000 seconds...\n";
    assert_eq!(world.xe(line).out, told);
    assert_eq!(world.xe(&format!("{line} uuid=00000012-0000-4000-8000-000000000000")).out, told);
    let done = world.xe(&format!("{line} uuid=00000011-0000-4000-8000-000000000000"));
    assert_eq!((done.code, done.out.as_str()), (1, ""));
    assert_eq!(world.calls("pool.emergency_transition_to_master").len(), 2);
    assert_eq!(world.xe("host-is-in-emergency-mode").out, "true\n");
    assert_eq!(world.xe("host-is-in-emergency-mode --minimal").out, "\n");
}

#[test]
fn a_master_is_not_made_master_twice() {
    let world = World::pool().answers("session.get_this_host", json!("OpaqueRef:h1"));
    let done = world.xe("pool-emergency-transition-to-master");
    assert_eq!((done.code, done.out.lines().count()), (0, 1));
    assert!(done.out.contains("--force"), "{}", done.out);
    assert!(world.calls("pool.emergency_transition_to_master").is_empty());
}

#[test]
fn the_health_check_ends_with_three() {
    let method = "host.ha_xapi_healthcheck";
    let done = World::pool().answers(method, json!(true)).xe("host-ha-xapi-healthcheck");
    assert_eq!((done.out.as_str(), done.code), ("xapi is healthy.\n", 0));
    let done = World::pool().answers(method, json!(false)).xe("host-ha-xapi-healthcheck");
    assert_eq!((done.err.as_str(), done.code), ("Host.ha_xapi_healthcheck reports false\n", 3));
    let done = World::pool().fails(method, "X", &["a", "b"]).xe("host-ha-xapi-healthcheck");
    assert_eq!(done.err, "Host.ha_xapi_healthcheck threw exception: X: [ a; b ]\n");
    assert_eq!(done.code, 3);
}

#[test]
fn the_database_goes_to_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("dump.xml");
    let line = format!("pool-dump-database file-name={}", file.display());
    let done = World::pool().xe(&line);
    assert_eq!((done.out.as_str(), done.code), ("Dump database succeeded\n", 0), "{}", done.err);
    assert_eq!(std::fs::read(&file).unwrap(), b"<database/>");
    let done = World::pool().xe(&line);
    assert_eq!(done.code, 1);
    assert!(done.err.starts_with("Operation failed. Error: "), "{}", done.err);
    assert_eq!(World::pool().xe("pool-dump-database file-name=").out, "<database/>");
    let restore = format!("pool-restore-database file-name={}", file.display());
    assert_eq!(World::pool().xe(&restore).code, 1);
    assert_eq!(World::pool().xe(&format!("{restore} dry-run=true")).code, 0);
}

#[test]
fn event_wait_returns_when_the_condition_holds() {
    let world = World::pool();
    let done = world.xe("event-wait class=vm name-label=web power-state=running");
    assert_eq!((done.out.as_str(), done.code), ("", 0));
    assert_eq!(world.xe("event-wait class=vm name-label=web power-state=/=halted").code, 0);
    assert_eq!(
        world.xe("event-wait class=blob x=1").err,
        "Error: Cli listening for class 'blob' not currently implemented\n"
    );
    assert_eq!(world.xe("event-wait class=vm colour=red").err, "Error: key missing: colour\n");
}

#[test]
fn prevent_evacuation_lists_vms_with_their_reasons() {
    let world = World::pool().answers(
        "host.get_vms_which_prevent_evacuation",
        json!({"OpaqueRef:v2": ["VM_REQUIRES_SR", "OpaqueRef:v2", "OpaqueRef:sr2"]}),
    );
    let line = "host-get-vms-which-prevent-evacuation uuid=00000011-0000-4000-8000-000000000000";
    assert_eq!(
        world.xe(line).out,
        concat!(
            "uuid ( RO)          : 00000022-0000-4000-8000-000000000000\n",
            "    name-label ( RW): web\n",
            "        reason ( RO): VM_REQUIRES_SR,OpaqueRef:v2,OpaqueRef:sr2\n\n\n",
        )
    );
}

#[test]
fn uninstall_names_what_goes_and_takes_owned_disks() {
    let world = World::pool()
        .answers("VM.hard_shutdown", json!(""))
        .answers("VM.destroy", json!(""))
        .answers("VDI.destroy", json!(""));
    let done = world.xe_answering("vm-uninstall vm=web", "yes\n");
    assert!(done.out.contains("00000022-0000-4000-8000-000000000000 (web)\n"), "{}", done.out);
    assert!(done.out.contains("VDI: 00000051-0000-4000-8000-000000000000 (test_disk)\n"));
    assert_eq!(world.calls("VDI.destroy"), [["OpaqueRef:vdi1".into()]]);
    let world = World::pool();
    assert_eq!(world.xe_answering("vm-uninstall vm=web", "n\n").code, 0);
    assert!(world.calls("VM.destroy").is_empty());
}

#[test]
fn cds_are_added_ejected_and_inserted() {
    let world =
        World::pool().answers("SR.get_content_type", json!("iso")).answers("VBD.insert", json!(""));
    assert_eq!(world.xe("vm-cd-insert vm=web cd-name=scratch").code, 0);
    assert_eq!(world.calls("VBD.insert"), [["OpaqueRef:vbd2".into(), "OpaqueRef:vdi2".into()]]);
    assert_eq!(world.xe("vm-cd-eject vm=web").err, "Error: the VM has no CD in a drive\n");
    assert_eq!(world.xe("vm-cd-add vm=web cd-name=none device=3").code, 1);
}

#[test]
fn a_server_that_cannot_tell_of_ha_has_a_database_that_can() {
    let unknown = "MESSAGE_METHOD_UNKNOWN";
    let world = World::pool().fails("pool.xe_ha_status", unknown, &["pool.xe_ha_status"]).fails(
        "pool.xe_ha_what_if",
        unknown,
        &["pool.xe_ha_what_if"],
    );
    for line in ["pool-ha-status", "pool-ha-what-if hosts=host-a"] {
        let done = world.xe(line);
        assert_eq!(done.code, 1);
        assert!(done.err.contains("pool-dump-database file-name=FILE"), "{}", done.err);
        assert!(done.err.contains("--database FILE"), "{}", done.err);
    }
}

#[test]
fn a_start_that_breaks_the_plan_is_offered_to_nobody_but_a_person() {
    let code = "HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN";
    let world = World::pool()
        .answers("Async.VM.start", json!("OpaqueRef:task"))
        .answers("task.get_status", json!("failure"))
        .answers("task.get_error_info", json!([code]))
        .answers("task.destroy", json!(""));
    let done = world.xe("vm-start vm=test");
    assert_eq!(done.code, 1);
    let first = "After this the pool could no longer restart all protected VMs.\nThese help:\n";
    assert!(done.err.starts_with(first), "no reason is given, and none missed: {}", done.err);
    assert!(!done.err.contains("vm-param-set"), "no VM is named: {}", done.err);
    assert_eq!(world.calls("Async.VM.start").len(), 1);
    let forced = world.xe("vm-start vm=test --force");
    assert_eq!(forced.code, 1);
    assert_eq!(world.calls("Async.VM.start")[1].last(), Some(&Value::Bool(true)));
}

#[test]
fn vlan_create_prints_the_interface_that_was_made() {
    let pif = World::pool();
    let pifs = pif.objects("PIF");
    let (reference, uuid) = pifs.first().unwrap().clone();
    let world = pif
        .answers("VLAN.create", json!("OpaqueRef:vlan"))
        .answers("VLAN.get_untagged_PIF", json!(reference));
    let network = &world.objects("network")[0].1;
    let done = world.xe(&format!("vlan-create pif-uuid={uuid} vlan=7 network-uuid={network}"));
    assert_eq!((done.out.trim_end(), done.code), (uuid.as_str(), 0), "{}", done.err);
    assert_eq!(world.calls("VLAN.create")[0][1], Value::Int(7));
}
