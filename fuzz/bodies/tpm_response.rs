//! A TPM's answer to one of our commands: the first byte says which, the rest is the response.

use hedgerow_tpm::{
    Attest, Command, Create, CreatePrimary, FlushContext, GetCurves, GetEcdsa, GetManufacturer,
    GetRandom, Load, PcrRead, Private, Public, Quote, ReadPublic, Sign, answer,
    limits::PRIVATE_BYTES_MAX,
};

/// Commands whose answers are tried.
#[allow(dead_code, reason = "the fuzz target tries them all")]
pub(super) const KINDS: u8 = 13;

pub(super) fn run(bytes: &[u8]) -> bool {
    let Some((which, response)) = bytes.split_first() else { return false };
    match which {
        0 => is_answered::<GetRandom>(response),
        1 => is_answered::<GetManufacturer>(response),
        2 => is_answered::<GetCurves>(response),
        3 => is_answered::<GetEcdsa>(response),
        4 => answer::<CreatePrimary<'_>>(response).is_ok_and(|(_, public)| is_whole(&public)),
        5 => answer::<Create<'_>>(response).is_ok_and(|made| {
            assert!(made.private.bytes().len() <= PRIVATE_BYTES_MAX);
            assert_eq!(Private::from_bytes(made.private.bytes()), Ok(made.private));
            is_whole(&made.public)
        }),
        6 => is_answered::<Load<'_>>(response),
        7 => answer::<ReadPublic>(response).is_ok_and(|public| is_whole(&public)),
        8 => is_answered::<Sign<'_>>(response),
        9 => is_answered::<FlushContext>(response),
        10 => answer::<PcrRead>(response).is_ok_and(|values| {
            assert_eq!(values.values.len(), values.read.numbers().count());
            true
        }),
        11 => answer::<Quote<'_>>(response).is_ok_and(|q| Attest::from_bytes(&q.attest).is_ok()),
        // What a device hands on as its quote.
        12 => Attest::from_bytes(response).is_ok(),
        _ => false,
    }
}

fn is_answered<C: Command>(response: &[u8]) -> bool {
    answer::<C>(response).is_ok()
}

/// What was read is written as it would be read again.
fn is_whole(public: &Public) -> bool {
    assert_eq!(Public::from_bytes(&public.to_bytes()), Ok(*public));
    true
}
