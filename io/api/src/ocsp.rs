//! How it stands with single certificates, for whoever asks (RFC 6960, RFC 5019).
//!
//! A word on one certificate without a nonce is signed once and given out until half of its life is over or
//! something is revoked. What has to be signed for one asker alone (with a nonce, about several certificates, about a
//! serial number that nobody has) is signed so often for each source and no more; beyond it the answer is tryLater.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Extension,
    body::Bytes,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use hedgerow_base::Timestamp;
use hedgerow_control::{Control, Failure, Responder};
use hedgerow_identity::limits::OCSP_LIFE_MS;
use hedgerow_listen::{SourceLimits, Sources, server::now};
use hedgerow_onboarding::ocsp::{RESPONSE_TYPE, Refusal, Request};

use crate::{
    Caller,
    devices::Devices,
    limits::{OCSP_KEEP_MS, OCSP_SIGNATURES, OCSP_WORDS_KEPT_MAX},
};

/// What is given out more than once.
#[derive(Default)]
struct Kept {
    /// How often something was revoked: a word that was begun before is not kept.
    revocations: u64,
    /// The CAs that answer; they change with a revocation or a rotation.
    responders: Option<Arc<Vec<Responder>>>,
    /// When a word was signed, and the word, by the CertID that was asked about.
    words: BTreeMap<Vec<u8>, (Timestamp, Vec<u8>)>,
}

impl Kept {
    /// Keeps a word that was begun after so many revocations.
    fn keep(&mut self, before: u64, id: &[u8], (at, word): (Timestamp, &[u8])) {
        if self.revocations != before {
            return;
        }
        if self.words.len() >= OCSP_WORDS_KEPT_MAX {
            self.words.clear();
        }
        self.words.insert(id.to_vec(), (at, word.to_vec()));
    }
}

/// Words on single certificates, signed as seldom as can be.
pub(crate) struct Words {
    kept: Mutex<Kept>,
    signatures: Arc<Sources>,
}

impl Default for Words {
    fn default() -> Self {
        let limits = SourceLimits { connections_max: u32::MAX, connects: OCSP_SIGNATURES };
        Self { kept: Mutex::default(), signatures: Sources::new(limits) }
    }
}

/// A response, and until when it may be kept on the way.
enum Said {
    Signed(Vec<u8>, Option<Timestamp>),
    Refused(Refusal),
}

impl Words {
    /// Something was revoked, or another CA signs.
    pub(crate) fn forget(&self) {
        let mut kept = self.kept();
        kept.revocations += 1;
        kept.responders = None;
        kept.words.clear();
    }

    async fn answer(
        &self,
        control: &Control,
        request: &[u8],
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Said, Failure> {
        let Ok(request) = Request::parse(request) else {
            return Ok(Said::Refused(Refusal::Malformed));
        };
        let alone = match (request.certificates(), request.nonce()) {
            ([one], None) => Some(one.der()),
            (_, Some(_) | None) => None,
        };
        if let Some((at, word)) = alone.and_then(|id| self.kept().words.get(id).cloned())
            && (0..OCSP_KEEP_MS).contains(&now.since_ms(at))
        {
            return Ok(Said::Signed(word, Some(at.plus_ms(OCSP_KEEP_MS))));
        }
        let before = self.kept().revocations;
        let responders = self.responders(control, before).await?;
        let mut asked = request.certificates().iter();
        let ours = asked.find_map(|one| responders.iter().find(|ca| ca.issued(one)));
        let Some(responder) = ours else { return Ok(Said::Refused(Refusal::NotOurs)) };
        if self.signatures.enter(from, now).is_err() {
            return Ok(Said::Refused(Refusal::TryLater));
        }
        let word = control.certificate_status(responder, &request, now).await?;
        let Some(id) = alone.filter(|_| word.is_known) else {
            return Ok(Said::Signed(word.der, None));
        };
        self.kept().keep(before, id, (now, &word.der));
        Ok(Said::Signed(word.der, Some(now.plus_ms(OCSP_KEEP_MS))))
    }

    async fn responders(
        &self,
        control: &Control,
        before: u64,
    ) -> Result<Arc<Vec<Responder>>, Failure> {
        if let Some(responders) = self.kept().responders.clone() {
            return Ok(responders);
        }
        let responders = Arc::new(control.responders().await?);
        let mut kept = self.kept();
        if kept.revocations == before {
            kept.responders = Some(Arc::clone(&responders));
        }
        Ok(responders)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in the body.
pub(crate) async fn post(
    State(devices): State<Arc<Devices>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Response {
    said(&devices, &caller, &body, now()).await
}

/// A request in base64 in the address; its slashes may stand there as they are.
pub(crate) async fn get(
    State(devices): State<Arc<Devices>>,
    Extension(caller): Extension<Caller>,
    Path(request): Path<String>,
) -> Response {
    let request = STANDARD.decode(request).unwrap_or_default();
    said(&devices, &caller, &request, now()).await
}

async fn said(devices: &Devices, caller: &Caller, request: &[u8], now: Timestamp) -> Response {
    let words = &devices.revocation.words;
    let said = words.answer(&devices.control, request, caller.from.ip(), now).await;
    let said = said.unwrap_or_else(|failure| {
        tracing::warn!(%failure, "nothing could be said about a certificate");
        Said::Refused(Refusal::Broken)
    });
    let (der, cache) = match said {
        Said::Signed(der, Some(until)) => {
            let seconds = until.since_ms(now) / 1000;
            (der, format!("max-age={seconds}, public, no-transform, must-revalidate"))
        }
        Said::Signed(der, None) => (der, "no-store".into()),
        Said::Refused(refusal) => (refusal.response(), "no-store".into()),
    };
    ([(header::CONTENT_TYPE, RESPONSE_TYPE), (header::CACHE_CONTROL, &cache)], der).into_response()
}

const _: () = assert!(OCSP_KEEP_MS * 2 <= OCSP_LIFE_MS, "nobody is given a word about to end");

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_word_that_was_begun_before_a_revocation_is_not_kept() {
        let words = Words::default();
        words.kept().keep(0, b"id", (NOW, b"word"));
        assert_eq!(words.kept().words.len(), 1);
        words.forget();
        assert!(words.kept().words.is_empty());
        words.kept().keep(0, b"id", (NOW, b"good"));
        assert!(words.kept().words.is_empty(), "it may say good of what is revoked");
        words.kept().keep(1, b"id", (NOW, b"revoked"));
        assert_eq!(words.kept().words.len(), 1);
    }

    #[test]
    fn so_many_words_are_kept_and_at_one_more_they_begin_anew() {
        let words = Words::default();
        for number in 0..OCSP_WORDS_KEPT_MAX {
            words.kept().keep(0, &number.to_be_bytes(), (NOW, b""));
        }
        assert_eq!(words.kept().words.len(), OCSP_WORDS_KEPT_MAX);
        words.kept().keep(0, b"one more", (NOW, b""));
        assert_eq!(words.kept().words.len(), 1);
    }

    #[test]
    fn so_many_words_are_signed_for_one_source_and_not_one_more() {
        let words = Words::default();
        let sign = |last: u8, now| words.signatures.enter([192, 0, 2, last].into(), now).is_ok();
        assert!((0..OCSP_SIGNATURES.burst).all(|_| sign(1, NOW)));
        assert!(!sign(1, NOW) && sign(2, NOW));
        let next = 1000 / i64::from(OCSP_SIGNATURES.per_second);
        assert!(sign(1, NOW.plus_ms(next)) && !sign(1, NOW.plus_ms(next)));
    }
}
