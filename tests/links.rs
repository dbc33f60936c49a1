//! A second link from the record of its interfaces to what it is for: the loss of one network.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const HOSTS: [&str; 3] = ["h1", "h2", "h3"];

/// A pool of three hosts, HA off; it is taken down with this value.
struct Lab(PathBuf);

impl Drop for Lab {
    fn drop(&mut self) {
        self.lab("down");
    }
}

impl Lab {
    fn up(dir: &Path) -> Self {
        let lab = Self(dir.to_owned());
        let out = lab.lab("up --hosts 3 --no-ha");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        lab
    }

    fn lab(&self, line: &str) -> Output {
        let mut words = line.split(' ');
        let mut command = Command::new(env!("CARGO_BIN_EXE_xe"));
        command.args(["lab", words.next().unwrap(), "--dir"]).arg(&self.0);
        command.args(words).output().unwrap()
    }

    #[track_caller]
    fn fault(&self, line: &str) {
        let out = self.lab(&format!("fault {line}"));
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    }

    fn xe(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xe"));
        command.env_clear().env("HOME", "/nonexistent").arg("--state-dir");
        command.arg(self.0.join("hosts/h1")).args(line.split(' ')).output().unwrap()
    }

    /// What a command on the master printed, which must succeed.
    #[track_caller]
    fn done(&self, line: &str) -> String {
        let out = self.xe(line);
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{line}: {error}");
        String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
    }

    /// A command that must be refused, with this in the reason.
    #[track_caller]
    fn refused(&self, line: &str, reason: &str) {
        let out = self.xe(line);
        let why = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success(), "{line} was taken");
        assert!(why.contains(reason), "{line}: {why}");
        assert!(!why.contains("os error") && !why.contains("<extra>"), "{line}: {why}");
    }

    /// Introduces the loopback interface of a host, which here stands for its second network.
    #[track_caller]
    fn introduce(&self, host: &str) -> String {
        let uuid = self.done(&format!("host-list name-label={host} --minimal"));
        self.done(&format!("pif-introduce host-uuid={uuid} device=lo"))
    }

    fn host(&self, name: &str) -> serde_json::Value {
        let out = self.xe("pool-ha-status --json").stdout;
        let status: serde_json::Value = serde_json::from_slice(&out).unwrap_or_default();
        let hosts = status["hosts"].as_array().cloned().unwrap_or_default();
        hosts.into_iter().find(|host| host["host"]["name"] == name).unwrap_or_default()
    }

    /// How long the master has not heard a host on one link, in milliseconds.
    fn silence(&self, name: &str, link: u64) -> Option<u64> {
        let links = self.host(name)["links_ms"].as_array().cloned().unwrap_or_default();
        links.iter().find(|age| age[0] == link).and_then(|age| age[1].as_u64())
    }

    fn timeline(&self) -> String {
        String::from_utf8(self.lab("timeline --all").stdout).unwrap()
    }
}

#[track_caller]
fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(90), "{what} did not come");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// An address of the second network: as that of the host in the first, which is the lab's alone.
fn second(lab: &Lab, host: &str) -> String {
    let first = lab.done(&format!("host-list name-label={host} params=address --minimal"));
    first.replacen("127.0.", "127.1.", 1)
}

