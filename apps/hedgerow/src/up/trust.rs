//! The hub's own certificates as everything that serves sees them: replaced while the hub runs.

use std::sync::{Arc, PoisonError, RwLock};

use hedgerow_base::Fault;
use hedgerow_control::{Authority, Failure};
use hedgerow_keys::{Authority as Keys, KeyError};
use hedgerow_listen::{Anchors, HandshakeKey, Identity, server::Slot};

/// What the ports show and whom they let in.
pub(super) struct Trust {
    keys: Arc<Keys>,
    /// The server certificate that new connections see.
    pub(super) slot: Arc<Slot>,
    /// The issuing CAs whose client certificates get through.
    pub(super) anchors: Arc<Anchors>,
    held: RwLock<Arc<Authority>>,
}

impl Trust {
    /// Begins with these.
    pub(super) fn new(keys: Arc<Keys>, authority: Authority) -> Result<Self, super::Problem> {
        let slot = Slot::new(&identity(&keys, &authority)?);
        let anchors = Anchors::new(&authority.issuing, &authority.distrusted)?;
        Ok(Self { keys, slot, anchors, held: RwLock::new(Arc::new(authority)) })
    }

    /// What holds now.
    pub(super) fn authority(&self) -> Arc<Authority> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// These hold from here on. Connections that are open go on.
    pub(super) fn adopt(&self, authority: Authority) -> Result<(), Failure> {
        let identity = identity(&self.keys, &authority)?;
        let unreadable = |error| Failure::new(Fault::Broken, format!("an issuing CA: {error}"));
        // Whoever is shown the new server certificate may show one of the new CA.
        self.anchors.replace(&authority.issuing, &authority.distrusted).map_err(unreadable)?;
        self.slot.replace(&identity);
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(authority);
        Ok(())
    }
}

/// The hub as a TLS server: leaf, issuing CA and root, so that a device can find the root by its hash.
fn identity(keys: &Keys, authority: &Authority) -> Result<Identity, KeyError> {
    let key = keys.key("server")?;
    let spki = key.spki().to_vec();
    let sign = move |message: &[u8]| key.sign(message).map_err(|error| error.to_string());
    let above = authority.issuing.first().into_iter().chain([&authority.root]);
    let chain = std::iter::once(&authority.server).chain(above).cloned().collect();
    Ok(Identity { chain, key: HandshakeKey::new(spki, sign) })
}
