use crate::Timestamp;

/// So many a second on average, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// A second; 0 means that there is no limit.
    pub per_second: u32,
    /// At once, after a while without any.
    pub burst: u32,
}

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self { per_second: 0, burst: 0 };

    /// Nanoseconds that `amount` takes at this rate.
    const fn ns_of(self, amount: u32) -> i64 {
        // INVARIANT: 2^32 s in nanoseconds are 4.3e18, below the largest i64.
        (amount as i64 * 1_000_000_000) / self.per_second as i64
    }
}

/// What was taken at a [`Rate`]: the moment at which it is paid for, which is all that must be remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    paid_ns: i64,
}

impl Spent {
    /// Takes `amount` if the rate allows it now.
    ///
    /// # Errors
    /// The milliseconds until it will; nothing was taken.
    pub fn take(&mut self, amount: u32, rate: Rate, now: Timestamp) -> Result<(), i64> {
        let mut after = *self;
        match after.charge(amount, rate, now) {
            0 => {
                *self = after;
                Ok(())
            }
            wait_ms => Err(wait_ms),
        }
    }

    /// Takes `amount` whatever the rate; gives the milliseconds until the rate is kept again. Whoever waits
    /// so long before the next keeps it on average, and what came is never thrown away.
    pub fn charge(&mut self, amount: u32, rate: Rate, now: Timestamp) -> i64 {
        if rate.per_second == 0 {
            return 0;
        }
        let now_ns = now.as_ms().saturating_mul(1_000_000);
        self.paid_ns = self.paid_ns.max(now_ns).saturating_add(rate.ns_of(amount));
        let early_ns = self.paid_ns.saturating_sub(now_ns).saturating_sub(rate.ns_of(rate.burst));
        // Rounded up: who is told to come back in a millisecond gets what it came for.
        early_ns.max(0).saturating_add(999_999) / 1_000_000
    }

    /// Whether nothing is left to pay: as good as never used.
    #[must_use]
    pub const fn is_paid(&self, now: Timestamp) -> bool {
        self.paid_ns <= now.as_ms().saturating_mul(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const TEN: Rate = Rate { per_second: 10, burst: 3 };

    #[test]
    fn a_burst_goes_through_and_the_rest_at_the_rate() {
        let mut spent = Spent::default();
        (0..3).for_each(|_| assert_eq!(spent.take(1, TEN, NOW), Ok(())));
        assert_eq!(spent.take(1, TEN, NOW), Err(100));
        assert_eq!(spent.take(1, TEN, NOW.plus_ms(99)), Err(1));
        assert_eq!(spent.take(1, TEN, NOW.plus_ms(100)), Ok(()));
        assert!(!spent.is_paid(NOW.plus_ms(399)));
        assert!(spent.is_paid(NOW.plus_ms(400)));
        let later = NOW.plus_ms(60_000);
        let taken = (0..10).filter(|_| spent.take(1, TEN, later).is_ok()).count();
        assert_eq!(taken, 3, "a pause saves no more than the burst");
    }

    #[test]
    fn in_the_long_run_the_rate_is_kept_to_one_in_a_thousand() {
        let rate = Rate { per_second: 333, burst: 10 };
        let (mut spent, mut taken) = (Spent::default(), 0u32);
        for ms in 0..100_000 {
            taken += u32::from(spent.take(1, rate, NOW.plus_ms(ms)).is_ok());
        }
        assert!((33_267..=33_333).contains(&taken), "{taken}");
    }

    #[test]
    fn what_is_charged_is_paid_by_waiting() {
        let mut spent = Spent::default();
        assert_eq!(spent.charge(3, TEN, NOW), 0);
        assert_eq!(spent.charge(20, TEN, NOW), 2_000);
        assert_eq!(spent.charge(0, TEN, NOW.plus_ms(1_999)), 1);
        assert_eq!(spent.charge(0, TEN, NOW.plus_ms(2_000)), 0);
    }

    #[test]
    fn no_limit_is_none_and_the_largest_numbers_do_not_overflow() {
        let mut spent = Spent::default();
        (0..1_000).for_each(|_| assert_eq!(spent.charge(u32::MAX, Rate::UNLIMITED, NOW), 0));
        let slow = Rate { per_second: 1, burst: u32::MAX };
        assert_eq!(spent.charge(u32::MAX, slow, NOW), 0);
        for _ in 0..4 {
            assert!(spent.charge(u32::MAX, slow, NOW) > 0);
        }
        let far = Timestamp::from_ms(i64::MAX);
        assert!(spent.charge(1, TEN, far) >= 0);
    }
}
