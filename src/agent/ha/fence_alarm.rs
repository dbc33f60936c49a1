//! One alert for each host that the fence device could not switch off (R5.3d): of an unarmed host
//! nothing else but a person can say that it is off.

use super::near_misses::is_news;
use crate::heartbeat::liveset::Liveset;
use crate::heartbeat::timing::Nanos;
use std::collections::BTreeSet;
use uuid::Uuid;

/// The alert's name.
pub const FENCE_FAILED: &str = "HA_FENCE_DEVICE_FAILED";

/// The hosts that were told of.
#[derive(Debug, Default)]
pub struct FenceAlarm(BTreeSet<Uuid>);

impl FenceAlarm {
    /// The host that an alert is due for, and its text; the device is asked again and again, the
    /// alert comes once, until that host is a member again or known to be dead.
    pub fn news(&mut self, now: Nanos, liveset: &Liveset) -> Option<(Uuid, String)> {
        self.0.retain(|host| liveset.unknown.contains(host));
        let failed = liveset
            .events
            .iter()
            .rev()
            .filter(|event| event.event == "fence-device-failed" && is_news(now, event.t_ns));
        let open = |host: &Uuid| liveset.unknown.contains(host) && !self.0.contains(host);
        let (host, why) = failed
            .filter_map(|event| Some((event.host?, event.why.clone())))
            .find(|(host, _)| open(host))?;
        self.0.insert(host);
        Some((host, format!("the fence device did not switch the host off: {why}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::liveset::Event;
    use crate::heartbeat::timing::SECOND;

    fn failed(host: Uuid, at: Nanos) -> Event {
        let (event, why) = ("fence-device-failed".to_owned(), "/fence: exit status: 1".to_owned());
        Event { t_ns: at, event, why, host: Some(host), epoch: 3 }
    }

    #[test]
    fn a_device_that_fails_again_and_again_is_told_of_once_while_the_host_is_unknown() {
        let host = Uuid::from_u128(3);
        let mut alarm = FenceAlarm::default();
        let mut set = Liveset { unknown: vec![host], ..Liveset::off() };
        assert_eq!(alarm.news(SECOND, &set), None);
        set.events.push(failed(host, SECOND));
        let (told, text) = alarm.news(2 * SECOND, &set).unwrap();
        assert!(told == host && text.contains("exit status: 1"), "{text}");
        set.events.push(failed(host, 32 * SECOND));
        assert_eq!(alarm.news(33 * SECOND, &set), None, "told already");
        set.unknown.clear();
        assert_eq!(alarm.news(34 * SECOND, &set), None);
        set.unknown.push(host);
        set.events.push(failed(host, 90 * SECOND));
        assert!(alarm.news(91 * SECOND, &set).is_some(), "its next life");
        assert_eq!(FenceAlarm::default().news(999 * SECOND, &set), None, "long ago");
    }
}
