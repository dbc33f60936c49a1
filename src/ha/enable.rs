//! Enabling: blocks and keys first, then all daemons at once, the pool's flag last. A failure
//! before that takes everything back, and nobody is armed (R9.1, S92).

use uuid::Uuid;

use super::Awaited;

/// What the agent must do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write the initial state to the statefile.
    PrepareStatefile,
    /// Hand session, key and configuration to this host over the agents' own connection.
    HandOverKeys(Uuid),
    /// Have this host's daemon start with `form`; all at once, they wait for each other.
    StartDaemon(Uuid),
    /// Write "HA is on" to the pool's database.
    SetPoolFlag,
    /// Way back: stop this host's daemon; if it is armed by now, have "off" decided first, or
    /// every other member know.
    StopDaemon(Uuid),
    /// Way back: make this host forget session and key.
    ForgetKeys(Uuid),
    /// Way back: blank the statefile.
    EraseStatefile,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step without a host was done.
    Done,
    /// This host did its part.
    HostDone(Uuid),
    /// This host failed, or did not answer.
    HostFailed(Uuid, String),
    /// A step without a host failed.
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Preparing,
    Keys(Awaited),
    Starting(Awaited),
    Flag,
    /// Way back: the daemons end.
    Stopping(Awaited),
    /// Way back: so many steps are left.
    Cleaning(usize),
    Over,
}

/// One attempt to enable HA.
#[derive(Debug, Clone)]
pub struct Enable {
    hosts: Vec<Uuid>,
    stage: Stage,
    /// The first failure.
    failure: Option<String>,
    /// Hosts whose daemon did not end on the way back: they may be armed.
    armed: Vec<Uuid>,
}

impl Enable {
    /// Begins, after the pre-flight said yes.
    pub fn begin(hosts: &[Uuid]) -> (Self, Vec<Step>) {
        let (hosts, stage) = (hosts.to_vec(), Stage::Preparing);
        let enable = Enable { hosts, stage, failure: None, armed: Vec::new() };
        (enable, vec![Step::PrepareStatefile])
    }

    /// How it ended, once it has: enabled, or undone for that reason.
    pub fn outcome(&self) -> Option<Result<(), String>> {
        if self.stage != Stage::Over {
            return None;
        }
        let Some(why) = &self.failure else { return Some(Ok(())) };
        let armed = self.armed.iter().map(|host| format!("; host {host} may still be armed"));
        Some(Err(why.clone() + &armed.collect::<String>()))
    }

    /// Takes an event and gives the next steps. A failure is acted on once every host has
    /// answered: until then one of them may still become armed.
    pub fn event(&mut self, event: Event) -> Vec<Step> {
        let (host, fault) = match event {
            Event::Done => (None, None),
            Event::Failed(why) => (None, Some(why)),
            Event::HostDone(host) => (Some(host), None),
            Event::HostFailed(host, why) => (Some(host), Some(format!("host {host}: {why}"))),
        };
        let failed = fault.is_some();
        if let Some(fault) = fault {
            self.failure.get_or_insert(fault);
        }
        match (&mut self.stage, host) {
            (Stage::Preparing | Stage::Flag, None) => {}
            (Stage::Keys(awaited) | Stage::Starting(awaited), Some(host)) => {
                if !awaited.answered(host) {
                    return Vec::new();
                }
            }
            (Stage::Stopping(awaited), Some(host)) => {
                self.armed.extend(failed.then_some(host));
                if !awaited.answered(host) {
                    return Vec::new();
                }
            }
            (Stage::Cleaning(left), _) => {
                // Failures of these are for the administrator; nothing waits for them.
                *left -= 1;
                if *left > 0 {
                    return Vec::new();
                }
            }
            _ => return Vec::new(),
        }
        self.next()
    }

