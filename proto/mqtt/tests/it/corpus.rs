//! Replays what the fuzz targets start from and what they found.

use std::{fs, path::Path};

#[path = "../../../../fuzz/bodies/mqtt_codec.rs"]
mod codec;
#[path = "../../../../fuzz/bodies/mqtt_server.rs"]
mod server;

fn replay(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        run(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 9, "{target}: the corpus has {count} inputs");
}

#[test]
fn the_corpus_of_the_codec_holds() {
    replay("mqtt_codec", codec::run);
}

#[test]
fn the_corpus_of_the_server_holds() {
    replay("mqtt_server", server::run);
}
