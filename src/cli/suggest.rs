//! Words that a command does not know: one line on stderr, and otherwise what the peer does.

use super::commands::entry::Entry;
use super::commands::table::Kind;
use super::dialect::Params;
use super::dialect::words::Param;
use super::printing::Console;

/// Words that every command takes.
const GLOBAL: [&str; 13] = [
    "server",
    "port",
    "username",
    "password",
    "minimal",
    "force",
    "multiple",
    "all",
    "params",
    "trace",
    "message-priority",
    "progress",
    "database",
];

/// An old spelling: command, the word that guides use, the word that is meant.
const OLD: [(&str, &str, &str); 1] =
    [("pool-ha-enable", "heartbeat-sr-uuid", "heartbeat-sr-uuids")];

/// Whether every command takes the word.
pub fn is_global(word: &str) -> bool {
    GLOBAL.contains(&word)
}

/// Takes an old spelling for what is meant, and says so.
pub fn respell(entry: &Entry, params: &mut Params, console: &mut Console<'_>) {
    let name = entry.name();
    for (command, old, new) in OLD {
        if name == command && params.has(old) && !params.has(new) {
            params.rename(old, new);
            console.note(&format!("parameter {old}= taken as {new}="));
        }
    }
}

/// One line for every typed word that the command does not know.
pub fn warn(entry: &Entry, params: &Params, console: &mut Console<'_>) {
    if entry.filters() || entry.takes_any_key() {
        return;
    }
    let known = entry.parameters();
    let is_known = |param: &Param| {
        is_global(&param.key)
            || known.iter().any(|parameter| match parameter.kind {
                Kind::Map => param.key.starts_with(&parameter.name),
                _ => parameter.name == param.key,
            })
    };
    for param in params.all() {
        if !param.typed || param.key.is_empty() || is_known(param) {
            continue;
        }
        let names = known.iter().map(|parameter| parameter.name.as_str());
        let guess = nearest(&param.key, names)
            .map_or_else(String::new, |name| format!(", did you mean {name}?"));
        console.note(&format!("unknown parameter {}{guess}", param.key));
    }
}

/// The name that differs least, if it differs by less than half.
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (distance(word, name), name))
        .filter(|(distance, name)| distance * 2 <= name.len().max(word.len()))
        .min()
        .map(|(_, name)| name)
}

/// The number of letters to change, add or drop.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, from) in left.chars().enumerate() {
        let mut corner = row[0];
        row[0] = at + 1;
        for (to, letter) in right.iter().enumerate() {
            let changed = corner + usize::from(from != *letter);
            corner = row[to + 1];
            row[to + 1] = changed.min(row[to] + 1).min(corner + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_not() {
        let names = || ["heartbeat-sr-uuids", "ha-config"].into_iter();
        assert_eq!(nearest("heartbeat-sr-uuid", names()), Some("heartbeat-sr-uuids"));
        assert_eq!(nearest("ha-conf", names()), Some("ha-config"));
        assert_eq!(nearest("zzz", names()), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
