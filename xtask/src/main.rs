//! The house rules as a program.
fn main() {}
