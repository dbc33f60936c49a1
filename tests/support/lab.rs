//! A lab of hosts with real daemons, for tests that lose parts of it.

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
    /// Brings a lab of three hosts up with HA on.
    pub fn up(dir: &Path) -> Self {
        Self::begin(dir, &["up", "--hosts", "3"])
    }

    /// Brings a lab of so many hosts up with HA off.
    pub fn without_ha(dir: &Path, hosts: u8) -> Self {
        Self::begin(dir, &["up", "--hosts", &hosts.to_string(), "--no-ha"])
    }

    /// Brings a lab up as these words say.
    pub fn begin(dir: &Path, words: &[&str]) -> Self {
        let lab = Self(dir.to_owned());
        let out = lab.lab(words);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        lab
    }

    /// Runs a command of the lab.
    pub fn lab(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xe"));
        command.args(["lab", words[0], "--dir"]).arg(&self.0).args(&words[1..]).output().unwrap()
    }

    /// Does something to a host: its name, the fault, and what the fault hits.
    #[track_caller]
    pub fn fault(&self, line: &str) {
        let words: Vec<&str> = std::iter::once("fault").chain(line.split(' ')).collect();
        let out = self.lab(&words);
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    }

    /// What has happened so far.
    pub fn timeline(&self) -> String {
        String::from_utf8(self.lab(&["timeline"]).stdout).unwrap()
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

    /// Why a command is refused, which must be.
    #[track_caller]
    pub fn refused(&self, host: &str, line: &str) -> String {
        let out = self.xe(host, line);
        let why = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success(), "{line} was taken");
        assert!(!why.contains("os error") && !why.contains("<extra>"), "{line}: {why}");
        why
    }

    /// A new shared SR at a place, by its uuid.
    pub fn new_sr(&self, name: &str, at: &Path) -> String {
        std::fs::create_dir_all(at).unwrap();
        let at = at.display();
        let line = format!("type=file shared=true name-label={name} device-config:location={at}");
        self.done("h1", &format!("sr-create {line}"));
        self.done("h1", &format!("sr-list name-label={name} --minimal")).trim_end().to_owned()
    }

    /// What a host tells of HA; nothing while it does not answer.
    pub fn status(&self, host: &str) -> serde_json::Value {
        let out = self.xe(host, "pool-ha-status --json").stdout;
        serde_json::from_slice(&out).unwrap_or_default()
    }

    /// What one host tells of another; nothing while it does not answer.
    pub fn host(&self, from: &str, of: &str) -> serde_json::Value {
        let status = self.status(from);
        let hosts = status["hosts"].as_array().cloned().unwrap_or_default();
        hosts.into_iter().find(|host| host["host"]["name"] == of).unwrap_or_default()
    }

    /// How a host stands, as another one sees it; nothing while that one does not answer.
    pub fn state(&self, from: &str, of: &str) -> String {
        self.host(from, of)["state"].as_str().unwrap_or_default().to_owned()
    }

    /// The names of all messages.
    pub fn messages(&self, host: &str) -> String {
        let out = self.xe(host, "message-list params=name --minimal");
        String::from_utf8(out.stdout).unwrap()
    }
}

/// Waits for something that must come.
#[track_caller]
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
