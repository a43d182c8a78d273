//! How things are said: moments, standings, numbers.

use hedgerow_base::Timestamp;
use hedgerow_model::{Value, unit};
use hedgerow_policy::{Fact, Standing};
use hedgerow_registry::KeyStorage;
use hedgerow_registry::State;
use maud::{Markup, html};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

fn count(number: i64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// `3 devices`, `1 device`.
pub(crate) fn many(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {one}s", grouped(number)) }
}

/// `12,345`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let places = digits.len();
    digits
        .chars()
        .enumerate()
        .flat_map(|(at, digit)| {
            let comma = at > 0 && (places - at).is_multiple_of(3);
            comma.then_some(',').into_iter().chain([digit])
        })
        .collect()
}

/// A stretch of time in its two largest words at most: `2 days`, `3 minutes`.
pub(crate) fn stretch(ms: i64) -> String {
    match ms.max(0) {
        ms if ms < MINUTE_MS => count(ms / 1000, "second"),
        ms if ms < HOUR_MS => count(ms / MINUTE_MS, "minute"),
        ms if ms < 2 * DAY_MS => count(ms / HOUR_MS, "hour"),
        ms => count(ms / DAY_MS, "day"),
    }
}

fn relative(at: Timestamp, now: Timestamp) -> String {
    let ms = now.since_ms(at);
    match ms {
        -1_000..2_000 => "just now".into(),
        ms if ms >= 0 => format!("{} ago", stretch(ms)),
        ms => format!("in {}", stretch(-ms)),
    }
}

/// A moment, relative, with the absolute on hover. The script keeps it true.
pub(crate) fn moment(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) title=(at) { (relative(at, now)) } }
}

/// The word and the shape of a standing: never colour alone.
pub(crate) fn standing(standing: Standing) -> Markup {
    let (class, word) = match standing {
        Standing::Full => ("full", "Full"),
        Standing::Restricted => ("restricted", "Restricted"),
        Standing::Remediate => ("remediate", "Remediate"),
        Standing::Cut => ("cut", "Cut"),
    };
    html! { span class={ "mark " (class) } { (shape(class)) (word) } }
}

/// The mark of a device that signs in with a password.
pub(crate) fn weak() -> Markup {
    html! { span class="mark restricted" title="It signs in with a password" { (shape("restricted")) "Weak" } }
}

/// A shape for a state.
pub(crate) fn shape(class: &str) -> Markup {
    html! {
        svg.shape viewBox="0 0 12 12" width="12" height="12" aria-hidden="true" {
            @match class {
                "full" => circle cx="6" cy="6" r="5" {},
                "restricted" => path d="M6 1 11.5 11H.5z" {},
                "remediate" => path d="M6 0l6 6-6 6-6-6z" {},
                "cut" => path d="M1 1h10v10H1z" {},
                _ => circle.hollow cx="6" cy="6" r="4" {},
            }
        }
    }
}

/// Whether it has an open session.
pub(crate) fn presence(is_connected: bool) -> Markup {
    let (class, word) =
        if is_connected { ("full", "Connected") } else { ("away", "Not connected") };
    html! { span class={ "mark " (class) } { (shape(class)) (word) } }
}

/// Why a device has its standing.
pub(crate) const fn because(standing: Standing, fact: Option<Fact>) -> &'static str {
    match (standing, fact) {
        (_, Some(Fact::Retired)) => "It was retired and can't connect any more.",
        (_, Some(Fact::CertificateRevoked)) => {
            "Its certificates were revoked, so nothing proves who it is. It can't connect."
        }
        (_, Some(Fact::Quarantined)) => {
            "A person put it in quarantine. It may report its state, update and be wiped, and nothing else."
        }
        (_, Some(Fact::BehavesOddly)) => {
            "It behaves unlike itself. It may publish only what is essential."
        }
        (Standing::Full, Some(Fact::Password)) => {
            "It can do no better than a password: weak. It may use its properties, events and actions, and nothing of the hub's own. Replace it when you can."
        }
        (Standing::Full, _) => "Its certificate is valid and nothing speaks against it.",
        (Standing::Restricted, _) => "It may publish only what is essential.",
        (Standing::Remediate, _) => "It may only do what it needs to heal.",
        (Standing::Cut, _) => "Nothing proves who it is. It can't connect.",
    }
}

/// Where a device's private key is kept.
pub(crate) const fn key_storage(storage: KeyStorage) -> &'static str {
    match storage {
        KeyStorage::Unknown => "The device did not say",
        KeyStorage::SealedFile => "A file, sealed with a key from outside it",
        KeyStorage::Tpm => "TPM 2.0",
        KeyStorage::Token => "A PKCS#11 token",
    }
}

/// Why the data plane refused something, by its word; a word that is new stands for itself.
pub(crate) fn refusal(word: &str) -> &str {
    match word {
        "not-yours" => "Topic of another device",
        "undeclared" => "Not in the profile",
        "withheld" => "Withheld by the owner",
        "standing" => "Not with its standing",
        "weak" => "Not with a password",
        "password" => "Password changed or taken away",
        "wrong-type" => "Of the wrong kind",
        "not-finite" => "Not a finite number",
        "out-of-range" => "Out of range",
        "wrong-unit" => "In the wrong unit",
        "too-far-ahead" => "Dated in the future",
        "too-old" => "Older than is kept",
        "unreadable" => "Unreadable",
        "too-large" => "Too large",
        "unknown-device" => "Unknown device",
        "certificate" => "Revoked or ended certificate",
        "cut" => "Device that is cut off",
        "scope" => "Token without the scope",
        "grant" => "No grant of the token covers it",
        "filter" => "Topics outside things/",
        "token" => "Token that was removed or ended",
        "person" => "A person who wanted to speak",
        "outside" => "Device topics on the test listener",
        "system" => "Topics of the hub itself",
        "other" => "Something else",
        "store-full" => "The hub's disk was full",
        other => other,
    }
}

