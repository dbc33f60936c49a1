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
    /// Way back: stop this host's daemon; if it is armed by now, have "off" decided first.
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
    Back { why: String, left: usize },
    Enabled,
    Undone(String),
}

/// One attempt to enable HA.
#[derive(Debug, Clone)]
pub struct Enable {
    hosts: Vec<Uuid>,
    stage: Stage,
}

impl Enable {
    /// Begins, after the pre-flight said yes.
    pub fn begin(hosts: &[Uuid]) -> (Self, Vec<Step>) {
        let enable = Enable { hosts: hosts.to_vec(), stage: Stage::Preparing };
        (enable, vec![Step::PrepareStatefile])
    }

    /// How it ended, once it has: enabled, or undone for that reason.
    pub fn outcome(&self) -> Option<Result<(), String>> {
        match &self.stage {
            Stage::Enabled => Some(Ok(())),
            Stage::Undone(why) => Some(Err(why.clone())),
            _ => None,
        }
    }

    /// Takes an event and gives the next steps.
    pub fn event(&mut self, event: Event) -> Vec<Step> {
        if let Stage::Back { why, left } = &mut self.stage {
            // Failures on the way back are for the administrator; nothing waits for them.
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.stage = Stage::Undone(why.clone());
            }
            return Vec::new();
        }
        match (&mut self.stage, event) {
            (_, Event::HostFailed(host, why)) => self.back(format!("host {host}: {why}")),
            (_, Event::Failed(why)) => self.back(why),
            (Stage::Preparing, Event::Done) => {
                self.stage = Stage::Keys(Awaited::all(&self.hosts));
                self.hosts.iter().copied().map(Step::HandOverKeys).collect()
            }
            (Stage::Keys(awaited), Event::HostDone(host)) => {
                if !awaited.answered(host) {
                    return Vec::new();
                }
                self.stage = Stage::Starting(Awaited::all(&self.hosts));
                self.hosts.iter().copied().map(Step::StartDaemon).collect()
            }
            (Stage::Starting(awaited), Event::HostDone(host)) => {
                if !awaited.answered(host) {
                    return Vec::new();
                }
                self.stage = Stage::Flag;
                vec![Step::SetPoolFlag]
            }
            (Stage::Flag, Event::Done) => {
                self.stage = Stage::Enabled;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn back(&mut self, why: String) -> Vec<Step> {
        let hosts = || self.hosts.iter().copied();
        let steps: Vec<Step> = match &self.stage {
            Stage::Preparing => vec![Step::EraseStatefile],
            Stage::Keys(_) => hosts().map(Step::ForgetKeys).chain([Step::EraseStatefile]).collect(),
            Stage::Starting(_) | Stage::Flag => hosts()
                .map(Step::StopDaemon)
                .chain(hosts().map(Step::ForgetKeys))
                .chain([Step::EraseStatefile])
                .collect(),
            Stage::Back { .. } | Stage::Enabled | Stage::Undone(_) => return Vec::new(),
        };
        self.stage = Stage::Back { why, left: steps.len() };
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
        let back = enable.event(Event::HostFailed(hosts()[2], "no packet arrives".to_owned()));
        assert_eq!(back.len(), 7);
        assert_eq!(back[0], Step::StopDaemon(hosts()[0]), "daemons stop before keys go");
        assert_eq!(back[6], Step::EraseStatefile);
        // A late success changes nothing any more.
        for _ in 0..7 {
            assert!(enable.event(Event::HostDone(hosts()[1])).is_empty());
        }
        let why = enable.outcome().unwrap().unwrap_err();
        assert!(why.contains(&hosts()[2].to_string()) && why.contains("no packet"));
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
