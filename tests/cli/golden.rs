//! Layouts as real installations printed them (T-numbers: the collected transcripts).

use serde_json::json;

use crate::world::World;

/// A record of one class with nothing else around it.
fn one(class: &str, record: serde_json::Value) -> World {
    World::new(json!({ class: { "OpaqueRef:x": record } }))
}

#[track_caller]
fn prints(world: &World, line: &str, expected: &str) {
    let done = world.xe(line);
    assert_eq!(done.out, expected, "stderr: {}", done.err);
    assert_eq!((done.err.as_str(), done.code), ("", 0));
}

#[test]
fn t1_vm_list() {
    let vm = json!({
        "uuid": "4a1cb250-342c-4b35-8bd9-efc78ca2c261", "name_label": "test",
        "power_state": "Halted", "is_a_template": false,
    });
    prints(
        &one("VM", vm),
        "vm-list name-label=test",
        "uuid ( RO)           : 4a1cb250-342c-4b35-8bd9-efc78ca2c261\n     \
              name-label ( RW): test\n    power-state ( RO): halted\n\n\n",
    );
}

#[test]
fn t2_vdi_list_keeps_the_blank_after_an_empty_value() {
    let world = World::new(json!({
        "VDI": { "OpaqueRef:x": {
            "uuid": "4a30bd24-d21a-4130-9198-fcbb20d1265a", "name_label": "test_disk",
            "name_description": "", "SR": "OpaqueRef:sr", "virtual_size": 268435456000i64,
            "sharable": false, "read_only": false,
        }},
        "SR": { "OpaqueRef:sr": { "uuid": "258b621a-d3af-fd5b-ea1b-b122a7ad5c3d" }},
    }));
    prints(
        &world,
        "vdi-list",
        concat!(
            "uuid ( RO)                : 4a30bd24-d21a-4130-9198-fcbb20d1265a\n",
            "          name-label ( RW): test_disk\n",
            "    name-description ( RW): \n",
            "             sr-uuid ( RO): 258b621a-d3af-fd5b-ea1b-b122a7ad5c3d\n",
            "        virtual-size ( RO): 268435456000\n",
            "            sharable ( RO): false\n",
            "           read-only ( RO): false\n\n\n",
        ),
    );
}

#[test]
fn t3_vbd_create_prints_the_uuid_only() {
    let world = World::pool().answers("VBD.create", json!("OpaqueRef:vbd1"));
    prints(
        &world,
        "vbd-create device=autodetect vm-uuid=00000021-0000-4000-8000-000000000000 \
         vdi-uuid=00000051-0000-4000-8000-000000000000 bootable=false mode=RO type=Disk",
        "00000061-0000-4000-8000-000000000000\n",
    );
    let call = &world.calls("VBD.create")[0][0];
    assert_eq!(call.get("mode").unwrap(), &"RO".into());
    assert_eq!(call.get("empty").unwrap(), &false.into());
}

#[test]
fn t4_params_do_not_change_the_order() {
    let line = "vm-list params=dom-id,resident-on uuid=00000022-0000-4000-8000-000000000000";
    prints(
        &World::pool(),
        line,
        "resident-on ( RO)    : 00000011-0000-4000-8000-000000000000\n         \
                  dom-id ( RO): 2\n\n\n",
    );
}

#[test]
fn t5_a_record_of_one_field() {
    prints(
        &World::pool(),
        "pif-list management=true params=IP host-uuid=00000011-0000-4000-8000-000000000000",
        "IP ( RO)    : 172.16.210.15\n\n\n",
    );
}

#[test]
fn t6_and_t7_records_are_two_lines_apart_and_filters_may_name_other_objects() {
    let columns = "params=uuid,device,currently-attached,VLAN,network-uuid";
    let second = concat!(
        "uuid ( RO)                  : 00000082-0000-4000-8000-000000000000\n",
        "                device ( RO): bond0\n",
        "    currently-attached ( RO): false\n",
        "                  VLAN ( RO): -1\n",
        "          network-uuid ( RO): 00000071-0000-4000-8000-000000000000\n\n\n",
    );
    let first =
        second.replace("0000082", "0000081").replace("bond0", "eth0").replace("false", "true");
    prints(&World::pool(), &format!("pif-list {columns}"), &format!("{first}{second}"));
    prints(&World::pool(), &format!("pif-list host-name-label=host-b {columns}"), second);
}

