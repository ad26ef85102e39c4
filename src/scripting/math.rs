//! `math.random` and `math.randomseed` with a generator of their own, as in Redis.
//!
//! The sequence is that of the C library's `lrand48`, so it is the same on every machine. An interpreter
//! begins with seed 0 and goes on from script to script. Source: POSIX for the generator, observed on
//! Redis 7.0.15 for its use.

use crate::answer::truncated;
use crate::engine::lua::{Lua, Raise};
use crate::engine::native::{Results, native};

/// A 48-bit linear congruential generator.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

const MASK: u64 = (1 << 48) - 1;

impl Default for Random {
    fn default() -> Self {
        Self::from_seed(0)
    }
}

impl Random {
    /// Begins the sequence of `seed`.
    pub(crate) const fn from_seed(seed: u32) -> Self {
        // The low 16 bits are POSIX's.
        Self {
            state: ((seed as u64) << 16) | 0x330e,
        }
    }

    /// The next number, at least 0 and below 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        self.state = self.state.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & MASK;
        let bits = u32::try_from(self.state >> 17).unwrap_or(0);
        f64::from(bits % 0x7fff_ffff) / f64::from(0x7fff_ffff_u32)
    }
}

/// Puts the functions into the table `math` on top of the stack.
pub(crate) fn install(lua: &mut Lua<'_>) -> Result<(), Raise> {
    lua.push_native(native(random))?;
    lua.raw_set_field(-2, b"random")?;
    lua.push_native(native(seed))?;
    lua.raw_set_field(-2, b"randomseed")
}

fn random(lua: &mut Lua<'_>) -> Results {
    let fraction = lua.context().random.borrow_mut().fraction();
    let value = match lua.top() {
        0 => fraction,
        1 => {
            let above = low_integer(lua.check_number(1)?);
            if above < 1 {
                return Err(lua.argument_error(1, "interval is empty"));
            }
            (fraction * f64::from(above)).floor() + 1.0
        }
        2 => {
            let first = low_integer(lua.check_number(1)?);
            let last = low_integer(lua.check_number(2)?);
            if first > last {
                return Err(lua.argument_error(2, "interval is empty"));
            }
            let count = last.wrapping_sub(first).wrapping_add(1);
            (fraction * f64::from(count)).floor() + f64::from(first)
        }
        _ => return Err(Raise::text("wrong number of arguments")),
    };
    lua.push_number(value)?;
    Ok(1)
}

fn seed(lua: &mut Lua<'_>) -> Results {
    let seed = low_integer(lua.check_number(1)?);
    let next = Random::from_seed(seed.cast_unsigned());
    lua.context().random.replace(next);
    Ok(0)
}

/// A number as C's `int`: the low 32 bits of the integer.
fn low_integer(value: f64) -> i32 {
    let [a, b, c, d, ..] = truncated(value).to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}
