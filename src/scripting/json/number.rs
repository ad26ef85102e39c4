//! Numbers as C reads and writes them: `strtod` at the head of a text, `%.Ng`.

/// Reads the number that `text` begins with, as `strtod` does in the C locale: decimal, hexadecimal with
/// `0x`, infinities and NaN in any case of letters. Returns it with its length, or nothing.
pub(crate) fn scan_number(text: &[u8]) -> Option<(f64, usize)> {
    let (is_negative, sign_len) = match text.first() {
        Some(b'-') => (true, 1),
        Some(b'+') => (false, 1),
        _ => (false, 0),
    };
    let rest = &text[sign_len..];
    let (magnitude, len) = scan_word(rest)
        .or_else(|| scan_hexadecimal(rest))
        .or_else(|| scan_decimal(rest))?;
    let value = if is_negative { -magnitude } else { magnitude };
    Some((value, sign_len + len))
}

fn scan_word(text: &[u8]) -> Option<(f64, usize)> {
    [
        (&b"infinity"[..], f64::INFINITY),
        (b"inf", f64::INFINITY),
        (b"nan", f64::NAN),
    ]
    .into_iter()
    .find(|(word, _)| {
        text.get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word))
    })
    .map(|(word, value)| (value, word.len()))
}

/// Hexadecimal digits with an optional point and power of two. Beyond 64 bits, digits only count.
fn scan_hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let digits = text
        .strip_prefix(b"0x")
        .or_else(|| text.strip_prefix(b"0X"))?;
    let mut at = 0;
    let mut has_digit = false;
    let mut has_point = false;
    let mut mantissa = 0_u64;
    let mut exponent = 0_i32;
    while let Some(&byte) = digits.get(at) {
        if byte == b'.' && !has_point {
            has_point = true;
        } else if let Some(digit) = char::from(byte).to_digit(16) {
            has_digit = true;
            if mantissa >> 60 == 0 {
                mantissa = (mantissa << 4) | u64::from(digit);
                exponent -= if has_point { 4 } else { 0 };
            } else {
                // What is cut off still decides how the rest is rounded.
                mantissa |= u64::from(digit != 0);
                exponent += if has_point { 0 } else { 4 };
            }
        } else {
            break;
        }
        at += 1;
    }
    if !has_digit {
        return None;
    }
    if let Some((power, len)) = scan_exponent(&digits[at..], b'p') {
        exponent = exponent.saturating_add(power);
        at += len;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "rounds to the nearest double, as strtod"
    )]
    let mantissa = mantissa as f64;
    // In two steps, so that neither power of two leaves the range of doubles before the product does.
    let exponent = exponent.clamp(-2200, 2200);
    let half = exponent / 2;
    let value = mantissa * 2_f64.powi(half) * 2_f64.powi(exponent - half);
    Some((value, at + 2))
}

/// A power after `letter` in any case: its value and length.
fn scan_exponent(text: &[u8], letter: u8) -> Option<(i32, usize)> {
    if !text.first()?.eq_ignore_ascii_case(&letter) {
        return None;
    }
    let (is_negative, start) = match text.get(1) {
        Some(b'-') => (true, 2),
        Some(b'+') => (false, 2),
        _ => (false, 1),
    };
    let digits = text.get(start..)?;
    let len = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if len == 0 {
        return None;
    }
    let value = digits[..len].iter().fold(0_i32, |value, &digit| {
        value
            .saturating_mul(10)
            .saturating_add(i32::from(digit - b'0'))
    });
    Some((if is_negative { -value } else { value }, start + len))
}

fn scan_decimal(text: &[u8]) -> Option<(f64, usize)> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(text);
    let mut len = whole;
    let mut fraction = 0;
    if text.get(len) == Some(&b'.') {
        fraction = digits(&text[len + 1..]);
        len += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    if let Some((_, exponent_len)) = scan_exponent(&text[len..], b'e') {
        len += exponent_len;
    }
    let value = std::str::from_utf8(&text[..len]).ok()?.parse().ok()?;
    Some((value, len))
}

/// Appends a finite number with `precision` significant digits, without zeros at the end: `%.Ng`.
///
/// `precision` is at least 1.
pub(crate) fn write_number(out: &mut Vec<u8>, value: f64, precision: usize) {
    let scientific = format!("{:.*e}", precision - 1, value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let precision = i32::try_from(precision).unwrap_or(i32::MAX);
    if (-4..precision).contains(&exponent) {
        let decimals = usize::try_from(precision - 1 - exponent).unwrap_or(0);
        let fixed = format!("{value:.decimals$}");
        out.extend_from_slice(without_zeros(&fixed).as_bytes());
        return;
    }
    out.extend_from_slice(without_zeros(mantissa).as_bytes());
    let sign = if exponent < 0 { '-' } else { '+' };
    out.extend_from_slice(format!("e{sign}{:02}", exponent.unsigned_abs()).as_bytes());
}

/// Cuts zeros off the end of a fraction, and the point if nothing is left.
fn without_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}
