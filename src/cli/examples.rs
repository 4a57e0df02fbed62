//! The examples that `--help` ends with, and the command line that shows them.

use std::ffi::OsStr;

use clap::builder::Resettable;
use clap::{Command, CommandFactory as _};

use super::arguments::Arguments;

/// What is shown of each command, by its names.
const EXAMPLES: [(&str, &str); 23] = [
    ("init", "cxlake init                               # writes cxlake.toml and .env.example"),
    (
        "run",
        "cxlake run --date 2024-01-01
cxlake run --from 2024-01-01 --to 2024-01-08 --report calls
cxlake run --window 2024-01-01T05:00:00Z/2024-01-02T05:00:00Z
cxlake run --shard \"$SHARD\" --share 1/8    # one of eight at once: an eighth of the pace",
    ),
    (
        "plan",
        "cxlake plan --from 2024-01-01 --to 2024-01-08
cxlake plan --date 2024-01-01 --json      # a list of shards, one for each `cxlake run --shard`",
    ),
    (
        "load",
        "cxlake load                               # all that is committed and not loaded yet
cxlake load --date 2024-01-01 --warehouse bq",
    ),
    (
        "check",
        "cxlake check
cxlake check --tenant acme",
    ),
    (
        "verify",
        "cxlake verify
cxlake verify --report calls --sample 50  # of a large lake: 50 windows whole, the others at a glance",
    ),
    (
        "vacuum",
        "cxlake vacuum --dry-run                   # what interrupted and replaced runs left behind
cxlake vacuum --older-than-hours 48",
    ),
    (
        "registry list",
        "cxlake registry list
cxlake registry list --json | jq .version",
    ),
    (
        "registry show",
        "cxlake registry show
cxlake registry show --json-schema > record.schema.json",
    ),
    ("registry diff", "cxlake registry diff 6 7"),
    (
        "registry sync",
        "cxlake registry sync --dry-run            # what the next run would write
cxlake registry sync --tenant acme",
    ),
    ("registry log", "cxlake registry log --json | jq 'select(.kind == \"type_changed\")'"),
    ("quarantine list", "cxlake quarantine list --date 2024-01-01"),
    ("quarantine show", "cxlake quarantine show --metric \"Regulatory Flag\" --limit 3"),
    ("quarantine export", "cxlake quarantine export --from 2024-01-01 --to 2024-02-01 > rejects.ndjson"),
    (
        "quarantine replay",
        "cxlake registry sync && cxlake quarantine replay --date 2024-01-01
cxlake quarantine replay --from 2024-01-01 --to 2024-02-01 --dry-run",
    ),
    (
        "report",
        "cxlake report                             # all days, into cxlake-report.html
cxlake report --from 2024-01-01 --to 2024-02-01 --output january.html",
    ),
    (
        "sql",
        "cxlake sql duckdb > views.sql             # then: duckdb -init views.sql
cxlake sql bigquery | bq query --nouse_legacy_sql",
    ),
    (
        "demo",
        "cxlake demo
cxlake demo --folder shown --records-per-day 1000000",
    ),
    ("schema", "cxlake schema configuration > cxlake.schema.json"),
    ("config show", "cxlake config show --origin               # of each value, where it comes from"),
    (
        "completions",
        "cxlake completions bash > /etc/bash_completion.d/cxlake
cxlake completions zsh > ~/.zfunc/_cxlake",
    ),
    (
        "man",
        "cxlake man | man --local-file -
cxlake man --folder /usr/local/share/man/man1",
    ),
];

/// The command line as `--help`, completions and manual pages know it.
pub(super) fn command() -> Command {
    EXAMPLES.iter().fold(Arguments::command(), |command, (names, examples)| {
        let names: Vec<&str> = names.split(' ').collect();
        with_examples(command, &names, examples)
    })
}

/// A variable that is empty is one that is not set: tools that pass all of a list on make such ones.
pub(super) fn without_empty_variables(command: Command) -> Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|text| text.is_empty());
    command
        .mut_args(|arg| if arg.get_env().is_some_and(is_empty) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(without_empty_variables)
}

fn with_examples(command: Command, names: &[&'static str], examples: &str) -> Command {
    match names {
        [name, rest @ ..] => command.mut_subcommand(name, |below| with_examples(below, rest, examples)),
        [] => command.after_help(format!("Examples:\n    {}", examples.replace('\n', "\n    "))),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// Names of all commands that have none below them.
    fn leaves(command: &Command, above: &str) -> Vec<String> {
        let below: Vec<&Command> = command.get_subcommands().filter(|below| below.get_name() != "help").collect();
        if below.is_empty() {
            return vec![above.trim_start().to_owned()];
        }
        below.into_iter().flat_map(|below| leaves(below, &format!("{above} {}", below.get_name()))).collect()
    }

    #[test]
    fn each_command_has_examples_and_each_example_is_a_command() {
        let mut shown: Vec<String> = EXAMPLES.iter().map(|(names, _)| (*names).to_owned()).collect();
        shown.sort();
        let mut all = leaves(&Arguments::command(), "");
        all.sort();
        assert_eq!(shown, all);
        for line in EXAMPLES.iter().flat_map(|(_, examples)| examples.lines()) {
            let own = line.split(['#', '|', '>']).next().unwrap();
            for command in own.split("&&") {
                let command = command.replace("\"Regulatory Flag\"", "Flag").replace("\"$SHARD\"", "SHARD");
                Arguments::try_parse_from(command.split_whitespace()).unwrap_or_else(|error| panic!("{line}: {error}"));
            }
        }
    }
}
