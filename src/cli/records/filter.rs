//! Filters: the words of a list or selector command that pick objects.

use super::evaluate::{Row, Rows};
use super::field::{Field, Shape};
use crate::cli::errors::CliError;

/// Words that are never filters.
const NO_FILTERS: [&str; 11] = [
    "params",
    "server",
    "password",
    "port",
    "username",
    "minimal",
    "force",
    "multiple",
    "all",
    "message-priority",
    "trace",
];

/// Whether a parameter of a list command is a filter.
pub fn is_filter(key: &str) -> bool {
    !NO_FILTERS.contains(&key) && !key.starts_with("database:")
}

/// How one filter looks at an object.
enum Test {
    /// The whole text.
    Text(&'static Field),
    /// A member of a set.
    Contains(&'static Field),
    /// The value of a key.
    Key(&'static Field, String),
}

/// Keeps the rows that satisfy one filter. With no row left the filter is not even looked at.
pub fn keep(rows: &Rows<'_>, left: Vec<Row>, key: &str, value: &str) -> Result<Vec<Row>, CliError> {
    if left.is_empty() {
        return Ok(left);
    }
    let test = meaning(rows, key)?;
    let mut kept = Vec::new();
    for row in left {
        if holds(rows, &row, &test, value)? {
            kept.push(row);
        }
    }
    Ok(kept)
}

fn meaning(rows: &Rows<'_>, key: &str) -> Result<Test, CliError> {
    if let Some(field) = rows.class.field(key) {
        return Ok(Test::Text(field));
    }
    let unknown = |name: &str| CliError::text(format!("Unknown field '{name}'"));
    if let Some((name, rest)) = key.split_once(':') {
        let field = rows.class.field(name).ok_or_else(|| unknown(name))?;
        return match field.shape {
            Shape::Set if rest == "contains" => Ok(Test::Contains(field)),
            Shape::Set => Err(CliError::text(
                "Invalid syntax for set filtering (should be set-param:contains=key)",
            )),
            Shape::Map => Ok(Test::Key(field, rest.to_owned())),
            Shape::Plain => Err(CliError::text(format!("Field '{name}' is not a set or map"))),
        };
    }
    // The old spellings `map-key` and `set-contains`: the longest field name wins.
    let old = rows
        .class
        .fields
        .iter()
        .filter(|field| field.shape != Shape::Plain)
        .filter_map(|field| {
            let rest = key.strip_prefix(field.name)?.strip_prefix('-')?;
            (!rest.is_empty()).then_some((field, rest))
        })
        .max_by_key(|(field, _)| field.name.len());
    match old {
        Some((field, "contains")) if field.shape == Shape::Set => Ok(Test::Contains(field)),
        Some((field, rest)) if field.shape == Shape::Map => Ok(Test::Key(field, rest.to_owned())),
        _ => Err(unknown(key)),
    }
}

fn holds(rows: &Rows<'_>, row: &Row, test: &Test, value: &str) -> Result<bool, CliError> {
    Ok(match test {
        Test::Text(field) => {
            let text = rows.shown(row, field)?;
            if field.any_case { text.eq_ignore_ascii_case(value) } else { text == value }
        }
        Test::Contains(field) => rows.members(row, field)?.iter().any(|member| member == value),
        Test::Key(field, key) => {
            rows.entries(row, field)?.iter().any(|(k, v)| k == key && v == value)
        }
    })
}
