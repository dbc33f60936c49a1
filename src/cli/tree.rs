//! The command table as a tree of clap: for completion and man pages.
//!
//! Building the whole tree takes milliseconds, so the command line itself never does it.

use clap::builder::ValueHint;
use clap::{Arg, Command};

use super::commands::entry::{self, Entry};

/// The root: without commands below it yet.
fn root() -> Command {
    Command::new("xe")
        .about("XenServer's command line, and a high-availability pool behind it")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .subcommand_value_name("command")
}

/// One command; its parameters are words of their own, so they are one argument for clap.
fn branch(entry: &Entry) -> Command {
    let words = Arg::new("words")
        .value_name("name=value")
        .num_args(0..)
        .trailing_var_arg(true)
        .allow_hyphen_values(true)
        .value_hint(ValueHint::Other);
    Command::new(entry.name()).about(entry.help()).arg(words)
}

/// The tree with all commands that help shows.
pub fn whole() -> Command {
    let mut entries: Vec<Entry> = entry::all().filter(|entry| !entry.is_hidden()).collect();
    entries.sort_by_key(Entry::name);
    root().subcommands(entries.iter().map(branch))
}

/// The tree with one command, whose words are completed by this.
pub fn single<C>(entry: &Entry, completer: C) -> Command
where
    C: clap_complete::engine::ValueCompleter + 'static,
{
    let completer = clap_complete::engine::ArgValueCompleter::new(completer);
    root().subcommand(branch(entry).mut_arg("words", |arg| arg.add(completer)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_sound() {
        super::whole().debug_assert();
    }
}
