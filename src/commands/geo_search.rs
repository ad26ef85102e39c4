//! GEOSEARCH and GEOSEARCHSTORE, and what searches for places do with their results.

use protocol::args::{Args, equals_ignore_case};
use types::sorted_set::SortedSet;

use crate::geo::{ORDERS, UNITS};
use crate::geo_query::{Form, Query};
use crate::sorted_set_algebra::store_result;
use crate::sorted_set_words::rules;
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec, Plan,
    ShardCommand, Spread,
};

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(GEOSEARCH, Spread::OneShard, geosearch),
    ShardCommand::new(GEOSEARCHSTORE, Spread::Plan(Plan::Lend), geosearchstore),
];

fn geosearch(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    show(context, args, Form::Search)
}

fn geosearchstore(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    show_or_store(
        context,
        args,
        Form::SearchStore,
        args.word(2),
        "geosearchstore",
    )
}

/// Searches the set of the first key.
pub(crate) fn show(
    context: &mut Context<'_>,
    args: Args<'_>,
    form: Form,
) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let set = db.read::<SortedSet>(key, context.touch)?;
    let query = Query::parse(args, form, set)?;
    let found = set.map(|set| query.run(set)).unwrap_or_default();
    query.write(&mut context.reply, &found);
    Ok(())
}

/// Searches the set of `source`, and stores what is found if that is asked for.
pub(crate) fn show_or_store(
    context: &mut Context<'_>,
    args: Args<'_>,
    form: Form,
    source: &[u8],
    event: &'static str,
) -> Result<(), CommandError> {
    let rules = rules(context);
    let loan = context.borrow(source, true);
    let set = context.loans.get(loan).typed::<SortedSet>()?;
    let query = Query::parse(args, form, set)?;
    let found = set.map(|set| query.run(set)).unwrap_or_default();
    let Some(target) = query.target else {
        query.write(&mut context.reply, &found);
        return Ok(());
    };
    let result = query.result(&found, &rules);
    // A key that is named like an option may be another than the one that the request was routed
    // by.
    if equals_ignore_case(target, "STORE") || equals_ignore_case(target, "STOREDIST") {
        context.borrow(target, false);
    }
    store_result(context, target, result, event);
    context.reply.integer(base::cast::i64_from(found.len()));
    Ok(())
}

/// Where a search has its middle.
const CENTERS: &[Argument] = &[
    Argument::text("member").with_token("FROMMEMBER"),
    Argument::block(
        "longitude_latitude",
        &[Argument::double("longitude"), Argument::double("latitude")],
    )
    .with_token("FROMLONLAT"),
];

/// What is searched.
const SHAPES: &[Argument] = &[
    Argument::block(
        "circle",
        &[
            Argument::double("radius").with_token("BYRADIUS"),
            Argument::one_of("unit", UNITS),
        ],
    ),
    Argument::block(
        "box",
        &[
            Argument::double("width").with_token("BYBOX"),
            Argument::double("height"),
            Argument::one_of("unit", UNITS),
        ],
    ),
];

const GEOSEARCH: Declaration = Declaration::new("geosearch", Arity::AtLeast(7), Flags::READONLY)
    .categories(&[Category::Geo])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "geo",
            "6.2.0",
            "Shows the members in a circle or a box.",
            "O(A log N + M log M), A being the cells searched, N the members \
of the set, M those found.",
        )
        .history(&[("7.0.0", "Units may be written in any case of letters.")])
        .arguments(&[
            Argument::KEY,
            Argument::one_of("from", CENTERS),
            Argument::one_of("by", SHAPES),
            Argument::one_of("order", ORDERS).optional(),
            Argument::block(
                "count",
                &[
                    Argument::integer("count").with_token("COUNT"),
                    Argument::token("any", "ANY").optional(),
                ],
            )
            .optional(),
            Argument::token("withcoord", "WITHCOORD").optional(),
            Argument::token("withdist", "WITHDIST").optional(),
            Argument::token("withhash", "WITHHASH").optional(),
        ]),
    );

const GEOSEARCHSTORE: Declaration = Declaration::new(
    "geosearchstore",
    Arity::AtLeast(8),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::Geo])
.keys(&[
    KeySpec::at(1, &["OW", "update"]),
    KeySpec::at(2, &["RO", "access"]),
])
.docs(
    Docs::new(
        "geo",
        "6.2.0",
        "Stores the members in a circle or a box under another key.",
        "O(A log N + M log M), A being the cells searched, N the members \
of the set, M those found.",
    )
    .history(&[("7.0.0", "Units may be written in any case of letters.")])
    .arguments(&[
        Argument::key("destination", 0),
        Argument::key("source", 1),
        Argument::one_of("from", CENTERS),
        Argument::one_of("by", SHAPES),
        Argument::one_of("order", ORDERS).optional(),
        Argument::block(
            "count",
            &[
                Argument::integer("count").with_token("COUNT"),
                Argument::token("any", "ANY").optional(),
            ],
        )
        .optional(),
        Argument::token("storedist", "STOREDIST").optional(),
    ]),
);
