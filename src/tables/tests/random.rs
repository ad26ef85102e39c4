//! Random tables and statements: the crate on one and several shards, in small and large steps, beside the
//! plain model.
//!
//! `SEED=n` repeats a run, `ROUNDS=n` makes more of them.

use base::random::Random;

use super::harness::{DB, Node, Out, OutRow};
use super::model::{Cond, ModelRow, Val, compare_cells, evaluate};
use crate::executor::Budget;

/// The columns of each table: name, type.
const COLUMNS: [(&str, &str); 7] = [
    ("a", "integer"),
    ("b", "integer"),
    ("c", "float"),
    ("d", "string"),
    ("e", "string"),
    ("f", "date"),
    ("u", "integer"),
];
const UNIQUE: usize = 6;
const OPERATORS: [&str; 6] = ["=", "!=", "<", "<=", ">", ">="];

struct World {
    random: Random,
    nodes: Vec<Node>,
    /// Whether no two rows may have the same value of the last column.
    is_unique: bool,
    rows: Vec<ModelRow>,
    last: u64,
}

#[test]
fn all_statements_do_what_the_model_does() {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    let rounds: u64 = std::env::var("ROUNDS").map_or(12, |text| text.parse().unwrap());
    let mut plain = 0;
    for round in seed..seed + rounds {
        println!("SEED={round}");
        let mut world = World::new(round);
        for step in 0..250 {
            world.step();
            if step % 50 == 49 {
                world.nodes.iter().for_each(Node::check);
            }
        }
        world.finish();
        plain += world
            .nodes
            .iter()
            .filter_map(|it| it.plain_changes)
            .sum::<u64>();
    }
    assert!(plain > 5 * rounds, "{plain} changes took no plan");
}

/// Appends what an INSERT does with a row whose value is there already.
fn push_conflict(words: &mut Vec<String>, conflict: u64, set_text: &str) {
    match conflict {
        0 => words.extend(["ON", "CONFLICT", "u", "DO", "NOTHING"].map(str::to_owned)),
        1 | 2 => words.extend(["ON", "CONFLICT", "u", "DO", "UPDATE"].map(str::to_owned)),
        _ => {}
    }
    if conflict == 2 {
        words.extend(["SET".to_owned(), format!("u={set_text}")]);
    }
}

