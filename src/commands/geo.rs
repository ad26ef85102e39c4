//! Places on earth in sorted sets: single members. The score of a member is its place.

use base::number::parse_f64;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::{Reply, Resp};
use types::geo::Place;
use types::sorted_set::SortedSet;

use crate::sorted_set::{AddOptions, add_scores};
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(GEOADD, Spread::OneShard, geoadd),
    ShardCommand::new(GEODIST, Spread::OneShard, geodist),
    ShardCommand::new(GEOHASH, Spread::OneShard, geohash),
    ShardCommand::new(GEOPOS, Spread::OneShard, geopos),
];

/// Reads longitude and latitude from the words at `index`.
pub(crate) fn place(args: Args<'_>, index: usize) -> Result<Place, CommandError> {
    let number = |index| parse_f64(args.word(index)).ok_or(CommandError::NotFloat);
    let place = Place {
        longitude: number(index)?,
        latitude: number(index + 1)?,
    };
    if place.is_on_map() {
        Ok(place)
    } else {
        Err(CommandError::NotOnMap(index))
    }
}

/// Reads a unit of length; returns its meters.
pub(crate) fn unit(word: &[u8]) -> Result<f64, CommandError> {
    const UNITS_IN_METERS: [(&str, f64); 4] =
        [("M", 1.0), ("KM", 1000.0), ("FT", 0.3048), ("MI", 1609.34)];
    let unit = UNITS_IN_METERS
        .iter()
        .find(|(name, _)| equals_ignore_case(word, name));
    unit.map(|(_, meters)| *meters).ok_or(CommandError::Text(
        "ERR unsupported unit provided. please use M, KM, FT, MI",
    ))
}

/// Writes a distance with four digits after the point.
pub(crate) fn write_distance(reply: &mut Reply<'_>, distance: f64) {
    reply.bulk_text(&format!("{distance:.4}"));
}

/// Writes longitude and latitude with up to 17 digits after the point.
pub(crate) fn write_place(reply: &mut Reply<'_>, place: Place) {
    reply.array(2);
    for degrees in [place.longitude, place.latitude] {
        let text = format!("{degrees:.17}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let text = if text == "-0" { "0" } else { text };
        match reply.resp {
            Resp::V2 => reply.bulk_text(text),
            Resp::V3 => reply.raw(format!(",{text}\r\n").as_bytes()),
        }
    }
}

fn geoadd(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let mut options = AddOptions::default();
    let mut first = 2;
    while let Some(word) = args.get(first) {
        if equals_ignore_case(word, "NX") {
            options.new_only = true;
        } else if equals_ignore_case(word, "XX") {
            options.existing_only = true;
        } else if equals_ignore_case(word, "CH") {
            options.count_changed = true;
        } else {
            break;
        }
        first += 1;
    }
    let is_whole = (args.len() - first).is_multiple_of(3);
    if !is_whole || (options.new_only && options.existing_only) {
        return Err(CommandError::Syntax);
    }
    let triples = (first..args.len()).step_by(3);
    let mut pairs = Vec::with_capacity(triples.len());
    for index in triples {
        pairs.push((args.word(index + 2), place(args, index)?.score()));
    }
    if pairs.is_empty() {
        return Err(CommandError::Syntax);
    }
    add_scores(context, args, options, pairs.iter().copied())
}

fn geodist(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let meters = match (args.get(4), args.get(5)) {
        (None, _) => 1.0,
        (Some(word), None) => unit(word)?,
        (Some(_), Some(_)) => return Err(CommandError::Syntax),
    };
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let set = db.read::<SortedSet>(key, context.touch)?;
    let place = |member: &[u8]| set?.score(member).map(Place::from_score);
    match (place(args.word(2)), place(args.word(3))) {
        (Some(one), Some(other)) => {
            write_distance(&mut context.reply, one.distance(other) / meters);
        }
        _ => context.reply.null(),
    }
    Ok(())
}

fn geohash(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let set = db.read::<SortedSet>(key, context.touch)?;
    let members = args.from(2);
    context.reply.array(members.len());
    for member in members.iter() {
        match set.and_then(|set| set.score(member)) {
            Some(score) => context.reply.bulk(&Place::from_score(score).text()),
            None => context.reply.null(),
        }
    }
    Ok(())
}

fn geopos(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let set = db.read::<SortedSet>(key, context.touch)?;
    let members = args.from(2);
    context.reply.array(members.len());
    for member in members.iter() {
        match set.and_then(|set| set.score(member)) {
            Some(score) => write_place(&mut context.reply, Place::from_score(score)),
            None => context.reply.null_array(),
        }
    }
    Ok(())
}

/// Units of length.
pub(crate) const UNITS: &[Argument] = &[
    Argument::token("m", "M"),
    Argument::token("km", "KM"),
    Argument::token("ft", "FT"),
    Argument::token("mi", "MI"),
];

/// Orders of what is found.
pub(crate) const ORDERS: &[Argument] = &[
    Argument::token("asc", "ASC"),
    Argument::token("desc", "DESC"),
];

const GEOADD: Declaration = Declaration::new(
    "geoadd",
    Arity::AtLeast(5),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::Geo])
.keys(&[KeySpec::at(1, &["RW", "update"])])
.docs(
    Docs::new(
        "geo",
        "3.2.0",
        "Puts members at places on earth, given by longitude and latitude.",
        "O(log N) for each member, N being the members of the set.",
    )
    .history(&[("6.2.0", "`CH`, `NX` and `XX` came.")])
    .arguments(&[
        Argument::KEY,
        Argument::one_of(
            "condition",
            &[Argument::token("nx", "NX"), Argument::token("xx", "XX")],
        )
        .since("6.2.0")
        .optional(),
        Argument::token("change", "CH").since("6.2.0").optional(),
        Argument::block(
            "longitude_latitude_member",
            &[
                Argument::double("longitude"),
                Argument::double("latitude"),
                Argument::text("member"),
            ],
        )
        .multiple(),
    ]),
);

const GEODIST: Declaration = Declaration::new("geodist", Arity::AtLeast(4), Flags::READONLY)
    .categories(&[Category::Geo])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new("geo", "3.2.0", "Tells the distance of two members.", "O(1)").arguments(&[
            Argument::KEY,
            Argument::text("member1"),
            Argument::text("member2"),
            Argument::one_of("unit", UNITS).optional(),
        ]),
    );

const GEOHASH: Declaration = Declaration::new("geohash", Arity::AtLeast(2), Flags::READONLY)
    .categories(&[Category::Geo])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "geo",
            "3.2.0",
            "Tells the places of members as geohash texts.",
            "O(M), M being the members asked for.",
        )
        .arguments(&[Argument::KEY, Argument::text("member").multiple()]),
    );

const GEOPOS: Declaration = Declaration::new("geopos", Arity::AtLeast(2), Flags::READONLY)
    .categories(&[Category::Geo])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "geo",
            "3.2.0",
            "Tells longitude and latitude of members.",
            "O(M), M being the members asked for.",
        )
        .arguments(&[Argument::KEY, Argument::text("member").multiple()]),
    );
