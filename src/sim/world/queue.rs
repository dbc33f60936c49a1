//! What is to happen, by time; of equal times the first that was pushed comes first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::heartbeat::timing::Nanos;

/// The queue. The heap holds numbers only; what they stand for lies still in its room.
#[derive(Debug)]
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<(Nanos, u64, u32)>>,
    rooms: Vec<Option<T>>,
    free: Vec<u32>,
    order: u64,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Queue { heap: BinaryHeap::new(), rooms: Vec::new(), free: Vec::new(), order: 0 }
    }

    pub(super) fn push(&mut self, at: Nanos, what: T) {
        self.order += 1;
        let room = match self.free.pop() {
            Some(room) => {
                self.rooms[room as usize] = Some(what);
                room
            }
            None => {
                self.rooms.push(Some(what));
                (self.rooms.len() - 1) as u32
            }
        };
        self.heap.push(Reverse((at, self.order, room)));
    }

    /// The time of the first; never when nothing waits.
    pub(super) fn first(&self) -> Nanos {
        self.heap.peek().map_or(Nanos::MAX, |Reverse((at, ..))| *at)
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let Reverse((_, _, room)) = self.heap.pop()?;
        self.free.push(room);
        self.rooms[room as usize].take()
    }

    /// Everything that waits, in no order.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rooms.iter_mut().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_of_equals_the_first_pushed() {
        let mut queue = Queue::new();
        for (at, what) in [(5, 'c'), (3, 'a'), (5, 'd'), (4, 'b')] {
            queue.push(at, what);
        }
        assert_eq!(queue.first(), 3);
        let order: String = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, "abcd");
        assert_eq!(queue.first(), Nanos::MAX);
    }
}
