//! Where the toolstack keeps its files and which commands reach it: the usual places of a
//! XenServer host, unless a settings file says otherwise.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::exit::{Exit, Failure};
use crate::host::system_word::system_word;
use crate::host::watchdog::WatchdogConfig;
use crate::xhad::control::Client;

/// The variable that names the settings file.
pub const VARIABLE: &str = "XE_CLUSTER_STACK";
/// The settings file when the variable is not set; it need not exist.
pub const FILE: &str = "/etc/xe/cluster-stack.json";

/// The settings. A file holds those that differ, as a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The configuration that the toolstack writes at enable.
    pub config: PathBuf,
    /// The pool's secret, which all of its hosts share.
    pub token: PathBuf,
    /// The toolstack's word on who is master.
    pub pool_role: PathBuf,
    /// Where xhad and these programs keep what they know.
    pub state_dir: PathBuf,
    /// What resets this host; else what the configuration's watchdog mode means.
    pub watchdog: Option<WatchdogConfig>,
    /// Ends with 0 when the toolstack is well.
    pub health_check: Vec<String>,
    /// Starts the toolstack again.
    pub restart: Vec<String>,
    /// Prints the process id of the toolstack, or 0.
    pub toolstack_pid: Vec<String>,
    /// Prints the id of each domain that runs here, one a line; 0 is this one.
    pub guests: Vec<String>,
    /// Gives the heartbeat's port free where something holds it for the cluster stack.
    pub release_port: Vec<String>,
    /// Brings the watchdog's device when there is none.
    pub load_watchdog: Vec<String>,
    /// Where the kernel shows bonded interfaces.
    pub bonding: PathBuf,
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            config: "/etc/xensource/xhad.conf".into(),
            token: "/etc/xensource/ptoken".into(),
            pool_role: "/etc/xensource/pool.conf".into(),
            state_dir: "/var/lib/xe/cluster-stack".into(),
            watchdog: None,
            health_check: words("/opt/xensource/libexec/xapi-health-check"),
            restart: words("systemctl restart xapi.service"),
            toolstack_pid: words("systemctl show --property MainPID --value xapi.service"),
            guests: words("xenstore-list /local/domain"),
            release_port: words("portrelease xhad"),
            load_watchdog: words("modprobe xen_wdt"),
            bonding: "/proc/net/bonding".into(),
        }
    }
}

impl Settings {
    /// The settings of this host.
    pub fn load() -> Result<Self, Failure> {
        match std::env::var_os(VARIABLE) {
            Some(file) => Self::read(Path::new(&file)),
            None if Path::new(FILE).exists() => Self::read(Path::new(FILE)),
            None => Ok(Settings::default()),
        }
    }

    fn read(file: &Path) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(Exit::Environment, format!("{}: {}", file.display(), system_word(&error)))
        };
        let text = std::fs::read_to_string(file).map_err(|error| failed(&error))?;
        serde_json::from_str(&text).map_err(|error| failed(&error))
    }

    /// The daemon's client; requests wait as long as they take.
    pub fn client(&self) -> Client {
        Client::of_state_dir(&self.state_dir)
    }

    /// A file of these programs.
    pub fn file(&self, name: &str) -> PathBuf {
        self.state_dir.join(name)
    }

    /// The toolstack's process, none when it does not run. It must be known: a mastership that
    /// leaves this host ends that process first.
    pub fn toolstack(&self) -> Result<Option<u32>, Failure> {
        let pid: Option<u32> =
            output(&self.toolstack_pid).and_then(|text| text.trim().parse().ok());
        let told = || {
            let command = self.toolstack_pid.join(" ");
            let sentence = format!("the toolstack's process cannot be told: {command} failed");
            Failure::new(Exit::Environment, sentence)
        };
        Ok(Some(pid.ok_or_else(told)?).filter(|pid| *pid > 0))
    }

    /// Does what must be done once before a session begins; what fails shows itself later.
    pub fn prepare(&self, watchdog: &WatchdogConfig) {
        output(&self.release_port);
        if let WatchdogConfig::Linux { device, .. } = watchdog
            && !device.exists()
        {
            output(&self.load_watchdog);
        }
    }

    /// Whether guests may run here: only a list without any says that there is none.
    pub fn may_have_guests(&self) -> bool {
        output(&self.guests).is_none_or(|text| text.split_whitespace().any(|id| id != "0"))
    }
}

/// What a command prints when it ends well.
fn output(command: &[String]) -> Option<String> {
    let (program, words) = command.split_first()?;
    let done = Command::new(program).args(words).stdin(Stdio::null()).output().ok()?;
    done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_changes_only_what_it_names() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"token": "/t", "health-check": ["true"]}"#).unwrap();
        let read = Settings::read(file.path()).unwrap();
        assert_eq!((read.token.as_path(), read.health_check.len()), (Path::new("/t"), 1));
        assert_eq!(read.config, Settings::default().config);
    }

    #[test]
    fn a_misspelled_setting_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"tokne": "/t"}"#).unwrap();
        let refused = Settings::read(file.path()).unwrap_err();
        assert_eq!(refused.exit, Exit::Environment);
        assert!(refused.sentence.contains("tokne"), "{refused}");
    }

    #[test]
    fn a_toolstack_that_cannot_be_found_is_no_toolstack_that_does_not_run() {
        let with = |line: &str| {
            let settings = Settings { toolstack_pid: words(line), ..Settings::default() };
            settings.toolstack()
        };
        assert_eq!(with("echo 77"), Ok(Some(77)));
        assert_eq!(with("echo 0"), Ok(None));
        assert_eq!(with("false").unwrap_err().exit, Exit::Environment);
        assert_eq!(with("echo what").unwrap_err().exit, Exit::Environment);
    }

    #[test]
    fn guests_are_denied_only_by_a_list_without_any() {
        let with = |command: &[&str]| {
            let guests = command.iter().map(|word| (*word).to_owned()).collect();
            Settings { guests, ..Settings::default() }.may_have_guests()
        };
        assert!(!with(&["echo", "0"]));
        assert!(with(&["echo", "0\n7"]));
        assert!(with(&["false"]), "a command that fails tells nothing");
        assert!(with(&["/nonexistent/list"]));
    }
}
