//! What `TABLE.HELP` says.

/// Its lines, in the order in which one needs the commands.
pub const LINES: &[&str] = &[
    "TABLE.NAMESPACE.CREATE <namespace> - make room for tables",
    "TABLE.NAMESPACE.VIEW [<namespace>] - list tables as namespace:table, all or those of one namespace",
    "TABLE.NAMESPACE.DROP <namespace> FORCE - remove a namespace that has no tables",
    "TABLE.SCHEMA.CREATE <namespace.table> <col:type[:index]> [UNIQUE] [PRIMARY KEY] [NOT NULL] [DEFAULT <value>] ... [INDEX <col,col[:index]> [UNIQUE] ...]",
    "  type: string, integer, float, date, bool, timestamp; index: hash, btree, none; a table without namespace is in 'default'",
    "TABLE.SCHEMA.VIEW <namespace.table> - list columns: name, type, whether indexed",
    "TABLE.SCHEMA.ALTER <namespace.table> ADD COLUMN <col:type[:index]> [option ...] | DROP COLUMN <col>",
    "TABLE.SCHEMA.ALTER <namespace.table> ADD INDEX <col[,col...][:index]> [UNIQUE] | DROP INDEX <col[,col...]>",
    "TABLE.SCHEMA.ALTER <namespace.table> RENAME COLUMN <col> <new> | RENAME TO <namespace.table>",
    "TABLE.SCHEMA.DROP <namespace.table> FORCE - remove a table and its rows; TABLE.DROP does the same",
    "TABLE.INSERT <namespace.table> <col>=<value> ... [ROW <col>=<value> ...] [ON CONFLICT <col> DO NOTHING | DO UPDATE [SET <col>=<value> ...]] [EX <s> | PX <ms> | EXAT <s> | PXAT <ms>] [RETURNING * | RETURNING <n> <col> ...]",
    "TABLE.SELECT <namespace.table> [WHERE <condition>] [COLUMNS <n> <col> ...] [GROUP BY <n> <col> ...] [ORDER BY <col> [ASC|DESC] ...] [LIMIT [<offset>] <n>] [OFFSET <n>] [AFTER <id>]",
    "TABLE.GET <namespace.table> <id> [COLUMNS <n> <col> ...] - one row by its id",
    "TABLE.COUNT <namespace.table> [WHERE <condition>] - number of rows",
    "TABLE.UPDATE <namespace.table> [WHERE <condition>] SET <col>=<value> ... [UNSET <col> ...] [EX <s> | PX <ms> | EXAT <s> | PXAT <ms> | PERSIST] [RETURNING * | RETURNING <n> <col> ...]",
    "TABLE.DELETE <namespace.table> [WHERE <condition>] [RETURNING * | RETURNING <n> <col> ...]",
    "TABLE.TRUNCATE <namespace.table> - remove all rows at once",
    "  condition: <col><op><value>, or <col> <op> <value> as three arguments for values with any bytes; op: = != <> < <= > >=",
    "  condition: <col> [NOT] IN ( <value> ... ), <col> [NOT] BETWEEN <low> AND <high>, <col> [NOT] LIKE <pattern>, <col> IS [NOT] NULL",
    "  conditions are joined by AND, OR and NOT, AND before OR; ( and ) are arguments of their own; _id is the id of a row",
    "  COLUMNS: also COUNT(*), COUNT(<col>), SUM(<col>), AVG(<col>), MIN(<col>), MAX(<col>); SET: also <col>=<col>+<number>, with + - *",
    "TABLE.INFO [<namespace.table>] - rows, bytes and indexes",
    "TABLE.EXPLAIN SELECT|COUNT|GET|INSERT|UPDATE|DELETE <namespace.table> ... - how a statement would be carried out",
    "TABLE.PROFILE SELECT|COUNT|GET <namespace.table> ... - carry it out and say what it took",
    "TABLE.HELP - this list",
];

#[cfg(test)]
mod tests {
    use super::LINES;

    #[test]
    fn every_line_is_one_line() {
        for line in LINES {
            assert!(!line.contains(['\r', '\n']) && line.is_ascii(), "{line}");
        }
    }
}
