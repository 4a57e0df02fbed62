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

    /// What is seen of the table: its rows, and the rows that its loads promised.
    fn rows(&self, house: &House) -> (Option<String>, Option<String>) {
        let cell = |query: String| house.warehouse.sql(&query).first().and_then(|row| row[0].clone());
        let rows = cell(format!("SELECT COUNT(*) FROM TABLE_OF {}", self.table));
        let promised = cell(format!(
            "SELECT MAX(rows_loaded) FROM TABLE_OF _cxlake_loads WHERE table_name = '{}' AND sequence = (SELECT \
             MAX(sequence) FROM TABLE_OF _cxlake_loads WHERE table_name = '{}')",
            self.table, self.table
        ));
        (rows, promised)
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

/// Loads into tables of their own, each in trouble at another request; then loads again.
fn in_trouble_everywhere(house: &House, scenario: &str, more: &str, before: Option<&dyn Fn(&House)>) -> usize {
    let name = |trouble: Trouble, at: usize| format!("{scenario}_{trouble:?}_{at}").to_lowercase();
    // What was loaded before each point, where there was something.
    if let Some(change) = before {
        for trouble in TROUBLES {
            for at in 1..=MOST_REQUESTS {
                Point::new(house, &name(trouble, at), more).load(house).end().expect(0);
            }
        }
        change(house);
    }
    let mut points = 0;
    for trouble in TROUBLES {
        for at in 1..=MOST_REQUESTS {
            let point = Point::new(house, &name(trouble, at), more);
            let (was_there, outcome) = troubled(house, &point, trouble, at);
            if !was_there {
                break;
            }
            points += 1;
            let is_killed = matches!(trouble, Trouble::KilledBefore | Trouble::KilledAfter);
            assert_eq!(outcome.code, if is_killed { -1 } else { 0 }, "{}: {outcome:?}", point.table);
            let again = point.load(house).end().expect(0);
            if !is_killed {
                assert_eq!(House::statuses(&again.summary()), ["unchanged"], "{}", point.table);
            }
            house.holds_the_lake("data", &point.table);
            let (rows, promised) = point.rows(house);
            assert_eq!(rows, promised, "{}", point.table);
        }
    }
    points
}

/// More than any load makes.
const MOST_REQUESTS: usize = 60;

fn small() -> TenantSettings {
    TenantSettings { duplicate_every: 0, ..tenant(40) }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_snowflake_loads_are_made_right() {
    let house = House::snowflake(small()).await;
    house.lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    let started = std::time::Instant::now();
    let points = in_trouble_everywhere(&house, "first", "", None);
    eprintln!("{points} points in {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_big_query_loads_are_made_right() {
    let house = House::big_query(small()).await;
    house.lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    let started = std::time::Instant::now();
    let points = in_trouble_everywhere(&house, "first", "", None);
    eprintln!("{points} points in {:?}", started.elapsed());
}
