//! The types of the data model, and the check of a value against one.

use super::{NULL_REF, Value};
use std::collections::BTreeMap;

/// A type of the data model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Text.
    Text,
    /// A 64-bit integer.
    Int,
    /// A boolean.
    Bool,
    /// A double.
    Float,
    /// A date.
    DateTime,
    /// A word of the named enumeration.
    Enum(String),
    /// A reference to an object of the named class.
    Ref(String),
    /// A set.
    Set(Box<Type>),
    /// A map.
    Map(Box<Type>, Box<Type>),
    /// A whole record of the named class.
    Record(String),
    /// Possibly nothing.
    Option(Box<Type>),
    /// No result.
    Void,
    /// Anything: calls whose shape the published model does not give.
    Any,
}

impl Type {
    /// Reads the notation of the model files, such as `map(string,ref(VM))`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((head, inner)) = text.strip_suffix(')').and_then(|t| t.split_once('(')) {
            return Some(match head {
                "enum" => Self::Enum(inner.to_owned()),
                "ref" => Self::Ref(inner.to_owned()),
                "record" => Self::Record(inner.to_owned()),
                "set" => Self::Set(Box::new(Self::parse(inner)?)),
                "option" => Self::Option(Box::new(Self::parse(inner)?)),
                "map" => {
                    let comma = top_level_comma(inner)?;
                    let (key, value) = (Self::parse(&inner[..comma])?, &inner[comma + 1..]);
                    Self::Map(Box::new(key), Box::new(Self::parse(value)?))
                }
                _ => return None,
            });
        }
        Some(match text {
            "string" => Self::Text,
            "int" => Self::Int,
            "bool" => Self::Bool,
            "float" => Self::Float,
            "datetime" => Self::DateTime,
            "void" => Self::Void,
            "any" => Self::Any,
            _ => return None,
        })
    }

    /// The name that XenAPI's errors use for the type.
    pub fn name(&self) -> String {
        match self {
            Self::Text => "string".to_owned(),
            Self::Int => "int".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Float => "float".to_owned(),
            Self::DateTime => "datetime".to_owned(),
            Self::Enum(name) => format!("enum {name}"),
            Self::Ref(class) => format!("{class} ref"),
            Self::Set(item) => format!("{} set", item.name()),
            Self::Map(key, value) => format!("({} -> {}) map", key.name(), value.name()),
            Self::Record(class) => format!("{class} record"),
            Self::Option(item) => format!("{} option", item.name()),
            Self::Void => "void".to_owned(),
            Self::Any => "any".to_owned(),
        }
    }

    /// The value that a field has when nobody gave one.
    pub fn zero(&self) -> Value {
        match self {
            Self::Text | Self::Void | Self::Any => Value::void(),
            Self::Enum(_) => Value::void(),
            Self::Int => Value::Int(0),
            Self::Bool => Value::Bool(false),
            Self::Float => Value::Float(0.0),
            Self::DateTime => Value::DateTime("19700101T00:00:00Z".to_owned()),
            Self::Ref(_) => Value::from(NULL_REF),
            Self::Set(_) | Self::Option(_) => Value::Array(Vec::new()),
            Self::Map(..) | Self::Record(_) => Value::Struct(BTreeMap::new()),
        }
    }

    /// Takes a value that came over the wire as this type, or says that it is none.
    ///
    /// Integers may come as text, dates as text, and words of an enumeration in any case; `words`
    /// gives the words of an enumeration by its name.
    pub fn accept<'m>(
        &self,
        value: &Value,
        words: &dyn Fn(&str) -> Option<&'m [String]>,
    ) -> Option<Value> {
        Some(match (self, value) {
            (Self::Any, any) => any.clone(),
            (Self::Text, Value::String(_)) => value.clone(),
            (Self::Ref(_), Value::String(text)) => {
                Value::from(if text.is_empty() { NULL_REF } else { text.as_str() })
            }
            (Self::Int, _) => Value::Int(value.as_int()?),
            (Self::Float, _) => Value::Float(value.as_float()?),
            (Self::Bool, Value::Bool(_)) => value.clone(),
            (Self::DateTime, _) => Value::DateTime(value.as_str()?.to_owned()),
            (Self::Enum(name), Value::String(text)) => match words(name) {
                Some(list) => {
                    Value::from(list.iter().find(|word| word.eq_ignore_ascii_case(text))?.as_str())
                }
                None => value.clone(),
            },
            (Self::Set(item), Value::Array(items)) => Value::Array(
                items.iter().map(|v| item.accept(v, words)).collect::<Option<Vec<_>>>()?,
            ),
            (Self::Option(item), Value::Array(items)) if items.is_empty() => {
                let _ = item;
                value.clone()
            }
            (Self::Option(item), other) => item.accept(other, words)?,
            (Self::Map(key, item), Value::Struct(entries)) => {
                let mut map = BTreeMap::new();
                for (name, entry) in entries {
                    key.accept(&Value::from(name.as_str()), words)?;
                    map.insert(name.clone(), item.accept(entry, words)?);
                }
                Value::Struct(map)
            }
            (Self::Record(_), Value::Struct(_)) => value.clone(),
            _ => return None,
        })
    }
}

fn top_level_comma(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b',' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation_reads_nested_maps() {
        let nested = Type::parse("map(ref(VM),map(string,set(int)))").unwrap();
        assert_eq!(nested.name(), "(VM ref -> (string -> int set) map) map");
        assert_eq!(Type::parse("list(int)"), None);
        assert_eq!(Type::parse("map(string)"), None);
    }

    #[test]
    fn integers_may_travel_as_text_and_enums_in_any_case() {
        let words = ["Running".to_owned(), "Halted".to_owned()];
        let lookup = |_: &str| Some(&words[..]);
        let power = Type::parse("enum(power)").unwrap();
        assert_eq!(power.accept(&"running".into(), &lookup), Some("Running".into()));
        assert_eq!(power.accept(&"Off".into(), &lookup), None);
        assert_eq!(Type::Int.accept(&"12".into(), &lookup), Some(Value::Int(12)));
        assert_eq!(Type::Int.accept(&"12x".into(), &lookup), None);
        assert_eq!(Type::Bool.accept(&"true".into(), &lookup), None);
    }
}
