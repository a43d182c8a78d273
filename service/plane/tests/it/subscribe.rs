use hedgerow_base::TenantId;
use hedgerow_policy::{Scopes, Witness};

use crate::house::{NOW, OTHER, house, own};

#[test]
fn a_device_subscribes_to_its_actions_and_desired_state() {
    let house = house();
    let session = house.session();
    for rest in ["actions/#", "actions/+", "desired"] {
        assert!(house.plane.subscribe(&session, &own(rest)).is_ok(), "{rest}");
    }
    assert!(house.plane.may_receive(&session, &own("actions/identify")));
    assert!(!house.plane.may_receive(&session, &own("properties/cpuPercent")));
}

#[test]
fn a_device_subscribes_to_nobody_elses() {
    let house = house();
    let session = house.session();
    for filter in ["#", "things/#", "things/+/desired", &format!("things/{OTHER}/desired")] {
        let refusal = house.plane.subscribe(&session, filter).unwrap_err();
        assert_eq!(refusal.word, "not-yours", "{filter}");
        assert!(!house.plane.may_receive(&session, filter));
    }
    assert_eq!(house.log(), ["known not-yours #"]);
}

#[test]
fn a_program_reads_its_tenant_and_no_other() {
    let house = house();
    let admit = |tenant, scopes| house.program(tenant, scopes, &[]);
    let reader = admit(TenantId::FIRST, Scopes::READ);
    assert!(house.plane.subscribe(&reader, "things/+/telemetry").is_ok());
    assert_eq!(house.plane.subscribe(&reader, "#").unwrap_err().word, "filter");
    assert!(house.plane.may_receive(&reader, &own("telemetry")));
    assert!(!house.plane.may_receive(&reader, &format!("things/{OTHER}/telemetry")));
    let foreign = admit(TenantId(2), Scopes::READ);
    assert!(!house.plane.may_receive(&foreign, &own("telemetry")));
    let writer = admit(TenantId::FIRST, Scopes::DEVICES);
    assert_eq!(house.plane.subscribe(&writer, "things/#").unwrap_err().word, "scope");
    assert!(!house.plane.may_receive(&writer, &own("telemetry")));
}

#[test]
fn testers_see_nothing_of_things() {
    let house = house();
    let session = house.plane.admit(Witness::of_a_proof().loopback_tester(), NOW).unwrap();
    for filter in ["bench/#", "#", "+/1"] {
        assert!(house.plane.subscribe(&session, filter).is_ok(), "{filter}");
    }
    assert!(house.plane.may_receive(&session, "bench/1"));
    assert!(!house.plane.may_receive(&session, &own("telemetry")), "though # was subscribed to");
    for filter in ["things/#", "things", "things/+/telemetry"] {
        assert_eq!(house.plane.subscribe(&session, filter).unwrap_err().word, "outside");
    }
}
