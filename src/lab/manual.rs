//! The lab's manual page, made from its words.

use std::io;

use clap::Command;
use clap_mangen::Man;

use super::words;

/// The page `xe-lab.1`: every command with its options.
///
/// Errors: only those of writing to memory, which do not happen.
pub fn page() -> io::Result<String> {
    let mut root = words::command().name("xe-lab").disable_help_flag(true);
    root.build();
    let man = Man::new(root.clone()).section("1").manual("xe");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    let mut text = String::from_utf8_lossy(&page).into_owned();
    let commands = root.get_subcommands().filter(|command| command.get_name() != "help");
    for command in commands {
        text.push_str(&section(command)?);
    }
    Ok(text)
}

/// What one command does and takes, below a heading that is its name.
fn section(command: &Command) -> io::Result<String> {
    let man = Man::new(command.clone());
    let mut parts = Vec::new();
    man.render_synopsis_section(&mut parts)?;
    man.render_description_section(&mut parts)?;
    man.render_options_section(&mut parts)?;
    let parts = String::from_utf8_lossy(&parts).replace(".SH ", ".SS ");
    Ok(format!(".SH XE LAB {}\n{parts}", command.get_name().to_uppercase()))
}
