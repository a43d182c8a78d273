use std::{
    io::{ErrorKind, Read, Write},
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use hedgerow_base::Timestamp;
use hedgerow_device_linux::{Enrolment, KeyChoice, State, enrol};
use hedgerow_keys::{EcKey, KeyFile, SealingKey, Tpm, TpmKeyFile};
use hedgerow_listen::{
    HandshakeKey, Identity,
    client::{self, Stream, Trust},
};
use hedgerow_mqtt::{
    Client, ClientEvent, Connect, PacketId, PropertyId, Publish, QoS, Split, SubscriptionOptions,
    Version, split,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{RunningHub, Swtpm, connect_311};

/// Packets that may be unacknowledged.
const WINDOW: usize = 64;

/// What the hub said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A message was acknowledged with this reason.
    Acknowledged(PacketId, u8),
    /// A message: topic and payload.
    Message(String, Vec<u8>),
    /// One reason a filter.
    Subscribed(Vec<u8>),
    /// The hub said goodbye: reason and words.
    Goodbye(u8, String),
    /// The connection ended without a word.
    Gone,
    /// Nothing in time.
    Silence,
}

/// A device that a test holds by the hand.
pub struct TestDevice {
    folder: Arc<TempDir>,
    id: String,
    enrolment: Arc<Enrolment>,
    stream: Option<Stream>,
    client: Client<WINDOW>,
    inbox: Vec<u8>,
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap())
}

impl TestDevice {
    /// Makes a key, claims and enrols.
    #[must_use]
    pub fn enrolled(hub: &RunningHub, name: &str) -> Self {
        Self::enrolled_as(hub, name, "linux-host")
    }

    /// The same, held to another profile.
    #[must_use]
    pub fn enrolled_as(hub: &RunningHub, name: &str, profile: &str) -> Self {
        Self::enrolled_with(hub, &json!({"name": name, "profile": profile}))
    }

    /// The same with a claim of the test's own.
    #[must_use]
    pub fn enrolled_with(hub: &RunningHub, claim: &Value) -> Self {
        Self::enrolled_keeping(hub, claim, &KeyChoice::File)
    }

    /// The same with a key in this TPM.
    #[must_use]
    pub fn enrolled_in_tpm(hub: &RunningHub, name: &str, tpm: &Swtpm) -> Self {
        let claim = json!({"name": name, "profile": "linux-host"});
        Self::enrolled_keeping(hub, &claim, &KeyChoice::Tpm(tpm.address().parse().unwrap()))
    }

    fn enrolled_keeping(hub: &RunningHub, claim: &Value, key: &KeyChoice) -> Self {
        let made = hub.post("/api/v1/claims", claim);
        let folder = tempfile::tempdir().unwrap();
        let seal = folder.path().join("elsewhere/seal");
        let sealing = || SealingKey::from_file(&seal);
        let state = State::open_with(folder.path(), key, sealing).unwrap();
        let url = format!("https://localhost:{}", hub.devices_port()).parse().unwrap();
        let code = made["code"].as_str().unwrap().parse().unwrap();
        let enrolment = Arc::new(enrol(&state, &url, &code).unwrap());
        let id = state.id().to_string();
        let (client, folder) = (Client::new(), Arc::new(folder));
        Self { folder, id, enrolment, stream: None, client, inbox: Vec::new() }
    }

    /// Gets a first certificate once more, with a new claim code and the key that it has.
    pub fn enrol_again(&mut self, hub: &RunningHub) {
        self.vanish();
        std::fs::remove_file(self.folder.path().join("certificate.der")).unwrap();
        let made = hub.post("/api/v1/claims", &json!({"name": "again"}));
        let sealing = SealingKey::from_file(&self.folder.path().join("elsewhere/seal")).unwrap();
        let state = State::open(self.folder.path(), &sealing).unwrap();
        let url = format!("https://localhost:{}", hub.devices_port()).parse().unwrap();
        let code = made["code"].as_str().unwrap().parse().unwrap();
        self.enrolment = Arc::new(enrol(&state, &url, &code).unwrap());
        assert_eq!(state.id().to_string(), self.id);
    }

