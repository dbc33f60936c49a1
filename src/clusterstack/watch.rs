//! When the toolstack is looked at, when it counts as well and when it is started again. Pure:
//! the time comes in as what has passed since the watch began.

use std::time::Duration;

use super::config::Parameters;

/// The longest pause between two restarts of a toolstack that stays unwell.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Begin a health check.
    Check,
    /// The health check takes too long: end it, it has failed.
    EndCheck,
    /// Start the toolstack again.
    Restart,
    /// The restart takes too long: end it.
    EndRestart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    None,
    Check { since: Duration },
    Restart { since: Duration },
}

/// The state of the watch.
#[derive(Debug)]
pub struct Watch {
    interval: Duration,
    check_limit: Duration,
    restart_limit: Duration,
    next_check: Duration,
    job: Job,
    well: bool,
    last_restart: Option<Duration>,
    restarts: u32,
}

fn seconds(n: u32) -> Duration {
    Duration::from_secs(u64::from(n))
}

impl Watch {
    /// A watch that begins now. A toolstack counts as well until a check says otherwise: it has
    /// just asked for the session.
    pub fn new(parameters: &Parameters) -> Self {
        Watch {
            interval: seconds(parameters.health_interval),
            check_limit: seconds(parameters.health_timeout),
            restart_limit: seconds(parameters.restart_timeout),
            next_check: seconds(parameters.health_interval),
            job: Job::None,
            well: true,
            last_restart: None,
            restarts: 0,
        }
    }

    /// Whether the last check ended well.
    pub fn is_well(&self) -> bool {
        self.well
    }

    /// The pause after the last restart: twice the interval, then twice as long each time.
    fn pause(&self) -> Duration {
        (self.interval * 2u32.saturating_pow(self.restarts.min(16))).min(LONGEST_PAUSE)
    }

    /// What is due at the time `now`.
    pub fn due(&mut self, now: Duration) -> Option<Due> {
        match self.job {
            Job::Check { since } => (now >= since + self.check_limit).then_some(Due::EndCheck),
            Job::Restart { since } => {
                (now >= since + self.restart_limit).then_some(Due::EndRestart)
            }
            Job::None if !self.well && self.may_restart(now) => {
                self.job = Job::Restart { since: now };
                self.restarts += 1;
                Some(Due::Restart)
            }
            Job::None if now >= self.next_check => {
                self.job = Job::Check { since: now };
                self.next_check = now + self.interval;
                Some(Due::Check)
            }
            Job::None => None,
        }
    }

    fn may_restart(&self, now: Duration) -> bool {
        self.last_restart.is_none_or(|last| now >= last + self.pause())
    }

    /// The health check has ended. How long it took when it ended well.
    pub fn checked(&mut self, now: Duration, well: bool) -> Option<Duration> {
        let Job::Check { since } = self.job else { return None };
        self.job = Job::None;
        self.well = well;
        let calm = self.last_restart.is_some_and(|last| now >= last + self.pause());
        if well && calm {
            self.restarts = 0;
        }
        well.then(|| now.saturating_sub(since))
    }

    /// The restart has ended; what came of it, the next check tells at once.
    pub fn restarted(&mut self, now: Duration) {
        self.job = Job::None;
        self.last_restart = Some(now);
        self.next_check = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clusterstack::text::Times;

    fn watch() -> Watch {
        let read = Times::default().read().unwrap();
        Watch::new(&Parameters { health_timeout: 120, restart_timeout: 300, ..read })
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_well_toolstack_is_looked_at_once_in_an_interval() {
        let mut watch = watch();
        assert_eq!(watch.due(at(59)), None);
        assert_eq!(watch.due(at(60)), Some(Due::Check));
        assert_eq!(watch.due(at(61)), None, "one check at a time");
        assert_eq!(watch.checked(at(62), true), Some(at(2)));
        assert_eq!(watch.due(at(119)), None);
        assert_eq!(watch.due(at(120)), Some(Due::Check));
        assert!(watch.is_well(), "a check that runs takes nothing away");
    }

    #[test]
    fn a_check_that_hangs_fails_and_a_failure_restarts() {
        let mut watch = watch();
        watch.due(at(60));
        assert_eq!(watch.due(at(179)), None);
        assert_eq!(watch.due(at(180)), Some(Due::EndCheck));
        watch.checked(at(180), false);
        assert!(!watch.is_well());
        assert_eq!(watch.due(at(180)), Some(Due::Restart));
        assert_eq!(watch.due(at(479)), None);
        assert_eq!(watch.due(at(480)), Some(Due::EndRestart));
        watch.restarted(at(480));
        assert_eq!(watch.due(at(480)), Some(Due::Check), "looked at at once");
        assert!(!watch.is_well(), "only a check makes it well again");
        watch.checked(at(481), true);
        assert!(watch.is_well());
    }

    #[test]
    fn restarts_become_rarer_and_never_end() {
        let mut watch = watch();
        let (mut restarts, mut now) = (Vec::new(), 0);
        while restarts.len() < 9 {
            match watch.due(at(now)) {
                Some(Due::Check) => _ = watch.checked(at(now), false),
                Some(Due::Restart) => {
                    restarts.push(now);
                    watch.restarted(at(now));
                }
                _ => now += 1,
            }
        }
        let gaps: Vec<u64> = restarts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps, [120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    }

    #[test]
    fn a_calm_time_forgets_the_restarts() {
        let mut watch = watch();
        watch.due(at(60));
        watch.checked(at(60), false);
        watch.due(at(60));
        watch.restarted(at(60));
        for now in [61, 121, 181, 241] {
            assert_eq!(watch.due(at(now)), Some(Due::Check));
            watch.checked(at(now), true);
        }
        watch.due(at(301));
        watch.checked(at(301), false);
        assert_eq!(watch.due(at(301)), Some(Due::Restart));
        assert_eq!(watch.pause(), at(120), "as after a first restart");
    }
}
