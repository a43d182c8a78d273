//! Replays what the fuzz targets start from and what they found.

#[path = "../../../../fuzz/bodies/mqtt_codec.rs"]
mod codec;
#[path = "../../../../fuzz/bodies/replay.rs"]
mod replay;
#[path = "../../../../fuzz/bodies/mqtt_server.rs"]
mod server;

use replay::replay;

// Their inputs are streams: some of each is good, some is not.
fn is_run(run: fn(&[u8])) -> impl Fn(&[u8]) -> bool {
    move |bytes| {
        run(bytes);
        true
    }
}

#[test]
fn the_corpus_of_the_codec_holds() {
    replay("mqtt_codec", is_run(codec::run));
}

#[test]
fn the_corpus_of_the_server_holds() {
    replay("mqtt_server", is_run(server::run));
}
