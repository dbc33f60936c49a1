//! `param-set`, `param-add`, `param-remove`, `param-clear`.

use std::collections::BTreeMap;

use super::evaluate::{Row, Rows};
use super::field::{Edit, Field, Parse, Shape};
use super::filter::is_filter;
use crate::cli::dialect::{Params, values};
use crate::cli::errors::CliError;
use crate::xenapi::{NULL_REF, Value};

impl Rows<'_> {
    fn method(&self, verb: &str, field: &Field) -> String {
        format!("{}.{verb}{}", self.class.api, field.api_name())
    }

    fn change(&self, method: &str, row: &Row, values: &[Value]) -> Result<(), CliError> {
        let mut params: Vec<Value> = vec![row.reference.as_str().into()];
        params.extend_from_slice(values);
        self.session.call(method, &params)?;
        Ok(())
    }

    /// A typed text as a value for a setter.
    fn parsed(&self, parse: Parse, name: &str, text: &str) -> Result<Value, CliError> {
        let refused =
            |wanted: &str| CliError::text(format!("Failed to parse parameter '{name}': {wanted}"));
        match parse {
            Parse::Text => Ok(text.into()),
            Parse::Int => text.parse().map(Value::Int).map_err(|_| refused("expecting an integer")),
            Parse::Bool => text
                .parse()
                .map(Value::Bool)
                .map_err(|_| refused("expecting a boolean (true or false)")),
            Parse::StrictBool => text.parse().map(Value::Bool).map_err(|_| {
                CliError::text(format!("Parameter {name} must be a boolean (true or false)"))
            }),
            Parse::Float => text.parse().map(Value::Float).map_err(|_| {
                CliError::text(format!("Parameter {name} must be a floating-point number"))
            }),
            Parse::Size => Ok(Value::Int(values::size(name, text)?)),
            Parse::Word(words) => choice(words, text),
            Parse::UuidOrNull(_) if text.is_empty() => Ok(NULL_REF.into()),
            Parse::Uuid(class) | Parse::UuidOrNull(class) => {
                Ok(self.session.by_uuid(class, text)?.into())
            }
            Parse::List(member) => text
                .split(',')
                .filter(|part| !part.is_empty())
                .map(|part| self.parsed(*member, name, part))
                .collect::<Result<_, _>>()
                .map(Value::Array),
        }
    }

    /// `param-set`: fields in the order given, no roll-back; maps that are only settable as a
    /// whole are collected and set at the end.
    pub fn set(&self, row: &Row, params: &Params) -> Result<(), CliError> {
        let mut collected: Vec<(&'static Field, BTreeMap<String, Value>)> = Vec::new();
        for param in params.all() {
            if param.key == "uuid" || !is_filter(&param.key) {
                continue;
            }
            match self.class.field(&param.key) {
                Some(field) => self.set_plain(row, field, &param.value)?,
                None => {
                    let entry = self.set_entry(row, &param.key, &param.value)?;
                    if let Some((field, key)) = entry {
                        let value = param.value.as_str().into();
                        match collected.iter_mut().find(|(f, _)| f.name == field.name) {
                            Some((_, map)) => drop(map.insert(key, value)),
                            None => collected.push((field, [(key, value)].into())),
                        }
                    }
                }
            }
        }
        for (field, map) in collected {
            self.change(&self.method("set_", field), row, &[Value::Struct(map)])?;
        }
        Ok(())
    }

    fn set_plain(&self, row: &Row, field: &Field, text: &str) -> Result<(), CliError> {
        match field.set {
            Some(parse) => {
                let value = self.parsed(parse, field.name, text)?;
                self.change(&self.method("set_", field), row, &[value])
            }
            None if field.shape == Shape::Map
                || (field.shape == Shape::Set && field.is_addable()) =>
            {
                Err(CliError::text(format!(
                    "Field '{}' is a map or set. use the 'name:key=value' syntax.",
                    field.name
                )))
            }
            None => Err(CliError::text(format!("Field '{}' is read-only.", field.name))),
        }
    }

    /// `map:key=value`; gives back the field and key when the whole map is to be set later.
    fn set_entry(
        &self,
        row: &Row,
        name: &str,
        text: &str,
    ) -> Result<Option<(&'static Field, String)>, CliError> {
        let unknown = || CliError::text(format!("Unknown field '{name}'"));
        let (field, key) = self.split_map_name(name).ok_or_else(unknown)?;
        match (field.shape, field.edit) {
            (Shape::Set, _) => Err(CliError::text("Cannot param-set on set fields")),
            (Shape::Plain, _) => {
                Err(CliError::text(format!("Field '{}' is read-only.", field.name)))
            }
            (_, Edit::None) => {
                Err(CliError::text(format!("Map field '{}' is read-only.", field.name)))
            }
            (_, Edit::Property) => {
                let method = format!("{}.set_property", self.class.api);
                self.change(&method, row, &[key.into(), text.into()])?;
                Ok(None)
            }
            (_, Edit::Collected | Edit::Whole) => Ok(Some((field, key.to_owned()))),
            _ => {
                let old = self.entries(row, field)?.into_iter().find(|(known, _)| known == key);
                if old.is_some() {
                    self.change(&self.method("remove_from_", field), row, &[key.into()])?;
                }
                let add = |text: &str| {
                    self.change(&self.method("add_to_", field), row, &[key.into(), text.into()])
                };
                // What is refused leaves what was there.
                add(text).inspect_err(|_| drop(old.map(|(_, old)| add(&old))))?;
                Ok(None)
            }
        }
    }

    /// `map:key` or the old `map-key`, as field and key.
    fn split_map_name<'n>(&self, name: &'n str) -> Option<(&'static Field, &'n str)> {
        if let Some((field, key)) = name.split_once(':') {
            return Some((self.class.field(field)?, key));
        }
        self.class
            .fields
            .iter()
            .filter(|field| field.shape != Shape::Plain)
            .filter_map(|field| Some((field, name.strip_prefix(field.name)?.strip_prefix('-')?)))
            .filter(|(_, key)| !key.is_empty())
            .max_by_key(|(field, _)| field.name.len())
    }

    /// `param-add`.
    pub fn add(&self, row: &Row, field: &Field, params: &Params) -> Result<(), CliError> {
        match field.shape {
            Shape::Plain => Err(CliError::text("Can only add to parameters of type Set or Map")),
            _ if !field.is_addable() => Err(CliError::text("Parameter is read-only")),
            Shape::Set => {
                let member = params.get("param-key").ok_or_else(|| {
                    CliError::text(
                        "a set takes its new member by param-key, as in \
                         'param-name=<set> param-key=<member>'",
                    )
                })?;
                self.edit_set(row, field, member, true)
            }
            Shape::Map => {
                let own = ["uuid", "param-name", "param-key"];
                for param in params.all() {
                    if is_filter(&param.key) && !own.contains(&param.key.as_str()) {
                        self.add_entry(row, field, &param.key, &param.value)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn add_entry(&self, row: &Row, field: &Field, key: &str, text: &str) -> Result<(), CliError> {
        if matches!(field.edit, Edit::Whole) {
            return self.edit_whole_map(row, field, |map| {
                map.insert(key.to_owned(), text.into());
            });
        }
        self.change(&self.method("add_to_", field), row, &[key.into(), text.into()])
    }

    /// Reads the map, changes it, writes it whole.
    fn edit_whole_map(
        &self,
        row: &Row,
        field: &Field,
        edit: impl FnOnce(&mut BTreeMap<String, Value>),
    ) -> Result<(), CliError> {
        let mut map = match self.value(row, field)? {
            Value::Struct(map) => map,
            _ => BTreeMap::new(),
        };
        edit(&mut map);
        self.change(&self.method("set_", field), row, &[Value::Struct(map)])
    }

    fn edit_set(&self, row: &Row, field: &Field, text: &str, adding: bool) -> Result<(), CliError> {
        let member = self.parsed(field.member, field.name, text)?;
        let api = match field.edit {
            Edit::MembersAs(api) => api.to_owned(),
            _ => field.api_name(),
        };
        if !matches!(field.edit, Edit::Whole) {
            let verb = if adding { "add" } else { "remove" };
            return self.change(&format!("{}.{verb}_{api}", self.class.api), row, &[member]);
        }
        let mut items = match self.value(row, field)? {
            Value::Array(items) => items,
            _ => Vec::new(),
        };
        items.retain(|item| *item != member);
        if adding {
            items.push(member);
        }
        self.change(&self.method("set_", field), row, &[Value::Array(items)])
    }

    /// `param-remove`.
    pub fn remove(&self, row: &Row, field: &Field, key: &str) -> Result<(), CliError> {
        match field.shape {
            Shape::Plain => {
                Err(CliError::text("Can only remove from parameters of type Set or Map"))
            }
            Shape::Set if !field.is_addable() => {
                Err(CliError::text("Cannot remove parameters from read-only set"))
            }
            Shape::Set => {
                if !self.members(row, field)?.iter().any(|member| member == key) {
                    return Err(CliError::text(format!("Key {key} is not in the set")));
                }
                self.edit_set(row, field, key, false)
            }
            Shape::Map if !field.is_addable() => {
                Err(CliError::text("Cannot remove parameters from read-only map"))
            }
            Shape::Map => {
                if !self.entries(row, field)?.iter().any(|(k, _)| k == key) {
                    return Err(CliError::text(format!("Key {key} is not in map")));
                }
                self.remove_entry(row, field, key)
            }
        }
    }

    fn remove_entry(&self, row: &Row, field: &Field, key: &str) -> Result<(), CliError> {
        if matches!(field.edit, Edit::Whole) {
            return self.edit_whole_map(row, field, |map| drop(map.remove(key)));
        }
        self.change(&self.method("remove_from_", field), row, &[key.into()])
    }

    /// `param-clear`.
    pub fn clear(&self, row: &Row, field: &Field) -> Result<(), CliError> {
        let read_only = || CliError::text("Can only clear RW parameters");
        match field.shape {
            Shape::Set if field.is_addable() => {
                for member in self.members(row, field)? {
                    self.edit_set(row, field, &member, false)?;
                }
                Ok(())
            }
            Shape::Map if field.clears || matches!(field.edit, Edit::Whole) => {
                let empty = Value::Struct(BTreeMap::new());
                self.change(&self.method("set_", field), row, &[empty])
            }
            Shape::Map if field.is_addable() => {
                for (key, _) in self.entries(row, field)? {
                    self.remove_entry(row, field, &key)?;
                }
                Ok(())
            }
            Shape::Plain if field.set.is_some() => self
                .set_plain(row, field, "")
                .map_err(|_| CliError::text("Cannot clear this parameter")),
            _ => Err(read_only()),
        }
    }
}

/// A word of the wire in any case.
fn choice(words: &[&str], text: &str) -> Result<Value, CliError> {
    match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
        Some(word) => Ok((*word).into()),
        None => {
            let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
            Err(CliError::text(format!("Expected one of {}, got {text}", quoted.join(", "))))
        }
    }
}
