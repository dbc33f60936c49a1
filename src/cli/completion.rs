//! What may follow on a command line: names, parameters, values, uuids of the server.
//!
//! A shell's adapter hands over the line up to the cursor and gets whole words back; bash splits
//! words at `=` and `:`, which the adapter undoes.

use std::ffi::{OsStr, OsString};

use clap_complete::engine::{CompletionCandidate, complete};

use super::commands::entry::{self, Entry, Taken};
use super::commands::family::Verb;
use super::commands::table::{Kind, Selector};
use super::dialect::{self, Environment, Opening, Reading, Switches, Word};
use super::printing::Console;
use super::run::{Connect, run};
use super::tree;

/// The words that may stand at the end of a line.
pub fn candidates(line: &str, environment: &Environment, connect: Connect<'_>) -> Vec<String> {
    let mut words: Vec<String> = line.split_whitespace().skip(1).map(str::to_owned).collect();
    let fresh = line.ends_with(char::is_whitespace);
    let current = if fresh { String::new() } else { words.pop().unwrap_or_default() };
    let opening = dialect::read(&words, environment).opening;
    let (switches, typed) = match opening {
        Opening::Run { switches, words } => {
            let typed = words.into_iter().filter(|word| word.typed).map(|word| word.text);
            (Some(switches), typed.collect::<Vec<_>>())
        }
        _ => (None, Vec::new()),
    };
    let Some(name) = typed.first() else { return complete_with(tree::whole(), &[], &current) };
    let Some(entry) = entry::find(name) else { return Vec::new() };
    let words = offered(&entry, &current, switches.as_deref(), connect);
    let completer = move |_: &OsStr| -> Vec<CompletionCandidate> {
        words.iter().map(CompletionCandidate::new).collect()
    };
    complete_with(tree::single(&entry, completer), &typed, &current)
}

/// Asks clap's engine, which knows where on the line a command stands.
fn complete_with(mut tree: clap::Command, typed: &[String], current: &str) -> Vec<String> {
    let mut args: Vec<OsString> = vec!["xe".into()];
    args.extend(typed.iter().map(OsString::from));
    args.push(current.into());
    let index = args.len() - 1;
    complete(&mut tree, args, index, None)
        .unwrap_or_default()
        .iter()
        .map(|candidate| candidate.get_value().to_string_lossy().into_owned())
        .filter(|word| word.starts_with(current) && !word.is_empty())
        .collect()
}

/// The words of a command that begin like the current one.
fn offered(
    entry: &Entry,
    current: &str,
    switches: Option<&Switches>,
    connect: Connect<'_>,
) -> Vec<String> {
    let all = match current.split_once('=') {
        Some((key, _)) => values(entry, key, switches, connect)
            .into_iter()
            .map(|value| format!("{key}={value}"))
            .collect(),
        None => keys(entry),
    };
    all.into_iter().filter(|word| word.starts_with(current)).collect()
}

fn keys(entry: &Entry) -> Vec<String> {
    let mut words: Vec<String> = entry
        .parameters()
        .into_iter()
        .map(|parameter| match parameter.kind {
            Kind::Map => format!("{}:", parameter.name),
            _ => format!("{}=", parameter.name),
        })
        .collect();
    words.push("--minimal".to_owned());
    if let Some((selector, several)) = entry.selector() {
        words.push(format!("{}=", selector.word()));
        words.push("uuid=".to_owned());
        if several {
            words.push("--multiple".to_owned());
        }
    }
    words
}

fn values(
    entry: &Entry,
    key: &str,
    switches: Option<&Switches>,
    connect: Connect<'_>,
) -> Vec<String> {
    let ask = |class: &str, field: &str| {
        switches.map_or_else(Vec::new, |switches| asked(switches, connect, class, field))
    };
    if let Some((selector, _)) = entry.selector() {
        match (selector, key) {
            (Selector::Vms { .. }, "vm") => return ask("vm", "name-label"),
            (_, "host" | "on") => return ask("host", "name-label"),
            (Selector::Srs, "sr") => return ask("sr", "name-label"),
            (_, "uuid") => return ask(selector.word(), "uuid"),
            _ => {}
        }
    }
    if let Entry::Family(class, verb) = entry {
        let names = |shown: Vec<&'static super::records::Field>| -> Vec<String> {
            shown.into_iter().map(|field| field.name.to_owned()).collect()
        };
        match (verb, key) {
            (Verb::List, "params") | (_, "param-name") => return names(class.shown(Some("all"))),
            (Verb::List, field) => return ask(class.name, field),
            _ => {}
        }
    }
    let of_kind = |parameter: &Taken| match parameter.kind {
        Kind::Uuid(class) | Kind::Uuids(class) => ask(class, "uuid"),
        Kind::Host => ask("host", "name-label"),
        Kind::Bool => vec!["true".to_owned(), "false".to_owned()],
        Kind::Word(words) => words.iter().map(|&word| word.to_owned()).collect(),
        _ => Vec::new(),
    };
    entry
        .parameters()
        .iter()
        .find(|parameter| parameter.name == key)
        .map(of_kind)
        .unwrap_or_default()
}

/// The values of a field on the server; nothing when it does not answer.
fn asked(switches: &Switches, connect: Connect<'_>, class: &str, field: &str) -> Vec<String> {
    let words = [format!("{class}-list"), format!("params={field}"), "--minimal".to_owned()];
    let opening = Opening::Run {
        switches: Box::new(switches.clone()),
        words: words.iter().map(|word| Word::typed(word)).collect(),
    };
    let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), std::io::empty());
    let mut console = Console::new(&mut out, &mut err, &mut input, false);
    if run(Reading { rc_broken: false, opening }, connect, &mut console) != 0 {
        return Vec::new();
    }
    let mut values = unescaped(String::from_utf8_lossy(&out).trim_end());
    values.sort_unstable();
    values.dedup();
    values
}

/// Undoes the one line of `--minimal`.
fn unescaped(line: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        let letter = match letter {
            '\\' => letters.next().unwrap_or('\\'),
            ',' => {
                values.push(String::new());
                continue;
            }
            other => other,
        };
        if let Some(value) = values.last_mut() {
            value.push(letter);
        }
    }
    values.retain(|value| !value.is_empty());
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::errors::CliError;

    fn offline(line: &str) -> Vec<String> {
        let connect = |_: &Switches| Err(CliError::text("offline"));
        candidates(line, &Environment::default(), &connect)
    }

    #[test]
    fn names_parameters_and_words() {
        assert!(offline("xe pool-ha-").contains(&"pool-ha-enable".to_owned()));
        assert!(offline("xe -s h -u me pool-ha-en").contains(&"pool-ha-enable".to_owned()));
        assert_eq!(offline("xe pool-ha-enable he"), ["heartbeat-sr-uuids="]);
        assert_eq!(offline("xe vbd-create type=C"), ["type=CD"]);
        assert_eq!(offline("xe vm-start paused="), ["paused=true", "paused=false"]);
        assert!(
            offline("xe vm-param-get param-name=ha-")
                .contains(&"param-name=ha-restart-priority".to_owned())
        );
        assert!(offline("xe nonsense a").is_empty());
        assert!(offline("xe vm-start vm=").is_empty(), "no server, no names");
    }

    #[test]
    fn minimal_lines_are_undone() {
        assert_eq!(unescaped("a\\,b,c\\\\,,"), ["a,b", "c\\"]);
    }
}
