//! Replays what the fuzz targets start from and what they found.

#[path = "../../../../fuzz/bodies/readings_chunk.rs"]
mod readings_chunk;
#[path = "../../../../fuzz/bodies/readings_journal.rs"]
mod readings_journal;
#[path = "../../../../fuzz/bodies/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn the_corpus_of_readings_chunk_holds() {
    replay("readings_chunk", readings_chunk::run);
}

#[test]
fn the_corpus_of_readings_journal_holds() {
    replay("readings_journal", readings_journal::run);
}
