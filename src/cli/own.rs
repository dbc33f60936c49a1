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

/// Whether a word is one of these commands.
pub fn is_own(name: &str) -> bool {
    ["install-links", "man", "complete"].contains(&name)
}

/// Runs one of them.
pub fn run(
    name: &str,
    word: Option<&String>,
    environment: &Environment,
    connect: Connect<'_>,
    console: &mut Console<'_>,
) -> Result<(), CliError> {
    match (name, word) {
        ("complete", line) => {
            let line = line.map_or("", String::as_str);
            let words = completion::candidates(line, environment, connect);
            console.direct(&words.iter().map(|word| format!("{word}\n")).collect::<String>());
            Ok(())
        }
        (_, None) => Err(CliError::text(format!("name a directory: xe {name} DIR"))),
        ("man", Some(dir)) => man(Path::new(dir), console),
        (_, Some(dir)) => install_links(Path::new(dir), console),
    }
}

fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::text(format!("{}: {error}", path.display()))
}

fn man(dir: &Path, console: &mut Console<'_>) -> Result<(), CliError> {
    let file = dir.join("xe.1");
    let page = man::page().and_then(|page| std::fs::write(&file, page));
    page.map_err(|error| failed(&file, &error))?;
    console.direct(&format!("{}\n", file.display()));
    Ok(())
}

/// One link for every command, so that its name alone is enough.
fn install_links(dir: &Path, console: &mut Console<'_>) -> Result<(), CliError> {
    let program = std::env::current_exe().map_err(|error| failed(dir, &error))?;
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
    let mut made = 0;
    for entry in entry::all() {
        let link = dir.join(entry.name());
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
