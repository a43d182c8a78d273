//! Replays what the fuzz targets start from and what they found.

#[path = "../../../../fuzz/bodies/replay.rs"]
mod replay;
#[path = "../../../../fuzz/bodies/tlog_note.rs"]
mod tlog_note;
#[path = "../../../../fuzz/bodies/tlog_proof.rs"]
mod tlog_proof;

use replay::replay;

#[test]
fn the_corpus_of_tlog_note_holds() {
    replay("tlog_note", tlog_note::run);
}

#[test]
fn the_corpus_of_tlog_proof_holds() {
    replay("tlog_proof", tlog_proof::run);
}
