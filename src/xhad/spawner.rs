//! Starting programs: the agent, the fence device, the command that stops VMs.
//!
//! The daemon itself may start none ([`crate::host::confine`]); a child that it forked before it
//! was confined does, on request over a pair of sockets. So programs run without the daemon's
//! limits, in its process group as before, and a program file on a disk that hangs holds up a
//! thread of the child and nothing else. The child ends when the daemon does. Without it the
//! daemon fences and decides as ever: starting a program fails then, and is told.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::threads;
use crate::host::fork;
use crate::host::system_word::system_word;

/// A program to be run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its file and the words after it.
    pub words: Vec<String>,
    /// What is added to its environment.
    #[serde(default)]
    pub environment: Vec<(String, String)>,
    /// How long it may take, in milliseconds; none: as long as it likes, and its number is told
    /// once it runs.
    #[serde(default)]
    pub limit_ms: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    id: u64,
    program: Program,
}

/// What is told of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum News {
    Started(u32),
    Ended(Result<(), String>),
}

#[derive(Debug, Serialize, Deserialize)]
struct Told {
    id: u64,
    news: News,
}

#[derive(Debug, Default)]
struct Orders {
    next: u64,
    waiting: HashMap<u64, SyncSender<News>>,
}

/// The way to the child.
#[derive(Debug, Clone)]
pub struct Spawner {
    stream: Arc<UnixStream>,
    orders: Arc<Mutex<Orders>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child that was forked; nobody listens to it yet.
#[derive(Debug)]
pub struct Forked(UnixStream);

/// Forks the child. To be called while this process has one thread.
pub fn fork() -> std::io::Result<Forked> {
    let (near, far) = UnixStream::pair()?;
    let mut near = Some(near);
    fork::child(|| {
        // With the daemon's end open here too, its end would never be seen.
        drop(near.take());
        obey(&far);
    })?;
    near.map(Forked).ok_or_else(|| std::io::ErrorKind::NotConnected.into())
}

impl Forked {
    /// Listens to the child, in a thread.
    pub fn listen(self) -> std::io::Result<Spawner> {
        let spawner = Spawner { stream: Arc::new(self.0), orders: Arc::default() };
        let (reader, orders) = (spawner.stream.try_clone()?, Arc::clone(&spawner.orders));
        threads::start("spawner", move || hear(reader, &orders));
        Ok(spawner)
    }
}

fn hear(stream: UnixStream, orders: &Mutex<Orders>) {
    for line in BufReader::with_capacity(1024, stream).lines() {
        let Ok(line) = line else { break };
        let Ok(told) = serde_json::from_str::<Told>(&line) else { continue };
        let mut orders = locked(orders);
        let last = matches!(told.news, News::Ended(_));
        let waiting = match last {
            true => orders.waiting.remove(&told.id),
            false => orders.waiting.get(&told.id).cloned(),
        };
        if let Some(waiting) = waiting {
            let _nobody_waits = waiting.try_send(told.news);
        }
    }
    // Whoever waits sees its sender dropped.
    locked(orders).waiting.clear();
}

impl Spawner {
    fn order(&self, program: Program) -> Result<Receiver<News>, String> {
        let (sender, news) = sync_channel(2);
        let mut orders = locked(&self.orders);
        orders.next += 1;
        let id = orders.next;
        orders.waiting.insert(id, sender);
        let mut line = serde_json::to_string(&Order { id, program }).map_err(|e| e.to_string())?;
        line.push('\n');
        (&*self.stream).write_all(line.as_bytes()).map_err(|error| error.to_string())?;
        Ok(news)
    }

    /// Runs a program to its end, within its limit. Waits for it: not for the loop.
    pub fn run(&self, program: Program) -> Result<(), String> {
        let news = self.order(program)?;
        loop {
            match news.recv().map_err(|_| gone())? {
                News::Started(_) => {}
                News::Ended(outcome) => return outcome,
            }
        }
    }

