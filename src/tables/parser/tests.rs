//! Statements: what words mean, which are refused with which error, bounds, and random words.
//!
//! A test whose name begins with `b` and a number is about that fault of the module.

use std::fmt::Write;

use base::limits::{CONDITION_DEPTH_MAX, CONDITIONS_MAX, INSERT_ROWS_MAX};
use base::random::Random;

use super::rows::{count, delete, get, insert, select, update};
use super::*;
use crate::schema::RowId;
use crate::statement::{
    Aggregate, Assignment, Comparison, Condition, Item, NewValue, OnConflict, OrderBy, RowExpiry,
    Select,
};

fn words(text: &str) -> Vec<&[u8]> {
    text.split_ascii_whitespace().map(str::as_bytes).collect()
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes a condition with parentheses around everything that has parts.
fn show(condition: &Condition<'_>) -> String {
    let not = |negated: bool| if negated { "NOT " } else { "" };
    match condition {
        Condition::Compare {
            column,
            comparison,
            value,
        } => format!("{} {} {}", shown(column), sign(*comparison), shown(value)),
        Condition::Between {
            column,
            low,
            high,
            negated,
        } => format!(
            "{} {}BETWEEN {} AND {}",
            shown(column),
            not(*negated),
            shown(low),
            shown(high)
        ),
        Condition::In {
            column,
            values,
            negated,
        } => {
            let values: Vec<String> = values.iter().map(|value| shown(value)).collect();
            let values = values.join(" ");
            format!("{} {}IN ( {values} )", shown(column), not(*negated))
        }
        Condition::Like {
            column,
            pattern,
            negated,
        } => format!("{} {}LIKE {}", shown(column), not(*negated), shown(pattern)),
        Condition::IsNull { column, negated } => {
            format!("{} IS {}NULL", shown(column), not(*negated))
        }
        Condition::And(parts) => joined(parts, "AND"),
        Condition::Or(parts) => joined(parts, "OR"),
        Condition::Not(inner) => format!("NOT {}", show(inner)),
    }
}

fn joined(parts: &[Condition<'_>], connector: &str) -> String {
    let parts: Vec<String> = parts.iter().map(show).collect();
    format!("( {} )", parts.join(&format!(" {connector} ")))
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

/// The condition of a SELECT as [`show`] writes it, or the error.
fn read(text: &str) -> Result<String, TableError> {
    let words = words(text);
    let condition = count(&words)?.condition.expect("the text has a WHERE");
    Ok(show(&condition))
}

fn reads_as(text: &str, expected: &str) {
    assert_eq!(read(text), Ok(expected.to_string()), "{text}");
}

fn fails(text: &str, expected: &TableError) {
    let words = words(text);
    assert_eq!(count(&words).as_ref(), Err(expected), "{text}");
    assert_eq!(select(&words).as_ref(), Err(expected), "{text}");
    assert_eq!(delete(&words).as_ref(), Err(expected), "{text}");
}

fn own_text(error: &TableError) -> bool {
    matches!(error, TableError::Other(_))
}

#[test]
fn one_word_is_split_at_its_first_operator() {
    reads_as("WHERE a=1", "a = 1");
    reads_as("WHERE a>1", "a > 1");
    reads_as("WHERE a<1", "a < 1");
    reads_as("WHERE a>=1", "a >= 1");
    reads_as("WHERE a<=1", "a <= 1");
    reads_as("WHERE a==z", "a = =z");
    reads_as("WHERE a=x=y", "a = x=y");
    reads_as("WHERE a=>1", "a = >1");
    reads_as("WHERE a>>1", "a > >1");
    reads_as("WHERE a=AND", "a = AND");
    reads_as("WHERE a=<b>", "a = <b>");
}

#[test]
fn b19_unequal_is_an_operator() {
    reads_as("WHERE a!=1", "a != 1");
    reads_as("WHERE a<>1", "a != 1");
    reads_as("WHERE a <> 1", "a != 1");
    reads_as("WHERE a != 1", "a != 1");
}

#[test]
fn b15_values_may_hold_operators() {
    reads_as("WHERE a=x>=y", "a = x>=y");
    reads_as("WHERE a = x<=y", "a = x<=y");
    let words = words("a=x>=y b=<=");
    let insert = insert(&words).expect("two assignments");
    let values: Vec<NewValue<'_>> = insert.rows[0].iter().map(|field| field.value).collect();
    assert_eq!(values, [NewValue::Text(b"x>=y"), NewValue::Text(b"<=")]);
}

#[test]
fn three_words_may_hold_any_value() {
    for value in [
        &b""[..],
        b"AND",
        b")",
        b"SET",
        b"=",
        b"a=1",
        b"x\0y",
        b"NULL",
        b"\xff",
    ] {
        for (operator, comparison) in [
            (&b"="[..], Comparison::Equal),
            (b">=", Comparison::GreaterOrEqual),
        ] {
            let words: [&[u8]; 4] = [b"WHERE", b"a", operator, value];
            let condition = count(&words).expect("a comparison").condition;
            let expected = Condition::Compare {
                column: b"a",
                comparison,
                value,
            };
            assert_eq!(condition, Some(expected));
        }
    }
    let words: [&[u8]; 6] = [b"a", b"=", b"SET", b"SET", b"b", b"="];
    assert_eq!(update(&words), Err(TableError::SetFormat));
    let words: [&[u8]; 5] = [b"a", b"=", b"SET", b"SET", b"b="];
    let update = update(&words).expect("a condition and an assignment");
    assert_eq!(update.assignments[0].value, NewValue::Text(b""));
}

#[test]
fn b1_empty_words_are_errors() {
    for words in [
        &[&b"WHERE"[..], b""][..],
        &[b"WHERE", b"a=1", b"AND", b""],
        &[b"WHERE", b"a=1", b""],
    ] {
        assert_eq!(select(words), Err(TableError::ConditionFormat));
        assert_eq!(delete(words), Err(TableError::ConditionFormat));
    }
    assert_eq!(insert(&[b""]), Err(TableError::FieldFormat));
    assert_eq!(insert(&[b"a=1", b""]), Err(TableError::FieldFormat));
    assert_eq!(
        update(&[b"", b"SET", b"a=1"]),
        Err(TableError::ConditionFormat)
    );
    assert_eq!(update(&[b"SET", b"a=1", b""]), Err(TableError::SetFormat));
    assert_eq!(update(&[b"SET", b""]), Err(TableError::SetFormat));
    assert!(select(&[b""]).is_err());
    assert!(get(&[b""]).is_err());
    assert_eq!(definition::create(&[b""]), Err(TableError::ColumnFormat));
    assert_eq!(definition::alter(&[b"", b""]), Err(TableError::AlterSyntax));
}

#[test]
fn words_that_are_no_condition_are_refused() {
    for text in [
        "a", "a=", "a>", "a>=", "a<>", ">5", "=", ">=", "!=1", "AND", "OR", "a =", "a IS",
        "a IS NOT",
    ] {
        fails(&format!("WHERE {text}"), &TableError::ConditionFormat);
    }
    for text in [
        "a IN",
        "a IN (",
        "a IN ( )",
        "a IN ( 1",
        "a IN 0",
        "a IN 2 x",
        "a IN x",
        "a BETWEEN 1",
        "a BETWEEN 1 2",
        "a BETWEEN 1 AND",
        "a LIKE",
        "a NOT",
        "a NOT 1",
        "a NOT IS NULL",
        "NOT",
        "(",
        "a IN 99999999999999999999",
        "a IN 18446744073709551615 b",
    ] {
        fails(&format!("WHERE {text}"), &TableError::ConditionFormat);
    }
}

#[test]
fn b7_where_without_a_condition_is_an_error() {
    fails("WHERE", &TableError::ConditionFormat);
    assert_eq!(
        update(&words("WHERE SET a=1")),
        Err(TableError::ConditionFormat)
    );
}

#[test]
fn b7_a_condition_without_where_deletes_nothing() {
    for text in ["name=Ann", "LIMIT 1", "a", "x WHERE a=1"] {
        let error = delete(&words(text)).expect_err("there is no WHERE in its place");
        assert!(own_text(&error), "{text}");
    }
    fails(
        "x WHERE a=1",
        &delete(&words("x WHERE a=1")).expect_err("refused"),
    );
}

#[test]
fn b8_and_binds_tighter_than_or() {
    reads_as(
        "WHERE a=1 OR b=2 AND c=3",
        "( a = 1 OR ( b = 2 AND c = 3 ) )",
    );
    reads_as(
        "WHERE a=1 AND b=2 OR c=3",
        "( ( a = 1 AND b = 2 ) OR c = 3 )",
    );
    reads_as("WHERE a=1 OR b>2", "( a = 1 OR b > 2 )");
    reads_as("WHERE a=1 or b=2 OR c=3", "( a = 1 OR b = 2 OR c = 3 )");
    reads_as(
        "WHERE ( a=1 OR b=2 ) AND c=3",
        "( ( a = 1 OR b = 2 ) AND c = 3 )",
    );
    reads_as("WHERE NOT a=1 AND b=2", "( NOT a = 1 AND b = 2 )");
    reads_as("WHERE NOT ( a=1 AND b=2 )", "NOT ( a = 1 AND b = 2 )");
    reads_as("WHERE not not a=1", "NOT NOT a = 1");
}

#[test]
fn b9_conditions_need_a_connector() {
    fails("WHERE a=1 b=1", &TableError::Connector);
    fails("WHERE c>1 c<3", &TableError::Connector);
    fails("WHERE a = 1 b = 2", &TableError::Connector);
    for text in ["XOR b=1", "NOT b=1", "&& b=1", ", b=1", "foo"] {
        fails(&format!("WHERE a=1 {text}"), &TableError::ConditionFormat);
    }
}

#[test]
fn connectors_at_the_end_dangle() {
    for text in ["a=1 AND", "a=1 OR", "c>1 AND", "a=1 and", "a=1 AND b=2 OR"] {
        fails(&format!("WHERE {text}"), &TableError::DanglingOperator);
    }
    for text in [
        "WHERE a=1 AND SET c=1",
        "WHERE a=1 OR SET c=1",
        "a=1 AND UNSET c",
    ] {
        assert_eq!(
            update(&words(text)),
            Err(TableError::DanglingOperator),
            "{text}"
        );
    }
}

#[test]
fn further_comparisons_are_of_several_words() {
    reads_as("WHERE a IN ( 1 2 3 )", "a IN ( 1 2 3 )");
    reads_as("WHERE a in 2 ) ( AND b=1", "( a IN ( ) ( ) AND b = 1 )");
    reads_as("WHERE a NOT IN ( x ) OR b=1", "( a NOT IN ( x ) OR b = 1 )");
    reads_as(
        "WHERE a BETWEEN 1 AND 5 AND b=2",
        "( a BETWEEN 1 AND 5 AND b = 2 )",
    );
    reads_as("WHERE a NOT BETWEEN x AND y", "a NOT BETWEEN x AND y");
    reads_as("WHERE a LIKE x%", "a LIKE x%");
    reads_as("WHERE a not like =x", "a NOT LIKE =x");
    reads_as("WHERE a IS NULL", "a IS NULL");
    reads_as("WHERE ( a is not null )", "a IS NOT NULL");
    reads_as("WHERE _id = 5", "_id = 5");
    reads_as("WHERE NOT = 5", "NOT = 5");
}

#[test]
fn parentheses_must_match() {
    for text in ["( a=1", "a=1 )", "( a=1 ) )", "( ( a=1 )", "( a=1 LIMIT )"] {
        let error = count(&words(&format!("WHERE {text}"))).expect_err("they do not");
        assert!(own_text(&error), "{text}");
    }
    fails("WHERE ( )", &TableError::ConditionFormat);
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize, open: &str, close: &str| {
        format!("WHERE {} a=1 {}", open.repeat(depth), close.repeat(depth))
    };
    reads_as(&nested(CONDITION_DEPTH_MAX, "( ", ") "), "a = 1");
    for text in [
        nested(CONDITION_DEPTH_MAX + 1, "( ", ") "),
        nested(CONDITION_DEPTH_MAX + 1, "NOT ", ""),
        nested(1_000_000, "( ", ") "),
        nested(1_000_000, "NOT ( ", ") "),
    ] {
        let error = count(&words(&text)).expect_err("too deep");
        assert!(error.to_string().contains("nested too deeply"));
    }
}

#[test]
fn the_number_of_comparisons_is_bounded() {
    let chain = |count: usize| {
        let mut text = String::from("WHERE a=0");
        for number in 1..count {
            write!(text, " OR a={number}").expect("memory takes all text");
        }
        text
    };
    assert!(count(&words(&chain(CONDITIONS_MAX))).is_ok());
    let error = count(&words(&chain(CONDITIONS_MAX + 1))).expect_err("too many");
    assert!(error.to_string().contains("too many conditions"));
    let list = format!("WHERE a IN ( {} )", "1 ".repeat(CONDITIONS_MAX + 1));
    let error = count(&words(&list)).expect_err("too many");
    assert!(error.to_string().contains("too many conditions"));
}

#[test]
fn clauses_of_a_select_come_in_any_order() {
    let expected = Select {
        condition: None,
        items: vec![
            Item::Column(b"a"),
            Item::Aggregate(Aggregate::Count, None),
            Item::Aggregate(Aggregate::Sum, Some(b"b")),
        ],
        group_by: vec![b"a"],
        order_by: vec![
            OrderBy {
                item: Item::Column(b"a"),
                descending: true,
            },
            OrderBy {
                item: Item::Aggregate(Aggregate::Count, None),
                descending: false,
            },
        ],
        limit: Some(5),
        offset: 10,
        after: Some(RowId(7)),
    };
    for text in [
        "COLUMNS 3 a COUNT(*) sum(b) GROUP BY 1 a ORDER BY a DESC count(*) LIMIT 10 5 AFTER 7",
        "after 7 limit 5 offset 10 order by a desc COUNT(*) asc group by 1 a columns 3 a count(*) SUM(b)",
    ] {
        assert_eq!(select(&words(text)).as_ref(), Ok(&expected), "{text}");
    }
    let with_where = select(&words("WHERE a=1 LIMIT 1"));
    assert_eq!(with_where.map(|select| select.limit), Ok(Some(1)));
}

#[test]
fn clauses_that_are_wrong_are_errors() {
    for text in [
        "LIMIT",
        "LIMIT x",
        "LIMIT -1",
        "LIMIT 1 2 3",
        "LIMIT 1 LIMIT 2",
        "LIMIT 1 2 OFFSET 3",
        "OFFSET",
        "AFTER",
        "AFTER x",
        "COLUMNS",
        "COLUMNS 0",
        "COLUMNS 2 a",
        "COLUMNS a",
        "COLUMNS 18446744073709551615 a",
        "GROUP",
        "GROUP 1 a",
        "GROUP BY",
        "GROUP BY a",
        "ORDER",
        "ORDER a",
        "ORDER BY",
        "COLUMNS 1 a COLUMNS 1 a",
        "SET a=1",
        "RETURNING *",
        "foo",
        "b WHERE a=1",
        "LIMIT 1 WHERE a=1",
        "ROW a=1",
    ] {
        let error = select(&words(text)).expect_err(text);
        assert!(own_text(&error), "{text}");
    }
    for text in [
        "WHERE a=1 SET a=1",
        "WHERE a=1 WHERE a=1",
        "WHERE a=1 LIMIT 1 foo",
    ] {
        assert_eq!(
            select(&words(text)),
            Err(TableError::ConditionFormat),
            "{text}"
        );
    }
}

#[test]
fn aggregates_are_functions_of_columns() {
    let item = clause::item;
    assert_eq!(item(b"count(*)"), Item::Aggregate(Aggregate::Count, None));
    assert_eq!(
        item(b"Avg(x)"),
        Item::Aggregate(Aggregate::Average, Some(b"x"))
    );
    assert_eq!(
        item(b"MIN(a(b))"),
        Item::Aggregate(Aggregate::Minimum, Some(b"a(b)"))
    );
    assert_eq!(
        item(b"max(x)"),
        Item::Aggregate(Aggregate::Maximum, Some(b"x"))
    );
    for column in [
        &b"count"[..],
        b"SUM()",
        b"f(x)",
        b"(x)",
        b")",
        b"SUM(x",
        b"",
    ] {
        assert_eq!(item(column), Item::Column(column));
    }
}

#[test]
fn a_row_is_got_by_its_id() {
    let found = get(&words("12 COLUMNS 2 a _id")).expect("an id and columns");
    assert_eq!(found.id, RowId(12));
    assert_eq!(found.items, [Item::Column(b"a"), Item::Column(b"_id")]);
    for text in ["", "x", "-1", "1 2", "1 COLUMNS", "1 LIMIT 1"] {
        assert!(get(&words(text)).is_err(), "{text}");
    }
}

#[test]
fn an_insert_has_rows_and_clauses() {
    let words =
        words("a=1 b = x ROW a=2 ON CONFLICT a,b DO UPDATE SET b=y RETURNING 2 a _id PX 1500");
    let insert = insert(&words).expect("a whole statement");
    let field = |column, value| Assignment {
        column,
        value: NewValue::Text(value),
    };
    assert_eq!(
        insert.rows,
        [
            vec![field(b"a", b"1"), field(b"b", b"x")],
            vec![field(b"a", b"2")]
        ]
    );
    assert_eq!(
        insert.on_conflict,
        OnConflict::Update {
            column: b"a,b",
            assignments: vec![field(b"b", b"y")]
        }
    );
    assert_eq!(insert.expiry, Some(RowExpiry::In(1500)));
    assert_eq!(insert.returning.map(|items| items.len()), Some(2));
}

#[test]
fn fields_that_are_no_assignment_are_refused() {
    for text in [
        "a",
        "a>5",
        "a<5",
        "a>=5",
        "a<=5",
        "=5",
        "=",
        "a=1 b",
        "a=1 ROW",
        "ROW a=1",
        "a=1 ROW ROW",
        "a =",
        "= 1",
        "EX 10",
        "a=1 WHERE",
        "a=1 SET b=1",
        "a=1 RETURNING * ROW a=2",
    ] {
        assert_eq!(insert(&words(text)), Err(TableError::FieldFormat), "{text}");
    }
    for text in [
        "a=1 ON",
        "a=1 ON CONFLICT",
        "a=1 ON CONFLICT a",
        "a=1 ON CONFLICT a DO",
        "a=1 ON CONFLICT a DO FOO",
        "a=1 EX",
        "a=1 EX 0",
        "a=1 EX -1",
        "a=1 EX 9223372036854775807",
        "a=1 EX 1 PX 1",
        "a=1 RETURNING",
        "a=1 RETURNING * RETURNING *",
    ] {
        let error = insert(&words(text)).expect_err(text);
        assert!(own_text(&error), "{text}");
    }
}

#[test]
fn b16_an_empty_value_can_be_assigned_and_a_value_unset() {
    let words = words("a= UNSET b c");
    let update = update(&[&[&b"SET"[..]], &words[..]].concat()).expect("assignments");
    let values: Vec<NewValue<'_>> = update.assignments.iter().map(|a| a.value).collect();
    assert_eq!(
        values,
        [NewValue::Text(b""), NewValue::Null, NewValue::Null]
    );
}

#[test]
fn b17_a_column_may_be_assigned_twice() {
    let words = words("a=1 a=2");
    let insert = insert(&words).expect("the last one counts");
    assert_eq!(insert.rows[0].len(), 2);
}

#[test]
fn the_number_of_rows_and_fields_is_bounded() {
    let rows = format!("a=1{}", " ROW a=1".repeat(INSERT_ROWS_MAX));
    let error = insert(&words(&rows)).expect_err("too many rows");
    assert!(error.to_string().contains("too many rows"));
    let fields = "a=1 ".repeat(10_000);
    let error = insert(&words(&fields)).expect_err("too many fields");
    assert!(error.to_string().contains("too many assignments"));
}

#[test]
fn b20_equality_is_the_same_in_every_statement() {
    let condition = [&b"WHERE"[..], b"city=Oslo"];
    let expected = Condition::Compare {
        column: b"city",
        comparison: Comparison::Equal,
        value: b"Oslo",
    };
    let selected = select(&condition).expect("a SELECT").condition;
    let deleted = delete(&condition).expect("a DELETE").condition;
    let words = [&condition[..], &[b"SET", b"a=1"]].concat();
    let updated = update(&words).expect("an UPDATE").condition;
    for found in [selected, deleted, updated] {
        assert_eq!(found.as_ref(), Some(&expected));
    }
}

#[test]
fn b30_an_update_of_all_rows_needs_no_second_assignment() {
    let words = words("SET age=1");
    let found = update(&words).expect("one assignment");
    assert_eq!(found.condition, None);
    assert_eq!(found.assignments.len(), 1);
}

#[test]
fn b30_an_update_must_change_something() {
    assert_eq!(
        update(&words("WHERE name=Ann SET")),
        Err(TableError::SetFormat)
    );
    assert_eq!(
        update(&words("WHERE a=1 SET nonsense")),
        Err(TableError::SetFormat)
    );
    assert_eq!(
        update(&words("WHERE a=1 SET a>1")),
        Err(TableError::SetFormat)
    );
    assert_eq!(
        update(&words("WHERE a=1 SET b=1 SET c=1")),
        Err(TableError::SetFormat)
    );
    for text in [
        "WHERE name=Ann age=1",
        "WHERE name=Ann AND age=1",
        "foo bar baz",
    ] {
        assert_eq!(update(&words(text)), Err(TableError::MissingSet), "{text}");
    }
    let few = TableError::WrongWords("TABLE.UPDATE");
    assert_eq!(
        few.to_string(),
        "wrong number of arguments for 'TABLE.UPDATE' command"
    );
    for text in ["", "SET", "WHERE a=1", "a=1"] {
        assert_eq!(update(&words(text)), Err(few.clone()), "{text}");
    }
}

#[test]
fn an_update_needs_no_where() {
    let bare = words("name=Ann and b>1 set age=1 city=X");
    let full = words("WHERE name=Ann AND b>1 SET age=1 city=X");
    assert!(update(&bare).is_ok());
    assert_eq!(update(&bare), update(&full));
    for text in [
        "foo SET age=1",
        "WHERE foo SET age=1",
        "WHERE AND a=1 SET c=1",
        "LIMIT SET a=1",
        "WHERE a=1 LIMIT 1 SET a=1",
    ] {
        assert_eq!(
            update(&words(text)),
            Err(TableError::ConditionFormat),
            "{text}"
        );
    }
    let expiry = words("WHERE a=1 PERSIST RETURNING *");
    let found = update(&expiry).expect("an end of rows is a change");
    assert_eq!(found.expiry, Some(RowExpiry::Never));
    assert_eq!(found.returning, Some(Vec::new()));
}

#[test]
fn keywords_are_known_in_any_case_and_whole_only() {
    assert_eq!(keyword(b"wHeRe"), Some(Keyword::Where));
    for word in [&b"WHER"[..], b"WHERES", b"", b"LIMITS", b"=", b"SET=1"] {
        assert_eq!(keyword(word), None);
    }
    assert_eq!(Verb::of_word(b"table.Select"), Some(Verb::Select));
    assert_eq!(Verb::of_word(b"count"), Some(Verb::Count));
    for word in [&b""[..], b"TABLE.", b"DROP", b"TABLESELECT"] {
        assert_eq!(Verb::of_word(word), None);
    }
}

fn random(name: &str) -> Random {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    println!("{name}: SEED={seed}");
    Random::new(seed)
}

/// Writes a random condition as words, with redundant parentheses here and there.
fn random_condition(random: &mut Random, depth: usize, out: &mut Vec<String>) {
    let column = ["a", "b", "_id", "c d"][random.index(4)].to_string();
    let value =
        |random: &mut Random| ["1", "AND", "(", "x=y", ">", "SET", ""][random.index(7)].to_string();
    let kind = random.index(if depth == 0 { 6 } else { 10 });
    let negated = random.index(2) == 0;
    match kind {
        0 => out.push(format!("{column}={}x", value(random))),
        1 | 2 => {
            let signs = ["=", "!=", "<>", "<", "<=", ">", ">="];
            out.extend([column, signs[random.index(7)].to_string(), value(random)]);
        }
        3 => {
            out.push(column);
            out.extend(negated.then(|| "not".to_string()));
            out.push("BETWEEN".to_string());
            out.push(value(random));
            out.push("AND".to_string());
            out.push(value(random));
        }
        4 => {
            out.push(column);
            out.extend(negated.then(|| "NOT".to_string()));
            out.push("IN".to_string());
            let count = 1 + random.index(3);
            out.push(count.to_string());
            for _ in 0..count {
                out.push(value(random));
            }
        }
        5 => {
            out.extend([column, "IS".to_string()]);
            out.extend(negated.then(|| "NOT".to_string()));
            out.push("NULL".to_string());
        }
        6 => {
            out.push("NOT".to_string());
            parenthesised(random, depth - 1, out);
        }
        _ => {
            let connector = ["AND", "OR"][random.index(2)];
            let count = 2 + random.index(2);
            for index in 0..count {
                if index > 0 {
                    out.push(connector.to_string());
                }
                parenthesised(random, depth - 1, out);
            }
        }
    }
}

fn parenthesised(random: &mut Random, depth: usize, out: &mut Vec<String>) {
    out.push("(".to_string());
    random_condition(random, depth, out);
    out.push(")".to_string());
}

/// Writes a condition as words that are safe whatever its values are.
fn print(condition: &Condition<'_>, out: &mut Vec<Vec<u8>>) {
    let (parts, connector): (_, &[u8]) = match condition {
        Condition::And(parts) => (parts, b"AND"),
        Condition::Or(parts) => (parts, b"OR"),
        Condition::Not(inner) => {
            out.push(b"NOT".to_vec());
            return print(inner, out);
        }
        leaf => return out.extend(leaf_words(leaf).into_iter().map(<[u8]>::to_vec)),
    };
    out.push(b"(".to_vec());
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.push(connector.to_vec());
        }
        print(part, out);
    }
    out.push(b")".to_vec());
}

fn leaf_words<'a>(condition: &Condition<'a>) -> Vec<&'a [u8]> {
    let not = |negated: bool| -> &[&[u8]] { if negated { &[b"NOT"] } else { &[] } };
    match condition {
        Condition::Compare {
            column,
            comparison,
            value,
        } => vec![column, sign(*comparison).as_bytes(), value],
        Condition::Between {
            column,
            low,
            high,
            negated,
        } => [
            &[*column],
            not(*negated),
            &[b"BETWEEN", *low, b"AND", *high],
        ]
        .concat(),
        Condition::In {
            column,
            values,
            negated,
        } => {
            // A number of values that is written out needs no closing parenthesis.
            let counts: [&[u8]; 4] = [b"0", b"1", b"2", b"3"];
            let count = counts[values.len()];
            [&[*column], not(*negated), &[b"IN", count], values].concat()
        }
        Condition::Like {
            column,
            pattern,
            negated,
        } => [&[*column], not(*negated), &[b"LIKE", *pattern]].concat(),
        Condition::IsNull { column, negated } => {
            [&[*column, b"IS"], not(*negated), &[b"NULL"]].concat()
        }
        Condition::And(_) | Condition::Or(_) | Condition::Not(_) => Vec::new(),
    }
}

