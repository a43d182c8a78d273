//! The published examples of SenML, the committed corpora, and the guide's JSON Schema.

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod senml;
