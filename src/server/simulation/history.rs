//! What clients did and saw: the input of the checker, and what a person reads when it finds nothing.

use std::fmt::Write;

use protocol::value::Value;

/// Something a client asked for.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// One command.
    Command(Vec<String>),
    /// `WATCH` of these keys.
    Watch(Vec<String>),
    /// `EXEC` of these commands.
    Exec(Vec<Vec<String>>),
}

/// One request and its reply.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) client: usize,
    /// The connection; a client that was cut off has another one afterwards.
    pub(super) session: usize,
    pub(super) action: Action,
    /// When the client sent it, in nanoseconds.
    pub(super) asked_at: u64,
    /// When the client had the whole reply; none if it was cut off before: perhaps it took place.
    pub(super) answered_at: Option<u64>,
    pub(super) reply: Option<Value>,
}

/// Writes a history in the order of requests.
pub(super) fn print(records: &[Record]) -> String {
    let mut order: Vec<usize> = (0..records.len()).collect();
    order.sort_by_key(|index| records[*index].asked_at);
    let mut text = String::from("       asked    answered  client  request -> reply (us)\n");
    for index in order {
        writeln!(text, "{}", line(index, &records[index])).expect("a String takes everything");
    }
    text
}

/// Writes one request.
pub(super) fn line(index: usize, record: &Record) -> String {
    let answered = record.answered_at.map_or_else(
        || "         -".to_owned(),
        |at| format!("{:>10.1}", micros(at)),
    );
    format!(
        "{:>12.1}  {answered}  {:>4}    #{index} {} -> {}",
        micros(record.asked_at),
        record.client,
        show_action(&record.action),
        record
            .reply
            .as_ref()
            .map_or_else(|| "cut off".to_owned(), show)
    )
}

#[expect(
    clippy::cast_precision_loss,
    reason = "for people, and a simulated time is short"
)]
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

fn show_action(action: &Action) -> String {
    match action {
        Action::Command(words) => words.join(" "),
        Action::Watch(keys) => format!("WATCH {}", keys.join(" ")),
        Action::Exec(commands) => {
            let commands: Vec<String> = commands.iter().map(|words| words.join(" ")).collect();
            format!("MULTI {{ {} }} EXEC", commands.join("; "))
        }
    }
}

/// Writes a reply.
pub(super) fn show(value: &Value) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match value {
        Value::Simple(bytes) | Value::Bulk(bytes) => text(bytes),
        Value::Error(bytes) => format!("-{}", text(bytes)),
        Value::Integer(number) => number.to_string(),
        Value::Null | Value::NullArray => "nil".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(show).collect();
            format!("[{}]", items.join(" "))
        }
        other => format!("{other:?}"),
    }
}
