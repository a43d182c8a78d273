//! Units as SenML registers them (RFC 8428 section 12.1), with the sign that people read.

/// Sorted by unit, in bytes.
const SIGNS: [(&str, &str); 24] = [
    ("%", "%"),
    ("%EL", "%"),
    ("%RH", "% RH"),
    ("/", ""),
    ("A", "A"),
    ("B/s", "B/s"),
    ("Cel", "°C"),
    ("Hz", "Hz"),
    ("J", "J"),
    ("K", "K"),
    ("Pa", "Pa"),
    ("V", "V"),
    ("W", "W"),
    ("bit", "bit"),
    ("bit/s", "bit/s"),
    ("count", ""),
    ("dB", "dB"),
    ("kg", "kg"),
    ("lx", "lx"),
    ("m", "m"),
    ("m/s", "m/s"),
    ("m2", "m²"),
    ("m3", "m³"),
    ("s", "s"),
];

/// The sign of `unit` for people: `°C` for `Cel`; other units stand for themselves.
#[must_use]
pub fn sign(unit: &str) -> &str {
    match SIGNS.binary_search_by(|(known, _)| (*known).cmp(unit)) {
        Ok(at) => SIGNS.get(at).map_or(unit, |(_, sign)| sign),
        Err(_) => unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_units_have_their_sign_and_others_stand_for_themselves() {
        assert!(SIGNS.is_sorted());
        assert_eq!(sign("Cel"), "°C");
        assert_eq!(sign("mmol/l"), "mmol/l");
    }
}
