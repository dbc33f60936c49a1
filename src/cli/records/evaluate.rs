//! From a record of the API to the text that people see.

use super::field::{Class, Field, Shape, Source, Spell};
use crate::cli::errors::CliError;
use crate::cli::printing::spelling::{
    self, EXPENSIVE, INVALID_REFERENCE, NOT_IN_DATABASE, UNKNOWN,
};
use crate::cli::printing::table::Record;
use crate::client::{CallError, Session};
use crate::xenapi::Value;

/// One object of a class.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its reference.
    pub reference: String,
    /// Its record.
    pub record: Value,
}

impl Row {
    /// A field of the record as text; empty when it is not there.
    pub fn text(&self, api: &str) -> &str {
        self.record.get(api).and_then(Value::as_str).unwrap_or("")
    }
}

/// The objects of one class, seen through a session.
pub struct Rows<'a> {
    /// The session that answers about other objects.
    pub session: &'a Session<'a>,
    /// The class.
    pub class: &'static Class,
}

impl<'a> Rows<'a> {
    /// Objects of a class.
    pub fn new(session: &'a Session<'a>, class: &'static Class) -> Self {
        Self { session, class }
    }

    /// All objects, in the server's order.
    pub fn all(&self) -> Result<Vec<Row>, CliError> {
        let records = self.session.records(self.class.api)?;
        let rows = records
            .iter()
            .map(|(reference, record)| Row { reference: reference.clone(), record: record.clone() })
            .filter(|row| {
                self.class.needs.is_empty()
                    || row
                        .record
                        .get(self.class.needs)
                        .and_then(Value::as_array)
                        .is_some_and(|members| !members.is_empty())
            })
            .collect();
        Ok(rows)
    }

    /// The object with this uuid.
    pub fn by_uuid(&self, uuid: &str) -> Result<Row, CliError> {
        let reference = self.session.by_uuid(self.class.api, uuid)?;
        let method = format!("{}.get_record", self.class.api);
        let record = self.session.call(&method, &[reference.as_str().into()])?;
        Ok(Row { reference, record })
    }

