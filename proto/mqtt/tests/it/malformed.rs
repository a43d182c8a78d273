//! Every rule of the standards that a packet can break, and the reason code that says so.

use Version::{V5, V311};
use hedgerow_mqtt::{Error, Packet, ReasonCode, Split, Version, split};

fn refusal(bytes: &[u8], version: Version) -> Error {
    let result = split(bytes, 1 << 20).and_then(|split| match split {
        Split::Whole(frame, _) => Packet::decode(frame, version),
        Split::More(_) => panic!("{bytes:02x?} is not whole"),
    });
    match result {
        Ok(packet) => panic!("{bytes:02x?} was taken for {packet:?}"),
        Err(error) => error,
    }
}

fn malformed(version: Version, packets: &[&[u8]]) {
    for bytes in packets {
        assert_eq!(refusal(bytes, version).reason(), ReasonCode::MALFORMED_PACKET, "{bytes:02x?}");
    }
}

fn protocol_error(version: Version, packets: &[&[u8]]) {
    for bytes in packets {
        assert_eq!(refusal(bytes, version).reason(), ReasonCode::PROTOCOL_ERROR, "{bytes:02x?}");
    }
}

#[test]
fn reserved_bits_are_refused_in_every_packet() {
    for version in [V311, V5] {
        malformed(
            version,
            &[
                b"\x11\x00",
                b"\x21\x02\x00\x00",
                b"\x41\x02\x00\x01",
                b"\x51\x02\x00\x01",
                b"\x60\x02\x00\x01",
                b"\x71\x02\x00\x01",
                b"\x80\x06\x00\x01\x00\x01a\x00",
                b"\x91\x03\x00\x01\x00",
                b"\xa0\x05\x00\x01\x00\x01a",
                b"\xb1\x02\x00\x01",
                b"\xc1\x00",
                b"\xd1\x00",
                b"\xe1\x00",
                b"\xf1\x00",
                b"\x36\x05\x00\x01a\x00\x01",
                b"\x38\x03\x00\x01a",
                b"\x10\x0c\x00\x04MQTT\x04\x01\x00\x00\x00\x00",
                b"\x20\x02\x02\x00",
            ],
        );
    }
    malformed(V311, &[b"\x82\x06\x00\x01\x00\x01a\x04", b"\xf0\x00"]);
    malformed(
        V5,
        &[
            b"\x82\x07\x00\x01\x00\x00\x01a\x40",
            b"\x82\x07\x00\x01\x00\x00\x01a\x80",
            b"\x10\x0d\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x00",
        ],
    );
}

