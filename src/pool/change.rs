//! One change of the database, and values as the journal writes them.

use crate::xenapi::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One change, in the order in which it must be applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Change {
    /// A new row.
    Create {
        /// The class of the row.
        class: String,
        /// Its reference.
        reference: String,
        /// Fields that differ from their defaults.
        fields: BTreeMap<String, Stored>,
    },
    /// A row that goes.
    Delete {
        /// The class of the row.
        class: String,
        /// Its reference.
        reference: String,
    },
    /// A new value of a field.
    Set {
        /// The class of the row.
        class: String,
        /// Its reference.
        reference: String,
        /// The field.
        field: String,
        /// Its new value.
        value: Stored,
    },
}

impl Change {
    /// The row that the change is about.
    pub fn row(&self) -> (&str, &str) {
        match self {
            Self::Create { class, reference, .. }
            | Self::Delete { class, reference }
            | Self::Set { class, reference, .. } => (class, reference),
        }
    }
}

/// A value in the journal. Each kind has its own form, so that nothing is guessed when it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stored {
    /// Text, references and words.
    S(String),
    /// An integer.
    I(i64),
    /// A boolean.
    B(bool),
    /// A double, by its bits: the decimal form would not come back exactly.
    F(u64),
    /// A date.
    D(String),
    /// A set.
    A(Vec<Stored>),
    /// A map.
    M(BTreeMap<String, Stored>),
}

impl From<&Value> for Stored {
    fn from(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::S(text.clone()),
            Value::Int(number) => Self::I(*number),
            Value::Bool(flag) => Self::B(*flag),
            Value::Float(number) => Self::F(number.to_bits()),
            Value::DateTime(date) => Self::D(date.clone()),
            Value::Array(items) => Self::A(items.iter().map(Into::into).collect()),
            Value::Struct(entries) => {
                Self::M(entries.iter().map(|(k, v)| (k.clone(), v.into())).collect())
            }
        }
    }
}

impl From<&Stored> for Value {
    fn from(stored: &Stored) -> Self {
        match stored {
            Stored::S(text) => Self::String(text.clone()),
            Stored::I(number) => Self::Int(*number),
            Stored::B(flag) => Self::Bool(*flag),
            Stored::F(bits) => Self::Float(f64::from_bits(*bits)),
            Stored::D(date) => Self::DateTime(date.clone()),
            Stored::A(items) => Self::Array(items.iter().map(Into::into).collect()),
            Stored::M(entries) => {
                Self::Struct(entries.iter().map(|(k, v)| (k.clone(), v.into())).collect())
            }
        }
    }
}
