//! Memory does not grow with the extract.

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
    let one = peak(&lab, "2024-01-01", "2024-01-02");
    let five = peak(&lab, "2024-02-01", "2024-02-06");
    assert!(five * 10 <= one * 11, "{five} KiB for five days, {one} KiB for one");
}
