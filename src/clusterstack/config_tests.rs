//! The reader of `xhad.conf` on what a toolstack writes, and on everything else.

use proptest::prelude::*;

use super::*;

fn sample() -> String {
    let host = |digit: &str, address: &str| {
        let uuid = digit.repeat(8);
        format!(
            "<host><HostID>{uuid}-0000-4000-8000-000000000000</HostID>\
             <IPaddress>{address}</IPaddress></host>"
        )
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<xhad-config version=\"1.0\">\n\
         <common-config><GenerationUUID>bac1a32e-8598-4aea-ba21-e13682e436d6</GenerationUUID>\
         <UDPport>694</UDPport>{}{}{}<parameters><HeartbeatInterval>3</HeartbeatInterval>\
         <HeartbeatTimeout>60</HeartbeatTimeout><StateFileInterval>3</StateFileInterval>\
         <StateFileTimeout>40</StateFileTimeout>\
         <XapiHealthCheckInterval>60</XapiHealthCheckInterval></parameters></common-config>\n\
         <local-config><localhost><HostID>bbbbbbbb-0000-4000-8000-000000000000</HostID>\
         <HeartbeatInterface>xenbr0</HeartbeatInterface>\
         <HeartbeatPhysicalInterface>bond0</HeartbeatPhysicalInterface>\
         <StateFile>/dev/sm/statefile</StateFile></localhost></local-config>\n</xhad-config>\n",
        host("c", "10.0.0.3"),
        host("b", "10.0.0.2"),
        host("a", "10.0.0.1")
    )
}

fn fault(from: &str, to: &str) -> String {
    let text = sample();
    assert!(text.contains(from), "{from}");
    let failure = Config::parse(&text.replacen(from, to, 1)).unwrap_err();
    assert_eq!(failure.exit, Exit::ConfigInvalid);
    failure.sentence
}

#[test]
fn what_a_toolstack_writes_is_read_whole() {
    let config = Config::parse(&sample()).unwrap();
    assert_eq!(config.udp_port, 694);
    let addresses: Vec<String> = config.hosts.iter().map(|host| host.address.to_string()).collect();
    assert_eq!(addresses, ["10.0.0.1", "10.0.0.2", "10.0.0.3"], "hosts stand by UUID");
    assert_eq!(config.host, config.hosts[1].uuid);
    assert_eq!(config.timeout_s(), 40, "the smaller of the two time-outs");
    assert_eq!((config.parameters.heartbeat_watchdog, config.parameters.boot_join), (30, 90));
    assert_eq!(config.physical_interface.as_deref(), Some("bond0"));
    assert_eq!(config.watchdog, WatchdogMode::Hypervisor);
}

#[test]
fn addresses_of_the_sixth_version_are_read() {
    let text = sample();
    let text = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        .iter()
        .zip(["fe80::1", "fe80::2", "fe80::3"])
        .fold(text, |text, (four, six)| text.replace(four, six));
    assert!(Config::parse(&text).unwrap().hosts.iter().all(|host| host.address.is_ipv6()));
}

#[test]
fn each_fault_is_named_in_a_sentence() {
    let told = [
        ("xhad-config version=\"1.0\"", "xhad-config version=\"2.0\"", "version 2.0 is unknown"),
        ("xhad-config version=\"1.0\"", "xhad-config", "no version"),
        ("bac1a32e-8598", "bac1a32e", "GenerationUUID"),
        ("<UDPport>694", "<UDPport>0", "UDPport 0 is no number from 1 to 65535"),
        ("<UDPport>694</UDPport>", "", "UDPport is missing"),
        ("10.0.0.2", "host-b", "not numeric"),
        ("10.0.0.2", "10.0.0.1", "two hosts have the IPaddress 10.0.0.1"),
        ("10.0.0.2", "fe80::2", "different kinds"),
        ("10.0.0.2", "0.0.0.0", "no host's address"),
        ("<HostID>cccccccc", "<HostID>aaaaaaaa", "is named twice"),
        ("<HeartbeatTimeout>60", "<HeartbeatTimeout>-1", "HeartbeatTimeout -1"),
        ("<HeartbeatTimeout>60", "<HeartbeatTimeout>1e9", "HeartbeatTimeout 1e9"),
        ("<localhost><HostID>bbbbbbbb", "<localhost><HostID>dddddddd", "not in the list"),
        ("/dev/sm/statefile", "statefile", "no absolute path"),
        ("<StateFile>/dev/sm/statefile</StateFile>", "", "StateFile is missing"),
        (">xenbr0<", "><", "HeartbeatInterface is missing"),
        (">bond0<", ">../x<", "no interface's name"),
        ("</localhost>", "<WatchdogMode>DOG</WatchdogMode></localhost>", "WatchdogMode DOG"),
        ("<localhost>", "<elsewhere>", "not readable as XML"),
    ];
    for (from, to, part) in told {
        let sentence = fault(from, to);
        assert!(sentence.contains(part), "{to}: {sentence}");
    }
    for (text, part) in [("", "no XML"), ("<xhad/>", "the root is xhad"), ("<", "XML")] {
        let failure = Config::parse(text).unwrap_err();
        assert!(failure.sentence.contains(part), "{text}: {failure}");
    }
}

#[test]
fn the_watchdog_modes_mean_the_kernels_device() {
    let with = |mode: &str| {
        let word = format!("<WatchdogMode>{mode}</WatchdogMode></localhost>");
        let text = sample().replace("</localhost>", &word);
        Config::parse(&text).unwrap().watchdog.watchdog()
    };
    let linux =
        |allow_software| WatchdogConfig::Linux { device: "/dev/watchdog".into(), allow_software };
    assert_eq!(with("HYPERVISOR"), linux(false));
    assert_eq!(with("user"), linux(true));
    assert_eq!(with("NONE"), WatchdogConfig::None);
}

#[test]
fn a_file_that_is_missing_or_far_too_long_has_its_own_code() {
    let absent = Config::read(Path::new("/nonexistent/xhad.conf")).unwrap_err();
    assert_eq!(absent.exit, Exit::ConfigUnreadable);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), " ".repeat(300_000)).unwrap();
    assert_eq!(Config::read(file.path()).unwrap_err().exit, Exit::ConfigInvalid);
    std::fs::write(file.path(), [0xff, 0xfe]).unwrap();
    assert_eq!(Config::read(file.path()).unwrap_err().exit, Exit::ConfigInvalid);
}

/// A span of a text of that length.
fn span() -> impl Strategy<Value = (prop::sample::Index, prop::sample::Index)> {
    (any::<prop::sample::Index>(), any::<prop::sample::Index>())
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,300}") {
        let _refused = Config::parse(&text);
    }

    #[test]
    fn no_damage_makes_the_reader_panic((from, to) in span(), put in "[<>/&;!\\[\\]A-z0-9]{0,9}") {
        let text = sample();
        let (from, to) = (from.index(text.len()), to.index(text.len()));
        let mut damaged = text.clone();
        damaged.replace_range(from.min(to)..from.max(to), &put);
        if let Ok(config) = Config::parse(&damaged) {
            prop_assert!(config.hosts.iter().any(|host| host.uuid == config.host));
            prop_assert!(config.statefile.is_absolute() && config.timeout_s() > 0);
        }
    }

    #[test]
    fn deep_nesting_makes_the_reader_neither_panic_nor_overflow(depth in 0usize..20_000) {
        let text = format!("<xhad-config version=\"1.0\">{}", "<a>".repeat(depth));
        prop_assert!(Config::parse(&text).is_err());
    }
}
