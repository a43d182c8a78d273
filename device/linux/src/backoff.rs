use crate::limits::{RETRY_MS_MAX, RETRY_MS_MIN};

/// How long to wait before the next try: twice as long each time up to a limit, and between half and
/// all of it by chance, so that a fleet does not come back in one breath.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next wait; `chance` is any 32 random bits.
    pub(crate) fn next_ms(&mut self, chance: u32) -> i64 {
        let whole = RETRY_MS_MIN.saturating_mul(1 << self.tries.min(20)).min(RETRY_MS_MAX);
        self.tries = self.tries.saturating_add(1);
        whole / 2 + i64::from(chance) * (whole / 2) / i64::from(u32::MAX)
    }

    /// It worked.
    pub(crate) const fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_limit_and_stay_within_their_half() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next_ms(u32::MAX), RETRY_MS_MIN);
        assert_eq!(backoff.next_ms(0), RETRY_MS_MIN);
        for _ in 0..40 {
            backoff.next_ms(0);
        }
        assert_eq!(backoff.next_ms(u32::MAX), RETRY_MS_MAX);
        assert_eq!(backoff.next_ms(0), RETRY_MS_MAX / 2);
        backoff.reset();
        assert!(backoff.next_ms(u32::MAX) <= RETRY_MS_MIN);
    }
}
