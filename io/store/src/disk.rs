//! What the disk says.

/// Whether the disk, or the database's quota, is full (SQLITE_FULL) or failed to write (SQLITE_IOERR).
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    let code = code.and_then(|code| code.parse::<u32>().ok());
    matches!(code.map(|code| code & 0xff), Some(13 | 10))
}
