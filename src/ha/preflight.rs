//! Before HA is enabled: every reason against it, or the figures of what it will bear (R9.1,
//! R1).

use core::net::SocketAddr;

use uuid::Uuid;

use crate::heartbeat::PROTOCOL;
use crate::heartbeat::timing::{Nanos, Promise, SECOND, Timing, TimingError};
use crate::heartbeat::view::MOST_HOSTS;

/// What is known of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The host.
    pub uuid: Uuid,
    /// Whether its agent answers.
    pub live: bool,
    /// Whether it is enabled to run VMs.
    pub enabled: bool,
    /// Whether the heartbeat SR is plugged there.
    pub plugged: bool,
    /// Whether the host sees the very statefile that the master prepared (its generation).
    pub same_statefile: bool,
    /// The step of its watchdog in nanoseconds, or why it has none.
    pub watchdog: Result<Nanos, String>,
    /// The longest disk cycle that it measured, in nanoseconds.
    pub disk_cycle: Nanos,
    /// The protocol that its daemon speaks.
    pub protocol: u16,
    /// Whether a session runs there already.
    pub armed: bool,
    /// Whether it can run the fence hook, if there is one, or why not.
    pub fence_hook: Result<(), String>,
    /// Whether the witness answers it, if there is one, or why not.
    pub witness: Result<(), String>,
}

/// A reason against enabling.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// A host does not answer.
    #[error("host {0} is offline")]
    Offline(Uuid),
    /// A host is disabled.
    #[error("host {0} is disabled; enable it first")]
    Disabled(Uuid),
    /// The heartbeat SR is not plugged on a host.
    #[error("the heartbeat SR is not plugged on host {0}")]
    NotPlugged(Uuid),
    /// Two hosts see different disks under one name (S35).
    #[error("host {0} does not see the same statefile; its SR leads to another disk")]
    OtherDisk(Uuid),
    /// A host cannot fence itself.
    #[error("host {host} has no usable watchdog: {reason}")]
    NoWatchdog {
        /// The host.
        host: Uuid,
        /// Why not.
        reason: String,
    },
    /// A host speaks another protocol (S119).
    #[error("host {host} speaks heartbeat protocol {theirs}, this host {PROTOCOL}; update it")]
    Protocol {
        /// The host.
        host: Uuid,
        /// Its protocol.
        theirs: u16,
    },
    /// A session runs already.
    #[error("host {0} is armed already")]
    Armed(Uuid),
    /// A host cannot run the program that switches others off.
    #[error("host {host} cannot run the fence hook: {reason}")]
    NoFenceHook {
        /// The host.
        host: Uuid,
        /// Why not.
        reason: String,
    },
    /// Hosts that the witness does not answer; they are told of at once, since most often it
    /// answers nobody.
    #[error(
        "the witness {witness} does not answer host {} ({reason}); run there 'xe xhad --witness' \
         with the key that 'xe pool-ha-witness-key' prints, and let UDP pass both ways",
        hosts.iter().map(Uuid::to_string).collect::<Vec<_>>().join(", host ")
    )]
    DeafWitness {
        /// Where it should answer.
        witness: SocketAddr,
        /// The hosts.
        hosts: Vec<Uuid>,
        /// Why the first of them has no answer.
        reason: String,
    },
    /// More hosts than a statefile has room for.
    #[error("the pool has {0} hosts; HA takes at most {MOST_HOSTS}")]
    TooMany(usize),
    /// T does not fit.
    #[error("{0}")]
    Timing(#[from] TimingError),
}

/// HA may be enabled, and this is what it will bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The timers.
    pub timing: Timing,
    /// How long disturbances may last without resetting anybody.
    pub promise: Promise,
    /// The longest disk cycle of any host, in nanoseconds; every daemon is told of it.
    pub disk_cycle: Nanos,
    /// Whether nothing but UUIDs tells which host is cut off: two hosts and no witness.
    pub even_odds: bool,
}

