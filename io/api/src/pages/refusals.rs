//! Every page, tried by somebody who is not signed in, on a hub where nothing is.

use std::{pin::Pin, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
    response::Response,
};
use hedgerow_base::{DeviceId, TenantId, Timestamp};
use hedgerow_control::{
    AuthorityId, AuthorityRecord, CertificateRecord, Commit, Control, Event, Failure, Named,
    Person, ProfileRecord, TimelineEntry, Token,
    ports::{
        AuditFilter, AuditRecord, Counts, Herald, History, Keys, LastValue, Passwords, Pending,
        Random, Signer, Store,
    },
};
use hedgerow_identity::{
    CertificatePlan, Claim, Serial,
    ocsp::{Issued, OcspPlan},
    revocation::{CrlPlan, Revoked},
};
use hedgerow_model::{LINUX_HOST, Profile, Value};
use hedgerow_plane::{
    Answer, AskedSessions, Broker, Commits, Level, LocalBus, MaySee, NoNotices, Plane, Readings,
    Refusal, RetainedPage, SessionDetail, SessionName, SessionPage, SessionView, Ticket, Wish,
};
use hedgerow_policy::{CertificateId, Fact, PersonId};
use hedgerow_registry::{Device, DeviceKey, Filter, Page};
use hedgerow_telemetry::{Batch, Bucket, Range, SeriesId, SeriesSpec};
use hedgerow_tlog::{Hash, NodeId};
use tower::ServiceExt;

use super::{Door, routes};
use crate::{Bounds, People, Transport, people};

/// A hub without anything: nobody, no device, no record.
#[derive(Default)]
struct Nothing(Commits);

fn none<'a, T: Default + Send + 'a>() -> Pending<'a, T> {
    Box::pin(async { Ok(T::default()) })
}

fn broken<'a, T: Send + 'a>() -> Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>> {
    Box::pin(async { Err(Failure::absent("key")) })
}

impl Store for Nothing {
    fn commit(&self, _: Commit) -> Pending<'_, ()> {
        none()
    }
    fn device(&self, _: TenantId, _: DeviceId) -> Pending<'_, Option<Device>> {
        none()
    }
    fn devices<'a>(&'a self, _: TenantId, _: &'a Filter, _: Page) -> Pending<'a, Vec<Device>> {
        none()
    }
    fn all_devices(&self) -> Pending<'_, Vec<Device>> {
        none()
    }
    fn counts(&self, _: TenantId, _: Timestamp) -> Pending<'_, Counts> {
        none()
    }
    fn keys(&self, _: TenantId, _: Timestamp) -> Pending<'_, Keys> {
        none()
    }
    fn weak_devices(&self, _: TenantId) -> Pending<'_, u64> {
        none()
    }
    fn facts(&self, _: DeviceKey) -> Pending<'_, Vec<Fact>> {
        none()
    }
    fn timeline(
        &self,
        _: DeviceKey,
        _: Option<i64>,
        _: u32,
    ) -> Pending<'_, Vec<(i64, TimelineEntry)>> {
        none()
    }
    fn claim(&self, _: [u8; 32]) -> Pending<'_, Option<(TenantId, Claim)>> {
        none()
    }
    fn named(&self, _: Timestamp) -> Pending<'_, Vec<Named>> {
        none()
    }
    fn open_claims(&self, _: TenantId) -> Pending<'_, Vec<Claim>> {
        none()
    }
    fn profile<'a>(&'a self, _: TenantId, _: &'a str) -> Pending<'a, Option<ProfileRecord>> {
        none()
    }
    fn profiles(&self, _: TenantId) -> Pending<'_, Vec<ProfileRecord>> {
        none()
    }
    fn all_profiles(&self) -> Pending<'_, Vec<ProfileRecord>> {
        none()
    }
    fn certificate(&self, _: CertificateId) -> Pending<'_, Option<CertificateRecord>> {
        none()
    }
    fn certificates(&self, _: DeviceKey) -> Pending<'_, Vec<CertificateRecord>> {
        none()
    }
    fn issued(&self, _: AuthorityId, _: Serial) -> Pending<'_, Issued> {
        broken()
    }
    fn revoked(&self, _: AuthorityId, _: Timestamp) -> Pending<'_, Vec<Revoked>> {
        none()
    }
    fn distrusted(&self, _: Timestamp) -> Pending<'_, Vec<CertificateId>> {
        none()
    }
    fn hanging_on_others(&self, _: AuthorityId, _: Timestamp) -> Pending<'_, u64> {
        none()
    }
    fn next_crl_number(&self) -> Pending<'_, u64> {
        none()
    }
    fn authorities(&self, _: &'static str) -> Pending<'_, Vec<AuthorityRecord>> {
        none()
    }
    fn audit<'a>(
        &'a self,
        _: TenantId,
        _: &'a AuditFilter,
        _: u32,
    ) -> Pending<'a, Vec<AuditRecord>> {
        none()
    }
    fn audit_from(&self, _: TenantId, _: u64, _: u32) -> Pending<'_, Vec<AuditRecord>> {
        none()
    }
    fn checkpoint(&self, _: TenantId) -> Pending<'_, Option<String>> {
        none()
    }
    fn checkpoints(&self, _: TenantId, _: u64, _: u32) -> Pending<'_, Vec<(u64, String)>> {
        none()
    }
    fn audit_nodes<'a>(&'a self, _: TenantId, _: &'a [NodeId]) -> Pending<'a, Vec<(NodeId, Hash)>> {
        none()
    }
    fn people(&self, _: TenantId) -> Pending<'_, Vec<Person>> {
        none()
    }
    fn person_by_name<'a>(&'a self, _: &'a str) -> Pending<'a, Option<Person>> {
        none()
    }
    fn person(&self, _: PersonId) -> Pending<'_, Option<Person>> {
        none()
    }
    fn passkeys(&self, _: PersonId) -> Pending<'_, Vec<(Vec<u8>, String, String)>> {
        none()
    }
    fn session(&self, _: [u8; 32]) -> Pending<'_, Option<(Person, Timestamp)>> {
        none()
    }
    fn link(&self, _: [u8; 32]) -> Pending<'_, Option<(TenantId, Option<PersonId>, Timestamp)>> {
        none()
    }
    fn token(&self, _: [u8; 32]) -> Pending<'_, Option<Token>> {
        none()
    }
    fn all_tokens(&self) -> Pending<'_, Vec<Token>> {
        none()
    }
    fn tokens(&self, _: TenantId) -> Pending<'_, Vec<Token>> {
        none()
    }
}

