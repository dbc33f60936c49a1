//! The form of the command table.

use super::context::Context;
use crate::cli::errors::CliError;

/// How a command ends.
pub type Outcome = Result<(), CliError>;

/// What a parameter is, for help, completion and examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`, and their kin.
    Bool,
    /// A decimal number.
    Int,
    /// Bytes with an optional suffix.
    Size,
    /// A file of the client.
    File,
    /// The uuid of an object of this list class.
    Uuid(&'static str),
    /// Such uuids with commas between.
    Uuids(&'static str),
    /// The name or uuid of a host.
    Host,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A map: `name:key=value`.
    Map,
}

/// One parameter of a command.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name, without the colon of maps.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Whether the command refuses to run without it.
    pub required: bool,
}

/// A parameter that must be there.
pub const fn needs(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: true }
}

/// A parameter that may be there.
pub const fn may(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: false }
}

/// A map of parameters.
pub const fn maps(name: &'static str) -> Parameter {
    Parameter { name, kind: Kind::Map, required: false }
}

/// Objects that a command picks by words of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selector {
    /// VMs, with or without control domains and templates.
    Vms {
        /// Whether control domains can be picked.
        control_domains: bool,
        /// Whether templates can be picked.
        templates: bool,
    },
    /// Hosts.
    Hosts,
    /// Storage repositories.
    Srs,
}

/// VMs proper: neither control domains nor templates.
pub const VMS: Selector = Selector::Vms { control_domains: false, templates: false };

/// An argument of a plain API call, taken from a parameter.
#[derive(Debug, Clone, Copy)]
pub enum Arg {
    /// The object of (API class, list class) whose uuid a mandatory parameter gives.
    Object(&'static str, &'static str, &'static str),
    /// The same, or the null reference without the parameter.
    ObjectOrNull(&'static str, &'static str, &'static str),
    /// A mandatory text.
    Text(&'static str),
    /// A text with a default.
    TextOr(&'static str, &'static str),
    /// A mandatory integer.
    Int(&'static str),
    /// An integer with a default.
    IntOr(&'static str, i64),
    /// A mandatory size.
    Size(&'static str),
    /// A boolean with a default.
    Flag(&'static str, bool),
    /// A mandatory boolean.
    NeededFlag(&'static str),
    /// A map.
    Map(&'static str),
    /// Always this reference or word.
    Fixed(&'static str),
}

/// What a plain API call prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prints {
    /// Nothing.
    Nothing,
    /// The answer.
    Answer,
    /// The uuid of the object that was made.
    UuidOf(&'static str),
}

/// What a command does.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Code.
    Code(fn(&mut Context<'_, '_>) -> Outcome),
    /// One API call with arguments from the parameters.
    Call(&'static str, &'static [Arg], Prints),
}

/// Which account a command logs in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// The pool's.
    Pool,
    /// The local root account: works on a host that has lost its master.
    Local,
}

/// One command.
#[derive(Clone, Copy)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Its parameters; those of a plain call come before these.
    pub parameters: &'static [Parameter],
    /// Command lines without the leading `xe`; empty: made from the parameters.
    pub examples: &'static [&'static str],
    /// What it does.
    pub handler: Handler,
    /// Which objects it picks, and whether several at once are possible.
    pub selector: Option<(Selector, bool)>,
    /// Shown in the plain help.
    pub standard: bool,
    /// Shown in no help.
    pub hidden: bool,
    /// Runs on the host that it reached, never on the master instead.
    pub never_forward: bool,
    /// Which account it needs.
    pub login: Login,
    /// Refuses to run without `force`.
    pub needs_force: bool,
    /// Asks before it does something.
    pub prompts: bool,
}

/// A command with code behind it.
pub const fn command(
    name: &'static str,
    help: &'static str,
    run: fn(&mut Context<'_, '_>) -> Outcome,
) -> Command {
    make(name, help, Handler::Code(run))
}

/// A command that is one API call.
pub const fn call(
    name: &'static str,
    help: &'static str,
    method: &'static str,
    args: &'static [Arg],
) -> Command {
    make(name, help, Handler::Call(method, args, Prints::Nothing))
}

const fn make(name: &'static str, help: &'static str, handler: Handler) -> Command {
    Command {
        name,
        help,
        parameters: &[],
        examples: &[],
        handler,
        selector: None,
        standard: false,
        hidden: false,
        never_forward: false,
        login: Login::Pool,
        needs_force: false,
        prompts: false,
    }
}

impl Command {
    /// With these parameters.
    pub const fn takes(mut self, parameters: &'static [Parameter]) -> Self {
        self.parameters = parameters;
        self
    }

    /// With these examples.
    pub const fn examples(mut self, examples: &'static [&'static str]) -> Self {
        self.examples = examples;
        self
    }

    /// The call's answer is printed.
    pub const fn prints(mut self, prints: Prints) -> Self {
        if let Handler::Call(method, args, _) = self.handler {
            self.handler = Handler::Call(method, args, prints);
        }
        self
    }

    /// Works on picked objects, with `--multiple` on several.
    pub const fn on(mut self, selector: Selector) -> Self {
        self.selector = Some((selector, true));
        self
    }

    /// Works on one picked object.
    pub const fn on_one(mut self, selector: Selector) -> Self {
        self.selector = Some((selector, false));
        self
    }

    /// In the plain help.
    pub const fn standard(mut self) -> Self {
        self.standard = true;
        self
    }

    /// In no help.
    pub const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Runs here, whoever is master.
    pub const fn never_forward(mut self) -> Self {
        self.never_forward = true;
        self
    }

    /// Runs here with the local account, whoever is master.
    pub const fn local(mut self) -> Self {
        self.never_forward = true;
        self.login = Login::Local;
        self
    }

    /// Refuses to run without `force`.
    pub const fn needs_force(mut self) -> Self {
        self.needs_force = true;
        self
    }

    /// Asks before it acts.
    pub const fn prompts(mut self) -> Self {
        self.prompts = true;
        self
    }
}

impl Arg {
    /// The parameter that the argument is taken from.
    pub fn parameter(&self) -> Option<Parameter> {
        Some(match *self {
            Self::Object(_, class, name) => needs(name, Kind::Uuid(class)),
            Self::ObjectOrNull(_, class, name) => may(name, Kind::Uuid(class)),
            Self::Text(name) => needs(name, Kind::Text),
            Self::TextOr(name, _) => may(name, Kind::Text),
            Self::Int(name) => needs(name, Kind::Int),
            Self::IntOr(name, _) => may(name, Kind::Int),
            Self::Size(name) => needs(name, Kind::Size),
            Self::Flag(name, _) => may(name, Kind::Bool),
            Self::NeededFlag(name) => needs(name, Kind::Bool),
            Self::Map(name) => maps(name),
            Self::Fixed(_) => return None,
        })
    }
}
