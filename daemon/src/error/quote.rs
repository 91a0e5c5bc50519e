//! What a client wrote, as an error message quotes it; and what of an error is quoted in another.

/// How much of what a client sent is shown back to it.
pub(super) const SHOWN_BYTES: usize = 128;

/// What a client wrote, as text for an error message: at most 128 bytes of it.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    lossy(bytes, SHOWN_BYTES)
}

/// The same for the errors that Redis has too, whose texts end at the first zero byte of what they quote.
#[must_use]
pub fn shown_as_redis(bytes: &[u8]) -> String {
    shown(up_to_zero(bytes))
}

/// The text of an error reply without the code `ERR`, which says nothing to people.
#[must_use]
pub fn without_code(text: &str) -> &str {
    text.strip_prefix("ERR ").unwrap_or(text)
}

pub(super) fn up_to_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

pub(super) fn lossy(bytes: &[u8], max: usize) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(max)]).into_owned()
}
