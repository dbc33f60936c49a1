//! `ha_set_host_weight`: what decides which part of a broken pool lives on when both are equal.

use std::collections::BTreeMap;

use super::Context;
use super::exit::{Exit, Failure};

/// The file with the weight of each class.
const FILE: &str = "weights.json";
/// Most classes.
const MOST_CLASSES: usize = 16;
/// The largest weight of a class.
const LARGEST: u32 = 65_535;
/// The class that a user cannot set.
const BUILT_IN: &str = "native";

type Weights = BTreeMap<String, u32>;

fn read(context: &Context) -> Weights {
    let text = std::fs::read(context.settings.file(FILE)).ok();
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// This host's weight: the sum over its classes. It counts from the next start of a session.
pub fn total(context: &Context) -> u32 {
    read(context).values().sum()
}

/// Sets the weight of a class; zero takes it away.
pub fn set(context: &Context, class: &str, weight: &str) -> Result<(), Failure> {
    let bad = |sentence: String| Failure::new(Exit::Parameter, sentence);
    if class.is_empty() || class == BUILT_IN || !class.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(bad(format!("{class} is no class whose weight can be set")));
    }
    let weight = weight.parse().ok().filter(|weight| *weight <= LARGEST);
    let weight = weight.ok_or_else(|| bad(format!("a weight is a number up to {LARGEST}")))?;
    let mut weights = read(context);
    match weight {
        0 => {
            weights.remove(class);
        }
        weight => {
            weights.insert(class.to_owned(), weight);
        }
    }
    if weights.len() > MOST_CLASSES {
        return Err(bad(format!("more than {MOST_CLASSES} classes have a weight")));
    }
    let failed = |error: &dyn std::fmt::Display| Failure::new(Exit::System, error);
    let text = serde_json::to_string(&weights).map_err(|error| failed(&error))?;
    std::fs::create_dir_all(&context.settings.state_dir).map_err(|error| failed(&error))?;
    std::fs::write(context.settings.file(FILE), text).map_err(|error| failed(&error))
}
