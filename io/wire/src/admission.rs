use std::borrow::Cow;

use hedgerow_base::{Fault, Timestamp};
use hedgerow_listen::Caller;
use hedgerow_mqtt::{Connect, ReasonCode};
use hedgerow_policy::Peer;

use crate::{gate::Refusal, reasons};

/// A client that is not let in, and what it is told.
#[derive(Debug)]
pub(crate) struct KeptOut {
    pub(crate) code: ReasonCode,
    pub(crate) fault: Fault,
    /// The word for the counters.
    pub(crate) why: &'static str,
    pub(crate) reason: Cow<'static, str>,
    /// When it is told.
    pub(crate) at: Timestamp,
}

impl KeptOut {
    /// Another server is to be used.
    pub(crate) const fn sent_on(code: ReasonCode, now: Timestamp) -> Self {
        let reason = Cow::Borrowed("this hub sends its clients to another server");
        Self { code, fault: Fault::Unavailable, why: "sent-on", reason, at: now }
    }

    /// What the gate said.
    pub(crate) fn refused(refusal: Refusal, now: Timestamp) -> Self {
        let Refusal { fault, reason, .. } = refusal;
        Self { code: reasons::connack(fault), fault, why: "refused", reason, at: now }
    }
}

/// Who sends this CONNECT. A client certificate has said so already, and then user name and password say
/// nothing; who has none shows the secret of a token as the password, and any user name.
pub(crate) fn prove(
    caller: &Caller,
    connect: &Connect<'_>,
    (now, wall): (Timestamp, Timestamp),
) -> Result<Peer, KeptOut> {
    let unproven = match caller {
        Caller::Proven(peer) => return Ok(*peer),
        Caller::Unproven(unproven) => unproven,
    };
    let fault = Fault::Denied;
    let Some(secret) = connect.password else {
        let reason = "show a client certificate, or a token of the hub as the password".into();
        let (code, why) = (ReasonCode::NOT_AUTHORIZED, "no-sign-in");
        return Err(KeptOut { code, fault, why, reason, at: now });
    };
    unproven.sign_in(connect.username.unwrap_or_default(), secret, wall).map_err(|not| {
        let (code, why, reason) = if not.is_banned {
            let reason =
                "too many wrong passwords came from this address; try again in ten minutes";
            (ReasonCode::BANNED, "banned", reason)
        } else {
            let reason =
                "the password is no token of this hub or device, or one that was taken away";
            (ReasonCode::BAD_USER_NAME_OR_PASSWORD, "wrong-token", reason)
        };
        KeptOut { code, fault, why, reason: reason.into(), at: now.plus_ms(not.wait_ms) }
    })
}
