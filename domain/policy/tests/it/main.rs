//! The committed corpus of grants.

#[cfg(test)]
mod corpus;
