//! The committed corpora of claim codes, EST bodies and DER.

#[cfg(test)]
mod corpus;