/// Returns whether another row than `at` has this value of the unique column.
fn has_other(rows: &[ModelRow], at: usize, value: &Val) -> bool {
    let mut rows = rows.iter().enumerate();
    rows.any(|(other, row)| other != at && row.value(UNIQUE) == Some(value))
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut words: Vec<String> = COLUMNS
            .iter()
            .map(|(name, kind)| {
                let index = [":hash", ":btree", "", ""][random.index(4)];
                format!("{name}:{kind}{index}")
            })
            .collect();
        let is_unique = random.below(3) > 0;
        let unique = if is_unique { " UNIQUE" } else { "" };
        words[UNIQUE] = format!("u:integer:{}{unique}", ["hash", "btree"][random.index(2)]);
        for index in ["a,b:btree", "d,c:btree", "b,e:hash", "e,a:btree"] {
            if random.below(3) == 0 {
                words.push(format!("INDEX {index}"));
            }
        }
        let mut nodes: Vec<Node> = [1, 1, 2, 4].into_iter().map(Node::new).collect();
        for (number, node) in nodes.iter_mut().enumerate() {
            node.set_recording();
            node.plain_changes = (number % 2 == 1).then_some(0);
            node.create("t", &words.join(" "));
            if number > 0 {
                node.budget = Budget {
                    look: 1 + random.index(40),
                    write: 1 + random.index(40),
                };
            }
        }
        Self {
            random,
            nodes,
            is_unique,
            rows: Vec::new(),
            last: 0,
        }
    }

    fn finish(&mut self) {
        for node in &mut self.nodes {
            let records = node.take_records();
            node.check_replay(&records);
            node.run("DELETE t");
            node.check();
            for shard in &mut node.shards {
                assert_eq!(shard.rows(DB), 0);
                while shard.free_step(3) {}
            }
        }
    }

    /// Runs words on all nodes and compares.
    fn expect(&mut self, words: &[String], expected: &Out) {
        let bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        for (number, node) in self.nodes.iter_mut().enumerate() {
            let out = node.run_words(&bytes);
            assert_eq!(out, *expected, "node {number}: {}", words.join(" "));
        }
    }

    fn step(&mut self) {
        match self.random.below(12) {
            0..4 => self.insert(),
            4..7 => self.select(),
            7 => self.count(),
            8 => self.group(),
            9 | 10 => self.update(),
            _ => self.delete(),
        }
    }

    fn value(&mut self, column: usize) -> Val {
        match COLUMNS[column].1 {
            "integer" if column == UNIQUE => {
                Val::Int(i64::try_from(self.random.below(60)).unwrap())
            }
            "integer" => Val::Int(i64::try_from(self.random.below(12)).unwrap() - 4),
            "float" => {
                Val::Float(f64::from(i32::try_from(self.random.below(12)).unwrap() - 4) / 2.0)
            }
            "date" => Val::Text(format!("2024-01-{:02}", 1 + self.random.below(9))),
            _ => {
                let texts = [
                    "",
                    "x",
                    "xa",
                    "xab",
                    "y",
                    "zz top of sixteen bytes",
                    "xa\u{e4}",
                ];
                Val::Text(texts[self.random.index(texts.len())].to_owned())
            }
        }
    }

    /// A value and a text for it, which is not always the canonical one.
    fn cell(&mut self, column: usize) -> (Val, String) {
        let value = self.value(column);
        let text = match &value {
            Val::Int(number) if *number >= 0 && self.random.below(4) == 0 => format!("+0{number}"),
            Val::Float(number) if self.random.below(4) == 0 => format!("{number:.2}"),
            Val::Int(_) | Val::Float(_) | Val::Text(_) => value.text(),
        };
        (value, text)
    }

    fn cond(&mut self, depth: u64) -> Cond {
        let column = self.random.index(COLUMNS.len());
        let not = self.random.below(3) == 0;
        match self.random.below(if depth == 0 { 8 } else { 12 }) {
            0..3 => {
                let operator = OPERATORS[self.random.index(6)];
                Cond::Compare(column, operator, self.value(column))
            }
            3 => Cond::Between(column, self.value(column), self.value(column), not),
            4 => {
                let count = 1 + self.random.index(4);
                let values = (0..count).map(|_| self.value(column)).collect();
                Cond::In(column, values, not)
            }
            5 => {
                let column = 3 + self.random.index(2);
                let patterns = ["x%", "%a", "%a%", "xa", "%", "xa%"];
                let pattern = patterns[self.random.index(patterns.len())];
                Cond::Like(column, pattern.to_owned(), not)
            }
            6 => Cond::Null(column, not),
            7 => {
                let id = i64::try_from(self.random.below(self.last + 3)).unwrap();
                Cond::Id(OPERATORS[self.random.index(6)], id)
            }
            8 | 9 => Cond::And(self.conds(depth - 1)),
            10 => Cond::Or(self.conds(depth - 1)),
            _ => Cond::Not(Box::new(self.cond(depth - 1))),
        }
    }

    fn conds(&mut self, depth: u64) -> Vec<Cond> {
        let count = 2 + self.random.index(2);
        (0..count).map(|_| self.cond(depth)).collect()
    }

    /// Perhaps a condition, with its words.
    fn where_words(&mut self, words: &mut Vec<String>) -> Option<Cond> {
        if self.random.below(5) == 0 {
            return None;
        }
        let cond = self.cond(3);
        words.push("WHERE".to_owned());
        push_cond(&cond, words);
        Some(cond)
    }

    fn matching(&self, cond: Option<&Cond>) -> Vec<usize> {
        let is_match = |row: &ModelRow| cond.is_none_or(|cond| evaluate(cond, row) == Some(true));
        (0..self.rows.len())
            .filter(|&row| is_match(&self.rows[row]))
            .collect()
    }

    fn insert(&mut self) {
        let conflict = if self.is_unique {
            self.random.below(5)
        } else {
            4
        };
        let count = 1 + self.random.index(3);
        let mut words = vec!["INSERT".to_owned(), "t".to_owned()];
        let mut new_rows = Vec::new();
        for number in 0..count {
            if number > 0 {
                words.push("ROW".to_owned());
            }
            let mut columns: Vec<usize> = (0..COLUMNS.len()).collect();
            self.random.shuffle(&mut columns);
            // Most rows in the order of declaration.
            if self.random.below(3) > 0 {
                columns.sort_unstable();
            }
            columns.retain(|_| self.random.below(5) > 0);
            if columns.is_empty() {
                columns.push(0);
            }
            let mut cells = Vec::new();
            for column in columns {
                let (value, text) = self.cell(column);
                words.push(format!("{}={text}", COLUMNS[column].0));
                cells.push((column, (value, text)));
            }
            new_rows.push(cells);
        }
        let (set, set_text) = self.cell(UNIQUE);
        push_conflict(&mut words, conflict, &set_text);
        let mut rows = self.rows.clone();
        let mut last = self.last;
        let mut ids = Vec::new();
        for cells in new_rows {
            let wanted = cells.iter().find(|(column, _)| *column == UNIQUE);
            let wanted = wanted.map(|(_, (value, _))| value.clone());
            let wanted = wanted.filter(|_| self.is_unique);
            let holder = rows
                .iter()
                .position(|row| wanted.is_some() && row.value(UNIQUE) == wanted.as_ref());
            match (holder, conflict) {
                (None, _) => {
                    last += 1;
                    let mut row = ModelRow {
                        id: last,
                        cells: std::collections::BTreeMap::new(),
                        order: Vec::new(),
                    };
                    for (column, cell) in cells {
                        row.set(column, Some(cell));
                    }
                    rows.push(row);
                    ids.push(Some(last));
                }
                (Some(_), 0) => ids.push(None),
                (Some(at), 1) => {
                    for (column, cell) in cells {
                        rows[at].set(column, Some(cell));
                    }
                    ids.push(Some(rows[at].id));
                }
                (Some(at), 2) if !has_other(&rows, at, &set) => {
                    rows[at].set(UNIQUE, Some((set.clone(), set_text.clone())));
                    ids.push(Some(rows[at].id));
                }
                (Some(_), _) => {
                    let text = "a row with this value of u exists already".to_owned();
                    self.expect(&words, &Out::Error(text));
                    return;
                }
            }
        }
        self.rows = rows;
        self.last = last;
        self.expect(&words, &Out::Ids(ids));
    }

    fn select(&mut self) {
        let mut words = vec!["SELECT".to_owned(), "t".to_owned()];
        let cond = self.where_words(&mut words);
        let mut found = self.matching(cond.as_ref());
        if self.random.below(4) == 0 {
            let after = self.random.below(self.last + 2);
            words.extend(["AFTER".to_owned(), after.to_string()]);
            found.retain(|&row| self.rows[row].id > after);
        }
        let mut order: Vec<(usize, bool)> = Vec::new();
        if self.random.below(2) == 0 {
            words.extend(["ORDER", "BY"].map(str::to_owned));
            for _ in 0..=self.random.below(3) {
                let (column, down) = (self.random.index(COLUMNS.len()), self.random.below(2) == 0);
                if order.iter().any(|(other, _)| *other == column) {
                    continue;
                }
                words.push(COLUMNS[column].0.to_owned());
                if down {
                    words.push("DESC".to_owned());
                }
                order.push((column, down));
            }
        }
        found.sort_by(|&one, &other| {
            let (one, other) = (&self.rows[one], &self.rows[other]);
            for &(column, down) in &order {
                let ordering = compare_cells(one.value(column), other.value(column));
                if ordering.is_ne() {
                    return if down { ordering.reverse() } else { ordering };
                }
            }
            one.id.cmp(&other.id)
        });
        if self.random.below(2) == 0 {
            let (limit, offset) = (self.random.index(8), self.random.index(4));
            words.extend(["LIMIT".to_owned(), limit.to_string()]);
            words.extend(["OFFSET".to_owned(), offset.to_string()]);
            found = found.into_iter().skip(offset).take(limit).collect();
        }
        let mut items: Option<Vec<usize>> = None;
        if self.random.below(3) == 0 {
            let count = 1 + self.random.index(3);
            let columns: Vec<usize> = (0..count).map(|_| self.random.index(7)).collect();
            words.extend(["COLUMNS".to_owned(), count.to_string()]);
            words.extend(columns.iter().map(|&column| COLUMNS[column].0.to_owned()));
            items = Some(columns);
        }
        let rows = found.iter().map(|&row| self.output(row, items.as_deref()));
        let expected = Out::Rows(rows.collect());
        self.expect(&words, &expected);
    }

    fn output(&self, row: usize, items: Option<&[usize]>) -> OutRow {
        let row = &self.rows[row];
        let columns = items.unwrap_or(&row.order);
        let cell = |&column: &usize| {
            let text = row.cells.get(&column).map(|(_, text)| text.clone());
            (COLUMNS[column].0.to_owned(), text)
        };
        columns.iter().map(cell).collect()
    }

    fn count(&mut self) {
        let mut words = vec!["COUNT".to_owned(), "t".to_owned()];
        let cond = self.where_words(&mut words);
        let count = self.matching(cond.as_ref()).len();
        self.expect(&words, &Out::Count(u64::try_from(count).unwrap()));
    }

    fn group(&mut self) {
        let mut words = vec!["SELECT".to_owned(), "t".to_owned()];
        let cond = self.where_words(&mut words);
        let found = self.matching(cond.as_ref());
        let by: Vec<usize> = (0..self.random.index(3)).map(|at| at * 3).collect();
        if !by.is_empty() {
            words.extend(["GROUP".to_owned(), "BY".to_owned(), by.len().to_string()]);
            words.extend(by.iter().map(|&column| COLUMNS[column].0.to_owned()));
        }
        let mut names: Vec<String> = by.iter().map(|&at| COLUMNS[at].0.to_owned()).collect();
        let aggregates = [
            ("COUNT", 7),
            ("COUNT", 3),
            ("SUM", 1),
            ("SUM", 2),
            ("AVG", 1),
            ("MIN", 3),
            ("MAX", 5),
            ("MIN", 2),
            ("MAX", 0),
        ];
        for (name, column) in aggregates {
            let column = COLUMNS.get(column).map_or("*", |(column, _)| column);
            names.push(format!("{name}({column})"));
        }
        words.extend(["COLUMNS".to_owned(), names.len().to_string()]);
        words.extend(names.iter().cloned());
        let mut groups: Vec<(Vec<Option<Val>>, Vec<usize>)> = Vec::new();
        if by.is_empty() {
            groups.push((Vec::new(), Vec::new()));
        }
        for row in found {
            let values = by.iter().map(|&at| self.rows[row].value(at).cloned());
            let values: Vec<Option<Val>> = values.collect();
            match groups.iter_mut().find(|(other, _)| *other == values) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((values, vec![row])),
            }
        }
        groups.sort_by(|(one, _), (other, _)| {
            let pairs = one.iter().zip(other);
            let mut orderings = pairs.map(|(a, b)| compare_cells(a.as_ref(), b.as_ref()));
            orderings
                .find(|ordering| ordering.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        let rows = groups.iter().map(|(values, rows)| {
            let mut texts: Vec<Option<String>> = values
                .iter()
                .map(|value| value.as_ref().map(Val::text))
                .collect();
            for (name, column) in aggregates {
                texts.push(self.aggregate(name, column, rows));
            }
            names.iter().cloned().zip(texts).collect()
        });
        let expected = Out::Rows(rows.collect());
        self.expect(&words, &expected);
    }

    fn aggregate(&self, name: &str, column: usize, rows: &[usize]) -> Option<String> {
        if column == 7 {
            return Some(rows.len().to_string());
        }
        let values: Vec<&Val> = rows
            .iter()
            .filter_map(|&row| self.rows[row].value(column))
            .collect();
        if name == "COUNT" {
            return Some(values.len().to_string());
        }
        let number = |value: &Val| match value {
            Val::Int(number) => f64::from(i32::try_from(*number).unwrap()),
            Val::Float(number) => *number,
            Val::Text(_) => panic!("no number"),
        };
        let sum = || -> f64 { values.iter().map(|value| number(value)).sum() };
        let count = f64::from(u32::try_from(values.len()).unwrap());
        // Halves and their sums are exact, and have no other text as integers.
        match name {
            _ if values.is_empty() => None,
            "SUM" => Some((sum() + 0.0).to_string()),
            "AVG" => Some((sum() / count + 0.0).to_string()),
            "MIN" => values.iter().min_by(|a, b| a.compare(b)).map(|v| v.text()),
            _ => values.iter().max_by(|a, b| a.compare(b)).map(|v| v.text()),
        }
    }

    fn update(&mut self) {
        let mut words = vec!["UPDATE".to_owned(), "t".to_owned()];
        let cond = self.where_words(&mut words);
        words.push("SET".to_owned());
        let column = self.random.index(COLUMNS.len());
        let found = self.matching(cond.as_ref());
        let mut rows = self.rows.clone();
        let is_number = matches!(COLUMNS[column].1, "integer");
        if is_number && self.random.below(2) == 0 {
            words.push(format!("{0}={0}+1", COLUMNS[column].0));
            for &row in &found {
                if let Some(Val::Int(number)) = rows[row].value(column).cloned() {
                    let value = Val::Int(number + 1);
                    let text = value.text();
                    rows[row].set(column, Some((value, text)));
                }
            }
        } else {
            let (value, text) = self.cell(column);
            words.push(format!("{}={text}", COLUMNS[column].0));
            for &row in &found {
                rows[row].set(column, Some((value.clone(), text.clone())));
            }
        }
        let other = self.random.index(UNIQUE);
        if other != column && self.random.below(3) == 0 {
            words.extend(["UNSET".to_owned(), COLUMNS[other].0.to_owned()]);
            for &row in &found {
                rows[row].set(other, None);
            }
        }
        let mut taken: Vec<&Val> = rows.iter().filter_map(|row| row.value(UNIQUE)).collect();
        if !self.is_unique {
            taken.clear();
        }
        taken.sort_by(|one, other| one.compare(other));
        if taken.windows(2).any(|pair| pair[0] == pair[1]) {
            let text = "a row with this value of u exists already".to_owned();
            self.expect(&words, &Out::Error(text));
            return;
        }
        self.rows = rows;
        if self.random.below(3) == 0 {
            words.extend(["RETURNING", "*"].map(str::to_owned));
            let rows = found.iter().map(|&row| self.output(row, None));
            let expected = Out::Rows(rows.collect());
            self.expect(&words, &expected);
        } else {
            let count = u64::try_from(found.len()).unwrap();
            self.expect(&words, &Out::Count(count));
        }
    }

    fn delete(&mut self) {
        let mut words = vec!["DELETE".to_owned(), "t".to_owned(), "WHERE".to_owned()];
        // Not too many: a condition that few rows meet.
        let cond = Cond::And(vec![self.cond(1), self.cond(1)]);
        push_cond(&cond, &mut words);
        let found = self.matching(Some(&cond));
        let returning = self.random.below(3) == 0;
        let rows: Vec<OutRow> = found.iter().map(|&row| self.output(row, None)).collect();
        let ids: Vec<u64> = found.iter().map(|&row| self.rows[row].id).collect();
        self.rows.retain(|row| !ids.contains(&row.id));
        if returning {
            words.extend(["RETURNING", "*"].map(str::to_owned));
            self.expect(&words, &Out::Rows(rows));
        } else {
            let count = u64::try_from(found.len()).unwrap();
            self.expect(&words, &Out::Count(count));
        }
    }
}

fn push_cond(cond: &Cond, words: &mut Vec<String>) {
    let name = |column: &usize| COLUMNS[*column].0.to_owned();
    let not = |words: &mut Vec<String>, not: &bool| {
        if *not {
            words.push("NOT".to_owned());
        }
    };
    match cond {
        Cond::Compare(column, operator, value) => {
            words.extend([name(column), (*operator).to_owned(), value.text()]);
        }
        Cond::Between(column, low, high, negated) => {
            words.push(name(column));
            not(words, negated);
            words.extend([
                "BETWEEN".to_owned(),
                low.text(),
                "AND".to_owned(),
                high.text(),
            ]);
        }
        Cond::In(column, values, negated) => {
            words.push(name(column));
            not(words, negated);
            words.extend(["IN", "("].map(str::to_owned));
            words.extend(values.iter().map(Val::text));
            words.push(")".to_owned());
        }
        Cond::Like(column, pattern, negated) => {
            words.push(name(column));
            not(words, negated);
            words.extend(["LIKE".to_owned(), pattern.clone()]);
        }
        Cond::Null(column, negated) => {
            words.extend([name(column), "IS".to_owned()]);
            not(words, negated);
            words.push("NULL".to_owned());
        }
        Cond::Id(operator, id) => {
            words.extend(["_id".to_owned(), (*operator).to_owned(), id.to_string()]);
        }
        Cond::And(parts) | Cond::Or(parts) => {
            let word = if matches!(cond, Cond::And(_)) {
                "AND"
            } else {
                "OR"
            };
            words.push("(".to_owned());
            for (number, part) in parts.iter().enumerate() {
                if number > 0 {
                    words.push(word.to_owned());
                }
                push_cond(part, words);
            }
            words.push(")".to_owned());
        }
        Cond::Not(inner) => {
            words.extend(["NOT", "("].map(str::to_owned));
            push_cond(inner, words);
            words.push(")".to_owned());
        }
    }
}
