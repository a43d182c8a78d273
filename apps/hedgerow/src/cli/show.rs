//! Showing answers: JSON as it came, or a table for people.

use std::{
    fmt,
    io::{self, Write},
};

use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use serde_json::Value;

/// Prints a line, as `println!` does; when nobody reads any more (`| head`), ends without a word.
macro_rules! out {
    ($($words:tt)*) => { $crate::cli::show::line(format_args!($($words)*)) };
}
pub(crate) use out;

/// The function behind [`out!`].
pub(crate) fn line(words: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(io::stdout().lock(), "{words}") {
        // 141 is what a program that was ended by SIGPIPE gives.
        let is_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        std::process::exit(if is_pipe { 141 } else { 1 });
    }
}

/// A member as people read it: text without quotes, a list with commas, nothing as a hyphen.
pub(crate) fn text(value: &Value, name: &str) -> String {
    match value.pointer(&format!("/{}", name.replace('.', "/"))) {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) if list.is_empty() => "-".into(),
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        Some(Value::Bool(true)) => "yes".into(),
        Some(Value::Bool(false)) => "no".into(),
        Some(other) => other.to_string(),
    }
}

/// The items of a list.
pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.get("items").and_then(Value::as_array).into_iter().flatten()
}

/// Prints JSON, indented.
pub(crate) fn json(value: &Value) {
    out!("{value:#}");
}

/// Prints the items of a list: a heading and a member for each column.
pub(crate) fn table(list: &Value, columns: &[(&str, &str)]) {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(columns.iter().map(|(heading, _)| *heading));
    for item in items(list) {
        table.add_row(columns.iter().map(|(_, name)| text(item, name)));
    }
    out!("{table}");
    if list.get("next").is_some_and(|next| !next.is_null()) {
        out!("(there is more: --json shows where the next page begins)");
    }
}
