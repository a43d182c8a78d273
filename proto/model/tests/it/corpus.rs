//! Replays what the fuzz targets start from and what they found.

#[path = "../../../../fuzz/bodies/mapping.rs"]
mod mapping;
#[path = "../../../../fuzz/bodies/profile.rs"]
mod profile;
#[path = "../../../../fuzz/bodies/replay.rs"]
mod replay;
#[path = "../../../../fuzz/bodies/senml_cbor.rs"]
mod senml_cbor;
#[path = "../../../../fuzz/bodies/senml_json.rs"]
mod senml_json;
#[path = "../../../../fuzz/bodies/sparkplug.rs"]
mod sparkplug;

use replay::replay;

#[test]
fn the_corpus_of_profile_holds() {
    replay("profile", profile::run);
}

#[test]
fn the_corpus_of_senml_json_holds() {
    replay("senml_json", senml_json::run);
}

#[test]
fn the_corpus_of_senml_cbor_holds() {
    replay("senml_cbor", senml_cbor::run);
}

#[test]
fn the_corpus_of_mapping_holds() {
    replay("mapping", mapping::run);
}

#[test]
fn the_corpus_of_sparkplug_holds() {
    replay("sparkplug", sparkplug::run);
}
