use super::*;

fn argv(words: &[&str]) -> Vec<String> {
    words.iter().map(|&w| w.to_owned()).collect()
}

fn run(words: &[&str], extras: &str, rc: &str) -> (Switches, Vec<(String, bool)>) {
    let environment = Environment {
        extra_args: Some(extras.to_owned()),
        rc: Some(rc.to_owned()),
        ..Environment::default()
    };
    match read(&argv(words), &environment).opening {
        Opening::Run { switches, words } => {
            (*switches, words.into_iter().map(|w| (w.text, w.typed)).collect())
        }
        other => panic!("not a command: {other:?}"),
    }
}

fn opening(words: &[&str]) -> Opening {
    read(&argv(words), &Environment::default()).opening
}

#[test]
fn switches_are_taken_before_and_behind_the_command() {
    let (switches, words) =
        run(&["-s", "h", "vm-list", "-u", "me", "-pw", "secret", "port=80", "--nossl"], "", "");
    assert_eq!(switches.target, Target::Server("h".to_owned()));
    assert_eq!((switches.username.as_str(), switches.password.as_str()), ("me", "secret"));
    assert_eq!((switches.port, switches.plain), (Some(80), true));
    assert_eq!(words, [("vm-list".to_owned(), true)]);
}

#[test]
fn defaults_are_root_null_and_the_local_socket() {
    let (switches, _) = run(&["vm-list"], "", "");
    assert_eq!(switches.target, Target::Server("127.0.0.1".to_owned()));
    assert_eq!((switches.username.as_str(), switches.password.as_str()), ("root", "null"));
}

#[test]
fn each_layer_overwrites_the_one_below_and_leftovers_go_behind() {
    let (switches, words) = run(
        &["vm-list", "params=uuid"],
        "-u,extra,params=all",
        "username=rc\nserver=far\nminimal=true\n",
    );
    assert_eq!(switches.username, "extra");
    assert_eq!(switches.target, Target::Server("far".to_owned()));
    assert_eq!(
        words,
        [("vm-list", true), ("params=uuid", true), ("params=all", false), ("minimal=true", false)]
            .map(|(w, t)| (w.to_owned(), t))
    );
}

#[test]
fn the_extras_may_hold_the_command() {
    let (_, words) = run(&["-u", "me"], "host-list,--minimal", "");
    assert_eq!(words[0], ("host-list".to_owned(), false));
}

#[test]
fn a_broken_rc_file_is_ignored_whole() {
    let environment =
        Environment { rc: Some("username=u\noops\n".to_owned()), ..Environment::default() };
    let reading = read(&argv(&["vm-list"]), &environment);
    assert!(reading.rc_broken);
    let Opening::Run { switches, .. } = reading.opening else { panic!("not a command") };
    assert_eq!(switches.username, "root");
}

#[test]
fn help_version_no_command_and_bad_ports() {
    assert_eq!(opening(&["vm-list", "-version"]), Opening::Version);
    assert_eq!(opening(&["vm-list", "--help"]), Opening::Usage(None));
    assert_eq!(opening(&[]), Opening::Usage(None));
    assert_eq!(opening(&["-u", "root"]), Opening::Usage(None));
    assert!(matches!(opening(&["-p", "70000", "vm-list"]), Opening::Usage(Some(_))));
    assert!(matches!(opening(&["nossl=maybe", "vm-list"]), Opening::Refused(_)));
}

#[test]
fn a_switch_without_its_value_is_left_for_the_command() {
    let (_, words) = run(&["vm-list", "-s"], "", "");
    assert_eq!(words[1].0, "-s");
}

#[test]
fn our_switches_and_what_they_exclude() {
    let (switches, words) = run(
        &["--database", "dump.xml", "--host-memory", "u=64GiB", "--write", "vm-list"],
        "",
        "server=far",
    );
    assert_eq!(switches.target, Target::Database { file: "dump.xml".to_owned(), write: true });
    assert_eq!(switches.host_memory, [("u".to_owned(), 64 << 30)]);
    assert_eq!(words.len(), 1);
    assert!(matches!(opening(&["-s", "h", "--database", "f", "x"]), Opening::Refused(_)));
    assert!(matches!(opening(&["--state-dir", "d", "-s", "h", "x"]), Opening::Refused(_)));
    assert!(matches!(opening(&["--write", "vm-list"]), Opening::Refused(_)));
    assert!(matches!(opening(&["--host-memory", "u", "x"]), Opening::Refused(_)));
}

#[test]
fn a_typed_server_beats_the_state_directory_of_the_extras() {
    let (switches, _) = run(&["-s", "h", "vm-list"], "--state-dir,/lab/h1", "");
    assert_eq!(switches.target, Target::Server("h".to_owned()));
    let (switches, _) = run(&["vm-list"], "--state-dir,/lab/h1", "");
    assert_eq!(switches.target, Target::StateDir("/lab/h1".to_owned()));
}

#[test]
fn the_trace_parent_of_the_environment_beats_the_extras_only() {
    let environment = Environment {
        extra_args: Some("traceparent=low".to_owned()),
        traceparent: Some("env".to_owned()),
        ..Environment::default()
    };
    for (words, expected) in [(vec!["x"], "env"), (vec!["--traceparent", "typed", "x"], "typed")] {
        let Opening::Run { switches, .. } = read(&argv(&words), &environment).opening else {
            panic!("not a command")
        };
        assert_eq!(switches.traceparent.as_deref(), Some(expected));
    }
}

proptest::proptest! {
    #[test]
    fn no_words_make_the_reader_panic(
        words in proptest::collection::vec("[-=,a-z\\\\\n:]{0,12}", 0..6),
        extras in "[-=,a-z\\\\]{0,20}",
        rc in "[=a-z\n]{0,20}",
    ) {
        let environment = Environment {
            extra_args: Some(extras),
            rc: Some(rc),
            ..Environment::default()
        };
        if let Opening::Run { words, .. } = read(&words, &environment).opening {
            let _ = words::parse(&words);
        }
    }

    #[test]
    fn escaped_words_come_through_the_extras(
        words in proptest::collection::vec("[a-z=,]{1,8}", 1..5),
    ) {
        let text: Vec<String> = words.iter().map(|word| word.replace(',', "\\,")).collect();
        proptest::prop_assert_eq!(layers::extra_args(&text.join(",")), words);
    }
}
