use hedgerow_base::Timestamp;

const MS_PER_DAY: i64 = 86_400_000;

/// What was measured before this moment is deleted, when it is kept for `days` days.
#[must_use]
#[inline]
pub const fn expires_before(now: Timestamp, days: u32) -> Timestamp {
    now.plus_ms(-(days as i64) * MS_PER_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_lives_its_days_and_not_one_more() {
        let now = Timestamp::from_secs(1_800_000_000);
        assert_eq!(now.since_ms(expires_before(now, 30)), 30 * MS_PER_DAY);
        assert_eq!(expires_before(now, 0), now);
    }
}
