//! `param-list`, `param-get`, `param-set`, `param-add`, `param-remove`, `param-clear`.

use serde_json::json;
use xe::xenapi::Value;

use crate::world::{World, refused};

const VM: &str = "uuid=00000021-0000-4000-8000-000000000000";
const POOL: &str = "uuid=00000001-0000-4000-8000-000000000000";

#[track_caller]
fn silent(world: &World, line: &str) {
    let done = world.xe(line);
    assert_eq!((done.out.as_str(), done.err.as_str(), done.code), ("", "", 0), "{line}");
}

#[test]
fn get_of_values_keys_and_hidden_fields() {
    let world = World::pool();
    let get = |rest: &str| world.xe(&format!("vm-param-get {VM} {rest}")).out;
    assert_eq!(get("param-name=power-state"), "halted\n");
    assert_eq!(get("param-name=other-config param-key=folder"), "a\n");
    assert_eq!(get("param-name=power-state param-key=ignored"), "halted\n");
    assert_eq!(get("param-name=nomigrate"), "false\n");
}

#[test]
fn t25_a_missing_key_of_a_map() {
    assert_eq!(
        refused(
            "vdi-param-get uuid=00000051-0000-4000-8000-000000000000 param-name=sm-config \
             param-key=image-format"
        ),
        "Error: Key image-format not found in map\n"
    );
}

#[test]
fn an_unknown_param_name_has_the_form_of_a_code() {
    for verb in ["get", "add", "clear"] {
        assert_eq!(
            refused(&format!("vm-param-{verb} {VM} param-name=colour")),
            "Error code: Missing parameter\nError parameters: colour\n"
        );
    }
}

#[test]
fn set_sends_values_of_the_right_type_in_the_order_given() {
    let world = World::pool();
    let words = "order=1 ha-restart-priority=restart ha-always-run=true \
                 memory-static-max=2GiB HVM-shadow-multiplier=2.5 actions-after-crash=PRESERVE \
                 affinity=00000011-0000-4000-8000-000000000000 appliance= name-description=";
    silent(&world, &format!("vm-param-set {VM} {words}"));
    let value = |field: &str| world.field("VM", "OpaqueRef:v1", field);
    assert_eq!(value("order"), Value::Int(1));
    assert_eq!(value("ha_always_run"), Value::Bool(true));
    assert_eq!(value("memory_static_max"), Value::Int(2 << 30));
    assert_eq!(value("HVM_shadow_multiplier"), Value::Float(2.5));
    assert_eq!(value("actions_after_crash"), "preserve".into());
    assert_eq!(value("affinity"), "OpaqueRef:h1".into());
    assert_eq!(value("appliance"), "OpaqueRef:NULL".into());
    let setters: Vec<String> =
        world.called().into_iter().filter(|call| call.contains(".set_")).collect();
    assert_eq!(setters[0], "VM.set_order");
    assert_eq!(setters.last().unwrap(), "VM.set_name_description");
}

#[test]
fn set_of_map_entries_replaces_and_collects() {
    let world = World::pool();
    silent(&world, &format!("vm-param-set {VM} other-config:folder=b other-config:new=1"));
    assert_eq!(world.calls("VM.remove_from_other_config").len(), 1);
    assert_eq!(
        world.field("VM", "OpaqueRef:v1", "other_config"),
        Value::text_map([("folder", "b"), ("new", "1")])
    );
    silent(&world, &format!("vm-param-set {VM} bios-strings:a=1 bios-strings:b=2"));
    assert_eq!(world.calls("VM.set_bios_strings").len(), 1);
    let world = World::pool().answers("PIF.set_property", json!(""));
    silent(&world, "pif-param-set uuid=00000081-0000-4000-8000-000000000000 properties:gro=off");
    assert_eq!(
        world.calls("PIF.set_property"),
        [["OpaqueRef:p1".into(), "gro".into(), "off".into()]]
    );
}

#[test]
fn set_keeps_what_came_before_a_failure() {
    let world = World::pool();
    let done = world.xe(&format!("vm-param-set {VM} order=3 colour=red start-delay=9"));
    assert_eq!((done.err.as_str(), done.code), ("Error: Unknown field 'colour'\n", 1));
    assert_eq!(world.field("VM", "OpaqueRef:v1", "order"), Value::Int(3));
    assert_eq!(world.field("VM", "OpaqueRef:v1", "start_delay"), Value::Int(0));
}

