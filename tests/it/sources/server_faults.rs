//! Servers of queues that die, and that let nobody in, in the middle of a pull by the real program: nothing is lost, and nothing is counted
//! twice.

use super::killed::{BATCH, Feed, Ground, pulling};
use super::pulled::{exports, exports_of_a_file, records};
use crate::crashes::process::{run as run_program, stop_at};

/// A queue on a server that the test can end.
pub trait Breakable: Feed {
    /// Ends the server without a word to anybody.
    fn kill(&self);

    /// Starts it again on the same data.
    fn start(&self);

    /// Gives the user another password, key or token on the server. Where the definition says that it is, the old one stays.
    fn change_secret(&self);

    /// Puts the new one where the definition says that it is.
    fn mend_secret(&self);
}

/// Exit codes of a pull.
const DONE: Option<i32> = Some(0);
const UNAVAILABLE: Option<i32> = Some(1);
const NEEDS_PERSON: Option<i32> = Some(3);
const BUSY: Option<i32> = Some(5);

/// Kills the server while a pull stands at each of these points, starts it again, and lets the pull go on.
pub fn survives_the_death_of_its_server(ground: &Ground<impl Breakable>, points: &[&str]) {
    let records = records(3 * BATCH);
    let expected = exports_of_a_file(&records);
    for point in points {
        let place = ground.place(&records);
        let stopped = stop_at(&mut pulling(&place), point).unwrap_or_else(|ended| panic!("{point}: {ended:?}"));
        ground.feed().kill();
        ground.feed().start();
        let ended = stopped.go_on();
        assert!([DONE, UNAVAILABLE].contains(&ended.code), "{point}: {ended:?}");
        ground.pull_all(&place).unwrap_or_else(|why| panic!("{point}: {why}"));
        assert!(
            exports(&place) == expected,
            "{point}: other exports than those of a file"
        );
    }
}

/// A server that is away is told as such, and all is there when it comes back.
pub fn waits_for_a_server_that_is_away(ground: &Ground<impl Breakable>) {
    let records = records(BATCH);
    let expected = exports_of_a_file(&records);
    let place = ground.place(&records);
    ground.feed().kill();
    let ended = run_program(&mut pulling(&place));
    assert_eq!(ended.code, UNAVAILABLE, "{}", ended.said);
    ground.feed().start();
    ground.pull_all(&place).unwrap();
    assert!(exports(&place) == expected, "other exports than those of a file");
}

/// The secret is changed while a pull has a part in its hands. The pull ends, a person is asked for, and after it is mended all is there.
pub fn needs_a_person_when_the_secret_was_changed(ground: &Ground<impl Breakable>) {
    let records = records(3 * BATCH);
    let expected = exports_of_a_file(&records);
    let (first, later) = records.split_at(2 * BATCH);
    let place = ground.place(first);
    let stopped = stop_at(&mut pulling(&place), "fetched part").unwrap();
    ground.feed().change_secret();
    // Some servers let those in go on, some do not.
    let ended = stopped.go_on();
    assert!(
        [DONE, UNAVAILABLE, NEEDS_PERSON].contains(&ended.code),
        "it went on: {ended:?}"
    );
    ground.feed().send(later);
    for _ in 0..2 {
        let ended = run_program(&mut pulling(&place));
        assert_eq!(ended.code, NEEDS_PERSON, "{}", ended.said);
    }
    assert!(BATCH <= ground.feed().left());
    ground.feed().mend_secret();
    ground.pull_all(&place).unwrap();
    assert!(exports(&place) == expected, "other exports than those of a file");
}

/// Two processes with the same books: the second is told that the first reads, and takes nothing.
pub fn is_pulled_by_one_process_at_a_time(ground: &Ground<impl Feed>) {
    let records = records(3 * BATCH);
    let expected = exports_of_a_file(&records);
    let place = ground.place(&records);
    let stopped = stop_at(&mut pulling(&place), "fetched part").unwrap();
    let ended = run_program(&mut pulling(&place));
    assert_eq!(ended.code, BUSY, "{}", ended.said);
    let ended = stopped.go_on();
    assert_eq!(ended.code, DONE, "{}", ended.said);
    assert_eq!(ground.feed().left(), 0);
    assert!(exports(&place) == expected, "other exports than those of a file");
}
