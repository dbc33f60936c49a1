//! Commands that pick their objects.

use serde_json::json;

use crate::world::{World, refused};

#[test]
fn t30_nothing_and_too_much_matches() {
    assert_eq!(
        refused("vm-disk-list uuid=00000020-0000-4000-8000-000000000000"),
        "Error: No matching VMs found\n"
    );
    assert_eq!(
        refused("vm-pause"),
        "Error: Multiple matches VMs found. --multiple required to complete the operation\n"
    );
    assert_eq!(
        refused("vm-clone new-name-label=x"),
        "Error: Multiple matches VMs found. Operation can only be performed on one VM at a time\n"
    );
    assert_eq!(refused("host-disable host=nobody"), "Error: No matching hosts found\n");
    assert_eq!(
        refused("host-disable"),
        "Error: Multiple matching hosts found. --multiple required to complete the operation\n"
    );
    assert_eq!(
        refused("host-evacuate --multiple"),
        "Error: Multiple matching hosts found. Operation can only be performed on one host at a \
         time\n"
    );
    assert_eq!(refused("vm-pause colour=red"), "Error: Unknown field 'colour'\n");
}

#[test]
fn objects_by_name_uuid_and_field() {
    for words in [
        "vm=web",
        "vm=00000022-0000-4000-8000-000000000000",
        "power-state=running",
        "name-label=web",
    ] {
        let world = World::pool().answers("VM.pause", json!(""));
        assert_eq!(world.xe(&format!("vm-pause {words}")).code, 0, "{words}");
        assert_eq!(world.calls("VM.pause"), [["OpaqueRef:v2".into()]]);
    }
    for words in [
        "host=host-b",
        "host=b.example",
        "enabled=false",
        "uuid=00000012-0000-4000-8000-000000000000",
    ] {
        let world = World::pool().answers("host.shutdown", json!(""));
        assert_eq!(world.xe(&format!("host-shutdown {words}")).code, 0, "{words}");
        assert_eq!(world.calls("host.shutdown"), [["OpaqueRef:h2".into()]]);
    }
}

#[test]
fn multiple_tries_all_and_reports_the_last_failure_first() {
    let world = World::pool().fails(
        "VM.pause",
        "VM_BAD_POWER_STATE",
        &["OpaqueRef:v1", "running", "halted"],
    );
    let done = world.xe("vm-pause --multiple");
    assert_eq!((done.code, done.err.as_str()), (1, ""));
    let heads: Vec<&str> =
        done.out.lines().filter(|line| line.starts_with("operation failed on ")).collect();
    assert_eq!(heads.len(), 2);
    assert!(heads[0].starts_with("operation failed on 00000022-0000-4000-8000-000000000000: "));
    assert!(heads[1].starts_with("operation failed on 00000021-0000-4000-8000-000000000000: "));
    let lines: Vec<&str> = done.out.lines().collect();
    assert_eq!(
        lines[1..4],
        ["vm: 00000021-0000-4000-8000-000000000000 (test)", "expected: running", "actual: halted"]
    );
}

#[test]
fn vm_start_runs_a_task_and_destroys_it() {
    let world = World::pool()
        .answers("Async.VM.start", json!("OpaqueRef:task1"))
        .answers("task.get_status", json!("success"))
        .answers("task.get_result", json!(""))
        .answers("task.destroy", json!(""));
    let done = world.xe("vm-start vm=test paused=true");
    assert_eq!((done.out.as_str(), done.err.as_str(), done.code), ("", "", 0));
    assert_eq!(world.calls("Async.VM.start"), [["OpaqueRef:v1".into(), true.into(), false.into()]]);
    assert_eq!(world.calls("task.destroy"), [["OpaqueRef:task1".into()]]);

    let world = World::pool()
        .answers("Async.VM.start_on", json!("OpaqueRef:task1"))
        .answers("task.get_status", json!("success"));
    assert_eq!(world.xe("vm-start vm=test on=host-b").code, 0);
    assert_eq!(world.calls("Async.VM.start_on")[0][1], "OpaqueRef:h2".into());
    assert_eq!(refused("vm-start vm=test on=nobody"), "Error: Host nobody not found\n");
}