/// What to do about a refusal, by its word.
pub(crate) fn remedy(word: &str) -> &str {
    match word {
        "not-yours" => {
            "Look at the topic in the device's timeline: its firmware names another device, or it was cloned."
        }
        "undeclared" => "Add it to the device's profile, or have the device leave it out.",
        "withheld" => {
            "You took this away from the profile; give it back there if the device should send it."
        }
        "standing" | "cut" => "Look at the device: its standing says why, and what heals it.",
        "wrong-type" | "not-finite" | "unreadable" => {
            "The device sends another form than its profile says; correct one of them."
        }
        "out-of-range" | "wrong-unit" => {
            "Look at the sensor; if it is right, widen range or unit in the profile."
        }
        "too-far-ahead" | "too-old" => "Set the device's clock.",
        "too-large" => "Have it send less at once.",
        "unknown-device" => "Claim the device, or find out who tries to connect.",
        "certificate" => "Claim the device anew, so that it gets a certificate that holds.",
        "person" => "Use a token for a program; people look on here.",
        "scope" | "grant" | "filter" => {
            "Make a token with what the program needs, if it should have it."
        }
        "token" => "Give the program a new token.",
        "outside" | "system" => "Have the program use another topic.",
        "store-full" => "Make room on the hub's disk.",
        _ => "Look at the audit log: the first of each kind is there.",
    }
}

/// Why a message was not delivered, by its word.
pub(crate) fn missed(word: &str) -> &str {
    match word {
        "slow-reader" => "The client reads too slowly",
        "queue-full" => "Its queue was full",
        "queue-oldest" => "Made room in its queue for newer ones",
        "too-large-or-expired" => "Too large for the client, or too old",
        "not-allowed" => "No longer allowed",
        other => other,
    }
}

/// Bytes as people read them.
pub(crate) fn bytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "it is for people")]
    let (number, unit) = quantity(bytes as f64, "B");
    format!("{number} {unit}")
}

/// Where a device is in its life.
pub(crate) const fn state(state: State) -> &'static str {
    match state {
        State::Made => "Made",
        State::Claimed => "Claimed",
        State::Enrolled => "Enrolled",
        State::Active => "Active",
        State::Quarantined => "Quarantined",
        State::Retired => "Retired",
        State::Erased => "Erased",
    }
}

/// A number in at most four digits that count.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let (sign, size) = match text.strip_prefix('-') {
        Some(size) => ("-", size),
        None => ("", text.as_str()),
    };
    match size.parse::<u64>() {
        Ok(whole) => format!("{sign}{}", grouped(whole)),
        Err(_) => text,
    }
}

/// A number with its unit, bytes in the size that reads well.
pub(crate) fn quantity(value: f64, unit_word: &str) -> (String, String) {
    const SIZES: [&str; 5] = ["", "k", "M", "G", "T"];
    if matches!(unit_word, "B" | "B/s" | "bit/s") {
        let (mut size, mut at) = (value, 0);
        while size.abs() >= 1000.0 && at + 1 < SIZES.len() {
            size /= 1000.0;
            at += 1;
        }
        let prefix = SIZES.get(at).copied().unwrap_or_default();
        return (number(size), format!("{prefix}{unit_word}"));
    }
    (number(value), unit::sign(unit_word).to_owned())
}

/// A value with its unit.
pub(crate) fn value(value: &Value, unit_word: &str) -> Markup {
    let numeric = match value {
        Value::Boolean(truth) => return html! { (if *truth { "yes" } else { "no" }) },
        Value::Text(text) => return html! { (text) },
        Value::Integer(_) | Value::Number(_) => value.borrow().as_number().unwrap_or_default(),
    };
    if unit_word == "s" && numeric >= 120.0 {
        #[expect(clippy::cast_possible_truncation, reason = "as saturates; it is for people")]
        let ms = (numeric * 1000.0) as i64;
        return html! { (stretch(ms)) };
    }
    let (number, sign) = quantity(numeric, unit_word);
    html! { (number) @if !sign.is_empty() { " " span.unit { (sign) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_said_by_their_distance() {
        let now = Timestamp::from_secs(1_000_000);
        for (ms, words) in [
            (0, "just now"),
            (5_000, "5 seconds ago"),
            (60_000, "1 minute ago"),
            (3 * HOUR_MS, "3 hours ago"),
            (3 * DAY_MS, "3 days ago"),
            (-30 * DAY_MS, "in 30 days"),
        ] {
            assert_eq!(relative(now.plus_ms(-ms), now), words);
        }
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(123), "123");
        assert_eq!(number(0.0), "0");
        assert_eq!(number(12.34), "12.3");
        assert_eq!(number(-1234.4), "-1,234");
        assert_eq!(quantity(1_234_000.0, "B"), ("1.23".into(), "MB".into()));
        assert_eq!(quantity(20.0, "Cel"), ("20".into(), "°C".into()));
        assert_eq!(many(1, "device"), "1 device");
    }
}
