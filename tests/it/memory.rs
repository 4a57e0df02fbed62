//! Memory does not grow with the extract.

use std::path::Path;

use arrow::array::AsArray as _;
use cxlake_simulator::truth::Verdict;
use cxlake_simulator::{CallKind, Effect, Fault};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use twox_hash::XxHash3_128;

use crate::support::faults::status;
use crate::support::{Lab, tenant};

/// The peak of a run's memory, in KiB.
fn peak(lab: &Lab, from: &str, to: &str) -> u64 {
    let measure = "import resource, subprocess, sys\n\
        code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode\n\
        print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let run = lab.command(&["run", "--from", from, "--to", to]);
    let mut command = std::process::Command::new("python3");
    command.args(["-c", measure]).arg(run.get_program()).args(run.get_args());
    command.envs(run.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.current_dir(run.get_current_dir().unwrap()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (code, peak) = text.trim().split_once(' ').unwrap();
    assert_eq!(code, "0");
    peak.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn five_days_of_a_million_records_need_no_more_memory_than_one() {
    let mut settings = tenant(1_000_000);
    // Duplicates make a run read each window twice; that is not what is measured.
    settings.duplicate_every = 0;
    settings.bad_rules = vec!["type".to_owned()];
    settings.gzip = false;
    let mut lab = Lab::start(settings).await;
    lab.replace("page_records = 500", "page_records = 10000");
    // How full the queues get is a matter of chance: the five days have five chances, so the days alone get them too.
    let day = |day: u32| peak(&lab, &format!("2024-01-0{day}"), &format!("2024-01-0{}", day + 1));
    let one = (1..=5).map(day).max().unwrap();
    let five = peak(&lab, "2024-02-01", "2024-02-06");
    assert!(five * 10 <= one * 11, "{five} KiB for five days, {one} KiB for one");
}

/// How many texts there are, and a sum of their hashes: the same for the same multiset.
#[derive(Debug, Default, PartialEq, Eq)]
struct Multiset(u64, u128);

impl Multiset {
    fn add(&mut self, text: &str) {
        self.0 += 1;
        self.1 = self.1.wrapping_add(XxHash3_128::oneshot(text.as_bytes()));
    }
}

/// The texts of a column in all files below a folder.
fn stored(folder: &Path, column: &str) -> Multiset {
    let mut found = Multiset::default();
    for entry in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(entry.unwrap().path()).unwrap() {
            let file = std::fs::File::open(file.unwrap().path()).unwrap();
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
            for batch in builder.with_projection(mask).build().unwrap() {
                batch.unwrap().column(0).as_string::<i32>().iter().flatten().for_each(|text| found.add(text));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "twenty million records: make test-slow"]
async fn twenty_days_of_a_million_records_with_faults_lose_nothing_and_need_no_more_memory_than_one() {
    let mut settings = tenant(1_000_000);
    settings.duplicate_every = 0;
    settings.unknown_every = 0;
    settings.gzip = false;
    settings.bad_every = 100;
    let mut lab = Lab::start(settings).await;
    lab.replace("page_records = 500", "page_records = 10000");
    let one = peak(&lab, "2023-12-01", "2023-12-02");
    // Two answers of a hundred are faulty.
    for number in 0..50 {
        let what = match number % 5 {
            0 => status(503, None),
            1 => Effect::Reset,
            2 => Effect::CutBody { after_bytes: 100_000 },
            3 => Effect::Html,
            _ => Effect::ShortPage { records: 17 },
        };
        lab.simulator.play(Fault { skip: 7 + 50 * number, ..Fault::new(CallKind::DataDownload, what) });
    }
    let twenty = peak(&lab, "2024-01-01", "2024-01-21");
    println!("{one} KiB for one day, {twenty} KiB for twenty");
    let (mut accepted, mut rejected) = (Multiset::default(), Multiset::default());
    for record in lab.truth("2024-01-01", "2024-01-21") {
        match record.verdict {
            Verdict::Accepted => {
                let key = record.values.iter().find(|(pointer, _)| pointer == "/interactionId").unwrap();
                accepted.add(key.1.trim_matches('"'));
            }
            Verdict::Quarantined { .. } => rejected.add(&record.raw),
            Verdict::Duplicate => {}
        }
    }
    let report = lab.lake().join("acme/calls");
    std::fs::remove_dir_all(report.join("data/dt=2023-12-01")).unwrap();
    std::fs::remove_dir_all(report.join("quarantine/dt=2023-12-01")).unwrap();
    assert_eq!(accepted.0 + rejected.0, 20_000_000);
    assert_eq!(stored(&report.join("data"), "interaction_id"), accepted);
    assert_eq!(stored(&report.join("quarantine"), "raw_record"), rejected);
    assert!(twenty * 10 <= one * 11, "{twenty} KiB for twenty days, {one} KiB for one");
}
