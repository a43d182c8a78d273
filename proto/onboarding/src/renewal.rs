//! When a certificate is to be renewed.

use hedgerow_base::Timestamp;

/// The moment at which two thirds of a certificate's life are over: early enough that a device that is
/// off for days still has a valid one when it comes back.
#[must_use]
pub const fn due(not_before: Timestamp, not_after: Timestamp) -> Timestamp {
    let life = not_after.since_ms(not_before);
    not_before.plus_ms(life / 3 * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_is_due_at_two_thirds_of_the_life() {
        let from = Timestamp::from_secs(1000);
        assert_eq!(due(from, Timestamp::from_secs(1000 + 30)), Timestamp::from_secs(1020));
    }

    #[test]
    fn a_life_that_ends_before_it_begins_is_due_at_once() {
        let from = Timestamp::from_secs(1000);
        assert!(due(from, Timestamp::from_secs(10)) <= from);
    }
}
