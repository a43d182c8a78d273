use std::fmt;

use hedgerow_base::Fault;
use hedgerow_identity::{Refusal, RequestProblem};
use hedgerow_model::mapping::MappingError;
use hedgerow_policy::{Denial, TopicGrantError};
use hedgerow_registry::{FilterProblem, NameProblem, WrongStep};

/// Why something was not done: whose fault, what happened, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind, from which each wire makes its code.
    pub fault: Fault,
    /// For people: lower case, no full stop.
    pub reason: String,
}

impl Failure {
    /// A failure with its reason.
    #[must_use]
    pub fn new(fault: Fault, reason: impl Into<String>) -> Self {
        Self { fault, reason: reason.into() }
    }

    /// Nothing there.
    #[must_use]
    pub fn absent(what: &str) -> Self {
        Self::new(Fault::Absent, format!("there is no such {what}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Failure {}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        Self::new(Fault::Denied, denial.to_string())
    }
}

impl From<MappingError> for Failure {
    fn from(error: MappingError) -> Self {
        Self::new(error.fault(), error.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.fault(), refusal.to_string())
    }
}

impl From<RequestProblem> for Failure {
    fn from(problem: RequestProblem) -> Self {
        Self::new(problem.fault(), problem.to_string())
    }
}

impl From<WrongStep> for Failure {
    fn from(wrong: WrongStep) -> Self {
        Self::new(wrong.fault(), wrong.to_string())
    }
}

impl From<NameProblem> for Failure {
    fn from(problem: NameProblem) -> Self {
        Self::new(problem.fault(), problem.to_string())
    }
}

impl From<TopicGrantError> for Failure {
    fn from(error: TopicGrantError) -> Self {
        Self::new(error.fault(), error.to_string())
    }
}

impl From<FilterProblem> for Failure {
    fn from(problem: FilterProblem) -> Self {
        Self::new(problem.fault(), problem.to_string())
    }
}
