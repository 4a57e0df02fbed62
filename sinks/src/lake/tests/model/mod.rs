//! An exhaustive search through everything that runs of one window can do to each other: every
//! order of their steps, a source that changes, a crash, a lost or a wrong answer of the store, and
//! then a clean run. It starts from the protocol's own steps ([`designs`]), not from its code.
//!
//! Designs that are known to be wrong are searched too: a search that finds nothing wrong with them
//! would prove nothing of the right one.

mod designs;
mod search;
mod store;

use designs::{Design, Program, Publishing};
use search::{Faults, Found, search};
use store::Etags;

/// Every pair of programs that may meet, under any one crash and any one doubtful answer.
fn check(design: Design, etags: Etags, expected: &[&str]) {
    let mut found = Found::default();
    for programs in design.meetings() {
        found.add(search(design, &programs, etags, Faults { crashes: 1, doubts: 1 }));
    }
    let wrong: Vec<&str> = found.wrong.keys().copied().collect();
    assert_eq!(wrong, expected, "{design:?} with {etags:?} in {} states: {:?}", found.states, found.examples);
}

const PROTOCOL: Design = Design {
    publishing: Publishing::OneObject,
    conditional: true,
    deletes_empty: false,
    sequence_in_footer: true,
    numbered_before_reading: true,
    errors_are_evidence: false,
};

#[test]
fn the_protocol_keeps_its_promise() {
    for etags in [Etags::Unique, Etags::OfContent] {
        check(PROTOCOL, etags, &[]);
    }
}

#[test]
#[ignore = "minutes: make test-slow"]
fn three_runs_keep_it_too() {
    let three = search(PROTOCOL, &[Program::Run; 3], Etags::Unique, Faults { crashes: 0, doubts: 0 });
    assert!(three.states > 100_000 && three.wrong.is_empty(), "{:?}", three.examples);
}

#[test]
fn wrong_designs_are_found_out() {
    let unique = |design, expected: &[&str]| check(design, Etags::Unique, expected);
    let (mix, older) = ("a reader sees a mix", "a run's rows were replaced by older ones");
    let (without_fault, after_clean) = ("wrong without any fault", "wrong after a clean run");
    let (nothing, does_not_end) = ("a reader sees nothing", "a clean run does not end well");
    for publishing in [Publishing::NewNames, Publishing::OverwrittenNames] {
        unique(Design { publishing, ..PROTOCOL }, &[mix, older, after_clean, without_fault]);
    }
    unique(Design { deletes_empty: true, ..PROTOCOL }, &[does_not_end, after_clean, without_fault]);
    unique(Design { conditional: false, ..PROTOCOL }, &[older, after_clean, without_fault]);
    unique(Design { numbered_before_reading: false, ..PROTOCOL }, &[older, "stale without any fault"]);
    let believed = [does_not_end, nothing, older, "stale after a clean run", after_clean, without_fault];
    unique(Design { errors_are_evidence: true, ..PROTOCOL }, &believed);
    let without_sequence = Design { sequence_in_footer: false, ..PROTOCOL };
    check(without_sequence, Etags::OfContent, &[does_not_end, older, after_clean, without_fault]);
}
