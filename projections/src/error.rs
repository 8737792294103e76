//! Which errors are whose fault.

/// Whether the data is at fault, so that the same is refused however often it is tried. All else,
/// also a missing table or right, may be mended, and is tried again until it is.
pub(crate) fn is_poison(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Encode(_) => true,
        // Data exception, integrity violation, program limit exceeded, raised by a trigger
        // (PostgreSQL, appendix A).
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["22", "23", "54", "P0"].contains(&code.get(..2).unwrap_or_default())
        }),
        _ => false,
    }
}
