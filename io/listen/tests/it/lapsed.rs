//! Certificates that have expired, on ports that take them and on ports that don't.

use super::*;

const ID: DeviceId = DeviceId::from_bytes([9; 16]);

/// A device's certificate, valid in these years.
fn params_of(from: i32, to: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    let uri = name::device_uri(ID);
    params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    params
}

/// Who a port takes the client for, or what it said instead.
async fn taken_for(
    house: &House,
    anchors: Arc<Anchors>,
    port: fn(Arc<Anchors>) -> ClientCertificates,
    who: Identity,
) -> String {
    let to = serve(house, port(anchors)).await;
    match visit(to, Trust::Root(house.root.clone()), Some(who)).await {
        Ok(said) => said.split(' ').next().unwrap().to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn an_expired_certificate_proves_no_peer_and_gets_through_only_where_it_may() {
    let house = house();
    let expired = identity(&house, params_of(2020, 2021));
    let valid = identity(&house, params_of(2020, 3000));
    let early = identity(&house, params_of(2999, 3000));
    let ask = |port, who: &Identity| taken_for(&house, anchors(&house), port, who.clone());

    for port in [ClientCertificates::Welcome, ClientCertificates::Required] {
        let said = ask(port, &expired).await;
        assert!(said.contains("CertificateExpired"), "{said}");
        assert_eq!(ask(port, &valid).await, ID.to_string());
    }
    let port = ClientCertificates::WelcomeLapsed;
    assert_eq!(ask(port, &expired).await, format!("lapsed:{ID}"), "and no device");
    assert_eq!(ask(port, &valid).await, ID.to_string());
    let said = ask(port, &early).await;
    assert!(said.contains("CertificateExpired"), "one that is yet to be valid is refused: {said}");
}

#[tokio::test]
async fn an_expired_certificate_is_verified_as_strictly_as_a_valid_one() {
    let (house, stranger) = (house(), house());
    let port = ClientCertificates::WelcomeLapsed;
    let ask = |who| taken_for(&house, anchors(&house), port, who);
    let said = ask(identity(&stranger, params_of(2020, 2021))).await;
    assert!(!said.contains("lapsed"), "of another CA: {said}");
    let mut server = params_of(2020, 2021);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let said = ask(identity(&house, server)).await;
    assert!(!said.contains("lapsed"), "not a client's: {said}");
    let (shown, other) =
        (identity(&house, params_of(2020, 2021)), identity(&house, params_of(2020, 2021)));
    let said = ask(Identity { chain: shown.chain, key: other.key }).await;
    assert!(!said.contains("lapsed"), "without its key: {said}");
}

#[tokio::test]
async fn an_expired_certificate_of_a_distrusted_ca_is_answered_as_revoked() {
    let (old, new) = (house(), house());
    let anchors =
        Anchors::new(std::slice::from_ref(&new.root), std::slice::from_ref(&old.root)).unwrap();
    let port = ClientCertificates::WelcomeLapsed;
    let said = taken_for(&old, anchors, port, identity(&old, params_of(2020, 2021))).await;
    assert!(said.contains("CertificateRevoked"), "{said}");
}

#[tokio::test]
async fn a_valid_certificate_does_not_get_through_by_an_expired_ca_that_is_sent_along() {
    let house = house();
    let key = KeyPair::generate().unwrap();
    let mut below = CertificateParams::default();
    below.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    below.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    below.distinguished_name.push(rcgen::DnType::CommonName, "below");
    below.not_before = rcgen::date_time_ymd(2020, 1, 1);
    below.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let root = below.signed_by(&key, &house.issuer).unwrap().der().to_vec();
    let below = House { root, issuer: Issuer::new(below, key) };
    let port = ClientCertificates::WelcomeLapsed;
    let who = identity(&below, params_of(2020, 3000));
    let said = taken_for(&house, anchors(&house), port, who).await;
    assert!(said.contains("CertificateExpired"), "{said}");
    let who = identity(&below, params_of(2020, 2021));
    let said = taken_for(&house, anchors(&house), port, who).await;
    assert_eq!(said, format!("lapsed:{ID}"), "both ended at the same second");
}