#[test]
fn a_pool_with_two_links_bears_the_loss_of_one_and_fences_after_that_of_both() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    let mut network = String::new();
    for host in HOSTS {
        let (pif, ip) = (lab.introduce(host), second(&lab, host));
        let fixed = format!("mode=static IP={ip} netmask=255.0.0.0");
        lab.done(&format!("pif-reconfigure-ip uuid={pif} {fixed}"));
        lab.done(&format!("pif-plug uuid={pif}"));
        assert_eq!(lab.done(&format!("pif-list uuid={pif} params=IP --minimal")), ip);
        network = lab.done(&format!("pif-list uuid={pif} params=network-uuid --minimal"));
    }
    lab.done(&format!("pool-ha-enable ha-config:timeout=10 ha-config:links={network}"));
    // What HA counts on is not taken from under it.
    let pif = lab.done("pif-list device=lo host-name-label=h3 --minimal");
    for word in ["pif-unplug", "pif-forget"] {
        lab.refused(&format!("{word} uuid={pif}"), "HA");
    }
    let fresh = |host: &str, link| lab.silence(host, link).is_some_and(|ms| ms < 3_000);
    wait_for("both links of all", || {
        ["h2", "h3"].iter().all(|host| fresh(host, 0) && fresh(host, 1))
    });

    // One link of a host after the other, each for longer than T.
    for (lost, kept) in [(0, 1), (1, 0)] {
        lab.fault(&format!("h2 net-cut --link {lost}"));
        let silent = || lab.silence("h2", lost).is_none_or(|ms| ms > 14_000);
        wait_for("the silence of one link", silent);
        assert!(fresh("h2", kept), "{}", lab.host("h2"));
        assert_eq!(lab.host("h2")["state"], "member");
        lab.fault(&format!("h2 net-heal --link {lost}"));
        wait_for("the link's return", || fresh("h2", lost));
    }
    assert!(!lab.timeline().contains("host-excluded"), "{}", lab.timeline());

    lab.fault("h2 net-cut --link 0");
    lab.fault("h2 net-cut --link 1");
    wait_for("the exclusion", || lab.timeline().contains("host-excluded"));
    wait_for("the end of its place", || lab.host("h2")["state"] != "member");
    assert_eq!(
        (&lab.host("h1")["state"], &lab.host("h3")["state"]),
        (&"master".into(), &"member".into())
    );
}

#[test]
fn only_what_a_host_has_is_recorded_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let lab = Lab::up(dir.path());
    let uuid = |host: &str| lab.done(&format!("host-list name-label={host} --minimal"));
    let (h1, pif) = (uuid("h1"), lab.introduce("h1"));
    let absent = format!("pif-introduce host-uuid={h1} device=none0");
    lab.refused(&absent, "h1 has no interface of this name");
    lab.refused(&format!("pif-introduce host-uuid={h1} device=lo"), "already");
    let other_mac =
        format!("pif-introduce host-uuid={} device=lo mac=02:00:00:00:00:01", uuid("h2"));
    lab.refused(&other_mac, "No interface has this MAC address");

    let four = |words: &str| format!("pif-reconfigure-ip uuid={pif} {words}");
    lab.refused(&four("mode=dhcp"), "say mode=static");
    lab.refused(&four("mode=static IP=127.1.2"), "no IP address");
    lab.refused(&four("mode=static IP=127.1.0.9 netmask=255.0.255.0"), "netmask");
    let foreign = four("mode=static IP=192.0.2.1 netmask=255.255.255.0");
    lab.refused(&foreign, "h1 does not have this address");
    let of_h2 = lab.done("host-list name-label=h2 params=address --minimal");
    let taken = format!("mode=static IP={of_h2} netmask=255.0.0.0");
    lab.refused(&four(&taken), "an interface of h2 has this address");
    let management = lab.done("pif-list host-name-label=h1 management=true --minimal");
    let moved = format!("pif-reconfigure-ip uuid={management} mode=none");
    lab.refused(&moved, "management interface");
    lab.refused(&format!("pif-forget uuid={management}"), "management interface");

    let six = |words: &str| format!("pif-reconfigure-ipv6 uuid={pif} {words}");
    lab.refused(&six("mode=autoconf"), "say mode=static");
    lab.refused(&six("mode=static IPv6=::1"), "no IP address");
    lab.refused(&six("mode=static IPv6=2001:db8::1/64"), "h1 does not have this address");
    lab.done(&six("mode=static IPv6=::1/128"));
    let shown = format!("pif-list uuid={pif} params=IP,IPv6");
    let told = lab.done(&shown);
    assert!(told.contains("::1/128") && !told.contains("192.0.2.1"), "{told}");
    lab.done(&six("mode=none"));
    assert!(!lab.done(&shown).contains("::1"));
    lab.done(&format!("pif-forget uuid={pif}"));
    assert_eq!(lab.done("pif-list device=lo --minimal"), "");
}
