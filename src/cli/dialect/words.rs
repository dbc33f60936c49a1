//! The lexer: words to a command name and its parameters.

/// A word for the command, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word as given.
    pub text: String,
    /// Whether a person typed it (and not `~/.xe` or `XE_EXTRA_ARGS`).
    pub typed: bool,
}

impl Word {
    /// A word from the command line.
    pub fn typed(text: &str) -> Self {
        Self { text: text.to_owned(), typed: true }
    }
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// What stands before the first `=`.
    pub key: String,
    /// What stands behind it; empty when there is no `=`.
    pub value: String,
    /// Whether a person typed it.
    pub typed: bool,
}

/// A command line that has the right form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The command.
    pub name: String,
    /// Its parameters in the order given.
    pub params: Vec<Param>,
}

/// The words have not the form of a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the words have not the form of a command line")]
pub struct Syntax;

/// The single-dash switches that may be left over, with the key that they stand for.
const SWITCHES: [(&str, &str); 5] =
    [("-u", "username"), ("-pw", "password"), ("-s", "server"), ("-h", "server"), ("-p", "port")];

/// Splits words at embedded newlines and drops a trailing carriage return, as the wire would.
fn lines(words: &[Word]) -> Vec<Word> {
    words
        .iter()
        .flat_map(|word| {
            word.text.split('\n').map(|line| Word {
                text: line.strip_suffix('\r').unwrap_or(line).to_owned(),
                typed: word.typed,
            })
        })
        .collect()
}

/// Reads words as `command key=value --flag -u user ...`.
///
/// Errors: [`Syntax`] for a command name with `=`, an unknown single-dash word, or one without
/// a follower.
pub fn parse(words: &[Word]) -> Result<CommandLine, Syntax> {
    let words = lines(words);
    let (name, rest) = words.split_first().ok_or(Syntax)?;
    if name.text.contains('=') {
        return Err(Syntax);
    }
    let mut params = Vec::new();
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        let typed = word.typed;
        let (key, value) = if let Some(flag) = word.text.strip_prefix("--") {
            (flag.to_owned(), "true".to_owned())
        } else if word.text.starts_with('-') {
            let (_, key) =
                SWITCHES.iter().find(|(switch, _)| *switch == word.text).ok_or(Syntax)?;
            ((*key).to_owned(), rest.next().ok_or(Syntax)?.text.clone())
        } else {
            let (key, value) = word.text.split_once('=').unwrap_or((&word.text, ""));
            (key.to_owned(), value.to_owned())
        };
        params.push(Param { key, value, typed });
    }
    Ok(CommandLine { name: name.text.clone(), params })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(words: &[&str]) -> Result<Vec<(String, String)>, Syntax> {
        let words: Vec<Word> = words.iter().map(|w| Word::typed(w)).collect();
        Ok(parse(&words)?.params.into_iter().map(|p| (p.key, p.value)).collect())
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn double_dash_words_are_always_true() {
        assert_eq!(
            pairs(&["vm-list", "--minimal", "--minimal=true"]),
            Ok(vec![pair("minimal", "true"), pair("minimal=true", "true")])
        );
    }

    #[test]
    fn other_words_split_at_the_first_equals_sign() {
        assert_eq!(
            pairs(&["x", "a=b=c", "bare", "empty="]),
            Ok(vec![pair("a", "b=c"), pair("bare", ""), pair("empty", "")])
        );
    }

    #[test]
    fn single_dash_words_are_known_or_an_error() {
        assert_eq!(pairs(&["x", "-u", "me"]), Ok(vec![pair("username", "me")]));
        assert_eq!(pairs(&["x", "-q"]), Err(Syntax));
        assert_eq!(pairs(&["vm-list", "-s"]), Err(Syntax));
    }

    #[test]
    fn a_name_with_equals_is_an_error_and_newlines_split_words() {
        assert_eq!(pairs(&["uuid=1"]), Err(Syntax));
        assert_eq!(pairs(&["x", "a=1\nb=2\r"]), Ok(vec![pair("a", "1"), pair("b", "2")]));
    }
}
