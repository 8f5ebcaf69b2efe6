//! What one pull reads of a topic: from where the books say, up to what there is when the pull begins. A gap is never passed in silence.

use std::collections::BTreeMap;

use super::position::{Last, Mark, Position};

/// Partitions that a topic may have: the books keep a mark for each, in one text.
pub const PARTITIONS_MAX: usize = 500;

/// Partitions that a sentence names.
const NAMED: usize = 5;

/// What a partition holds at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first offset that is still there.
    pub low: i64,
    /// The offset after the last that may be read.
    pub high: i64,
    /// The first message that was sent at `from` or later, where that was asked for; none where there is none yet.
    pub from: Option<i64>,
}

/// What is read of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The offset of the next message that is new.
    pub next: i64,
    /// Reading ends before this offset.
    pub ceiling: i64,
    /// The message that was read last; it is fetched again before all others, and compared.
    pub known: Option<Last>,
}

impl Reading {
    /// The offset from which messages are fetched.
    pub fn start(&self) -> i64 {
        self.known.as_ref().map_or(self.next, |known| known.offset)
    }
}

/// What a pull reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Where the books stand, with the partitions that are new.
    pub position: Position,
    /// Partitions that have something new.
    pub readings: BTreeMap<i32, Reading>,
    pub warnings: Vec<String>,
}

/// Whether `from` decides where a partition is read.
pub fn asks_for_start(position: &Position, partition: i32) -> bool {
    position.is_empty() || position.get(partition).is_some_and(|mark| mark.waits)
}

/// Plans a pull.
///
/// # Errors
/// A sentence with the cure where the topic has not kept what was not read yet, or is not the topic that was read before.
pub fn plan(topic: &str, position: &Position, extents: &BTreeMap<i32, Extent>) -> Result<Plan, String> {
    if PARTITIONS_MAX < extents.len() {
        return Err(format!(
            "topic {topic} has {} partitions, and a source reads {PARTITIONS_MAX} at most; make a topic with fewer for the usage",
            extents.len()
        ));
    }
    let vanished = position.marks().map(|(partition, _)| partition);
    let vanished: Vec<String> = vanished
        .filter(|partition| !extents.contains_key(partition))
        .map(|partition| partition.to_string())
        .collect();
    if !vanished.is_empty() {
        return Err(anew(
            topic,
            &format!("it has no partition {} any more", some(&vanished)),
        ));
    }
    let mut planned = Plan::default();
    let (mut dropped, mut short) = (Vec::new(), Vec::new());
    for (&partition, extent) in extents {
        let mark = mark_of(position, partition, extent);
        if mark.next < extent.low {
            dropped.push(format!("{} to {} of partition {partition}", mark.next, extent.low - 1));
        } else if extent.high < mark.next {
            short.push(format!(
                "partition {partition} ends before offset {}, and was read up to {}",
                extent.high, mark.next
            ));
        } else {
            planned.add(topic, partition, mark, extent, position.is_empty());
        }
    }
    if !short.is_empty() {
        return Err(anew(topic, &some(&short)));
    }
    if !dropped.is_empty() {
        return Err(gap(topic, &some(&dropped)));
    }
    Ok(planned)
}

/// Where a partition was read up to. One that is new in a topic is read from its beginning.
fn mark_of(position: &Position, partition: i32, extent: &Extent) -> Mark {
    match position.get(partition) {
        Some(mark) => mark.clone(),
        None if position.is_empty() => Mark::waiting(extent.low),
        None => Mark::at(0),
    }
}

impl Plan {
    fn add(&mut self, topic: &str, partition: i32, mut mark: Mark, extent: &Extent, is_first: bool) {
        if mark.waits {
            mark = match extent.from {
                Some(start) => Mark::at(start.max(mark.next)),
                None => Mark::waiting(extent.high),
            };
            // A message that is there and older than `from` stands for those before it; where none is there, nothing does.
            if is_first && 0 < extent.low && mark.next == extent.low {
                self.warnings.push(format!(
                    "topic {topic}: partition {partition} begins at offset {}: what was sent before is not there any more. If usage since \
                     `from` was among it, bring that in from where it was sent",
                    extent.low
                ));
            }
        }
        if !mark.waits && mark.next < extent.high {
            let reading = Reading {
                next: mark.next,
                ceiling: extent.high,
                known: mark.last.clone().filter(|last| extent.low <= last.offset),
            };
            self.readings.insert(partition, reading);
        }
        self.position.set(partition, mark);
    }
}

/// What it means that messages were dropped before they were read.
pub fn gap(topic: &str, offsets: &str) -> String {
    format!(
        "topic {topic} dropped messages before they were read: offsets {offsets}. Bring their usage in from where it was sent \
         (`tallybook ingest`); then set `from` to another time, from which the topic is read again: what is known is a duplicate. Pull more \
         often, or let the topic keep messages for longer (`retention.ms`, `retention.bytes`)"
    )
}

/// What it means that a topic is not the one that was read.
pub fn anew(topic: &str, what: &str) -> String {
    format!(
        "topic {topic} is not as it was read before: {what}. Find out whether it was made anew or lost messages, and bring in what is missing \
         (`tallybook ingest`); then set `from` to another time, from which the topic is read again: what is known is a duplicate. A topic \
         whose `cleanup.policy` has `compact` loses usage: set it to `delete`"
    )
}

