//! `xe-plan CASE.json [--json]`: the planner on a case file of the format `ha-plan-case/1`.

use std::process::ExitCode;

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

    fn report(&self, verdict: &Verdict) -> Answer {
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

/// Runs the program with the words after its name.
pub fn main(words: Vec<String>) -> ExitCode {
    let (switches, paths): (Vec<&String>, Vec<&String>) =
        words.iter().partition(|word| word.starts_with("--"));
    let (json, [path]) = (switches == ["--json"], paths.as_slice()) else {
        eprintln!("usage: xe-plan CASE.json [--json]");
        return ExitCode::from(2);
    };
    if !json && !switches.is_empty() {
        eprintln!("usage: xe-plan CASE.json [--json]");
        return ExitCode::from(2);
    }
    let read = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let case = match read.and_then(|text| Case::parse(&text)) {
        Ok(case) => case,
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    print(&case, json);
    ExitCode::SUCCESS
}

fn print(case: &Case, json: bool) {
    let verdict = max_failures(&case.problem, &Budget::default());
    let answer = case.report(&verdict);
    if json {
        println!("{}", serde_json::json!(answer));
        return;
    }
    println!("{}: tolerates {} failed hosts", case.name, answer.max_failures);
    if !answer.startable {
        println!("  the halted protected VMs cannot all be started");
    }
    if let Some(breaking) = &verdict.counterexample {
        let hosts = answer.counterexample.clone().unwrap_or_default().join(", ");
        println!("  without a plan: {hosts}; no room for {}", case.problem.vms[breaking.vm].id);
    }
    if !answer.proved {
        println!("  one failure more was not proved impossible; it counts as not tolerated");
    }
    if answer.one_by_one != "kept" {
        let (word, kept) = (answer.one_by_one, answer.max_one_by_one);
        println!("  one by one, in any order: {word}; {kept} are kept");
    }
    if !answer.doomed.is_empty() {
        let (vms, max) = (answer.doomed.join(", "), answer.max_failures_of_savable);
        println!("  no host is left that can run {vms}; the others: {max} failed hosts");
    }
    if answer.overcommitted {
        println!("  overcommitted: {} configured", case.failures_to_tolerate);
    }
    for (vm, host) in verdict.starts {
        println!("  {} would start on {}", case.problem.vms[vm].id, case.problem.hosts[host].id);
    }
}
