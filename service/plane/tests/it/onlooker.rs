use hedgerow_base::TenantId;
use hedgerow_plane::{Identity, Verdict};
use hedgerow_policy::{PersonId, Role, Witness};

use crate::house::{NOW, OTHER, house, own};

#[test]
fn a_person_looks_on_at_what_the_role_allows_and_says_nothing() {
    let house = house();
    let looks = |tenant, role| {
        let person = Witness::of_a_proof().person(tenant, PersonId(1), role);
        house.plane.admit(person, NOW).unwrap()
    };
    for (tenant, role, devices, elsewhere) in [
        (TenantId::FIRST, Role::Owner, true, true),
        (TenantId::FIRST, Role::Operator, true, false),
        (TenantId::FIRST, Role::Viewer, true, false),
        (TenantId(2), Role::Owner, false, false),
    ] {
        let session = looks(tenant, role);
        let sees = |topic: &str| house.plane.may_receive(&session, topic);
        assert_eq!(session.identity(), Identity::Person(tenant, PersonId(1)));
        assert!(house.plane.judges_deliveries(&session));
        assert!(house.plane.subscribe(&session, "#").is_ok(), "each message is judged");
        assert_eq!(sees(&own("properties/load1")), devices, "{tenant:?} {role:?}");
        for topic in ["lab/1", "$SYS/broker/uptime"] {
            assert_eq!(sees(topic), elsewhere, "{tenant:?} {role:?} {topic}");
        }
        for topic in [format!("things/{OTHER}/events/x"), "things/nobody/x".into(), "things".into()]
        {
            assert!(!sees(&topic), "{tenant:?} {role:?} {topic}");
        }
        for topic in [own("actions/identify"), "lab/1".into()] {
            assert_eq!(house.refused(&session, &topic, "{}"), "person");
        }
    }
    let mut session = looks(TenantId::FIRST, Role::Owner);
    assert_eq!(house.plane.rejudge(&mut session, NOW), Verdict::Unchanged);
}
