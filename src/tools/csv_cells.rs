//! Cells of tables as fields of CSV, and back.
//!
//! A cell without a value is the field `\N`, an empty string is an empty field. A string that is itself backslashes
//! and an `N` gets one more backslash; all others stand as they are.

/// The field of a cell without a value.
const MISSING: &[u8] = b"\\N";

/// Returns whether a field is one or more backslashes and an N.
fn is_marked(field: &[u8]) -> bool {
    match field.split_last() {
        Some((b'N', before)) => !before.is_empty() && before.iter().all(|&byte| byte == b'\\'),
        _ => false,
    }
}

/// Returns the field of a cell.
pub(crate) fn field_of(cell: Option<Vec<u8>>) -> Vec<u8> {
    match cell {
        None => MISSING.to_vec(),
        Some(mut text) => {
            if is_marked(&text) {
                text.insert(0, b'\\');
            }
            text
        }
    }
}

/// Returns the cell of a field.
pub(crate) fn cell_of(field: &[u8]) -> Option<&[u8]> {
    match field {
        MISSING => None,
        field if is_marked(field) => Some(&field[1..]),
        field => Some(field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_comes_back() {
        for cell in [
            None,
            Some(""),
            Some("N"),
            Some("\\N"),
            Some("\\\\N"),
            Some("\\"),
            Some("\\n"),
            Some("a\\N"),
        ] {
            let field = field_of(cell.map(|text| text.as_bytes().to_vec()));
            assert_eq!(cell_of(&field), cell.map(str::as_bytes), "{cell:?}");
        }
        assert_eq!(field_of(None), b"\\N");
        assert_eq!(field_of(Some(Vec::new())), b"");
    }
}
