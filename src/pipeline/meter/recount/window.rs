//! Which raw is measured together: some UTC days at a time, and the local days that are whole after them. Pure.

use std::ops::Range;

use chrono::{Days, NaiveDate};

use crate::storage::raw::store::Segment;
use crate::values::calendar::all_days;

/// Some UTC days of raw.
#[derive(Clone, Debug)]
pub struct Window<'s> {
    /// Of whole days.
    pub segments: &'s [Segment],
    /// Local days to which neither earlier nor later windows add anything more.
    pub days: Range<NaiveDate>,
}

/// Cuts segments, which are in the order of their days, into windows of so many rows, or of one day. The first one begins with a local day.
pub fn windows(segments: &[Segment], first_day: NaiveDate, rows_max: i64) -> Vec<Window<'_>> {
    let (mut windows, mut rest, mut from) = (Vec::new(), segments, first_day);
    loop {
        let (now, later) = rest.split_at(end_of_days(rest, rows_max));
        // What happens on a UTC day happens on a local day of the date before it, of its own, or of the one after it.
        let to = later
            .first()
            .map_or(all_days().1, |next| next.day - Days::new(1))
            .max(from);
        windows.push(Window {
            segments: now,
            days: from..to,
        });
        if later.is_empty() {
            return windows;
        }
        (rest, from) = (later, to);
    }
}

fn end_of_days(segments: &[Segment], rows_max: i64) -> usize {
    let (mut rows, mut end) = (0, 0);
    for day in segments.chunk_by(|one, next| one.day == next.day) {
        rows += rows_of(day);
        if end > 0 && rows > rows_max {
            break;
        }
        end += day.len();
    }
    end
}

/// Cuts segments into groups of so many rows, or of one segment.
pub fn groups(segments: &[Segment], rows_max: i64) -> Vec<&[Segment]> {
    let (mut groups, mut rest) = (Vec::new(), segments);
    while !rest.is_empty() {
        let mut rows = 0;
        let fits = |segment: &&Segment| {
            rows += segment.rows;
            rows <= rows_max
        };
        let (group, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        groups.push(group);
        rest = later;
    }
    groups
}

pub fn rows_of(segments: &[Segment]) -> i64 {
    segments.iter().map(|segment| segment.rows).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 10, 1).unwrap() + Days::new(number)
    }

    fn segments(all: &[(u64, i64)]) -> Vec<Segment> {
        let segment = |&(of, rows): &(u64, i64)| Segment {
            path: String::new(),
            day: day(of),
            batch_lo: 1,
            batch_hi: 1,
            rows,
            bytes: 0,
            digest: String::new(),
        };
        all.iter().map(segment).collect()
    }

    #[test]
    fn windows_are_of_whole_days_and_leave_no_local_day_out() {
        let all = segments(&[(0, 5), (0, 5), (1, 5), (2, 1), (2, 1), (9, 30), (10, 1)]);
        let first = all_days().0;
        let windows = windows(&all, first, 12);
        let found: Vec<(usize, NaiveDate, NaiveDate)> = windows
            .iter()
            .map(|window| (window.segments.len(), window.days.start, window.days.end))
            .collect();
        // Rows of a UTC day may fall on the date before it: that one waits for the next window.
        let expected = [
            (2, first, day(0)),
            (3, day(0), day(8)),
            (1, day(8), day(9)),
            (1, day(9), all_days().1),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn without_raw_there_is_one_window_of_all_days() {
        let windows = windows(&[], day(3), 12);
        assert_eq!((windows.len(), windows[0].days.clone()), (1, day(3)..all_days().1));
    }

    #[test]
    fn a_group_has_at_least_one_segment_and_no_more_rows_than_it_may() {
        let all = segments(&[(0, 5), (0, 5), (0, 30), (0, 1), (0, 1)]);
        let sizes = |rows_max| -> Vec<usize> { groups(&all, rows_max).iter().map(|group| group.len()).collect() };
        assert_eq!(sizes(12), [2, 1, 2]);
        assert_eq!(sizes(1), [1, 1, 1, 1, 1]);
        assert_eq!(sizes(1000), [5]);
        assert_eq!(groups(&[], 12).len(), 0);
    }
}
