//! A plane with a journal in memory, and a device or two.

use std::sync::{Arc, Mutex};

use hedgerow_base::{DeviceId, Fault, Incarnation, TenantId, Timestamp};
use hedgerow_model::{LINUX_HOST, Profile, Value, mapping::Names};
use hedgerow_plane::{
    Admitted, Commits, DeviceAdmission, FirstDenial, LocalBus, Message, Notices, Outcome, Plane,
    Readings, Refusal, Ticket, TokenAdmission, ValidCertificate,
};
use hedgerow_policy::{
    Application, CertificateId, DirectDevice, Overlay, Peer, Scopes, Standing, TopicGrant,
    TopicGrants, Witness,
};
use hedgerow_telemetry::{Batch, DeviceKey, SeriesId, SeriesSpec};

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(crate) const DEVICE: DeviceId = DeviceId::from_bytes([7; 16]);
pub(crate) const OTHER: DeviceId = DeviceId::from_bytes([8; 16]);
pub(crate) const CERTIFICATE: CertificateId = CertificateId([1; 32]);

/// A journal that keeps what it is offered, and is full when told so.
#[derive(Default)]
pub(crate) struct Journal {
    pub(crate) commits: Commits,
    pub(crate) taken: Mutex<Vec<(SeriesId, Value)>>,
    pub(crate) specs: Mutex<Vec<SeriesSpec>>,
    pub(crate) is_full: Mutex<bool>,
}

impl Readings for Journal {
    fn series(&self, _: DeviceKey, specs: &[SeriesSpec]) -> Arc<[SeriesId]> {
        *self.specs.lock().unwrap() = specs.to_vec();
        (0..specs.len() as u64).map(SeriesId).collect()
    }

    fn offer(&self, batch: &Batch) -> Result<Ticket, Refusal> {
        if *self.is_full.lock().unwrap() {
            let reason = "the disk is full; free some space".into();
            return Err(Refusal { fault: Fault::Unavailable, reason, word: "store-full" });
        }
        let mut taken = self.taken.lock().unwrap();
        taken.extend(batch.readings().map(Result::unwrap).map(|r| (r.series, r.value.to_value())));
        Ok(Ticket(taken.len() as u64))
    }

    fn commits(&self) -> &Commits {
        &self.commits
    }
}

/// Notices as words.
#[derive(Default)]
pub(crate) struct Log(pub(crate) Mutex<Vec<String>>);

impl Notices for Log {
    fn connected(&self, _: DeviceKey, client_id: &str, _: Option<CertificateId>, _: Timestamp) {
        self.0.lock().unwrap().push(format!("connected {client_id}"));
    }

    fn disconnected(&self, _: DeviceKey, client_id: &str, why: &'static str, _: Timestamp) {
        self.0.lock().unwrap().push(format!("disconnected {client_id} {why}"));
    }

    fn reported(&self, _: DeviceKey, _: &[u8], _: Timestamp) {}

    fn first_denial(&self, denial: FirstDenial<'_>) {
        let known = if denial.device.is_some() { "known" } else { "unknown" };
        self.0.lock().unwrap().push(format!("{known} {} {}", denial.word, denial.topic));
    }
}

pub(crate) struct House {
    pub(crate) plane: Plane,
    pub(crate) journal: Arc<Journal>,
    pub(crate) bus: Arc<LocalBus>,
    pub(crate) log: Arc<Log>,
}

pub(crate) fn admission(device: DeviceId, standing: Standing) -> DeviceAdmission {
    DeviceAdmission {
        tenant: TenantId::FIRST,
        device,
        incarnation: Incarnation::FIRST,
        standing,
        password: None,
        certificates: vec![ValidCertificate { id: CERTIFICATE, expires: NOW.plus_ms(1000) }],
        profile_name: "linux-host".into(),
        profile: Arc::new(Profile::parse(LINUX_HOST.as_bytes()).unwrap()),
        overlay: Arc::new(Overlay::default()),
        names: Names::default(),
        carrier: None,
    }
}

pub(crate) fn peer_as(tenant: TenantId, device: DeviceId, certificate: CertificateId) -> Peer {
    Witness::of_a_proof().device(DirectDevice { tenant, device, certificate })
}

pub(crate) fn peer() -> Peer {
    peer_as(TenantId::FIRST, DEVICE, CERTIFICATE)
}

pub(crate) fn own(rest: &str) -> String {
    format!("things/{DEVICE}/{rest}")
}

/// A house with one device in full standing.
pub(crate) fn house() -> House {
    let (journal, log) = (Arc::new(Journal::default()), Arc::new(Log::default()));
    let bus = Arc::new(LocalBus::default());
    let plane = Plane::new(
        Arc::clone(&journal) as Arc<dyn Readings>,
        Arc::clone(&bus) as Arc<dyn hedgerow_plane::Bus>,
        Arc::clone(&log) as Arc<dyn Notices>,
    );
    plane.directory().apply(admission(DEVICE, Standing::Full));
    House { plane, journal, bus, log }
}

impl House {
    /// A session of a program whose token, number 1, has this.
    pub(crate) fn program(&self, tenant: TenantId, scopes: Scopes, grants: &[&str]) -> Admitted {
        let grants: Vec<_> = grants.iter().map(|text| TopicGrant::parse(text).unwrap()).collect();
        let grants = Arc::new(TopicGrants::compile(&grants).unwrap());
        let (token, hash, expires) = (1, [1; 32], Some(NOW.plus_ms(1000)));
        let admission =
            TokenAdmission { tenant, token, hash, certificate: None, scopes, grants, expires };
        self.plane.directory().apply_tokens([admission]);
        let peer = Witness::of_a_proof().application(Application { tenant, token, scopes });
        self.plane.admit(peer, NOW).unwrap()
    }

    pub(crate) fn session(&self) -> Admitted {
        self.plane.admit(peer(), NOW).unwrap()
    }

    pub(crate) fn publish(&self, session: &Admitted, topic: &str, payload: &str) -> Outcome {
        let payload = payload.as_bytes();
        let message = Message { topic, payload, needs_ack: true, retain: false };
        let published = self.plane.publish(session, message, NOW);
        let is_refused = matches!(published.outcome, Outcome::Refused(_));
        assert_eq!(published.route, !is_refused, "what is refused is not routed, all else is");
        published.outcome
    }

    /// The word of the refusal of a publish.
    pub(crate) fn refused(&self, session: &Admitted, topic: &str, payload: &str) -> &'static str {
        match self.publish(session, topic, payload) {
            Outcome::Refused(refusal) => refusal.word,
            other => panic!("{topic} {payload} passed: {other:?}"),
        }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.0.lock().unwrap().clone()
    }
}
