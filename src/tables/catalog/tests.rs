//! Definitions against a catalog: what they make, what they refuse, and that a refusal changes nothing.

use super::*;
use crate::schema::{IndexKind, IndexState, Layout};

/// A catalog, and the shards that follow it.
struct World {
    catalog: Catalog,
    next: u64,
}

impl World {
    /// With the namespace `n`.
    fn new() -> Self {
        let mut world = Self {
            catalog: Catalog::default(),
            next: 1,
        };
        world.does(world.catalog.plan_create_namespace(b"n"));
        world
    }

    fn does(&mut self, change: Result<SchemaChange, TableError>) {
        self.catalog.apply(&change.expect("a valid change"));
    }

    fn create(&mut self, text: &str) -> Result<(), TableError> {
        let words = words(text);
        let id = TableId(self.next);
        self.next += 1;
        let change = self.catalog.plan_create(words[0], &words[1..], id)?;
        self.catalog.apply(&change);
        Ok(())
    }

    /// Returns whether anything was to be done.
    fn alter(&mut self, text: &str) -> Result<bool, TableError> {
        let words = words(text);
        let change = self.catalog.plan_alter(words[0], &words[1..])?;
        if let Some(change) = &change {
            let before = self.catalog.table(words[0])?.version;
            self.catalog.apply(change);
            let after = change.schema().expect("ALTER keeps the table");
            assert_eq!(after.version, before + 1);
        }
        Ok(change.is_some())
    }

    /// Columns as `name type indexed`.
    fn columns(&self, name: &str) -> Vec<String> {
        let schema = self.catalog.table(name.as_bytes()).expect("a table");
        schema
            .columns
            .iter()
            .map(|column| {
                format!(
                    "{} {} {}",
                    String::from_utf8_lossy(&column.name),
                    String::from_utf8_lossy(&column.kind_text),
                    schema.is_indexed(column.id)
                )
            })
            .collect()
    }

    fn schema(&self, name: &str) -> &Schema {
        self.catalog.table(name.as_bytes()).expect("a table")
    }

    fn view(&self) -> Vec<String> {
        self.catalog
            .view(None)
            .iter()
            .map(|name| {
                format!(
                    "{}:{}",
                    String::from_utf8_lossy(name.namespace),
                    String::from_utf8_lossy(name.table)
                )
            })
            .collect()
    }
}

fn words(text: &str) -> Vec<&[u8]> {
    text.split(' ').map(str::as_bytes).collect()
}

#[test]
fn namespaces_come_and_go() {
    let mut world = World::new();
    let plan = |world: &World, name: &[u8]| world.catalog.plan_create_namespace(name).map(drop);
    assert_eq!(plan(&world, b"n"), Err(TableError::NamespaceExists));
    assert_eq!(plan(&world, b"default"), Err(TableError::NamespaceExists));
    assert_eq!(plan(&world, b"N"), Ok(()));
    let drop_plan = |world: &World, name: &[u8], words: &[&[u8]]| {
        world.catalog.plan_drop_namespace(name, words).map(drop)
    };
    assert_eq!(
        drop_plan(&world, b"m", &[b"FORCE"]),
        Err(TableError::NamespaceMissing)
    );
    assert!(drop_plan(&world, b"n", &[]).is_err());
    assert!(drop_plan(&world, b"default", &[b"FORCE"]).is_err());
    world.create("n.t a:string").expect("a table");
    assert_eq!(
        drop_plan(&world, b"n", &[b"FORCE"]),
        Err(TableError::NamespaceInUse)
    );
    world.does(world.catalog.plan_drop(b"n.t", &[b"force"]));
    world.does(world.catalog.plan_drop_namespace(b"n", &[b"force"]));
    assert!(world.catalog.is_empty());
}

#[test]
fn b2_names_that_are_too_long_change_nothing() {
    let world = World::new();
    let long = [b'x'; 65];
    let plan = world.catalog.plan_create_namespace(&long);
    assert_eq!(plan.map(drop), Err(TableError::NamespaceTooLong));
    let name = [&b"n."[..], &long].concat();
    let plan = world.catalog.plan_create(&name, &[b"a:string"], TableId(1));
    assert_eq!(plan.map(drop), Err(TableError::TableTooLong));
    let both = [&long[..], b".", &long].concat();
    let plan = world.catalog.plan_create(&both, &[b"a"], TableId(1));
    assert_eq!(plan.map(drop), Err(TableError::NamespaceTooLong));
}

