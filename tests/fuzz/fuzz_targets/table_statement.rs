//! Statements about tables: no words panic, and what a catalog accepts it can carry out.
//!
//! The words of the input are separated by line feeds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tables::catalog::Catalog;
use tables::datum::arithmetic::Arithmetic;
use tables::datum::{Cell, ColumnType, Datum};
use tables::parser::{self, Verb};
use tables::schema::TableId;

fuzz_target!(|data: &[u8]| {
    let words: Vec<&[u8]> = data.split(|&byte| byte == b'\n').collect();
    for verb in [
        Verb::Select,
        Verb::Count,
        Verb::Get,
        Verb::Insert,
        Verb::Update,
        Verb::Delete,
    ] {
        if let Err(error) = parser::statement(verb, &words) {
            assert!(!error.to_string().contains(['\r', '\n']));
        }
    }

    let mut catalog = Catalog::default();
    let definition: &[&[u8]] = &[b"a:integer:hash", b"b:string", b"INDEX", b"a,b"];
    for (id, columns) in [(1, &words[..]), (2, definition)] {
        if let Ok(change) = catalog.plan_create(b"t", columns, TableId(id)) {
            catalog.apply(&change);
        }
    }
    let before = catalog.table(b"t").map(|schema| schema.version);
    if let Ok(Some(change)) = catalog.plan_alter(b"t", &words) {
        catalog.apply(&change);
        let schema = change.schema().expect("the table stays");
        assert_eq!(Ok(schema.version - 1), before);
        for index in &schema.indexes {
            assert!(
                index
                    .columns
                    .iter()
                    .all(|&id| schema.column_of(id).is_some())
            );
        }
    }

    for word in words {
        let sum = Arithmetic::parse(word);
        assert!(sum.is_none_or(|sum| !sum.column.is_empty() && !sum.number.is_empty()));
        for kind in ColumnType::ALL {
            let Some(cell) = Cell::parse(kind, word) else {
                continue;
            };
            let mut text = Vec::new();
            cell.write_text(&mut text);
            assert_eq!(text, word);
            assert_eq!(Datum::operand(kind, word).as_ref(), Some(&cell.datum));
            text.clear();
            cell.datum.write_text(&mut text);
            assert_eq!(Cell::parse(kind, &text), Some(cell.datum.into()));
        }
    }
});
