//! `pool-ha-status`, `pool-ha-what-if`, `host-evacuate --dry-run`, `vm-ha-explain`.

use crate::world::{ANNA, BERT_WITHOUT_STORAGE, MAIL, OFF, SCRATCH, Saved, WEB};

#[test]
fn the_status_of_a_saved_pool() {
    let pool = Saved::with(&[]);
    assert_eq!(pool.done("pool-ha-status --minimal"), "true,1,1,false");
    let text = pool.done("pool-ha-status");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("HA ") && lines[0].ends_with(": on"), "{text}");
    assert!(text.contains("view: unknown: a saved database holds no heartbeat"), "{text}");
    assert!(text.contains("configured to survive: 1 host failure\n"), "{text}");
    assert!(text.contains("when anna, bert fail together"), "{text}");
    assert!(text.contains("timers: T 60 s, beat 0.50 s, suspect after 52.50 s"), "{text}");
    assert!(lines.contains(
        &"│ anna ┆ master ┆ yes       ┆           - ┆      - ┆        - ┆      - ┆      │"
    ));
    assert!(
        text.contains("│ pool   ┆ 8256 MiB ┆ 2203 MiB ┆     501 MiB ┆           0 ┆ 5552 MiB │")
    );
    assert!(text.contains("local bert, which one host alone has"), "{text}");
}

#[test]
fn the_status_as_json_has_every_figure() {
    let status = Saved::with(&[]).json("pool-ha-status");
    assert_eq!(status["capacity"]["current"], 1);
    assert_eq!(status["capacity"]["breaking_hosts"].as_array().unwrap().len(), 2);
    assert_eq!(status["timers"]["t"], 60_000);
    let anna = &status["hosts"][0];
    assert_eq!(anna["host"]["name"], "anna");
    let parts = ["restart", "best_effort", "unprotected", "free"];
    let sum: u64 = parts.iter().map(|part| anna[part].as_u64().unwrap()).sum();
    assert_eq!(sum, anna["memory"].as_u64().unwrap(), "every byte is accounted for");
    assert_eq!(anna["unprotected"], 0, "the control domain is no VM without protection");
    assert_eq!(status["unprotected"][0]["vm"]["name"], "scratch");
    let off = Saved::without_ha().json("pool-ha-status");
    assert_eq!((&off["enabled"], &off["timers"]), (&false.into(), &serde_json::Value::Null));
}

#[test]
fn an_overcommitted_pool_says_by_how_much_and_by_what() {
    let pool = Saved::with(&[("failures_to_tolerate=\"1\"", "failures_to_tolerate=\"3\"")]);
    let text = pool.done("pool-ha-status");
    assert!(text.contains("overcommitted: yes, by 2 host failures\n"), "{text}");
    assert_eq!(pool.done("pool-ha-status --minimal"), "true,3,1,true");
}

#[test]
fn a_pool_that_cannot_start_a_protected_vm_says_that_and_no_number() {
    let pool = Saved::with(&[
        ("failures_to_tolerate=\"1\"", "failures_to_tolerate=\"0\""),
        ("memory__static_max=\"314572800\"", "memory__static_max=\"9314572800\""),
    ]);
    assert_eq!(pool.done("pool-ha-status --minimal"), "true,0,0,true");
    let text = pool.done("pool-ha-status");
    let told = "overcommitted: yes: not every protected VM that is off could be started\n";
    assert!(text.contains(told), "{text}");
}

#[test]
fn what_a_failure_does_has_places_order_and_times() {
    let pool = Saved::with(&[]);
    let told = pool.json("pool-ha-what-if hosts=anna");
    let step = |at: usize| {
        let step = &told["steps"][at];
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        (text(&step["vm"]["name"]), text(&step["to"]["name"]), step["at_ms"].as_u64().unwrap())
    };
    // The first has a start-delay of five seconds.
    assert_eq!(told["steps"][0]["order"], 1);
    assert_eq!(step(0).2, 0);
    assert_eq!(step(1), ("web 'quoted'".to_owned(), "bert".to_owned(), 5_000));
    assert_eq!(step(2), ("halted and protected".to_owned(), "bert".to_owned(), 5_000));
    assert_eq!(told["left"].as_array().unwrap().len(), 0);
    assert_eq!((&told["survives_before"], &told["survives_after"]), (&1.into(), &0.into()));
    let both = pool.json("pool-ha-what-if hosts=anna,bert");
    assert_eq!(both["left"].as_array().unwrap().len(), 4, "{both}");
    let bert = pool.json("pool-ha-what-if hosts=bert");
    assert_eq!(bert["left"][0]["vm"]["name"], "scratch");
    assert_eq!(bert["left"][0]["why"], "no other host can run it");
    assert_eq!(pool.done("pool-ha-what-if hosts=bert --minimal"), SCRATCH);
    assert!(pool.done("pool-ha-what-if hosts=bert").contains("comes back"), "{bert}");
}

