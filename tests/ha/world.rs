//! A saved pool with HA on, served in process, and commands run against it.

use std::sync::Arc;

use xe::cli::dialect::{self, Environment};
use xe::cli::printing::Console;
use xe::client::{CallError, DatabaseRequest, Transport};
use xe::xenapi::Value;

/// Its hosts and VMs by name.
pub const BERT: &str = "host=bert";
pub const ANNA: &str = "host=anna";
pub const WEB: &str = "0000000c-0000-4000-8000-00000000039c";
pub const SCRATCH: &str = "0000000d-0000-4000-8000-0000000003e9";
pub const MAIL: &str = "0000000e-0000-4000-8000-000000000436";
pub const WAITING: &str = "0000000f-0000-4000-8000-000000000483";
pub const OFF: &str = "00000010-0000-4000-8000-0000000004d0";
pub const POOL: &str = "00000001-0000-4000-8000-00000000004d";
pub const MIB: i64 = 1 << 20;

/// A pool that several commands ask.
pub struct Saved(Arc<dyn Transport>);

/// What one command did.
#[derive(Debug)]
pub struct Done {
    pub out: String,
    pub err: String,
    pub code: u8,
}

/// The shared SR, attached to bert or not.
const ATTACHED: &str = "SR=\"OpaqueRef:sr-shared\" device_config=\"()\" \
                        currently_attached=\"true\" _ref=\"OpaqueRef:pbd2\"";
const DETACHED: &str = "SR=\"OpaqueRef:sr-shared\" device_config=\"()\" \
                        currently_attached=\"false\" _ref=\"OpaqueRef:pbd2\"";
/// Bert has no shared storage.
pub const BERT_WITHOUT_STORAGE: (&str, &str) = (ATTACHED, DETACHED);

impl Saved {
    /// The pool with HA on and one failure promised, after these replacements in its text.
    pub fn with(replacements: &[(&str, &str)]) -> Self {
        let on = [
            ("ha_enabled=\"false\"", "ha_enabled=\"true\""),
            ("ha_host_failures_to_tolerate=\"0\"", "ha_host_failures_to_tolerate=\"1\""),
            ("ha_plan_exists_for=\"0\"", "ha_plan_exists_for=\"1\""),
        ];
        Self::changed(&[&on, replacements].concat())
    }

    /// The pool with HA on and a third host, carl, which runs nothing and has what bert shares.
    pub fn of_three_hosts() -> Self {
        let mut text = include_str!("../fixtures/dumps/two-hosts.xml").to_owned();
        for of_bert in ["pbd2", "pif2", "host-bert", "hm2"] {
            let start = format!("<row ref=\"OpaqueRef:{of_bert}\"");
            let row = text.lines().find(|line| line.starts_with(&start)).unwrap().to_owned();
            let carl = ["pbd2", "pif2", "hm2"]
                .iter()
                .fold(row.clone(), |row, name| row.replace(name, &name.replace('2', "9")));
            let carl = carl.replace("bert", "carl").replace("-4000-8000-", "-4000-9000-");
            text = text.replace(&row, &format!("{row}\n{carl}"));
        }
        Self::of(&text.replace("ha_enabled=\"false\"", "ha_enabled=\"true\""))
    }

    /// Four hosts, A to D, and one failure promised: x on A needs 4 of 100 MiB; B has 10 left, C
    /// has 8, D has 4; the VM of C needs 7.
    pub fn of_four_hosts() -> Self {
        Self::of(include_str!("../fixtures/dumps/four-hosts.xml"))
    }

    /// A pool with HA off.
    pub fn without_ha() -> Self {
        Self::changed(&[])
    }

    /// The same after these replacements in its text.
    pub fn changed(replacements: &[(&str, &str)]) -> Self {
        let mut text = include_str!("../fixtures/dumps/two-hosts.xml").to_owned();
        for (old, new) in replacements {
            assert!(text.contains(old), "{old}");
            text = text.replace(old, new);
        }
        Self::of(&text)
    }

    fn of(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pool.xml");
        std::fs::write(&file, text).unwrap();
        let request = DatabaseRequest {
            file: file.to_str().unwrap().to_owned(),
            host_memory: Vec::new(),
            write: false,
        };
        Self(Arc::from(xe::agent::in_process::open(&request).unwrap()))
    }

    /// Runs a command as a script does.
    pub fn xe(&self, line: &str) -> Done {
        self.run(line, "", false)
    }

    /// Runs a command as a person at a terminal does, who types an answer.
    pub fn typed(&self, line: &str, answer: &str) -> Done {
        self.run(line, answer, true)
    }

    fn run(&self, line: &str, answer: &str, terminal: bool) -> Done {
        let argv: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), answer.as_bytes());
        let mut console = Console::new(&mut out, &mut err, &mut input, terminal);
        let connect = |_: &dialect::Switches| -> Result<Box<dyn Transport>, _> {
            Ok(Box::new(self.0.clone()))
        };
        let reading = dialect::read(&argv, &Environment::default());
        let code = xe::cli::run::run(reading, &connect, &mut console);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Done { out: text(out), err: text(err), code }
    }

    /// What a command printed, which must succeed.
    #[track_caller]
    pub fn done(&self, line: &str) -> String {
        let done = self.xe(line);
        assert_eq!(done.code, 0, "{line}: {}", done.err);
        done.out.trim_end().to_owned()
    }

    /// The JSON that a command printed.
    #[track_caller]
    pub fn json(&self, line: &str) -> serde_json::Value {
        serde_json::from_str(&self.done(&format!("{line} --json"))).unwrap()
    }

    /// What a command complained of, which must fail; nothing may have changed.
    #[track_caller]
    pub fn refused(&self, line: &str) -> String {
        let before = self.0.download("/pool/xmldbdump").unwrap();
        let done = self.xe(line);
        assert_eq!(done.code, 1, "{line}: {}", done.out);
        assert_eq!(before, self.0.download("/pool/xmldbdump").unwrap(), "{line}");
        done.err
    }

    /// The failure of one API call.
    #[track_caller]
    pub fn failure(&self, method: &str, params: &[Value]) -> Vec<String> {
        let login = ["root".into(), "".into()];
        let session = self.0.call("session.login_with_password", &login).unwrap();
        let all: Vec<Value> = std::iter::once(session).chain(params.iter().cloned()).collect();
        match self.0.call(method, &all) {
            Err(CallError::Api(failure)) => {
                std::iter::once(failure.code).chain(failure.params).collect()
            }
            other => panic!("{method}: {other:?}"),
        }
    }
}