#[test]
fn what_set_refuses() {
    for (words, text) in [
        ("power-state=running", "Field 'power-state' is read-only."),
        (
            "other-config=x",
            "Field 'other-config' is a map or set. use the 'name:key=value' syntax.",
        ),
        ("tags:x=1", "Cannot param-set on set fields"),
        ("os-version:x=1", "Map field 'os-version' is read-only."),
        ("order=many", "Failed to parse parameter 'order': expecting an integer"),
        (
            "is-a-template=yes",
            "Failed to parse parameter 'is-a-template': expecting a boolean (true or false)",
        ),
        ("ha-always-run=1", "Parameter ha-always-run must be a boolean (true or false)"),
        ("actions-after-reboot=stop", "Expected one of 'destroy', 'restart', got stop"),
        (
            "memory-static-max=lots",
            "Failed to parse field 'memory-static-max': expecting an integer (possibly with \
             suffix KiB, MiB, GiB, TiB), got 'lots'",
        ),
    ] {
        assert_eq!(refused(&format!("vm-param-set {VM} {words}")), format!("Error: {text}\n"));
    }
    let error = refused(&format!("pool-param-set {POOL} ha-host-failures-to-tolerate=x"));
    let field = "ha-host-failures-to-tolerate";
    assert_eq!(
        error,
        format!("Error: Failed to parse parameter '{field}': expecting an integer\n")
    );
    assert_eq!(
        refused(&format!("pool-param-set {POOL} ha-allow-overcommit=yes")),
        "Error: Parameter ha-allow-overcommit must be a boolean (true or false)\n"
    );
}

#[test]
fn add_to_sets_and_maps() {
    let world = World::pool();
    silent(&world, &format!("vm-param-add {VM} param-name=tags param-key=c"));
    assert_eq!(world.field("VM", "OpaqueRef:v1", "tags"), Value::text_set(["a", "b", "c"]));
    silent(&world, &format!("vm-param-add {VM} param-name=other-config x=1 y=2"));
    assert_eq!(world.calls("VM.add_to_other_config").len(), 2);
    let error = refused(&format!("vm-param-add {VM} param-name=other-config folder=z"));
    assert!(error.contains("\nparam_name: other_config\n") && error.ends_with("\nkey: folder\n"));
    for (field, text) in [
        ("name-label", "Can only add to parameters of type Set or Map"),
        ("allowed-operations", "Parameter is read-only"),
    ] {
        let line = format!("vm-param-add {VM} param-name={field} param-key=x");
        assert_eq!(refused(&line), format!("Error: {text}\n"));
    }
    assert!(refused(&format!("vm-param-add {VM} param-name=tags")).starts_with("Error: "));
}

#[test]
fn remove_from_sets_and_maps() {
    let world = World::pool();
    silent(&world, &format!("vm-param-remove {VM} param-name=tags param-key=a"));
    assert_eq!(world.field("VM", "OpaqueRef:v1", "tags"), Value::text_set(["b"]));
    silent(&world, &format!("vm-param-remove {VM} param-name=other-config param-key=folder"));
    for (field, text) in [
        ("tags", "Key x is not in the set"),
        ("other-config", "Key x is not in map"),
        ("os-version", "Cannot remove parameters from read-only map"),
        ("name-label", "Can only remove from parameters of type Set or Map"),
    ] {
        let line = format!("vm-param-remove {VM} param-name={field} param-key=x");
        assert_eq!(refused(&line), format!("Error: {text}\n"));
    }
    assert_eq!(
        refused(&format!("vm-param-remove {VM} param-name=tags")),
        "Required parameter not found: param-key\nFor usage run: 'xe help'\n"
    );
}

#[test]
fn clear_of_every_kind() {
    let world = World::pool();
    silent(&world, &format!("vm-param-clear {VM} param-name=tags"));
    assert_eq!(world.field("VM", "OpaqueRef:v1", "tags"), Value::Array(Vec::new()));
    silent(&world, &format!("vm-param-clear {VM} param-name=other-config"));
    assert_eq!(world.calls("VM.remove_from_other_config").len(), 1);
    silent(&world, &format!("vm-param-clear {VM} param-name=xenstore-data"));
    assert_eq!(world.calls("VM.set_xenstore_data").len(), 1);
    silent(&world, &format!("vm-param-clear {VM} param-name=name-label"));
    assert_eq!(world.field("VM", "OpaqueRef:v1", "name_label"), "".into());
    assert_eq!(
        refused(&format!("vm-param-clear {VM} param-name=order")),
        "Error: Cannot clear this parameter\n"
    );
    assert_eq!(
        refused(&format!("vm-param-clear {VM} param-name=power-state")),
        "Error: Can only clear RW parameters\n"
    );
}
