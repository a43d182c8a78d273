//! What must hold for any bytes: no panic, and whatever is read is written back as something that
//! reads the same. The first byte chooses the version.

use hedgerow_mqtt::{Packet, Split, Version, split, topic};

pub(super) fn run(bytes: &[u8]) {
    let Some((choice, mut stream)) = bytes.split_first() else { return };
    let version = if choice & 1 == 0 { Version::V311 } else { Version::V5 };
    while let Ok(Split::Whole(frame, rest)) = split(stream, 1 << 16) {
        assert_eq!(frame.bytes.len() + rest.len(), stream.len());
        stream = rest;
        let Ok(packet) = Packet::decode(frame, version) else { continue };
        let version = match packet {
            Packet::Connect(connect) => connect.version,
            _ => version,
        };
        let once = written(packet, version);
        let Ok(Split::Whole(frame, [])) = split(&once, 1 << 17) else { panic!("not one frame") };
        let again = Packet::decode(frame, version).expect("what was written is read");
        assert_eq!(once, written(again, version));
        if let Packet::Subscribe(subscribe) = packet {
            for (filter, _) in subscribe.filters.iter() {
                assert!(topic::check_filter(filter).is_ok());
                let _ = topic::matches(filter, "a/b");
            }
        }
    }
}

fn written(packet: Packet<'_>, version: Version) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes).expect("a vector takes everything");
    bytes
}
