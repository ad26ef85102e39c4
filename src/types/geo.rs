//! Places on earth as 52-bit numbers: the arithmetic of the geo commands.
//!
//! A place is a longitude and a latitude in degrees. Each range, of 360 and about 170 degrees, is
//! divided into 2^26 parts; the bits of both numbers in turn, longitude first, make the number that
//! is the score of a member. Fewer bits stand for larger cells, so a cell is a range of scores.
//!
//! ```text
//! bit        51  50  49  48        1   0
//!            lon lat lon lat  ...  lon lat
//! ```
//!
//! Invariants
//! - The order of operations on doubles is the one that gives the digits of Redis 7.0.15.
//!
//! Not here: which members are in a cell (`sorted_set`), options and replies (`commands`).

/// Most degrees of latitude; what lies beyond is not on the map (EPSG:3857).
pub const LATITUDE_MAX: f64 = 85.051_128_78;
/// Most degrees of longitude.
pub const LONGITUDE_MAX: f64 = 180.0;

/// Bits of each coordinate in a score.
const STEPS_MAX: u32 = 26;
/// Radius of the earth, in meters.
const EARTH_RADIUS: f64 = 6_372_797.560_856;
/// Half of the length of the equator on the map, in meters.
const MAP_RADIUS: f64 = 20_037_726.37;
/// Radians of a degree.
const RADIANS: f64 = std::f64::consts::PI / 180.0;
/// Degrees of latitude that geohash texts reach to.
const TEXT_LATITUDE_MAX: f64 = 90.0;
/// The digits of geohash texts.
const TEXT_DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Letters of a geohash text.
pub const TEXT_BYTES: usize = 11;

/// A point, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// East of Greenwich if positive.
    pub longitude: f64,
    /// North of the equator if positive.
    pub latitude: f64,
}

impl Place {
    /// Returns whether the point is on the map.
    #[must_use]
    pub fn is_on_map(self) -> bool {
        self.longitude.abs() <= LONGITUDE_MAX && self.latitude.abs() <= LATITUDE_MAX
    }

    /// Returns the score for a point on the map.
    #[must_use]
    pub fn score(self) -> f64 {
        number_as_score(Cell::around(self, LATITUDE_MAX, STEPS_MAX).bits())
    }

    /// Returns the middle of the smallest cell that a score stands for. Any score has one.
    #[must_use]
    pub fn from_score(score: f64) -> Self {
        Cell::from_bits(score_as_number(score), STEPS_MAX).middle()
    }

    /// Returns the distance to another point in meters, along the surface of a ball.
    #[must_use]
    pub fn distance(self, other: Self) -> f64 {
        let half = |from: f64, to: f64| ((to * RADIANS - from * RADIANS) / 2.0).sin();
        let v = half(self.longitude, other.longitude);
        if v == 0.0 {
            return latitude_distance(self.latitude, other.latitude);
        }
        let (from, to) = (self.latitude * RADIANS, other.latitude * RADIANS);
        let u = ((to - from) / 2.0).sin();
        let a = u * u + from.cos() * to.cos() * v * v;
        2.0 * EARTH_RADIUS * a.sqrt().asin()
    }

    /// Returns the geohash text of the point, as other programs know it.
    #[must_use]
    pub fn text(self) -> [u8; TEXT_BYTES] {
        let bits = Cell::around(self, TEXT_LATITUDE_MAX, STEPS_MAX).bits();
        let mut text = [TEXT_DIGITS[0]; TEXT_BYTES];
        // Ten letters have 50 of the 52 bits; the last is always 0.
        for (index, letter) in text.iter_mut().take(TEXT_BYTES - 1).enumerate() {
            let digit = (bits >> (52 - 5 * (index + 1))) & 0x1f;
            *letter = TEXT_DIGITS[base::cast::usize_from(digit)];
        }
        text
    }
}

/// Returns the distance of two parallels in meters.
fn latitude_distance(from: f64, to: f64) -> f64 {
    EARTH_RADIUS * (to * RADIANS - from * RADIANS).abs()
}

