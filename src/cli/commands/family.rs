//! The generated commands: `<class>-list`, `-param-list/get/set/add/remove/clear`.

use super::context::Context;
use super::table::Outcome;
use crate::cli::errors::CliError;
use crate::cli::records::filter::{is_filter, keep};
use crate::cli::records::{Class, Field, Rows};

/// What a generated command does with its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `<class>-list`.
    List,
    /// `<class>-param-list`.
    ParamList,
    /// `<class>-param-get`.
    ParamGet,
    /// `<class>-param-set`.
    ParamSet,
    /// `<class>-param-add`.
    ParamAdd,
    /// `<class>-param-remove`.
    ParamRemove,
    /// `<class>-param-clear`.
    ParamClear,
}

/// The verbs with what they add to the class's name; longer endings first.
pub const VERBS: [(Verb, &str); 7] = [
    (Verb::ParamList, "-param-list"),
    (Verb::ParamGet, "-param-get"),
    (Verb::ParamSet, "-param-set"),
    (Verb::ParamAdd, "-param-add"),
    (Verb::ParamRemove, "-param-remove"),
    (Verb::ParamClear, "-param-clear"),
    (Verb::List, "-list"),
];

impl Verb {
    /// What it adds to the class's name.
    pub fn suffix(self) -> &'static str {
        VERBS.iter().find(|(verb, _)| *verb == self).map_or("", |(_, suffix)| suffix)
    }

    /// Whether the class has something for it to do.
    pub fn fits(self, class: &Class) -> bool {
        let any = |test: fn(&Field) -> bool| class.fields.iter().any(test);
        match self {
            Self::List | Self::ParamList | Self::ParamGet => true,
            Self::ParamSet => any(Field::is_settable),
            Self::ParamAdd | Self::ParamRemove => any(Field::is_addable),
            Self::ParamClear => any(Field::is_clearable),
        }
    }

    /// One sentence about it.
    pub fn help(self, class: &Class) -> String {
        let noun = class.noun;
        match self {
            Self::List => {
                format!("Show every {noun} that matches the filters; params= chooses fields.")
            }
            Self::ParamList => format!("Show all fields of one {noun}."),
            Self::ParamGet => format!("Show one field of one {noun}."),
            Self::ParamSet => format!("Set fields of one {noun}."),
            Self::ParamAdd => format!("Add to a set or map field of one {noun}."),
            Self::ParamRemove => format!("Remove from a set or map field of one {noun}."),
            Self::ParamClear => format!("Empty one field of one {noun}."),
        }
    }

    /// Runs it.
    pub fn run(self, class: &'static Class, ctx: &mut Context<'_, '_>) -> Outcome {
        if self == Self::List {
            return list(ctx, class);
        }
        let rows = Rows::new(ctx.session, class);
        let row = rows.by_uuid(ctx.params.need("uuid")?)?;
        if self == Self::ParamSet {
            return rows.set(&row, ctx.params);
        }
        if self == Self::ParamList {
            let record = rows.record(&row, &class.shown(Some("all")), true)?;
            ctx.console.table(&[record]);
            return Ok(());
        }
        let name = ctx.params.need("param-name")?;
        let field = class.field(name).ok_or_else(|| CliError::unknown_param_name(name))?;
        match self {
            Self::ParamAdd => rows.add(&row, field, ctx.params),
            Self::ParamRemove => rows.remove(&row, field, ctx.params.need("param-key")?),
            Self::ParamClear => rows.clear(&row, field),
            _ => {
                let value = get(&rows, &row, field, ctx.params.get("param-key"))?;
                ctx.console.result(value);
                Ok(())
            }
        }
    }
}

fn get(
    rows: &Rows<'_>,
    row: &crate::cli::records::Row,
    field: &'static Field,
    key: Option<&str>,
) -> Result<String, CliError> {
    use crate::cli::records::field::Shape;
    match key {
        Some(key) if field.shape == Shape::Map => rows
            .entries(row, field)?
            .into_iter()
            .find_map(|(k, value)| (k == key).then_some(value))
            .ok_or_else(|| CliError::text(format!("Key {key} not found in map"))),
        _ => rows.shown(row, field),
    }
}

fn list(ctx: &mut Context<'_, '_>, class: &'static Class) -> Outcome {
    if ctx.params.all().iter().any(|param| param.key.starts_with("database:")) {
        return Err(CliError::text(
            "database: filters ask another pool's metadata volume; use 'xe --database FILE' \
             with a dump of that pool",
        ));
    }
    let rows = Rows::new(ctx.session, class);
    let all = rows.all()?;
    let mut left = all.clone();
    for (field, value) in class.only {
        left = keep(&rows, left, field, value)?;
    }
    for param in ctx.params.all() {
        if is_filter(&param.key) {
            left = keep(&rows, left, &param.key, &param.value)?;
        }
    }
    if ctx.params.flag("all", false)? {
        left = all;
    }
    let fields = class.shown(ctx.params.get("params"));
    let records =
        left.iter().map(|row| rows.record(row, &fields, false)).collect::<Result<Vec<_>, _>>()?;
    ctx.console.table(&records);
    Ok(())
}
