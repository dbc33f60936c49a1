//! A lab of three hosts with real daemons, for tests that lose parts of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// A lab that is taken down with this value.
pub struct Lab(pub PathBuf);

impl Drop for Lab {
    fn drop(&mut self) {
        self.lab(&["down"]);
    }
}

impl Lab {
    /// Brings a lab up with HA on.
    pub fn up(dir: &Path) -> Self {
        let lab = Self(dir.to_owned());
        let out = lab.lab(&["up", "--hosts", "3"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        lab
    }

    /// Runs a command of the lab.
    pub fn lab(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xe"));
        command.args(["lab", words[0], "--dir"]).arg(&self.0).args(&words[1..]).output().unwrap()
    }

    /// Where a host keeps its state.
    pub fn state_dir(&self, host: &str) -> PathBuf {
        self.0.join("hosts").join(host)
    }

    /// Runs a command on a host.
    pub fn xe(&self, host: &str, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xe"));
        command.env_clear().env("HOME", "/nonexistent").arg("--state-dir");
        command.arg(self.state_dir(host)).args(line.split(' ')).output().unwrap()
    }

    /// What a command printed, which must succeed.
    #[track_caller]
    pub fn done(&self, host: &str, line: &str) -> String {
        let out = self.xe(host, line);
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{line}: {error}");
        String::from_utf8(out.stdout).unwrap()
    }

    /// How a host stands, as another one sees it; nothing while that one does not answer.
    pub fn state(&self, from: &str, of: &str) -> String {
        let out = self.xe(from, "pool-ha-status --json").stdout;
        let Ok(status) = serde_json::from_slice::<serde_json::Value>(&out) else {
            return String::new();
        };
        let hosts = status["hosts"].as_array().unwrap();
        let host = hosts.iter().find(|host| host["host"]["name"] == of).unwrap();
        host["state"].as_str().unwrap().to_owned()
    }

    /// The names of all messages.
    pub fn messages(&self, host: &str) -> String {
        let out = self.xe(host, "message-list params=name --minimal");
        String::from_utf8(out.stdout).unwrap()
    }
}

#[track_caller]
/// Waits for something that must come.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(90), "{what} did not come");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The hosts that run a process for a VM, whatever any database says.
pub fn really_running(lab: &Lab, vm: &str) -> Vec<&'static str> {
    let uuid = vm.trim_end();
    let lines = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = lines.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines: Vec<String> =
        lines.map(|line| String::from_utf8_lossy(&line).into_owned()).collect();
    let on = |host: &str| {
        let dir = lab.state_dir(host).display().to_string();
        let runs = |line: &String| line.contains("xe-process-vm") && line.contains(uuid);
        lines.iter().any(|line| runs(line) && line.contains(&dir))
    };
    ["h1", "h2", "h3"].into_iter().filter(|host| on(host)).collect()
}
