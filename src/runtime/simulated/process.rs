//! The end of a simulated process from within.

/// What a turn of a core unwinds with when the process ends in it.
#[derive(Clone, Copy, Debug)]
pub struct Ended;

/// Ends the process: the turn is not gone on with. Who lets cores have their turns has to catch [`Ended`], and
/// may use none of them any more.
pub fn end(_: u8) -> ! {
    std::panic::resume_unwind(Box::new(Ended))
}
