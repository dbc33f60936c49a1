//! What the administrator may say when HA is switched on: the keys of `ha-config`, each checked
//! wholly before anything is done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::heartbeat::node::MOST_LINKS;

/// How long a fence hook may take when nothing is said, in seconds.
const HOOK_LIMIT_S: u32 = 30;

/// A key with a value that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ha-config:{key}={value}: {why}")]
pub struct BadSetting {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Why it cannot be.
    pub why: String,
}

/// The settings of a session besides T.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How many statefiles; none: as many SRs as are named, else one.
    #[serde(default)]
    pub statefiles: Option<usize>,
    /// Where the witness answers: a name or address, and a port.
    #[serde(default)]
    pub witness: Option<String>,
    /// Networks whose addresses are further links, in order.
    #[serde(default)]
    pub links: Vec<Uuid>,
    /// The program that switches hosts off, with its limit in seconds.
    #[serde(default)]
    pub fence_hook: Option<(PathBuf, u32)>,
    /// Whether a host that loses its place stops its VMs instead of being reset.
    #[serde(default)]
    pub stop_vms: bool,
    /// Whether a short T is taken although a daemon may be late on a busy machine.
    #[serde(default)]
    pub not_real_time: bool,
}

/// The keys that are known, for messages and completion.
pub const KEYS: [&str; 8] = [
    "timeout",
    "statefiles",
    "witness",
    "links",
    "fence-hook",
    "fence-hook-timeout",
    "isolation-response",
    "not-real-time",
];

impl BadSetting {
    /// The key as it was typed.
    pub fn field(&self) -> String {
        format!("ha-config:{}", self.key)
    }
}

impl Settings {
    /// Reads the map that comes with `pool-ha-enable`. An unknown key is refused: what would be
    /// ignored silently is missed when it counts.
    pub fn read(config: &BTreeMap<String, String>) -> Result<Self, BadSetting> {
        let mut settings = Settings::default();
        let mut limit_s = HOOK_LIMIT_S;
        for (key, value) in config {
            let bad = |why: String| BadSetting { key: key.clone(), value: value.clone(), why };
            match key.as_str() {
                "timeout" => {}
                "statefiles" => settings.statefiles = Some(statefiles(value).map_err(bad)?),
                "witness" => settings.witness = Some(witness(value).map_err(bad)?),
                "links" => settings.links = links(value).map_err(bad)?,
                "fence-hook" => settings.fence_hook = Some((hook(value).map_err(bad)?, 0)),
                "fence-hook-timeout" => limit_s = limit(value).map_err(bad)?,
                "isolation-response" => settings.stop_vms = stop_vms(value).map_err(bad)?,
                "not-real-time" => settings.not_real_time = allow(value).map_err(bad)?,
                _ => {
                    let known = KEYS.join(", ");
                    return Err(bad(format!("there is no such setting; known are {known}")));
                }
            }
        }
        if let Some((_, limit)) = &mut settings.fence_hook {
            *limit = limit_s;
        }
        Ok(settings)
    }
}

fn statefiles(value: &str) -> Result<usize, String> {
    match value.parse() {
        Ok(count @ (1 | 3 | 5)) => Ok(count),
        Ok(count @ (2 | 4)) => Err(format!(
            "{count} stop when half of them are lost, sooner than {} would; take one, three or \
             five, or name the SRs and a witness",
            count - 1
        )),
        _ => Err("one, three or five statefiles can be used".to_owned()),
    }
}

fn witness(value: &str) -> Result<String, String> {
    let (name, port) = value.rsplit_once(':').unwrap_or((value, ""));
    match port.parse::<u16>() {
        Ok(1..) if !name.is_empty() => Ok(value.to_owned()),
        _ => Err("it must be HOST:PORT".to_owned()),
    }
}

fn links(value: &str) -> Result<Vec<Uuid>, String> {
    let uuid = |word: &str| {
        Uuid::parse_str(word).map_err(|_| match word {
            "" => "a network's UUID is missing; see 'xe network-list'".to_owned(),
            _ => format!("{word} is no UUID; see 'xe network-list'"),
        })
    };
    let links: Vec<Uuid> = value.split(',').map(str::trim).map(uuid).collect::<Result<_, _>>()?;
    let known: BTreeSet<&Uuid> = links.iter().collect();
    match links.len() {
        named if named > known.len() => Err("a network is named twice".to_owned()),
        named if named >= MOST_LINKS => Err(format!(
            "at most {} networks can be used beside the management network",
            MOST_LINKS - 1
        )),
        _ => Ok(links),
    }
}

fn hook(value: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(value);
    match path.is_absolute() {
        true => Ok(path),
        false => Err("the program must be named by its whole path, the same on all hosts".into()),
    }
}

fn limit(value: &str) -> Result<u32, String> {
    let seconds = value.parse().ok().filter(|seconds| (1..=600).contains(seconds));
    seconds.ok_or_else(|| "between 1 and 600 seconds".to_owned())
}

fn stop_vms(value: &str) -> Result<bool, String> {
    match value {
        "fence" => Ok(false),
        "stop-vms" => Ok(true),
        _ => Err("either fence or stop-vms".to_owned()),
    }
}

fn allow(value: &str) -> Result<bool, String> {
    match value {
        "refuse" => Ok(false),
        "allow" => Ok(true),
        _ => Err("either allow or refuse".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, BadSetting> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Settings::read(&pairs.iter().map(own).collect())
    }

    #[test]
    fn every_setting_is_read() {
        let network = Uuid::from_u128(7);
        let settings = read(&[
            ("timeout", "30"),
            ("statefiles", "3"),
            ("witness", "127.0.0.1:694"),
            ("links", &network.to_string()),
            ("fence-hook", "/opt/fence"),
            ("fence-hook-timeout", "12"),
            ("isolation-response", "stop-vms"),
            ("not-real-time", "allow"),
        ]);
        let wanted = Settings {
            statefiles: Some(3),
            witness: Some("127.0.0.1:694".to_owned()),
            links: vec![network],
            fence_hook: Some(("/opt/fence".into(), 12)),
            stop_vms: true,
            not_real_time: true,
        };
        assert_eq!(settings, Ok(wanted));
        assert_eq!(read(&[]), Ok(Settings::default()));
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_reason() {
        let one = Uuid::from_u128(1);
        let four = [1, 2, 3, 4].map(|n| Uuid::from_u128(n).to_string()).join(",");
        for (key, value, why) in [
            ("statefiles", "2", "half of them"),
            ("statefiles", "seven", "one, three or five"),
            ("witness", "nowhere", "HOST:PORT"),
            ("links", "eth0", "no UUID"),
            ("links", "", "UUID is missing"),
            ("links", &format!("{one},{one}"), "named twice"),
            ("links", &four, "at most 3 networks"),
            ("not-real-time", "yes", "either allow or refuse"),
            ("fence-hook", "fence.sh", "whole path"),
            ("fence-hook-timeout", "0", "between 1 and 600"),
            ("isolation-response", "reboot", "either fence or stop-vms"),
            ("fence-hok", "/opt/fence", "no such setting"),
        ] {
            let refused = read(&[(key, value)]).unwrap_err();
            assert!(refused.to_string().contains(why), "{refused}");
        }
    }
}
