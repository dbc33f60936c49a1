//! `xe-plan`: the planner on a case file; certificates of its answers, written and verified.

use std::io::ErrorKind;
use std::process::ExitCode;

use super::case::Case;
use super::{Budget, certificate, max_failures};

const USAGE: &str = "usage: xe-plan CASE.json [--json | --certificate FILE | --check FILE]";

/// What is wanted of a case.
enum Wanted<'a> {
    Text,
    Json,
    Certificate(&'a str),
    Check(&'a str),
}

/// Runs the program with the words after its name.
pub fn main(words: Vec<String>) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let is_file = |word: &str| !word.starts_with("--");
    let (path, wanted) = match words[..] {
        [path] => (path, Wanted::Text),
        [path, "--json"] | ["--json", path] => (path, Wanted::Json),
        [path, "--certificate", file] | ["--certificate", file, path] if is_file(file) => {
            (path, Wanted::Certificate(file))
        }
        [path, "--check", file] | ["--check", file, path] if is_file(file) => {
            (path, Wanted::Check(file))
        }
        _ => ("--", Wanted::Text),
    };
    if !is_file(path) {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match answer(path, &wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn answer(path: &str, wanted: &Wanted<'_>) -> Result<(), String> {
    let of = |path: &str, error: String| format!("{path}: {error}");
    let case = Case::parse(&read(path)?).map_err(|error| of(path, error))?;
    match *wanted {
        Wanted::Text => print(&case, false),
        Wanted::Json => print(&case, true),
        Wanted::Certificate(file) => {
            let text = certificate::text(&case).map_err(|error| of(path, error))?;
            // What is handed out was verified by what will verify it.
            let told = certificate::verify(&case, &text).map_err(|error| of(path, error))?;
            std::fs::write(file, text).map_err(|error| of(file, said(&error)))?;
            println!("{file}: {told}");
        }
        Wanted::Check(file) => {
            let told = certificate::verify(&case, &read(file)?).map_err(|error| of(file, error))?;
            println!("{file}: {told}");
        }
    }
    Ok(())
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{path}: {}", said(&error)))
}

fn said(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file or directory".to_owned(),
        ErrorKind::PermissionDenied => "you may not use this file".to_owned(),
        ErrorKind::InvalidData => "this file is not text".to_owned(),
        ErrorKind::IsADirectory => "this is a directory".to_owned(),
        _ => "this file cannot be used".to_owned(),
    }
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
