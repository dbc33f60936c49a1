//! What HA forbids whoever asks for it: each method of the table, with the code that clients know.

use xe::xenapi::{Model, Value};

use crate::world::{MAIL, POOL, SCRATCH, Saved};

const NETWORK: &str = "A protected VM needs this network, and not every host has it.\n";
const PRIVATE: &str = "OpaqueRef:net-private";
/// Mail's interface, and a network that exists inside each host alone.
const MOVE: &str = "vif-move uuid=0000a410-0000-4000-8000-0000003158d0 \
                    network-uuid=00000156-0000-4000-8000-0000000066de";

/// The failure of a method with these first arguments; the others are zero.
#[track_caller]
fn failure(pool: &Saved, method: &str, given: &[&str]) -> Vec<String> {
    let (class, name) = method.split_once('.').unwrap();
    let class = Model::get().class(class).unwrap();
    let declared = class.methods.get(name).unwrap_or_else(|| panic!("{method}"));
    let zeros = declared.params.iter().skip(given.len()).map(|param| param.ty.zero());
    let params: Vec<Value> = given.iter().map(|word| Value::from(*word)).chain(zeros).collect();
    pool.failure(method, &params)
}

#[test]
fn addresses_secrets_and_packages_stay_as_they_are() {
    let (on, off) = (Saved::with(&[]), Saved::without_ha());
    for method in [
        "host.apply_updates",
        "host.install_server_certificate",
        "host.refresh_server_certificate",
        "host.reset_server_certificate",
        "pool.certificate_sync",
        "pool.enable_tls_verification",
        "pool.management_reconfigure",
        "pool.sync_updates",
        "pool_patch.apply",
        "pool_patch.pool_apply",
        "pool_update.apply",
        "pool_update.pool_apply",
        "pool_update.precheck",
    ] {
        assert_eq!(failure(&on, method, &[]), ["HA_IS_ENABLED"], "{method}");
        assert_ne!(failure(&off, method, &[])[0], "HA_IS_ENABLED", "{method}");
    }
    let pif = "OpaqueRef:pif2";
    for (method, word) in [
        ("PIF.reconfigure_ip", "DHCP"),
        ("PIF.reconfigure_ipv6", "DHCP"),
        ("PIF.set_primary_address_type", "IPv4"),
    ] {
        assert_eq!(failure(&on, method, &[pif, word]), ["HA_IS_ENABLED"], "{method}");
    }
    let error = on.typed("pool-certificate-sync", "").err;
    assert!(error.contains("These help:\n    xe pool-ha-disable"), "{error}");
}

#[test]
fn the_volumes_of_the_heartbeat_are_left_alone() {
    let disk = "type=\"user\" sharable=\"false\" read_only=\"false\" managed=\"true\" \
                location=\"00003a98";
    for kind in ["ha_statefile", "redo_log"] {
        let pool = Saved::with(&[(disk, &disk.replace("user", kind))]);
        for method in [
            "VDI.clone",
            "VDI.copy",
            "VDI.data_destroy",
            "VDI.disable_cbt",
            "VDI.enable_cbt",
            "VDI.forget",
            "VDI.pool_migrate",
            "VDI.resize_online",
            "VDI.update",
        ] {
            let refused = failure(&pool, method, &["OpaqueRef:vdi15-0"]);
            assert_eq!(refused, ["HA_IS_ENABLED"], "{method} of {kind}");
        }
        let other = failure(&pool, "VDI.update", &["OpaqueRef:nothing"]);
        assert_ne!(other[0], "HA_IS_ENABLED", "another volume is not meant");
    }
}

#[test]
fn a_device_of_one_machine_for_a_protected_vm() {
    let pool = Saved::with(&[]);
    for (method, code) in [("VGPU.create", "VM_HAS_VGPU"), ("VUSB.create", "VM_HAS_VUSBS")] {
        let refused = failure(&pool, method, &["OpaqueRef:vm14"]);
        assert_eq!(refused[..2], [code, "OpaqueRef:vm14"]);
        assert!(refused[2].starts_with("it is protected, and such a device"), "{refused:?}");
        assert_ne!(failure(&pool, method, &["OpaqueRef:vm13"])[0], code, "scratch is best-effort");
    }
    pool.done(&format!("pool-param-set uuid={POOL} ha-allow-overcommit=true"));
    assert_ne!(failure(&pool, "VGPU.create", &["OpaqueRef:vm14"])[0], "VM_HAS_VGPU");
}

