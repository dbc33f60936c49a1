//! Certificates as texts of the format `ha-plan-certificate/1`: what the planner answers of a case,
//! with all that is needed to see that it is so. Who reads one believes nothing that it says.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::case::Case;
use super::{Breaking, Budget, Certificate, ClassBound, Outcome, Plan, Why};
use super::{certify, check, max_failures};

const FORMAT: &str = "ha-plan-certificate/1";

/// A VM on a host, both by uuid.
type Place = (String, String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paper {
    format: String,
    /// The name of the case.
    case: String,
    /// So many hosts may fail together.
    tolerates: usize,
    /// Where halted protected VMs start for that.
    starts: Vec<Place>,
    /// What holds for all sets of hosts, or for most of them.
    bounds: Vec<Bound>,
    /// Where the VMs go when one of the other sets fails.
    plans: Vec<Placed>,
    /// One more host than that, and why these may not fail together.
    breaks: Option<Broken>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bound {
    sizes: (u64, u64),
    like: String,
    scale: [u64; 3],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Placed {
    hosts: Vec<String>,
    placed: Vec<Place>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Broken {
    hosts: Vec<String>,
    vm: String,
    why: Why,
}

/// The certificate of how many failures a case tolerates.
pub fn text(case: &Case) -> Result<String, String> {
    let (problem, budget) = (&case.problem, Budget::default());
    let verdict = max_failures(problem, &budget);
    if !verdict.startable {
        return Err("the halted protected VMs cannot all be started: there is no plan to certify"
            .to_owned());
    }
    let Outcome::Yes { certificate, starts, .. } = certify(problem, verdict.max, &budget) else {
        return Err(format!("a plan for {} failed hosts could not be proved", verdict.max));
    };
    let vm = |at: usize| problem.vms[at].id.clone();
    let hosts = |all: &[usize]| all.iter().map(|at| problem.hosts[*at].id.clone()).collect();
    let places = |all: &[(usize, usize)]| {
        all.iter().map(|(at, host)| (vm(*at), problem.hosts[*host].id.clone())).collect()
    };
    let bounds = certificate.bounds.iter().chain(&certificate.open);
    let bound = |it: &ClassBound| Bound { sizes: it.sizes, like: vm(it.like), scale: it.scale };
    let plan = |it: &Plan| Placed { hosts: hosts(&it.hosts), placed: places(&it.placed) };
    let broken = |it: Breaking| Broken { hosts: hosts(&it.hosts), vm: vm(it.vm), why: it.why };
    let paper = Paper {
        format: FORMAT.to_owned(),
        case: case.name.clone(),
        tolerates: verdict.max,
        starts: places(&starts),
        bounds: bounds.map(bound).collect(),
        plans: certificate.plans.iter().map(plan).collect(),
        breaks: verdict.counterexample.map(broken),
    };
    let text = serde_json::to_string_pretty(&paper).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

/// Verifies a certificate of a case; tells what was seen to hold, or what does not.
pub fn verify(case: &Case, text: &str) -> Result<String, String> {
    let paper: Paper =
        serde_json::from_str(text).map_err(|error| format!("this is no certificate: {error}"))?;
    if paper.format != FORMAT {
        return Err(format!("the format is {}, not {FORMAT}", paper.format));
    }
    let (pool, enabled) = (&case.problem, |host: &&super::Host| host.enabled);
    let count = pool.hosts.iter().filter(enabled).count();
    if paper.tolerates > count {
        let claimed = paper.tolerates;
        return Err(format!("it speaks of {claimed} failed hosts, and only {count} are enabled"));
    }
    let starts = Plan { hosts: Vec::new(), placed: case.places(&paper.starts)? };
    let mut certificate = Certificate::default();
    for it in &paper.bounds {
        let like = case.vm(&it.like)?;
        let (sizes, scale) = (it.sizes, it.scale);
        certificate.bounds.push(ClassBound { sizes, like, scale, worst: 0, limit: 0 });
    }
    for it in &paper.plans {
        let plan = Plan { hosts: case.hosts(&it.hosts)?, placed: case.places(&it.placed)? };
        certificate.plans.push(plan);
    }
    check::yes(pool, paper.tolerates, &starts, &certificate)
        .map_err(|open| format!("it does not hold: {}", case.in_words(&open)))?;
    let holds = match paper.tolerates {
        0 => "it holds: what waits can be started".to_owned(),
        1 => "it holds: any host may fail".to_owned(),
        many => format!("it holds: any {many} hosts may fail together"),
    };
    match paper.breaks {
        None => Ok(holds),
        Some(it) => Ok(format!("{holds}, {}", broken(case, paper.tolerates, &it)?)),
    }
}

/// Whether the set of one more host breaks the plan.
fn broken(case: &Case, tolerates: usize, it: &Broken) -> Result<String, String> {
    let hosts = case.hosts(&it.hosts)?;
    let names = it.hosts.join(", ");
    let off = |at: &usize| !case.problem.hosts[*at].enabled;
    if hosts.len() != tolerates + 1 || hosts.iter().any(off) {
        return Err(format!("it does not hold: {names} are not {} enabled hosts", tolerates + 1));
    }
    let breaking = Breaking { hosts, vm: case.vm(&it.vm)?, why: it.why };
    match check::no(&case.problem, &breaking) {
        Ok(true) => Ok(format!("and {names} may not: there is no room for {}", it.vm)),
        Ok(false) => Ok(format!("and that {names} may not rests on a search alone")),
        Err(_) => Err(format!("it does not hold: the reason against {names} is none")),
    }
}

impl Case {
    fn host(&self, id: &str) -> Result<usize, String> {
        let found = self.problem.hosts.iter().position(|host| host.id == id);
        found.ok_or_else(|| format!("the case has no host {id}"))
    }

    /// A set of hosts, as the planner has it.
    fn hosts(&self, ids: &[String]) -> Result<Vec<usize>, String> {
        let hosts: BTreeSet<usize> =
            ids.iter().map(|id| self.host(id)).collect::<Result<_, _>>()?;
        Ok(hosts.into_iter().collect())
    }

    fn vm(&self, id: &str) -> Result<usize, String> {
        let found = self.problem.vms.iter().position(|vm| vm.id == id);
        found.ok_or_else(|| format!("the case has no VM {id}"))
    }

    fn places(&self, places: &[Place]) -> Result<Vec<(usize, usize)>, String> {
        places.iter().map(|(vm, host)| Ok((self.vm(vm)?, self.host(host)?))).collect()
    }

    /// What the checker leaves open, with names.
    fn in_words(&self, open: &[usize]) -> String {
        if open.is_empty() {
            return "the VMs that wait do not fit as it says".to_owned();
        }
        let names = open.iter().map(|at| self.problem.hosts[*at].id.as_str());
        let names = names.collect::<Vec<_>>().join(", ");
        format!("no bound and no plan holds when {names} fail")
    }
}