#[test]
fn tables_are_created_after_checks_in_the_order_of_the_module() {
    let mut world = World::new();
    assert_eq!(world.create("m.t a"), Err(TableError::NamespaceMissing));
    assert_eq!(world.create("n.t a"), Err(TableError::ColumnFormat));
    assert_eq!(world.create("n.t :string"), Err(TableError::ColumnFormat));
    assert_eq!(world.create("n.t a:string:"), Err(TableError::IndexKind));
    assert_eq!(world.create("n.t a:string:foo"), Err(TableError::IndexKind));
    assert_eq!(
        world.create("n.t a:string:hash:x"),
        Err(TableError::IndexKind)
    );
    assert_eq!(
        world.create("n.t a:string:hash b:Integer:BTREE c:float:none d:date:true"),
        Ok(())
    );
    assert_eq!(
        world.columns("n.t"),
        [
            "a string true",
            "b Integer true",
            "c float false",
            "d date true"
        ]
    );
    assert_eq!(world.create("n.t bad"), Err(TableError::TableExists));
    assert_eq!(world.view(), ["n:t"]);
}

#[test]
fn b5_a_refused_table_leaves_nothing() {
    let mut world = World::new();
    assert_eq!(
        world.create("n.t a:string:hash b"),
        Err(TableError::ColumnFormat)
    );
    assert_eq!(
        world.create("n.t a:string b:string:zip"),
        Err(TableError::IndexKind)
    );
    assert!(world.view().is_empty());
    assert_eq!(world.create("n.t a:string b:string"), Ok(()));
}

#[test]
fn b18_types_that_do_not_exist_make_no_table() {
    let mut world = World::new();
    for text in ["n.t a:foo", "n.t b:int:hash", "n.t a:", "n.t a::hash"] {
        assert_eq!(world.create(text), Err(TableError::ColumnKind), "{text}");
    }
    assert_eq!(world.create("n.t a:BOOL b:timestamp"), Ok(()));
}

#[test]
fn the_last_definition_of_a_column_counts_at_the_place_of_the_first() {
    let mut world = World::new();
    assert_eq!(
        world.create("n.t a:string:hash b:string a:integer:none"),
        Ok(())
    );
    assert_eq!(world.columns("n.t"), ["a integer false", "b string false"]);
}

#[test]
fn bare_names_are_tables_of_default() {
    let mut world = World::new();
    assert_eq!(world.create("users a:string"), Ok(()));
    assert_eq!(*world.schema("users").name, *b"default.users");
    assert_eq!(world.schema("default.users").id, world.schema("users").id);
    assert_eq!(
        world.create("default.users a:string"),
        Err(TableError::TableExists)
    );
    assert_eq!(world.create("n. a:string"), Ok(()));
    assert_eq!(world.view(), ["default:users", "n:"]);
    assert_eq!(world.catalog.view(Some(b"n")).len(), 1);
    assert!(world.catalog.view(Some(b"*")).is_empty());
}

#[test]
fn tables_are_listed_by_namespace_and_table() {
    let mut world = World::new();
    for namespace in ["a", "a!", "a.b"] {
        world.does(world.catalog.plan_create_namespace(namespace.as_bytes()));
    }
    for name in ["n.b", "a!.t", "a.t10", "a.t2", "a.b"] {
        world.create(&format!("{name} a:string")).expect("a table");
    }
    assert_eq!(world.view(), ["a:b", "a:t10", "a:t2", "a!:t", "n:b"]);
}

