//! Replays a target's committed corpus: nothing may panic, what begins with `good` must be accepted, what
//! begins with `bad` refused.

use std::{fs, path::Path};

pub(super) fn replay(target: &str, run: impl Fn(&[u8]) -> bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut seen = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let accepted = run(&fs::read(&path).unwrap());
        assert!(!name.starts_with("good") || accepted, "{target}/{name} was refused");
        assert!(!name.starts_with("bad") || !accepted, "{target}/{name} was accepted");
        seen += 1;
    }
    assert!(seen >= 5, "{target}: the corpus has {seen} inputs");
}
