use std::path::Path;

use hedgerow_telemetry::{Readings, journal::open_block, open, seal, summary};

fn replay(target: &str, accepts: impl Fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let accepted = accepts(&std::fs::read(&path).unwrap());
        assert!(!name.starts_with("good") || accepted, "{target}/{name} was refused");
        assert!(!name.starts_with("bad") || !accepted, "{target}/{name} was accepted");
        seen += 1;
    }
    assert!(seen >= 5, "{target} has a corpus");
}

#[test]
fn chunks() {
    replay("readings_chunk", |chunk| {
        let read = open(chunk);
        if let Ok((said, points)) = &read {
            assert_eq!(summary(chunk), Ok(*said));
            assert!(seal(points).is_ok());
        }
        read.is_ok()
    });
}

#[test]
fn journal_blocks() {
    replay("readings_journal", |block| {
        let _ = Readings::new(block).count();
        open_block(block).is_ok_and(|(mut readings, _)| readings.all(|reading| reading.is_ok()))
    });
}
