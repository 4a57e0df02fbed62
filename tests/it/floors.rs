//! The floors of `src/ARCHITECTURE.md`: a module imports only from lower floors.

use std::path::{Path, PathBuf};

/// The modules of each floor of this crate, the lowest first.
const FLOORS: [&[&str]; 8] = [
    &["vocabulary"],
    &["registry", "settings", "throttle", "window"],
    &["columns", "cxone", "sql"],
    &["extraction"],
    &["pipeline"],
    &["run"],
    &["manual", "report", "schemas"],
    &["cli"],
];
/// The same of the crate `sinks`.
const SINK_FLOORS: [&[&str]; 4] = [&["failure"], &["parquet"], &["lake"], &["warehouse"]];
/// What a module never names.
const NEVER: [(&str, &[&str]); 12] = [
    ("vocabulary", &["tokio", "arrow", "reqwest", "async fn"]),
    ("registry", &["tokio", "reqwest", "async fn"]),
    ("settings", &["tokio", "arrow", "reqwest", "async fn", "std::fs"]),
    ("throttle", &["tokio", "arrow", "reqwest", "async fn"]),
    ("window", &["tokio", "arrow", "reqwest", "async fn"]),
    ("columns", &["tokio", "reqwest", "async fn", "cxlake_sinks"]),
    ("cxone", &["arrow", "cxlake_sinks"]),
    ("sql", &["tokio", "reqwest", "async fn", "arrow", "cxlake_sinks"]),
    ("extraction", &["arrow", "cxlake_sinks"]),
    ("pipeline", &["clap", "crate::settings::file"]),
    ("run", &["println!", "clap"]),
    ("report", &["println!", "tokio", "async fn", "std::fs", "cxlake_sinks"]),
];
/// The most lines of a file.
const FILE_LINES: usize = 500;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The module of a file, below `src`.
fn module(src: &Path, file: &Path) -> String {
    let relative = file.strip_prefix(src).unwrap();
    relative.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn floor(floors: &[&[&str]], module: &str) -> Option<usize> {
    floors.iter().position(|modules| modules.contains(&module))
}

/// Lines that import from a floor that is not lower, as `file:line: module`.
fn broken(src: &Path, floors: &[&[&str]]) -> Vec<String> {
    let mut broken = Vec::new();
    for file in sources(src) {
        let from = module(src, &file);
        let Some(level) = floor(floors, &from) else {
            assert!(["lib", "main"].contains(&from.as_str()), "{from} is on no floor");
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for after in line.split("crate::").skip(1) {
                let to: String = after.chars().take_while(|next| next.is_alphanumeric() || *next == '_').collect();
                if to != from && floor(floors, &to).is_some_and(|other| other >= level) {
                    broken.push(format!("{}:{}: {to}", file.display(), number + 1));
                }
            }
        }
    }
    broken
}

fn source(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

#[test]
fn modules_import_from_lower_floors_only() {
    assert_eq!(broken(&source("src"), &FLOORS), [] as [String; 0]);
    assert_eq!(broken(&source("sinks/src"), &SINK_FLOORS), [] as [String; 0]);
}

#[test]
fn an_import_from_a_floor_that_is_not_lower_is_found() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("columns")).unwrap();
    std::fs::write(folder.path().join("columns/mod.rs"), "use crate::window::Window;\nuse crate::cxone::Client;\n")
        .unwrap();
    let expected = format!("{}:2: cxone", folder.path().join("columns/mod.rs").display());
    assert_eq!(broken(folder.path(), &FLOORS), [expected]);
}

#[test]
fn modules_never_name_what_is_above_them() {
    let src = source("src");
    for file in sources(&src) {
        let from = module(&src, &file);
        let Some((_, never)) = NEVER.iter().find(|(module, _)| *module == from) else { continue };
        if file.ends_with("tests.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for word in *never {
                assert!(!line.contains(word), "{}:{}: {word}", file.display(), number + 1);
            }
        }
    }
}

#[test]
fn the_sinks_never_name_the_source() {
    for file in sources(&source("sinks/src")) {
        let text = std::fs::read_to_string(&file).unwrap().to_lowercase();
        assert!(!text.contains("cxone"), "{}", file.display());
    }
}

#[test]
fn files_are_short_enough_to_read() {
    for folder in ["src", "sinks/src", "fixtures/simulator/src"] {
        for file in sources(&source(folder)) {
            let lines = std::fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= FILE_LINES, "{} has {lines} lines", file.display());
        }
    }
}

#[test]
fn unsafe_code_is_in_one_file() {
    let folders = ["src", "sinks/src", "fixtures/simulator/src"];
    let files = folders.iter().flat_map(|folder| sources(&source(folder)));
    let allowing = files.filter(|file| std::fs::read_to_string(file).unwrap().contains("unsafe_code"));
    assert_eq!(allowing.collect::<Vec<_>>(), [source("sinks/src/parquet/mapping.rs")]);
}
