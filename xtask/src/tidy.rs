//! Lengths, words, dead files, and what must not be told.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::run::{Outcome, top};

/// Lines of a file with its tests; the wall of the house style.
const LINES_MAX: usize = 700;

/// Words that stay out of the code, with what to write instead.
const WORDS: [(&str, &str); 8] = [
    ("TODO", "do it, or open an issue"),
    ("FIXME", "mend it, or open an issue"),
    ("XXX", "say what it is"),
    ("#[ignore", "a test that does not run holds nothing"),
    ("Manager", "name what it does"),
    ("fn get_", "name what it gives"),
    ("mod utils", "name what is in it"),
    ("mod helpers", "name what is in it"),
];

/// Folders that are not ours to judge.
const LEFT_OUT: [&str; 5] = ["target", "node_modules", ".git", "corpus", "vendor"];

pub(crate) fn rust_files(top: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(top, &mut files);
    files.retain(|path| path.extension().is_some_and(|ending| ending == "rs"));
    files.sort();
    files
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_directory && !LEFT_OUT.contains(&name.as_str()) {
            walk(&path, files);
        } else if !is_directory {
            files.push(path);
        }
    }
}

pub(crate) fn check() -> Outcome {
    let top = top();
    let mut problems = Vec::new();
    let files = rust_files(&top);
    for path in &files {
        let shown = path.strip_prefix(&top).unwrap_or(path).to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap_or_default();
        let lines = text.lines().count();
        if lines > LINES_MAX {
            problems.push(format!("{shown}: {lines} lines; the wall is {LINES_MAX}"));
        }
        if !shown.starts_with("xtask/") {
            problems.extend(words(&shown, &text));
        }
        if is_dead(path, &files) {
            problems.push(format!("{shown}: no module declares it"));
        }
    }
    problems.extend(tests_named(&top));
    problems.extend(limits_unnamed(&top));
    if problems.is_empty() {
        eprintln!("tidy: {} files are in order", files.len());
        return Ok(());
    }
    Err(format!("untidy:\n  {}", problems.join("\n  ")))
}

/// Tests that a page on conformance names, as `file.rs::test`, and that are not there.
fn tests_named(top: &Path) -> Vec<String> {
    let mut pages = Vec::new();
    walk(&top.join("docs/conformance"), &mut pages);
    let mut problems = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap_or_default();
        for (file, test) in text.split('`').filter_map(|quoted| quoted.split_once(".rs::")) {
            let source = fs::read_to_string(top.join(format!("{file}.rs"))).unwrap_or_default();
            if !has_test(&source, test) {
                let shown = page.strip_prefix(top).unwrap_or(&page).display();
                problems.push(format!("{shown}: no test {file}.rs::{test}"));
            }
        }
    }
    problems
}

/// Where limits are whose tests are listed in `docs/conformance/limits.md`.
const LIMITS: [&str; 3] =
    ["io/wire/src/limits.rs", "proto/mqtt/src/limits.rs", "io/listen/src/limits.rs"];

/// Limits that the page doesn't have.
fn limits_unnamed(top: &Path) -> Vec<String> {
    let page = fs::read_to_string(top.join("docs/conformance/limits.md")).unwrap_or_default();
    let mut problems = Vec::new();
    for file in LIMITS {
        let source = fs::read_to_string(top.join(file)).unwrap_or_default();
        let section = page.split("\n## ").find(|section| section.starts_with(file));
        for name in constants(&source) {
            if !section.is_some_and(|section| section.contains(&format!("| {name} |"))) {
                problems
                    .push(format!("docs/conformance/limits.md: nothing about {name} of {file}"));
            }
        }
    }
    problems
}

/// The names of public constants.
fn constants(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| {
        let rest = line.strip_prefix("pub const ").or(line.strip_prefix("pub(crate) const "))?;
        rest.split_once(':').map(|(name, _)| name)
    })
}

/// Whether the source has a function of this name right below a test attribute.
fn has_test(source: &str, test: &str) -> bool {
    let mut lines = source.lines().map(str::trim_start);
    while lines.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test")) {
        let function = lines.find(|line| line.contains("fn "));
        if function.is_some_and(|line| line.contains(&format!("fn {test}("))) {
            return true;
        }
    }
    false
}

fn words(shown: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (word, instead) in WORDS {
            if line.contains(word) {
                found.push(format!("{shown}:{}: `{word}`: {instead}", number + 1));
            }
        }
    }
    found
}

/// Whether a source file is reached by no `mod` of its parent.
fn is_dead(path: &Path, files: &[PathBuf]) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let directory = path.parent().unwrap_or(path);
    let is_root = matches!(stem.as_str(), "lib" | "main" | "build")
        || directory.ends_with("bin")
        || directory.ends_with("fuzz_targets")
        || directory.ends_with("fuzz/bodies")
        || directory.ends_with("tests") && !directory.ends_with("src/tests");
    if is_root {
        return false;
    }
    let (name, home) = match stem.as_str() {
        "mod" => {
            let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, directory.parent().unwrap_or(directory))
        }
        _ => (stem, directory),
    };
    let beside = home.with_extension("rs");
    let parents = ["lib.rs", "main.rs", "mod.rs"].map(|file| home.join(file));
    let declares = |file: &PathBuf| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| {
            let line =
                line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            let line = line.trim_start_matches("pub(super) ");
            line == format!("mod {name};") || line.starts_with(&format!("mod {name} {{"))
        })
    };
    let mut all = files.iter().filter(|file| parents.contains(file) || **file == beside);
    !all.any(declares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_with_their_line() {
        let found = words("a.rs", "fn a() {}\n// TODO: later\n");
        assert_eq!(found, ["a.rs:2: `TODO`: do it, or open an issue"]);
    }

    #[test]
    fn a_test_that_is_gone_is_not_found() {
        let source = "#[test]\nfn there() {}\nfn no_test() {}\n#[test]\nfn there_too() {}\n";
        assert!(has_test(source, "there") && has_test(source, "there_too"));
        assert!(!has_test(source, "no_test") && !has_test(source, "the"));
    }

    #[test]
    fn constants_are_found_by_their_names() {
        let source =
            "pub const A_MAX: usize = 1;\npub(crate) const B: u8 = 2;\nconst OWN: u8 = 3;\n";
        assert_eq!(constants(source).collect::<Vec<_>>(), ["A_MAX", "B"]);
    }

    #[test]
    fn this_house_has_no_dead_file_among_these() {
        let top = top();
        let files = rust_files(&top);
        assert!(!is_dead(&top.join("xtask/src/tidy.rs"), &files));
        assert!(is_dead(&top.join("xtask/src/nobody.rs"), &files));
    }
}