#[test]
fn t8_pusb_list() {
    let device = json!({
        "uuid": "10fbec89-4472-c215-5d55-17969b473ee6", "path": "2-1.1", "vendor_id": "0781",
        "vendor_desc": "SanDisk Corp.", "product_id": "5591", "product_desc": "",
        "serial": "4C530001151223117134", "version": "2.10", "speed": 480.0,
        "description": "SanDisk Corp._4C530001151223117134",
    });
    let out = one("PUSB", device).xe("pusb-list").out;
    assert!(out.starts_with(concat!(
        "uuid ( RO)            : 10fbec89-4472-c215-5d55-17969b473ee6\n",
        "            path ( RO): 2-1.1\n",
        "       vendor-id ( RO): 0781\n",
        "     vendor-desc ( RO): SanDisk Corp.\n",
        "      product-id ( RO): 5591\n",
        "    product-desc ( RO): \n",
        "          serial ( RO): 4C530001151223117134\n",
        "         version ( RO): 2.10\n",
        "     description ( RO): SanDisk Corp._4C530001151223117134\n",
    )));
    // A later release shows the speed as well, with three decimals.
    assert!(out.ends_with("           speed ( RO): 480.000\n\n\n"), "{out}");
}

#[test]
fn t9_maps_with_their_mark() {
    prints(
        &World::pool(),
        "pbd-list uuid=00000041-0000-4000-8000-000000000000",
        concat!(
            "uuid ( RO)                  : 00000041-0000-4000-8000-000000000000\n",
            "             host-uuid ( RO): 00000011-0000-4000-8000-000000000000\n",
            "               sr-uuid ( RO): 00000031-0000-4000-8000-000000000000\n",
            "         device-config (MRO): server: 10.0.0.9; serverpath: /export\n",
            "    currently-attached ( RO): true\n\n\n",
        ),
    );
}

#[test]
fn t10_and_t11_networks_and_a_set_by_param_get() {
    prints(
        &World::pool(),
        "network-list params=uuid,name-label,MTU",
        concat!(
            "uuid ( RO)          : 00000071-0000-4000-8000-000000000000\n",
            "    name-label ( RW): Internal\n",
            "           MTU ( RW): 1500\n\n\n",
        ),
    );
    prints(
        &World::pool(),
        "network-param-get uuid=00000071-0000-4000-8000-000000000000 param-name=PIF-uuids",
        "00000081-0000-4000-8000-000000000000; 00000082-0000-4000-8000-000000000000\n",
    );
}

#[test]
fn t12_vif_list() {
    prints(
        &World::pool(),
        "vif-list",
        concat!(
            "uuid ( RO)            : 00000085-0000-4000-8000-000000000000\n",
            "         vm-uuid ( RO): 00000022-0000-4000-8000-000000000000\n",
            "          device ( RO): 0\n",
            "    network-uuid ( RO): 00000071-0000-4000-8000-000000000000\n\n\n",
        ),
    );
}

#[test]
fn t13_a_body_of_several_lines_is_not_indented() {
    prints(
        &World::pool(),
        "message-list name=ALARM",
        concat!(
            "uuid ( RO)         : 00000091-0000-4000-8000-000000000000\n",
            "         name ( RO): ALARM\n",
            "     priority ( RO): 3\n",
            "        class ( RO): VM\n",
            "     obj-uuid ( RO): 00000022-0000-4000-8000-000000000000\n",
            "    timestamp ( RO): 20251007T11:30:26Z\n",
            "         body ( RO): value: 0.986414\nconfig:\n<variable>\n\n",
            "        <name value=\"cpu_usage\"/>\n\n\n",
        ),
    );
}

#[test]
fn t14_console_list() {
    prints(
        &World::pool(),
        "console-list vm-uuid=00000022-0000-4000-8000-000000000000",
        concat!(
            "uuid ( RO)             : 00000096-0000-4000-8000-000000000000\n",
            "          vm-uuid ( RO): 00000022-0000-4000-8000-000000000000\n",
            "    vm-name-label ( RO): web\n",
            "         protocol ( RO): RFB\n",
            "         location ( RO): https://10.0.0.1/console?uuid=x\n\n\n",
        ),
    );
}