/// What is searched around a point. Lengths are in meters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// All within a distance.
    Circle {
        /// The distance.
        radius: f64,
    },
    /// All within half the width to the east and west, and half the height to the north and south.
    Rectangle {
        /// From west to east.
        width: f64,
        /// From south to north.
        height: f64,
    },
}

impl Shape {
    /// Returns the distance of a point from the center, if it is inside.
    #[must_use]
    pub fn distance_inside(self, center: Place, point: Place) -> Option<f64> {
        match self {
            Self::Circle { radius } => {
                let distance = center.distance(point);
                (distance <= radius).then_some(distance)
            }
            Self::Rectangle { width, height } => {
                if latitude_distance(point.latitude, center.latitude) > height / 2.0 {
                    return None;
                }
                let beside = Place {
                    longitude: center.longitude,
                    latitude: point.latitude,
                };
                if point.distance(beside) > width / 2.0 {
                    return None;
                }
                Some(center.distance(point))
            }
        }
    }

    /// Returns half of the extent to east and west, and to north and south.
    fn reach(self) -> (f64, f64) {
        match self {
            Self::Circle { radius } => (radius, radius),
            Self::Rectangle { width, height } => (width / 2.0, height / 2.0),
        }
    }

    /// Returns the distance of the farthest points.
    fn radius(self) -> f64 {
        match self {
            Self::Circle { radius } => radius,
            Self::Rectangle { width, height } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        }
    }

    /// Returns the ranges of scores to look at, at most nine, in the order in which Redis 7.0.15
    /// does: the cell of the center, and those of its neighbours that the shape reaches.
    #[must_use]
    pub fn score_ranges(self, center: Place) -> Vec<ScoreSpan> {
        let bounds = Bounds::around(self, center);
        let mut steps = estimated_steps(self.radius(), center.latitude);
        let mut cell = Cell::around(center, LATITUDE_MAX, steps);
        if steps > 1 && !cell.neighbours_cover(&bounds) {
            steps -= 1;
            cell = Cell::around(center, LATITUDE_MAX, steps);
        }
        let area = cell.area();
        let is_needed = |east: i64, north: i64| {
            steps < 2
                || !((north < 0 && area.south < bounds.south)
                    || (north > 0 && area.north > bounds.north)
                    || (east < 0 && area.west < bounds.west)
                    || (east > 0 && area.east > bounds.east))
        };
        let mut spans: Vec<ScoreSpan> = Vec::new();
        // Cells around the pole of a coarse grid coincide; they follow each other here.
        let mut last = None;
        for (index, &(east, north)) in NEIGHBOURS.iter().enumerate() {
            if !is_needed(east, north) {
                continue;
            }
            let neighbour = cell.moved(east, north);
            if last == Some(neighbour.bits()) {
                continue;
            }
            if index > 0 {
                last = Some(neighbour.bits());
            }
            spans.push(neighbour.span());
        }
        spans
    }
}

/// The cell itself and its neighbours, as steps to the east and to the north.
const NEIGHBOURS: [(i64, i64); 9] = [
    (0, 0),
    (0, 1),
    (0, -1),
    (1, 0),
    (-1, 0),
    (1, 1),
    (-1, 1),
    (1, -1),
    (-1, -1),
];

/// Scores from `start` up to `end`, that one not included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreSpan {
    /// The lowest score.
    pub start: f64,
    /// Behind the highest.
    pub end: f64,
}

