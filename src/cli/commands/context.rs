//! What a running command has at hand.

use super::table::{Arg, Outcome, Prints};
use crate::cli::dialect::Params;
use crate::cli::dialect::values;
use crate::cli::errors::{CliError, explain};
use crate::cli::printing::{Console, spelling};
use crate::client::Session;
use crate::xenapi::{NULL_REF, Value};

/// Session, parameters and console of one command.
pub struct Context<'a, 'c> {
    /// The session.
    pub session: &'a Session<'a>,
    /// The parameters.
    pub params: &'a Params,
    /// Where results go and answers come from.
    pub console: &'a mut Console<'c>,
    /// The parameters that the command declares as its own (not selector words).
    pub own: Vec<String>,
    /// What is to be said behind the server's refusal, if the command ends with one.
    pub afterwards: Vec<String>,
}

impl Context<'_, '_> {
    /// One API call.
    pub fn call(&self, method: &str, params: &[Value]) -> Result<Value, CliError> {
        Ok(self.session.call(method, params)?)
    }

    /// One API call that answers a text or reference.
    pub fn text(&self, method: &str, params: &[Value]) -> Result<String, CliError> {
        Ok(self.session.text(method, params)?)
    }

    /// The object whose uuid a parameter gives.
    pub fn object(&self, class: &str, parameter: &str) -> Result<Value, CliError> {
        Ok(self.session.by_uuid(class, self.params.need(parameter)?)?.into())
    }

    /// The object whose uuid a parameter gives, if it is given.
    pub fn object_if_given(&self, class: &str, parameter: &str) -> Result<Option<Value>, CliError> {
        self.params.get(parameter).map(|_| self.object(class, parameter)).transpose()
    }

    /// The objects of comma separated uuids.
    pub fn objects(&self, class: &str, uuids: &str) -> Result<Vec<Value>, CliError> {
        uuids
            .split(',')
            .filter(|uuid| !uuid.is_empty())
            .map(|uuid| Ok(self.session.by_uuid(class, uuid)?.into()))
            .collect()
    }

    /// A map parameter as a value.
    pub fn map(&self, parameter: &str) -> Value {
        Value::text_map(self.params.map(parameter))
    }

    /// The uuid of an object.
    pub fn uuid(&self, class: &str, reference: &Value) -> Result<String, CliError> {
        self.text(&format!("{class}.get_uuid"), std::slice::from_ref(reference))
    }

    /// The first (and only) pool.
    pub fn pool(&self) -> Result<Value, CliError> {
        let pools = self.call("pool.get_all", &[])?;
        let first = pools.as_array().and_then(|pools| pools.first().cloned());
        first.ok_or_else(|| CliError::text("the server has no pool"))
    }

    /// The object's uuid with its name, as far as the server knows it.
    pub fn described(&self, reference: &str) -> String {
        explain::shown(self.session, reference)
    }

    /// Whether `force` was given.
    pub fn forced(&self) -> Result<bool, CliError> {
        self.params.flag("force", false)
    }

    /// Shows warnings and waits for `yes`; `force` skips both.
    ///
    /// Errors: [`CliError::Exit`] with 0 when the answer is another one.
    pub fn confirm(&mut self, warnings: &[String]) -> Outcome {
        if self.forced()? {
            return Ok(());
        }
        for warning in warnings {
            self.console.direct(&format!("{warning}\n"));
        }
        self.console.direct("Type 'yes' to continue\n");
        let answer = self.console.line().ok_or_else(|| {
            CliError::text(
                "no answer was given, so nothing was done; --force goes on without the question",
            )
        })?;
        if answer.trim().eq_ignore_ascii_case("yes") {
            return Ok(());
        }
        self.console.direct(&format!("Aborted (you typed: '{answer}')\n"));
        Err(CliError::Exit(0))
    }

    /// Runs a command that is one API call.
    pub fn plain_call(&mut self, method: &str, args: &[Arg], prints: Prints) -> Outcome {
        let values = args.iter().map(|arg| self.argument(arg)).collect::<Result<Vec<_>, _>>()?;
        let answer = self.call(method, &values)?;
        match prints {
            Prints::Nothing => {}
            Prints::Answer => {
                let texts: Vec<String> = match &answer {
                    Value::Array(items) => items.iter().map(spelling::plain).collect(),
                    one => vec![spelling::plain(one)],
                };
                self.console.list(&texts);
            }
            Prints::UuidOf(class) => {
                let uuid = self.uuid(class, &answer)?;
                self.console.result(uuid);
            }
        }
        Ok(())
    }

    fn argument(&self, arg: &Arg) -> Result<Value, CliError> {
        let params = self.params;
        Ok(match *arg {
            Arg::Object(class, _, name) => self.object(class, name)?,
            Arg::ObjectOrNull(class, _, name) => {
                self.object_if_given(class, name)?.unwrap_or_else(|| NULL_REF.into())
            }
            Arg::Text(name) => params.need(name)?.into(),
            Arg::TextOr(name, default) => params.get(name).unwrap_or(default).into(),
            Arg::Int(name) => {
                params.need(name)?;
                params.int(name, 0)?.into()
            }
            Arg::IntOr(name, default) => params.int(name, default)?.into(),
            Arg::Size(name) => values::size(name, params.need(name)?)?.into(),
            Arg::Flag(name, default) => params.flag(name, default)?.into(),
            Arg::NeededFlag(name) => values::boolean(name, params.need(name)?)?.into(),
            Arg::Map(name) => self.map(name),
            Arg::Fixed(text) => text.into(),
        })
    }
}
