use hedgerow_base::Timestamp;
use hedgerow_policy::Actor;

/// What every request carries through the corridor.
#[derive(Clone, Copy, Debug)]
pub struct Ctx {
    /// Who asks.
    pub actor: Actor,
    /// Read once at the door.
    pub now: Timestamp,
}

impl Ctx {
    /// A request of `actor` at `now`.
    #[must_use]
    pub const fn new(actor: Actor, now: Timestamp) -> Self {
        Self { actor, now }
    }
}
