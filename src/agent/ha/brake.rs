//! The storm brake as a person meets it (R7.4): one alert while hosts are held back after several
//! fences in a row, and the word that ends their wait.

use super::near_misses::is_news;
use super::{client, is_armed, refusal};
use crate::agent::Agent;
use crate::heartbeat::liveset::Liveset;
use crate::heartbeat::node::MAJORITY_WAITS;
use crate::heartbeat::timing::Nanos;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use uuid::Uuid;

/// The alert's name.
pub const HELD_BACK: &str = "HA_HOST_HELD_BACK";

/// Ends the wait of a host, by uuid; of this one when none is given. A host that waits is no
/// member, so that its own agent is asked and not the master's.
pub fn release(agent: &Agent, host: &str) -> Answer {
    if host.is_empty() || host == agent.config.host.to_string() {
        return release_here(agent);
    }
    let db = agent.store.read();
    let unknown = || Failure::new("UUID_INVALID", ["host", host]);
    let row = db.by_uuid("host", host).ok_or_else(unknown)?;
    agent.peers.call(db.text("host", row, "address"), "ha_release", &[])
}

/// Ends the wait of this host.
pub fn release_here(agent: &Agent) -> Answer {
    if !is_armed(agent) {
        return Err(Failure::bare("HA_NOT_ENABLED"));
    }
    client(agent)?.release_brake().map_err(refusal)?;
    let why = "a person has ended the wait after several fences";
    agent.history.note("ha-released", why, serde_json::json!({}));
    Ok(Value::void())
}

/// What was told of hosts that are held back.
#[derive(Debug, Default)]
pub struct Alarm {
    /// The host in whose name it was told, while that one waits.
    told: Option<Uuid>,
    /// Whether they were a majority at the last look.
    most: bool,
    /// When the last wait of a majority ended that was told of.
    ended: Nanos,
}

impl Alarm {
    /// The host that an alert is due for, and its text: once while some wait, once more when they
    /// are a majority, and in another's name when the one that it was told of is back. A pool whose
    /// majority waited so has a master again only afterwards.
    pub fn news(&mut self, now: Nanos, liveset: &Liveset) -> Option<(Uuid, String)> {
        let held: Vec<Uuid> =
            liveset.hosts.iter().filter(|host| host.braked).map(|host| host.uuid).collect();
        let most = 2 * held.len() > liveset.hosts.len();
        self.told = self.told.filter(|host| held.contains(host));
        let grown = !std::mem::replace(&mut self.most, most) && most;
        let due = held.first().filter(|_| self.told.is_none() || grown);
        if let Some(first) = due {
            self.told = Some(*first);
            let names: Vec<String> = held.iter().map(Uuid::to_string).collect();
            let many = if most { "a majority of the pool, " } else { "" };
            let text = format!(
                "{many}{} came up after several fences within half an hour and waits, unarmed, \
                 until its paths have been clean for five minutes; when the cause is mended: xe \
                 host-ha-release uuid={first}",
                names.join(", ")
            );
            return Some((*first, text));
        }
        let fresh = |at: Nanos| at > self.ended && is_news(now, at);
        let over = liveset.events.iter().find(|event| {
            event.event == "held-no-more" && event.why == MAJORITY_WAITS && fresh(event.t_ns)
        })?;
        self.ended = over.t_ns;
        let text = "this host came up after several fences within half an hour, as most hosts of \
                    the pool waited; they have formed the pool again";
        Some((liveset.me?, text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::liveset::{Event, HostStatus};
    use crate::heartbeat::timing::SECOND;

    fn liveset(held: usize) -> Liveset {
        let host = |n: usize| HostStatus {
            braked: n < held,
            ..HostStatus::live(Uuid::from_u128(n as u128))
        };
        Liveset {
            me: Some(Uuid::from_u128(9)),
            hosts: (0..3).map(host).collect(),
            ..Liveset::off()
        }
    }

    #[test]
    fn hosts_that_are_held_back_are_told_of_once_and_again_when_they_are_most() {
        let mut alarm = Alarm::default();
        let mut news = |held| alarm.news(0, &liveset(held));
        assert_eq!(news(0), None);
        let (host, text) = news(1).unwrap();
        assert_eq!(host, Uuid::from_u128(0));
        assert!(text.contains(&format!("xe host-ha-release uuid={host}")), "{text}");
        assert_eq!(news(1), None);
        assert!(news(2).unwrap().1.starts_with("a majority"));
        assert_eq!(news(2), None);
        assert_eq!(news(0), None);
        assert!(news(1).is_some(), "the next storm");
    }

    #[test]
    fn an_alert_stands_as_long_as_a_host_is_held_back() {
        let mut alarm = Alarm::default();
        let (host, _) = alarm.news(0, &liveset(2)).unwrap();
        assert_eq!(host, Uuid::from_u128(0));
        // Its alert is withdrawn when it is back; the other one waits still.
        let mut set = liveset(2);
        set.hosts[0].braked = false;
        let (host, _) = alarm.news(0, &set).unwrap();
        assert_eq!(host, Uuid::from_u128(1));
        assert_eq!(alarm.news(0, &set), None);
    }

    #[test]
    fn a_master_that_comes_of_a_waiting_majority_tells_of_it_once() {
        let mut alarm = Alarm::default();
        let event = Event {
            t_ns: 5 * SECOND,
            event: "held-no-more".to_owned(),
            why: MAJORITY_WAITS.to_owned(),
            host: None,
            epoch: 3,
        };
        let set = Liveset { events: vec![event], ..liveset(0) };
        assert!(alarm.news(6 * SECOND, &set).is_some());
        assert_eq!(alarm.news(7 * SECOND, &set), None);
        assert_eq!(Alarm::default().news(99 * SECOND, &set), None, "long ago");
    }
}
