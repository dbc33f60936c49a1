//! What the client keeps for itself: login, target, TLS, traces.

use super::values;
use super::words::Word;
use super::{Environment, Opening};

/// Where the client got a word from, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// `~/.xe`: only the `key=value` forms are looked at.
    Rc,
    /// `XE_EXTRA_ARGS`.
    Extras,
    /// The command line.
    Typed,
}

/// Whom the command talks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A server by name; exactly `127.0.0.1` means the local unix socket.
    Server(String),
    /// The agent whose state directory this is, by its socket `xapi.sock`.
    StateDir(String),
    /// A database file, served inside this process.
    Database {
        /// The dump or database of ours.
        file: String,
        /// Whether changes are saved.
        write: bool,
    },
}

/// Client settings after all layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switches {
    /// Whom to talk to.
    pub target: Target,
    /// The port, when given.
    pub port: Option<u16>,
    /// The user; `root` unless given.
    pub username: String,
    /// The password; the word `null` unless given (the local socket trusts its caller).
    pub password: String,
    /// A file with the user in line 1 and the password in line 2, which beats both.
    pub password_file: Option<String>,
    /// Plain TCP instead of TLS.
    pub plain: bool,
    /// A trace on stderr.
    pub debug: bool,
    /// A trace on stderr when the exit code is not 0.
    pub debug_on_fail: bool,
    /// The trace parent to send along.
    pub traceparent: Option<String>,
    /// Another unix socket than the default one.
    pub socket: Option<String>,
    /// Memory of hosts, by uuid, for a database that does not say it (bytes).
    pub host_memory: Vec<(String, i64)>,
}

/// A switch with a value: its spelling and the key that it stands for.
const VALUED: [(&str, &str); 10] = [
    ("-s", "server"),
    ("-h", "server"),
    ("-p", "port"),
    ("-u", "username"),
    ("-pw", "password"),
    ("-pwf", "passwordfile"),
    ("--traceparent", "traceparent"),
    ("--database", "--database"),
    ("--host-memory", "--host-memory"),
    ("--state-dir", "--state-dir"),
];

/// A switch of one word.
const UNARY: [(&str, &str); 4] = [
    ("--nossl", "nossl"),
    ("--debug", "debug"),
    ("--debug-on-fail", "debugonfail"),
    ("--write", "--write"),
];

/// Keys that `key=value` words may set.
const KEYS: [&str; 9] = [
    "server",
    "port",
    "username",
    "password",
    "passwordfile",
    "nossl",
    "debug",
    "debugonfail",
    "traceparent",
];

/// Why a value cannot be taken.
enum Refusal {
    /// Said before the usage text, exit 0.
    Usage(String),
    /// Said alone, exit 1.
    Fatal(String),
}

/// Reads the layers one after the other.
pub struct Reader {
    switches: Switches,
    write: bool,
    target_layer: Option<Layer>,
    leftovers: Vec<Vec<Word>>,
    refusal: Option<Refusal>,
}

impl Reader {
    /// A reader with the built-in defaults.
    pub fn new(environment: &Environment) -> Self {
        let switches = Switches {
            target: Target::Server("127.0.0.1".to_owned()),
            port: None,
            username: "root".to_owned(),
            password: "null".to_owned(),
            password_file: None,
            plain: false,
            debug: false,
            debug_on_fail: false,
            traceparent: environment.traceparent.clone(),
            socket: environment.socket.clone(),
            host_memory: Vec::new(),
        };
        Self { switches, write: false, target_layer: None, leftovers: Vec::new(), refusal: None }
    }

