//! Replays what the fuzz targets start from and what they found.

#[path = "../../../../fuzz/bodies/certification_request.rs"]
mod certification_request;
#[path = "../../../../fuzz/bodies/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn the_corpus_of_certification_request_holds() {
    replay("certification_request", certification_request::run);
}