#[test]
fn t15_host_drivers_with_values_of_their_variants() {
    let world = World::new(json!({
        "Host_driver": { "OpaqueRef:d": {
            "uuid": "c0fe459d", "name": "cisco-fnic", "type": "network",
            "description": "cisco-fnic", "info": "cisco-fnic", "host": "OpaqueRef:h",
            "active_variant": "OpaqueRef:NULL", "selected_variant": "OpaqueRef:NULL",
            "variants": ["OpaqueRef:v"],
        }},
        "Driver_variant": { "OpaqueRef:v": {
            "uuid": "abf5997b", "name": "generic", "version": "1.2", "status": "beta",
            "hardware_present": false,
        }},
        "host": { "OpaqueRef:h": { "uuid": "6de288e7" }},
    }));
    prints(
        &world,
        "hostdriver-list params=all",
        concat!(
            "uuid ( RO)                   : c0fe459d\n",
            "                   name ( RO): cisco-fnic\n",
            "                   type ( RO): network\n",
            "            description ( RO): cisco-fnic\n",
            "                   info ( RO): cisco-fnic\n",
            "              host-uuid ( RO): 6de288e7\n",
            "         active-variant ( RO): <none>\n",
            "       selected-variant ( RO): <none>\n",
            "               variants ( RO): generic/1.2\n",
            "    variants-dev-status ( RO): generic=beta\n",
            "          variants-uuid ( RO): generic=abf5997b\n",
            "    variants-hw-present ( RO): \n\n\n",
        ),
    );
}

#[test]
fn t18_and_t19_marks_expensive_fields_and_values_not_in_the_database() {
    let host = World::pool().xe("host-list params=all name-label=host-a").out;
    for line in [
        "      allowed-operations (SRO): VM.start; evacuate\n",
        "      current-operations (SRO): \n",
        "    memory-free-computed ( RO): <expensive field>\n",
        "            memory-total ( RO): 1073336320\n",
        "       host-metrics-live ( RO): true\n",
        " patches (SRO) [DEPRECATED]: ",
        "                    tags (SRW): x, y\n",
    ] {
        let (name, rest) = line.trim_start().split_once(' ').unwrap();
        assert!(host.contains(&format!(" {name} {rest}")), "{name}\n{host}");
    }
    let width = host.lines().next().unwrap().find(": ").unwrap();
    assert_eq!(host.lines().nth(1).unwrap().find(": ").unwrap(), width);

    let pool = World::pool()
        .answers("SR.get_supported_types", json!(["nfs", "ext"]))
        .answers("pool.get_license_state", json!({"edition": "none"}))
        .xe("pool-param-list uuid=00000001-0000-4000-8000-000000000000")
        .out;
    for text in [
        "   master ( RO): 00000011-0000-4000-8000-000000000000\n",
        "  default-SR ( RW): 00000031-0000-4000-8000-000000000000\n",
        "suspend-image-SR ( RW): <not in database>\n",
        "supported-sr-types ( RO): nfs; ext\n",
        "other-config (MRW): a: 1; memory-ratio: 0.25\n",
        "ha-configuration ( RO): timeout: 30\n",
        "license-state ( RO): edition: none\n",
        "ha-cluster-stack ( RO): xhad\n",
        "https-only ( RW): false\n",
    ] {
        assert!(pool.contains(text), "{text}\n{pool}");
    }
    assert!(!pool.contains("uefi-certificates"), "hidden fields never print");
}

#[test]
fn t20_metrics_and_chosen_columns_of_disks() {
    prints(
        &World::pool(),
        "vm-list is-control-domain=true \
         params=uuid,name-label,power-state,memory-actual,VCPUs-number",
        concat!(
            "uuid ( RO)             : 00000020-0000-4000-8000-000000000000\n",
            "       name-label ( RW): Control domain on host: host-a\n",
            "      power-state ( RO): running\n",
            "    memory-actual ( RO): 609222656\n",
            "     VCPUs-number ( RO): 8\n\n\n",
        ),
    );
    prints(
        &World::pool(),
        "vm-disk-list vm=web vdi-params=sr-uuid,uuid,virtual-size \
         vbd-params=vm-name-label,type,device --multiple",
        concat!(
            "Disk 0 VBD:\n",
            "vm-name-label ( RO)    : web\n",
            "           device ( RO): xvda\n",
            "             type ( RW): Disk\n\n\n",
            "Disk 0 VDI:\n",
            "uuid ( RO)            : 00000051-0000-4000-8000-000000000000\n",
            "         sr-uuid ( RO): 00000031-0000-4000-8000-000000000000\n",
            "    virtual-size ( RO): 268435456000\n\n\n",
        ),
    );
}

