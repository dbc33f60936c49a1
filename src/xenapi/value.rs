//! Values as they travel: XML-RPC's types, with XenAPI's habits.
//!
//! On the wire a 64-bit integer is a string, so a client sees [`Value::String`] where the server
//! wrote [`Value::Int`]; [`Value::as_int`] reads both.

use std::collections::BTreeMap;

/// One XML-RPC value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text, a reference, or a word of an enumeration.
    String(String),
    /// A 64-bit integer (written as a string).
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// A double.
    Float(f64),
    /// A date in XenAPI's form, `20260101T00:00:00Z`.
    DateTime(String),
    /// A set, or a list in the order given.
    Array(Vec<Value>),
    /// A map or a record.
    Struct(BTreeMap<String, Value>),
}

impl Value {
    /// What a method without a result answers: the empty string.
    pub fn void() -> Self {
        Self::String(String::new())
    }

    /// The text of a string or a date.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::DateTime(text) => Some(text),
            _ => None,
        }
    }

    /// An integer, also when it travelled as a string.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// A double, also when the server wrote an integer.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            Self::Int(number) => Some(*number as f64),
            Self::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The members of a set.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a map or record.
    pub fn as_struct(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Struct(entries) => Some(entries),
            _ => None,
        }
    }

    /// One entry of a map or record.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_struct()?.get(key)
    }

    /// A map of texts.
    pub fn text_map<K: Into<String>, V: Into<String>>(
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self::Struct(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), Self::String(value.into())))
                .collect(),
        )
    }

    /// A set of texts.
    pub fn text_set<T: Into<String>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::Array(items.into_iter().map(|t| Self::String(t.into())).collect())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
