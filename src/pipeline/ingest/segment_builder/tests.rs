use super::*;
use crate::pipeline::ingest::record::timestamp::parse_instant;
use crate::storage::durable_files::DataDir;
use crate::support::clock::Clock;

/// A line as `benches/gen_usage.py` and most services write theirs: keys in one order, absent parameters as null.
fn line(n: u32) -> String {
    let (images, status) = if n.is_multiple_of(5) {
        ("6", "SUCCESS")
    } else {
        ("null", "FAIL")
    };
    format!(
        r#"{{"source":"mps","id":"{n:032x}","uin":"{}","appid":{},"task_type":"Transcode","parameters":{{"type":"Standard","codec":null,"width":{},"images":{images}}},"duration_ms":{},"status":"{status}","finished_at":"2026-10-{:02}T01:20:13.983Z"}}"#,
        100_000_000_000_u64 + u64::from(n),
        1_250_000_000 + n,
        480 * (1 + n % 3),
        n * 977,
        1 + n % 31,
    )
}

/// Runs a segment builder that writes nothing.
fn with_worker<T>(now: &str, run: impl FnOnce(&mut SegmentBuilder) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let writers = Writers::new(&DataDir::open(folder.path()).unwrap(), 1);
    let clock = Clock::at(chrono::DateTime::from_timestamp_nanos(parse_instant(now).unwrap()));
    let rules = RecordRules::new(clock, "default", HashSet::new(), None);
    run(&mut SegmentBuilder::new(&rules, &writers))
}

#[test]
fn the_lines_of_one_sender_are_read_by_their_layout_once_their_parameters_are_known() {
    let in_full = with_worker("2026-11-05T00:00:00Z", |builder| {
        builder.layouts.begin_chunk();
        let lines = (0..1_000).map(line);
        let read_in_full = lines.filter(|line| {
            let known = builder.take_known_line(1, line).map(Result::unwrap);
            assert!(known.is_none_or(|length| length == line.len()));
            known.is_none() && builder.take_line(1, line.as_bytes()).unwrap()
        });
        read_in_full.count()
    });
    assert_eq!(in_full, 6, "once for each text of parameters");
}

#[test]
fn what_a_layout_reads_is_kept_and_counted_as_what_is_read_in_full() {
    let good: Vec<String> = (0..50).map(line).collect();
    let future = line(50).replace("2026-10", "2026-12");
    let text = format!(
        "{}\n\n{future}\nno line\n{}",
        good[..25].join("\n"),
        good[25..].join("\n")
    );
    let counted = |chunk: &Chunk| {
        with_worker("2026-11-05T00:00:00Z", |builder| {
            builder.take_lines(chunk).unwrap();
            builder.take_lines(chunk).unwrap();
            let refused = builder.tally.refused.drain(..);
            let refused: Vec<_> = refused.map(|r| (r.line, r.refusal.code, r.bytes)).collect();
            let rows: Vec<usize> = (20_727..20_758)
                .map(|day| builder.days.get(&day).map_or(0, RawRows::len))
                .collect();
            (builder.tally.received, builder.tally.stored, refused, rows)
        })
    };
    let (received, stored, refused, rows) = counted(&Chunk::of(7, text.clone().into_bytes()));
    assert_eq!((received, stored, rows.iter().sum()), (104, 100, 100));
    let one = [
        (33, code::IN_THE_FUTURE, future.into_bytes()),
        (34, code::NOT_JSON, b"no line".to_vec()),
    ];
    assert_eq!(refused, [one.clone(), one].concat());
    // A byte that is no UTF-8 sends every line of its chunk the slow way.
    let broken = [text.as_bytes(), b"\n\xFF"].concat();
    let slow = counted(&Chunk::of(7, broken));
    assert_eq!((slow.0, slow.1, slow.3), (received + 2, stored, rows));
}

#[test]
fn unknown_parameters_with_a_brace_in_a_text_are_read_in_full() {
    with_worker("2026-11-05T00:00:00Z", |builder| {
        let odd = |n| line(n).replace(r#""codec":null"#, r#""codec":"}","x":"{""#);
        let text = [line(0), odd(0), odd(1), line(5)].join("\n");
        builder.take_lines(&Chunk::of(1, text.into_bytes())).unwrap();
        assert_eq!(builder.tally.stored, 4);
        assert_eq!(builder.parameters.len(), 4, "each text once");
    });
}
