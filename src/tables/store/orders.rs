//! The orders in which rows got their columns, each kept once.
//!
//! Most rows of a table get their columns in one order. A row has the code of its order; the orders stay
//! until the table's rows go. When there are too many, rows get the order of declaration.

use base::hash::Map;

use crate::schema::ColumnId;

/// Most orders of a table. Each costs memory as long as the table has rows.
const ORDERS_MAX: usize = 4096;

/// What an order costs beside its columns: a boxed slice in the list and one in the map.
const ORDER_BYTES: usize = 64;

/// The code of an order.
pub(crate) type OrderCode = u16;

/// The code of "as declared", for rows beyond [`ORDERS_MAX`].
pub(crate) const AS_DECLARED: OrderCode = OrderCode::MAX;

/// The orders of a table.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    orders: Vec<Box<[ColumnId]>>,
    codes: Map<Box<[ColumnId]>, OrderCode>,
    last: OrderCode,
    bytes: usize,
}

impl Orders {
    /// Returns the code of an order, a new one if need be. The order used last is found at once.
    pub(super) fn code(&mut self, columns: &[ColumnId]) -> OrderCode {
        if self.at(self.last).is_some_and(|order| order == columns) {
            return self.last;
        }
        let code = if let Some(&code) = self.codes.get(columns) {
            code
        } else if self.orders.len() < ORDERS_MAX {
            let code = OrderCode::try_from(self.orders.len()).unwrap_or(AS_DECLARED);
            self.orders.push(columns.into());
            self.codes.insert(columns.into(), code);
            self.bytes += 2 * size_of_val(columns) + ORDER_BYTES;
            code
        } else {
            return AS_DECLARED;
        };
        self.last = code;
        code
    }

    /// Returns the columns of an order; `None` for that of declaration.
    #[inline]
    pub(crate) fn at(&self, code: OrderCode) -> Option<&[ColumnId]> {
        self.orders.get(usize::from(code)).map(AsRef::as_ref)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