/// How far a shape reaches, in degrees.
struct Bounds {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl Bounds {
    fn around(shape: Shape, center: Place) -> Self {
        let (width, height) = shape.reach();
        let latitude_delta = height / EARTH_RADIUS / RADIANS;
        // Meridians are closest on the side towards the pole.
        let farthest = if center.latitude < 0.0 {
            center.latitude - latitude_delta
        } else {
            center.latitude + latitude_delta
        };
        let longitude_delta = width / EARTH_RADIUS / (farthest * RADIANS).cos() / RADIANS;
        Self {
            west: center.longitude - longitude_delta,
            south: center.latitude - latitude_delta,
            east: center.longitude + longitude_delta,
            north: center.latitude + latitude_delta,
        }
    }
}

/// Returns how many bits of each coordinate make cells that are about as large as a circle.
fn estimated_steps(radius: f64, latitude: f64) -> u32 {
    if radius == 0.0 {
        return STEPS_MAX;
    }
    let mut steps = 1_i32;
    let mut covered = radius;
    while covered < MAP_RADIUS {
        covered *= 2.0;
        steps += 1;
    }
    // Somewhat larger, so that the neighbours nearly always do.
    steps -= 2;
    // Cells are narrow near the poles.
    if latitude.abs() > 66.0 {
        steps -= 1;
        if latitude.abs() > 80.0 {
            steps -= 1;
        }
    }
    u32::try_from(steps).unwrap_or(1).clamp(1, STEPS_MAX)
}

/// A cell of a grid of `2^steps` by `2^steps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    /// Counted from the west.
    column: u32,
    /// Counted from the south.
    row: u32,
    steps: u32,
}

/// The borders of a cell, in degrees.
struct Area {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl Cell {
    /// Returns the cell of a point, on a map that reaches to `latitude_max`.
    fn around(place: Place, latitude_max: f64, steps: u32) -> Self {
        let part = |value: f64, max: f64| {
            let offset = (value + max) / (max - -max) * part_count(steps);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and 2^26 for what is on the map"
            )]
            let index = offset as u32;
            index
        };
        Self {
            column: part(place.longitude, LONGITUDE_MAX),
            row: part(place.latitude, latitude_max),
            steps,
        }
    }

    fn from_bits(bits: u64, steps: u32) -> Self {
        Self {
            column: every_other_bit(bits >> 1),
            row: every_other_bit(bits),
            steps,
        }
    }

    fn bits(self) -> u64 {
        spread_bits(self.row) | (spread_bits(self.column) << 1)
    }

    fn area(self) -> Area {
        let border = |index: u64, max: f64| {
            #[expect(clippy::cast_precision_loss, reason = "the index has at most 33 bits")]
            let part = index as f64 / part_count(self.steps);
            -max + part * (max - -max)
        };
        let (column, row) = (u64::from(self.column), u64::from(self.row));
        Area {
            west: border(column, LONGITUDE_MAX),
            south: border(row, LATITUDE_MAX),
            east: border(column + 1, LONGITUDE_MAX),
            north: border(row + 1, LATITUDE_MAX),
        }
    }

    fn middle(self) -> Place {
        let area = self.area();
        let longitude = f64::midpoint(area.west, area.east);
        let latitude = f64::midpoint(area.south, area.north);
        Place {
            longitude: longitude.clamp(-LONGITUDE_MAX, LONGITUDE_MAX),
            latitude: latitude.clamp(-LATITUDE_MAX, LATITUDE_MAX),
        }
    }

    /// Returns the cell so many steps away, around the edge of the map if need be.
    fn moved(self, east: i64, north: i64) -> Self {
        let moved = |index: u32, by: i64| {
            if by == 0 {
                return index;
            }
            let size = 1_i64 << self.steps;
            u32::try_from((i64::from(index) + by).rem_euclid(size)).unwrap_or(0)
        };
        Self {
            column: moved(self.column, east),
            row: moved(self.row, north),
            steps: self.steps,
        }
    }

    /// Returns whether the shape does not reach beyond the neighbours.
    fn neighbours_cover(self, bounds: &Bounds) -> bool {
        self.moved(0, 1).area().north >= bounds.north
            && self.moved(0, -1).area().south <= bounds.south
            && self.moved(1, 0).area().east >= bounds.east
            && self.moved(-1, 0).area().west <= bounds.west
    }

    fn span(self) -> ScoreSpan {
        let shift = 52 - 2 * self.steps;
        ScoreSpan {
            start: number_as_score(self.bits() << shift),
            end: number_as_score((self.bits() + 1) << shift),
        }
    }
}