impl Signer for Nothing {
    fn public_key(&self, _: &'static str) -> Pending<'_, Vec<u8>> {
        broken()
    }
    fn next_issuing_key(&self, _: Vec<Vec<u8>>) -> Pending<'_, Vec<u8>> {
        broken()
    }
    fn certificate(&self, _: CertificatePlan, _: Option<Vec<u8>>) -> Pending<'_, Vec<u8>> {
        broken()
    }
    fn crl(&self, _: CrlPlan, _: Vec<u8>) -> Pending<'_, Vec<u8>> {
        broken()
    }
    fn ocsp(&self, _: OcspPlan, _: Vec<u8>) -> Pending<'_, Vec<u8>> {
        broken()
    }
}

impl Random for Nothing {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

impl Passwords for Nothing {
    fn hash(&self, _: String) -> Pending<'_, String> {
        broken()
    }
    fn verify(&self, _: String, _: Option<String>) -> Pending<'_, bool> {
        none()
    }
}

impl History for Nothing {
    fn readings<'a>(
        &'a self,
        _: DeviceKey,
        _: &'a str,
        _: Range,
        _: usize,
    ) -> Pending<'a, Vec<(Timestamp, Value)>> {
        none()
    }
    fn buckets<'a>(
        &'a self,
        _: DeviceKey,
        _: &'a str,
        _: Range,
        _: i64,
    ) -> Pending<'a, Vec<Bucket>> {
        none()
    }
    fn last_values(&self, _: DeviceKey) -> Pending<'_, Vec<LastValue>> {
        none()
    }
}

impl hedgerow_control::ports::Voice for Nothing {
    fn can_hear(&self, _: DeviceKey, _: Wish<'_>, _: &[u8], _: Timestamp) -> Result<(), Failure> {
        Err(Failure::absent("device"))
    }
    fn say(&self, _: DeviceKey, _: Wish<'_>, _: &[u8], _: Timestamp) -> Result<(), Failure> {
        Err(Failure::absent("device"))
    }
    fn has_session(&self, _: SessionName) -> Pending<'_, bool> {
        none()
    }
    fn end_session(&self, _: SessionName) -> Pending<'_, ()> {
        none()
    }
}

impl Broker for Nothing {
    fn sessions(&self, _: AskedSessions) -> Answer<'_, SessionPage> {
        Box::pin(async { SessionPage::default() })
    }
    fn slow(&self, _: TenantId) -> Answer<'_, Vec<SessionView>> {
        Box::pin(async { Vec::new() })
    }
    fn session(&self, _: SessionName) -> Answer<'_, Option<SessionDetail>> {
        Box::pin(async { None })
    }
    fn retained(
        &self,
        _: &str,
        _: Option<&str>,
        _: (usize, usize),
        _: &MaySee<'_>,
    ) -> RetainedPage {
        RetainedPage::default()
    }
    fn level(&self, _: &str, _: Option<&str>, _: usize, _: &MaySee<'_>) -> Level {
        Level::default()
    }
}

impl Herald for Nothing {
    fn tell(&self, _: Event) -> Pending<'_, ()> {
        none()
    }
}

impl Readings for Nothing {
    fn series(&self, _: hedgerow_telemetry::DeviceKey, _: &[SeriesSpec]) -> Arc<[SeriesId]> {
        Arc::default()
    }
    fn offer(&self, _: &Batch) -> Result<Ticket, Refusal> {
        Ok(Ticket(0))
    }
    fn commits(&self) -> &Commits {
        &self.0
    }
}

