//! The whole command table, row by row, and the help made from it.

use std::collections::BTreeSet;

use xe::cli::commands;
use xe::cli::dialect::words::{Word, parse};

use crate::world::World;

#[test]
fn every_command_has_a_name_a_sentence_and_an_example_that_parses() {
    let mut names = BTreeSet::new();
    for entry in commands::all() {
        let name = entry.name();
        assert!(names.insert(name.clone()), "{name} twice");
        assert!(commands::find(&name).is_some_and(|found| found.name() == name), "{name}");
        let help = entry.help();
        assert!(help.ends_with('.') && help.len() > 10, "{name}: {help}");
        let parameters: BTreeSet<String> =
            entry.parameters().into_iter().map(|p| format!("{} {:?}", p.name, p.kind)).collect();
        assert_eq!(parameters.len(), entry.parameters().len(), "{name}: a parameter twice");
        for example in entry.examples() {
            let words: Vec<Word> = example.split_whitespace().skip(1).map(Word::typed).collect();
            let line = parse(&words).unwrap_or_else(|_| panic!("{example}"));
            assert_eq!(line.name, name);
            for needed in entry.parameters().iter().filter(|p| p.required) {
                let given = line.params.iter().any(|param| param.key == needed.name);
                assert!(given, "{example} lacks {}", needed.name);
            }
        }
    }
    assert!(names.len() > 380, "{}", names.len());
}

#[test]
fn help_has_the_layout_of_the_peer() {
    let world = World::pool();
    let done = world.xe("help vm-start");
    assert!(done.out.starts_with(concat!(
        "command name            : vm-start\n",
        "        reqd params     : \n",
        "        optional params : force, on, paused, <vm-selectors>\n",
        "        description     : ",
    )));
    assert!(done.out.ends_with("\n\n\n"));
    assert_eq!(world.xe("help nonsense").out, "Unknown command 'nonsense'\n");
    assert_eq!(world.xe("help nonsense").code, 0);
    assert!(world.called().is_empty(), "help needs no server");
}

#[test]
fn help_lists_standard_commands_or_all_in_three_groups() {
    let world = World::pool();
    let short = world.xe("help --minimal").out;
    let names: Vec<&str> = short.trim_end().split(',').collect();
    assert!(names.contains(&"vm-start") && names.contains(&"sr-list"));
    assert!(!names.contains(&"pool-ha-enable") && names.is_sorted());
    let all = world.xe("help --all --minimal").out;
    assert!(all.contains("pool-ha-enable,") && !all.contains("pool-ha-prevent-restarts-for"));
    let text = world.xe("help --all").out;
    assert_eq!(text.lines().filter(|line| *line == "    ").count(), 2);
    let dashes = text.lines().position(|line| line.starts_with("---")).unwrap();
    assert_eq!(text.lines().nth(dashes + 1), Some(""));
    assert!(text.lines().nth(dashes + 2).unwrap().starts_with("    host-"));
}
