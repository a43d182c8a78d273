//! The agent's life after enrolment.
//!
//! 1. Connect with the newest certificate; one that was just issued is proven by this connection before
//!    the old one is dropped.
//! 2. Say what runs here (`reported`), then send what waited while offline, in order.
//! 3. Sample, publish, answer actions; renew at two thirds of the certificate's life; check the hub's log.
//! 4. A certificate that expired while the device was off: the hub is asked for the next one with it.
//! 5. When the connection is lost, keep what was not acknowledged and try again, ever more slowly.

use std::{
    collections::VecDeque,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use hedgerow_base::Timestamp;
use hedgerow_keys::{Storage, SystemRandom};
use hedgerow_listen::client::{self, ConnectError, Trust};
use hedgerow_model::{
    ValueRef,
    senml::{Entry, encode_cbor},
};
use hedgerow_mqtt::PacketId;
use hedgerow_onboarding::renewal;
use rustls::ClientConfig;

use crate::{
    AgentError, Enrolment, State,
    backoff::Backoff,
    checkpoint, enrol,
    limits::{
        CHECKPOINT_EVERY_MS, OUTBOX_BYTES_DEFAULT, RENEWAL_RETRY_MS, SAMPLE_MS_MIN, STEADY_MS,
    },
    metrics::{Metrics, Sample},
    now,
    outbox::Outbox,
    sandbox,
    session::{Answer, News, Session},
    state::{Which, validity},
};

/// How the agent runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Time between two samples.
    pub sample_ms: i64,
    /// Bytes of readings kept while offline.
    pub outbox_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { sample_ms: 5_000, outbox_bytes_max: OUTBOX_BYTES_DEFAULT }
    }
}

/// An enrolled device that runs.
pub struct Agent {
    state: State,
    enrolment: Enrolment,
    options: Options,
    outbox: Outbox,
    metrics: Metrics,
    backoff: Backoff,
    say: fn(&str),
    next_sample: Timestamp,
    next_renewal: Timestamp,
    next_checkpoint: Timestamp,
}

/// A pack that was published and is not acknowledged.
type Flying = VecDeque<(PacketId, Vec<u8>)>;

impl Agent {
    /// The agent of an enrolled device; `say` takes a line for the log.
    ///
    /// # Errors
    /// [`AgentError::NotEnrolled`], or its files can't be used.
    pub fn new(state: State, options: Options, say: fn(&str)) -> Result<Self, AgentError> {
        let enrolment = state.enrolment()?.ok_or(AgentError::NotEnrolled)?;
        let outbox = Outbox::open(&state.directory().join("outbox"), options.outbox_bytes_max)?;
        let options = Options { sample_ms: options.sample_ms.max(SAMPLE_MS_MIN), ..options };
        let begin = Timestamp::from_ms(0);
        Ok(Self {
            state,
            enrolment,
            options,
            outbox,
            metrics: Metrics::default(),
            backoff: Backoff::default(),
            say,
            next_sample: begin,
            next_renewal: begin,
            next_checkpoint: begin,
        })
    }

    /// Fences this process in, for good: it has what the agent needs, and no more. Gives what holds, in
    /// words.
    ///
    /// # Errors
    /// When the kernel takes no fence.
    pub fn confine(&self) -> Result<String, AgentError> {
        sandbox::confine(self.state.directory(), self.state.key_place().device_file())
    }

    /// Runs until `stop` is set.
    ///
    /// # Errors
    /// Only what trying again can't mend: files that can't be used.
    pub fn run(&mut self, stop: &AtomicBool) -> Result<(), AgentError> {
        while !stop.load(Ordering::Relaxed) {
            let lost = match self.connected(stop) {
                Ok(()) => return Ok(()),
                Err(error @ (AgentError::File(..) | AgentError::Key(_))) => return Err(error),
                Err(error) => error,
            };
            let chance = u32::from_be_bytes(SystemRandom.bytes()?);
            let wait = self.backoff.next_ms(chance);
            (self.say)(&format!("{lost}; trying again in {} s", (wait + 999) / 1000));
            self.offline(now().plus_ms(wait), stop)?;
        }
        Ok(())
    }

