//! The XML of `xhad.conf` as it is written, before anything of it is believed.

use quick_xml::events::Event;
use serde::Deserialize;

use super::config::Parameters;

/// The root.
#[derive(Debug, Deserialize)]
pub struct File {
    /// The version of the format.
    #[serde(rename = "@version")]
    pub version: Option<String>,
    /// What all hosts share.
    #[serde(rename = "common-config")]
    pub common: Option<Common>,
    /// What is this host's own.
    #[serde(rename = "local-config")]
    pub local: Option<Local>,
}

/// What all hosts share.
#[derive(Debug, Deserialize)]
pub struct Common {
    /// The HA session.
    #[serde(rename = "GenerationUUID")]
    pub generation: Option<String>,
    /// The heartbeat's port.
    #[serde(rename = "UDPport")]
    pub udp_port: Option<String>,
    /// The hosts.
    #[serde(rename = "host", default)]
    pub hosts: Vec<Host>,
    /// The times.
    pub parameters: Option<Times>,
}

/// One host.
#[derive(Debug, Deserialize)]
pub struct Host {
    /// Its UUID.
    #[serde(rename = "HostID")]
    pub host: Option<String>,
    /// Its numeric address.
    #[serde(rename = "IPaddress")]
    pub address: Option<String>,
}

/// What is this host's own.
#[derive(Debug, Deserialize)]
pub struct Local {
    /// Its one part.
    pub localhost: Option<Localhost>,
}

/// This host.
#[derive(Debug, Deserialize)]
pub struct Localhost {
    /// Its UUID.
    #[serde(rename = "HostID")]
    pub host: Option<String>,
    /// The interface of the heartbeat.
    #[serde(rename = "HeartbeatInterface")]
    pub interface: Option<String>,
    /// The device behind it.
    #[serde(rename = "HeartbeatPhysicalInterface")]
    pub physical: Option<String>,
    /// The statefile's path.
    #[serde(rename = "StateFile")]
    pub statefile: Option<String>,
    /// What resets this host.
    #[serde(rename = "WatchdogMode")]
    pub watchdog: Option<String>,
}

/// The times, in seconds.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Times {
    heartbeat_interval: Option<String>,
    heartbeat_timeout: Option<String>,
    state_file_interval: Option<String>,
    state_file_timeout: Option<String>,
    heartbeat_watchdog_timeout: Option<String>,
    state_file_watchdog_timeout: Option<String>,
    boot_join_timeout: Option<String>,
    enable_join_timeout: Option<String>,
    xapi_health_check_interval: Option<String>,
    xapi_health_check_timeout: Option<String>,
    xapi_restart_attempts: Option<String>,
    xapi_restart_timeout: Option<String>,
}

impl File {
    /// Reads the text; the error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        match root(text)? {
            name if name == "xhad-config" => {}
            name => return Err(format!("the root is {name}, not xhad-config")),
        }
        quick_xml::de::from_str(text).map_err(|error| format!("not readable as XML: {error}"))
    }
}

/// The name of the first element.
fn root(text: &str) -> Result<String, String> {
    let mut reader = quick_xml::Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => {
                return Ok(tag.name().as_ref().to_owned());
            }
            Ok(Event::Eof) => return Err("there is no XML in it".to_owned()),
            Ok(_) => {}
            Err(error) => return Err(format!("not readable as XML: {error}")),
        }
    }
}

/// The text of an element without the blanks around it; none when nothing is left.
pub fn leaf(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

/// A number as it stands in the file, with its bounds.
pub struct Number<'a> {
    /// The element's name.
    pub name: &'a str,
    /// Its text.
    pub text: &'a Option<String>,
    /// The smallest that makes sense.
    pub least: u32,
    /// The largest that makes sense.
    pub most: u32,
}

impl Number<'_> {
    /// The number, or what it is when absent; the error is a sentence.
    pub fn read(&self, absent: Option<u32>) -> Result<u32, String> {
        let (name, least, most) = (self.name, self.least, self.most);
        let Some(text) = leaf(self.text) else {
            return absent.ok_or_else(|| format!("{name} is missing"));
        };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("{name} {text} is no number from {least} to {most}"))
    }
}

impl Times {
    /// The numbers, with the peer's defaults; the error is a sentence.
    pub fn read(&self) -> Result<Parameters, String> {
        let time =
            |name, text, absent| Number { name, text, least: 1, most: 86_400 }.read(Some(absent));
        let attempts = Number {
            name: "XapiRestartAttempts",
            text: &self.xapi_restart_attempts,
            least: 0,
            most: 1000,
        };
        Ok(Parameters {
            heartbeat_interval: time("HeartbeatInterval", &self.heartbeat_interval, 4)?,
            heartbeat_timeout: time("HeartbeatTimeout", &self.heartbeat_timeout, 30)?,
            statefile_interval: time("StateFileInterval", &self.state_file_interval, 4)?,
            statefile_timeout: time("StateFileTimeout", &self.state_file_timeout, 30)?,
            heartbeat_watchdog: time(
                "HeartbeatWatchdogTimeout",
                &self.heartbeat_watchdog_timeout,
                30,
            )?,
            statefile_watchdog: time(
                "StateFileWatchdogTimeout",
                &self.state_file_watchdog_timeout,
                45,
            )?,
            boot_join: time("BootJoinTimeout", &self.boot_join_timeout, 90)?,
            enable_join: time("EnableJoinTimeout", &self.enable_join_timeout, 90)?,
            health_interval: time("XapiHealthCheckInterval", &self.xapi_health_check_interval, 60)?,
            health_timeout: time("XapiHealthCheckTimeout", &self.xapi_health_check_timeout, 10)?,
            restart_attempts: attempts.read(Some(1))?,
            restart_timeout: time("XapiRestartTimeout", &self.xapi_restart_timeout, 30)?,
        })
    }
}