#[test]
fn a_failed_task_is_told_like_a_failed_call() {
    let world = World::pool()
        .answers("Async.VM.clean_shutdown", json!("OpaqueRef:task1"))
        .answers("task.get_status", json!("failure"))
        .answers("task.get_error_info", json!(["VM_BAD_POWER_STATE", "OpaqueRef:v2", "a", "b"]))
        .answers("task.destroy", json!(""));
    let done = world.xe("vm-shutdown vm=web");
    assert_eq!(done.code, 1);
    assert!(
        done.err.ends_with(
            "\nvm: 00000022-0000-4000-8000-000000000000 (web)\nexpected: a\nactual: b\n"
        ),
        "{}",
        done.err
    );
    assert_eq!(world.calls("task.destroy").len(), 1);
}

#[test]
fn vm_start_without_a_host_says_why_for_each() {
    let world = World::pool()
        .answers("Async.VM.start", json!("OpaqueRef:task1"))
        .answers("task.get_status", json!("failure"))
        .answers("task.get_error_info", json!(["NO_HOSTS_AVAILABLE"]))
        .answers("task.destroy", json!(""))
        .fails("VM.assert_can_boot_here", "HOST_NOT_LIVE", &[]);
    let done = world.xe("vm-start vm=test");
    assert_eq!(
        done.out,
        "host-a    : Cannot start here [Host down]\n    host-b: Cannot start here [Host down]\n\n\n"
    );
    assert_eq!((done.err.lines().count(), done.code), (1, 1));
}

#[test]
fn messages_about_the_vm_follow_on_stderr() {
    let message = |priority: i64| {
        let timestamp = "20260101T00:00:00Z";
        json!({"name": "VM_CRASHED", "priority": priority, "timestamp": timestamp})
    };
    let world = World::pool()
        .answers("VM.pause", json!(""))
        .answers("message.get", json!({"OpaqueRef:a": message(2), "OpaqueRef:b": message(5)}));
    assert_eq!(
        world.xe("vm-pause vm=web").err,
        "Message: time=20260101T00:00:00Z priority=2 name='VM_CRASHED'\n\n"
    );
    assert_eq!(world.xe("vm-pause vm=web message-priority=2").err, "");
}

#[test]
fn host_commands_send_what_they_should() {
    let world = World::pool().answers("host.disable", json!(""));
    assert_eq!(world.xe("host-disable host=host-a auto-enable=false").code, 0);
    assert_eq!(world.calls("host.disable"), [["OpaqueRef:h1".into(), false.into()]]);
    let world = World::pool().answers("host.enable", json!(""));
    assert_eq!(world.xe("host-enable host=host-b").code, 0);
    assert_eq!(
        world.calls("host.remove_from_other_config"),
        [["OpaqueRef:h2".into(), "MAINTENANCE_MODE".into()]]
    );
    let world = World::pool().answers("host.evacuate", json!(""));
    assert_eq!(world.xe("host-evacuate uuid=00000011-0000-4000-8000-000000000000").code, 0);
    assert_eq!(
        world.calls("host.evacuate"),
        [["OpaqueRef:h1".into(), "OpaqueRef:NULL".into(), 0.into()]]
    );
}

#[test]
fn vm_install_from_a_template() {
    let world =
        World::pool().answers("VM.clone", json!("OpaqueRef:v1")).answers("VM.provision", json!(""));
    let done = world.xe("vm-install new-name-label=new template=base");
    assert_eq!(done.out, "00000021-0000-4000-8000-000000000000\n", "{}", done.err);
    assert_eq!(world.calls("VM.clone"), [["OpaqueRef:t1".into(), "new".into()]]);
    assert_eq!(
        refused("vm-install new-name-label=new template=none"),
        "Error: No templates matched\n"
    );
}

#[test]
fn vm_migrate_takes_any_spelling_of_the_host() {
    for words in
        ["host=host-b", "host-uuid=00000012-0000-4000-8000-000000000000", "host-name=host-b"]
    {
        let world = World::pool().answers("VM.pool_migrate", json!(""));
        assert_eq!(world.xe(&format!("vm-migrate vm=web live=true {words}")).code, 0, "{words}");
        let call = &world.calls("VM.pool_migrate")[0];
        assert_eq!(call[1], "OpaqueRef:h2".into());
        assert_eq!(call[2].get("live").unwrap(), &"true".into());
    }
}
