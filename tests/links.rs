//! A second link from the record of its interfaces to what it is for: the loss of one network.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests in a lab use the rest")]
#[path = "support/lab.rs"]
mod lab;

use lab::{Lab, wait_for};

const HOSTS: [&str; 3] = ["h1", "h2", "h3"];

/// What a command on the master printed, which must succeed.
#[track_caller]
fn done(lab: &Lab, line: &str) -> String {
    lab.done("h1", line).trim_end().to_owned()
}

/// A command on the master that must be refused, with this in the reason.
#[track_caller]
fn refused(lab: &Lab, line: &str, reason: &str) {
    let why = lab.refused("h1", line);
    assert!(why.contains(reason), "{line}: {why}");
}

/// Introduces the loopback interface of a host, which here stands for its second network.
#[track_caller]
fn introduce(lab: &Lab, host: &str) -> String {
    let uuid = done(lab, &format!("host-list name-label={host} --minimal"));
    done(lab, &format!("pif-introduce host-uuid={uuid} device=lo"))
}

/// How long the master has not heard a host on one link, in milliseconds.
fn silence(lab: &Lab, name: &str, link: u64) -> Option<u64> {
    let links = lab.host("h1", name)["links_ms"].as_array().cloned().unwrap_or_default();
    links.iter().find(|age| age[0] == link).and_then(|age| age[1].as_u64())
}

/// An address of the second network: as that of the host in the first, which is the lab's alone.
fn second(lab: &Lab, host: &str) -> String {
    let first = done(lab, &format!("host-list name-label={host} params=address --minimal"));
    first.replacen("127.0.", "127.1.", 1)
}

#[test]
fn a_pool_with_two_links_bears_the_loss_of_one_and_fences_after_that_of_both() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::without_ha(dir.path(), 3);
    let mut network = String::new();
    for host in HOSTS {
        let (pif, ip) = (introduce(&lab, host), second(&lab, host));
        let fixed = format!("mode=static IP={ip} netmask=255.0.0.0");
        done(&lab, &format!("pif-reconfigure-ip uuid={pif} {fixed}"));
        done(&lab, &format!("pif-plug uuid={pif}"));
        assert_eq!(done(&lab, &format!("pif-list uuid={pif} params=IP --minimal")), ip);
        network = done(&lab, &format!("pif-list uuid={pif} params=network-uuid --minimal"));
    }
    done(&lab, &format!("pool-ha-enable ha-config:timeout=10 ha-config:links={network}"));
    // What HA counts on is not taken from under it.
    let pif = done(&lab, "pif-list device=lo host-name-label=h3 --minimal");
    for word in ["pif-unplug", "pif-forget"] {
        refused(&lab, &format!("{word} uuid={pif}"), "HA");
    }
    let fresh = |host: &str, link| silence(&lab, host, link).is_some_and(|ms| ms < 3_000);
    wait_for("both links of all", || {
        ["h2", "h3"].iter().all(|host| fresh(host, 0) && fresh(host, 1))
    });

    // One link of a host after the other, each for longer than T.
    for (lost, kept) in [(0, 1), (1, 0)] {
        lab.fault(&format!("h2 net-cut --link {lost}"));
        let silent = || silence(&lab, "h2", lost).is_none_or(|ms| ms > 14_000);
        wait_for("the silence of one link", silent);
        assert!(fresh("h2", kept), "{}", lab.host("h1", "h2"));
        assert_eq!(lab.host("h1", "h2")["state"], "member");
        lab.fault(&format!("h2 net-heal --link {lost}"));
        wait_for("the link's return", || fresh("h2", lost));
    }
    assert!(!lab.timeline().contains("host-excluded"), "{}", lab.timeline());

    lab.fault("h2 net-cut --link 0");
    lab.fault("h2 net-cut --link 1");
    wait_for("the exclusion", || lab.timeline().contains("host-excluded"));
    wait_for("the end of its place", || lab.host("h1", "h2")["state"] != "member");
    assert_eq!(
        (&lab.host("h1", "h1")["state"], &lab.host("h1", "h3")["state"]),
        (&"master".into(), &"member".into())
    );
}

#[test]
fn only_what_a_host_has_is_recorded_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::without_ha(dir.path(), 3);
    let uuid = |host: &str| done(&lab, &format!("host-list name-label={host} --minimal"));
    let (h1, pif) = (uuid("h1"), introduce(&lab, "h1"));
    let absent = format!("pif-introduce host-uuid={h1} device=none0");
    refused(&lab, &absent, "h1 has no interface of this name");
    refused(&lab, &format!("pif-introduce host-uuid={h1} device=lo"), "already");
    let other_mac =
        format!("pif-introduce host-uuid={} device=lo mac=02:00:00:00:00:01", uuid("h2"));
    refused(&lab, &other_mac, "No interface has this MAC address");

    let four = |words: &str| format!("pif-reconfigure-ip uuid={pif} {words}");
    refused(&lab, &four("mode=dhcp"), "say mode=static");
    refused(&lab, &four("mode=static IP=127.1.2"), "no IP address");
    refused(&lab, &four("mode=static IP=127.1.0.9 netmask=255.0.255.0"), "netmask");
    let foreign = four("mode=static IP=192.0.2.1 netmask=255.255.255.0");
    refused(&lab, &foreign, "h1 does not have this address");
    let of_h2 = done(&lab, "host-list name-label=h2 params=address --minimal");
    let taken = format!("mode=static IP={of_h2} netmask=255.0.0.0");
    refused(&lab, &four(&taken), "an interface of h2 has this address");
    let management = done(&lab, "pif-list host-name-label=h1 management=true --minimal");
    let moved = format!("pif-reconfigure-ip uuid={management} mode=none");
    refused(&lab, &moved, "management interface");
    refused(&lab, &format!("pif-forget uuid={management}"), "management interface");

    let six = |words: &str| format!("pif-reconfigure-ipv6 uuid={pif} {words}");
    refused(&lab, &six("mode=autoconf"), "say mode=static");
    refused(&lab, &six("mode=static IPv6=::1"), "no IP address");
    refused(&lab, &six("mode=static IPv6=2001:db8::1/64"), "h1 does not have this address");
    done(&lab, &six("mode=static IPv6=::1/128"));
    let shown = format!("pif-list uuid={pif} params=IP,IPv6");
    let told = done(&lab, &shown);
    assert!(told.contains("::1/128") && !told.contains("192.0.2.1"), "{told}");
    done(&lab, &six("mode=none"));
    assert!(!done(&lab, &shown).contains("::1"));
    done(&lab, &format!("pif-forget uuid={pif}"));
    assert_eq!(done(&lab, "pif-list device=lo --minimal"), "");
}
