//! What a person waits for before `xe` does anything, beside starting a program that does nothing.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

mod side_by_side;

use std::process::{Command, Stdio};

use criterion::{Criterion, criterion_group, criterion_main};

fn run(program: &str, words: &[&str]) {
    let done = Command::new(program).args(words).stdout(Stdio::null()).status();
    assert!(done.unwrap().success());
}

fn start(criterion: &mut Criterion) {
    side_by_side::compare(
        criterion,
        "a process from start to end",
        ("/bin/true", || run("/bin/true", &[])),
        ("xe help vm-start", || run(env!("CARGO_BIN_EXE_xe"), &["help", "vm-start"])),
    );
}

criterion_group!(benches, start);
criterion_main!(benches);
