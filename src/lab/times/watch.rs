//! When the others know that hosts are lost, and when a master may act on it.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::rig::Rig;
use crate::host::clock::boottime_ns;
use crate::xhad::control::Liveset;

/// How often a master is looked for once one of the others knows.
const LOOK: Duration = Duration::from_millis(5);

/// What the others came to know; CLOCK_BOOTTIME in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// When the first of them had a view without the victims and knew them dead.
    pub first: Option<u64>,
    /// When the last of them did: the victims' VMs may be started anywhere.
    pub all: Option<u64>,
    /// When one that knew it could act as master.
    pub master: Option<u64>,
}

/// Follows the survivors of a fault from before it happens.
pub struct Watch<'a> {
    rig: &'a Rig,
    survivors: Vec<usize>,
    sightings: Receiver<(usize, u64)>,
}

impl<'a> Watch<'a> {
    /// Subscribes to every host that is no victim.
    pub fn begin(rig: &'a Rig, victims: &[usize]) -> anyhow::Result<Self> {
        let lost: Vec<_> = victims.iter().map(|victim| rig.hosts[*victim].uuid).collect();
        let survivors: Vec<usize> =
            (0..rig.hosts.len()).filter(|host| !victims.contains(host)).collect();
        let (sender, sightings) = channel();
        for host in &survivors {
            let (host, lost, sender) = (*host, lost.clone(), sender.clone());
            // An hour: longer than any time-out, and the daemon's end ends the stream.
            let client = rig.hosts[host].client.clone().with_timeout(Duration::from_secs(3600));
            let mut stream = client.subscribe()?;
            std::thread::spawn(move || {
                if stream.any(|liveset| knows_dead(&liveset, &lost)) {
                    let _nobody_waits = sender.send((host, boottime_ns()));
                }
            });
        }
        Ok(Self { rig, survivors, sightings })
    }

    /// Waits until all of them know and one may act, but no longer than that.
    pub fn wait(&self, limit: Duration) -> Seen {
        let end = boottime_ns() + limit.as_nanos() as u64;
        let (mut seen, mut knowing) = (Seen::default(), BTreeSet::new());
        while boottime_ns() < end && (seen.all.is_none() || seen.master.is_none()) {
            let pause = if knowing.is_empty() { Duration::from_millis(100) } else { LOOK };
            match self.sightings.recv_timeout(pause) {
                Ok((host, t_ns)) => {
                    knowing.insert(host);
                    seen.first = Some(seen.first.map_or(t_ns, |first: u64| first.min(t_ns)));
                    if knowing.len() == self.survivors.len() {
                        seen.all = Some(t_ns);
                    }
                }
                // After the last sender has gone there is nothing to wait on.
                Err(_) => std::thread::sleep(LOOK),
            }
            if seen.master.is_none() && knowing.iter().any(|host| self.may_act(*host)) {
                seen.master = Some(boottime_ns());
            }
        }
        seen
    }

    fn may_act(&self, host: usize) -> bool {
        self.rig.hosts[host].client.check_lease().is_ok_and(|lease| lease.act)
    }
}

fn knows_dead(liveset: &Liveset, lost: &[uuid::Uuid]) -> bool {
    lost.iter().all(|host| {
        !liveset.members.contains(host) && liveset.dead.iter().any(|dead| dead.host == *host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::liveset::DeadBoot;
    use crate::heartbeat::view::Proof;
    use uuid::Uuid;

    #[test]
    fn a_host_is_lost_only_when_it_is_out_of_the_view_and_dead() {
        let (lost, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let dead =
            |host| DeadBoot { host, boot_id: String::new(), since_ns: 1, reason: Proof::Operator };
        let liveset = |members: &[Uuid], known: &[Uuid]| Liveset {
            members: members.to_vec(),
            dead: known.iter().map(|host| dead(*host)).collect(),
            ..Liveset::off()
        };
        assert!(knows_dead(&liveset(&[other], &[lost]), &[lost]));
        assert!(!knows_dead(&liveset(&[other], &[]), &[lost]), "it may still live");
        assert!(!knows_dead(&liveset(&[lost, other], &[lost]), &[lost]), "an earlier life of it");
        assert!(!knows_dead(&liveset(&[], &[lost]), &[lost, other]));
    }
}
