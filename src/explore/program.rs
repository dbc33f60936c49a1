//! `xe-sim explore`: explores pools and prints what was found.

use std::process::ExitCode;

use super::action::Action;
use super::search::{Outcome, explore};
use super::setup::{Moves, Setup};
use super::trace;
use crate::heartbeat::variant::Variant;

const USAGE: &str = "usage: xe-sim explore [--config NAME|all] [--most-states N] [--depth TICKS]\n\
    [--faults F] [--boots B] [--slow S] [--moves crash,net,...] [--json], or\n\
    xe-sim explore variants [--config NAME|all] ...\n\
    Explores small pools wholly, or up to N states (200000), and prints a shortest trace to what\n\
    must not be. `variants` does so with each rule broken in turn (feature wrong-variants).\n\
    --variant NAME breaks one. Exit code 1 on a violation, with `variants` when none is caught.";

/// How many situations are kept at most unless another number is given.
const MOST_STATES: usize = 200_000;

/// What was asked for.
#[derive(Debug)]
struct Asked {
    variants: bool,
    setups: Vec<Setup>,
    most_states: usize,
    json: bool,
}

/// Runs the program with the words after `explore`.
pub fn run(words: &[String]) -> ExitCode {
    let asked = match parse(words) {
        Ok(asked) => asked,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let well = if asked.variants { run_variants(&asked) } else { run_setups(&asked) };
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(words: &[String]) -> Result<Asked, String> {
    let mut asked =
        Asked { variants: false, setups: Setup::all(), most_states: MOST_STATES, json: false };
    let (mut depth, mut faults, mut variant) = (None, None, None);
    let (mut boots, mut slow, mut moves) = (None, None, None);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "variants" => asked.variants = true,
            "--json" => asked.json = true,
            _ => {
                let value = rest.next().ok_or_else(|| format!("{word} has no value"))?;
                let bad = || format!("{word} {value} was not understood");
                match word.as_str() {
                    "--config" if value == "all" => {}
                    "--config" => asked.setups = vec![Setup::named(value).ok_or_else(bad)?],
                    "--most-states" => asked.most_states = value.parse().map_err(|_| bad())?,
                    "--depth" => depth = Some(value.parse().map_err(|_| bad())?),
                    "--faults" => faults = Some(value.parse().map_err(|_| bad())?),
                    "--boots" => boots = Some(value.parse().map_err(|_| bad())?),
                    "--slow" => slow = Some(value.parse().map_err(|_| bad())?),
                    "--moves" => moves = Some(Moves::named(value).ok_or_else(bad)?),
                    "--variant" => variant = Some(variant_named(value).ok_or_else(bad)?),
                    _ => return Err(format!("{word} is unknown")),
                }
            }
        }
    }
    if (asked.variants || variant.is_some()) && !cfg!(feature = "wrong-variants") {
        return Err("this program was built without the feature wrong-variants".to_owned());
    }
    for setup in &mut asked.setups {
        setup.depth = depth.unwrap_or(setup.depth);
        setup.budget.faults = faults.unwrap_or(setup.budget.faults);
        setup.budget.boots = boots.unwrap_or(setup.budget.boots);
        setup.budget.slow = slow.unwrap_or(setup.budget.slow);
        setup.moves = moves.unwrap_or(setup.moves);
        setup.variant = variant;
    }
    Ok(asked)
}

fn variant_named(name: &str) -> Option<Variant> {
    Variant::ALL.iter().copied().find(|variant| variant.word() == name)
}

fn run_setups(asked: &Asked) -> bool {
    let mut well = true;
    for setup in &asked.setups {
        let outcome = explore(setup, asked.most_states);
        well &= outcome.violation.is_none();
        let story = match &outcome.violation {
            Some((_, actions)) => trace::lines(setup, actions),
            None => Vec::new(),
        };
        if asked.json {
            println!("{}", object(setup, &outcome, &story));
            continue;
        }
        println!("{}", summary(setup, &outcome));
        if let Some((why, _)) = &outcome.violation {
            println!("  {why}\n  {}", story.join("\n  "));
        }
    }
    well
}

fn summary(setup: &Setup, outcome: &Outcome) -> String {
    let yes = if outcome.complete { "yes" } else { "no" };
    let violations = usize::from(outcome.violation.is_some());
    format!(
        "explored config={} states={} transitions={} depth={} complete={yes} \
         violations={violations}",
        setup.name, outcome.states, outcome.transitions, outcome.depth
    )
}

fn object(setup: &Setup, outcome: &Outcome, story: &[String]) -> serde_json::Value {
    let why = outcome.violation.as_ref().map(|(why, _)| why);
    serde_json::json!({
        "config": setup.name,
        "what": setup.what,
        "states": outcome.states,
        "transitions": outcome.transitions,
        "depth": outcome.depth,
        "complete": outcome.complete,
        "violations": usize::from(why.is_some()),
        "why": why,
        "trace": story,
    })
}

/// Breaks each rule in turn; whether any was caught.
fn run_variants(asked: &Asked) -> bool {
    let mut caught = 0;
    for variant in Variant::ALL {
        let word = variant.word();
        let mut line = format!("variant={word} caught=no");
        for setup in &asked.setups {
            let setup = Setup { variant: Some(*variant), ..setup.clone() };
            let outcome = explore(&setup, asked.most_states);
            let Some((why, actions)) = &outcome.violation else { continue };
            let (states, ticks) = (outcome.states, outcome.depth);
            let faults: Vec<String> = actions
                .iter()
                .filter(|action| !matches!(action, Action::Go | Action::Step(_)))
                .map(Action::to_string)
                .collect();
            line = format!(
                "variant={word} caught=yes config={} ticks={ticks} states={states} why={why:?} \
                 faults={:?}",
                setup.name,
                faults.join("; ")
            );
            caught += 1;
            break;
        }
        println!("{line}");
    }
    println!("variants={} caught={caught}", Variant::ALL.len());
    caught > 0
}