#[test]
fn t21_disks_by_default_and_minimal_in_reverse() {
    let uuid = "uuid=00000022-0000-4000-8000-000000000000";
    prints(
        &World::pool(),
        &format!("vm-disk-list {uuid}"),
        concat!(
            "Disk 0 VBD:\n",
            "uuid ( RO)             : 00000061-0000-4000-8000-000000000000\n",
            "    vm-name-label ( RO): web\n",
            "       userdevice ( RW): 0\n\n\n",
            "Disk 0 VDI:\n",
            "uuid ( RO)             : 00000051-0000-4000-8000-000000000000\n",
            "       name-label ( RW): test_disk\n",
            "    sr-name-label ( RO): shared\n",
            "     virtual-size ( RO): 268435456000\n\n\n",
        ),
    );
    prints(
        &World::pool(),
        &format!("vm-disk-list {uuid} --minimal"),
        "00000051-0000-4000-8000-000000000000,00000061-0000-4000-8000-000000000000\n",
    );
}

#[test]
fn t22_maps_of_guest_metrics() {
    prints(
        &World::pool(),
        "vm-list name-label=web params=os-version,networks,VCPUs-max",
        concat!(
            "VCPUs-max ( RW)     : 2\n",
            "    os-version (MRO): distro: debian; major: 12\n",
            "      networks (MRO): \n\n\n",
        ),
    );
}

#[test]
fn t23_pool_eject_names_what_is_lost() {
    let world = World::pool().answers("pool.eject", json!(""));
    let line = "pool-eject host-uuid=00000012-0000-4000-8000-000000000000";
    let done = world.xe_answering(line, "yes\n");
    let lines: Vec<&str> = done.out.lines().collect();
    assert!(lines[0].starts_with("WARNING: ") && lines[1].starts_with("WARNING: "));
    assert_eq!(
        lines[2..],
        [
            "These disks will be destroyed:",
            "VDI: 00000052-0000-4000-8000-000000000000 (scratch)",
            "Type 'yes' to continue",
            "Specified host will attempt to restart as a master of a new pool in 10.000 seconds...",
        ]
    );
    assert_eq!(world.calls("pool.eject"), [["OpaqueRef:h2".into()]]);
}

#[test]
fn t24_t32_single_values() {
    let method = "pool.ha_compute_max_host_failures_to_tolerate";
    let world = World::pool().answers(method, json!("1"));
    prints(&world, "pool-ha-compute-max-host-failures-to-tolerate", "1\n");
    prints(
        &World::pool(),
        "pool-param-get param-name=ha-cluster-stack uuid=00000001-0000-4000-8000-000000000000",
        "xhad\n",
    );
}

#[test]
fn t26_vbd_list_of_an_empty_drive() {
    prints(
        &World::pool(),
        "vbd-list empty=true",
        concat!(
            "uuid ( RO)             : 00000062-0000-4000-8000-000000000000\n",
            "          vm-uuid ( RO): 00000022-0000-4000-8000-000000000000\n",
            "    vm-name-label ( RO): web\n",
            "         vdi-uuid ( RO): <not in database>\n",
            "            empty ( RO): true\n",
            "           device ( RO): xvdd\n\n\n",
        ),
    );
}

#[test]
fn t33_two_hosts() {
    prints(
        &World::pool(),
        "host-list params=uuid,name-label,address",
        concat!(
            "uuid ( RO)          : 00000011-0000-4000-8000-000000000000\n",
            "    name-label ( RW): host-a\n",
            "       address ( RO): 10.0.0.1\n\n\n",
            "uuid ( RO)          : 00000012-0000-4000-8000-000000000000\n",
            "    name-label ( RW): host-b\n",
            "       address ( RO): 10.0.0.2\n\n\n",
        ),
    );
}

#[test]
fn t34_sr_create_prints_the_uuid_only() {
    let world = World::pool().answers("SR.create", json!("OpaqueRef:sr1"));
    let done = world.run(
        &[
            "sr-create",
            "name-label=ISO Repository",
            "type=iso",
            "host-uuid=00000011-0000-4000-8000-000000000000",
            "device-config:location=/opt/var/iso_repository",
            "device-config:legacy_mode=true",
            "content-type=iso",
        ],
        &Default::default(),
        "",
    );
    assert_eq!(done.out, "00000031-0000-4000-8000-000000000000\n", "{}", done.err);
    let call = &world.calls("SR.create")[0];
    assert_eq!(call[1].get("legacy_mode").unwrap(), &"true".into());
    assert_eq!(call[3], "ISO Repository".into());
}