#[test]
fn printed_conditions_read_back() {
    let mut random = random("conditions");
    for _ in 0..3000 {
        let mut text = vec!["WHERE".to_string()];
        random_condition(&mut random, 4, &mut text);
        let words: Vec<&[u8]> = text.iter().map(String::as_bytes).collect();
        let condition = count(&words)
            .unwrap_or_else(|error| panic!("{text:?}: {error}"))
            .condition;
        let condition = condition.expect("there is a WHERE");
        let mut printed = vec![b"WHERE".to_vec()];
        print(&condition, &mut printed);
        let words: Vec<&[u8]> = printed.iter().map(Vec::as_slice).collect();
        assert_eq!(
            count(&words).map(|count| count.condition),
            Ok(Some(condition)),
            "{text:?}"
        );
    }
}

/// What statements are made of, right and wrong.
const VOCABULARY: &str = "WHERE SET UNSET AND OR NOT ( ) IN BETWEEN LIKE IS NULL ORDER BY LIMIT \
    OFFSET AFTER COLUMNS GROUP RETURNING * ROW ON CONFLICT DO NOTHING UPDATE EX PXAT PERSIST ASC DESC \
    a b a=1 b>=2 a!= = <> >= 1 2 0 -1 18446744073709551615 a:string b:integer:btree c: : UNIQUE PRIMARY \
    KEY DEFAULT INDEX ADD DROP RENAME COLUMN TO a,b a,b:hash COUNT(*) SUM(";

#[test]
fn random_words_never_panic() {
    let mut random = random("words");
    let vocabulary: Vec<&[u8]> = VOCABULARY
        .split(' ')
        .chain(["", "\0", "\u{e9}"])
        .map(str::as_bytes)
        .collect();
    let verbs = [
        Verb::Select,
        Verb::Count,
        Verb::Get,
        Verb::Insert,
        Verb::Update,
        Verb::Delete,
    ];
    let mut read = 0;
    for _ in 0..100_000 {
        let length = random.index(14);
        let words: Vec<&[u8]> = (0..length)
            .map(|_| vocabulary[random.index(vocabulary.len())])
            .collect();
        for verb in verbs {
            read += usize::from(statement(verb, &words).is_ok());
        }
        read += usize::from(definition::create(&words).is_ok());
        read += usize::from(definition::alter(&words).is_ok());
    }
    assert!(read > 1000, "{read} statements were whole ones");
}
