//! What is told of a world, in the names of its hosts.

use std::fmt;

use uuid::Uuid;

use super::World;
use super::check::since_begin;

/// A text with the name of each host (h1, h2, …) in the place of its uuid.
pub fn in_host_names(text: &str, hosts: &[Uuid]) -> String {
    if !text.contains("00000000-0000") {
        return text.to_owned();
    }
    hosts.iter().enumerate().fold(text.to_owned(), |text, (n, uuid)| {
        text.replace(&uuid.to_string(), &format!("h{}", n + 1))
    })
}

impl World {
    /// Adds a line to the story, when one is wanted.
    pub(super) fn tell(&mut self, line: fmt::Arguments<'_>) {
        if self.telling && self.violation.is_none() {
            let line = in_host_names(&line.to_string(), &self.uuids);
            self.log.push(format!("{:>9.3} s  {line}", since_begin(self.now)));
        }
    }

    /// All that was done to the hosts and that they noted, in the order of the world's time.
    pub fn story(&self) -> String {
        self.log.join("\n")
    }
}