    /// Starts a program that runs on; `started` is told its number, and then this waits for its
    /// end. Not for the loop.
    pub fn follow(&self, program: Program, started: impl FnOnce(u32)) -> Result<(), String> {
        let news = self.order(program)?;
        match news.recv().map_err(|_| gone())? {
            News::Started(number) => started(number),
            News::Ended(outcome) => return outcome,
        }
        match news.recv().map_err(|_| gone())? {
            News::Started(_) => Ok(()),
            News::Ended(outcome) => outcome,
        }
    }
}

fn gone() -> String {
    "the process that starts programs is gone".to_owned()
}

/// The child's work: each order in a thread, until the daemon is gone.
fn obey(stream: &UnixStream) {
    let Ok(reader) = stream.try_clone() else { return };
    let Ok(writer) = stream.try_clone().map(|writer| Arc::new(Mutex::new(writer))) else { return };
    for line in BufReader::new(reader).lines() {
        let Ok(line) = line else { return };
        let Ok(order) = serde_json::from_str::<Order>(&line) else { continue };
        let writer = Arc::clone(&writer);
        let id = order.id;
        let tell = move |news: News| {
            if let Ok(mut line) = serde_json::to_string(&Told { id, news }) {
                line.push('\n');
                let _daemon_gone = locked(&writer).write_all(line.as_bytes());
            }
        };
        threads::start("program", move || carry_out(&order.program, tell));
    }
}

fn carry_out(program: &Program, tell: impl Fn(News)) {
    let outcome = match start(program) {
        Err(why) => Err(why),
        Ok(mut child) => {
            tell(News::Started(child.id()));
            end(&mut child, program.limit_ms.map(Duration::from_millis))
        }
    };
    tell(News::Ended(outcome));
}

fn start(program: &Program) -> Result<Child, String> {
    let (file, words) = program.words.split_first().ok_or("no command is set")?;
    let mut command = Command::new(file);
    command.args(words).envs(program.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null());
    if program.limit_ms.is_some() {
        command.stdout(Stdio::null());
    }
    command.spawn().map_err(|error| format!("{file}: {}", system_word(&error)))
}

fn end(child: &mut Child, limit: Option<Duration>) -> Result<(), String> {
    let status = match limit {
        None => child.wait().ok(),
        Some(limit) => wait(child, limit),
    };
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(status.to_string()),
        None => {
            let _ended_just_now = child.kill();
            let _reaped = child.wait();
            Err(format!("no answer within {} s", limit.unwrap_or_default().as_secs()))
        }
    }
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let began = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if began.elapsed() >= limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A spawner whose child is a thread: tests have threads, and may not fork.
    pub fn in_process() -> Spawner {
        let (near, far) = UnixStream::pair().unwrap();
        std::thread::spawn(move || obey(&far));
        Forked(near).listen().unwrap()
    }

    fn program(words: &[&str], limit_ms: Option<u64>) -> Program {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let environment = vec![("GREETING".to_owned(), "well".to_owned())];
        Program { words, environment, limit_ms }
    }

    #[test]
    fn programs_end_well_badly_or_too_late() {
        let spawner = in_process();
        let run = |words: &[&str], limit| spawner.run(program(words, Some(limit)));
        assert_eq!(run(&["/bin/sh", "-c", "test $GREETING = well"], 5000), Ok(()));
        assert!(run(&["/bin/false"], 5000).unwrap_err().contains("exit status"));
        assert!(run(&["/nowhere/fence"], 5000).unwrap_err().contains("No such file"));
        assert!(run(&["/bin/sleep", "60"], 50).unwrap_err().contains("no answer"));
        assert_eq!(run(&[], 5000), Err("no command is set".to_owned()));
    }

    #[test]
    fn a_program_that_runs_on_is_followed_to_its_end() {
        let (spawner, mut number) = (in_process(), 0);
        let ended = spawner.follow(program(&["/bin/sh", "-c", "exit 3"], None), |n| number = n);
        assert!(number > 0 && ended.unwrap_err().contains('3'));
    }

    #[test]
    fn without_the_child_nothing_starts_and_nobody_waits() {
        let (near, far) = UnixStream::pair().unwrap();
        let spawner = Forked(near).listen().unwrap();
        drop(far);
        assert!(spawner.run(program(&["/bin/true"], Some(5000))).is_err());
    }
}