    /// The same device once more, for a second connection: same key, same certificate.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            folder: Arc::clone(&self.folder),
            id: self.id.clone(),
            enrolment: Arc::clone(&self.enrolment),
            stream: None,
            client: Client::new(),
            inbox: Vec::new(),
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its certificate, in DER.
    #[must_use]
    pub fn certificate(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("certificate.der")).unwrap()
    }

    /// A topic of its own.
    #[must_use]
    pub fn topic(&self, rest: &str) -> String {
        format!("things/{}/{rest}", self.id)
    }

    fn key(&self) -> Result<EcKey, String> {
        let folder = self.folder.path();
        if let Some(at) = TpmKeyFile::new(folder, "device").address().unwrap() {
            let key = EcKey::in_tpm(&Arc::new(Tpm::at(at)), folder, "device");
            return key.map_err(|error| error.to_string());
        }
        let sealing = SealingKey::from_file(&folder.join("elsewhere/seal")).unwrap();
        Ok(EcKey::open_or_make(&KeyFile::new(folder, "device"), &sealing).unwrap())
    }

    /// Where it keeps what it has.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Connects over mutual TLS and says CONNECT; the reason of CONNACK, and its words.
    ///
    /// # Errors
    /// When TLS fails.
    pub fn connect(&mut self, client_id: &str, clean_start: bool) -> Result<(u8, String), String> {
        self.connect_as(&Connect { version: Version::V5, ..connect_311(client_id, clean_start) })
    }

    /// As [`TestDevice::connect`], with a CONNECT of the test's own.
    ///
    /// # Errors
    /// When TLS fails.
    pub fn connect_as(&mut self, connect: &Connect<'_>) -> Result<(u8, String), String> {
        let key = Arc::new(self.key()?);
        let leaf = std::fs::read(self.folder.path().join("certificate.der")).unwrap();
        let spki = key.spki().to_vec();
        let sign = move |m: &[u8]| key.sign(m).map_err(|error| error.to_string());
        let identity = Identity { chain: vec![leaf], key: HandshakeKey::new(spki, sign) };
        let trust = Trust::Root(self.enrolment.root.clone());
        let config = client::config(trust, Some(&identity)).map_err(|error| error.to_string())?;
        let port = self.enrolment.mqtts_port;
        let stream =
            client::connect("localhost", port, &config).map_err(|error| error.to_string())?;
        self.stream = Some(stream);
        self.inbox.clear();
        let mut out = Vec::new();
        self.client.connect(connect, now(), &mut out).unwrap();
        self.send(&out).map_err(|error| error.to_string())?;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if let Split::Whole(frame, rest) = split(&self.inbox, 1 << 20).unwrap() {
                let taken = self.inbox.len() - rest.len();
                let outcome = match self.client.receive(frame).unwrap() {
                    ClientEvent::Connected(answer) | ClientEvent::Refused(answer) => {
                        let words = answer.properties.text(PropertyId::REASON_STRING);
                        (answer.reason.0, words.unwrap_or_default().to_owned())
                    }
                    other => panic!("not a connack: {other:?}"),
                };
                self.inbox.drain(..taken);
                return Ok(outcome);
            }
            if !self.fill(Duration::from_millis(200)) {
                return Err("closed before CONNACK".into());
            }
        }
        Err("no CONNACK".into())
    }

    /// Publishes at QoS 1; `None` when the connection is gone.
    pub fn publish(&mut self, topic: &str, payload: &[u8]) -> Option<PacketId> {
        let mut out = Vec::new();
        let message = Publish { qos: QoS::AtLeastOnce, ..Publish::at_most_once(topic, payload) };
        let id = self.client.publish(&message, now(), &mut out).ok()??;
        self.send(&out).ok().map(|()| id)
    }

    /// Messages that may be published now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.client.room()
    }

    /// Subscribes at QoS 1.
    pub fn subscribe(&mut self, filter: &str) {
        let mut out = Vec::new();
        let options = SubscriptionOptions::of(QoS::AtLeastOnce);
        self.client.subscribe(&[(filter, options)], now(), &mut out).unwrap();
        self.send(&out).unwrap();
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let stream = self.stream.as_mut().ok_or(ErrorKind::NotConnected)?;
        stream.write_all(bytes)?;
        stream.flush()
    }

    /// The next thing that the hub says, within `patience`.
    pub fn hear(&mut self, patience: Duration) -> Answer {
        let begun = Instant::now();
        loop {
            if let Split::Whole(frame, rest) = split(&self.inbox, 1 << 20).unwrap() {
                let taken = self.inbox.len() - rest.len();
                let (answer, acknowledge) = match self.client.receive(frame).unwrap() {
                    ClientEvent::Acknowledged(ack) => {
                        (Some(Answer::Acknowledged(ack.id, ack.reason.0)), None)
                    }
                    ClientEvent::Message(message) => {
                        let answer = Answer::Message(message.topic.into(), message.payload.into());
                        (Some(answer), message.id)
                    }
                    ClientEvent::Subscribed(_, codes) => {
                        (Some(Answer::Subscribed(codes.into())), None)
                    }
                    ClientEvent::Disconnected(end) => {
                        let words = end.properties.text(PropertyId::REASON_STRING);
                        let words = words.unwrap_or_default().to_owned();
                        (Some(Answer::Goodbye(end.reason.0, words)), None)
                    }
                    ClientEvent::Nothing
                    | ClientEvent::Connected(_)
                    | ClientEvent::Refused(_)
                    | ClientEvent::Unsubscribed(_) => (None, None),
                };
                self.inbox.drain(..taken);
                if let Some(id) = acknowledge {
                    let mut out = Vec::new();
                    self.client.acknowledge(id, now(), &mut out).unwrap();
                    let _ = self.send(&out);
                }
                match answer {
                    Some(answer) => return answer,
                    None => continue,
                }
            }
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Answer::Silence;
            }
            if !self.fill(left) {
                return Answer::Gone;
            }
        }
    }

    /// Drops the connection without a word.
    pub fn vanish(&mut self) {
        self.stream = None;
        self.client.broken();
    }

    /// Reads once; false when the connection ended.
    fn fill(&mut self, patience: Duration) -> bool {
        let Some(stream) = self.stream.as_mut() else { return false };
        let patience = patience.max(Duration::from_millis(1));
        stream.sock.set_read_timeout(Some(patience)).unwrap();
        let mut piece = [0; 16 * 1024];
        match stream.read(&mut piece) {
            Ok(0) => false,
            Ok(len) => {
                self.inbox.extend_from_slice(&piece[..len]);
                true
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}
