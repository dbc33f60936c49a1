//! Random histories: whatever happens, nothing runs twice, and in the end everything owed runs.

use proptest::prelude::*;

use super::*;

/// One step of a history; numbers choose among what there is.
#[derive(Debug, Clone, Copy)]
enum Step {
    Dies(usize),
    Returns(usize),
    Crashes(usize),
    Finishes(usize),
    Fails(usize),
    Unanswered(usize, bool),
    NewMaster,
    Scan(usize),
    /// A scan whose answer arrives when the next one is asked for.
    SlowScan(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0usize..3).prop_map(Step::Dies),
        2 => (0usize..3).prop_map(Step::Returns),
        2 => (0usize..8).prop_map(Step::Crashes),
        6 => (0usize..8).prop_map(Step::Finishes),
        3 => (0usize..8).prop_map(Step::Fails),
        1 => (0usize..8, any::<bool>()).prop_map(|(vm, runs)| Step::Unanswered(vm, runs)),
        1 => Just(Step::NewMaster),
        2 => (0usize..3).prop_map(Step::Scan),
        2 => (0usize..3).prop_map(Step::SlowScan),
        3 => (1u64..200).prop_map(Step::Wait),
    ]
}

/// The world and what really runs, which rows may not know yet.
struct Truth {
    world: World,
    /// (VM, where): machines that really execute.
    real: Vec<(u128, Boot)>,
    /// Start commands on their way: what the rows say about them may be wrong.
    commands: Vec<(u128, Boot, u64)>,
    slow: Option<Event>,
    boots: u32,
}

impl Truth {
    fn new(priorities: &[bool]) -> Self {
        let mut world = world();
        for (vm, protected) in (1..).zip(priorities) {
            let host = ['a', 'b', 'c'][vm as usize % 3];
            let priority = if *protected { Priority::Restart } else { Priority::BestEffort };
            world.vm(vm, host, priority).order = i64::try_from(vm % 2).unwrap();
        }
        let real =
            world.pool.vms.iter().map(|vm| (vm.uuid.as_u128(), vm.residence.clone().unwrap()));
        let real = real.collect();
        Self { world, real, commands: Vec::new(), slow: None, boots: 1 }
    }

    /// A start command on its way, which is now over.
    fn command(&mut self, index: usize) -> Option<(u128, Boot, u64)> {
        for (vm, _) in std::mem::take(&mut self.world.starts) {
            let intent = self.world.row(vm).intent.clone().unwrap();
            self.commands.push((vm, intent.at, intent.run));
        }
        if self.commands.is_empty() {
            return None;
        }
        Some(self.commands.swap_remove(index % self.commands.len()))
    }

    fn result(&mut self, vm: u128, run: u64, result: StartResult) {
        self.world.event(Event::Started { vm: id(vm), run, result });
    }

    /// A machine begins to execute; it must be the only one of its VM.
    fn begin(&mut self, vm: u128, at: &Boot) {
        assert!(self.real.iter().all(|(other, _)| *other != vm), "VM {vm} runs twice");
        self.real.push((vm, at.clone()));
    }

    fn scan(&mut self, at: &Boot) -> Event {
        self.world.now += Duration::from_millis(1);
        let here = |(_, where_it_is): &&(u128, Boot)| where_it_is == at;
        let found = self.real.iter().filter(here).map(|(vm, _)| id(*vm)).collect();
        Event::Scanned { at: at.clone(), begun: self.world.now, found }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Dies(host) => self.dies(host),
            Step::Returns(host) => self.returns(host),
            Step::Crashes(index) if !self.real.is_empty() => {
                let (vm, at) = self.real.swap_remove(index % self.real.len());
                let run = self.world.row(vm).run;
                self.world.event(Event::Ended { vm: id(vm), run, at, how: End::Crash });
            }
            Step::Finishes(index) => {
                let Some((vm, at, run)) = self.command(index) else { return };
                self.begin(vm, &at);
                self.result(vm, run, StartResult::Running);
            }
            Step::Fails(index) => {
                let Some((vm, _, run)) = self.command(index) else { return };
                self.result(vm, run, StartResult::Failed("VM_BAD".to_owned()));
            }
            Step::Unanswered(index, runs) => {
                let Some((vm, at, run)) = self.command(index) else { return };
                if runs {
                    self.begin(vm, &at);
                }
                self.abandoned(vm, run);
                self.result(vm, run, StartResult::Unknown);
            }
            Step::NewMaster => self.new_master(),
            Step::Scan(host) if self.world.pool.hosts[host].live => {
                let at = self.world.pool.hosts[host].boot.clone();
                let scan = self.scan(&at);
                self.world.event(scan);
            }
            Step::SlowScan(host) if self.world.pool.hosts[host].live => {
                let at = self.world.pool.hosts[host].boot.clone();
                let scan = self.scan(&at);
                if let Some(before) = self.slow.replace(scan) {
                    self.world.event(before);
                }
            }
            Step::Wait(seconds) => self.world.later(Duration::from_secs(seconds)),
            Step::Crashes(_) | Step::Scan(_) | Step::SlowScan(_) => {}
        }
    }

    /// Nobody executes this start any more.
    fn abandoned(&mut self, vm: u128, run: u64) {
        if let Some(intent) = self.world.row(vm).intent.as_mut().filter(|open| open.run == run) {
            intent.ours = false;
        }
    }

    fn dies(&mut self, host: usize) {
        // Commands that wait in the world are looked at while their hosts still live.
        if let Some(command) = self.command(0) {
            self.commands.push(command);
        }
        let host = &mut self.world.pool.hosts[host];
        if !std::mem::replace(&mut host.live, false) {
            return;
        }
        let boot = host.boot.clone();
        self.real.retain(|(_, at)| *at != boot);
        self.commands.retain(|(_, at, _)| *at != boot);
        self.world.pool.dead.insert(boot.clone());
        self.world.event(Event::View { failed: vec![boot.host] });
    }

    fn returns(&mut self, host: usize) {
        let host = &mut self.world.pool.hosts[host];
        if host.live {
            return;
        }
        self.boots += 1;
        host.boot.boot_id = self.boots.to_string();
        host.live = true;
        self.world.event(Event::Changed);
    }

    /// Starts of the old master go on or not; the new one does not know, so it has scans made.
    fn new_master(&mut self) {
        self.world.recovery = Recovery::default();
        self.slow = None;
        self.world.pool.epoch += 1;
        while let Some((vm, at, run)) = self.command(0) {
            if vm % 2 == 0 {
                self.begin(vm, &at);
            }
            self.abandoned(vm, run);
        }
        self.world.event(Event::Tick);
    }

    /// All hosts are back, everything works: in the end all that is owed runs.
    fn heal(&mut self) {
        (0..3).for_each(|host| self.returns(host));
        (0..3).for_each(|host| self.take(Step::Scan(host)));
        for _ in 0..50 {
            while let Some(command) = self.command(0) {
                self.commands.push(command);
                self.take(Step::Finishes(0));
            }
            self.world.later(Duration::from_secs(121));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_runs_twice_and_protected_vms_come_back(
        priorities in prop::collection::vec(prop::bool::weighted(0.7), 1..8),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut truth = Truth::new(&priorities);
        for step in steps {
            truth.take(step);
        }
        truth.heal();
        for vm in &truth.world.pool.vms {
            let real = truth.real.iter().find(|(real, _)| id(*real) == vm.uuid);
            prop_assert_eq!(real.map(|(_, at)| at), vm.residence.as_ref());
            prop_assert!(real.is_some() || !vm.protected(), "{} is not back", vm.uuid);
        }
    }
}
