use std::{net::IpAddr, sync::Arc};

use hedgerow_base::TenantId;
use hedgerow_listen::{
    Caller, SignIn, TlsStream,
    server::{Handshakes, peer},
};
use tokio::net::TcpStream;

use crate::Door;

/// MQTT over TLS: the client certificate says who is there. One that is unknown ends in TLS; one of ours
/// that is revoked comes in and is refused in CONNACK, with a reason. Who shows none may sign in with a
/// token, where the port's configuration lets it come so far.
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
            (Some(_) | None, true) | (None, false) => {
                let peer = peer(stream.state(), self.tenant);
                Caller::Proven(peer.ok_or("no-device-in-certificate")?)
            }
        };
        Ok((stream, caller))
    }
}
