//! Days and moments in the calendar of today, which is extended back to the year 0.
//!
//! Not here: clocks and time zones; every moment is UTC.

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// 0000-01-01, in days since 1970-01-01.
pub const FIRST_DAY: i32 = -719_528;

/// 9999-12-31, in days since 1970-01-01.
pub const LAST_DAY: i32 = 2_932_896;

/// 0000-01-01T00:00:00Z, in milliseconds since 1970-01-01T00:00:00Z.
pub const FIRST_MOMENT: i64 = FIRST_DAY as i64 * DAY_MS;

/// 9999-12-31T23:59:59.999Z, in milliseconds since 1970-01-01T00:00:00Z.
pub const LAST_MOMENT: i64 = LAST_DAY as i64 * DAY_MS + DAY_MS - 1;

/// Days of a year that is no leap year before each month, and before the next year.
const DAYS_BEFORE_MONTH: [i32; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

/// Returns days since 1970-01-01 if there is such a day. Years are 0 to 9999, months and days begin at 1.
#[must_use]
pub fn day(year: i32, month: i32, day: i32) -> Option<i32> {
    if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    if days_before_month(year, month) + day > days_before_month(year, month + 1) {
        return None;
    }
    Some(FIRST_DAY + days_before_year(year) + days_before_month(year, month) + day - 1)
}

/// Returns year, month and day of a day between [`FIRST_DAY`] and [`LAST_DAY`].
#[must_use]
pub fn date(day: i32) -> (i32, i32, i32) {
    let since = day - FIRST_DAY;
    // A year is never shorter than 365 days, so this is too late by some years at most.
    let mut year = since / 365;
    while days_before_year(year) > since {
        year -= 1;
    }
    let within = since - days_before_year(year);
    let mut month = 1;
    while days_before_month(year, month + 1) <= within {
        month += 1;
    }
    (year, month, within - days_before_month(year, month) + 1)
}

const fn is_leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from 0000-01-01 to the first day of `year`.
const fn days_before_year(year: i32) -> i32 {
    365 * year + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400
}

/// Days from the first day of `year` to the first day of `month`, 13 being the next January.
fn days_before_month(year: i32, month: i32) -> i32 {
    let index = usize::try_from(month - 1).unwrap_or(0).min(12);
    DAYS_BEFORE_MONTH[index] + i32::from(month > 2 && is_leap(year))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_ten_thousand_years_reads_back() {
        let mut expected = FIRST_DAY;
        for year in 0..=9999 {
            for month in 1..=12 {
                for day_of_month in 1..=31 {
                    if let Some(found) = day(year, month, day_of_month) {
                        assert_eq!(found, expected, "{year}-{month}-{day_of_month}");
                        assert_eq!(date(found), (year, month, day_of_month));
                        expected += 1;
                    }
                }
            }
        }
        assert_eq!(expected, LAST_DAY + 1);
    }

    #[test]
    fn known_days_are_where_they_belong() {
        assert_eq!(day(1970, 1, 1), Some(0));
        assert_eq!(day(2000, 2, 29), Some(11_016));
        assert_eq!(day(2024, 12, 31), Some(20_088));
        assert_eq!(day(0, 1, 1), Some(FIRST_DAY));
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for (year, month, of_month) in [
            (2023, 2, 29),
            (1900, 2, 29),
            (2024, 2, 30),
            (2024, 4, 31),
            (2024, 0, 1),
            (2024, 13, 1),
            (2024, 1, 0),
            (2024, 1, 32),
            (-1, 1, 1),
            (10_000, 1, 1),
        ] {
            assert_eq!(day(year, month, of_month), None);
        }
    }
}
