//! The expressions of `get_all_records_where`: `field "name__label" = "web" and not (true)`.

use crate::pool::Row;
use crate::xenapi::model::{Class, Qualifier};
use crate::xenapi::{Failure, Value, failure::Answer};

/// An expression over the fields of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Always so.
    Always(bool),
    /// Two terms are equal.
    Equal(Term, Term),
    /// Not so.
    Not(Box<Filter>),
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// At least one.
    Or(Box<Filter>, Box<Filter>),
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Term {
    /// The value of a field, by its name.
    Field(String),
    /// A text.
    Text(String),
}

impl Filter {
    /// Reads an expression; INTERNAL_ERROR names the place where it stops to make sense.
    pub fn parse(text: &str) -> Answer<Self> {
        let mut parser = Parser { words: words(text)?, at: 0, depth: 0 };
        let filter = parser.any_of()?;
        match parser.words.get(parser.at) {
            None => Ok(filter),
            Some(word) => Err(bad(&format!("unexpected {word:?}"))),
        }
    }

    /// Whether a row satisfies the expression.
    pub fn matches(&self, class: &Class, row: &Row) -> bool {
        match self {
            Self::Always(answer) => *answer,
            Self::Equal(left, right) => left.text(class, row) == right.text(class, row),
            Self::Not(inner) => !inner.matches(class, row),
            Self::And(left, right) => left.matches(class, row) && right.matches(class, row),
            Self::Or(left, right) => left.matches(class, row) || right.matches(class, row),
        }
    }
}

impl Term {
    fn text(&self, class: &Class, row: &Row) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            // The database's spelling has two underscores where the interface has one.
            Self::Field(name) => {
                let index = class.index(name).or_else(|| class.index(&name.replace("__", "_")))?;
                // What is never shown must not be guessed by comparing either.
                if class.fields[index].qualifier == Qualifier::Internal {
                    return None;
                }
                Some(match row.at(index) {
                    Value::String(text) | Value::DateTime(text) => text.clone(),
                    Value::Int(number) => number.to_string(),
                    Value::Bool(flag) => flag.to_string(),
                    Value::Float(number) => number.to_string(),
                    Value::Array(_) | Value::Struct(_) => return None,
                })
            }
        }
    }
}

fn bad(why: &str) -> Failure {
    Failure::internal(format!("the expression is not understood: {why}"))
}

#[derive(Debug, Clone, PartialEq)]
enum Word {
    Name(String),
    Text(String),
    Sign(char),
}

fn words(text: &str) -> Answer<Vec<Word>> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '(' | ')' | '=' => found.push(Word::Sign(c)),
            '"' | '\'' => {
                let mut inner = String::new();
                loop {
                    match chars.next() {
                        None => return Err(bad("a text without its end")),
                        Some('\\') => inner.extend(chars.next()),
                        Some(end) if end == c => break,
                        Some(other) => inner.push(other),
                    }
                }
                found.push(Word::Text(inner));
            }
            c if c.is_alphanumeric() || c == '_' => {
                let mut name = c.to_string();
                while let Some(next) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(next);
                }
                found.push(Word::Name(name.to_lowercase()));
            }
            other => return Err(bad(&format!("unexpected {other:?}"))),
        }
    }
    Ok(found)
}

struct Parser {
    words: Vec<Word>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn take(&mut self, wanted: &Word) -> bool {
        let found = self.words.get(self.at) == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn name(&mut self, wanted: &str) -> bool {
        self.take(&Word::Name(wanted.to_owned()))
    }

    fn any_of(&mut self) -> Answer<Filter> {
        let mut left = self.all_of()?;
        while self.name("or") {
            left = Filter::Or(Box::new(left), Box::new(self.all_of()?));
        }
        Ok(left)
    }

    fn all_of(&mut self) -> Answer<Filter> {
        let mut left = self.one()?;
        while self.name("and") {
            left = Filter::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Answer<Filter> {
        self.depth += 1;
        if self.depth > 64 {
            return Err(bad("nested too deep"));
        }
        let filter = if self.name("true") {
            Filter::Always(true)
        } else if self.name("false") {
            Filter::Always(false)
        } else if self.name("not") {
            Filter::Not(Box::new(self.one()?))
        } else if self.take(&Word::Sign('(')) {
            let inner = self.any_of()?;
            if !self.take(&Word::Sign(')')) {
                return Err(bad("a bracket without its end"));
            }
            inner
        } else {
            let left = self.term()?;
            if !self.take(&Word::Sign('=')) {
                return Err(bad("a comparison without ="));
            }
            Filter::Equal(left, self.term()?)
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn term(&mut self) -> Answer<Term> {
        let is_field = self.name("field");
        match self.words.get(self.at).cloned() {
            Some(Word::Text(text)) => {
                self.at += 1;
                Ok(if is_field { Term::Field(text) } else { Term::Text(text) })
            }
            _ => Err(bad("a text was expected")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xenapi::Model;

    #[test]
    fn expressions_select_rows() {
        let class = Model::get().class("VM").unwrap();
        let mut row = Row::blank(class);
        row.put(class.index("name_label").unwrap(), Value::from("web \"1\""));
        let holds = |text: &str| Filter::parse(text).unwrap().matches(class, &row);
        assert!(holds("true"));
        assert!(holds(r#"field "name__label" = "web \"1\"""#));
        assert!(holds(r#"(field "is_a_template"="false") and (not (field "name_label"="x"))"#));
        assert!(!holds(r#"field "is_a_template"="true" or false"#));
        for wrong in ["", "true true", "(true", "field \"x\"", "\"a", "a = b", "field = \"x\""] {
            assert!(Filter::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Filter::parse(&"not ".repeat(10_000)).is_err());
    }
}