#[test]
fn what_a_start_or_a_disabled_host_would_do() {
    let pool = Saved::with(&[]);
    let disable = pool.json("pool-ha-what-if host-disable=anna");
    assert_eq!((&disable["allowed"], &disable["survives_after"]), (&false.into(), &0.into()));
    let why = disable["refusal"].as_str().unwrap();
    assert!(why.contains("(bert) failed, no place would be left for"), "{why}");
    let start = pool.json("pool-ha-what-if vm-start=off");
    assert_eq!(start["allowed"], false, "{start}");
    let why = start["refusal"].as_str().unwrap();
    assert!(why.starts_with("it needs 4001 MiB, and no host has more than "), "{why}");
    for (line, text) in [
        ("pool-ha-what-if", "give one of hosts="),
        ("pool-ha-what-if hosts=anna vm-start=off", "give one of hosts="),
        ("pool-ha-what-if vm-start=off,mail", "takes one object"),
        ("pool-ha-what-if hosts=carl", "no host is called carl"),
        ("pool-ha-what-if hosts=", "hosts= names no host"),
        ("pool-ha-what-if hosts=,", "hosts= names no host"),
        ("pool-ha-what-if bogus=1", "unknown parameter bogus\nSee 'xe help pool-ha-what-if'.\n"),
    ] {
        let error = pool.refused(line);
        assert!(error.contains(text), "{line}: {error}");
    }
}

#[test]
fn a_host_that_is_named_twice_fails_once_and_of_all_hosts_none_is_left() {
    let pool = Saved::with(&[]);
    let told = pool.json("pool-ha-what-if hosts=anna,anna");
    assert_eq!(told["question"], "anna fails");
    let told = pool.json("pool-ha-what-if hosts=anna,bert");
    assert_eq!(told["question"], "anna, bert fail at the same moment");
    assert_eq!(told["left"][0]["why"], "no host is left that takes VMs");
}

#[test]
fn what_cannot_be_started_is_not_started_in_a_rehearsal_either() {
    let pool = Saved::with(&[]);
    let told = pool.json("pool-ha-what-if vm-start=mail");
    assert_eq!((&told["allowed"], &told["steps"]), (&false.into(), &serde_json::json!([])));
    assert_eq!(told["refusal"], "it is running, not halted");
    assert!(!pool.done("pool-ha-what-if vm-start=mail").contains("survives then"));
}

#[test]
fn a_start_that_is_refused_says_what_is_left_when_it_is_forced() {
    let pool = Saved::with(&[]);
    let size = 2300 * crate::world::MIB;
    pool.done(&format!(
        "vm-memory-limits-set uuid={OFF} static-min=0 dynamic-min={size} dynamic-max={size} \
         static-max={size}"
    ));
    let told = pool.json("pool-ha-what-if vm-start=off");
    let figures = (&told["allowed"], &told["survives_before"], &told["survives_after"]);
    assert_eq!(figures, (&false.into(), &1.into(), &0.into()));
    let text = pool.done("pool-ha-what-if vm-start=off");
    assert!(text.contains("survives if forced: 0 host failures"), "{text}");
    pool.done("vm-start vm=off --force");
    assert_eq!(pool.done("pool-ha-status --minimal"), "true,1,0,true");
}

#[test]
fn the_dry_run_of_an_evacuation_and_the_run_agree_and_keep_the_plan() {
    let pool = Saved::of_four_hosts();
    assert_eq!(pool.done("pool-ha-status --minimal"), "true,1,1,false");
    let told = pool.json("host-evacuate host=A --dry-run");
    let figures = (&told["allowed"], &told["survives_before"], &told["survives_after"]);
    assert_eq!(figures, (&true.into(), &1.into(), &1.into()), "{told}");
    let to = told["steps"][0]["to"]["name"].as_str().unwrap();
    assert_ne!(to, "B", "the emptiest is needed for the VM of C");
    pool.done("host-disable host=A");
    pool.done("host-evacuate host=A");
    let there = pool.done("vm-list name-label=x params=resident-on --minimal");
    assert_eq!(pool.done(&format!("host-list uuid={there} params=name-label --minimal")), to);
    assert_eq!(pool.done("pool-ha-status --minimal"), "true,1,1,false");
}

