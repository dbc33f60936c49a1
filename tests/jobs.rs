//! Jobs of a master on a real agent: what the host refuses whoever sends it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/machine.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod machine;

use machine::{HTTPS, Machine};
use uuid::Uuid;
use xe::agent::identity::Identity;
use xe::agent::jobs::{Done, Job, JobVm};
use xe::agent::peers::Peers;
use xe::host::faults::Faults;
use xe::xenapi::{Failure, Value};

/// The pool's word to one of its agents.
struct Master<'a> {
    peers: Peers,
    machine: &'a Machine,
}

impl Master<'_> {
    fn has(&self, epoch: i64, job: &Job) -> Result<Done, Failure> {
        let text = serde_json::to_string(job).unwrap();
        let params = [Value::Int(epoch), Value::from(text)];
        let answer = self.peers.call(&self.machine.address, "job", &params)?;
        Ok(serde_json::from_str(answer.as_str().unwrap()).unwrap())
    }

    fn found(&self, boot: &str) -> usize {
        match self.has(1, &Job::Scan { boot: boot.to_owned() }) {
            Ok(Done::Found(found)) => found.len(),
            other => panic!("{other:?}"),
        }
    }
}

fn vm(boot: &str) -> JobVm {
    JobVm {
        vm: Uuid::new_v4(),
        run: 1,
        boot: boot.to_owned(),
        name: "meant for one boot".to_owned(),
        memory: 1 << 20,
        vcpus: 1,
        driver: None,
        disks: Vec::new(),
    }
}

#[test]
fn what_was_meant_for_another_boot_of_the_host_is_not_begun() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let machine = Machine::new(dir.path(), "h1", "127.0.91.2");
    let identity = Identity::load(&machine.dir).unwrap();
    let peers = Peers::new(&identity, HTTPS, Faults::default()).unwrap();
    let master = Master { peers, machine: &machine };
    let boot = master.peers.brief(&machine.address, "boot").unwrap();
    let boot = boot.as_str().unwrap();
    let late = "the boot before this one";
    let jobs = [
        Job::Start { vm: vm(late), paused: false },
        Job::Resume { vm: vm(late), sr: Uuid::new_v4(), image: Uuid::new_v4() },
        Job::Receive { vm: vm(late) },
        Job::Scan { boot: late.to_owned() },
    ];
    for job in jobs {
        let refused = master.has(1, &job).unwrap_err();
        assert_eq!(refused.code, "HOST_STILL_BOOTING", "{job:?}: {refused:?}");
        assert!(refused.params[1].contains(late), "{refused:?}");
    }
    assert_eq!(master.found(boot), 0);
    master.has(1, &Job::Start { vm: vm(boot), paused: false }).unwrap();
    assert_eq!(master.found(boot), 1);
}