/// The first of several, and how many there are.
fn some(found: &[String]) -> String {
    let named = found[..found.len().min(NAMED)].join(", ");
    match found.len() - found.len().min(NAMED) {
        0 => named,
        more => format!("{named}, and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "usage";

    fn extent(low: i64, high: i64, from: Option<i64>) -> Extent {
        Extent { low, high, from }
    }

    fn planned(position: &Position, extents: &[Extent]) -> Result<Plan, String> {
        let extents = (0..).zip(extents.iter().copied()).collect();
        plan(TOPIC, position, &extents)
    }

    fn read_to(next: &[i64]) -> Position {
        let mut position = Position::default();
        for (partition, next) in (0..).zip(next) {
            let last = (0 < *next).then(|| Last {
                offset: next - 1,
                digest: "d".to_owned(),
            });
            position.set(
                partition,
                Mark {
                    last,
                    ..Mark::at(*next)
                },
            );
        }
        position
    }

    #[test]
    fn a_topic_is_first_read_from_the_time_that_the_definition_says() {
        let extents = [extent(0, 9, Some(4)), extent(0, 5, None), extent(0, 0, None)];
        let found = planned(&Position::default(), &extents).unwrap();
        assert_eq!(
            found.position.text(),
            r#"{"0":{"next":4},"1":{"next":5,"waits":true},"2":{"next":0,"waits":true}}"#
        );
        assert_eq!(found.readings.keys().collect::<Vec<_>>(), [&0]);
        assert_eq!((found.readings[&0].start(), found.readings[&0].ceiling), (4, 9));
        assert!(found.warnings.is_empty());
        // One of those that wait has a message at last, behind one that is older still.
        let later = [extent(0, 9, None), extent(0, 7, Some(6)), extent(0, 0, None)];
        let found = planned(&found.position, &later).unwrap();
        assert_eq!(found.readings[&1].start(), 6);
        assert_eq!(found.position.get(2), Some(&Mark::waiting(0)));
    }

    #[test]
    fn what_a_topic_dropped_before_it_was_first_read_is_warned_of() {
        let found = planned(&Position::default(), &[extent(7, 9, Some(7)), extent(7, 9, Some(8))]).unwrap();
        assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
        assert!(found.warnings[0].contains("partition 0 begins at offset 7"));
        // Nothing is left of the first, and of the second what was sent before `from`.
        let found = planned(&Position::default(), &[extent(9, 9, None), extent(7, 9, None)]).unwrap();
        assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
        assert!(found.warnings[0].contains("partition 0 begins at offset 9"));
        // It is told once.
        assert!(
            planned(&found.position, &[extent(9, 9, None), extent(7, 9, None)])
                .unwrap()
                .warnings
                .is_empty()
        );
    }

    #[test]
    fn reading_goes_on_where_the_books_stand_after_the_last_message_is_compared() {
        let found = planned(&read_to(&[5, 9]), &[extent(0, 8, None), extent(0, 9, None)]).unwrap();
        assert_eq!(found.readings.keys().collect::<Vec<_>>(), [&0]);
        let reading = &found.readings[&0];
        assert_eq!((reading.start(), reading.next, reading.ceiling), (4, 5, 8));
        // It is not there any more, and nothing else is missing.
        let found = planned(&read_to(&[5]), &[extent(5, 8, None)]).unwrap();
        assert_eq!((found.readings[&0].start(), &found.readings[&0].known), (5, &None));
    }

    #[test]
    fn a_partition_that_is_new_is_read_from_its_beginning() {
        let found = planned(&read_to(&[5]), &[extent(0, 5, None), extent(0, 3, None)]).unwrap();
        assert_eq!(found.readings.keys().collect::<Vec<_>>(), [&1]);
        assert_eq!(found.readings[&1].start(), 0);
        let refused = planned(&read_to(&[5]), &[extent(0, 5, None), extent(2, 3, None)]).unwrap_err();
        assert!(refused.contains("offsets 0 to 1 of partition 1"), "{refused}");
    }

    #[test]
    fn a_gap_needs_a_person_and_says_which_offsets() {
        for (position, extents, said) in [
            (
                read_to(&[5, 5]),
                vec![extent(9, 12, None), extent(6, 6, None)],
                "offsets 5 to 8 of partition 0, 5 to 5 of partition 1.",
            ),
            (
                read_to(&[5]),
                vec![extent(0, 4, None)],
                "partition 0 ends before offset 4, and was read up to 5.",
            ),
            (
                read_to(&[5, 5]),
                vec![extent(0, 5, None)],
                "it has no partition 1 any more.",
            ),
            (
                read_to(&[1; 9]),
                vec![extent(3, 3, None); 9],
                "1 to 2 of partition 4, and 4 more.",
            ),
        ] {
            let refused = planned(&position, &extents).unwrap_err();
            assert!(
                refused.contains(said) && refused.contains("set `from` to another time"),
                "{refused}"
            );
        }
        // What waited for its first message lost what came meanwhile.
        let mut waits = Position::default();
        waits.set(0, Mark::waiting(3));
        assert!(planned(&waits, &[extent(4, 8, Some(4))]).is_err());
        assert!(planned(&waits, &[extent(3, 8, Some(4))]).is_ok());
        assert!(planned(&Position::default(), &vec![extent(0, 0, None); PARTITIONS_MAX + 1]).is_err());
    }
}