#[test]
fn an_evacuation_can_be_tried_dry() {
    let pool = Saved::without_ha();
    let told = pool.json(&format!("host-evacuate {ANNA} --dry-run"));
    assert_eq!(told["steps"].as_array().unwrap().len(), 2);
    assert_eq!(told["allowed"], true);
    let bert = pool.json("host-evacuate host=bert --dry-run");
    assert_eq!(bert["left"][0]["vm"]["name"], "scratch");
    assert_eq!(bert["allowed"], false);
    assert_eq!(pool.done(&format!("vm-param-get uuid={MAIL} param-name=power-state")), "running");
}

#[test]
fn every_reason_comes_with_the_command_that_mends_it() {
    let pool = Saved::with(&[
        BERT_WITHOUT_STORAGE,
        (
            "currently_attached=\"true\" _ref=\"OpaqueRef:pif2\"",
            "currently_attached=\"false\" _ref=\"OpaqueRef:pif2\"",
        ),
    ]);
    let told = pool.json(&format!("vm-ha-explain uuid={WEB}"));
    assert_eq!((&told["agile"], &told["protected"]), (&false.into(), &true.into()));
    let mends: Vec<&str> = told["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| reason["mend"][0].as_str().unwrap())
        .collect();
    assert_eq!(
        mends,
        [
            "pbd-plug uuid=0000012e-0000-4000-8000-000000005ad6",
            "pif-plug uuid=00000138-0000-4000-8000-000000005dd8",
            "vif-move uuid=00008ca1-0000-4000-8000-0000002a4c6d network-uuid=UUID",
        ]
    );
    assert_eq!(told["reasons"][0]["host"]["name"], "bert");
    let off = pool.done(&format!("vm-ha-explain uuid={OFF}"));
    assert!(off.contains("its disk lies on local anna, which one host alone has"), "{off}");
    assert!(off.contains("    xe sr-create type=nfs shared=true"), "no SR is everywhere: {off}");
    assert!(off.contains(&format!("    xe vm-param-set uuid={OFF} ha-restart-priority=restart")));
}

#[test]
fn a_disk_can_be_copied_and_a_cd_ejected() {
    let pool = Saved::without_ha();
    let copy = "vdi-copy uuid=000032c8-0000-4000-8000-0000000f4628 \
                sr-uuid=00000141-0000-4000-8000-00000000608d";
    assert!(pool.done(&format!("vm-ha-explain uuid={SCRATCH} --minimal")).starts_with(copy));
    let cd = Saved::with(&[(
        "mode=\"RW\" type=\"Disk\" _ref=\"OpaqueRef:vbd13-0\"",
        "mode=\"RO\" type=\"CD\" _ref=\"OpaqueRef:vbd13-0\"",
    )]);
    let told = cd.json(&format!("vm-ha-explain uuid={SCRATCH}"));
    assert_eq!(
        told["reasons"][0]["mend"][0],
        "vbd-eject uuid=00006590-0000-4000-8000-0000001e8c50"
    );
    let done = cd.xe(&format!("diagnostic-vm-status uuid={SCRATCH}"));
    assert!(done.out.trim_end().lines().last().unwrap().starts_with("VM is not agile because: "));
    assert!(done.err.contains("    xe vbd-eject uuid=00006590"), "{}", done.err);
}

#[test]
fn every_command_that_is_advised_exists() {
    let mailed = xe::agent::mail::letter::WORDS.iter().flat_map(|(_, _, _, lines)| lines.iter());
    let mends = [
        "pbd-create",
        "pbd-plug",
        "pif-plug",
        "pif-scan",
        "pool-ha-enable",
        "pool-ha-status",
        "sr-create",
        "vbd-eject",
        "vdi-copy",
        "vgpu-destroy",
        "vif-destroy",
        "vif-move",
        "vlan-create",
        "vm-memory-limits-set",
        "vm-param-remove",
        "vm-param-set",
        "vm-resume",
        "vm-start",
        "vusb-destroy",
    ];
    for line in mailed.map(|line| line.strip_prefix("xe ").unwrap()).chain(mends) {
        let name = line.split(' ').next().unwrap();
        assert!(xe::cli::commands::find(name).is_some(), "{line}");
    }
}
