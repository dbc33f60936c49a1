//! One row of the command table, written by hand or generated.

use super::context::Context;
use super::family::{VERBS, Verb};
use super::table::{Arg, Command, Handler, Kind, Login, Outcome, Parameter, Selector};
use crate::cli::records::field::Shape;
use crate::cli::records::{CLASSES, Class};

/// A command: its name, what it takes, what it does.
#[derive(Clone, Copy)]
pub enum Entry {
    /// Written by hand.
    Single(&'static Command),
    /// Generated from a record table.
    Family(&'static Class, Verb),
}

/// A parameter of an entry, with a name that may come from a record table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Whether the command refuses to run without it.
    pub required: bool,
}

impl From<Parameter> for Taken {
    fn from(parameter: Parameter) -> Self {
        Self { name: parameter.name.to_owned(), kind: parameter.kind, required: parameter.required }
    }
}

fn taken(name: impl Into<String>, kind: Kind, required: bool) -> Taken {
    Taken { name: name.into(), kind, required }
}

/// The entry with this name.
pub fn find(name: &str) -> Option<Entry> {
    if let Some(command) = super::singles().find(|command| command.name == name) {
        return Some(Entry::Single(command));
    }
    let (verb, class) = VERBS.iter().find_map(|(verb, suffix)| {
        Some((*verb, crate::cli::records::class(name.strip_suffix(suffix)?)?))
    })?;
    verb.fits(class).then_some(Entry::Family(class, verb))
}

/// Every entry, in no particular order.
pub fn all() -> impl Iterator<Item = Entry> {
    let families = CLASSES.iter().flat_map(|class| {
        VERBS
            .iter()
            .filter(|(verb, _)| verb.fits(class))
            .map(|(verb, _)| Entry::Family(class, *verb))
    });
    super::singles().map(Entry::Single).chain(families)
}

impl Entry {
    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::Single(command) => command.name.to_owned(),
            Self::Family(class, verb) => format!("{}{}", class.name, verb.suffix()),
        }
    }

    /// One sentence about it.
    pub fn help(&self) -> String {
        match self {
            Self::Single(command) => command.help.to_owned(),
            Self::Family(class, verb) => verb.help(class),
        }
    }

    /// Its parameters, the mandatory ones in the order in which they are checked.
    pub fn parameters(&self) -> Vec<Taken> {
        match self {
            Self::Single(command) => {
                let args: &[Arg] = match command.handler {
                    Handler::Call(_, args, _) => args,
                    Handler::Code(_) => &[],
                };
                let from_args = args.iter().filter_map(Arg::parameter);
                from_args.chain(command.parameters.iter().copied()).map(Taken::from).collect()
            }
            Self::Family(class, verb) => family_parameters(class, *verb),
        }
    }

    /// Which objects it picks, and whether several at once are possible.
    pub fn selector(&self) -> Option<(Selector, bool)> {
        match self {
            Self::Single(command) => command.selector,
            Self::Family(..) => None,
        }
    }

    /// Whether other words than its parameters are filters.
    pub fn filters(&self) -> bool {
        self.selector().is_some() || matches!(self, Self::Family(_, Verb::List))
    }

    /// Whether any other word is the key of a map to change.
    pub fn takes_any_key(&self) -> bool {
        matches!(self, Self::Family(_, Verb::ParamSet | Verb::ParamAdd))
            || matches!(self, Self::Single(command) if command.name == "event-wait")
    }

    /// Whether the plain help shows it.
    pub fn is_standard(&self) -> bool {
        match self {
            Self::Single(command) => command.standard,
            Self::Family(class, verb) => {
                *verb == Verb::List && ["vm", "sr", "network"].contains(&class.name)
            }
        }
    }

    /// Whether no help shows it.
    pub fn is_hidden(&self) -> bool {
        matches!(self, Self::Single(command) if command.hidden)
    }

    /// Which account it needs.
    pub fn login(&self) -> Login {
        match self {
            Self::Single(command) => command.login,
            Self::Family(..) => Login::Pool,
        }
    }

    /// Whether it asks before it acts.
    pub fn prompts(&self) -> bool {
        matches!(self, Self::Single(command) if command.prompts)
    }

    /// Whether it refuses to run without `force`.
    pub fn needs_force(&self) -> bool {
        matches!(self, Self::Single(command) if command.needs_force)
    }

    /// Command lines that show its use, with the leading `xe`.
    pub fn examples(&self) -> Vec<String> {
        if let Self::Single(command) = self
            && !command.examples.is_empty()
        {
            return command.examples.iter().map(|example| format!("xe {example}")).collect();
        }
        let mut line = format!("xe {}", self.name());
        for parameter in self.parameters().iter().filter(|parameter| parameter.required) {
            line.push_str(&format!(" {}={}", parameter.name, placeholder(parameter)));
        }
        match self.selector() {
            Some((Selector::Vms { .. }, _)) => line.push_str(" vm=web1"),
            Some((Selector::Hosts, _)) => line.push_str(" host=host1"),
            Some((Selector::Srs, _)) => line.push_str(" sr=shared"),
            None => {}
        }
        vec![line]
    }

    /// Runs it.
    pub fn run(&self, ctx: &mut Context<'_, '_>) -> Outcome {
        match self {
            Self::Single(command) => match command.handler {
                Handler::Code(run) => run(ctx),
                Handler::Call(method, args, prints) => ctx.plain_call(method, args, prints),
            },
            Self::Family(class, verb) => verb.run(class, ctx),
        }
    }
}

