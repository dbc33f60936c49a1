//! The parameters of one command line, as commands ask for them.

use super::values;
use super::words::Param;
use crate::cli::errors::CliError;

/// The parameters in the order given; the first of a repeated key wins.
#[derive(Debug, Clone, Default)]
pub struct Params {
    list: Vec<Param>,
}

impl Params {
    /// The parameters of a command line.
    pub fn new(list: Vec<Param>) -> Self {
        Self { list }
    }

    /// All of them, in order.
    pub fn all(&self) -> &[Param] {
        &self.list
    }

    /// Gives a parameter another name.
    pub fn rename(&mut self, old: &str, new: &str) {
        for param in self.list.iter_mut().filter(|param| param.key == old) {
            new.clone_into(&mut param.key);
        }
    }

    /// The first value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.list.iter().find(|param| param.key == key).map(|param| param.value.as_str())
    }

    /// Whether a key is there, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// A value that the command cannot do without.
    pub fn need(&self, key: &str) -> Result<&str, CliError> {
        self.get(key).ok_or_else(|| CliError::Missing(key.to_owned()))
    }

    /// A value, or the empty text.
    pub fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or("")
    }

    /// A boolean with a default.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, CliError> {
        self.get(key).map_or(Ok(default), |text| values::boolean(key, text))
    }

    /// An integer with a default.
    pub fn int(&self, key: &str, default: i64) -> Result<i64, CliError> {
        self.get(key).map_or(Ok(default), |text| {
            text.parse().map_err(|_| {
                CliError::Text(format!("Failed to parse parameter '{key}': expecting an integer"))
            })
        })
    }

    /// The map argument `name:key=value`: any key that starts with the name and is at least two
    /// characters longer; the character right after the name is skipped whatever it is.
    pub fn map(&self, name: &str) -> Vec<(String, String)> {
        let mut entries: Vec<(String, String)> = Vec::new();
        for param in &self.list {
            let Some(rest) = param.key.strip_prefix(name) else { continue };
            let mut rest = rest.chars();
            if rest.next().is_none() || rest.as_str().is_empty() {
                continue;
            }
            if entries.iter().all(|(key, _)| key != rest.as_str()) {
                entries.push((rest.as_str().to_owned(), param.value.clone()));
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::{Word, parse};
    use super::*;

    fn params(words: &[&str]) -> Params {
        let mut all = vec![Word::typed("command")];
        all.extend(words.iter().map(|w| Word::typed(w)));
        Params::new(parse(&all).unwrap().params)
    }

    #[test]
    fn the_first_of_a_repeated_key_wins() {
        assert_eq!(params(&["a=1", "a=2"]).get("a"), Some("1"));
    }

    #[test]
    fn map_arguments_skip_whatever_follows_the_name() {
        let params =
            params(&["ha-config:timeout=60", "ha-config-x=1", "ha-config:=9", "ha-config:a:b=2"]);
        assert_eq!(
            params.map("ha-config"),
            [("timeout", "60"), ("x", "1"), ("a:b", "2")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
    }
}
