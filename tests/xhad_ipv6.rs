//! Real daemons that know each other by IPv6 addresses alone: a view, a loss, an exclusion.
//!
//! The loopback has one such address, so the test gives it more, in a network namespace of its own.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

#[expect(dead_code, reason = "other tests with daemons use the rest")]
#[path = "support/daemons.rs"]
mod daemons;
#[path = "support/skip.rs"]
mod skip;

use std::process::Command;
use std::time::Duration;

use xe::host::interface::has_address;
use xe::xhad::control::{HostAddress, Phase, StartConfig};

use daemons::{Pool, last_record, wait_for};

/// Set within the namespace.
const INSIDE: &str = "XE_TEST_IPV6_NAMESPACE";

/// The address of a host on one of its two links.
fn address(link: usize, host: usize) -> std::net::IpAddr {
    format!("fd5a:{link}::{}", host + 2).parse().unwrap()
}

/// Runs a test of this file once more within a namespace that has these addresses.
fn within(name: &str) {
    let mut script = "ip link set lo up".to_owned();
    for (link, host) in (0..6).map(|n| (n / 3, n % 3)) {
        script.push_str(&format!(" && ip address add {}/128 dev lo nodad", address(link, host)));
    }
    script.push_str(" || exit 77; exec \"$@\"");
    let words = ["--net", "sh", "-c", &script, "sh"];
    let inner = Command::new("unshare")
        .args(words)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output();
    let made = |out: &std::process::Output| {
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        out.status.code() != Some(77) && !told.contains("unshare")
    };
    match inner {
        Ok(out) if made(&out) => {
            let (out_text, err_text) = (&out.stdout, &out.stderr);
            let told = [out_text, err_text].map(|text| String::from_utf8_lossy(text).into_owned());
            assert!(out.status.success(), "{}", told.concat());
            assert!(told[0].contains("1 passed"), "{}", told[0]);
        }
        _ => skip::skipped("this user cannot make a network namespace with IPv6 addresses"),
    }
}

fn config(pool: &Pool, host: usize) -> StartConfig {
    let table = |link: usize| -> Vec<HostAddress> {
        let hosts = pool.hosts.iter().enumerate();
        hosts.map(|(n, uuid)| HostAddress { uuid: *uuid, address: address(link, n) }).collect()
    };
    StartConfig { hosts: table(0), links: vec![table(1)], ..pool.config(host, true) }
}

#[test]
fn a_pool_of_ipv6_addresses_forms_loses_a_host_and_excludes_it() {
    if std::env::var_os(INSIDE).is_none() {
        return within("a_pool_of_ipv6_addresses_forms_loses_a_host_and_excludes_it");
    }
    assert!(has_address(address(1, 2)));
    let mut pool = Pool::new(0, 10);
    std::thread::scope(|scope| {
        for (n, machine) in pool.machines.iter().enumerate() {
            let config = config(&pool, n);
            scope.spawn(move || machine.client.start(config).unwrap());
        }
    });
    for machine in &pool.machines {
        let liveset = machine.liveset();
        assert_eq!((liveset.phase, liveset.members.len()), (Phase::Armed, 3));
    }
    wait_for("beats on both links", Duration::from_secs(20), || {
        pool.machines[0].liveset().hosts.iter().filter(|host| host.links_ms.len() == 2).count() == 2
    });
    pool.machines[2].kill();
    wait_for("the exclusion", Duration::from_secs(25), || pool.excluded(2));
    assert!(last_record(&pool.machines[2].dir).contains("expired"), "its watchdog fired");
}
