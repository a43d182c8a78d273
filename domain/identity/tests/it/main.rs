//! The committed corpus of certification requests.

#[cfg(test)]
mod corpus;
