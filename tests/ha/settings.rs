//! Keys of other-config that are settings take what they mean.

use crate::world::{OFF, POOL, Saved};

#[test]
fn a_setting_that_would_mean_nothing_is_refused_and_the_old_one_stays() {
    let pool = Saved::without_ha();
    let of_pool = |word: &str| format!("pool-param-set uuid={POOL} other-config:{word}");
    pool.done(&of_pool("xe-vcpu-percent=300"));
    let error = pool.xe(&of_pool("xe-vcpu-percent=abc")).err;
    let told = "value: abc\nwhy: it takes a whole number from 0 to 1000000\n";
    assert!(error.contains("field: other_config:xe-vcpu-percent\n"), "{error}");
    assert!(error.ends_with(told), "{error}");
    let get = format!("pool-param-get uuid={POOL} param-name=other-config param-key=");
    assert_eq!(pool.done(&format!("{get}xe-vcpu-percent")), "300");
    for word in [
        "xe-vms-per-host=-1",
        "ha-starts-per-host=zero",
        "ha-starts-per-pool=0",
        "ha-best-effort-attempts=0",
    ] {
        let error = pool.refused(&of_pool(word));
        assert!(error.contains("why: it takes a whole number from "), "{error}");
    }
    let vm = format!("vm-param-set uuid={OFF} other-config:ha-reboot-on-internal-shutdown=");
    assert!(pool.refused(&format!("{vm}maybe")).contains("why: it takes true or false"));
    pool.done(&format!("{vm}false"));
    pool.done(&of_pool("anything=abc"));
    let help = pool.done("help pool-param-set");
    assert!(help.contains("xe-vcpu-percent") && help.contains("SETTINGS in xe(1)"), "{help}");
}
