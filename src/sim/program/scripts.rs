//! `xe-sim scripts`: one situation for each broken rule, aimed at it. Each is played with the
//! right rules, under which it must end as it says, and with the one that it is named after,
//! under which it must not: exit code 1 otherwise.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::words;
use crate::heartbeat::variant::Variant;
use crate::sim::scenario::Scenario;

pub(super) fn main(words: &[String]) -> Result<ExitCode, String> {
    if !cfg!(feature = "wrong-variants") {
        let why = "this build has no wrong variants: build it with --features wrong-variants";
        return Err(why.to_owned());
    }
    let asked = words::parse(words)?;
    let [folder] = &asked.names[..] else { return Err("the folder of scripts is missing".into()) };
    let only = asked.wanted.variant;
    let (mut caught, mut missed, mut failed) = (0, 0, 0);
    for path in scripts(Path::new(folder))? {
        let (variant, scenario) = read(&path)?;
        if only.is_some_and(|only| only != variant) {
            continue;
        }
        let word = variant.word();
        if let Err(why) = scenario.play() {
            failed += 1;
            println!("script {word} fails without its variant: {why}");
            continue;
        }
        match scenario.broken_by(variant) {
            Some(why) => {
                caught += 1;
                // The story only for who looks at one.
                let line = why.lines().next().unwrap_or_default();
                let told = if only.is_some() { why.as_str() } else { line };
                println!("variant {word} caught by=script: {told}");
            }
            None => {
                missed += 1;
                println!("variant {word} not caught by its script");
            }
        }
    }
    println!("scripts: caught={caught} missed={missed} failed={failed}");
    Ok(if missed + failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn scripts(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder);
    let entries = entries.map_err(|why| format!("{}: {why}", folder.display()))?;
    // What cannot be listed is missed by the count.
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_none());
    paths.sort();
    Ok(paths)
}

/// The variant that a script is named after, and the script.
fn read(path: &Path) -> Result<(Variant, Scenario), String> {
    let say = |why: String| format!("{}: {why}", path.display());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let variant = words::variant(&name).ok_or_else(|| say("no variant has that name".into()))?;
    let text = std::fs::read_to_string(path).map_err(|why| say(why.to_string()))?;
    Ok((variant, Scenario::parse(&text).map_err(say)?))
}
