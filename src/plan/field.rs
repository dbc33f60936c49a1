//! The pool with every protected VM somewhere: what can fail, and what that costs.

use std::sync::Arc;

use super::census::Census;
use super::groups::Company;
use super::meter::Meter;
use super::pack::{Packed, Packing};
use super::size::Size;
use super::{Problem, Vm};

/// Room and load of every host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub census: Arc<Census>,
    /// What is left, by host; `None` for hosts that are no targets.
    pub room: Vec<Option<Size>>,
    /// Protected VMs by host, largest first.
    pub load: Vec<Vec<usize>>,
    /// (Group, host) of running VMs that are not in `load`.
    pub others: Arc<Vec<(usize, usize)>>,
    /// By tie: whether VMs that no survivor can run are left out instead of breaking the plan;
    /// never those that every host can run.
    excused: Vec<bool>,
}

impl Field {
    /// The running protected VMs on enabled hosts; the others are to be added.
    pub fn new(problem: &Problem) -> Self {
        let census = Census::new(problem);
        let room =
            problem.hosts.iter().map(|host| host.enabled.then(|| census.room(host))).collect();
        let mut load = vec![Vec::new(); problem.hosts.len()];
        for (index, vm) in problem.vms.iter().enumerate() {
            if let Some(host) = vm.host.filter(|_| vm.protected)
                && problem.hosts.get(host).is_some_and(|host| host.enabled)
            {
                load[host].push(index);
            }
        }
        for there in &mut load {
            there.sort_unstable_by_key(|vm| census.order(*vm));
        }
        let counted = |vm: &&Vm| !vm.protected;
        let others = problem.vms.iter().filter(counted).filter_map(|vm| vm.group.zip(vm.host));
        let others = Arc::new(others.collect());
        let (census, excused) = (Arc::new(census), Vec::new());
        let mut field = Self { census, room, load, others, excused };
        if problem.excuse_doomed {
            let targets = field.targets();
            let all = |tie: usize| targets.iter().all(|host| field.census.may(tie, *host));
            field.excused = (0..field.census.ties()).map(|tie| !all(tie)).collect();
            field.forget_those_tied_to_their_host();
        }
        field
    }

    /// They end with their host whatever is planned, and take no other host's room.
    fn forget_those_tied_to_their_host(&mut self) {
        for host in self.targets() {
            let mut load = std::mem::take(&mut self.load[host]);
            load.retain(|vm| self.savable(self.census.tie(*vm), |to| to != host));
            self.load[host] = load;
        }
    }

    /// Hosts that may fail and may be used.
    pub fn targets(&self) -> Vec<usize> {
        (0..self.room.len()).filter(|host| self.room[*host].is_some()).collect()
    }

    /// Starts a VM on a host; `false` when it has no room there.
    pub fn start(&mut self, vm: usize, host: usize) -> bool {
        if !self.take(vm, host) {
            return false;
        }
        if !self.savable(self.census.tie(vm), |to| to != host) {
            return true;
        }
        let census = &self.census;
        let at = self.load[host].partition_point(|there| census.order(*there) < census.order(vm));
        self.load[host].insert(at, vm);
        true
    }

    /// Takes the room of a VM on a host, to which nothing happens when it fails.
    pub fn take(&mut self, vm: usize, host: usize) -> bool {
        let need = self.census.need(vm);
        let Some(room) = self.room[host].filter(|room| need.fits(*room)) else { return false };
        self.room[host] = Some(need.out_of(room));
        true
    }

    /// Whether VMs of the tie are to be placed when only these targets are left.
    pub fn savable(&self, tie: usize, left: impl Fn(usize) -> bool) -> bool {
        !self.excused.get(tie).copied().unwrap_or(false)
            || (0..self.room.len())
                .any(|to| self.room[to].is_some() && left(to) && self.census.may(tie, to))
    }

    /// Takes back a [`Self::start`] or [`Self::take`].
    pub fn undo(&mut self, vm: usize, host: usize) {
        self.load[host].retain(|there| *there != vm);
        self.room[host] = self.room[host].map(|room| room.plus(self.census.need(vm)));
    }

    /// Places what the failed hosts ran.
    pub fn survives(&self, failed: &[usize], meter: &mut Meter) -> Packed {
        self.packing(failed).solve(meter)
    }

    /// What is to be placed when these hosts fail, and where.
    pub fn packing(&self, failed: &[usize]) -> Packing<'_> {
        let mut room = self.room.clone();
        failed.iter().for_each(|host| room[*host] = None);
        let mut lost: Vec<usize> =
            failed.iter().flat_map(|host| &self.load[*host]).copied().collect();
        if !self.excused.is_empty() {
            let ties = 0..self.census.ties();
            let savable: Vec<bool> =
                ties.map(|tie| self.savable(tie, |to| room[to].is_some())).collect();
            lost.retain(|vm| savable[self.census.tie(*vm)]);
        }
        let mut packing = Packing::new(&self.census, &room, lost);
        if self.census.grouped() {
            packing.company = self.company(failed);
        }
        packing
    }

    /// The VMs of groups that stay where they are.
    pub fn company(&self, failed: &[usize]) -> Company {
        let stays = |host: &usize| !failed.contains(host);
        let group = |vm: &usize| self.census.group(*vm);
        let loaded = (0..self.load.len()).filter(stays).flat_map(|host| {
            self.load[host].iter().filter_map(group).map(move |group| (group, host))
        });
        Company::of(self.others.iter().copied().filter(|(_, host)| stays(host)).chain(loaded))
    }

    /// VMs that some set of `r` hosts leaves without any host that can run them.
    pub fn doomed(&self, problem: &Problem, r: usize) -> Vec<usize> {
        let targets = self.targets();
        let reach = |tie: usize| targets.iter().filter(|host| self.census.may(tie, **host)).count();
        let count: Vec<usize> = (0..self.census.ties()).map(reach).collect();
        let doomed = |vm: &usize| {
            let it = &problem.vms[*vm];
            let tie = self.census.tie(*vm);
            // A VM on a host that cannot run it again ends only if that one fails as well.
            let home = it.host.filter(|host| self.room.get(*host).is_some_and(Option::is_some));
            let apart = home.is_some_and(|host| !self.census.may(tie, host));
            it.protected && count[tie] < targets.len() && count[tie] + usize::from(apart) <= r
        };
        (0..problem.vms.len()).filter(doomed).collect()
    }
}