/// A value that may stand in an example.
fn placeholder(parameter: &Taken) -> String {
    match parameter.kind {
        Kind::Uuid(_) | Kind::Uuids(_) => "4a1cb250-342c-4b35-8bd9-efc78ca2c261".to_owned(),
        Kind::Bool => "true".to_owned(),
        Kind::Int => "1".to_owned(),
        Kind::Size => "8GiB".to_owned(),
        Kind::File => "/tmp/file".to_owned(),
        Kind::Host => "host1".to_owned(),
        Kind::Word(words) => words.first().copied().unwrap_or("x").to_owned(),
        Kind::Map => "1".to_owned(),
        Kind::Text if parameter.name == "param-name" => "other-config".to_owned(),
        Kind::Text => "example".to_owned(),
    }
}

fn family_parameters(class: &'static Class, verb: Verb) -> Vec<Taken> {
    let uuid = || taken("uuid", Kind::Uuid(class.name), true);
    let name = || taken("param-name", Kind::Text, true);
    let key = |required| taken("param-key", Kind::Text, required);
    match verb {
        Verb::List => {
            let mut list =
                vec![taken("params", Kind::Text, false), taken("database", Kind::Map, false)];
            let shown = || class.fields.iter().filter(|field| !field.hidden);
            list.extend(shown().map(|field| taken(field.name, Kind::Text, false)));
            let sets = shown().filter(|field| field.shape == Shape::Set);
            list.extend(
                sets.map(|field| taken(format!("{}:contains", field.name), Kind::Text, false)),
            );
            list
        }
        Verb::ParamList => vec![uuid(), taken("database", Kind::Map, false)],
        Verb::ParamGet => vec![uuid(), name(), key(false), taken("database", Kind::Map, false)],
        Verb::ParamAdd => vec![uuid(), name(), key(false)],
        Verb::ParamRemove => vec![uuid(), name(), key(true)],
        Verb::ParamClear => vec![uuid(), name()],
        Verb::ParamSet => {
            let mut list = vec![uuid()];
            let shown = class.fields.iter().filter(|field| !field.hidden);
            list.extend(shown.filter(|field| field.is_settable()).map(|field| {
                let kind = if field.shape == Shape::Map { Kind::Map } else { Kind::Text };
                taken(field.name, kind, false)
            }));
            list
        }
    }
}
