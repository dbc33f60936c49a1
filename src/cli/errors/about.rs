//! Which objects a refusal is about: for commands that can be typed as they are shown.

use crate::cli::dialect::Params;
use crate::client::Session;
use crate::xenapi::{Failure, Value};

/// What is known when a command was refused.
pub struct About<'a> {
    /// Whom to ask.
    pub session: &'a Session<'a>,
    /// The words of the command.
    pub params: &'a Params,
    /// The refusal, its references shown as uuids and names.
    pub failure: &'a Failure,
}

impl About<'_> {
    /// What a placeholder stands for; nothing when nobody knows.
    pub fn find(&self, name: &str) -> Option<String> {
        match name {
            "0" => self.first(),
            "pool" => self.of_pool("uuid"),
            "named" => self.named("VM"),
            "vm" => self.named("VM").or_else(|| self.typed("VM", "vm")),
            "host" => self.typed("host", "host").or_else(|| self.named("host")),
            "pbd" => self.unplugged("PBD", "SR"),
            "pif" => self.unplugged("PIF", "network"),
            "less" => self.less(),
            "more" => Some((self.failure.params.first()?.parse::<u64>().ok()? + 1).to_string()),
            _ => None,
        }
    }

    /// The uuids in the refusal's words, in their order.
    fn uuids(&self) -> impl Iterator<Item = &str> {
        let words = self.failure.params.iter().flat_map(|text| text.split([' ', ',', '(', ')']));
        words.filter(|word| uuid::Uuid::try_parse(word).is_ok())
    }

    fn first(&self) -> Option<String> {
        let first = self.failure.params.first()?.split(' ').next()?;
        uuid::Uuid::try_parse(first).ok().map(|_| first.to_owned())
    }

    fn of_pool(&self, field: &str) -> Option<String> {
        let pools = self.session.records_once("pool").ok()?;
        pools.values().next()?.get(field)?.as_str().map(str::to_owned)
    }

    /// The first object of a class that the refusal names.
    fn named(&self, class: &str) -> Option<String> {
        let known = |uuid: &&str| self.session.by_uuid(class, uuid).is_ok();
        self.uuids().find(known).map(str::to_owned)
    }

    /// The object that the command's own words name, by uuid or name.
    fn typed(&self, class: &str, word: &str) -> Option<String> {
        let word = self.params.get(word).or_else(|| self.params.get("uuid"))?;
        let records = self.session.records_once(class).ok()?;
        let text = |record: &Value, field: &str| {
            record.get(field).and_then(Value::as_str).unwrap_or("").to_owned()
        };
        let is =
            |record: &&Value| text(record, "uuid") == word || text(record, "name_label") == word;
        records.values().find(is).map(|record| text(record, "uuid"))
    }

    /// What is to be plugged of the first parameter, an SR or a network.
    fn unplugged(&self, class: &str, of: &str) -> Option<String> {
        let of_reference = self.session.by_uuid(of, &self.first()?).ok()?;
        let records = self.session.records_once(class).ok()?;
        let lacks = |record: &&Value| {
            record.get(of).and_then(Value::as_str) == Some(&of_reference)
                && record.get("currently_attached").and_then(Value::as_bool) == Some(false)
        };
        records.values().find(lacks)?.get("uuid")?.as_str().map(str::to_owned)
    }

    /// A number of failures that can be promised: what the refusal says is survived, or one less
    /// than now.
    fn less(&self) -> Option<String> {
        let said = self.failure.params.first()?.strip_prefix("the pool survives ");
        if let Some(number) = said.and_then(|rest| rest.split(' ').next()) {
            return number.parse::<u64>().ok().map(|number| number.to_string());
        }
        let pools = self.session.records_once("pool").ok()?;
        let now = pools.values().next()?.get("ha_plan_exists_for")?.as_int()?;
        (now > 0).then(|| (now - 1).to_string())
    }
}
