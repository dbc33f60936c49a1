//! Alerts by e-mail, taken by a mail server of the distribution.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail loudly")]
#![allow(dead_code, reason = "what tests share is not used whole by each of them")]

#[path = "support/machine.rs"]
mod machine;
#[path = "support/skip.rs"]
mod skip;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use machine::{Machine, wait_for};

/// A mail server that writes what it takes to a file.
struct Server {
    process: Child,
    taken: PathBuf,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts it on a port; none, with a line, where it is not installed.
    fn start(dir: &Path, port: u16) -> Option<Self> {
        let taken = dir.join("taken");
        let out = std::fs::OpenOptions::new().create(true).append(true).open(&taken).unwrap();
        let begun = Command::new("aiosmtpd")
            .args(["-n", "-c", "aiosmtpd.handlers.Debugging", "stdout"])
            .args(["-l", &format!("127.0.0.1:{port}")])
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::null())
            .spawn();
        let Ok(process) = begun else {
            skip::skipped("aiosmtpd (package python3-aiosmtpd) is not installed");
            return None;
        };
        Some(Self { process, taken, port })
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.taken).unwrap()
    }

    fn mails(&self) -> usize {
        self.text().matches("MESSAGE FOLLOWS").count()
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A pool whose alerts go to a server.
fn pool(dir: &Path, address: &str, port: u16) -> (Machine, String, String) {
    let machine = Machine::new(dir, "m1", address);
    let pool = machine.done(&["pool-list", "--minimal"]);
    let host = machine.done(&["host-list", "--minimal"]);
    let uuid = format!("uuid={pool}");
    let hub = format!("other-config:ssmtp-mailhub=127.0.0.1:{port}");
    let to = "other-config:mail-destination=root@example.org,Second <two@example.org>";
    let language = "other-config:mail-language=en-US";
    let period = "other-config:xe-mail-period=1";
    machine.done(&["pool-param-set", &uuid, &hub, to, language, period]);
    (machine, pool, host)
}

fn tell(machine: &Machine, name: &str, priority: &str, host: &str) {
    let (name, priority) = (format!("name={name}"), format!("priority={priority}"));
    let host = format!("host-uuid={host}");
    machine.done(&["message-create", &name, &priority, &host, "body=seen on the test"]);
}

#[test]
fn alerts_reach_a_mail_server_together_and_withdrawals_follow() {
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(dir.path(), free_port()) else { return };
    let (machine, _, host) = pool(dir.path(), "127.0.77.1", server.port);
    tell(&machine, "VM_STARTED", "5", &host);
    tell(&machine, "HA_HOST_FAILED", "3", &host);
    tell(&machine, "HA_STATEFILE_LOST", "2", &host);
    wait_for("the mail", || server.mails() > 0);
    wait_for("its text", || server.text().contains("END MESSAGE"));
    let text = server.text();
    assert!(text.contains("From: xe-agent@m1\n"), "{text}");
    assert!(text.contains("To: root@example.org, Second <two@example.org>"), "{text}");
    assert!(text.contains("HA_STATEFILE_LOST m1 and 1 more\n"), "{text}");
    assert!(text.contains("  Host m1 was lost: it left the pool without notice."), "{text}");
    assert!(text.contains("    xe pool-ha-status\n"), "{text}");
    assert!(text.contains("  > seen on the test\n") && !text.contains("VM_STARTED"), "{text}");
    assert_eq!(server.mails(), 1);
    tell(&machine, "HA_HOST_FAILED_RECOVERED", "5", &host);
    wait_for("the withdrawal", || server.text().contains("It is over: Host m1 was lost"));
}

#[test]
fn a_mail_server_that_is_away_holds_nobody_up_and_gets_the_mail_later() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let (machine, _, host) = pool(dir.path(), "127.0.77.2", port);
    tell(&machine, "HA_HOST_FAILED", "3", &host);
    let history = machine.dir.join("history-agent.jsonl");
    let tried = || std::fs::read_to_string(&history).unwrap().contains("\"event\":\"mail\"");
    wait_for("the failed attempt", tried);
    assert_eq!(machine.done(&["host-list", "--minimal"]), host);
    let Some(server) = Server::start(dir.path(), port) else { return };
    wait_for("the mail", || server.text().contains("Host m1 was lost"));
}
