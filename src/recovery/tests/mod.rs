//! The recovery scenarios, one test each, named after their numbers.

mod hosts;
mod last_plan;
mod masters;
mod vms;
mod walk;

use std::collections::BTreeSet;

use super::example::id;
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A pool whose agent does at once what the policy asks, except for starts: these wait for
/// [`World::up`] or [`World::fail`].
struct World {
    pool: Pool,
    recovery: Recovery,
    now: Duration,
    /// Starts since the last look: (VM, host).
    starts: Vec<(u128, char)>,
    told: Vec<Message>,
    notes: usize,
}

fn number(host: char) -> u128 {
    0xA000 + host as u128
}

fn host_id(name: char) -> Uuid {
    id(number(name))
}

fn boot(name: char) -> Boot {
    example::boot(number(name))
}

/// Three live hosts with room for eight VMs each; the pool tolerates one failure.
fn world() -> World {
    let hosts = ['a', 'b', 'c'].map(|name| example::host(number(name), 8));
    let pool = example::pool(hosts.to_vec(), Vec::new());
    World {
        pool,
        recovery: Recovery::default(),
        now: HOUR,
        starts: Vec::new(),
        told: Vec::new(),
        notes: 0,
    }
}

impl World {
    /// A running VM of size 1.
    fn vm(&mut self, vm: u128, host: char, priority: Priority) -> &mut Vm {
        self.pool.vms.push(example::vm(vm, number(host), priority));
        self.pool.vms.last_mut().unwrap()
    }

    fn protected(&mut self, vm: u128, host: char) -> &mut Vm {
        self.vm(vm, host, Priority::Restart)
    }

    fn row(&mut self, vm: u128) -> &mut Vm {
        self.pool.vm_mut(id(vm)).unwrap()
    }

    fn host(&mut self, name: char) -> &mut Host {
        self.pool.host_mut(host_id(name)).unwrap()
    }

    fn event(&mut self, event: Event) {
        for action in self.recovery.step(self.now, &self.pool, event) {
            self.apply(action);
        }
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::MarkHalted { vm, loss } => {
                let row = self.pool.vm_mut(vm).unwrap();
                (row.power, row.residence, row.intent) = (Power::Halted, None, None);
                row.loss = loss;
            }
            Action::MarkRunning { vm, at } => {
                let row = self.pool.vm_mut(vm).unwrap();
                (row.power, row.residence, row.intent) = (Power::Running, Some(at), None);
                row.loss = Loss::No;
            }
            Action::ClearIntent { vm } => self.pool.vm_mut(vm).unwrap().intent = None,
            Action::SetLoss { vm, loss } => self.pool.vm_mut(vm).unwrap().loss = loss,
            Action::SetTries { vm, tries } => self.pool.vm_mut(vm).unwrap().tries = tries,
            Action::SetPromise { host, promise } => {
                self.pool.host_mut(host).unwrap().promise = promise;
            }
            Action::StayOff { vm } => self.pool.vm_mut(vm).unwrap().always_run = false,
            Action::Start { vm, intent } => {
                assert!(!self.pool.dead.contains(&intent.at), "started on a dead boot");
                let row = self.pool.vm_mut(vm).unwrap();
                assert_eq!((row.power, &row.residence), (Power::Halted, &None), "started twice");
                assert!(row.intent.is_none(), "started twice");
                assert!(intent.run > row.run, "the run number must grow");
                let host = ('a'..='z').find(|name| host_id(*name) == intent.at.host).unwrap();
                row.run = intent.run;
                row.intent = Some(intent);
                self.starts.push((vm.as_u128(), host));
            }
            Action::Tell(message) => self.told.push(message),
            Action::Note { .. } => self.notes += 1,
        }
    }

    fn starts(&mut self) -> Vec<u128> {
        std::mem::take(&mut self.starts).into_iter().map(|(vm, _)| vm).collect()
    }

    fn result(&mut self, vm: u128, result: StartResult) {
        let run = self.row(vm).run;
        self.event(Event::Started { vm: id(vm), run, result });
    }

    fn up(&mut self, vm: u128) {
        self.result(vm, StartResult::Running);
    }

    fn fail(&mut self, vm: u128, cause: &str) {
        self.result(vm, StartResult::Failed(cause.to_owned()));
    }

    /// All starts succeed until nothing is started any more; the order of the starts.
    fn run_on(&mut self) -> Vec<u128> {
        let mut all = Vec::new();
        loop {
            let starts = self.starts();
            if starts.is_empty() {
                return all;
            }
            for vm in starts {
                all.push(vm);
                self.up(vm);
            }
        }
    }

    fn later(&mut self, time: Duration) {
        self.now += time;
        self.event(Event::Tick);
    }

    /// Waits as the agent would: until the policy wants to be asked again.
    fn wake(&mut self) -> Duration {
        let wait = self.recovery.wake_at().unwrap() - self.now;
        self.later(wait);
        wait
    }

    /// The host leaves the view and its boot is dead.
    fn dies(&mut self, name: char) {
        self.host(name).live = false;
        self.pool.dead.insert(boot(name));
        self.event(Event::View { failed: vec![host_id(name)] });
    }

    fn ends(&mut self, vm: u128, how: End) {
        let row = self.row(vm);
        let (at, run) = (row.residence.clone().unwrap(), row.run);
        self.event(Event::Ended { vm: id(vm), run, at, how });
    }

    fn scanned(&mut self, host: char, found: &[u128]) {
        let found = found.iter().map(|vm| id(*vm)).collect();
        self.now += Duration::from_millis(1);
        let begun = self.now;
        self.event(Event::Scanned { at: boot(host), begun, found });
    }

    fn told(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.told).into_iter().map(|m| (m.name, m.body)).collect()
    }
}

const FAILED: &str = "HA_PROTECTED_VM_RESTART_FAILED";
