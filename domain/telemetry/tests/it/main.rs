//! The committed corpora of journal and chunks: what begins with `good` is read, `bad` is refused.

#[cfg(test)]
mod corpus;
