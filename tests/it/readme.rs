//! What the README says for analysts and operators works as it stands there.

use crate::support::{Lab, python, tenant};

/// The blocks of a language in a section of the README.
pub(crate) fn blocks(section: &str, language: &str) -> Vec<String> {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once(&format!("\n## {section}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let opening = format!("```{language}\n");
    let blocks = section.split(&opening).skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// Runs each command of a section, and returns what each printed.
fn commands(lab: &Lab, section: &str) -> Vec<String> {
    let mut printed = Vec::new();
    for line in blocks(section, "sh").iter().flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()) {
        let command = line.split(" #").next().unwrap();
        let (command, _redirected) = command.split_once(" > ").unwrap_or((command, ""));
        let words: Vec<&str> = command.split_whitespace().collect();
        let ["cxlake", arguments @ ..] = words.as_slice() else { panic!("{line}") };
        printed.push(lab.cxlake(arguments).expect(0).stdout);
    }
    printed
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analyst_can_do_what_the_readme_says() {
    let lab = Lab::start(tenant(500)).await;
    lab.cxlake(&["run", "--from", "2024-01-01", "--to", "2024-01-03"]).expect(0);
    let views = lab.folder().join("views.sql");
    std::fs::write(&views, commands(&lab, "For analysts").remove(0)).unwrap();
    let folder = lab.folder().display().to_string();
    for block in blocks("For analysts", "sql") {
        for query in block.split_inclusive(';').map(str::trim).filter(|query| !query.is_empty()) {
            let shown = python("in_folder.py", &[&folder, "views.py", &views.display().to_string(), query]);
            assert!(
                shown.contains('|') || shown.trim().parse::<u64>().is_ok_and(|count| count > 0),
                "{query}: {shown}"
            );
        }
    }
    for block in blocks("For analysts", "python") {
        let shown = python("in_folder.py", &[&folder, "-c", &block]);
        let counts: Vec<&str> = shown.lines().collect();
        assert!(counts.len() == 2 && counts[0] == counts[1] && counts[0] != "0", "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_do_what_the_readme_says() {
    let lab = Lab::start(tenant(500)).await;
    let summary = commands(&lab, "For operators").remove(0);
    assert!(summary.starts_with("{\"format\":\"cxlake.summary/1\""), "{summary}");
    for file in ["cxlake-report.html", "cxlake.prom", "lineage.ndjson"] {
        assert!(std::fs::metadata(lab.folder().join(file)).unwrap().len() > 100, "{file}");
    }
}