    /// Keeps sampling into the outbox until it is time to try again.
    fn offline(&mut self, until: Timestamp, stop: &AtomicBool) -> Result<(), AgentError> {
        while now() < until && !stop.load(Ordering::Relaxed) {
            if let Some(pack) = self.due_pack() {
                self.outbox.push(&pack)?;
            }
            thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn connected(&mut self, stop: &AtomicBool) -> Result<(), AgentError> {
        let (config, mut session) = self.open()?;
        let opened = now();
        (self.say)(&format!("connected to {}", self.enrolment.hub));
        let thing = format!("things/{}", self.state.id());
        session.publish(
            &format!("{thing}/reported"),
            reported(self.state.key_place().storage()).as_bytes(),
        )?;
        let mut flying = Flying::new();
        let ended = self.serve(&mut session, &config, &thing, &mut flying, stop);
        if ended.is_ok() {
            session.close();
        }
        for (_, pack) in flying {
            self.outbox.push(&pack)?;
        }
        // One that ends as soon as it begins (somebody else has this identity, say) is no success.
        if now().since_ms(opened) >= STEADY_MS {
            self.backoff.reset();
        }
        ended
    }

    fn serve(
        &mut self,
        session: &mut Session,
        config: &Arc<ClientConfig>,
        thing: &str,
        flying: &mut Flying,
        stop: &AtomicBool,
    ) -> Result<(), AgentError> {
        let telemetry = format!("{thing}/telemetry");
        while !stop.load(Ordering::Relaxed) {
            if let Some(pack) = self.due_pack() {
                self.outbox_or(session, flying, &telemetry, pack)?;
            }
            while session.room() > 1 {
                let Some(pack) = self.outbox.front()? else { break };
                let id = session.publish(&telemetry, &pack)?;
                flying.push_back((id, pack));
                self.outbox.pop()?;
            }
            for news in session.wait(self.next_sample)? {
                self.take(session, thing, flying, news)?;
            }
            if now() >= self.next_renewal && self.renew(config)? {
                // The next connection proves the new certificate.
                return Err(AgentError::Lost("a new certificate is there".into()));
            }
            if now() >= self.next_checkpoint {
                self.next_checkpoint = now().plus_ms(CHECKPOINT_EVERY_MS);
                match checkpoint::check(&self.state, &self.enrolment.hub, config) {
                    Ok(size) => {
                        (self.say)(&format!("the hub's log has {size} records and only grew"))
                    }
                    Err(error) => (self.say)(&format!("WARNING: {error}")),
                }
            }
        }
        Ok(())
    }

    /// Publishes at once when nothing waits before it, else it waits its turn.
    fn outbox_or(
        &mut self,
        session: &mut Session,
        flying: &mut Flying,
        topic: &str,
        pack: Vec<u8>,
    ) -> Result<(), AgentError> {
        if self.outbox.len() > 0 || session.room() < 2 {
            return self.outbox.push(&pack);
        }
        let id = session.publish(topic, &pack)?;
        flying.push_back((id, pack));
        Ok(())
    }

    fn take(
        &mut self,
        session: &mut Session,
        thing: &str,
        flying: &mut Flying,
        news: News,
    ) -> Result<(), AgentError> {
        match news {
            News::Acknowledged(id, answer) => {
                let at = flying.iter().position(|(waiting, _)| *waiting == id);
                let pack = at.and_then(|at| flying.remove(at)).map(|(_, pack)| pack);
                match (answer, pack) {
                    (Answer::Stored, _) => {}
                    (Answer::Refused(words), _) => {
                        (self.say)(&format!("the hub refused a message: {words}"));
                    }
                    (Answer::Later(words), pack) => {
                        if let Some(pack) = pack {
                            self.outbox.push(&pack)?;
                        }
                        // Sent again at once it would only be refused again.
                        return Err(AgentError::Lost(format!("the hub can't store now: {words}")));
                    }
                }
            }
            News::Message(topic, _) if topic == format!("{thing}/actions/identify") => {
                (self.say)(&format!("IDENTIFY: this is device {}", self.state.id()));
                if session.room() > 1 {
                    session.publish(&format!("{thing}/actions/identify/result"), b"true")?;
                }
            }
            News::Message(topic, _) => (self.say)(&format!("nothing to do for {topic}")),
        }
        Ok(())
    }

    /// Connects with the next certificate if there is one, else, or if that fails, with the current.
    fn open(&mut self) -> Result<(Arc<ClientConfig>, Session), AgentError> {
        let thing = format!("things/{}", self.state.id());
        let filters = [format!("{thing}/actions/+"), format!("{thing}/desired")];
        if let Some(config) = self.config(Which::Next)? {
            match Session::open(&self.enrolment, &config, &filters) {
                Ok(session) => {
                    self.next_is_proven()?;
                    return Ok((config, session));
                }
                // Nobody answered, or nobody signed: that says nothing about the certificate.
                Err(AgentError::Connect(
                    error @ (ConnectError::Network(..) | ConnectError::Key(_)),
                )) => {
                    return Err(AgentError::Connect(error));
                }
                Err(error) if self.may_have_expired(Which::Next, &error) => {
                    return self.rescue(&config, &filters);
                }
                Err(error) => {
                    (self.say)(&format!(
                        "the new certificate does not work ({error}); kept the old"
                    ));
                    self.state.drop_next();
                    self.next_renewal = now().plus_ms(RENEWAL_RETRY_MS);
                }
            }
        }
        let config = self.config(Which::Current)?.ok_or(AgentError::NotEnrolled)?;
        let session = match Session::open(&self.enrolment, &config, &filters) {
            Ok(session) => session,
            Err(error) if self.may_have_expired(Which::Current, &error) => {
                return self.rescue(&config, &filters);
            }
            Err(error) => return Err(error),
        };
        if self.next_renewal == Timestamp::from_ms(0) {
            self.plan_renewal()?;
        }
        Ok((config, session))
    }

    /// Whether a certificate may have expired: the hub says so, or the connection ended without a word that
    /// reached us and our own clock says so.
    fn may_have_expired(&self, which: Which, error: &AgentError) -> bool {
        match error {
            AgentError::Expired => true,
            AgentError::Lost(_) => {
                let certificate = self.state.certificate(which).ok().flatten();
                certificate.and_then(|der| validity(&der)).is_some_and(|(_, to)| now() > to)
            }
            AgentError::Address(_)
            | AgentError::File(..)
            | AgentError::Key(_)
            | AgentError::KeyElsewhere(_)
            | AgentError::TwoKeys(_)
            | AgentError::KeyMissing(_)
            | AgentError::Connect(_)
            | AgentError::Refused(..)
            | AgentError::Answer(_)
            | AgentError::NotEnrolled
            | AgentError::AlreadyEnrolled(_)
            | AgentError::NotRescued(_)
            | AgentError::Distrusted
            | AgentError::HistoryChanged(_)
            | AgentError::Sandbox(_) => false,
        }
    }

    /// Asks for the next certificate with the expired one of `expired`, and connects with it. The expired one
    /// stays until the next has worked.
    fn rescue(
        &mut self,
        expired: &Arc<ClientConfig>,
        filters: &[String],
    ) -> Result<(Arc<ClientConfig>, Session), AgentError> {
        (self.say)(
            "this device's certificate has expired; asking the hub for the next one with it",
        );
        let asked = enrol::renew(&self.state, &self.enrolment, expired);
        let (leaf, issuing) = asked.map_err(|why| AgentError::NotRescued(Box::new(why)))?;
        self.state.keep_next(&leaf, &issuing)?;
        (self.say)("rescued: the hub gave this device its next certificate");
        let config = self.config(Which::Next)?.ok_or(AgentError::NotEnrolled)?;
        let session = Session::open(&self.enrolment, &config, filters)?;
        self.next_is_proven()?;
        Ok((config, session))
    }

    /// A connection was opened with the next certificate: it takes the place of the current one.
    fn next_is_proven(&mut self) -> Result<(), AgentError> {
        self.state.promote_next()?;
        (self.say)("the new certificate works; the old one is dropped");
        self.plan_renewal()?;
        // Should our clock run ahead of the hub's, the new one may seem due already.
        self.next_renewal = self.next_renewal.max(now().plus_ms(RENEWAL_RETRY_MS));
        Ok(())
    }

    fn config(&self, which: Which) -> Result<Option<Arc<ClientConfig>>, AgentError> {
        let Some(identity) = self.state.identity(&self.enrolment, which)? else { return Ok(None) };
        let trust = Trust::Root(self.enrolment.root.clone());
        Ok(Some(client::config(trust, Some(&identity))?))
    }

    fn plan_renewal(&mut self) -> Result<(), AgentError> {
        let certificate = self.state.certificate(Which::Current)?.unwrap_or_default();
        let due = validity(&certificate).map(|(from, to)| renewal::due(from, to));
        self.next_renewal = due.unwrap_or_else(now);
        Ok(())
    }

    /// Gets the next certificate; says whether there is one.
    fn renew(&mut self, config: &Arc<ClientConfig>) -> Result<bool, AgentError> {
        self.next_renewal = now().plus_ms(RENEWAL_RETRY_MS);
        match enrol::renew(&self.state, &self.enrolment, config) {
            Ok((leaf, issuing)) => {
                self.state.keep_next(&leaf, &issuing)?;
                Ok(true)
            }
            Err(error) => {
                (self.say)(&format!("the certificate could not be renewed: {error}"));
                Ok(false)
            }
        }
    }

    /// The next sample as a pack, when it is time for one.
    fn due_pack(&mut self) -> Option<Vec<u8>> {
        let at = now();
        if at < self.next_sample {
            return None;
        }
        self.next_sample = at.plus_ms(self.options.sample_ms);
        let sample = self.metrics.sample(at);
        let pack = pack(&sample, at);
        (!pack.is_empty()).then_some(pack)
    }

    /// Packs that wait, and packs that were dropped since the start.
    #[must_use]
    pub fn waiting(&self) -> (usize, u64) {
        (self.outbox.len(), self.outbox.dropped())
    }
}

/// A sample as SenML in CBOR (RFC 8428), names and units of the built-in profile.
fn pack(sample: &Sample, at: Timestamp) -> Vec<u8> {
    let number = |value: Option<f64>| value.map(ValueRef::Number);
    let whole =
        |value: Option<u64>| value.and_then(|v| i64::try_from(v).ok()).map(ValueRef::Integer);
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    let used = sample
        .memory_used_bytes
        .zip(sample.memory_total_bytes)
        .filter(|(_, total)| *total > 0)
        .map(|(used, total)| used as f64 * 100.0 / total as f64);
    let values = [
        ("cpuPercent", number(sample.cpu_percent)),
        ("load1", number(sample.load1)),
        ("memoryUsedPercent", number(used)),
        ("memoryUsedBytes", whole(sample.memory_used_bytes)),
        ("memoryTotalBytes", whole(sample.memory_total_bytes)),
        ("diskUsedPercent", number(sample.disk_used_percent)),
        ("networkReceivedBytesPerSecond", number(sample.network_received)),
        ("networkSentBytesPerSecond", number(sample.network_sent)),
        ("temperatureCelsius", number(sample.temperature)),
        ("uptimeSeconds", whole(sample.uptime_seconds)),
    ];
    let entries: Vec<Entry<'_>> = values
        .into_iter()
        .filter_map(|(name, value)| Some(Entry { name, unit: None, time: at, value: value? }))
        .collect();
    let mut out = Vec::new();
    if !entries.is_empty() {
        encode_cbor("", &entries, &mut out);
    }
    out
}

/// What runs here, as the JSON of `reported`.
fn reported(storage: Storage) -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let release = read("/etc/os-release");
    let os = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let clean = |text: &str| {
        let plain = |c: &char| !c.is_control() && *c != '"' && *c != '\\';
        text.chars().filter(plain).take(120).collect::<String>()
    };
    format!(
        "{{\"os\":\"{}\",\"kernel\":\"{}\",\"hostname\":\"{}\",\"agent\":\"{}\",\"keyStorage\":\"{}\"}}",
        clean(os.unwrap_or("Linux")),
        clean(read("/proc/sys/kernel/osrelease").trim()),
        clean(read("/proc/sys/kernel/hostname").trim()),
        env!("CARGO_PKG_VERSION"),
        storage.word(),
    )
}

#[cfg(test)]
mod tests {
    use hedgerow_model::{
        Profile,
        senml::{Measured, Pack},
    };

