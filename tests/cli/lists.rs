//! Lists: filters, `params=`, `--minimal`, `--all`.

use crate::world::{World, out, refused};

#[test]
fn default_filters_of_vm_template_and_snapshot() {
    assert_eq!(
        out("vm-list params=name-label --minimal"),
        "Control domain on host: host-a,test,web\n"
    );
    assert_eq!(out("template-list params=name-label --minimal"), "base\n");
    assert_eq!(out("snapshot-list params=name-label --minimal"), "snap\n");
}

#[test]
fn minimal_prints_the_first_field_of_the_record_order() {
    assert_eq!(
        out("host-list params=name-label,uuid --minimal"),
        "00000011-0000-4000-8000-000000000000,00000012-0000-4000-8000-000000000000\n"
    );
    assert_eq!(out("host-list params=tags --minimal"), "x\\, y,\n");
}

#[test]
fn a_filter_without_match_is_no_error() {
    assert_eq!(out("vm-list uuid=nonsense"), "");
    assert_eq!(out("vm-list uuid=nonsense --minimal"), "\n");
    assert_eq!(out("appliance-list nonsense=1"), "", "no object: the filter is not looked at");
}

#[test]
fn filters_on_text_sets_and_maps() {
    assert_eq!(out("host-list tags:contains=y params=name-label --minimal"), "host-a\n");
    assert_eq!(out("host-list tags-contains=y params=name-label --minimal"), "host-a\n");
    assert_eq!(out("vm-list other-config:folder=a params=name-label --minimal"), "test\n");
    assert_eq!(out("vm-list other-config-folder=a params=name-label --minimal"), "test\n");
    assert_eq!(out("vm-list other-config:folder=b params=name-label --minimal"), "\n");
    assert_eq!(
        out("vm-list power-state=running is-control-domain=false params=name-label --minimal"),
        "web\n"
    );
    assert_eq!(out("vm-list power-state=Running --minimal"), "\n", "filters compare shown text");
    let done = World::pool().run(
        &["vm-list", "tags=a, b", "params=name-label", "--minimal"],
        &Default::default(),
        "",
    );
    assert_eq!(done.out, "test\n");
}

#[test]
fn mac_addresses_are_compared_without_case() {
    assert_eq!(out("pif-list MAC=AA:bb:CC:00:00:01 params=device --minimal"), "eth0\n");
}

#[test]
fn bad_filters_are_errors_as_long_as_an_object_is_left() {
    assert_eq!(refused("vm-list colour=red"), "Error: Unknown field 'colour'\n");
    assert_eq!(
        refused("vm-list name-label:x=1"),
        "Error: Field 'name-label' is not a set or map\n"
    );
    assert_eq!(
        refused("vm-list tags:has=1"),
        "Error: Invalid syntax for set filtering (should be set-param:contains=key)\n"
    );
    assert_eq!(refused("vm-list --all colour=red"), "Error: Unknown field 'colour'\n");
    assert_eq!(out("vm-list name-label=nobody colour=red"), "");
}

#[test]
fn all_shows_everything_whatever_the_filters() {
    let names = out("vm-list --all name-label=test params=name-label --minimal");
    assert_eq!(names.trim_end().split(',').count(), 5);
}

#[test]
fn unknown_and_hidden_columns_are_left_out() {
    assert_eq!(out("host-list name-label=host-a params=colour"), "\n\n\n");
    assert_eq!(out("vm-list params=NVRAM name-label=web"), "\n\n\n");
    assert_eq!(
        out("snapshot-list params=name-label,snapshot_of"),
        "name-label ( RW)    : snap\n\n\n"
    );
}

#[test]
fn values_are_spelled_as_people_know_them() {
    assert_eq!(out("vm-list name-label=web params=actions-after-crash --minimal"), "Restart\n");
    assert_eq!(out("vm-list name-label=web params=current-domain-type --minimal"), "pv-in-pvh\n");
    assert_eq!(out("vm-list name-label=test params=start-time --minimal"), "<unknown time>\n");
    assert_eq!(out("vm-list name-label=test params=hvm --minimal"), "false\n");
    assert_eq!(out("vdi-list name-label=test_disk params=type --minimal"), "HA statefile\n");
    assert_eq!(out("task-list params=progress --minimal"), "0.500\n");
    assert_eq!(out("sr-list params=host --minimal"), "<shared>,host-b\n");
    assert_eq!(out("vbd-list params=vdi-name-label --minimal"), "test_disk,<EMPTY>\n");
    assert_eq!(out("vm-list name-label=web params=HVM-shadow-multiplier --minimal"), "1.000\n");
}

#[test]
fn a_word_that_is_no_boolean_is_refused() {
    let error = refused("vm-list all=maybe");
    assert!(
        error.starts_with("Error: Failed to parse parameter 'all': Expected 'true','t'"),
        "{error}"
    );
    assert!(
        refused("vm-list minimal=maybe")
            .ends_with("\nmessage: minimal is true or false, not maybe\n")
    );
}
