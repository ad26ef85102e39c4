//! Patterns for places on earth.

use super::Family;

pub(super) const FAMILY: Family = Family {
    templates: &[
        (
            30,
            "GEOADD <geokey> [NX|XX] [CH] (<geo-place> <geo-place> <city>)+",
        ),
        (10, "GEOADD <geokey> <longitude> <latitude> <city>"),
        (10, "GEODIST <geokey> <city> <city> [<unit>]"),
        (6, "GEOHASH <geokey> <city>*"),
        (6, "GEOPOS <geokey> <city>*"),
        (
            12,
            "GEOSEARCH <geokey> FROMMEMBER <city> BYRADIUS <length> <unit> \
[ASC|DESC] [COUNT <some> [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]",
        ),
        (
            12,
            "GEOSEARCH <geokey> FROMLONLAT <longitude> <latitude> BYBOX \
<length> <length> <unit> [ASC|DESC] [COUNT <some> [ANY]] \
[WITHCOORD] [WITHDIST] [WITHHASH]",
        ),
        (
            8,
            "GEOSEARCHSTORE <geokey> <geokey> FROMMEMBER <city> BYBOX \
<length> <length> <unit> [ASC|DESC] [COUNT <some> [ANY]] \
[STOREDIST]",
        ),
        (
            4,
            "GEOSEARCHSTORE <geokey> <geokey> FROMLONLAT <longitude> <latitude> BYRADIUS \
<length> <unit> [ASC|DESC] [COUNT <some> [ANY]] [STOREDIST]",
        ),
        (
            8,
            "(GEORADIUS|GEORADIUS_RO) <geokey> <longitude> <latitude> \
<length> <unit> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT <some> \
[ANY]] [ASC|DESC] [STORE {a}places|STOREDIST {a}places]",
        ),
        (
            8,
            "(GEORADIUSBYMEMBER|GEORADIUSBYMEMBER_RO) <geokey> <city> \
<length> <unit> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT <some> \
[ANY]] [ASC|DESC] [STORE {a}places|STOREDIST {a}places]",
        ),
        (
            6,
            "GEORADIUS <geokey> <longitude> <latitude> 3000 <unit> (STORE|STOREDIST) {a}places",
        ),
        (
            6,
            "GEORADIUSBYMEMBER <geokey> <city> 3000 <unit> (STORE|STOREDIST) {a}places",
        ),
        (4, "ZRANGE <geokey> 0 -1 WITHSCORES"),
        (4, "ZADD <geokey> <geo-place> <city>"),
    ],
    words: |kind| {
        Some(match kind {
            "geokey" => &["{a}places", "places", "{b}more", "towns"],
            "geo-place" => &[
                "13.361389",
                "38.115556",
                "15.087269",
                "37.502669",
                "0",
                "-70.5",
                "85",
                "x",
            ],
            "longitude" => &[
                "13.361389",
                "15.087269",
                "-179.9",
                "0",
                "180",
                "-74.006",
                "200",
                "x",
            ],
            "latitude" => &[
                "38.115556",
                "37.502669",
                "0",
                "85.05112878",
                "-33.9",
                "40.7128",
                "86",
            ],
            "city" => &["Palermo", "Catania", "Agrigento", "Trapani", "1", "nowhere"],
            "unit" => &["km", "m", "mi", "ft", "KM", "yd"],
            "length" => &["100", "200", "3000", "0", "1e7", "0.5", "-1", "x"],
            "some" => &["1", "2", "3", "10", "0", "x"],
            _ => return None,
        })
    },
};