fn house() -> Router {
    let nothing = Arc::new(Nothing::default());
    let bus = Arc::new(LocalBus::default());
    let control = Control::new(hedgerow_control::Ports {
        store: nothing.clone(),
        signer: nothing.clone(),
        random: nothing.clone(),
        passwords: nothing.clone(),
        history: nothing.clone(),
        voice: nothing.clone(),
        herald: nothing.clone(),
    });
    let profile = Arc::new(Profile::parse(LINUX_HOST.as_bytes()).unwrap());
    let overlay = Arc::default();
    let bounds = Bounds { profile, overlay };
    let people = Arc::new(People {
        control: Arc::new(control),
        plane: Plane::new(nothing.clone(), bus.clone(), Arc::new(NoNotices)),
        bus,
        take_mqtt: Box::new(|_, _| ()),
        broker: nothing.clone(),
        flows: Arc::default(),
        onlookers: crate::Onlookers::new(|_, _| ()),
        doorstep: Box::new(crate::Doorstep::default),
        open_note: Box::new(|_, _| Err("no note".into())),
        log_key: [0; 32],
        bounds: Box::new(move |_, _| bounds.clone()),
        meters: Box::new(crate::Meters::default),
        random: nothing,
        ca_pem: "PEM".into(),
        fingerprint: "00".into(),
        devices_url: "https://hub:8444".into(),
        mqtts: "hub:8883".into(),
        mqtts_weak: None,
        hosts: vec!["localhost".into()],
        passkeys: crate::Passkeys::default(),
        warning: None,
    });
    people::router(&people, Transport::Local)
}

const ID: &str = "tkwpsdbykvbsbqfcgz8bq18qfg";

async fn ask(house: &Router, method: &Method, path: &str, kind: &str, body: &str) -> Response {
    let request = Request::builder()
        .method(method)
        .uri(path.replace("{id}", ID))
        .header(header::HOST, "localhost:8080")
        .header("sec-fetch-site", "same-origin")
        .header(header::COOKIE, "hedgerow=nobody")
        .header(header::CONTENT_TYPE, kind)
        .body(Body::from(body.to_owned()))
        .unwrap();
    house.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn every_page_but_the_open_ones_is_refused_to_strangers() {
    let house = house();
    let (mut refused, form) = (0, "application/x-www-form-urlencoded");
    for (path, door, _) in routes().iter().filter(|route| route.1 == Door::SignedIn) {
        for method in [Method::GET, Method::POST] {
            let answer = ask(&house, &method, path, form, "name=x").await;
            match answer.status() {
                StatusCode::METHOD_NOT_ALLOWED => continue,
                StatusCode::SEE_OTHER => {
                    let to = answer.headers()[header::LOCATION].to_str().unwrap();
                    assert!(to.starts_with("/sign-in"), "{method} {path} leads to {to}");
                }
                status => assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path} {door:?}"),
            }
            refused += 1;
        }
    }
    assert!(refused >= 25, "{refused} were tried");
}

#[tokio::test]
async fn the_open_pages_show_strangers_what_they_are_for() {
    let house = house();
    for (path, words) in [
        ("/sign-in", "Sign in"),
        ("/ca.pem", "PEM"),
        ("/security", "Report a flaw"),
        ("/.well-known/security.txt", "Contact: http://localhost:8080/security"),
    ] {
        let answer = ask(&house, &Method::GET, path, "text/plain", "").await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains(words), "{path}");
    }
}

#[tokio::test]
async fn wrong_passwords_and_links_are_refused_in_words() {
    let house = house();
    let form = "application/x-www-form-urlencoded";
    for (body, words) in
        [("name=a&password=b", "Name or password is wrong"), ("link=x%23y", "The link was used")]
    {
        let answer = ask(&house, &Method::POST, "/sign-in", form, body).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(!answer.headers().contains_key(header::SET_COOKIE));
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains(words));
    }
}

#[tokio::test]
async fn a_passkey_that_nobody_asked_for_is_refused() {
    let answer = serde_json::json!({ "ceremony": "none", "answer": {
        "id": "AA", "rawId": "AA", "type": "public-key",
        "response": { "authenticatorData": "AA", "clientDataJSON": "AA", "signature": "AA" },
    }});
    let path = "/passkey/sign-in/finish";
    let said = ask(&house(), &Method::POST, path, "application/json", &answer.to_string()).await;
    assert_eq!(said.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_form_of_somebody_elses_page_signs_nobody_in() {
    let request = Request::post("/sign-in")
        .header(header::HOST, "localhost:8080")
        .header("sec-fetch-site", "cross-site")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from("name=a&password=b"))
        .unwrap();
    let answer = house().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn over_http_2_the_host_is_known_too() {
    let request = Request::get("http://localhost:8080/.well-known/security.txt")
        .version(axum::http::Version::HTTP_2)
        .body(Body::empty())
        .unwrap();
    let answer = house().oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("http://localhost:8080/security"));
}
