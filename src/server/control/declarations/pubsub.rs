//! Declarations of the commands about channels.
//!
//! Source of the facts: `COMMAND INFO` and `COMMAND DOCS` of Redis 7.0.15. The sentences are ours.
//!
//! Not here: the directives of keyspace events.

use commands::spec::{Argument, Arity, Declaration, Docs, Flags, KeySpec};

use super::ANY_TIME;

/// Changes what a client listens to; those with these flags are what a client that listens may send.
const LISTENING: Flags = ANY_TIME.and(Flags::PUBSUB).and(Flags::NO_SCRIPT);

/// Tells those who listen.
const TELLING: Flags = ANY_TIME
    .and(Flags::PUBSUB)
    .and(Flags::FAST)
    .and(Flags::MAY_REPLICATE);

/// Asks who listens.
const ASKING: Flags = ANY_TIME.and(Flags::PUBSUB);

/// `SUBSCRIBE channel ...`
pub(crate) const SUBSCRIBE: Declaration =
    Declaration::new("subscribe", Arity::AtLeast(2), LISTENING).docs(
        Docs::new(
            "pubsub",
            "2.0.0",
            "Begins to listen to channels.",
            "O(N), N the number of channels",
        )
        .arguments(&[Argument::text("channel").multiple()]),
    );

/// `UNSUBSCRIBE [channel ...]`
pub(crate) const UNSUBSCRIBE: Declaration =
    Declaration::new("unsubscribe", Arity::AtLeast(1), LISTENING).docs(
        Docs::new(
            "pubsub",
            "2.0.0",
            "Ends listening to the given channels, or to all.",
            "O(N), N the number of channels",
        )
        .arguments(&[Argument::text("channel").optional().multiple()]),
    );

/// `PSUBSCRIBE pattern ...`
pub(crate) const PSUBSCRIBE: Declaration =
    Declaration::new("psubscribe", Arity::AtLeast(2), LISTENING).docs(
        Docs::new(
            "pubsub",
            "2.0.0",
            "Begins to listen to all channels whose names match patterns.",
            "O(N), N the number of patterns",
        )
        .arguments(&[Argument::block("pattern", &[Argument::pattern("pattern")]).multiple()]),
    );

/// `PUNSUBSCRIBE [pattern ...]`
pub(crate) const PUNSUBSCRIBE: Declaration =
    Declaration::new("punsubscribe", Arity::AtLeast(1), LISTENING).docs(
        Docs::new(
            "pubsub",
            "2.0.0",
            "Ends listening to the given patterns, or to all.",
            "O(N), N the number of patterns",
        )
        .arguments(&[Argument::pattern("pattern").optional().multiple()]),
    );

/// `SSUBSCRIBE shardchannel ...`
pub(crate) const SSUBSCRIBE: Declaration =
    Declaration::new("ssubscribe", Arity::AtLeast(2), LISTENING)
        .keys(&[KeySpec::range(1, -1, 1, &["not_key"])])
        .docs(
            Docs::new(
                "pubsub",
                "7.0.0",
                "Begins to listen to channels that belong to slots.",
                "O(N), N the number of channels",
            )
            .arguments(&[Argument::text("shardchannel").multiple()]),
        );

/// `SUNSUBSCRIBE [shardchannel ...]`
pub(crate) const SUNSUBSCRIBE: Declaration =
    Declaration::new("sunsubscribe", Arity::AtLeast(1), LISTENING)
        .keys(&[KeySpec::range(1, -1, 1, &["not_key"])])
        .docs(
            Docs::new(
                "pubsub",
                "7.0.0",
                "Ends listening to the given channels of slots, or to all.",
                "O(N), N the number of channels",
            )
            .arguments(&[Argument::text("shardchannel").optional().multiple()]),
        );

