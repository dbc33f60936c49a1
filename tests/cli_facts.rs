//! The tables of the command line against the collected facts about the peer.
//!
//! The facts live outside of the repository; without them the tests say so and pass.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail loudly")]

#[path = "support/skip.rs"]
mod skip;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;
use xe::cli::commands::table::{Kind, Login};
use xe::cli::commands::{self, Entry};
use xe::cli::records::CLASSES;

fn facts(file: &str) -> Option<Value> {
    let shared = std::env::var("XE_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    let path = PathBuf::from(shared).join("reference").join(file);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) => {
            skip::skipped(format_args!("{} is not there", path.display()));
            None
        }
    }
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Parameters that are ours, on purpose.
const OURS: [(&str, &str); 19] = [
    ("host-emergency-ha-disable", "vms-may-run-twice"),
    ("host-evacuate", "dry-run"),
    ("host-evacuate", "json"),
    ("pool-emergency-transition-to-master", "uuid"),
    ("vm-install", "template-uuid"),
    ("vm-install", "template-name"),
    ("vm-migrate", "host-name"),
    ("host-forget", "force"),
    ("host-declare-dead", "force"),
    ("pool-eject", "force"),
    ("pool-restore-database", "force"),
    ("vdi-pool-migrate", "options:"),
    ("vdi-pool-migrate", "dest-img-format"),
    ("vdi-clone", "driver-params:"),
    ("vdi-clone", "driver-params-"),
    ("vdi-clone", "new-name-label"),
    ("vdi-clone", "new-name-description"),
    ("vdi-snapshot", "driver-params:"),
    ("vdi-snapshot", "driver-params-"),
];

#[test]
fn every_field_has_the_label_and_traits_of_the_peer() {
    let Some(facts) = facts("xe-records.json") else { return };
    let families = facts["families"].as_object().unwrap();
    assert_eq!(families.len(), CLASSES.len());
    for class in CLASSES {
        let known = &families[class.name];
        let fields = known["fields"].as_array().unwrap();
        assert_eq!(fields.len(), class.fields.len(), "{}", class.name);
        assert_eq!(texts(&known["default_list"]), class.defaults, "{}", class.name);
        for (field, fact) in class.fields.iter().zip(fields) {
            let at = format!("{} {}", class.name, field.name);
            assert_eq!(fact["label"].as_str().unwrap(), field.label(), "{at}");
            assert_eq!(fact["hidden"].as_bool().unwrap(), field.hidden, "{at}");
            assert_eq!(fact["expensive"].as_bool().unwrap(), field.expensive, "{at}");
            assert_eq!(fact["case_insensitive"].as_bool().unwrap(), field.any_case, "{at}");
        }
    }
}

#[test]
fn the_generated_commands_are_the_peers() {
    let Some(facts) = facts("xe-commands.json") else { return };
    let peer: BTreeSet<&str> = facts["commands"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|command| command["generated"].as_bool().unwrap())
        .map(|command| command["name"].as_str().unwrap())
        .collect();
    let ours: BTreeSet<String> = commands::all()
        .filter(|entry| matches!(entry, Entry::Family(..)))
        .map(|entry| entry.name())
        .collect();
    let ours: BTreeSet<&str> = ours.iter().map(String::as_str).collect();
    assert_eq!(peer, ours);
}

#[test]
fn every_command_takes_the_words_of_the_peer() {
    let Some(facts) = facts("xe-commands.json") else { return };
    let peer: BTreeMap<&str, &Value> = facts["commands"]
        .as_array()
        .unwrap()
        .iter()
        .map(|command| (command["name"].as_str().unwrap(), command))
        .collect();
    let mut wrong = Vec::new();
    for entry in commands::all() {
        let name = entry.name();
        let Some(fact) = peer.get(name.as_str()) else { continue };
        let mut spelled: [Vec<String>; 2] = Default::default();
        for parameter in entry.parameters() {
            let colon = if parameter.kind == Kind::Map { ":" } else { "" };
            spelled[usize::from(!parameter.required)].push(parameter.name + colon);
        }
        if spelled[0] != texts(&fact["required"]) {
            wrong.push(format!("{name} required {:?} not {:?}", spelled[0], fact["required"]));
        }
        let ours: BTreeSet<&str> = spelled[1].iter().map(String::as_str).collect();
        let theirs: BTreeSet<&str> = texts(&fact["optional"]).into_iter().collect();
        for word in ours.symmetric_difference(&theirs) {
            if !OURS.contains(&(name.as_str(), word)) {
                wrong.push(format!("{name} optional {word}"));
            }
        }
        let flags = texts(&fact["flags"]);
        let local = fact["login"].as_str().unwrap() != "pool session";
        for (ours, theirs, what) in [
            (entry.is_standard(), flags.contains(&"Standard"), "standard"),
            (entry.is_hidden(), flags.contains(&"Hidden"), "hidden"),
            (entry.login() == Login::Local, local, "local login"),
            (entry.prompts(), fact.get("interactive_prompt").is_some(), "prompt"),
        ] {
            if ours != theirs {
                wrong.push(format!("{name} {what} {ours} not {theirs}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
