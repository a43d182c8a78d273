use hedgerow_base::{Incarnation, TenantId};
use hedgerow_plane::{DeviceAdmission, Identity, ValidCertificate, Verdict};
use hedgerow_policy::{
    CertificateId, PasswordId, PersonId, Role, Scopes, Standing, WeakDevice, Witness,
};

use crate::house::{CERTIFICATE, DEVICE, NOW, OTHER, admission, house, own, peer, peer_as};

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unchanged => "unchanged",
        Verdict::Narrowed => "narrowed",
        Verdict::Ended(refusal) => refusal.word,
    }
}

#[test]
fn a_known_device_with_a_valid_certificate_is_admitted() {
    let house = house();
    let session = house.session();
    assert_eq!(session.identity(), Identity::Device(TenantId::FIRST, DEVICE));
    assert_eq!(session.expires(), Some(NOW.plus_ms(1000)));
}

#[test]
fn whoever_is_not_admitted_hears_why_and_is_noticed() {
    let house = house();
    let refused = |peer, at| house.plane.admit(peer, at).unwrap_err().word;
    assert_eq!(refused(peer_as(TenantId::FIRST, OTHER, CERTIFICATE), NOW), "unknown-device");
    assert_eq!(refused(peer_as(TenantId(2), DEVICE, CERTIFICATE), NOW), "unknown-device");
    let revoked = CertificateId([9; 32]);
    assert_eq!(refused(peer_as(TenantId::FIRST, DEVICE, revoked), NOW), "certificate");
    assert_eq!(refused(peer(), NOW.plus_ms(1000)), "certificate");
    assert!(house.plane.admit(peer(), NOW.plus_ms(999)).is_ok());
    house.plane.directory().apply(admission(DEVICE, Standing::Cut));
    assert_eq!(refused(peer(), NOW), "cut");
    let expected =
        ["unknown unknown-device ", "unknown unknown-device ", "known certificate ", "known cut "];
    assert_eq!(house.log(), expected);
}

#[test]
fn a_change_of_another_device_changes_nothing_here() {
    let house = house();
    let mut session = house.session();
    let before = house.plane.revision();
    house.plane.directory().apply(admission(OTHER, Standing::Full));
    assert!(house.plane.revision() > before);
    assert_eq!(house.plane.rejudge(&mut session, NOW), Verdict::Unchanged);
}

#[test]
fn quarantine_narrows_an_open_session_and_release_widens_it_again() {
    let house = house();
    let mut session = house.session();
    house.plane.directory().apply(admission(DEVICE, Standing::Remediate));
    assert_eq!(house.plane.rejudge(&mut session, NOW), Verdict::Narrowed);
    assert_eq!(house.refused(&session, &own("properties/cpuPercent"), "1"), "standing");
    assert!(!house.plane.may_receive(&session, &own("actions/identify")));
    assert!(house.plane.may_receive(&session, &own("actions/update")));
    house.plane.directory().apply(admission(DEVICE, Standing::Full));
    assert_eq!(house.plane.rejudge(&mut session, NOW), Verdict::Narrowed);
    house.publish(&session, &own("properties/cpuPercent"), "1");
    assert_eq!(house.plane.rejudge(&mut session, NOW), Verdict::Unchanged);
}

#[test]
fn whatever_takes_the_ground_from_a_session_ends_it() {
    let house = house();
    let ends = |change: &dyn Fn()| {
        house.plane.directory().apply(admission(DEVICE, Standing::Full));
        let mut session = house.session();
        change();
        word(house.plane.rejudge(&mut session, NOW))
    };
    let directory = house.plane.directory();
    assert_eq!(ends(&|| directory.apply(admission(DEVICE, Standing::Cut))), "cut");
    assert_eq!(ends(&|| directory.remove(TenantId::FIRST, DEVICE)), "unknown-device");
    let mut revoked = admission(DEVICE, Standing::Full);
    revoked.certificates.clear();
    assert_eq!(ends(&|| directory.apply(revoked.clone())), "certificate");
    let mut resold = admission(DEVICE, Standing::Full);
    resold.incarnation = Incarnation(2);
    assert_eq!(ends(&|| directory.apply(resold.clone())), "certificate");
    directory.apply(admission(DEVICE, Standing::Full));
    let mut session = house.session();
    assert_eq!(word(house.plane.rejudge(&mut session, NOW.plus_ms(1000))), "certificate");
}

#[test]
fn a_renewed_certificate_leaves_the_old_session_until_it_is_revoked() {
    let house = house();
    let mut session = house.session();
    let mut renewed = admission(DEVICE, Standing::Full);
    let id = CertificateId([2; 32]);
    renewed.certificates.push(ValidCertificate { id, expires: NOW.plus_ms(5000) });
    house.plane.directory().apply(renewed);
    assert_eq!(house.plane.rejudge(&mut session, NOW), Verdict::Narrowed);
    assert_eq!(session.expires(), Some(NOW.plus_ms(1000)));
    assert!(house.plane.admit(peer_as(TenantId::FIRST, DEVICE, id), NOW).is_ok());
}

