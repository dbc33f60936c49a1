//! Starts of VMs on this host, and those who must know that none is under way (R5.3c): a host that
//! leaves as an empty one, goes into maintenance, or disarms alone. They refuse VMs first, by a
//! mark of theirs, then wait for the starts that have not seen it. A lock of the kernel does this,
//! since the agent may stand still in between, and since a leave is a process of its own.

use super::Agent;
use crate::host::hypervisor::Found;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// How often, and how many times, a lock that is not free is tried.
const TRIES: (Duration, u32) = (Duration::from_millis(100), 300);

fn lock(state_dir: &Path) -> std::io::Result<File> {
    File::options().create(true).append(true).open(state_dir.join("starts.lock"))
}

/// To be held while a VM is started, from before the look at the marks until it shows in a scan.
pub fn begin(agent: &Agent) -> Answer<Option<File>> {
    let Some(state_dir) = &agent.state_dir else { return Ok(None) };
    let shared = lock(state_dir).and_then(|file| file.lock_shared().map(|()| file));
    shared.map(Some).map_err(|error| Failure::internal(error.to_string()))
}

/// Waits until no start is under way that began before this.
pub fn wait_for_earlier(state_dir: &Path) -> std::io::Result<()> {
    let file = lock(state_dir)?;
    for _ in 0..TRIES.1 {
        if file.try_lock().is_ok() {
            return Ok(());
        }
        std::thread::sleep(TRIES.0);
    }
    Err(std::io::Error::other("a VM is still being started here, or the agent stands still"))
}

/// What is on this host once no start is under way that began before this.
pub fn scan_after(agent: &Agent) -> Answer<Vec<Found>> {
    let internal = |error: &dyn std::fmt::Display| Failure::internal(error.to_string());
    if let Some(state_dir) = &agent.state_dir {
        wait_for_earlier(state_dir).map_err(|error| internal(&error))?;
    }
    agent.driver.scan().map_err(|error| internal(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_start_under_way_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (lock(dir.path()).unwrap(), lock(dir.path()).unwrap());
        first.lock_shared().unwrap();
        second.lock_shared().unwrap();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(300));
                drop(first);
                ended.store(true, Ordering::SeqCst);
                drop(second);
            });
            wait_for_earlier(dir.path()).unwrap();
            assert!(ended.load(Ordering::SeqCst), "both starts have ended");
        });
        wait_for_earlier(dir.path()).unwrap();
    }
}
