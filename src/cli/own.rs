//! Commands of the program itself, which need no server.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::commands::entry;
use super::completion;
use super::dialect::Environment;
use super::errors::CliError;
use super::man;
use super::printing::Console;
use super::run::Connect;
use crate::clusterstack;

/// Whether a word is one of these commands.
pub fn is_own(name: &str) -> bool {
    ["install-links", "man", "complete"].contains(&name)
}

/// Runs one of them.
pub fn run(
    name: &str,
    words: &[String],
    environment: &Environment,
    connect: Connect<'_>,
    console: &mut Console<'_>,
) -> Result<(), CliError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (name, words.as_slice()) {
        ("complete", line) => {
            let line = line.first().copied().unwrap_or_default();
            let words = completion::candidates(line, environment, connect);
            console.direct(&words.iter().map(|word| format!("{word}\n")).collect::<String>());
            Ok(())
        }
        ("man", [dir]) => man(Path::new(dir), console),
        ("install-links", ["--cluster-stack", dir]) => {
            let names = clusterstack::PROGRAMS.iter().chain([&clusterstack::PROGRAM_DECLARE_DEAD]);
            install_links(Path::new(dir), names.map(|name| (*name).to_owned()), console)
        }
        ("install-links", [dir]) if !dir.starts_with("--") => {
            install_links(Path::new(dir), entry::all().map(|entry| entry.name()), console)
        }
        ("install-links", _) => Err(CliError::text(
            "name a directory: xe install-links DIR, or xe install-links --cluster-stack DIR",
        )),
        _ => Err(CliError::text(format!("name a directory: xe {name} DIR"))),
    }
}

fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::text(format!("{}: {error}", path.display()))
}

fn man(dir: &Path, console: &mut Console<'_>) -> Result<(), CliError> {
    let pages = [("xe.1", man::page()), (clusterstack::man::PAGE, Ok(clusterstack::man::page()))];
    for (name, page) in pages {
        let file = dir.join(name);
        let written = page.and_then(|page| std::fs::write(&file, page));
        written.map_err(|error| failed(&file, &error))?;
        console.direct(&format!("{}\n", file.display()));
    }
    Ok(())
}

/// One link for every name, so that the name alone is enough.
fn install_links(
    dir: &Path,
    names: impl Iterator<Item = String>,
    console: &mut Console<'_>,
) -> Result<(), CliError> {
    let program = std::env::current_exe().map_err(|error| failed(dir, &error))?;
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
    let links: Vec<_> = names.map(|name| dir.join(name)).collect();
    if let Some(file) = links.iter().find(|link| link.exists() && !link.is_symlink()) {
        return Err(CliError::text(format!("{} is no link; move it away first", file.display())));
    }
    let mut made = 0;
    for link in links {
        // A link of an earlier time is replaced; anything else is somebody's file.
        if link.is_symlink() {
            std::fs::remove_file(&link).map_err(|error| failed(&link, &error))?;
        }
        symlink(&program, &link).map_err(|error| failed(&link, &error))?;
        made += 1;
    }
    console.direct(&format!("{made} links in {} lead to {}\n", dir.display(), program.display()));
    Ok(())
}
