//! Errors: texts, streams, exit codes, the order of checks.

use serde_json::json;
use xe::cli::dialect::Environment;

use crate::world::{Done, World};

const HINT: &str = "For usage run: 'xe help'\n";

fn fails(world: &World, line: &str) -> Done {
    let done = world.xe(line);
    assert_eq!(done.code, 1, "{line}: {done:?}");
    done
}

/// The lines behind our own sentence.
fn below(text: &str) -> &str {
    let (sentence, rest) = text.split_once('\n').unwrap();
    assert!(sentence.ends_with('.') && !sentence.contains("Error code"), "{sentence}");
    rest
}

#[test]
fn usage_errors() {
    let world = World::pool();
    for (line, text) in [
        ("uuid=1", format!("Syntax error: \n{HINT}")),
        ("vm-list -q", format!("Syntax error: \n{HINT}")),
        ("vm-lst", format!("Unknown command: vm-lst\n{HINT}")),
        ("vm-param-set order=1", format!("Required parameter not found: uuid\n{HINT}")),
        ("vm-param-get uuid=1", format!("Required parameter not found: param-name\n{HINT}")),
    ] {
        assert_eq!(fails(&world, line).err, text);
    }
    assert!(world.called().is_empty(), "nothing of this reaches the server");
}

#[test]
fn a_missing_parameter_is_told_before_wrong_credentials() {
    let done = fails(&World::pool(), "-pw wrong vm-param-get");
    assert_eq!(done.err, format!("Required parameter not found: uuid\n{HINT}"));
    assert_eq!(
        fails(&World::pool(), "-pw wrong vm-list").err,
        format!("Authentication failed\n{HINT}")
    );
    let done = fails(&World::pool(), "username= vm-list");
    assert_eq!(done.err, format!("Username/password must be specified\n{HINT}"));
}

#[test]
fn a_known_code_names_its_parameters() {
    let done = fails(&World::pool(), "vm-param-list uuid=nonsense");
    assert_eq!(done.out, "");
    assert_eq!(below(&done.err), "type: VM\nuuid: nonsense\n");
}

#[test]
fn t26_t27_t35_unknown_codes_keep_their_parameters_raw() {
    let line = "sr-scan uuid=00000031-0000-4000-8000-000000000000";
    let text = "Command ['/usr/bin/vhd-util', ...] failed";
    let world = World::pool().fails("SR.scan", "SR_BACKEND_FAILURE_40", &["", text, ""]);
    assert_eq!(
        fails(&world, line).err,
        format!("Error code: SR_BACKEND_FAILURE_40\nError parameters: , {text}, \n")
    );
    let xml = "<?xml version=\"1.0\" ?>\n<nfs-exports>\n\t<Export>";
    let world = World::pool().fails("SR.probe", "SR_BACKEND_FAILURE_101", &["", "x", xml]);
    let line = "sr-probe type=nfs device-config:server=172.24.0.90";
    assert!(fails(&world, line).err.ends_with(&format!(", x, {xml}\n")));
}

#[test]
fn references_become_uuids_and_names() {
    let world = World::pool().fails(
        "VM.pause",
        "VM_BAD_POWER_STATE",
        &["OpaqueRef:v1", "running", "halted"],
    );
    let done = fails(&world, "vm-pause vm=test");
    assert_eq!(
        below(&done.err),
        "vm: 00000021-0000-4000-8000-000000000000 (test)\nexpected: running\nactual: halted\n"
    );
}

#[test]
fn t28_trace_shows_the_raw_error() {
    let world = World::pool().fails("VM.pause", "SR_BACKEND_FAILURE_202", &["", "text", ""]);
    assert_eq!(
        fails(&world, "vm-pause vm=test --trace").err,
        "Error code: SR_BACKEND_FAILURE_202\nError parameters: , text, \n\
         Raised Server_error(SR_BACKEND_FAILURE_202, [ ; text;  ])\nBacktrace:\n"
    );
}

#[test]
fn t29_pool_ha_disable_fails_with_a_known_code() {
    let world = World::pool().fails("pool.disable_ha", "UUID_INVALID", &["VDI", "u"]);
    assert_eq!(below(&fails(&world, "pool-ha-disable").err), "type: VDI\nuuid: u\n");
}

