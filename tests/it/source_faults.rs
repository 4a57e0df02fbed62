//! Every fault of a source that we know of, one named test each. Their list: answers of the API (a),
//! data (d), time (t).

mod api;
mod data;
mod time;

/// Faults without a test of their own would go unnoticed: each number has one.
#[test]
fn every_fault_has_a_test() {
    let sources = [
        include_str!("source_faults/api.rs"),
        include_str!("source_faults/data.rs"),
        include_str!("source_faults/time.rs"),
    ];
    let numbers = (1..=30).map(|number| format!("fn a{number:02}_"));
    let numbers = numbers.chain([9, 10, 11, 12, 17].map(|number| format!("fn d{number:02}_")));
    for name in numbers.chain((1..=9).map(|number| format!("fn t{number:02}_"))) {
        assert_eq!(sources.iter().map(|source| source.matches(&name).count()).sum::<usize>(), 1, "{name}");
    }
}
