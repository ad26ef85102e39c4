//! What a search for places asks for, and how its answer is made: common to GEOSEARCH and
//! GEORADIUS.
//!
//! Not here: which cells are looked at (`types::geo`).

use protocol::args::{Args, equals_ignore_case};
use protocol::reply::Reply;
use types::geo::{Place, Shape};
use types::sorted_set::range::{Bound, ScoreRange};
use types::sorted_set::{Rules, SortedSet};

use crate::geo::{place, unit, write_distance, write_place};
use crate::spec::CommandError;
use crate::words;

/// What the command is called by, and so where its words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// GEORADIUS: longitude, latitude, radius, unit.
    Radius {
        /// Takes STORE and STOREDIST.
        can_store: bool,
    },
    /// GEORADIUSBYMEMBER: member, radius, unit.
    RadiusByMember {
        /// Takes STORE and STOREDIST.
        can_store: bool,
    },
    /// GEOSEARCH.
    Search,
    /// GEOSEARCHSTORE.
    SearchStore,
}

impl Form {
    fn is_search(self) -> bool {
        matches!(self, Self::Search | Self::SearchStore)
    }

    fn can_store(self) -> bool {
        match self {
            Self::Radius { can_store } | Self::RadiusByMember { can_store } => can_store,
            Self::Search | Self::SearchStore => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Nearest,
    Farthest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CenterFrom {
    Member,
    Degrees,
}

/// A parsed request.
#[derive(Clone, Debug)]
pub(crate) struct Query<'a> {
    /// Where the result is stored, if it is.
    pub(crate) target: Option<&'a [u8]>,
    /// STORE or STOREDIST came again with another key.
    has_two_targets: bool,
    stores_distance: bool,
    /// How the center was given.
    center_from: Option<CenterFrom>,
    center: Place,
    shape: Option<Shape>,
    /// Meters of the unit of the shape.
    meters: f64,
    with_distance: bool,
    with_score: bool,
    with_place: bool,
    order: Option<Order>,
    /// Members at most, 0 for all.
    count: usize,
    takes_any: bool,
}

/// A member that was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    member: Vec<u8>,
    score: f64,
    place: Place,
    /// In the unit of the request.
    distance: f64,
}

impl<'a> Query<'a> {
    /// Reads a request; `set` is where members are looked up, `None` if the key does not exist.
    pub(crate) fn parse(
        args: Args<'a>,
        form: Form,
        set: Option<&SortedSet>,
    ) -> Result<Self, CommandError> {
        let mut query = Self {
            target: (form == Form::SearchStore).then(|| args.word(1)),
            has_two_targets: false,
            stores_distance: false,
            center_from: None,
            center: Place {
                longitude: 0.0,
                latitude: 0.0,
            },
            shape: None,
            meters: 1.0,
            with_distance: false,
            with_score: false,
            with_place: false,
            order: None,
            count: 0,
            takes_any: false,
        };
        let mut index = query.parse_fixed(args, form, set)?;
        while index < args.len() {
            index = query.parse_option(args, form, set, index)?;
        }
        query.check(form)?;
        Ok(query)
    }

    /// Reads the words before the options. Returns the index behind them.
    fn parse_fixed(
        &mut self,
        args: Args<'a>,
        form: Form,
        set: Option<&SortedSet>,
    ) -> Result<usize, CommandError> {
        match form {
            Form::Radius { .. } => {
                self.center = place(args, 2)?;
                self.parse_circle(args, 4)?;
                Ok(6)
            }
            Form::RadiusByMember { .. } => {
                // Without a set there is nothing to find, and the words are not looked at.
                if let Some(set) = set {
                    self.center = place_of(set, args.word(2))?;
                    self.parse_circle(args, 3)?;
                }
                Ok(5)
            }
            Form::Search => Ok(2),
            Form::SearchStore => Ok(3),
        }
    }