/// `PUBLISH channel message`
pub(crate) const PUBLISH: Declaration = Declaration::new("publish", Arity::Exactly(3), TELLING)
    .docs(
        Docs::new(
            "pubsub",
            "2.0.0",
            "Sends a message to all who listen to a channel, and answers how many got it.",
            "O(N+M), N those who get it, M all patterns",
        )
        .arguments(&[Argument::text("channel"), Argument::text("message")]),
    );

/// `SPUBLISH shardchannel message`
pub(crate) const SPUBLISH: Declaration = Declaration::new("spublish", Arity::Exactly(3), TELLING)
    .keys(&[KeySpec::range(1, 0, 1, &["not_key"])])
    .docs(
        Docs::new(
            "pubsub",
            "7.0.0",
            "Sends a message to all who listen to a channel of a slot.",
            "O(N), N those who get it",
        )
        .arguments(&[Argument::text("shardchannel"), Argument::text("message")]),
    );

/// `PUBSUB subcommand ...`
pub(crate) const PUBSUB: Declaration = Declaration::new("pubsub", Arity::AtLeast(2), Flags::NONE)
    .docs(Docs::new(
        "pubsub",
        "2.8.0",
        "Groups the subcommands about who listens.",
        "That of the subcommand.",
    ))
    .subcommands(&[
        PUBSUB_CHANNELS,
        PUBSUB_NUMPAT,
        PUBSUB_NUMSUB,
        PUBSUB_SHARDCHANNELS,
        PUBSUB_SHARDNUMSUB,
        PUBSUB_HELP,
    ]);

/// `PUBSUB CHANNELS [pattern]`
pub(crate) const PUBSUB_CHANNELS: Declaration =
    Declaration::new("channels", Arity::AtLeast(2), ASKING).docs(
        Docs::new(
            "pubsub",
            "2.8.0",
            "Answers the channels that somebody listens to by their names.",
            "O(N), N all such channels",
        )
        .arguments(&[Argument::pattern("pattern").optional()]),
    );

/// `PUBSUB NUMPAT`
pub(crate) const PUBSUB_NUMPAT: Declaration = Declaration::new("numpat", Arity::Exactly(2), ASKING)
    .docs(Docs::new(
        "pubsub",
        "2.8.0",
        "Answers how many different patterns are listened to.",
        "O(N), N the number of patterns",
    ));

/// `PUBSUB NUMSUB [channel ...]`
pub(crate) const PUBSUB_NUMSUB: Declaration = Declaration::new("numsub", Arity::AtLeast(2), ASKING)
    .docs(
        Docs::new(
            "pubsub",
            "2.8.0",
            "Answers how many clients listen to each channel by its name.",
            "O(N), N the number of channels asked for",
        )
        .arguments(&[Argument::text("channel").optional().multiple()]),
    );

/// `PUBSUB SHARDCHANNELS [pattern]`
pub(crate) const PUBSUB_SHARDCHANNELS: Declaration =
    Declaration::new("shardchannels", Arity::AtLeast(2), ASKING).docs(
        Docs::new(
            "pubsub",
            "7.0.0",
            "Answers the channels of slots that somebody listens to.",
            "O(N), N all such channels",
        )
        .arguments(&[Argument::pattern("pattern").optional()]),
    );

/// `PUBSUB SHARDNUMSUB [shardchannel ...]`
pub(crate) const PUBSUB_SHARDNUMSUB: Declaration =
    Declaration::new("shardnumsub", Arity::AtLeast(2), ASKING).docs(
        Docs::new(
            "pubsub",
            "7.0.0",
            "Answers how many clients listen to each channel of a slot.",
            "O(N), N the number of channels asked for",
        )
        .arguments(&[Argument::text("shardchannel").optional().multiple()]),
    );

/// `PUBSUB HELP`
pub(crate) const PUBSUB_HELP: Declaration = Declaration::new("help", Arity::Exactly(2), ANY_TIME)
    .docs(Docs::new(
        "pubsub",
        "6.2.0",
        "Answers a short description of each subcommand.",
        "O(1)",
    ));
