//! Limits of the data plane. Each has a test at it and one past it.

/// Bytes of a topic that are kept in a notice about a denial.
pub const NOTICE_TOPIC_BYTES_MAX: usize = 256;

/// Identities unknown to the hub whose first denial is remembered; beyond it they are only counted.
pub const STRANGERS_MAX: usize = 1024;

/// Runs of failed tickets that are remembered. Of a forgotten one the answer is that it failed, which
/// makes the device send again.
pub const FAILED_RUNS_MAX: usize = 1024;

/// Minutes that the pulse keeps.
pub const PULSE_MINUTES_MAX: usize = 60;

/// Live values that wait for one watcher; the oldest are dropped, and the drops counted.
pub const WATCH_QUEUE_MAX: usize = 1024;

/// Watchers at one time.
pub const WATCHERS_MAX: usize = 1024;

/// Moments at which the broker's counters are remembered, to know how much goes through a second.
pub const FLOW_SAMPLES_MAX: usize = 3;
