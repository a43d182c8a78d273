use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use hedgerow_base::{DeviceId, TenantId};
use hedgerow_mqtt::TopicTree;
use hedgerow_plane::{Identity, SessionName};
use hedgerow_policy::{Peer, PersonId};

/// Whose session it is, as proven by the connection.
fn identity_of(peer: &Peer) -> Identity {
    if let Some((tenant, device)) = peer.device_id() {
        return Identity::Device(tenant, device);
    }
    if let Some(application) = peer.application() {
        return Identity::Token(application.tenant, application.token);
    }
    match (peer.tenant(), peer.person()) {
        (Some(tenant), Some((person, _))) => Identity::Person(tenant, person),
        _ => Identity::LoopbackTester,
    }
}

/// The name of a session. Client identifiers are free, because the identity comes first: nobody can take
/// another identity's session.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionKey {
    pub(crate) identity: Identity,
    pub(crate) client_id: Box<str>,
}

impl From<SessionName> for SessionKey {
    fn from(name: SessionName) -> Self {
        Self { identity: name.identity, client_id: name.client_id }
    }
}

impl SessionKey {
    pub(crate) fn new(peer: &Peer, client_id: &str) -> Arc<Self> {
        Arc::new(Self { identity: identity_of(peer), client_id: client_id.into() })
    }
}

impl SessionKey {
    /// The name by which others ask for it.
    pub(crate) fn name(&self) -> SessionName {
        SessionName { identity: self.identity, client_id: self.client_id.clone() }
    }

    /// The token's record, when the session is a program's.
    pub(crate) fn program(&self) -> Option<(TenantId, i64)> {
        match self.identity {
            Identity::Token(tenant, token) => Some((tenant, token)),
            Identity::Device(..) | Identity::Person(..) | Identity::LoopbackTester => None,
        }
    }

    /// Whose it is, in bytes, for [`SessionKey::restored`]: a kind, the tenant, the identity.
    pub(crate) fn owner(&self) -> Arc<[u8]> {
        let (kind, tenant, rest): (u8, u32, &[u8]) = match &self.identity {
            Identity::Device(tenant, device) => (1, tenant.0, device.as_bytes()),
            Identity::Token(tenant, token) => (2, tenant.0, &token.to_be_bytes()),
            Identity::Person(tenant, person) => (3, tenant.0, &person.0.to_be_bytes()),
            Identity::LoopbackTester => (4, 0, &[]),
        };
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&tenant.to_be_bytes());
        bytes.extend_from_slice(rest);
        bytes.into()
    }

    /// The name of a session that was kept; `None` when it is damaged.
    pub(crate) fn restored(owner: &[u8], client_id: &str) -> Option<Arc<Self>> {
        let (kind, rest) = owner.split_first()?;
        let (tenant, rest) = rest.split_first_chunk::<4>()?;
        let tenant = TenantId(u32::from_be_bytes(*tenant));
        let number = || Some(i64::from_be_bytes(rest.try_into().ok()?));
        let identity = match kind {
            1 => Identity::Device(tenant, DeviceId::from_bytes(rest.try_into().ok()?)),
            2 => Identity::Token(tenant, number()?),
            3 => Identity::Person(tenant, PersonId(number()?)),
            4 => Identity::LoopbackTester,
            _ => return None,
        };
        Some(Arc::new(Self { identity, client_id: client_id.into() }))
    }
}

/// Which shard has a session. Asked once a connection, never a message.
///
/// A session stays in the shard where it began: who comes back elsewhere is brought there. So its
/// subscriptions are in force from its first moment to its last.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    shards: Mutex<HashMap<Arc<SessionKey>, usize>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Directory {
    /// The shard that has the session: `shard`, if no other has it yet.
    pub(crate) fn claim(&self, key: &Arc<SessionKey>, shard: usize) -> usize {
        *lock(&self.shards).entry(Arc::clone(key)).or_insert(shard)
    }

    /// The session is gone. Only the shard that has it says so.
    pub(crate) fn release(&self, key: &SessionKey) {
        lock(&self.shards).remove(key);
    }
}

/// Which shards want which topics, so that a message goes only where somebody waits for it.
///
/// Read when a route is made; between two changes a message costs one atomic load.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    generation: AtomicU64,
    /// Subscriptions by filter and shard.
    filters: Mutex<TopicTree<usize, u32>>,
}

impl Interest {
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn add(&self, filter: &str, shard: usize) {
        let mut filters = lock(&self.filters);
        let count = filters.remove(filter, &shard).unwrap_or(0);
        // A filter that the session took is one that the tree takes.
        let _ = filters.insert(filter, shard, count + 1);
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn remove(&self, filter: &str, shard: usize) {
        let mut filters = lock(&self.filters);
        if let Some(count @ 2..) = filters.remove(filter, &shard) {
            let _ = filters.insert(filter, shard, count - 1);
        }
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Something else about routes changed.
    pub(crate) fn touch(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The shards that want `topic`, a bit each.
    pub(crate) fn shards(&self, topic: &str) -> u64 {
        let mut all = 0;
        lock(&self.filters).visit(topic, &mut |shard, _| all |= 1 << shard);
        all
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_policy::Witness;

    use super::*;

    #[test]
    fn a_session_stays_where_it_began_until_it_is_gone() {
        let directory = Directory::default();
        let key = SessionKey::new(&Witness::of_a_proof().loopback_tester(), "c");
        assert_eq!(directory.claim(&key, 0), 0);
        assert_eq!(directory.claim(&key, 1), 0);
        directory.release(&key);
        assert_eq!(directory.claim(&key, 1), 1);
    }

    #[test]
    fn a_name_survives_the_disk_and_a_damaged_one_does_not() {
        let device = DeviceId::from_bytes([7; 16]);
        for identity in [
            Identity::Device(TenantId(3), device),
            Identity::Token(TenantId(3), -4),
            Identity::Person(TenantId(3), PersonId(5)),
            Identity::LoopbackTester,
        ] {
            let key = SessionKey { identity, client_id: "c".into() };
            let owner = key.owner();
            assert_eq!(SessionKey::restored(&owner, "c").as_deref(), Some(&key));
            for cut in 0..owner.len() {
                assert_eq!(SessionKey::restored(&owner[..cut], "c"), None);
            }
        }
    }

    #[test]
    fn interest_ends_with_the_last_subscription() {
        let interest = Interest::default();
        interest.add("a/#", 3);
        interest.add("a/#", 3);
        interest.add("a/b", 5);
        assert_eq!(interest.shards("a/b"), 1 << 3 | 1 << 5);
        interest.remove("a/#", 3);
        assert_eq!(interest.shards("a"), 1 << 3);
        let before = interest.generation();
        interest.remove("a/#", 3);
        assert_eq!(interest.shards("a/b"), 1 << 5);
        assert!(interest.generation() > before);
    }
}
