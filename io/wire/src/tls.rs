use std::{net::IpAddr, sync::Arc};

use hedgerow_base::TenantId;
use hedgerow_listen::{
    Caller, SignIn, TlsStream,
    server::{Handshakes, now, peer, program},
};
use tokio::net::TcpStream;

use crate::Door;

/// MQTT over TLS: the client certificate says who is there. One that is unknown ends in TLS; one of ours
/// that is revoked comes in and is refused in CONNACK, with a reason. Who shows none may sign in with a
/// token, where the port's configuration lets it come so far; a program may have a certificate, too.
#[derive(Clone)]
pub struct TlsDoor {
    handshakes: Handshakes,
    tenant: TenantId,
    sign_in: Option<Arc<SignIn>>,
}

impl TlsDoor {
    /// Handshakes under the port's configuration, for the devices of a tenant.
    #[must_use]
    pub const fn new(handshakes: Handshakes, tenant: TenantId) -> Self {
        Self { handshakes, tenant, sign_in: None }
    }

    /// Lets programs sign in that show no certificate.
    #[must_use]
    pub fn with_sign_in(mut self, sign_in: Arc<SignIn>) -> Self {
        self.sign_in = Some(sign_in);
        self
    }
}

impl Door for TlsDoor {
    type Stream = TlsStream;

    async fn open(
        &self,
        tcp: TcpStream,
        from: IpAddr,
    ) -> Result<(Self::Stream, Caller), &'static str> {
        let stream = self.handshakes.shake_lean(tcp).await.map_err(|_| "handshake-failed")?;
        let has_certificate = stream.state().peer_certificates().is_some();
        let caller = match (&self.sign_in, has_certificate) {
            (Some(sign_in), false) => Caller::Unproven(sign_in.caller(from)),
            (sign_in, true) => {
                let peer = peer(stream.state(), self.tenant, now()).or_else(|| {
                    sign_in.as_ref().and_then(|desk| program(stream.state(), desk, now()))
                });
                Caller::Proven(peer.ok_or("nobody-in-certificate")?)
            }
            (None, false) => return Err("no-certificate"),
        };
        Ok((stream, caller))
    }
}
