//! A device profile: nothing may panic, and what is accepted finds its own names.
#![no_main]

use hedgerow_model::Profile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|document: &[u8]| {
    if let Ok(profile) = Profile::parse(document) {
        for (index, property) in profile.properties().iter().enumerate() {
            assert_eq!(profile.property_index(&property.name), Some(index));
        }
    }
});
