//! A device profile: what is accepted finds its own names.

use hedgerow_model::Profile;

pub(super) fn run(document: &[u8]) -> bool {
    let Ok(profile) = Profile::parse(document) else { return false };
    for (index, property) in profile.properties().iter().enumerate() {
        assert_eq!(profile.property_index(&property.name), Some(index));
    }
    true
}
