//! The committed corpora of checkpoints and proofs.

#[cfg(test)]
mod corpus;
