//! Denials are counted; the first of a kind for each device and program is handed on for the audit log, so that
//! nobody can fill the disk with refusals.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    FirstDenial, Identity, Notices,
    commits::lock,
    directory::Entry,
    limits::{NOTICE_TOPIC_BYTES_MAX, STRANGERS_MAX},
    tokens::Program,
};

/// Every kind of denial, each with its own counter.
const WORDS: [&str; 28] = [
    "not-yours",
    "undeclared",
    "withheld",
    "standing",
    "weak",
    "password",
    "wrong-type",
    "not-finite",
    "out-of-range",
    "wrong-unit",
    "too-far-ahead",
    "too-old",
    "unborn",
    "input",
    "unreadable",
    "too-large",
    "unknown-device",
    "certificate",
    "cut",
    "person",
    "scope",
    "filter",
    "grant",
    "token",
    "outside",
    "system",
    "store-full",
    "other",
];

/// Who was denied something, as far as the directory knows it: the first of each kind is remembered there.
#[derive(Clone, Copy)]
pub(crate) enum Known<'a> {
    Device(&'a Entry),
    Program(&'a Program),
    Nobody,
}

impl<'a> From<Option<&'a Entry>> for Known<'a> {
    fn from(entry: Option<&'a Entry>) -> Self {
        entry.map_or(Self::Nobody, Self::Device)
    }
}

pub(crate) struct Denials {
    counts: [AtomicU64; WORDS.len()],
    strangers: Mutex<HashSet<Identity>>,
    pub(crate) notices: Arc<dyn Notices>,
}

impl Denials {
    pub(crate) fn new(notices: Arc<dyn Notices>) -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        Self { counts, strangers: Mutex::default(), notices }
    }

    /// Every kind that occurred since the start, with its count.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let loaded = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        WORDS.into_iter().zip(loaded).filter(|(_, count)| *count > 0)
    }

    pub(crate) fn note(
        &self,
        identity: Identity,
        known: Known<'_>,
        word: &'static str,
        topic: &str,
    ) {
        self.note_many(identity, known, word, 1, topic);
    }

    pub(crate) fn note_many(
        &self,
        identity: Identity,
        known: Known<'_>,
        word: &'static str,
        count: u32,
        topic: &str,
    ) {
        let kind = WORDS.iter().position(|known| *known == word).unwrap_or(WORDS.len() - 1);
        if let Some(counter) = self.counts.get(kind) {
            counter.fetch_add(u64::from(count), Ordering::Relaxed);
        }
        let bit = 1u64 << kind;
        let is_news = |noticed: &AtomicU64| noticed.fetch_or(bit, Ordering::Relaxed) & bit == 0;
        let (is_first, device) = match known {
            Known::Device(entry) => (is_news(&entry.vitals.denied), Some(entry.admission.key())),
            Known::Program(program) => (is_news(&program.denied), None),
            Known::Nobody => (self.is_new_stranger(identity), None),
        };
        if is_first {
            let topic = cut(topic);
            self.notices.first_denial(FirstDenial { device, identity, word, topic });
        }
    }

    fn is_new_stranger(&self, identity: Identity) -> bool {
        let mut strangers = lock(&self.strangers);
        strangers.len() < STRANGERS_MAX && strangers.insert(identity)
    }
}

/// The beginning of a topic, at a border of characters.
fn cut(topic: &str) -> &str {
    topic.get(..topic.floor_char_boundary(NOTICE_TOPIC_BYTES_MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use hedgerow_base::{DeviceId, TenantId, Timestamp};

    use super::*;

    #[derive(Default)]
    struct Seen(Mutex<Vec<(Identity, &'static str, usize)>>);

    impl Notices for Seen {
        fn connected(
            &self,
            _: hedgerow_telemetry::DeviceKey,
            _: &str,
            _: Option<hedgerow_policy::CertificateId>,
            _: Timestamp,
        ) {
        }
        fn disconnected(
            &self,
            _: hedgerow_telemetry::DeviceKey,
            _: &str,
            _: &'static str,
            _: Timestamp,
        ) {
        }
        fn reported(&self, _: hedgerow_base::DeviceKey, _: &[u8], _: Timestamp) {}
        fn first_denial(&self, denial: FirstDenial<'_>) {
            lock(&self.0).push((denial.identity, denial.word, denial.topic.len()));
        }
    }

    #[test]
    fn strangers_are_noticed_once_and_up_to_a_limit() {
        let seen = Arc::new(Seen::default());
        let denials = Denials::new(Arc::clone(&seen) as Arc<dyn Notices>);
        for number in 0..=STRANGERS_MAX as u128 {
            let device = DeviceId::from_bytes(number.to_be_bytes());
            let identity = Identity::Device(TenantId::FIRST, device);
            denials.note(identity, Known::Nobody, "unknown-device", "");
            denials.note(identity, Known::Nobody, "unknown-device", "");
        }
        assert_eq!(lock(&seen.0).len(), STRANGERS_MAX);
        let counted: Vec<_> = denials.counts().collect();
        assert_eq!(counted, [("unknown-device", 2 * (STRANGERS_MAX as u64 + 1))]);
    }

    #[test]
    fn a_long_topic_is_cut_at_a_character() {
        assert_eq!(cut(&"a".repeat(NOTICE_TOPIC_BYTES_MAX)).len(), NOTICE_TOPIC_BYTES_MAX);
        assert_eq!(cut(&"ä".repeat(NOTICE_TOPIC_BYTES_MAX)).len(), NOTICE_TOPIC_BYTES_MAX);
        assert_eq!(cut(&format!("a{}", "ä".repeat(200))).len(), NOTICE_TOPIC_BYTES_MAX - 1);
    }

    #[test]
    fn every_kind_has_a_bit_and_a_word_of_its_own() {
        assert!(WORDS.len() <= 64);
        let mut words = WORDS;
        words.sort_unstable();
        assert!(words.windows(2).all(|pair| pair[0] != pair[1]));
        for reason in hedgerow_telemetry::Reason::ALL {
            assert!(WORDS.contains(&reason.word()), "{reason:?}");
        }
    }
}