    /// The stage is over.
    fn next(&mut self) -> Vec<Step> {
        let (hosts, awaited) = (self.hosts.iter().copied(), Awaited::all(&self.hosts));
        let (stage, steps): (Stage, Vec<Step>) = match (&self.stage, &self.failure) {
            (Stage::Preparing, None) => {
                (Stage::Keys(awaited), hosts.map(Step::HandOverKeys).collect())
            }
            (Stage::Keys(_), None) => {
                (Stage::Starting(awaited), hosts.map(Step::StartDaemon).collect())
            }
            (Stage::Starting(_), None) => (Stage::Flag, vec![Step::SetPoolFlag]),
            (Stage::Starting(_) | Stage::Flag, Some(_)) => {
                (Stage::Stopping(awaited), hosts.map(Step::StopDaemon).collect())
            }
            (Stage::Preparing, Some(_)) => (Stage::Cleaning(1), vec![Step::EraseStatefile]),
            (Stage::Keys(_) | Stage::Stopping(_), _) => {
                let stopped = hosts.filter(|host| !self.armed.contains(host));
                let mut steps: Vec<Step> = stopped.map(Step::ForgetKeys).collect();
                if self.armed.is_empty() {
                    // A host that is armed reads there that HA was switched off.
                    steps.push(Step::EraseStatefile);
                }
                let stage =
                    if steps.is_empty() { Stage::Over } else { Stage::Cleaning(steps.len()) };
                (stage, steps)
            }
            (Stage::Flag | Stage::Cleaning(_) | Stage::Over, _) => (Stage::Over, Vec::new()),
        };
        self.stage = stage;
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Vec<Uuid> {
        (1..=3).map(Uuid::from_u128).collect()
    }

    #[test]
    fn the_flag_is_set_only_after_every_daemon_is_in_the_view() {
        let (mut enable, steps) = Enable::begin(&hosts());
        assert_eq!(steps, [Step::PrepareStatefile]);
        assert_eq!(enable.event(Event::Done).len(), 3);
        for host in hosts() {
            let steps = enable.event(Event::HostDone(host));
            assert_eq!(steps.is_empty(), host != hosts()[2]);
        }
        for host in &hosts()[..2] {
            assert!(enable.event(Event::HostDone(*host)).is_empty());
        }
        assert_eq!(enable.event(Event::HostDone(hosts()[2])), [Step::SetPoolFlag]);
        assert_eq!(enable.outcome(), None);
        enable.event(Event::Done);
        assert_eq!(enable.outcome(), Some(Ok(())));
    }

    #[test]
    fn s92_one_host_fails_to_join_and_everything_is_taken_back() {
        let (mut enable, _) = Enable::begin(&hosts());
        enable.event(Event::Done);
        hosts().into_iter().for_each(|host| drop(enable.event(Event::HostDone(host))));
        enable.event(Event::HostDone(hosts()[0]));
        assert!(enable.event(Event::HostFailed(hosts()[2], "no packet arrives".into())).is_empty());
        // Whoever has not answered yet may become armed.
        let stops = enable.event(Event::HostDone(hosts()[1]));
        assert_eq!(stops, hosts().into_iter().map(Step::StopDaemon).collect::<Vec<_>>());
        enable.event(Event::HostDone(hosts()[2]));
        enable.event(Event::HostDone(hosts()[0]));
        let cleaning = enable.event(Event::HostDone(hosts()[1]));
        assert_eq!(cleaning[2..], [Step::ForgetKeys(hosts()[2]), Step::EraseStatefile]);
        for _ in 0..4 {
            assert_eq!(enable.outcome(), None);
            assert!(enable.event(Event::Done).is_empty());
        }
        let why = enable.outcome().unwrap().unwrap_err();
        assert!(why.contains(&hosts()[2].to_string()) && why.contains("no packet"));
    }

    #[test]
    fn a_host_that_stays_armed_keeps_its_keys_and_can_read_the_statefile() {
        let (mut enable, _) = Enable::begin(&hosts());
        enable.event(Event::Done);
        for _ in 0..2 {
            hosts().into_iter().for_each(|host| drop(enable.event(Event::HostDone(host))));
        }
        assert_eq!(enable.event(Event::Failed("the database is full".into())).len(), 3);
        enable.event(Event::HostDone(hosts()[0]));
        enable.event(Event::HostDone(hosts()[1]));
        let cleaning = enable.event(Event::HostFailed(hosts()[2], "no answer".into()));
        assert_eq!(cleaning, [Step::ForgetKeys(hosts()[0]), Step::ForgetKeys(hosts()[1])]);
        enable.event(Event::Done);
        enable.event(Event::Done);
        let why = enable.outcome().unwrap().unwrap_err();
        assert!(why.contains("is full") && why.contains("may still be armed"), "{why}");
    }

    #[test]
    fn a_statefile_that_cannot_be_written_leaves_the_hosts_alone() {
        let (mut enable, _) = Enable::begin(&hosts());
        let back = enable.event(Event::Failed("disk full".to_owned()));
        assert_eq!(back, [Step::EraseStatefile]);
        enable.event(Event::Failed("still full".to_owned()));
        assert_eq!(enable.outcome(), Some(Err("disk full".to_owned())));
    }
}