    /// Takes the client's words out of one layer; what is left waits for the command.
    pub fn layer(mut self, words: &[String], layer: Layer) -> Self {
        let mut left = Vec::new();
        let mut at = 0;
        while let Some(word) = words.get(at) {
            at += 1;
            let valued = VALUED.iter().find(|(switch, _)| switch == word);
            let unary = UNARY.iter().find(|(switch, _)| switch == word);
            if layer != Layer::Rc {
                if let (Some((_, key)), Some(value)) = (valued, words.get(at)) {
                    self.set(key, value, layer);
                    at += 1;
                    continue;
                }
                if let Some((_, key)) = unary {
                    self.set(key, "true", layer);
                    continue;
                }
            }
            match word.split_once('=') {
                Some((key, value)) if KEYS.contains(&key) => self.set(key, value, layer),
                _ => left.push(Word { text: word.clone(), typed: layer == Layer::Typed }),
            }
        }
        self.leftovers.push(left);
        self
    }

    fn set(&mut self, key: &str, value: &str, layer: Layer) {
        if let Err(refusal) = self.try_set(key, value, layer) {
            self.refusal.get_or_insert(refusal);
        }
    }

    fn try_set(&mut self, key: &str, value: &str, layer: Layer) -> Result<(), Refusal> {
        let switches = &mut self.switches;
        match key {
            "server" => return self.aim(Target::Server(value.to_owned()), layer),
            "--state-dir" => return self.aim(Target::StateDir(value.to_owned()), layer),
            "--database" => {
                let database = Target::Database { file: value.to_owned(), write: false };
                return self.aim(database, layer);
            }
            "--write" => self.write = true,
            "--host-memory" => switches.host_memory.push(host_memory(value)?),
            "port" => {
                let port = value.parse().map_err(|_| {
                    Refusal::Usage("The port must be an integer from 0 to 65535.".to_owned())
                })?;
                switches.port = Some(port);
            }
            "username" => switches.username = value.to_owned(),
            "password" => switches.password = value.to_owned(),
            "passwordfile" => switches.password_file = Some(value.to_owned()),
            "nossl" => {
                switches.plain = value.parse().map_err(|_| {
                    Refusal::Fatal(format!("Error: nossl is true or false, not '{value}'."))
                })?;
            }
            "debug" => switches.debug = value == "true",
            "debugonfail" => switches.debug_on_fail = value == "true",
            "traceparent" if layer == Layer::Typed || switches.traceparent.is_none() => {
                switches.traceparent = Some(value.to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    /// A later layer's target replaces an earlier one's; one layer may name only one kind.
    fn aim(&mut self, target: Target, layer: Layer) -> Result<(), Refusal> {
        let same_kind =
            std::mem::discriminant(&target) == std::mem::discriminant(&self.switches.target);
        if self.target_layer == Some(layer) && !same_kind {
            return Err(Refusal::Fatal(
                "Error: a server (-s), a state directory (--state-dir) and a database \
                 (--database) exclude each other; name one of them."
                    .to_owned(),
            ));
        }
        self.target_layer = Some(layer);
        self.switches.target = target;
        Ok(())
    }

    /// The opening; `help` says that `-help` or `--help` stood on the command line.
    pub fn finish(mut self, help: bool) -> Opening {
        let misplaced = if let Target::Database { write, .. } = &mut self.switches.target {
            *write = self.write;
            false
        } else {
            self.write || !self.switches.host_memory.is_empty()
        };
        match self.refusal {
            Some(Refusal::Usage(note)) => return Opening::Usage(Some(note)),
            Some(Refusal::Fatal(text)) => return Opening::Refused(text),
            None => {}
        }
        if help {
            return Opening::Usage(None);
        }
        if misplaced {
            return Opening::Refused(
                "Error: --write and --host-memory go with --database FILE.".to_owned(),
            );
        }
        let words: Vec<Word> = self.leftovers.into_iter().rev().flatten().collect();
        if words.is_empty() {
            return Opening::Usage(None);
        }
        Opening::Run { switches: Box::new(self.switches), words }
    }
}

fn host_memory(value: &str) -> Result<(String, i64), Refusal> {
    value
        .split_once('=')
        .and_then(|(uuid, size)| Some((uuid.to_owned(), values::bytes(size)?)))
        .ok_or_else(|| {
            Refusal::Fatal(format!(
                "Error: --host-memory takes UUID=SIZE, such as UUID=64GiB, not '{value}'."
            ))
        })
}