    /// Reads a radius and its unit.
    fn parse_circle(&mut self, args: Args<'a>, index: usize) -> Result<(), CommandError> {
        let radius = length(args.word(index), "ERR need numeric radius")?;
        if radius < 0.0 {
            return Err(CommandError::Text("ERR radius cannot be negative"));
        }
        self.meters = unit(args.word(index + 1))?;
        let radius = radius * self.meters;
        self.shape = Some(Shape::Circle { radius });
        Ok(())
    }

    fn parse_rectangle(&mut self, args: Args<'a>, index: usize) -> Result<(), CommandError> {
        let width = length(args.word(index), "ERR need numeric width")?;
        let height = length(args.word(index + 1), "ERR need numeric height")?;
        if width < 0.0 || height < 0.0 {
            return Err(CommandError::Text("ERR height or width cannot be negative"));
        }
        self.meters = unit(args.word(index + 2))?;
        self.shape = Some(Shape::Rectangle {
            width: width * self.meters,
            height: height * self.meters,
        });
        Ok(())
    }

    /// Reads the option at `index`. Returns the index behind it.
    fn parse_option(
        &mut self,
        args: Args<'a>,
        form: Form,
        set: Option<&SortedSet>,
        index: usize,
    ) -> Result<usize, CommandError> {
        let word = args.word(index);
        let left = args.len() - index - 1;
        let is = |name: &str| equals_ignore_case(word, name);
        let mut used = 1;
        if is("WITHDIST") {
            self.with_distance = true;
        } else if is("WITHHASH") {
            self.with_score = true;
        } else if is("WITHCOORD") {
            self.with_place = true;
        } else if is("ANY") {
            self.takes_any = true;
        } else if is("ASC") {
            self.order = Some(Order::Nearest);
        } else if is("DESC") {
            self.order = Some(Order::Farthest);
        } else if is("COUNT") && left >= 1 {
            let count = words::integer_or_refuse(args.word(index + 1))?;
            self.count = usize::try_from(count)
                .ok()
                .filter(|&count| count > 0)
                .ok_or(CommandError::Text("ERR COUNT must be > 0"))?;
            used = 2;
        } else if form.can_store() && (is("STORE") || is("STOREDIST")) && left >= 1 {
            let target = args.word(index + 1);
            self.has_two_targets |= self.target.is_some_and(|other| other != target);
            self.target = Some(target);
            self.stores_distance = is("STOREDIST");
            used = 2;
        } else if form == Form::SearchStore && is("STOREDIST") {
            self.stores_distance = true;
        } else if form.is_search() {
            used = self.parse_search_option(args, set, index)?;
        } else {
            return Err(CommandError::Syntax);
        }
        Ok(index + used)
    }

    /// Reads where and what to search. Returns the number of words.
    fn parse_search_option(
        &mut self,
        args: Args<'a>,
        set: Option<&SortedSet>,
        index: usize,
    ) -> Result<usize, CommandError> {
        let word = args.word(index);
        let left = args.len() - index - 1;
        let is = |name: &str| equals_ignore_case(word, name);
        // Each may come again, but not beside the other of its kind.
        if self.center_from != Some(CenterFrom::Degrees) && is("FROMMEMBER") && left >= 1 {
            if let Some(set) = set {
                self.center = place_of(set, args.word(index + 1))?;
            }
            self.center_from = Some(CenterFrom::Member);
            Ok(2)
        } else if self.center_from != Some(CenterFrom::Member) && is("FROMLONLAT") && left >= 2 {
            self.center = place(args, index + 1)?;
            self.center_from = Some(CenterFrom::Degrees);
            Ok(3)
        } else if !matches!(self.shape, Some(Shape::Rectangle { .. }))
            && is("BYRADIUS")
            && left >= 2
        {
            self.parse_circle(args, index + 1)?;
            Ok(3)
        } else if !matches!(self.shape, Some(Shape::Circle { .. })) && is("BYBOX") && left >= 3 {
            self.parse_rectangle(args, index + 1)?;
            Ok(4)
        } else {
            Err(CommandError::Syntax)
        }
    }

