use hedgerow_base::Fault;
use hedgerow_control::Failure;

/// SQLITE_FULL and SQLITE_IOERR, the primary codes.
const FULL: i64 = 13;
const IO_ERROR: i64 = 10;
/// SQLITE_CONSTRAINT.
const CONSTRAINT: i64 = 19;

/// What a database error means to whoever asked.
pub(super) fn failure(error: sqlx::Error) -> Failure {
    let code = match &error {
        sqlx::Error::Database(inner) => inner.code().and_then(|code| code.parse::<i64>().ok()),
        _ => None,
    };
    match code.map(|code| code & 0xff) {
        Some(FULL) => {
            let reason = "the disk is full; free some space, the hub goes on by itself";
            Failure::new(Fault::Unavailable, reason)
        }
        Some(IO_ERROR) => {
            Failure::new(Fault::Unavailable, format!("the disk could not be written: {error}"))
        }
        Some(CONSTRAINT) => {
            Failure::new(Fault::Conflict, "somebody else did this at the same time; look again")
        }
        _ => Failure::new(Fault::Broken, format!("the store failed: {error}")),
    }
}

/// A row that we wrote ourselves can't be read back.
pub(super) fn damaged(what: &str) -> Failure {
    Failure::new(Fault::Broken, format!("the store is damaged: {what}"))
}
