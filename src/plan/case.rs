//! A case for the planner, of the format `ha-plan-case/1`, and the answer to it.

use serde::{Deserialize, Serialize};

use super::{Budget, Host, Problem, Sequences, Verdict, Vm, max_failures};

#[derive(Deserialize)]
struct CaseHost {
    uuid: String,
    memory_total: u64,
    memory_free: u64,
    enabled: bool,
}

#[derive(Deserialize)]
struct CaseVm {
    uuid: String,
    memory: u64,
    host: Option<String>,
    priority: String,
    #[serde(default)]
    allowed_hosts: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct CaseFile {
    format: String,
    #[serde(default)]
    name: String,
    hosts: Vec<CaseHost>,
    vms: Vec<CaseVm>,
    failures_to_tolerate: u64,
}

/// A planner case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The pool.
    pub problem: Problem,
    /// The configured number of failures.
    pub failures_to_tolerate: u64,
}

/// The answer as the object of `--json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Failures that the pool tolerates.
    pub max_failures: usize,
    /// Whether the halted protected VMs can start at all.
    pub startable: bool,
    /// Whether fewer are tolerated than configured.
    pub overcommitted: bool,
    /// Uuids of hosts whose failure has no plan.
    pub counterexample: Option<Vec<String>>,
    /// Whether one failure more is known to be impossible.
    pub proved: bool,
    /// Whether the failures may also come one by one, in any order: "kept", "breaks" or "not
    /// proved".
    pub one_by_one: &'static str,
    /// Failures that are known to be tolerated so.
    pub max_one_by_one: usize,
    /// Uuids of VMs that one failure more can leave without any host that can run them.
    pub doomed: Vec<String>,
    /// Failures that the pool tolerates when those are left out where they cannot be saved.
    pub max_failures_of_savable: usize,
}

impl Case {
    /// Reads a case; the error names what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: CaseFile = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if file.format != "ha-plan-case/1" {
            return Err(format!("the format is {}, not ha-plan-case/1", file.format));
        }
        let find = |uuid: &str| {
            let found = file.hosts.iter().position(|host| host.uuid == uuid);
            found.ok_or_else(|| format!("no host has the uuid {uuid}"))
        };
        let vm = |vm: &CaseVm| {
            let allowed = vm.allowed_hosts.as_ref();
            Ok(Vm {
                id: vm.uuid.clone(),
                memory: vm.memory,
                host: vm.host.as_deref().map(find).transpose()?,
                protected: vm.priority == "restart",
                allowed: allowed
                    .map(|hosts| hosts.iter().map(|uuid| find(uuid)).collect())
                    .transpose()?,
                ..Vm::default()
            })
        };
        let vms = file.vms.iter().map(vm).collect::<Result<_, String>>()?;
        let host = |host: &CaseHost| Host {
            id: host.uuid.clone(),
            total: host.memory_total,
            free: host.memory_free,
            enabled: host.enabled,
            ..Host::default()
        };
        let hosts = file.hosts.iter().map(host).collect();
        let problem = Problem { hosts, vms, ..Problem::default() };
        Ok(Self { name: file.name, problem, failures_to_tolerate: file.failures_to_tolerate })
    }

    /// Answers it.
    pub fn answer(&self, budget: &Budget) -> Answer {
        self.report(&max_failures(&self.problem, budget))
    }

    /// What a verdict says of it.
    pub fn report(&self, verdict: &Verdict) -> Answer {
        let name = |host: &usize| self.problem.hosts[*host].id.clone();
        Answer {
            max_failures: verdict.max,
            startable: verdict.startable,
            overcommitted: !verdict.startable || self.failures_to_tolerate > verdict.max as u64,
            counterexample: verdict
                .counterexample
                .as_ref()
                .map(|breaking| breaking.hosts.iter().map(name).collect()),
            proved: verdict.proved,
            one_by_one: match verdict.one_by_one {
                Sequences::Kept => "kept",
                Sequences::Breaks { .. } => "breaks",
                Sequences::NotProved => "not proved",
            },
            max_one_by_one: verdict.max_one_by_one,
            doomed: verdict.doomed.iter().map(|vm| self.problem.vms[*vm].id.clone()).collect(),
            max_failures_of_savable: verdict.max_of_savable,
        }
    }
}