#[test]
fn options_make_indexes_and_defaults() {
    let mut world = World::new();
    world
        .create(
            "n.t id:integer PRIMARY KEY mail:string:btree UNIQUE n:integer NOT NULL DEFAULT 07 \
             INDEX mail,n UNIQUE INDEX n,id:hash",
        )
        .expect("a table");
    let schema = world.schema("n.t");
    let shown: Vec<String> = schema
        .indexes
        .iter()
        .map(|index| {
            format!(
                "{} {} {} {}",
                schema.names_of(&index.columns),
                index.kind.name(),
                index.unique,
                index.primary
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "id hash true true",
            "mail btree true false",
            "mail,n btree true false",
            "n,id hash false false"
        ]
    );
    assert!(schema.columns[0].not_null && schema.columns[2].not_null);
    let default = schema.columns[2].default.as_ref().expect("a default");
    let mut text = Vec::new();
    default.write_text(&mut text);
    assert_eq!(text, b"07");
}

#[test]
fn options_that_cannot_be_are_refused() {
    let mut world = World::new();
    assert_eq!(
        world.create("n.t a:integer DEFAULT x"),
        Err(TableError::ColumnOrType)
    );
    for text in [
        "n.t a:integer PRIMARY KEY b:integer PRIMARY KEY",
        "n.t a:integer PRIMARY",
        "n.t a:integer NOT",
        "n.t a:integer DEFAULT",
        "n.t a:integer INDEX",
        "n.t a:integer INDEX a,a",
        "n.t a!:integer",
        "n.t a=b:integer",
        "n.t a<:integer",
    ] {
        let error = world.create(text).expect_err(text);
        assert!(matches!(error, TableError::Other(_)), "{text} {error:?}");
    }
    assert_eq!(
        world.create("n.t a:integer INDEX a,b"),
        Err(TableError::ColumnMissing)
    );
    assert_eq!(
        world.create("n.t INDEX a:integer"),
        Err(TableError::ColumnFormat)
    );
    assert_eq!(
        world.create("n.t UNIQUE a:integer"),
        Err(TableError::ColumnFormat)
    );
}

#[test]
fn words_that_the_module_takes_for_columns_stay_columns() {
    let mut world = World::new();
    world
        .create("n.t UNIQUE:string INDEX:string NOT:integer:hash a,b:string a:string b:string")
        .expect("columns, all of them");
    assert_eq!(world.schema("n.t").columns.len(), 6);
    assert!(world.alter("n.t ADD INDEX a,b").expect("the column"));
    let schema = world.schema("n.t");
    let index = schema.indexes.last().expect("an index");
    assert_eq!(index.columns, [schema.column(b"a,b").expect("a column").id]);
}

#[test]
fn the_number_of_columns_and_indexes_is_bounded() {
    let mut world = World::new();
    let columns = |count: usize, index: &str| -> String {
        (0..count)
            .map(|number| format!(" c{number}:string{index}"))
            .collect()
    };
    assert!(world.create(&format!("n.a{}", columns(1025, ""))).is_err());
    assert!(
        world
            .create(&format!("n.a{}", columns(10_000, "")))
            .is_err()
    );
    assert!(
        world
            .create(&format!("n.a{}", columns(65, ":hash")))
            .is_err()
    );
    assert_eq!(world.create(&format!("n.a{}", columns(1024, ""))), Ok(()));
    assert!(world.alter("n.a ADD COLUMN x:string").is_err());
    let long = "x".repeat(1025);
    assert!(world.create(&format!("n.b {long}:string")).is_err());
}

#[test]
fn columns_are_added() {
    let mut world = World::new();
    world.create("n.t a:string").expect("a table");
    assert_eq!(world.alter("n.t add column b:integer:HASH"), Ok(true));
    assert_eq!(world.columns("n.t"), ["a string false", "b integer true"]);
    assert_eq!(
        world.alter("n.t ADD COLUMN"),
        Err(TableError::AddColumnWords)
    );
    assert_eq!(
        world.alter("n.t ADD COLUMN c:string d:string"),
        Err(TableError::AddColumnWords)
    );
    assert_eq!(
        world.alter("n.t ADD COLUMN c d"),
        Err(TableError::AddColumnWords)
    );
    assert_eq!(
        world.alter("n.t ADD COLUMN "),
        Err(TableError::AddColumnFormat)
    );
    assert_eq!(
        world.alter("n.t ADD COLUMN c"),
        Err(TableError::AddColumnFormat)
    );
    assert_eq!(
        world.alter("n.t ADD COLUMN :string"),
        Err(TableError::AddColumnFormat)
    );
    assert_eq!(
        world.alter("n.t ADD COLUMN c:string:zip"),
        Err(TableError::IndexKind)
    );
    assert_eq!(
        world.alter("n.t ADD COLUMN c:foo"),
        Err(TableError::ColumnKind)
    );
    assert_eq!(
        world.alter("n.t ADD COLUMN c:integer UNIQUE DEFAULT 5"),
        Ok(true)
    );
    for option in ["NOT NULL", "PRIMARY KEY"] {
        assert!(
            world
                .alter(&format!("n.t ADD COLUMN d:integer {option}"))
                .is_err()
        );
    }
    assert_eq!(
        world.alter("n.m ADD COLUMN a:string"),
        Err(TableError::TableMissing)
    );
}

#[test]
fn b6_a_column_that_is_there_is_not_redefined() {
    let mut world = World::new();
    world.create("n.t a:string:hash").expect("a table");
    for definition in ["a:integer", "a:string:none", "a:string:btree"] {
        let alter = world.alter(&format!("n.t ADD COLUMN {definition}"));
        assert_eq!(alter, Err(TableError::ColumnExists));
    }
    assert_eq!(
        TableError::ColumnExists.to_string(),
        "column already exists"
    );
    assert_eq!(world.columns("n.t"), ["a string true"]);
}

#[test]
fn an_index_is_read_once_it_is_complete() {
    let mut world = World::new();
    world.create("n.t a:string b:integer").expect("a table");
    assert_eq!(world.alter("n.t ADD INDEX a"), Ok(true));
    let schema = world.schema("n.t");
    let (table, index) = (schema.id, schema.indexes[0].id);
    assert_eq!(schema.indexes[0].state, IndexState::Building);
    assert_eq!(world.columns("n.t"), ["a string false", "b integer false"]);
    let ready = world
        .catalog
        .plan_index_ready(table, index)
        .expect("it is there");
    world.catalog.apply(&ready);
    assert_eq!(world.columns("n.t"), ["a string true", "b integer false"]);
    assert!(world.catalog.plan_index_ready(table, index).is_none());
    let failed = world
        .catalog
        .plan_index_failed(table, index)
        .expect("it is there");
    world.catalog.apply(&failed);
    assert!(world.catalog.plan_index_failed(table, index).is_none());
    assert_eq!(world.columns("n.t"), ["a string false", "b integer false"]);
}

#[test]
fn an_index_that_answers_as_much_already_is_not_added() {
    let mut world = World::new();
    world
        .create("n.t a:string:btree b:string")
        .expect("a table");
    for (text, is_new) in [
        ("a", false),
        ("a:hash", false),
        ("a:btree", false),
        ("a UNIQUE", true),
        ("b:hash", true),
        ("b", false),
        ("b:btree", true),
        ("a,b", true),
        ("a,b:btree", false),
        ("b,a", true),
    ] {
        assert_eq!(
            world.alter(&format!("n.t ADD INDEX {text}")),
            Ok(is_new),
            "{text}"
        );
    }
    assert_eq!(
        world.schema("n.t").indexes.last().map(|index| index.kind),
        Some(IndexKind::Btree)
    );
    assert_eq!(world.alter("n.t DROP INDEX b"), Ok(true));
    assert_eq!(world.alter("n.t DROP INDEX b"), Ok(false));
    assert_eq!(world.alter("n.t DROP INDEX a,b"), Ok(true));
    assert_eq!(world.schema("n.t").indexes.len(), 3);
}

#[test]
fn b13_an_index_is_dropped_by_its_columns_and_no_pattern() {
    let mut world = World::new();
    world.create("n.t a:string:hash").expect("a table");
    world.create("n.* a:string:hash").expect("a table");
    for text in ["n.t DROP INDEX *", "n.t DROP INDEX zz", "n.t ADD INDEX zz"] {
        assert_eq!(world.alter(text), Err(TableError::ColumnMissing), "{text}");
    }
    assert_eq!(world.alter("n.* DROP INDEX a"), Ok(true));
    assert_eq!(world.columns("n.t"), ["a string true"]);
    assert_eq!(
        world.alter("n.t DROP INDEX"),
        Err(TableError::DropIndexWords)
    );
    assert_eq!(world.alter("n.t ADD INDEX"), Err(TableError::AddIndexWords));
    assert_eq!(
        world.alter("n.t ADD INDEX a b"),
        Err(TableError::AddIndexWords)
    );
    for text in [
        "ADD CONSTRAINT x",
        "COLUMN ADD b:string",
        "MODIFY COLUMN a",
        "ADD",
    ] {
        assert_eq!(
            world.alter(&format!("n.t {text}")),
            Err(TableError::AlterSyntax),
            "{text}"
        );
    }
}

#[test]
fn columns_are_dropped_with_their_own_indexes() {
    let mut world = World::new();
    world
        .create("n.t id:integer PRIMARY KEY a:string:hash b:string c:string INDEX b,c")
        .expect("a table");
    let before = world.schema("n.t").next_column;
    assert_eq!(world.alter("n.t DROP COLUMN a"), Ok(true));
    assert_eq!(world.alter("n.t ADD COLUMN a:integer"), Ok(true));
    let schema = world.schema("n.t");
    assert_eq!(
        schema.column(b"a").map(|column| column.id),
        Some(ColumnId(before))
    );
    assert_eq!(schema.indexes.len(), 2);
    assert_eq!(world.alter("n.t DROP COLUMN a"), Ok(true));
    assert_eq!(
        world.alter("n.t DROP COLUMN zz"),
        Err(TableError::ColumnMissing)
    );
    for text in [
        "DROP COLUMN id",
        "DROP COLUMN b",
        "DROP INDEX id",
        "DROP COLUMN",
        "DROP COLUMN a b",
    ] {
        let error = world.alter(&format!("n.t {text}")).expect_err(text);
        assert!(matches!(error, TableError::Other(_)), "{text}");
    }
    world.create("n.one a:string").expect("a table");
    assert!(world.alter("n.one DROP COLUMN a").is_err());
}

#[test]
fn columns_and_tables_get_other_names() {
    let mut world = World::new();
    world.create("n.t a:string:hash b:string").expect("a table");
    world.create("n.u a:string").expect("a table");
    assert_eq!(world.alter("n.t RENAME COLUMN a c"), Ok(true));
    assert_eq!(world.columns("n.t"), ["c string true", "b string false"]);
    assert_eq!(
        world.alter("n.t RENAME COLUMN a d"),
        Err(TableError::ColumnMissing)
    );
    assert_eq!(
        world.alter("n.t RENAME COLUMN c b"),
        Err(TableError::ColumnExists)
    );
    for name in ["", "x:y", "x=y", "x!"] {
        assert!(
            world.alter(&format!("n.t RENAME COLUMN c {name}")).is_err(),
            "{name}"
        );
    }
    assert_eq!(
        world.alter("n.t RENAME TO n.u"),
        Err(TableError::TableExists)
    );
    assert_eq!(
        world.alter("n.t RENAME TO m.t"),
        Err(TableError::NamespaceMissing)
    );
    let id = world.schema("n.t").id;
    assert_eq!(world.alter("n.t RENAME TO t"), Ok(true));
    assert_eq!(world.view(), ["default:t", "n:u"]);
    assert_eq!(world.schema("t").id, id);
    assert_eq!(
        world.catalog.table_of(id).map(|schema| &*schema.name),
        Some(&b"default.t"[..])
    );
}

#[test]
fn a_table_is_dropped_with_force_only() {
    let mut world = World::new();
    world.create("n.t a:string").expect("a table");
    let plan = |world: &World, name: &[u8], words: &[&[u8]]| {
        world.catalog.plan_drop(name, words).map(drop)
    };
    assert_eq!(plan(&world, b"n.x", &[]), Err(TableError::TableMissing));
    assert_eq!(
        plan(&world, b"n", &[b"FORCE"]),
        Err(TableError::TableMissing)
    );
    assert_eq!(plan(&world, b"n.t", &[]), Err(TableError::ForceMissing));
    for word in [&b""[..], b"CASCADE", b"FORCEX"] {
        assert_eq!(plan(&world, b"n.t", &[word]), Err(TableError::ForceUnknown));
    }
    world.does(world.catalog.plan_drop(b"n.t", &[b"Force"]));
    assert_eq!(
        plan(&world, b"n.t", &[b"FORCE"]),
        Err(TableError::TableMissing)
    );
    assert_eq!(world.create("n.t b:integer"), Ok(()));
    assert_eq!(world.columns("n.t"), ["b integer false"]);
}

#[test]
fn a_table_spreads_once() {
    let mut world = World::new();
    world.create("n.t a:string").expect("a table");
    let id = world.schema("n.t").id;
    let change = world.catalog.plan_spread(id, 4).expect("it is at home");
    world.catalog.apply(&change);
    assert_eq!(world.schema("n.t").layout, Layout::Spread { shards: 4 });
    assert!(world.catalog.plan_spread(id, 4).is_none());
    world.does(world.catalog.plan_truncate(b"n.t"));
    assert_eq!(world.schema("n.t").version, 2);
}

#[test]
fn b23_names_are_bytes_and_namespaces_hide_no_tables() {
    let mut world = World::new();
    for name in ["a", "a.b", "{x}", "a:b", "", "*"] {
        world.does(world.catalog.plan_create_namespace(name.as_bytes()));
    }
    for name in ["a.b", "{x}.t", "a:b.c", ".t", "*.*", "a.b:c"] {
        assert_eq!(world.create(&format!("{name} x:string")), Ok(()), "{name}");
    }
    assert_eq!(world.catalog.table_count(), 6);
    assert!(world.catalog.lookup(b"a.c").is_none());
}

#[test]
fn errors_are_one_line_whatever_names_hold() {
    let mut world = World::new();
    world
        .create("n.t a\r\nb:string:hash")
        .expect("any bytes are a name");
    let schema = world.schema("n.t");
    let names = schema.names_of(&schema.indexes[0].columns);
    assert_eq!(&*names, "a??b");
    assert!(!TableError::NotUnique(names).to_string().contains('\n'));
}
