//! Which of several links between two hosts carries packets: any one is enough for the protocol,
//! and a broken one is told of before the last one breaks.

use crate::heartbeat::timing::Nanos;
use crate::heartbeat::view::Slot;

/// Most links that a session can have between two hosts.
pub const MOST_LINKS: usize = 4;

/// When each link last brought a packet of each host.
#[derive(Debug, Clone)]
pub struct Links {
    heard: Vec<[Option<Nanos>; MOST_LINKS]>,
}

impl Links {
    pub(super) fn new(hosts: usize) -> Self {
        Links { heard: vec![[None; MOST_LINKS]; hosts] }
    }

    /// A packet of that host has come over that link.
    pub fn heard(&mut self, slot: Slot, link: u8, now: Nanos) {
        let times = self.heard.get_mut(slot.index());
        if let Some(time) = times.and_then(|times| times.get_mut(usize::from(link))) {
            *time = Some(now);
        }
    }

    /// The ages of the links over which that host was ever heard, by number.
    pub fn ages(&self, slot: Slot, now: Nanos) -> impl Iterator<Item = (u8, Nanos)> + '_ {
        let times = self.heard.get(slot.index()).into_iter().flatten();
        (0..).zip(times).filter_map(move |(link, time)| Some((link, now.saturating_sub((*time)?))))
    }
}