#[test]
fn certificates_that_end_together_take_their_sessions_and_no_others() {
    let house = house();
    let mut left_behind = house.session();
    let mut both = admission(OTHER, Standing::Full);
    let (old, new) = (CertificateId([2; 32]), CertificateId([3; 32]));
    both.certificates =
        [old, new].map(|id| ValidCertificate { id, expires: NOW.plus_ms(5000) }).to_vec();
    house.plane.directory().apply(both);
    let admitted = |id| house.plane.admit(peer_as(TenantId::FIRST, OTHER, id), NOW);
    let (mut by_old, mut by_new) = (admitted(old).unwrap(), admitted(new).unwrap());
    let before = house.plane.revision();
    house.plane.directory().end_certificates(&[CERTIFICATE, old].into_iter().collect());
    assert_eq!(house.plane.revision(), before + 1, "one revision for all");
    assert_eq!(word(house.plane.rejudge(&mut left_behind, NOW)), "certificate");
    assert_eq!(word(house.plane.rejudge(&mut by_old, NOW)), "certificate");
    assert_eq!(word(house.plane.rejudge(&mut by_new, NOW)), "narrowed");
    assert!(admitted(old).is_err() && admitted(new).is_ok());
}

#[test]
fn presence_follows_sessions_and_survives_changes() {
    let house = house();
    let session = house.session();
    let presence = || house.plane.directory().presence(TenantId::FIRST, DEVICE).unwrap();
    assert_eq!((presence().sessions, presence().last_seen), (0, None));
    house.plane.connected(&session, "one", NOW);
    house.plane.directory().apply(admission(DEVICE, Standing::Remediate));
    assert_eq!((presence().sessions, presence().last_seen), (1, Some(NOW)));
    house.plane.disconnected(&session, "one", "closed", NOW);
    house.plane.disconnected(&session, "one", "closed", NOW);
    assert_eq!(presence().sessions, 0);
    assert_eq!(house.log()[0], "connected one");
    assert_eq!(house.log()[1], "disconnected one closed");
    assert_eq!(house.plane.directory().presence(TenantId::FIRST, OTHER), None);
}

#[test]
fn what_a_cut_device_leaves_behind_has_no_rights() {
    let house = house();
    let mut session = house.session();
    house.plane.directory().apply(admission(DEVICE, Standing::Cut));
    assert_eq!(word(house.plane.rejudge(&mut session, NOW)), "cut");
    assert_eq!(house.refused(&session, &own("events/identified"), "{}"), "standing", "its will");
}

#[test]
fn who_was_here_before_is_admitted_again_while_its_proof_holds() {
    let house = house();
    let (directory, session) = (house.plane.directory(), house.session());
    let proof = house.plane.proof_of(&session).unwrap();
    let again = |at| house.plane.admit_again(&proof, at);
    assert_eq!(again(NOW).unwrap().identity(), session.identity());
    house.publish(&again(NOW).unwrap(), &own("events/identified"), "{}");
    assert!(again(NOW.plus_ms(1000)).is_none(), "its certificate has expired");
    let mut changed = admission(DEVICE, Standing::Full);
    changed.incarnation = Incarnation(2);
    directory.apply(changed);
    assert!(again(NOW).is_none(), "it lives another life");
    let mut changed = admission(DEVICE, Standing::Full);
    changed.certificates.clear();
    directory.apply(changed);
    assert!(again(NOW).is_none(), "its certificate was revoked");
    directory.apply(admission(DEVICE, Standing::Remediate));
    let narrow = again(NOW).unwrap();
    assert_eq!(house.refused(&narrow, &own("properties/cpuPercent"), "1"), "standing");
    directory.apply(admission(DEVICE, Standing::Cut));
    assert!(again(NOW).is_none(), "it was cut off");
    directory.remove(TenantId::FIRST, DEVICE);
    assert!(again(NOW).is_none(), "it is not known");
}

#[test]
fn a_password_and_a_token_are_asked_for_again_and_what_has_neither_is_not_admitted() {
    let house = house();
    let directory = house.plane.directory();
    let weak = |password| DeviceAdmission { password, ..admission(DEVICE, Standing::Full) };
    let password = PasswordId([7; 32]);
    directory.apply(weak(Some(password)));
    let shown = WeakDevice { tenant: TenantId::FIRST, device: DEVICE, password };
    let session = house.plane.admit(Witness::of_a_proof().weak_device(shown), NOW).unwrap();
    let proof = house.plane.proof_of(&session).unwrap();
    assert!(house.plane.admit_again(&proof, NOW).is_some());
    directory.apply(weak(Some(PasswordId([8; 32]))));
    assert!(house.plane.admit_again(&proof, NOW).is_none(), "it was changed");

    let session = house.program(TenantId::FIRST, Scopes::NONE, &["publish lab/#"]);
    let proof = house.plane.proof_of(&session).unwrap();
    let again = house.plane.admit_again(&proof, NOW).unwrap();
    assert_eq!(house.refused(&again, "other", "x"), "grant");
    assert!(house.plane.admit_again(&proof, NOW.plus_ms(1000)).is_none(), "it has expired");
    for cut in 0..proof.len() {
        assert!(house.plane.admit_again(&proof[..cut], NOW).is_none(), "{cut}");
    }
    let other = [&proof[..proof.len() - 1], &[0]].concat();
    assert!(house.plane.admit_again(&other, NOW).is_none(), "another token of that number");
    let witness = Witness::of_a_proof();
    let person = witness.person(TenantId::FIRST, PersonId(1), Role::Owner);
    for peer in [witness.loopback_tester(), person] {
        let session = house.plane.admit(peer, NOW).unwrap();
        assert_eq!(house.plane.proof_of(&session), None);
    }
}
