use hedgerow_base::TenantId;
use hedgerow_listen::server::{Handshakes, peer};
use hedgerow_policy::Peer;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::Door;

/// MQTT over TLS: the client certificate says who is there. One that is unknown ends in TLS; one of ours
/// that is revoked comes in and is refused in CONNACK, with a reason.
#[derive(Clone)]
pub struct TlsDoor {
    handshakes: Handshakes,
    tenant: TenantId,
}

impl TlsDoor {
    /// Handshakes under the port's configuration, for the devices of a tenant.
    #[must_use]
    pub const fn new(handshakes: Handshakes, tenant: TenantId) -> Self {
        Self { handshakes, tenant }
    }
}

impl Door for TlsDoor {
    type Stream = TlsStream<TcpStream>;

    async fn open(&self, tcp: TcpStream) -> Result<(Self::Stream, Peer), &'static str> {
        let stream = self.handshakes.shake_begun(tcp).await.map_err(|_| "handshake-failed")?;
        let peer = peer(stream.get_ref().1, self.tenant).ok_or("no-device-in-certificate")?;
        Ok((stream, peer))
    }
}
