//! GEORADIUS and its kin, which came before GEOSEARCH.

use protocol::args::Args;

use crate::geo::{ORDERS, UNITS};
use crate::geo_query::Form;
use crate::geo_search::{show, show_or_store};
use crate::spec::{
    Argument, Arity, BeginSearch, Category, CommandError, Context, Declaration, Docs, FindKeys,
    Flags, KeySpec, Plan, ShardCommand, Spread,
};

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(GEORADIUS, Spread::Plan(Plan::Lend), georadius),
    ShardCommand::new(GEORADIUS_RO, Spread::OneShard, georadius_ro),
    ShardCommand::new(
        GEORADIUSBYMEMBER,
        Spread::Plan(Plan::Lend),
        georadiusbymember,
    ),
    ShardCommand::new(GEORADIUSBYMEMBER_RO, Spread::OneShard, georadiusbymember_ro),
];

fn georadius(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let form = Form::Radius { can_store: true };
    show_or_store(context, args, form, args.word(1), "georadiusstore")
}

fn georadius_ro(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    show(context, args, Form::Radius { can_store: false })
}

fn georadiusbymember(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let form = Form::RadiusByMember { can_store: true };
    show_or_store(context, args, form, args.word(1), "georadiusstore")
}

fn georadiusbymember_ro(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    show(context, args, Form::RadiusByMember { can_store: false })
}

/// The key behind a word, which is looked for from an index on.
const fn stored_at(word: &'static str, from: i8) -> KeySpec {
    KeySpec {
        notes: "",
        flags: &["OW", "update"],
        begin: BeginSearch::Keyword(word, from),
        find: FindKeys::Range {
            last: 0,
            step: 1,
            limit: 0,
        },
    }
}

const GEORADIUS: Declaration = Declaration::new(
    "georadius",
    Arity::AtLeast(6),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::Geo])
.keys(&[
    KeySpec::at(1, &["RO", "access"]),
    stored_at("STORE", 6),
    stored_at("STOREDIST", 6),
])
.docs(
    Docs::new(
        "geo",
        "3.2.0",
        "Shows or stores the members around a place.",
        "O(A log N + M log M), A being the cells searched, N the members \
of the set, M those found.",
    )
    .history(&[
        ("6.2.0", "`ANY` came for `COUNT`."),
        ("7.0.0", "Distances may be written in any case of letters."),
    ])
    .deprecated(
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
    )
    .arguments(&[
        Argument::KEY,
        Argument::double("longitude"),
        Argument::double("latitude"),
        Argument::double("radius"),
        Argument::one_of("unit", UNITS),
        Argument::token("withcoord", "WITHCOORD").optional(),
        Argument::token("withdist", "WITHDIST").optional(),
        Argument::token("withhash", "WITHHASH").optional(),
        Argument::block(
            "count",
            &[
                Argument::integer("count").with_token("COUNT"),
                Argument::token("any", "ANY").since("6.2.0").optional(),
            ],
        )
        .optional(),
        Argument::one_of("order", ORDERS).optional(),
        Argument::key("key", 1).with_token("STORE").optional(),
        Argument::key("key", 2).with_token("STOREDIST").optional(),
    ]),
);

const GEORADIUS_RO: Declaration =
    Declaration::new("georadius_ro", Arity::AtLeast(6), Flags::READONLY)
        .categories(&[Category::Geo])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .docs(
            Docs::new(
                "geo",
                "3.2.10",
                "Shows the members around a place.",
                "O(A log N + M log M), A being the cells searched, N the members \
of the set, M those found.",
            )
            .history(&[("6.2.0", "`ANY` came for `COUNT`.")])
            .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")
            .arguments(&[
                Argument::KEY,
                Argument::double("longitude"),
                Argument::double("latitude"),
                Argument::double("radius"),
                Argument::one_of("unit", UNITS),
                Argument::token("withcoord", "WITHCOORD").optional(),
                Argument::token("withdist", "WITHDIST").optional(),
                Argument::token("withhash", "WITHHASH").optional(),
                Argument::block(
                    "count",
                    &[
                        Argument::integer("count").with_token("COUNT"),
                        Argument::token("any", "ANY").since("6.2.0").optional(),
                    ],
                )
                .optional(),
                Argument::one_of("order", ORDERS).optional(),
            ]),
        );

const GEORADIUSBYMEMBER: Declaration = Declaration::new(
    "georadiusbymember",
    Arity::AtLeast(5),
    Flags::WRITE.and(Flags::DENY_OOM).and(Flags::MOVABLE_KEYS),
)
.categories(&[Category::Geo])
.keys(&[
    KeySpec::at(1, &["RO", "access"]),
    stored_at("STORE", 5),
    stored_at("STOREDIST", 5),
])
.docs(
    Docs::new(
        "geo",
        "3.2.0",
        "Shows or stores the members around another.",
        "O(A log N + M log M), A being the cells searched, N the members \
of the set, M those found.",
    )
    .history(&[("7.0.0", "Units may be written in any case of letters.")])
    .deprecated(
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and \
`FROMMEMBER` arguments",
    )
    .arguments(&[
        Argument::KEY,
        Argument::text("member"),
        Argument::double("radius"),
        Argument::one_of("unit", UNITS),
        Argument::token("withcoord", "WITHCOORD").optional(),
        Argument::token("withdist", "WITHDIST").optional(),
        Argument::token("withhash", "WITHHASH").optional(),
        Argument::block(
            "count",
            &[
                Argument::integer("count").with_token("COUNT"),
                Argument::token("any", "ANY").optional(),
            ],
        )
        .optional(),
        Argument::one_of("order", ORDERS).optional(),
        Argument::key("key", 1).with_token("STORE").optional(),
        Argument::key("key", 2).with_token("STOREDIST").optional(),
    ]),
);

const GEORADIUSBYMEMBER_RO: Declaration =
    Declaration::new("georadiusbymember_ro", Arity::AtLeast(5), Flags::READONLY)
        .categories(&[Category::Geo])
        .keys(&[KeySpec::at(1, &["RO", "access"])])
        .docs(
            Docs::new(
                "geo",
                "3.2.10",
                "Shows the members around another.",
                "O(A log N + M log M), A being the cells searched, N the members \
of the set, M those found.",
            )
            .deprecated(
                "6.2.0",
                "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
            )
            .arguments(&[
                Argument::KEY,
                Argument::text("member"),
                Argument::double("radius"),
                Argument::one_of("unit", UNITS),
                Argument::token("withcoord", "WITHCOORD").optional(),
                Argument::token("withdist", "WITHDIST").optional(),
                Argument::token("withhash", "WITHHASH").optional(),
                Argument::block(
                    "count",
                    &[
                        Argument::integer("count").with_token("COUNT"),
                        Argument::token("any", "ANY").optional(),
                    ],
                )
                .optional(),
                Argument::one_of("order", ORDERS).optional(),
            ]),
        );