impl Verdict {
    /// The figures as lines for the administrator.
    pub fn lines(&self) -> Vec<String> {
        let s = |n: Nanos| format!("{:.1} s", n as f64 / SECOND as f64);
        let mut lines = vec![
            format!("a network disturbance may last {}", s(self.promise.network)),
            format!("a disk disturbance may last {}", s(self.promise.disk)),
            format!("a stall of the heartbeat daemon may last {}", s(self.promise.stall)),
            format!("a lost host is excluded about {} after its fault", s(self.timing.death())),
        ];
        lines.extend(self.warning().map(str::to_owned));
        lines
    }

    /// What an administrator should mend if that is possible.
    pub fn warning(&self) -> Option<&'static str> {
        let line = "two hosts and no witness: when only their link fails, the one with the lower \
                    weight, then the higher UUID, is reset";
        self.even_odds.then_some(line)
    }
}

/// Judges all hosts at once, so that the administrator sees every objection in one answer.
pub fn preflight(
    hosts: &[HostFacts],
    timeout_s: u32,
    witness: Option<SocketAddr>,
) -> Result<Verdict, Vec<Objection>> {
    let mut objections: Vec<Objection> = hosts.iter().flat_map(of_host).collect();
    objections.extend(witness.and_then(|witness| deaf(hosts, witness)));
    if hosts.len() > MOST_HOSTS {
        objections.push(Objection::TooMany(hosts.len()));
    }
    let live = || hosts.iter().filter(|host| host.live);
    let step = live().filter_map(|host| host.watchdog.as_ref().ok()).max().copied();
    let cycle = live().map(|host| host.disk_cycle).max().unwrap_or(0);
    match timing(timeout_s, hosts.len(), cycle, step.unwrap_or(0)) {
        Ok(timing) if objections.is_empty() => {
            let even_odds = hosts.len() == 2 && witness.is_none();
            Ok(Verdict { timing, promise: timing.promise(), disk_cycle: cycle, even_odds })
        }
        Ok(_) => Err(objections),
        Err(error) => {
            objections.push(Objection::Timing(error));
            Err(objections)
        }
    }
}

/// The daemons run the beat that follows from T alone, so a cycle must fit into that beat.
fn timing(t_s: u32, hosts: usize, cycle: Nanos, step: Nanos) -> Result<Timing, TimingError> {
    let plain = Timing::new(t_s, hosts, 0, step)?;
    if cycle <= plain.beat {
        return Ok(plain);
    }
    let fits = |t_s: &u32| Timing::new(*t_s, hosts, 0, step).is_ok_and(|t| cycle <= t.beat);
    let least_s = (t_s..=crate::heartbeat::timing::LARGEST_T)
        .find(fits)
        .unwrap_or(crate::heartbeat::timing::LARGEST_T);
    Err(TimingError::DiskTooSlow { cycle_ms: cycle / 1_000_000, least_s })
}

fn deaf(hosts: &[HostFacts], witness: SocketAddr) -> Option<Objection> {
    let without = || hosts.iter().filter(|host| host.live && host.witness.is_err());
    let reason = without().next()?.witness.clone().err()?;
    let hosts = without().map(|host| host.uuid).collect();
    Some(Objection::DeafWitness { witness, hosts, reason })
}