#[test]
fn packets_that_end_inside_a_field_are_refused() {
    let wholes: [(&[u8], Version); 10] = [
        (b"\x10\x1d\x00\x04MQTT\x04\xee\x00\x3c\x00\x02c1\x00\x01w\x00\x04gone\x00\x01u\x00\x01p", V311),
        (b"\x10\x0f\x00\x04MQTT\x05\x02\x00\x00\x02\x17\x01\x00\x00", V5),
        (b"\x20\x06\x00\x00\x03\x21\x00\x05", V5),
        (b"\x32\x05\x00\x01a\x00\x01", V311),
        (b"\x40\x02\x00\x01", V311),
        (b"\x82\x06\x00\x01\x00\x01a\x00", V311),
        (b"\x90\x03\x00\x01\x00", V311),
        (b"\xa2\x05\x00\x01\x00\x01a", V311),
        (b"\xb0\x02\x00\x01", V311),
        (b"\xf0\x06\x18\x04\x15\x00\x01m", V5),
    ];
    for (whole, version) in wholes {
        super::vectors::decode(whole, version);
        for len in 2..whole.len() {
            let mut cut = whole[..len].to_vec();
            cut[1] = u8::try_from(len - 2).unwrap();
            let Ok(Split::Whole(frame, _)) = split(&cut, 1 << 20) else { panic!("not whole") };
            // What is left over may by chance be another valid packet: AUTH and SUBACK lists can be
            // shorter. It may never be read as the whole one.
            if let Ok(packet) = Packet::decode(frame, version) {
                assert!(packet != super::vectors::decode(whole, version), "{cut:02x?}");
                assert!(matches!(whole[0], 0xf0 | 0xa2), "{cut:02x?} was taken for {packet:?}");
            }
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    malformed(
        V311,
        &[
            b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x00x",
            b"\x20\x03\x00\x00x",
            b"\x40\x03\x00\x01\x00",
            b"\xb0\x03\x00\x01\x00",
            b"\xc0\x01x",
            b"\xd0\x01x",
            b"\xe0\x01\x00",
        ],
    );
    malformed(
        V5,
        &[
            b"\x20\x04\x00\x00\x00x",
            b"\x40\x05\x00\x01\x00\x00x",
            b"\xe0\x03\x00\x00x",
            b"\xc0\x01x",
        ],
    );
}

#[test]
fn strings_that_are_not_utf_8_or_hold_a_null_are_refused() {
    for version in [V311, V5] {
        malformed(
            version,
            &[
                b"\x30\x04\x00\x02\xc3\x28",
                b"\x30\x05\x00\x03\xed\xa0\x80",
                b"\x30\x05\x00\x03\xc0\x80a",
                b"\x30\x05\x00\x03a\x00b",
                b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02a\x00",
            ],
        );
    }
    malformed(V5, &[b"\x30\x0b\x00\x01a\x07\x26\x00\x01\xff\x00\x01v"]);
}

#[test]
fn each_field_that_is_a_string_is_checked() {
    for bad in [b"\xc3\x28", b"\xed\xa0", b"a\x00"] {
        let with = |before: &[u8], after: &[u8]| {
            let mut packet = [before, bad, after].concat();
            packet[1] = u8::try_from(packet.len() - 2).unwrap();
            packet
        };
        for packet in [
            // Client identifier, will topic, user name.
            with(b"\x10\x00\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x02", b""),
            with(b"\x10\x00\x00\x04MQTT\x05\x06\x00\x00\x00\x00\x01c\x00\x00\x02", b"\x00\x00"),
            with(b"\x10\x00\x00\x04MQTT\x05\x82\x00\x00\x00\x00\x01c\x00\x02", b""),
            // Topic, response topic, content type.
            with(b"\x30\x00\x00\x02", b"\x00"),
            with(b"\x30\x00\x00\x01a\x05\x08\x00\x02", b""),
            with(b"\x30\x00\x00\x01a\x05\x03\x00\x02", b""),
            // A filter of SUBSCRIBE and of UNSUBSCRIBE.
            with(b"\x82\x00\x00\x01\x00\x00\x02", b"\x00"),
            with(b"\xa2\x00\x00\x01\x00\x00\x02", b""),
        ] {
            malformed(V5, &[&packet]);
            let at = packet.windows(2).rposition(|two| two == bad).unwrap();
            let mut good = packet;
            good[at..at + 2].copy_from_slice(b"ok");
            super::vectors::decode(&good, V5);
        }
    }
}

#[test]
fn connects_that_contradict_themselves_are_refused() {
    malformed(
        V311,
        &[
            b"\x10\x0c\x00\x04MQTT\x04\x10\x00\x00\x00\x00",
            b"\x10\x0c\x00\x04MQTT\x04\x20\x00\x00\x00\x00",
            b"\x10\x10\x00\x04MQTT\x04\x1e\x00\x00\x00\x00\x00\x01w\x00\x00"[..18].as_ref(),
            b"\x10\x0f\x00\x04MQTT\x04\x42\x00\x00\x00\x00\x00\x01p",
        ],
    );
    malformed(
        V5,
        &[
            b"\x10\x0d\x00\x04MQTT\x05\x12\x00\x00\x00\x00\x00",
            b"\x10\x0d\x00\x04MQTT\x05\x22\x00\x00\x00\x00\x00",
            b"\x10\x13\x00\x04MQTT\x05\x1e\x00\x00\x00\x00\x00\x00\x00\x01w\x00\x00",
        ],
    );
    for (bytes, level) in [
        (&b"\x10\x0c\x00\x04MQTT\x03\x02\x00\x00\x00\x00"[..], 3),
        (b"\x10\x0c\x00\x04MQTT\x06\x02\x00\x00\x00\x00", 6),
        (b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x00\x00\x00", 3),
    ] {
        let error = refusal(bytes, V5);
        assert_eq!(error, Error::Version(level));
        assert_eq!(error.reason(), ReasonCode::UNSUPPORTED_PROTOCOL_VERSION);
    }
    super::vectors::decode(b"\x10\x10\x00\x04MQTT\x05\x42\x00\x00\x00\x00\x00\x00\x01p", V5);
}

#[test]
fn topics_that_are_none_are_malformed_and_counted_in_their_own_words() {
    for bytes in [&b"\x30\x03\x00\x01#"[..], b"\x30\x05\x00\x03a/+", b"\x30\x03\x00\x01\x1f"] {
        assert!(matches!(refusal(bytes, V311), Error::TopicName(_)), "{bytes:02x?}");
        malformed(V311, &[bytes]);
    }
    let response = b"\x30\x08\x00\x01a\x04\x08\x00\x01+";
    malformed(V5, &[response]);
    protocol_error(V311, &[b"\x30\x02\x00\x00"]);
    protocol_error(V5, &[b"\x30\x03\x00\x00\x00"]);
    for bytes in [&b"\x82\x07\x00\x01\x00\x02a+\x00"[..], b"\x82\x05\x00\x01\x00\x00\x00"].iter() {
        assert!(matches!(refusal(bytes, V311), Error::TopicFilter(_)), "{bytes:02x?}");
        malformed(V311, &[bytes]);
    }
    let unsubscribe = b"\xa2\x06\x00\x01\x00\x02#a";
    malformed(V311, &[unsubscribe]);
}

#[test]
fn packet_identifier_zero_is_refused() {
    protocol_error(
        V311,
        &[
            b"\x32\x05\x00\x01a\x00\x00",
            b"\x40\x02\x00\x00",
            b"\x50\x02\x00\x00",
            b"\x62\x02\x00\x00",
            b"\x70\x02\x00\x00",
            b"\x82\x06\x00\x00\x00\x01a\x00",
            b"\x90\x03\x00\x00\x00",
            b"\xa2\x05\x00\x00\x00\x01a",
            b"\xb0\x02\x00\x00",
        ],
    );
}

#[test]
fn lists_without_an_entry_and_foreign_codes_are_refused() {
    malformed(V311, &[b"\x82\x06\x00\x01\x00\x01a\x03"]);
    malformed(V5, &[b"\x82\x07\x00\x01\x00\x00\x01a\x03"]);
    protocol_error(V311, &[b"\x82\x02\x00\x01", b"\xa2\x02\x00\x01"]);
    protocol_error(V5, &[b"\x82\x03\x00\x01\x00", b"\xa2\x03\x00\x01\x00"]);
    protocol_error(V5, &[b"\x82\x07\x00\x01\x00\x00\x01a\x30"]);
    protocol_error(V5, &[b"\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x04"]);
    malformed(V311, &[b"\x90\x02\x00\x01", b"\x90\x03\x00\x01\x03", b"\x20\x02\x00\x06"]);
    malformed(V5, &[b"\x90\x03\x00\x01\x00", b"\x90\x04\x00\x01\x00\x03", b"\x20\x03\x00\x01\x00"]);
    malformed(V5, &[b"\xb0\x03\x00\x01\x00", b"\xb0\x04\x00\x01\x00\x01"]);
    protocol_error(V5, &[b"\x40\x03\x00\x01\x92", b"\x62\x03\x00\x01\x10", b"\xe0\x01\x01"]);
    protocol_error(V5, &[b"\xf0\x05\x18\x03\x1f\x00\x00"]);
    protocol_error(V5, &[b"\x20\x03\x01\x87\x00"]);
}

#[test]
fn properties_out_of_place_twice_or_out_of_range_are_refused() {
    malformed(
        V5,
        &[
            // Unknown.
            b"\x30\x06\x00\x01a\x02\x04\x00",
            b"\x30\x06\x00\x01a\x02\x7f\x00",
            // Receive Maximum in a PUBLISH; Topic Alias in a PUBACK; Will Delay in a CONNECT.
            b"\x30\x07\x00\x01a\x03\x21\x00\x01",
            b"\x40\x07\x00\x01\x00\x03\x23\x00\x01",
            b"\x10\x12\x00\x04MQTT\x05\x02\x00\x00\x05\x18\x00\x00\x00\x01\x00\x00",
        ],
    );
    protocol_error(
        V5,
        &[
            // Twice: Payload Format Indicator, Content Type.
            b"\x30\x08\x00\x01a\x04\x01\x00\x01\x00",
            b"\x30\x0a\x00\x01a\x06\x03\x00\x00\x03\x00\x00",
            // Out of range: format 2, alias 0, identifier 0, receive maximum 0, packet size 0.
            b"\x30\x06\x00\x01a\x02\x01\x02",
            b"\x30\x07\x00\x01a\x03\x23\x00\x00",
            b"\x82\x09\x00\x01\x02\x0b\x00\x00\x01a\x00",
            b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x03\x21\x00\x00\x00\x00",
            b"\x10\x12\x00\x04MQTT\x05\x02\x00\x00\x05\x27\x00\x00\x00\x00\x00\x00",
            // Data without a method.
            b"\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x03\x16\x00\x00\x00\x00",
            // Two subscription identifiers in one SUBSCRIBE.
            b"\x82\x0b\x00\x01\x04\x0b\x01\x0b\x02\x00\x01a\x00",
        ],
    );
    // A property longer than all of them; a length that is padded.
    malformed(V5, &[b"\x30\x07\x00\x01a\x02\x23\x00\x01", b"\x30\x05\x00\x01a\x80\x00"]);
    // What may stand twice.
    super::vectors::decode(b"\x30\x08\x00\x01a\x04\x0b\x01\x0b\x02", V5);
    super::vectors::decode(
        b"\x30\x12\x00\x01a\x0e\x26\x00\x01k\x00\x01v\x26\x00\x01k\x00\x01v",
        V5,
    );
}
