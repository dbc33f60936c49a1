//! The notation of the record tables: what a field shows, and how it is changed.

use super::evaluate::{Row, Rows};
use crate::cli::errors::CliError;
use crate::cli::printing::spelling::Words;
use crate::xenapi::Value;

/// A class as `xe` lists it.
#[derive(Debug)]
pub struct Class {
    /// The first part of its commands, such as `vm` in `vm-list`.
    pub name: &'static str,
    /// The word for one object in help sentences.
    pub noun: &'static str,
    /// The class of the API.
    pub api: &'static str,
    /// A set of the object that must have a member for it to be listed; empty: none.
    pub needs: &'static str,
    /// Filters that the list always applies first: (field, value).
    pub only: &'static [(&'static str, &'static str)],
    /// What a plain list shows; empty: every field.
    pub defaults: &'static [&'static str],
    /// All fields in print order.
    pub fields: &'static [Field],
}

/// The mark of a field: decides label, filters and `param-add`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    Plain,
    /// A set that can be searched.
    Set,
    /// A map that can be searched.
    Map,
}

/// Where a field's value comes from.
#[derive(Debug, Clone, Copy)]
pub enum Source {
    /// A field of the object itself; empty: the shown name with `_` for `-`.
    Own(&'static str),
    /// A field of another object: (own field with the reference, class, its field, what shows
    /// when there is no such object).
    Via(&'static str, &'static str, &'static str, &'static str),
    /// A call on the object.
    Call(&'static str),
    /// A rule of its own.
    Rule(fn(&Rows<'_>, &Row) -> Result<Value, CliError>),
}

/// How one value (or one member) is spelled.
#[derive(Debug, Clone, Copy)]
pub enum Spell {
    /// As it is.
    Plain,
    /// An integer, also when it travels as a float.
    Int,
    /// Three decimals.
    Float,
    /// A compact date.
    Date,
    /// A word of an enumeration.
    Word(Words),
    /// A reference of this class, by uuid.
    Uuid(&'static str),
    /// A reference of this class, by name-label.
    Name(&'static str),
}

/// How a text given to `param-set` becomes a value.
#[derive(Debug, Clone, Copy)]
pub enum Parse {
    /// As it is.
    Text,
    /// An integer, refused by the command line.
    Int,
    /// `true` or `false`, refused as a parse failure.
    Bool,
    /// `true` or `false`, refused as a wrong parameter.
    StrictBool,
    /// A float.
    Float,
    /// A size with suffix.
    Size,
    /// A word of the wire, in any case.
    Word(&'static [&'static str]),
    /// The uuid of an object of this class.
    Uuid(&'static str),
    /// The same, empty for none.
    UuidOrNull(&'static str),
    /// A comma separated list of these.
    List(&'static Parse),
}

/// How members or entries are added and removed.
#[derive(Debug, Clone, Copy)]
pub enum Edit {
    /// Not at all.
    None,
    /// `add_<field>` and `remove_<field>`.
    Members,
    /// The same under another name.
    MembersAs(&'static str),
    /// `add_to_<field>` and `remove_from_<field>`.
    Entries,
    /// Read, change, write the whole with `set_<field>`.
    Whole,
    /// `set_property(key, value)`: no adding, but `param-set field:key=value`.
    Property,
    /// Only `param-set field:key=value`, collected for one `set_<field>`.
    Collected,
}

/// One field of a class.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The name that people type.
    pub name: &'static str,
    /// The mark.
    pub shape: Shape,
    /// Where the value comes from.
    pub source: Source,
    /// How the value or each member is spelled.
    pub spell: Spell,
    /// What stands between members.
    pub separator: &'static str,
    /// The setter's parser; nothing when there is no setter.
    pub set: Option<Parse>,
    /// The parser of one member that is added or removed.
    pub member: Parse,
    /// How members or entries are changed.
    pub edit: Edit,
    /// Whether the whole map can be emptied with the setter.
    pub clears: bool,
    /// Never printed by list and param-list.
    pub hidden: bool,
    /// Not computed in lists.
    pub expensive: bool,
    /// Marked in the label.
    pub deprecated: bool,
    /// Filters ignore the case.
    pub any_case: bool,
}

const fn field(name: &'static str, shape: Shape, spell: Spell) -> Field {
    Field {
        name,
        shape,
        source: Source::Own(""),
        spell,
        separator: "; ",
        set: None,
        member: Parse::Text,
        edit: Edit::None,
        clears: false,
        hidden: false,
        expensive: false,
        deprecated: false,
        any_case: false,
    }
}

/// A text, a boolean, or any value that shows as it is.
pub const fn text(name: &'static str) -> Field {
    field(name, Shape::Plain, Spell::Plain)
}

/// An integer.
pub const fn int(name: &'static str) -> Field {
    field(name, Shape::Plain, Spell::Int)
}

/// A float with three decimals.
pub const fn float(name: &'static str) -> Field {
    field(name, Shape::Plain, Spell::Float)
}

/// A date.
pub const fn date(name: &'static str) -> Field {
    field(name, Shape::Plain, Spell::Date)
}

/// A word (or several words) of an enumeration.
pub const fn word(name: &'static str, words: Words) -> Field {
    field(name, Shape::Plain, Spell::Word(words))
}

/// The uuid of another object, or the uuids of several.
pub const fn uuid_of(name: &'static str, class: &'static str) -> Field {
    field(name, Shape::Plain, Spell::Uuid(class))
}

/// The name of another object.
pub const fn name_of(name: &'static str, class: &'static str) -> Field {
    field(name, Shape::Plain, Spell::Name(class))
}

/// A map.
pub const fn map(name: &'static str) -> Field {
    field(name, Shape::Map, Spell::Plain)
}

impl Field {
    /// The API's name for it.
    pub const fn api(mut self, api: &'static str) -> Self {
        self.source = Source::Own(api);
        self
    }

    /// The value is a field of another object.
    pub const fn via(
        mut self,
        link: &'static str,
        class: &'static str,
        api: &'static str,
        missing: &'static str,
    ) -> Self {
        self.source = Source::Via(link, class, api, missing);
        self
    }

    /// The value is a call's answer.
    pub const fn call(mut self, method: &'static str) -> Self {
        self.source = Source::Call(method);
        self
    }

    /// The value comes by a rule.
    pub const fn rule(mut self, rule: fn(&Rows<'_>, &Row) -> Result<Value, CliError>) -> Self {
        self.source = Source::Rule(rule);
        self
    }

    /// A set with the mark `S`.
    pub const fn set(mut self) -> Self {
        self.shape = Shape::Set;
        self
    }

    /// A map with the mark `M`.
    pub const fn map(mut self) -> Self {
        self.shape = Shape::Map;
        self
    }

    /// Shown without `S` or `M` although it is a set or map.
    pub const fn plain(mut self) -> Self {
        self.shape = Shape::Plain;
        self
    }

    /// Members are joined with a comma.
    pub const fn commas(mut self) -> Self {
        self.separator = ", ";
        self
    }

    /// `param-set` works, by this parser.
    pub const fn rw(mut self, parse: Parse) -> Self {
        self.set = Some(parse);
        self
    }

    /// Members or entries can be changed.
    pub const fn edit(mut self, edit: Edit) -> Self {
        self.edit = edit;
        self
    }

    /// One member is parsed like this.
    pub const fn member(mut self, parse: Parse) -> Self {
        self.member = parse;
        self
    }

    /// `param-clear` writes an empty map.
    pub const fn clears(mut self) -> Self {
        self.clears = true;
        self
    }

    /// Never printed, but known by name.
    pub const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Not computed in lists.
    pub const fn expensive(mut self) -> Self {
        self.expensive = true;
        self
    }

    /// Marked as deprecated.
    pub const fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }

    /// Compared without regard to case.
    pub const fn any_case(mut self) -> Self {
        self.any_case = true;
        self
    }
}
