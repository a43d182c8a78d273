use hedgerow_base::TenantId;
use hedgerow_plane::{Outcome, Verdict};
use hedgerow_policy::{Application, Scopes, Standing, Witness};

use crate::house::{DEVICE, NOW, OTHER, admission, house, own};

const FIRST: TenantId = TenantId::FIRST;

#[test]
fn a_program_with_grants_subscribes_to_what_one_of_them_covers() {
    let house = house();
    let grants = ["subscribe things/+/properties/#", "subscribe lab/#"];
    let session = house.program(FIRST, Scopes::NONE, &grants);
    for filter in
        ["things/+/properties/#", "things/+/properties/load1", &own("properties/+"), "lab"]
    {
        assert!(house.plane.subscribe(&session, filter).is_ok(), "{filter}");
    }
    for filter in ["#", "things/#", "things/+/+/load1", &own("events/+"), "$SYS/#", "lab+", "+/a"] {
        assert_eq!(house.plane.subscribe(&session, filter).unwrap_err().word, "grant", "{filter}");
    }
}

#[test]
fn grants_take_the_place_of_what_scopes_say() {
    let house = house();
    let all = Scopes::READ.and(Scopes::DEVICES);
    let session = house.program(FIRST, all, &["publish lab/#"]);
    assert_eq!(house.plane.subscribe(&session, "things/#").unwrap_err().word, "grant");
    assert!(!house.plane.may_receive(&session, &own("telemetry")));
    assert_eq!(house.refused(&session, &own("actions/identify"), "{}"), "grant");
    assert_eq!(house.publish(&session, "lab/1", "anything"), Outcome::Done);
}

#[test]
fn a_program_publishes_what_is_granted_and_what_the_device_may_receive() {
    let house = house();
    let session = house.program(FIRST, Scopes::NONE, &["publish things/#", "publish lab/+"]);
    for (topic, outcome) in [
        (own("actions/identify"), None),
        (own("desired"), None),
        ("lab/1".into(), None),
        ("lab/1/2".into(), Some("grant")),
        ("things".into(), Some("not-yours")),
        ("things/x".into(), Some("not-yours")),
        (own("properties/cpuPercent"), Some("undeclared")),
        (own("actions/other"), Some("undeclared")),
        (format!("things/{OTHER}/actions/identify"), Some("not-yours")),
    ] {
        match outcome {
            None => assert_eq!(house.publish(&session, &topic, "{}"), Outcome::Done, "{topic}"),
            Some(word) => assert_eq!(house.refused(&session, &topic, "{}"), word, "{topic}"),
        }
    }
    house.plane.directory().apply(admission(DEVICE, Standing::Remediate));
    assert_eq!(house.refused(&session, &own("actions/identify"), "{}"), "standing");
    assert!(house.journal.taken.lock().unwrap().is_empty(), "nothing of it is stored");
}

#[test]
fn a_wide_grant_hands_out_nothing_of_another_tenant() {
    let house = house();
    let grants = ["subscribe #", "publish #"];
    let session = house.program(TenantId(2), Scopes::NONE, &grants);
    assert!(house.plane.subscribe(&session, "#").is_ok());
    assert!(house.plane.judges_deliveries(&session), "so each message is judged");
    assert!(house.plane.may_receive(&session, "lab/1"));
    for topic in [own("properties/cpuPercent"), "things/x/y".into(), "things".into()] {
        assert!(!house.plane.may_receive(&session, &topic), "{topic}");
        assert_eq!(house.refused(&session, &topic, "1"), "not-yours", "{topic}");
    }
}

#[test]
fn a_token_that_was_removed_or_has_expired_ends_its_sessions_and_lets_nobody_in() {
    let house = house();
    let grants = ["subscribe #", "publish #"];
    let session = house.program(FIRST, Scopes::READ, &grants);
    let peer = Witness::of_a_proof().application(Application {
        tenant: FIRST,
        token: 1,
        scopes: Scopes::READ,
    });
    let rejudged = |now| house.plane.rejudge(&mut session.clone(), now);
    let end = NOW.plus_ms(1000);
    assert_eq!(session.expires(), Some(end));
    assert_eq!(rejudged(NOW.plus_ms(999)), Verdict::Unchanged);
    let Verdict::Ended(refusal) = rejudged(end) else { panic!("it goes on") };
    assert_eq!(refusal.word, "token");
    assert!(house.plane.admit(peer, end).is_err() && house.plane.admit(peer, NOW).is_ok());
    house.plane.directory().apply(admission(OTHER, Standing::Full));
    assert_eq!(rejudged(NOW), Verdict::Unchanged, "a change of something else");
    house.plane.directory().remove_token(FIRST, 1);
    let mut ended = session.clone();
    assert!(matches!(house.plane.rejudge(&mut ended, NOW), Verdict::Ended(_)));
    assert_eq!(house.plane.admit(peer, NOW).unwrap_err().word, "token");
    assert_eq!(house.refused(&ended, "lab/will", "gone"), "scope", "its will stays unsaid");
    assert!(!house.plane.may_receive(&ended, "lab/1"));
}

#[test]
fn each_kind_of_denial_is_noticed_once_for_each_program() {
    let house = house();
    let session = house.program(FIRST, Scopes::NONE, &["publish lab/#", "publish things/#"]);
    for _ in 0..3 {
        assert_eq!(house.refused(&session, "elsewhere", "1"), "grant");
        assert_eq!(house.refused(&session, "things/x", "1"), "not-yours");
        assert_eq!(house.plane.subscribe(&session, "#").unwrap_err().word, "grant");
    }
    assert_eq!(house.log(), ["unknown grant elsewhere", "unknown not-yours things/x"]);
    assert!(house.plane.denials().any(|count| count == ("grant", 6)));
}
