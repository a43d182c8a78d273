//! What an emulated TPM said, and what none would say.

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod exchanges;
