//! A trace that can be read: what happened, in which tick, and what the hosts noted.

use super::action::Action;
use super::setup::Setup;
use super::state::State;

/// The lines of a trace that begins with the healthy pool.
pub fn lines(setup: &Setup, actions: &[Action]) -> Vec<String> {
    let Ok(mut state) = setup.begin() else { return Vec::new() };
    let first = state.tick;
    let mut lines = Vec::new();
    for (ticks, action) in &setup.before {
        lines.push(format!("before: after {ticks} ticks {action}"));
    }
    for action in actions {
        let tick = state.tick - first;
        if !matches!(action, Action::Go | Action::Step(_)) {
            lines.push(format!("tick {tick:>3}: {action}"));
        }
        let alive: Vec<bool> = state.hosts.iter().map(|host| host.alive).collect();
        state.notes = Some(Vec::new());
        state.perform(setup, *action);
        if let Action::Step(host) = action {
            lines.push(format!(
                "tick {tick:>3}: host {host} takes step {}",
                state.hosts[*host].done
            ));
        }
        let notes = state.notes.take().unwrap_or_default();
        lines.extend(notes.iter().map(|note| format!("tick {tick:>3}:   {}", named(setup, note))));
        let died = (0..alive.len()).filter(|host| alive[*host] && !state.hosts[*host].alive);
        let died = died.filter(|host| *action != Action::Crash(*host));
        lines.extend(died.map(|host| format!("tick {tick:>3}: host {host} is reset")));
    }
    lines.extend(state.violation.map(|why| format!("violation: {why}")));
    lines
}

/// A note with the hosts' numbers in place of their uuids.
fn named(setup: &Setup, note: &str) -> String {
    (0..setup.hosts).fold(note.to_owned(), |note, host| {
        note.replace(&State::uuid(host).to_string(), &format!("host {host}"))
    })
}
