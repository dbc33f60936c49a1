//! What reaches the daemon's one loop from its other threads. The room for messages is taken
//! once: a thread waits when it is full, and the loop never sends into it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rustix::event::{EventfdFlags, eventfd};

use super::control::{Request, Response};
use crate::heartbeat::node::CycleDone;
use crate::heartbeat::view::{Life, Slot};

/// More messages than this wait for their turn.
const ROOM: usize = 64;

/// A message for the loop.
#[derive(Debug)]
pub enum Message {
    /// A request of the control socket and where its answers go.
    Request(Box<Request>, SyncSender<Response>),
    /// A disk cycle of that session has ended.
    Cycle(u64, CycleDone),
    /// The process with that id has ended.
    ProcessGone(u32),
    /// The agent of that session runs as this process, or could not be started.
    AgentStarted(u64, Result<u32, String>),
    /// The record of that session with that number is on the own disk.
    Kept(u64, u64),
    /// The VMs of this host are stopped, or could not be.
    VmsStopped(u64, Result<(), String>),
    /// What the fence device of that session says of the host of a life.
    FenceDevice(u64, Slot, Life, Result<(), String>),
}

/// The sending end; every message wakes the loop.
#[derive(Debug, Clone)]
pub struct Inbox {
    sender: SyncSender<Message>,
    bell: Arc<OwnedFd>,
}

/// The loop's end.
#[derive(Debug)]
pub struct Outbox {
    receiver: Receiver<Message>,
    bell: Arc<OwnedFd>,
}

/// A new pair.
pub fn pair() -> std::io::Result<(Inbox, Outbox)> {
    let (sender, receiver) = sync_channel(ROOM);
    let bell = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
    Ok((Inbox { sender, bell: Arc::clone(&bell) }, Outbox { receiver, bell }))
}

impl Inbox {
    /// Sends a message and wakes the loop.
    pub fn send(&self, message: Message) {
        let _loop_gone = self.sender.send(message);
        let _rings_already = rustix::io::write(&*self.bell, &1u64.to_ne_bytes());
    }
}

impl Outbox {
    /// What to wait on.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// The next message that is there.
    pub fn next(&self) -> Option<Message> {
        self.receiver.try_recv().ok()
    }

    /// Stops the bell that rings, before the messages are taken.
    pub fn hush(&self) {
        let mut count = [0; 8];
        let _silent = rustix::io::read(&*self.bell, &mut count);
    }
}