    fn check(&mut self, form: Form) -> Result<(), CommandError> {
        if self.target.is_some() && (self.with_distance || self.with_score || self.with_place) {
            return Err(CommandError::Text(if form == Form::SearchStore {
                "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            } else {
                "ERR STORE option in GEORADIUS is not compatible with WITHDIST, \
WITHHASH and WITHCOORD options"
            }));
        }
        if form.is_search() && self.center_from.is_none() {
            return Err(CommandError::ExactlyOne("FROMMEMBER or FROMLONLAT"));
        }
        if form.is_search() && self.shape.is_none() {
            return Err(CommandError::ExactlyOne("BYRADIUS and BYBOX"));
        }
        if self.takes_any && self.count == 0 {
            return Err(CommandError::Text(
                "ERR the ANY argument requires COUNT argument",
            ));
        }
        if self.has_two_targets {
            // The request was routed by one of them, which need not be the last.
            return Err(CommandError::Syntax);
        }
        if self.count > 0 && self.order.is_none() && !self.takes_any {
            self.order = Some(Order::Nearest);
        }
        Ok(())
    }

    /// Finds the members. O(log n) for each cell, O(m log m) in the members found.
    pub(crate) fn run(&self, set: &SortedSet) -> Vec<Found> {
        let Some(shape) = self.shape else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for span in shape.score_ranges(self.center) {
            let range = ScoreRange {
                min: Bound::Included(span.start),
                max: Bound::Excluded(span.end),
            };
            for (member, score) in set.pairs(set.score_ranks(&range), false) {
                if self.takes_any && found.len() >= self.count {
                    break;
                }
                let place = Place::from_score(score);
                if let Some(distance) = shape.distance_inside(self.center, place) {
                    found.push(Found {
                        member: member.to_vec(),
                        score,
                        place,
                        distance: distance / self.meters,
                    });
                }
            }
        }
        match self.order {
            Some(Order::Nearest) => found.sort_by(|a, b| a.distance.total_cmp(&b.distance)),
            Some(Order::Farthest) => found.sort_by(|a, b| b.distance.total_cmp(&a.distance)),
            None => {}
        }
        if self.count > 0 {
            found.truncate(self.count);
        }
        found
    }

    /// Writes the members found with what was asked for.
    pub(crate) fn write(&self, reply: &mut Reply<'_>, found: &[Found]) {
        let parts = [self.with_distance, self.with_score, self.with_place];
        let part_count = parts.iter().filter(|&&is_wanted| is_wanted).count();
        reply.array(found.len());
        for found in found {
            if part_count > 0 {
                reply.array(part_count + 1);
            }
            reply.bulk(&found.member);
            if self.with_distance {
                write_distance(reply, found.distance);
            }
            if self.with_score {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "scores that were found are of cells, below 2^54"
                )]
                reply.integer(found.score as i64);
            }
            if self.with_place {
                write_place(reply, found.place);
            }
        }
    }

    /// Makes a sorted set of the members found.
    pub(crate) fn result(&self, found: &[Found], rules: &Rules) -> SortedSet {
        let mut set = SortedSet::new();
        for found in found {
            let score = if self.stores_distance {
                found.distance
            } else {
                found.score
            };
            set.set(&found.member, score, rules);
        }
        set
    }
}

fn length(word: &[u8], refusal: &'static str) -> Result<f64, CommandError> {
    base::number::parse_f64(word).ok_or(CommandError::Text(refusal))
}

fn place_of(set: &SortedSet, member: &[u8]) -> Result<Place, CommandError> {
    let score = set.score(member).ok_or(CommandError::Text(
        "ERR could not decode requested zset member",
    ))?;
    Ok(Place::from_score(score))
}
