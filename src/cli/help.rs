//! `xe help` in all its forms, from the command table.

use super::commands::entry::{self, Entry};
use super::commands::table::Kind;
use super::dialect::Params;
use super::printing::Console;
use crate::xenapi::settings::SETTINGS;

/// The block that also stands on stderr when no command was given.
pub const USAGE: &str = "\
Usage: xe <command> [-s server] [-u user] [-pw password | -pwf file] [-p port] [--nossl]
          [--state-dir dir | --database file [--host-memory uuid=size] [--write]]
          [name=value ...] [--flag ...]

To say more than one thing to a command, give it several name=value words.";

const HINTS: &str = "
A full list of commands: xe help --all
Help on one command:     xe help <command>
Every command's name as a program: xe install-links DIR; the manual pages: xe man DIR
The programs of a XenServer cluster stack: xe install-links --cluster-stack DIR
";

/// Whether a line of names is full: nothing goes beyond this column.
const WIDTH: usize = 74;

/// Runs `help`.
pub fn run(params: &Params, console: &mut Console<'_>) {
    let asked: Vec<&str> = params
        .all()
        .iter()
        .map(|param| param.key.as_str())
        .filter(|key| !["all", "minimal", "trace", "force", "multiple"].contains(key))
        .filter(|key| !["server", "port", "username", "password"].contains(key))
        .collect();
    if !asked.is_empty() {
        for name in asked {
            describe(name, console);
        }
        return;
    }
    let all = params.get("all") == Some("true");
    let names = names(all);
    if console.is_minimal() {
        console.list(&names);
        return;
    }
    let mut text = format!("{USAGE}\n{HINTS}\n");
    let heading = if all { "All commands" } else { "Common commands" };
    text.push_str(&format!("{heading}\n{}\n\n", "-".repeat(heading.len())));
    if all {
        let of = |prefix: &str| -> Vec<String> {
            names.iter().filter(|name| name.starts_with(prefix)).cloned().collect()
        };
        let rest: Vec<String> = names
            .iter()
            .filter(|name| !name.starts_with("host-") && !name.starts_with("vm-"))
            .cloned()
            .collect();
        for group in [of("host-"), of("vm-")] {
            text.push_str(&columns(&group));
            text.push_str("    \n");
        }
        text.push_str(&columns(&rest));
    } else {
        text.push_str(&columns(&names));
    }
    console.direct(&text);
}

/// The names that help shows, bytewise sorted; hidden ones never.
pub fn names(all: bool) -> Vec<String> {
    let mut names: Vec<String> = entry::all()
        .filter(|entry| !entry.is_hidden() && (all || entry.is_standard()))
        .map(|entry| entry.name())
        .collect();
    names.sort_unstable();
    names
}

/// Names joined with commas on lines that start with four blanks.
fn columns(names: &[String]) -> String {
    let mut text = String::new();
    let mut line = String::new();
    for name in names {
        if line.is_empty() {
            line = format!("    {name}");
        } else if line.len() + name.len() > WIDTH {
            text.push_str(&format!("{line}\n"));
            line = format!("    {name}");
        } else {
            line.push_str(&format!(", {name}"));
        }
    }
    if line.is_empty() { text } else { format!("{text}{line}\n") }
}

fn describe(name: &str, console: &mut Console<'_>) {
    let Some(entry) = entry::find(name) else {
        console.message(&format!("Unknown command '{name}'"));
        return;
    };
    let parameters = entry.parameters();
    let spelled = |required: bool| -> Vec<String> {
        parameters
            .iter()
            .filter(|parameter| parameter.required == required)
            .map(|parameter| match parameter.kind {
                Kind::Map => format!("{}:", parameter.name),
                _ => parameter.name.clone(),
            })
            .collect()
    };
    let mut optional = spelled(false);
    if let Some((selector, _)) = entry.selector() {
        optional.push(format!("<{}-selectors>", selector.word()));
    }
    let row = |label: &str, value: String| (label.to_owned(), value);
    console.table(&[vec![
        row("command name        ", name.to_owned()),
        row("reqd params     ", spelled(true).join(", ")),
        row("optional params ", optional.join(", ")),
        row("description     ", description(&entry)),
    ]]);
}

/// The sentence, what selectors are, and how it is typed.
fn description(entry: &Entry) -> String {
    let mut text = entry.help();
    if let Some((selector, several)) = entry.selector() {
        let (word, names) = match selector.word() {
            "vm" => ("vm", "name or uuid"),
            "host" => ("host", "name, network name or uuid"),
            word => (word, "name or uuid"),
        };
        text.push_str(&format!(
            " Pick the object with {word}=<{names}>, or by any field of {word}-list"
        ));
        text.push_str(if several {
            "; if more than one matches, --multiple does it to all of them."
        } else {
            "; exactly one must match."
        });
    }
    text.push_str(&settings(&entry.name()));
    for example in entry.examples() {
        text.push_str(&format!(" Example: {example}"));
    }
    text
}

/// Which keys of `other-config` are settings, for the command that sets them.
fn settings(command: &str) -> String {
    let class = command.strip_suffix("-param-set").unwrap_or("");
    let of_class = SETTINGS.iter().filter(|setting| setting.class.eq_ignore_ascii_case(class));
    let keys: Vec<&str> = of_class.map(|setting| setting.key).collect();
    if keys.is_empty() {
        return String::new();
    }
    let keys = keys.join(", ");
    format!(" Settings among the keys of other-config: {keys}; SETTINGS in xe(1) explains them.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_names_stay_within_the_width_and_end_without_comma() {
        let names: Vec<String> = (0..40).map(|n| format!("command-number-{n}")).collect();
        let text = columns(&names);
        for line in text.lines() {
            assert!(line.starts_with("    c") && !line.ends_with(','), "{line}");
            assert!(line.len() <= WIDTH + 2, "{line}");
        }
        assert_eq!(text.matches("command-number-").count(), 40);
    }
}
