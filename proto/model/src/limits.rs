//! Limits of profiles, values and packs. Each has a test at it and one past it.

/// Bytes of a device profile.
pub const PROFILE_BYTES_MAX: usize = 256 * 1024;

/// Nesting of a device profile; deeper documents are refused before they are understood.
pub const PROFILE_DEPTH_MAX: usize = 16;

/// Errors that are listed of one document; a document with more is wrong enough.
pub const PROFILE_ERRORS_MAX: usize = 100;

/// Properties, and likewise events and actions, of one profile.
pub const AFFORDANCES_MAX: usize = 1024;

/// Bytes of the name of a property, event or action. A name is a topic level.
pub const NAME_BYTES_MAX: usize = 64;

/// Bytes of a title, a maker, a model or a purpose.
pub const TITLE_BYTES_MAX: usize = 128;

/// Bytes of a description.
pub const DESCRIPTION_BYTES_MAX: usize = 2048;

/// Bytes of a unit.
pub const UNIT_BYTES_MAX: usize = 32;

/// Words of one `enum`.
pub const ENUM_WORDS_MAX: usize = 256;

/// Bytes of a text value, and what `maxLength` may say at most.
pub const TEXT_BYTES_MAX: usize = 4096;

/// The longest retention that a profile may ask for, in days: ten years.
pub const RETENTION_DAYS_MAX: u32 = 3653;

/// What is kept when a profile does not say, in days.
pub const RETENTION_DAYS_DEFAULT: u32 = 365;

/// The coarsest rounding of timestamps, in milliseconds: one day.
pub const RESOLUTION_MS_MAX: i64 = 86_400_000;

/// The rounding of timestamps when a profile does not say, in milliseconds.
pub const RESOLUTION_MS_DEFAULT: i64 = 1000;

/// Readings a minute that a profile may expect of one property at most.
pub const RATE_MAX: u32 = 60_000;

/// Bytes of a SenML pack, and of any other payload that a device publishes.
pub const PACK_BYTES_MAX: usize = 256 * 1024;

/// Records of a SenML pack.
pub const PACK_RECORDS_MAX: usize = 10_000;

/// Nesting of members that a SenML record has beyond RFC 8428 and that are skipped.
pub const PACK_DEPTH_MAX: usize = 8;

/// The largest whole number that is safe in JSON (RFC 8259 section 6): 2^53 - 1.
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// SenML times at and above this are absolute, below it relative to now (RFC 8428 section 4.5.3): 2^28.
pub const RELATIVE_SECONDS_END: f64 = 268_435_456.0;

/// Variables in the topics of one profile.
pub const VARIABLES_MAX: usize = 8;

/// Bytes of the value of a variable.
pub const VARIABLE_BYTES_MAX: usize = 128;

/// Levels that a variable may declare its values to have.
pub const VARIABLE_LEVELS_MAX: usize = 8;

/// Foreign topics of one profile: mapped and passed on; likewise its filters.
pub const FOREIGN_TOPICS_MAX: usize = 64;

/// Bytes of a foreign topic with its variables filled in.
pub const FOREIGN_TOPIC_BYTES_MAX: usize = 512;

/// Levels of a foreign topic.
pub const FOREIGN_TOPIC_LEVELS_MAX: usize = 24;

/// Forms of one property, event or action, and topics of one form.
pub const FORMS_MAX: usize = 8;

/// Bytes of a JSON pointer into a foreign payload, and of the name of a Sparkplug metric.
pub const POINTER_BYTES_MAX: usize = 256;

/// Steps of a JSON pointer, and nesting of a foreign payload; deeper ones are refused.
pub const FOREIGN_DEPTH_MAX: usize = 16;

/// Words that a form translates.
pub const WORDS_MAX: usize = 64;

/// Places of one payload that times are taken from.
pub const TIMES_MAX: usize = 8;

/// Bytes of the body of a command before its input is filled in.
pub const BODY_BYTES_MAX: usize = 1024;

/// Metrics of one Sparkplug payload.
pub const METRICS_MAX: usize = 10_000;