    /// The table of one object: labels and texts of these fields.
    pub fn record(
        &self,
        row: &Row,
        fields: &[&'static Field],
        compute: bool,
    ) -> Result<Record, CliError> {
        fields
            .iter()
            .map(|field| {
                let text = if field.expensive && !compute {
                    EXPENSIVE.to_owned()
                } else {
                    self.shown(row, field)?
                };
                Ok((field.label(), text))
            })
            .collect()
    }

    /// The text of one field.
    pub fn shown(&self, row: &Row, field: &Field) -> Result<String, CliError> {
        let value = self.value(row, field)?;
        match (&value, field.shape) {
            (Value::Array(_), _) => Ok(self.members_of(&value, field)?.join(field.separator)),
            (Value::Struct(_), shape) if shape == Shape::Set || is_operations(field) => {
                Ok(self.members_of(&value, field)?.join(field.separator))
            }
            (Value::Struct(_), _) => Ok(self
                .entries_of(&value, field)?
                .into_iter()
                .map(|(key, value)| format!("{key}: {value}"))
                .collect::<Vec<_>>()
                .join(field.separator)),
            (plain, _) => self.spelled(plain, field.spell),
        }
    }

    /// The members of a set field.
    pub fn members(&self, row: &Row, field: &Field) -> Result<Vec<String>, CliError> {
        self.members_of(&self.value(row, field)?, field)
    }

    /// The entries of a map field.
    pub fn entries(&self, row: &Row, field: &Field) -> Result<Vec<(String, String)>, CliError> {
        self.entries_of(&self.value(row, field)?, field)
    }

    fn members_of(&self, value: &Value, field: &Field) -> Result<Vec<String>, CliError> {
        match value {
            Value::Array(items) => {
                items.iter().map(|item| self.spelled(item, field.spell)).collect()
            }
            Value::Struct(entries) => {
                entries.values().map(|item| self.spelled(item, field.spell)).collect()
            }
            _ => Ok(Vec::new()),
        }
    }

    fn entries_of(&self, value: &Value, field: &Field) -> Result<Vec<(String, String)>, CliError> {
        let Value::Struct(entries) = value else { return Ok(Vec::new()) };
        entries
            .iter()
            .map(|(key, value)| match field.spell {
                // The words of such a map are its keys.
                Spell::Word(words) => {
                    Ok((spelling::word(words, key).to_owned(), spelling::plain(value)))
                }
                spell => Ok((key.clone(), self.spelled(value, spell)?)),
            })
            .collect()
    }

    /// The value of a field, before it is spelled.
    pub fn value(&self, row: &Row, field: &Field) -> Result<Value, CliError> {
        match field.source {
            Source::Own(_) => Ok(row
                .record
                .get(&field.api_name())
                .cloned()
                .unwrap_or_else(|| NOT_IN_DATABASE.into())),
            Source::Via(link, class, api, missing) => {
                let reference = row.text(link);
                let found = self.other(class, reference)?;
                Ok(found.as_ref().and_then(|r| r.get(api)).cloned().unwrap_or(missing.into()))
            }
            Source::Call(method) => self.asked(method, &[row.reference.as_str().into()]),
            Source::Rule(rule) => rule(self, row),
        }
    }

    /// A call whose answer is a value to show: a stale handle and a call that the server does
    /// not have are shown, other errors end the command.
    pub fn asked(&self, method: &str, params: &[Value]) -> Result<Value, CliError> {
        match self.session.call(method, params) {
            Err(CallError::Api(failure)) => match failure.code.as_str() {
                "HANDLE_INVALID" => Ok(INVALID_REFERENCE.into()),
                "NOT_IMPLEMENTED"
                | "MESSAGE_METHOD_UNKNOWN"
                | "MESSAGE_REMOVED"
                | "XE_HOST_MEMORY_UNKNOWN" => Ok(UNKNOWN.into()),
                _ => Err(failure.into()),
            },
            other => Ok(other?),
        }
    }

    /// The record of another object; nothing when the reference is null or unknown.
    pub fn other(&self, class: &str, reference: &str) -> Result<Option<Value>, CliError> {
        if spelling::is_null(reference) {
            return Ok(None);
        }
        match self.session.records_once(class) {
            Ok(records) => Ok(records.get(reference).cloned()),
            // A server without this class knows none of its objects.
            Err(CallError::Api(_)) => Ok(None),
            Err(broken) => Err(broken.into()),
        }
    }

    fn spelled(&self, value: &Value, spell: Spell) -> Result<String, CliError> {
        let text = || spelling::plain(value);
        Ok(match spell {
            Spell::Plain => text(),
            Spell::Int => match value {
                Value::Float(number) => format!("{number:.0}"),
                _ => text(),
            },
            Spell::Float => match (value, value.as_float()) {
                (Value::String(text), _) if text.starts_with('<') => text.clone(),
                (_, Some(number)) => spelling::float(number),
                _ => text(),
            },
            Spell::Date => spelling::date(&text()),
            Spell::Word(words) => spelling::word(words, &text()).to_owned(),
            Spell::Uuid(class) => self.field_of(class, &text(), "uuid")?,
            Spell::Name(class) => self.field_of(class, &text(), "name_label")?,
        })
    }

    fn field_of(&self, class: &str, reference: &str, api: &str) -> Result<String, CliError> {
        let found = self.other(class, reference)?;
        Ok(found
            .as_ref()
            .and_then(|record| record.get(api))
            .and_then(Value::as_str)
            .unwrap_or(NOT_IN_DATABASE)
            .to_owned())
    }
}

/// Operations in progress travel as a map from task to word, of which only the words count.
fn is_operations(field: &Field) -> bool {
    matches!(field.api_name().as_str(), "current_operations")
}