fn of_host(host: &HostFacts) -> Vec<Objection> {
    if !host.live {
        return vec![Objection::Offline(host.uuid)];
    }
    let mut found = Vec::new();
    if !host.enabled {
        found.push(Objection::Disabled(host.uuid));
    }
    if !host.plugged {
        found.push(Objection::NotPlugged(host.uuid));
    } else if !host.same_statefile {
        found.push(Objection::OtherDisk(host.uuid));
    }
    if let Err(reason) = &host.watchdog {
        found.push(Objection::NoWatchdog { host: host.uuid, reason: reason.clone() });
    }
    if host.protocol != PROTOCOL {
        found.push(Objection::Protocol { host: host.uuid, theirs: host.protocol });
    }
    if host.armed {
        found.push(Objection::Armed(host.uuid));
    }
    if let Err(reason) = &host.fence_hook {
        found.push(Objection::NoFenceHook { host: host.uuid, reason: reason.clone() });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u128) -> HostFacts {
        HostFacts {
            uuid: Uuid::from_u128(n),
            live: true,
            enabled: true,
            plugged: true,
            same_statefile: true,
            watchdog: Ok(10_000_000),
            disk_cycle: 20_000_000,
            protocol: PROTOCOL,
            armed: false,
            fence_hook: Ok(()),
            witness: Ok(()),
        }
    }

    fn preflight(hosts: &[HostFacts], timeout_s: u32) -> Result<Verdict, Vec<Objection>> {
        super::preflight(hosts, timeout_s, None)
    }

    #[test]
    fn a_witness_must_answer_every_host_and_then_two_hosts_need_no_warning() {
        let there: SocketAddr = "192.0.2.7:694".parse().unwrap();
        let judged = |hosts: &[HostFacts]| super::preflight(hosts, 30, Some(there));
        assert_eq!(judged(&[host(1), host(2)]).unwrap().warning(), None);
        let deaf = HostFacts { witness: Err("no answer came".to_owned()), ..host(2) };
        let refused = judged(&[host(1), deaf]).unwrap_err();
        let (two, sentence) = (Uuid::from_u128(2).to_string(), refused[0].to_string());
        assert_eq!(refused.len(), 1);
        for word in ["192.0.2.7:694", &two, "no answer came", "xe pool-ha-witness-key"] {
            assert!(sentence.contains(word), "{sentence}");
        }
        assert!(!sentence.contains(&Uuid::from_u128(1).to_string()), "{sentence}");
    }

    #[test]
    fn a_host_that_cannot_run_the_fence_hook_is_named() {
        let lacks = HostFacts { fence_hook: Err("/opt/fence is no file".to_owned()), ..host(2) };
        let refused = preflight(&[host(1), lacks], 30).unwrap_err();
        let hook = Objection::NoFenceHook {
            host: Uuid::from_u128(2),
            reason: "/opt/fence is no file".into(),
        };
        assert_eq!(refused, [hook]);
    }

    #[test]
    fn a_healthy_pool_is_told_what_it_will_bear() {
        let verdict = preflight(&[host(1), host(2), host(3)], 30).unwrap();
        assert_eq!(verdict.lines()[0], "a network disturbance may last 24.8 s");
        assert_eq!(verdict.lines()[1], "a disk disturbance may last 25.2 s");
        assert_eq!(verdict.lines().len(), 4);
        assert_eq!(preflight(&[host(1), host(2)], 30).unwrap().lines().len(), 5);
    }

    #[test]
    fn s91_a_host_that_is_offline_or_disabled_is_named() {
        let off = HostFacts { live: false, ..host(2) };
        let disabled = HostFacts { enabled: false, plugged: false, ..host(3) };
        assert_eq!(
            preflight(&[host(1), off, disabled], 30),
            Err(vec![
                Objection::Offline(Uuid::from_u128(2)),
                Objection::Disabled(Uuid::from_u128(3)),
                Objection::NotPlugged(Uuid::from_u128(3)),
            ])
        );
    }

    #[test]
    fn a_t_too_small_for_watchdog_or_disk_is_refused_with_the_least() {
        let coarse = HostFacts { watchdog: Ok(SECOND), ..host(1) };
        let refused = preflight(&[coarse], 3).unwrap_err();
        let least = TimingError::WatchdogTooCoarse { step_ms: 1000, least_s: 10 };
        assert_eq!(refused, [Objection::Timing(least)]);
        let slow = HostFacts { disk_cycle: 400_000_000, ..host(1) };
        let refused = preflight(&[slow], 10).unwrap_err();
        let least = TimingError::DiskTooSlow { cycle_ms: 400, least_s: 12 };
        assert_eq!(refused, [Objection::Timing(least)]);
    }

    #[test]
    fn s35_s109_s119_other_disks_protocols_and_missing_watchdogs_are_refused() {
        let other = HostFacts { same_statefile: false, ..host(1) };
        let old = HostFacts { protocol: 0, watchdog: Err("none".to_owned()), ..host(2) };
        assert_eq!(preflight(&[other, old], 30).unwrap_err().len(), 3);
    }
}
