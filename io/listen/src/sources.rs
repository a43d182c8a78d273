//! Where connections come from, and how many may come from one place.
//!
//! A source is an address of IPv4 or a network of 64 bits of IPv6. It may hold so many connections at the
//! same time and open so many a second; what is beyond that is turned away before its handshake, which is
//! what costs.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hedgerow_base::{Rate, Spent, Timestamp};

use crate::limits::{SOURCE_CONNECTIONS_MAX, SOURCE_CONNECTS, SOURCES_MAX};

/// What one source may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLimits {
    /// Connections at the same time.
    pub connections_max: u32,
    /// New connections.
    pub connects: Rate,
}

impl Default for SourceLimits {
    fn default() -> Self {
        Self { connections_max: SOURCE_CONNECTIONS_MAX, connects: SOURCE_CONNECTS }
    }
}

/// The sources of the open connections, and of those that were opened lately.
#[derive(Debug)]
pub struct Sources {
    limits: SourceLimits,
    known: Mutex<HashMap<IpAddr, Known>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    open: u32,
    connects: Spent,
}

/// One connection of a source; given back when dropped.
#[derive(Debug)]
pub struct Visit {
    source: IpAddr,
    sources: Arc<Sources>,
}

impl Sources {
    /// Nobody has come yet.
    #[must_use]
    pub fn new(limits: SourceLimits) -> Arc<Self> {
        Arc::new(Self { limits, known: Mutex::default() })
    }

    /// Somebody comes from `address`.
    ///
    /// # Errors
    /// The word for the counters when the source has too many connections, or too many new ones, or when
    /// too many sources are known.
    pub fn enter(self: &Arc<Self>, address: IpAddr, now: Timestamp) -> Result<Visit, &'static str> {
        let source = source(address);
        let mut known = self.known();
        if known.len() >= SOURCES_MAX && !known.contains_key(&source) {
            known.retain(|_, one| one.open > 0 || !one.connects.is_paid(now));
            if known.len() >= SOURCES_MAX {
                return Err("sources-full");
            }
        }
        let one = known.entry(source).or_default();
        if one.open >= self.limits.connections_max {
            return Err("source-full");
        }
        one.connects.take(1, self.limits.connects, now).map_err(|_| "source-too-fast")?;
        one.open += 1;
        Ok(Visit { source, sources: Arc::clone(self) })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<IpAddr, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visit {
    /// From where: the address, or the network of it.
    #[must_use]
    pub const fn source(&self) -> IpAddr {
        self.source
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(one) = self.sources.known().get_mut(&self.source) {
            one.open = one.open.saturating_sub(1);
        }
    }
}

/// One source: an address of IPv4, a network of 64 bits of IPv6.
pub(crate) fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    fn sources(connections_max: u32, per_second: u32, burst: u32) -> Arc<Sources> {
        let connects = Rate { per_second, burst };
        Sources::new(SourceLimits { connections_max, connects })
    }

    #[test]
    fn a_source_holds_so_many_connections_and_not_one_more() {
        let sources = sources(2, 0, 0);
        let enter = |from| sources.enter(address(from), NOW);
        let (first, second) = (enter(1).unwrap(), enter(1).unwrap());
        assert_eq!(enter(1).unwrap_err(), "source-full");
        let other = enter(2).unwrap();
        drop(first);
        let third = enter(1).unwrap();
        assert_eq!(third.source(), address(1));
        assert_eq!(enter(1).unwrap_err(), "source-full");
        drop((second, third, other));
    }

    #[test]
    fn a_source_opens_so_many_a_second_and_not_one_more() {
        let sources = sources(9, 2, 3);
        let enter = |now| sources.enter(address(1), now).map(drop);
        (0..3).for_each(|_| assert_eq!(enter(NOW), Ok(())));
        assert_eq!(enter(NOW), Err("source-too-fast"));
        assert_eq!(enter(NOW.plus_ms(499)), Err("source-too-fast"));
        assert_eq!(enter(NOW.plus_ms(500)), Ok(()));
        assert!(sources.enter(address(2), NOW).is_ok(), "another source has its own");
    }

    #[test]
    fn a_factory_comes_in_at_once_and_holds_so_many_connections_and_not_one_more() {
        let sources = Sources::new(SourceLimits::default());
        let enter = |now| sources.enter(address(1), now);
        let mut held: Vec<_> = (0..SOURCE_CONNECTS.burst).map(|_| enter(NOW).unwrap()).collect();
        assert_eq!(enter(NOW).unwrap_err(), "source-too-fast");
        let seconds = (SOURCE_CONNECTIONS_MAX - SOURCE_CONNECTS.burst) / SOURCE_CONNECTS.per_second;
        let later = NOW.plus_ms(i64::from(seconds) * 1_000);
        held.extend((SOURCE_CONNECTS.burst..SOURCE_CONNECTIONS_MAX).map(|_| enter(later).unwrap()));
        assert_eq!(enter(later.plus_ms(60_000)).unwrap_err(), "source-full");
        drop(held);
    }

    #[test]
    fn so_many_sources_are_known_and_one_more_comes_when_others_are_forgotten() {
        let sources = sources(1, 1, 1);
        let most = u32::try_from(SOURCES_MAX).unwrap();
        let held = sources.enter(address(0), NOW).unwrap();
        (1..most).for_each(|from| drop(sources.enter(address(from), NOW).unwrap()));
        assert_eq!(sources.enter(address(most), NOW).unwrap_err(), "sources-full");
        let later = NOW.plus_ms(1_000);
        assert!(sources.enter(address(most), later).is_ok());
        assert_eq!(sources.known().len(), 2, "the one with a connection stays");
        assert_eq!(sources.enter(address(0), later).unwrap_err(), "source-full");
        drop(held);
    }

    #[test]
    fn addresses_of_one_network_are_one_source() {
        let from = |text: &str| source(text.parse().unwrap());
        assert_eq!(from("2001:db8:0:1::1"), from("2001:db8:0:1:ffff::2"));
        assert_ne!(from("2001:db8:0:1::1"), from("2001:db8:0:2::1"));
        assert_eq!(from("::ffff:192.0.2.1"), from("192.0.2.1"), "the same, as IPv6 writes it");
        assert_ne!(from("192.0.2.1"), from("192.0.2.2"));
    }
}
