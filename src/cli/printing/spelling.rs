//! How single values are spelled.

use crate::xenapi::{NULL_REF, Value};

/// What a null or unknown reference shows.
pub const NOT_IN_DATABASE: &str = "<not in database>";

/// What a stale handle shows.
pub const INVALID_REFERENCE: &str = "<invalid reference>";

/// What an expensive field shows in lists.
pub const EXPENSIVE: &str = "<expensive field>";

/// What a figure shows that nobody can give.
pub const UNKNOWN: &str = "<unknown>";

/// Words of an enumeration that are spelled differently from the wire: (wire, shown).
pub type Words = &'static [(&'static str, &'static str)];

/// A word of an enumeration as it is shown.
pub fn word(words: Words, wire: &str) -> &str {
    words.iter().find(|(from, _)| *from == wire).map_or(wire, |(_, shown)| shown)
}

/// A plain value: text as it is, `true`/`false`, decimal integers, floats with 3 decimals.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::DateTime(text) => date(text),
        Value::Int(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Float(number) => float(*number),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join("; "),
        Value::Struct(entries) => entries
            .iter()
            .map(|(key, value)| format!("{key}: {}", plain(value)))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// A float with three decimals.
pub fn float(number: f64) -> String {
    format!("{number:.3}")
}

/// A date as `YYYYMMDDTHH:MM:SSZ`; a date without a zone stays without.
pub fn date(text: &str) -> String {
    match text.split_once('T') {
        Some((day, time)) => format!("{}T{time}", day.replace('-', "")),
        None => text.to_owned(),
    }
}

/// Whether a reference stands for no object.
pub fn is_null(reference: &str) -> bool {
    reference.is_empty() || reference == NULL_REF
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spelled_as_scripts_expect() {
        assert_eq!(plain(&Value::Bool(true)), "true");
        assert_eq!(plain(&Value::Float(0.5)), "0.500");
        assert_eq!(plain(&Value::text_map([("a", "1"), ("b", "")])), "a: 1; b: ");
        assert_eq!(plain(&Value::text_set(["x", "y"])), "x; y");
        assert_eq!(date("2025-10-07T11:30:26Z"), "20251007T11:30:26Z");
        assert_eq!(date("20251007T11:30:26+02:00"), "20251007T11:30:26+02:00");
        assert_eq!(word(&[("Running", "running")], "Running"), "running");
    }
}
