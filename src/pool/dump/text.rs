//! Values as the dump writes them: sets `('a' 'b')`, maps `(('k' 'v'))`, and the `%` escapes over
//! the whole attribute.

use crate::xenapi::Value;
use crate::xenapi::types::Type;
use std::collections::BTreeMap;

/// Undoes the `%` escapes of an attribute. A `%` before anything else stands for itself.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let replaced = match (c, chars.peek()) {
            ('%', Some('.')) => " ",
            ('%', Some('_')) => "  ",
            ('%', Some('t')) => "\t",
            ('%', Some('n')) => "\n",
            ('%', Some('r')) => "\r",
            ('%', Some('%')) => "%",
            _ => {
                out.push(c);
                continue;
            }
        };
        out.push_str(replaced);
        chars.next();
    }
    out
}

/// Writes the `%` escapes: XML would fold runs of blanks and line ends in an attribute.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut after_blank = false;
    for c in text.chars() {
        match c {
            ' ' if after_blank => out.push_str("%."),
            '\t' => out.push_str("%t"),
            '\n' => out.push_str("%n"),
            '\r' => out.push_str("%r"),
            '%' => out.push_str("%%"),
            other => out.push(other),
        }
        after_blank = c == ' ';
    }
    out
}

/// Reads an unescaped attribute as a type; none when it is no such value.
pub fn read(text: &str, ty: &Type) -> Option<Value> {
    Some(match ty {
        Type::Int => Value::Int(text.parse().ok()?),
        Type::Bool => Value::Bool(match text {
            "true" => true,
            "false" => false,
            _ => return None,
        }),
        Type::Float => Value::Float(text.parse().ok()?),
        Type::DateTime => Value::DateTime(text.to_owned()),
        Type::Set(item) => {
            let items = items(text)?.into_iter().map(|part| match part {
                Part::Word(word) => read(&word, item),
                Part::List(_) => None,
            });
            Value::Array(items.collect::<Option<_>>()?)
        }
        Type::Map(_, item) => {
            let mut map = BTreeMap::new();
            for part in items(text)? {
                let Part::List(pair) = part else { return None };
                let [key, value] = <[String; 2]>::try_from(pair).ok()?;
                map.insert(key, read(&value, item)?);
            }
            Value::Struct(map)
        }
        _ => Value::from(text),
    })
}

/// Writes a value; the escapes are still to come.
pub fn write(value: &Value) -> String {
    match value {
        Value::String(text) | Value::DateTime(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| quote(&write(item))).collect();
            format!("({})", items.join(" "))
        }
        Value::Struct(entries) => {
            let pair = |(key, value): (&String, &Value)| {
                format!("({} {})", quote(key), quote(&write(value)))
            };
            let entries: Vec<String> = entries.iter().map(pair).collect();
            format!("({})", entries.join(" "))
        }
    }
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\\', "\\\\").replace('\'', "\\'"))
}

enum Part {
    Word(String),
    List(Vec<String>),
}

/// The parts of `(…)`, one level deep.
fn items(text: &str) -> Option<Vec<Part>> {
    let mut chars = text.chars().peekable();
    let mut parts = Vec::new();
    let mut inner: Option<Vec<String>> = None;
    if chars.next() != Some('(') {
        return None;
    }
    loop {
        match chars.next()? {
            c if c.is_whitespace() => {}
            '\'' => {
                let mut word = String::new();
                loop {
                    match chars.next()? {
                        '\\' => word.push(chars.next()?),
                        '\'' => break,
                        c => word.push(c),
                    }
                }
                match &mut inner {
                    Some(list) => list.push(word),
                    None => parts.push(Part::Word(word)),
                }
            }
            '(' if inner.is_none() => inner = Some(Vec::new()),
            ')' => match inner.take() {
                Some(list) => parts.push(Part::List(list)),
                None => return chars.all(char::is_whitespace).then_some(parts),
            },
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_of_old_and_new_dumps_are_undone() {
        assert_eq!(unescape("a%.b%_c%n%t%r%%d%"), "a b  c\n\t\r%d%");
        assert_eq!(escape("a  b\n100%"), "a %.b%n100%%");
    }

    #[test]
    fn sets_and_maps_are_read_and_anything_else_is_refused() {
        let set = Type::parse("set(string)").unwrap();
        let map = Type::parse("map(string,string)").unwrap();
        assert_eq!(read("()", &set), Some(Value::Array(vec![])));
        assert_eq!(read(r"('a b' 'it\'s')", &set), Some(Value::text_set(["a b", "it's"])));
        assert_eq!(
            read("(('k' 'v') ('l' ''))", &map),
            Some(Value::text_map([("k", "v"), ("l", "")]))
        );
        for wrong in ["", "(", "('a'", "('a' ('b'))", "a", "((('a')))", "() x"] {
            assert_eq!(read(wrong, &set), None, "{wrong}");
            assert_eq!(read(wrong, &map), None, "{wrong}");
        }
        assert_eq!(read("12a", &Type::Int), None);
    }

    proptest! {
        #[test]
        fn every_text_survives(words in prop::collection::vec("[ -~\n\t\r]{0,10}", 0..5)) {
            let value = Value::text_set(words);
            let set = Type::parse("set(string)").unwrap();
            let back = read(&unescape(&escape(&write(&value))), &set);
            prop_assert_eq!(back, Some(value));
        }
    }
}