#[test]
fn a_member_names_its_master() {
    let world = World::pool().fails("session.login_with_password", "HOST_IS_SLAVE", &["10.0.0.1"]);
    assert_eq!(below(&fails(&world, "vm-list").err), "Master IP address: 10.0.0.1\n");
}

#[test]
fn codes_without_a_sentence_of_ours_are_named() {
    let world = World::pool().fails("pool.disable_ha", "ROLE_ALREADY_EXISTS", &[]);
    assert_eq!(below(&fails(&world, "pool-ha-disable").err), "");
    let world = World::pool().fails("pool.disable_ha", "INVALID_EDITION", &["x"]);
    assert_eq!(
        fails(&world, "pool-ha-disable").err,
        "The server reported INVALID_EDITION.\nedition: x\n"
    );
}

#[test]
fn minimal_prints_nothing_on_an_error() {
    let done = fails(&World::pool(), "vm-list --minimal colour=red");
    assert_eq!(done.out, "");
}

#[test]
fn dangerous_commands_want_force() {
    let world = World::pool().answers("host.emergency_ha_disable", json!(""));
    assert_eq!(
        fails(&world, "host-emergency-ha-disable").err,
        "Error: This operation is dangerous and may cause data loss. This operation must be \
         forced (use --force).\n"
    );
    assert_eq!(world.xe("host-emergency-ha-disable force=true").code, 0);
    assert_eq!(world.calls("host.emergency_ha_disable"), [[false.into()]]);
    assert!(world.called().contains(&"session.slave_local_login_with_password".to_owned()));
    assert!(world.called().contains(&"session.local_logout".to_owned()));
}

#[test]
fn usage_without_a_command_is_no_error() {
    for line in ["", "-u root", "--help vm-list"] {
        let done = World::pool().xe(line);
        assert_eq!((done.out.as_str(), done.code), ("", 0));
        assert!(done.err.starts_with("Usage: xe "), "{}", done.err);
    }
    let done = World::pool().xe("-version");
    assert_eq!((done.out.as_str(), done.code), ("ThinCLI protocol: 0.2\n", 0));
}

#[test]
fn a_broken_rc_file_is_told_and_ignored() {
    let environment = Environment { rc: Some("oops\n".to_owned()), ..Environment::default() };
    let done = World::pool().run(&["host-list", "--minimal"], &environment, "");
    assert_eq!(done.err, "Error parsing rc file. No defaults loaded\n");
    assert_eq!(done.code, 0);
}

#[test]
fn a_word_that_the_command_does_not_know_gives_one_line() {
    let world = World::pool().answers("pool.enable_ha", json!(""));
    let done = world.xe("pool-ha-enable heartbeat-sr-uids=x ha-config:timeout=30");
    assert_eq!(done.err, "unknown parameter heartbeat-sr-uids, did you mean heartbeat-sr-uuids?\n");
    assert_eq!((done.out.as_str(), done.code), ("", 0));
    for (line, environment) in [
        ("vm-list colour=red name-label=nobody", Environment::default()),
        (
            "pool-ha-enable",
            Environment { rc: Some("colour=red\n".to_owned()), ..Default::default() },
        ),
        (
            "pool-ha-enable",
            Environment { extra_args: Some("colour=red".to_owned()), ..Default::default() },
        ),
        ("pool-ha-enable minimal=true trace=false", Environment::default()),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let done = world.run(&words, &environment, "");
        assert!(!done.err.contains("unknown parameter"), "{line}: {}", done.err);
    }
}

#[test]
fn the_old_spelling_of_the_heartbeat_storage_is_taken() {
    let world = World::pool().answers("pool.enable_ha", json!(""));
    let done = world.xe("pool-ha-enable heartbeat-sr-uuid=00000031-0000-4000-8000-000000000000");
    assert_eq!((done.err.lines().count(), done.code), (1, 0), "{}", done.err);
    let call = &world.calls("pool.enable_ha")[0];
    assert_eq!(call[0], xe::xenapi::Value::text_set(["OpaqueRef:sr1"]));
}
