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
        3 => (1u64..200).prop_map(Step::Wait),
    ]
}

/// The world and what really runs, which rows may not know yet.
struct Truth {
    world: World,
    /// (VM, where): machines that really execute.
    real: Vec<(u128, Boot)>,
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
        Self { world, real, boots: 1 }
    }

    /// A start under way: its VM and where.
    fn pending(&self, index: usize) -> Option<(u128, Boot)> {
        let ours = |vm: &&Vm| vm.intent.as_ref().is_some_and(|intent| intent.ours);
        let pending: Vec<&Vm> = self.world.pool.vms.iter().filter(ours).collect();
        let vm = *pending.get(index % pending.len().max(1))?;
        Some((vm.uuid.as_u128(), vm.intent.clone()?.at))
    }

    /// A machine begins to execute; it must be the only one of its VM.
    fn begin(&mut self, vm: u128, at: &Boot) {
        assert!(self.real.iter().all(|(other, _)| *other != vm), "VM {vm} runs twice");
        self.real.push((vm, at.clone()));
    }

    fn scan(&mut self, at: &Boot) {
        let here = |(_, where_it_is): &&(u128, Boot)| where_it_is == at;
        let found = self.real.iter().filter(here).map(|(vm, _)| id(*vm)).collect();
        self.world.event(Event::Scanned { at: at.clone(), found });
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Dies(host) => self.dies(host),
            Step::Returns(host) => self.returns(host),
            Step::Crashes(index) if !self.real.is_empty() => {
                let (vm, at) = self.real.swap_remove(index % self.real.len());
                self.world.event(Event::Ended { vm: id(vm), at, how: End::Crash });
            }
            Step::Finishes(index) => {
                let Some((vm, at)) = self.pending(index) else { return };
                self.begin(vm, &at);
                self.world.up(vm);
            }
            Step::Fails(index) => {
                let Some((vm, _)) = self.pending(index) else { return };
                self.world.fail(vm, "VM_BAD");
            }
            Step::Unanswered(index, runs) => {
                let Some((vm, at)) = self.pending(index) else { return };
                if runs {
                    self.begin(vm, &at);
                }
                self.world.row(vm).intent.as_mut().unwrap().ours = false;
                self.world.result(vm, StartResult::Unknown);
            }
            Step::NewMaster => self.new_master(),
            Step::Scan(host) if self.world.pool.hosts[host].live => {
                let at = self.world.pool.hosts[host].boot.clone();
                self.scan(&at);
            }
            Step::Wait(seconds) => self.world.later(Duration::from_secs(seconds)),
            Step::Crashes(_) | Step::Scan(_) => {}
        }
    }

    fn dies(&mut self, host: usize) {
        let host = &mut self.world.pool.hosts[host];
        if !std::mem::replace(&mut host.live, false) {
            return;
        }
        let boot = host.boot.clone();
        self.real.retain(|(_, at)| *at != boot);
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
        self.world.pool.epoch += 1;
        while let Some((vm, at)) = self.pending(0) {
            self.world.row(vm).intent.as_mut().unwrap().ours = false;
            if vm % 2 == 0 {
                self.begin(vm, &at);
            }
        }
        self.world.event(Event::Tick);
    }

    /// All hosts are back, everything works: in the end all that is owed runs.
    fn heal(&mut self) {
        (0..3).for_each(|host| self.returns(host));
        (0..3).for_each(|host| self.take(Step::Scan(host)));
        for _ in 0..50 {
            while self.pending(0).is_some() {
                self.take(Step::Finishes(0));
            }
            self.world.later(Duration::from_secs(121));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

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
