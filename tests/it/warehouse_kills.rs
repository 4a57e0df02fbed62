//! A load that is killed, or loses an answer, at each of its requests: the next one makes it right.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cxlake_simulator::TenantSettings;

use crate::support::{Fate, Outcome, Running, tenant};
use crate::warehouses::House;

/// What happens at a request.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    KilledBefore,
    KilledAfter,
    AnswerLost,
    Refused,
}

const TROUBLES: [Trouble; 4] = [Trouble::KilledBefore, Trouble::KilledAfter, Trouble::AnswerLost, Trouble::Refused];

/// A load into a table of its own.
struct Point {
    configuration: PathBuf,
    table: String,
}

impl Point {
    fn new(house: &House, name: &str, more: &str) -> Self {
        let table = format!("calls_{name}");
        let configuration = house.lab.folder().join(format!("{table}.toml"));
        let text = house
            .lab
            .configuration()
            .replace("page_records = 500", &format!("page_records = 500\ntable = \"{table}\""));
        std::fs::write(&configuration, text.replace("load_quarantine = true", more)).unwrap();
        Self { configuration, table }
    }

    fn load(&self, house: &House) -> Running {
        let mut command = house.lab.command(&["load"]);
        command.arg("--config").arg(&self.configuration);
        Running::start(command)
    }
}

/// Loads with a trouble at request `at`. Whether there was such a request.
fn troubled(house: &House, point: &Point, trouble: Trouble, at: usize) -> (bool, Outcome) {
    let requests = AtomicUsize::new(0);
    let process: Arc<Mutex<Option<u32>>> = Arc::default();
    let of_rule = Arc::clone(&process);
    house.proxy.rule(move |_| {
        if requests.fetch_add(1, Ordering::Relaxed) + 1 != at {
            return Fate::Forwarded;
        }
        // The process that asks was started a moment ago: its id is told right after.
        let id = loop {
            if let Some(id) = *of_rule.lock().unwrap() {
                break id;
            }
            std::thread::yield_now();
        };
        match trouble {
            Trouble::KilledBefore => Fate::KillsBefore(id),
            Trouble::KilledAfter => Fate::KillsAfter(id),
            Trouble::AnswerLost => Fate::AnswerLost,
            Trouble::Refused => Fate::Refused(503, "Unavailable"),
        }
    });
    let load = point.load(house);
    *process.lock().unwrap() = Some(load.id());
    let outcome = load.end();
    let was_there = house.proxy.requests().len() >= at;
    house.proxy.rule(|_| Fate::Forwarded);
    (was_there, outcome)
}

/// Each request has one of the troubles; with `CXLAKE_TEST_POINTS=all`, all of them.
fn is_played(trouble: usize, at: usize) -> bool {
    plays_all() || at % TROUBLES.len() == trouble
}

fn plays_all() -> bool {
    std::env::var("CXLAKE_TEST_POINTS").is_ok_and(|points| points == "all")
}

/// What is loaded, and into what.
struct Scenario {
    name: &'static str,
    /// The warehouse's further settings.
    more: &'static str,
}

impl Scenario {
    fn point(&self, house: &House, trouble: &str, at: usize) -> Point {
        Point::new(house, &format!("{}_{trouble}_{at}", self.name).to_lowercase(), self.more)
    }

    /// Loads the tables of points whose lake has something else by then.
    fn prepare(&self, house: &House, requests: usize) {
        for (number, trouble) in TROUBLES.into_iter().enumerate() {
            for at in (1..=requests).filter(|at| is_played(number, *at)) {
                self.point(house, &format!("{trouble:?}"), at).load(house).end().expect(0);
            }
        }
    }

    /// The requests of a load that nothing happens to.
    fn requests(&self, house: &House) -> usize {
        house.proxy.rule(|_| Fate::Forwarded);
        self.point(house, "none", 0).load(house).end().expect(0);
        house.proxy.requests().len()
    }

    /// Loads into tables of their own, each in trouble at another request; then loads again.
    fn play(&self, house: &House) -> usize {
        let mut points = 0;
        for (number, trouble) in TROUBLES.into_iter().enumerate() {
            for at in 1.. {
                if !is_played(number, at) {
                    continue;
                }
                let point = self.point(house, &format!("{trouble:?}"), at);
                let (was_there, outcome) = troubled(house, &point, trouble, at);
                if !was_there {
                    break;
                }
                points += 1;
                let is_killed = matches!(trouble, Trouble::KilledBefore | Trouble::KilledAfter);
                assert_eq!(outcome.code, if is_killed { -1 } else { 0 }, "{}: {outcome:?}", point.table);
                let again = House::statuses(&point.load(house).end().expect(0).summary());
                assert!(is_killed || again.iter().all(|status| status == "unchanged"), "{}: {again:?}", point.table);
                house.holds_the_lake("data", &point.table);
                if self.more.contains("load_quarantine") {
                    house.holds_the_lake("quarantine", &format!("{}_quarantine", point.table));
                }
            }
        }
        points
    }
}

/// Loads of a day, of one that is restated, in a further way of loading too, and of two days.
async fn killed_everywhere(house: House, further: &'static str) -> usize {
    let first = Scenario { name: "first", more: "" };
    let two = Scenario { name: "two", ..first };
    let restated = Scenario { name: "restated", ..first };
    let further = Scenario { name: "further", more: further };
    house.run(&["--date", "2024-01-01"], 0);
    let mut points = first.play(&house);
    // A poll more or less is the server's to decide.
    let requests = first.requests(&house) + 3;
    further.prepare(&house, 2 * requests);
    if plays_all() {
        restated.prepare(&house, requests);
    }
    house.lab.simulator.change(|tenant| (tenant.seed, tenant.records_per_day) = (7, 50));
    house.run(&["--date", "2024-01-01"], 0);
    points += further.play(&house);
    if plays_all() {
        points += restated.play(&house);
        house.run(&["--date", "2024-01-02"], 0);
        points += two.play(&house);
    }
    points
}

fn small() -> TenantSettings {
    TenantSettings { duplicate_every: 0, ..tenant(40) }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_snowflake_loads_are_made_right() {
    let points = killed_everywhere(House::snowflake(small()).await, "load_quarantine = true").await;
    assert!(points >= if plays_all() { 200 } else { 25 }, "{points}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_big_query_loads_are_made_right() {
    let points = killed_everywhere(House::big_query(small()).await, "mode = \"merge\"").await;
    assert!(points >= if plays_all() { 200 } else { 25 }, "{points}");
}
