//! What executing needs to know of the format of replies.

/// Writes the parts of a reply. `commands` has one for each version of the protocol.
pub trait Encode {
    /// Begins an array of `len` elements.
    fn array(&self, out: &mut Vec<u8>, len: usize);
    /// Appends a string of bytes.
    fn bulk(&self, out: &mut Vec<u8>, bytes: &[u8]);
    /// Appends the first `len` bytes, at most 15, as such a string.
    fn short(&self, out: &mut Vec<u8>, bytes: &[u8; 16], len: usize) {
        self.bulk(out, &bytes[..len]);
    }
    /// Appends an integer as such a string.
    fn integer(&self, out: &mut Vec<u8>, value: i64);
    /// Appends "nothing".
    fn null(&self, out: &mut Vec<u8>);
}