    use super::*;

    #[test]
    fn everything_in_a_pack_is_declared_in_the_built_in_profile() {
        let profile = Profile::parse(hedgerow_model::LINUX_HOST.as_bytes()).unwrap();
        let sample = Sample {
            cpu_percent: Some(1.0),
            load1: Some(0.5),
            memory_used_bytes: Some(10),
            memory_total_bytes: Some(20),
            disk_used_percent: Some(3.0),
            network_received: Some(1.5),
            network_sent: Some(2.5),
            temperature: Some(40.0),
            uptime_seconds: Some(9),
        };
        let at = Timestamp::from_secs(1_800_000_000);
        let bytes = pack(&sample, at);
        let mut read = Pack::cbor(&bytes, at).unwrap();
        let mut count = 0;
        while let Some(record) = read.next_record().unwrap() {
            let property = profile.property(record.name).expect(record.name);
            let Measured::Value(value) = record.measured else { panic!("a value") };
            assert!(property.fit(value).is_ok(), "{}", record.name);
            assert_eq!(record.time, at);
            count += 1;
        }
        assert_eq!(count, 10);
        assert!(pack(&Sample::default(), at).is_empty());
    }

    #[test]
    fn what_is_reported_is_json_without_surprises() {
        for (storage, word) in [(Storage::SealedFile, "sealed-file"), (Storage::Tpm, "tpm")] {
            let text = reported(storage);
            assert!(text.starts_with('{') && text.ends_with('}'));
            assert_eq!(text.matches('"').count() % 2, 0);
            assert!(text.contains(&format!("\"keyStorage\":\"{word}\"")), "{text}");
        }
    }
}
