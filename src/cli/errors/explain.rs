//! References in an error are shown as uuids and names, as far as the server knows them.

use crate::client::session::Session;
use crate::xenapi::{Failure, Value};

/// Classes to ask for a reference of unknown class, the likeliest first.
const CLASSES: [&str; 12] =
    ["VM", "host", "SR", "VDI", "VBD", "VIF", "network", "PIF", "PBD", "pool", "task", "PGPU"];

/// Classes whose objects have a name.
const NAMED: [&str; 7] = ["VM", "host", "SR", "VDI", "network", "pool", "task"];

/// The failure with every reference that is still known replaced by `uuid (name-label)`.
pub fn references(session: &Session<'_>, failure: Failure) -> Failure {
    let params = failure
        .params
        .into_iter()
        .map(|value| if value.starts_with("OpaqueRef:") { shown(session, &value) } else { value })
        .collect();
    Failure { code: failure.code, params }
}

/// One reference as `uuid`, `uuid (name-label)`, or itself when nobody knows it.
pub fn shown(session: &Session<'_>, reference: &str) -> String {
    let text = |method: String| match session.call(&method, &[reference.into()]) {
        Ok(Value::String(text)) => Some(text),
        _ => None,
    };
    for class in CLASSES {
        if let Some(uuid) = text(format!("{class}.get_uuid")) {
            let name = NAMED
                .contains(&class)
                .then(|| text(format!("{class}.get_name_label")))
                .flatten()
                .filter(|name| !name.is_empty());
            return name.map_or(uuid.clone(), |name| format!("{uuid} ({name})"));
        }
    }
    reference.to_owned()
}
