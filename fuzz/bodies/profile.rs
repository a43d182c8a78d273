//! A device profile: what is accepted finds its own names, and a device can be told whatever is mapped.

use hedgerow_base::Timestamp;
use hedgerow_model::{
    Profile,
    mapping::{Mapping, Names, Told},
};

pub(super) fn run(document: &[u8]) -> bool {
    let Ok(profile) = Profile::parse(document) else { return false };
    for (index, property) in profile.properties().iter().enumerate() {
        assert_eq!(profile.property_index(&property.name), Some(index));
    }
    let Ok(mapping) = Mapping::compile(profile.plan(), &Names::default(), "id") else {
        return true;
    };
    for (topic, told) in mapping.commands() {
        assert!(profile.plan().command(told).is_some(), "{topic}");
        for input in ["true", "7", "\"ON\"", "{}"] {
            let sent = mapping.command(told, input.as_bytes(), Timestamp::from_secs(0));
            assert!(!matches!(sent, Ok(None)), "{topic}");
            // What is written is of the property's kind, so of these four one at most is.
            let is_written = matches!(told, Told::Property(_)) && sent.is_ok();
            assert!(!is_written || input != "{}", "{topic}");
        }
    }
    true
}
