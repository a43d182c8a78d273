//! Enrolment at a hub.
//!
//! 1. Connect, and believe only a hub whose root key has the fingerprint in the claim code.
//! 2. Ask where its doors are and for its CA certificates.
//! 3. Send a request for our key, bound to the connection, with the claim's secret.
//! 4. Check that the certificate is for our key and id, and keep it.

use base64::{Engine, engine::general_purpose::STANDARD};
use hedgerow_listen::{
    certificate_key,
    client::{self, Stream, Trust, leads_to_root},
};
use hedgerow_onboarding::{ClaimCode, csr::Draft, est};
use rustls::ClientConfig;
use std::sync::Arc;

use crate::{
    AgentError, Enrolment, HubUrl, State,
    http::{Request, ask},
    state::validity,
};

/// Enrols the device of `state` at `hub` with a claim code.
///
/// # Errors
/// [`AgentError`]: enrolled already, the hub is another one, or it refused.
pub fn enrol(state: &State, hub: &HubUrl, code: &ClaimCode) -> Result<Enrolment, AgentError> {
    if let Some(enrolment) = state.enrolment()? {
        return Err(AgentError::AlreadyEnrolled(enrolment.hub.to_string()));
    }
    let config = client::config(Trust::Fingerprint(*code.hub()), None)?;
    let doors = get(hub, &config, "/.well-known/hedgerow")?;
    let mqtts_port = port_in(&doors).ok_or(AgentError::Answer("it names no mqtts port"))?;
    let (root, issuing) = cacerts(hub, &config, code)?;
    // From here on by the root itself, as it will always be.
    let config = client::config(Trust::Root(root.clone()), None)?;
    let enrolment = Enrolment { hub: hub.clone(), mqtts_port, root, issuing };
    let basic = format!("Basic {}", STANDARD.encode(format!("claim:{}", code.password())));
    let leaf = request(state, hub, &config, "simpleenroll", Some(&basic))?;
    state.keep(&enrolment, &leaf)?;
    Ok(enrolment)
}

/// Asks for the next certificate with the current one; gives it with the issuing CA that signed it, which
/// may be another than before. Only the root that is known says which issuing CAs are the hub's.
pub(crate) fn renew(
    state: &State,
    enrolment: &Enrolment,
    config: &Arc<ClientConfig>,
) -> Result<(Vec<u8>, Vec<u8>), AgentError> {
    let leaf = request(state, &enrolment.hub, config, "simplereenroll", None)?;
    let body = get(&enrolment.hub, config, &format!("{}/cacerts", est::BASE_PATH))?;
    let (from, _) = validity(&leaf).ok_or(AgentError::Answer("the certificate can't be read"))?;
    let signed = |issuing: &Vec<u8>| leads_to_root(&leaf, issuing, &enrolment.root, from);
    let issuing = certificates(&body)?.into_iter().find(signed);
    let none = AgentError::Answer("it names no issuing CA that signed the new certificate");
    issuing.map(|issuing| (leaf, issuing)).ok_or(none)
}

/// One GET on a connection of its own.
pub(crate) fn get(
    hub: &HubUrl,
    config: &Arc<ClientConfig>,
    path: &str,
) -> Result<Vec<u8>, AgentError> {
    let mut stream = client::connect(hub.host(), hub.port(), config)?;
    let host = hub.host();
    let request =
        Request { method: "GET", path, host, authorization: None, content_type: None, body: b"" };
    ask(&mut stream, &request)
}

fn port_in(doors: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(doors).ok()?;
    text.lines().find_map(|line| line.strip_prefix("mqtts ")?.parse().ok())
}

fn cacerts(
    hub: &HubUrl,
    config: &Arc<ClientConfig>,
    code: &ClaimCode,
) -> Result<(Vec<u8>, Vec<u8>), AgentError> {
    let body = get(hub, config, &format!("{}/cacerts", est::BASE_PATH))?;
    let mut certificates = certificates(&body)?;
    let is_root = |der: &Vec<u8>| certificate_key(der).is_ok_and(|key| code.is_from_hub(key));
    let at = certificates.iter().position(is_root);
    let root = certificates.remove(at.ok_or(AgentError::Answer("its root CA is missing"))?);
    let issuing = certificates.pop().ok_or(AgentError::Answer("its issuing CA is missing"))?;
    Ok((root, issuing))
}

fn certificates(body: &[u8]) -> Result<Vec<Vec<u8>>, AgentError> {
    let message = est::from_body(body).map_err(|_| AgentError::Answer("it is not base64"))?;
    est::read_certs_only(&message).map_err(|_| AgentError::Answer("it holds no certificates"))
}

fn request(
    state: &State,
    hub: &HubUrl,
    config: &Arc<ClientConfig>,
    operation: &str,
    authorization: Option<&str>,
) -> Result<Vec<u8>, AgentError> {
    let mut stream: Stream = client::connect(hub.host(), hub.port(), config)?;
    let binding = client::channel_binding(&stream.conn)?;
    let draft = Draft::new(state.key().spki(), Some(&binding));
    let signature = state.key().sign(draft.to_be_signed())?;
    let body = est::to_body(&draft.finish(&signature));
    let answer = ask(
        &mut stream,
        &Request {
            method: "POST",
            path: &format!("{}/{operation}", est::BASE_PATH),
            host: hub.host(),
            authorization,
            content_type: Some(est::PKCS10_TYPE),
            body: body.as_bytes(),
        },
    )?;
    let leaf = certificates(&answer)?.into_iter().next();
    let leaf = leaf.ok_or(AgentError::Answer("it holds no certificate"))?;
    let is_ours = certificate_key(&leaf).is_ok_and(|key| key == state.key().spki());
    if is_ours { Ok(leaf) } else { Err(AgentError::Answer("the certificate is for another key")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_among_the_doors() {
        assert_eq!(port_in(b"coaps 5684\nmqtts 8883\n"), Some(8883));
        assert_eq!(port_in(b"mqtts 99999\n"), None);
        assert_eq!(port_in(b""), None);
    }
}