fn part_count(steps: u32) -> f64 {
    f64::from(1_u32 << steps)
}

/// Puts a zero before each bit.
fn spread_bits(value: u32) -> u64 {
    let mut spread = u64::from(value);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        spread = (spread | (spread << shift)) & mask;
    }
    spread
}

/// Takes the bits at even places together.
fn every_other_bit(value: u64) -> u32 {
    let mut packed = value & 0x5555_5555_5555_5555;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        packed = (packed | (packed >> shift)) & mask;
    }
    u32::try_from(packed).unwrap_or(u32::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a number of 52 bits, or at the edge of the map 54 with zeros at the end"
)]
fn number_as_score(number: u64) -> f64 {
    number as f64
}

/// Converts any score as x86-64 does: negative ones wrap around, those too large are 0.
fn score_as_number(score: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "scores that are not of places mean nothing; the conversion is total"
    )]
    if score < HALF {
        (score as i64).cast_unsigned()
    } else if score < 2.0 * HALF {
        score as u64
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PALERMO: Place = Place {
        longitude: 13.361_389,
        latitude: 38.115_556,
    };
    const CATANIA: Place = Place {
        longitude: 15.087_269,
        latitude: 37.502_669,
    };

    #[test]
    fn scores_distances_and_texts_are_those_of_the_documentation() {
        assert_eq!(PALERMO.score(), 3_479_099_956_230_698.0);
        assert_eq!(CATANIA.score(), 3_479_447_370_796_909.0);
        let (palermo, catania) = (
            Place::from_score(PALERMO.score()),
            Place::from_score(CATANIA.score()),
        );
        assert_eq!(format!("{:.4}", palermo.distance(catania)), "166274.1516");
        assert_eq!(&palermo.text(), b"sqc8b49rny0");
        assert_eq!(&catania.text(), b"sqdtr74hyu0");
        assert_eq!(format!("{:.17}", palermo.longitude), "13.36138933897018433");
    }

    #[test]
    fn bits_are_spread_and_packed_again() {
        for value in [0, 1, 5, 0x0123_4567, u32::MAX, 1 << 26] {
            assert_eq!(every_other_bit(spread_bits(value)), value);
            assert_eq!(every_other_bit(spread_bits(value) << 1), 0);
        }
    }

    #[test]
    fn every_point_inside_is_in_one_of_the_ranges() {
        let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
        println!("SEED={seed}");
        let mut random = base::random::Random::new(seed);
        let mut degrees = |max: f64| {
            let part = f64::from(u32::try_from(random.below(1 << 31)).unwrap());
            part / f64::from(1_u32 << 31) * 2.0 * max - max
        };
        let mut inside = 0;
        for _ in 0..200_000 {
            let center = Place {
                longitude: degrees(170.0),
                latitude: degrees(70.0),
            };
            let size = 10_f64.powf(degrees(2.5) + 2.5);
            let shape = if degrees(1.0) > 0.0 {
                Shape::Circle { radius: size }
            } else {
                Shape::Rectangle {
                    width: size * 1.5,
                    height: size,
                }
            };
            // Near enough to be inside now and then.
            let spread = size / 80_000.0;
            let point = Place {
                longitude: center.longitude + degrees(spread),
                latitude: center.latitude + degrees(spread),
            };
            let point = Place::from_score(point.score());
            if shape.distance_inside(center, point).is_some() {
                let score = point.score();
                let spans = shape.score_ranges(center);
                assert!(spans.len() <= 9);
                let found = spans
                    .iter()
                    .filter(|it| it.start <= score && score < it.end);
                assert_eq!(found.count(), 1, "{shape:?} {center:?} {point:?}");
                inside += 1;
            }
        }
        assert!(inside > 20_000, "{inside}");
    }

    #[test]
    fn any_score_has_a_place_on_the_map() {
        for score in [
            0.0,
            -1.0,
            1e15,
            1e18,
            1e19,
            1e30,
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.5,
        ] {
            assert!(Place::from_score(score).is_on_map(), "{score}");
        }
    }
}