#[test]
fn an_interface_of_a_protected_vm_moves_to_no_network_inside_a_host() {
    let pool = Saved::with(&[]);
    let error = pool.refused(MOVE);
    assert!(error.starts_with(NETWORK), "{error}");
    assert!(error.contains("(private)\nwhy: it exists inside each host alone, and "), "{error}");
    assert!(error.contains(&format!("{MAIL} (mail) is protected")), "{error}");
    let typed = pool.typed(MOVE, "").err;
    assert!(typed.contains("xe pif-list network-uuid=00000156-0000-4000-8000-0000000066de"));
    let scratch = failure(&pool, "VIF.move", &["OpaqueRef:vif13-0", PRIVATE]);
    assert!(!scratch[0].starts_with("HA_"), "{SCRATCH} is best-effort: {scratch:?}");
    pool.done(&format!("pool-param-set uuid={POOL} ha-allow-overcommit=true"));
    let free = failure(&pool, "VIF.move", &["OpaqueRef:vif14-0", PRIVATE]);
    assert!(!free[0].starts_with("HA_"), "{free:?}");
}

#[test]
fn a_host_keeps_the_interfaces_that_protected_vms_need() {
    let vlan = "<table name=\"VLAN\"><row ref=\"OpaqueRef:vlan7\" \
                uuid=\"00000777-0000-4000-8000-000000000001\" tagged_PIF=\"OpaqueRef:pif1\" \
                untagged_PIF=\"OpaqueRef:pif2\" tag=\"7\" _ref=\"OpaqueRef:vlan7\"/></table>\n";
    let vms = "<table name=\"VM\">";
    let pool = Saved::with(&[(vms, &format!("{vlan}{vms}"))]);
    let code = "HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED";
    for (method, row) in [
        ("VLAN.destroy", "OpaqueRef:vlan7"),
        ("PIF.destroy", "OpaqueRef:pif2"),
        ("PIF.forget", "OpaqueRef:pif2"),
        ("PIF.db_forget", "OpaqueRef:pif2"),
    ] {
        let refused = failure(&pool, method, &[row]);
        assert_eq!(refused[0], code, "{method}");
        assert!(refused[2].starts_with("bert would have no interface on it"), "{refused:?}");
        assert!(refused[2].contains("(mail)"), "{refused:?}");
    }
    let bond = "<table name=\"Bond\"/>";
    let row = "<table name=\"Bond\"><row ref=\"OpaqueRef:bond1\" \
               uuid=\"00000888-0000-4000-8000-000000000001\" master=\"OpaqueRef:pif1\" \
               _ref=\"OpaqueRef:bond1\"/></table>";
    let pool = Saved::with(&[(bond, row)]);
    let refused = failure(&pool, "Bond.destroy", &["OpaqueRef:bond1"]);
    assert_eq!(refused, ["HA_CANNOT_CHANGE_BOND_STATUS_OF_MGMT_IFACE"]);
}

#[test]
fn a_cd_that_one_host_alone_has_goes_into_no_drive_of_a_protected_vm() {
    let drive = |vm: &str| {
        format!(
            "<table name=\"VBD\">\n<row ref=\"OpaqueRef:cd\" \
             uuid=\"00000666-0000-4000-8000-000000000001\" VM=\"OpaqueRef:{vm}\" \
             VDI=\"OpaqueRef:NULL\" empty=\"true\" userdevice=\"3\" mode=\"RO\" type=\"CD\" \
             _ref=\"OpaqueRef:cd\"/>"
        )
    };
    let insert = "vbd-insert uuid=00000666-0000-4000-8000-000000000001 \
                  vdi-uuid=00003e80-0000-4000-8000-00000012cc80";
    let of = |vm: &str| Saved::with(&[("<table name=\"VBD\">", &drive(vm))]);
    let error = of("vm14").refused(insert);
    assert!(error.contains("(local anna)\nwhy: one host alone has it, and "), "{error}");
    assert!(error.contains("(mail) is protected"), "{error}");
    of("vm13").done(insert);
}

#[test]
fn storage_that_is_used_names_the_vm_that_uses_it() {
    let pool = Saved::with(&[]);
    let error = pool.refused("pbd-unplug uuid=0000012e-0000-4000-8000-000000005ad6");
    assert!(error.starts_with("The disk is in use.\nvdi: "), "{error}");
    assert!(error.contains("(mail) uses it there"), "{error}");
}

#[test]
fn an_interface_and_a_store_that_are_to_be_plugged_are_named() {
    let pool = Saved::with(&[crate::world::BERT_WITHOUT_STORAGE]);
    let vm = "0000000f-0000-4000-8000-000000000483";
    let line = format!("vm-disk-add uuid={vm} disk-size=1MiB device=9");
    let sr = "sr-uuid=00000141-0000-4000-8000-00000000608d";
    let error = pool.refused(&format!("{line} {sr}"));
    assert!(error.contains("xe pbd-plug uuid=0000012e-0000-4000-8000-000000005ad6"), "{error}");
    assert!(error.contains(&format!("xe vm-ha-explain uuid={vm}")), "{error}");
}
