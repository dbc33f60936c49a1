//! What the attempts to start a VM have come to: durable, so that a new master goes on with it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The counts behind a VM's back-off, and what was told about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tries {
    /// Starts in a row that ended soon.
    pub bounces: u32,
    /// Rounds in a row in which no host could start it.
    pub rounds: u32,
    /// Hosts that failed to start it in this round.
    pub avoid: BTreeSet<Uuid>,
    /// Causes that were told.
    pub told: BTreeSet<String>,
    /// Whether later orders wait for its start delay. How much of it is over no other host can
    /// know: the next master begins it anew.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delays: bool,
}

impl Tries {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The text that the VM's row holds; empty when there is nothing to remember.
    pub fn text(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What a row's text says; text that is not understood says nothing.
    pub fn of(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_row_is_read_back() {
        let tries = Tries {
            bounces: 3,
            rounds: 1,
            avoid: [Uuid::from_u128(7)].into(),
            told: ["crash loop".to_owned()].into(),
            delays: true,
        };
        assert_eq!(Tries::of(&tries.text()), tries);
        assert_eq!(Tries::default().text(), "");
        for nonsense in ["", "{", "[]", "{\"bounces\":-1}"] {
            assert!(Tries::of(nonsense).is_empty(), "{nonsense}");
        }
    }
}
