//! How long a busy shard waits before it looks for new bytes.
//!
//! Taking bytes from a socket costs the kernel more than everything that the hub does with one message.
//! A shard that reads tens of thousands of single messages a second therefore lets them gather: it
//! sleeps a little before it polls, so that one read takes several. It does so only while it is busy
//! and while it helps; a quiet shard, or one whose clients each wait for an answer, does not.

use crate::limits::{
    PACE_MESSAGES_A_READ, PACE_READS_A_SECOND_MIN, PACE_REST_US, PACE_TRIES, PACE_US_MAX,
    PACE_US_MIN,
};

/// The pace of one shard. Numbers in, a wait out; it reads no clock.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    reads: u64,
    messages: u64,
    at_us: u64,
    wait_us: u64,
    /// Waits of full length that gathered nothing.
    vain: u32,
    /// No waits before this moment.
    rests_until_us: u64,
}

impl Pace {
    /// Asked when there is nothing to do but poll: how long to wait before, in microseconds. `reads` and
    /// `messages` are all since the start, `now_us` any clock that never goes back.
    pub(crate) fn wait_us(&mut self, reads: u64, messages: u64, now_us: u64) -> u64 {
        let new_reads = reads.wrapping_sub(self.reads);
        let new_messages = messages.wrapping_sub(self.messages);
        let elapsed_us = now_us.saturating_sub(self.at_us).max(1);
        (self.reads, self.messages, self.at_us) = (reads, messages, now_us);
        let is_busy = new_reads * 1_000_000 >= PACE_READS_A_SECOND_MIN * elapsed_us;
        let is_gathered = new_messages >= PACE_MESSAGES_A_READ * new_reads;
        if !is_busy || now_us < self.rests_until_us {
            self.wait_us = 0;
        } else if is_gathered {
            self.wait_us = if self.wait_us < 2 * PACE_US_MIN { 0 } else { self.wait_us / 2 };
        } else {
            self.wait_us = (self.wait_us * 2).clamp(PACE_US_MIN, PACE_US_MAX);
        }
        let is_vain = self.wait_us == PACE_US_MAX && 2 * new_messages < 3 * new_reads;
        self.vain = if is_vain { self.vain + 1 } else { 0 };
        if self.vain > PACE_TRIES {
            (self.wait_us, self.vain) = (0, 0);
            self.rests_until_us = now_us + PACE_REST_US;
        }
        self.wait_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shard with `reads` and `messages` a turn, which lasts `busy_us` and the wait.
    fn waits(turns: usize, busy_us: u64, of: impl Fn(u64) -> (u64, u64)) -> Vec<u64> {
        let (mut pace, mut reads, mut messages, mut now) = (Pace::default(), 0, 0, 0);
        let mut wait = 0;
        (0..turns)
            .map(|_| {
                now += busy_us + wait;
                let (new_reads, new_messages) = of(wait);
                reads += new_reads;
                messages += new_messages;
                wait = pace.wait_us(reads, messages, now);
                wait
            })
            .collect()
    }

    #[test]
    fn a_quiet_shard_never_waits() {
        assert!(waits(100, 1000, |_| (1, 1)).iter().all(|wait| *wait == 0));
        assert!(waits(100, 1_000_000, |_| (40_000, 40_000)).iter().all(|wait| *wait == 0));
    }

    /// The first wait of a shard that had so many reads and messages in a second.
    fn first_wait(reads: u64, messages: u64) -> u64 {
        let mut pace = Pace::default();
        pace.wait_us(0, 0, 0);
        pace.wait_us(reads, messages, 1_000_000)
    }

    #[test]
    fn a_shard_is_busy_from_so_many_reads_on_and_content_with_so_many_messages_a_read() {
        let reads = PACE_READS_A_SECOND_MIN;
        assert_eq!(first_wait(reads - 1, reads), 0);
        assert_eq!(first_wait(reads, reads), PACE_US_MIN);
        assert_eq!(first_wait(reads, PACE_MESSAGES_A_READ * reads), 0);
        assert_eq!(first_wait(reads, PACE_MESSAGES_A_READ * reads - 1), PACE_US_MIN);
    }

    #[test]
    fn after_so_many_vain_waits_a_shard_rests_for_so_long() {
        let (mut pace, mut all) = (Pace::default(), 0);
        let mut step = |now_us| {
            // More than enough reads for any of these moments.
            all += 1_000_000;
            pace.wait_us(all, all, now_us)
        };
        let longest = (1..).find(|now_us| step(*now_us) == PACE_US_MAX).unwrap();
        // That was the first in vain.
        let tries = u64::from(PACE_TRIES);
        (1..tries).for_each(|more| assert_eq!(step(longest + more), PACE_US_MAX, "{more}"));
        let rests_from = longest + tries;
        assert_eq!(step(rests_from), 0);
        assert_eq!(step(rests_from + PACE_REST_US - 1), 0);
        assert_eq!(step(rests_from + PACE_REST_US), PACE_US_MIN);
    }

    #[test]
    fn reads_of_many_messages_are_not_waited_for() {
        assert!(waits(100, 100, |_| (100, 1600)).iter().all(|wait| *wait == 0));
    }

    #[test]
    fn single_messages_are_gathered_up_to_the_longest_wait() {
        let gathering = |wait| (100, 100 + wait / 5);
        let all = waits(50, 100, gathering);
        assert_eq!(all[..4], [PACE_US_MIN, 2 * PACE_US_MIN, 4 * PACE_US_MIN, 8 * PACE_US_MIN]);
        assert_eq!(all.last(), Some(&PACE_US_MAX));
    }

    #[test]
    fn clients_that_wait_for_an_answer_are_soon_left_alone() {
        let all = waits(10_000, 100, |_| (100, 100));
        let waited: u64 = all.iter().sum();
        let total: u64 = waited + 10_000 * 100;
        assert!(waited * 20 < total, "{waited} of {total} microseconds");
    }
}
