//! Replays what the fuzz targets start from and what they found.

#[path = "../../../../fuzz/bodies/replay.rs"]
mod replay;
#[path = "../../../../fuzz/bodies/topic_grant.rs"]
mod topic_grant;

use replay::replay;

#[test]
fn the_corpus_of_topic_grant_holds() {
    replay("topic_grant", topic_grant::run);
}
