//! The arguments. Each flag has a `CXLAKE_…` twin; flags beat environment beats file.

use std::path::PathBuf;

use chrono::{DateTime, Days, NaiveDate, Utc};
use clap::builder::BoolishValueParser;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Parser, Subcommand, ValueEnum};

use super::configuration::{ConfigCommand, InitCommand};
use super::days::DayArguments;
use super::quarantine::QuarantineCommand;
use super::registry::RegistryCommand;
use super::report::ReportCommand;
use crate::run::{RunRequest, Shard, Span};
use crate::settings::Share;
use crate::vocabulary::Failure;

/// Loads NICE CXone reporting data into a lake of typed Parquet: exact, once, proved.
#[derive(Debug, Parser)]
#[command(name = "cxlake", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

impl Arguments {
    /// Flags beat environment, also where the two are of different names.
    pub(super) fn flags_beat_variables(&mut self, given: &ArgMatches) {
        self.global.flags_beat_variables(given);
        let shown = given.subcommand_matches("registry").and_then(|registry| registry.subcommand_matches("show"));
        if let (Command::Registry(RegistryCommand::Show(command)), Some(shown)) = (&mut self.command, shown) {
            command.flags_beat_variables(shown);
        }
    }
}

const EXIT_CODES: &str = "\
Exit codes:
    0  committed (also: nothing new)         7  incomplete: records do not add up
    1  a defect of cxlake                    8  committed, warehouse load failed
    2  usage or configuration                9  another run superseded this one
    3  access: token, permission, region    10  verify: the lake does not match
    4  drift that the policy forbids        99  all empty, with --empty skip
    5  failing for now: try again later    130, 143  interrupted
    6  quality gate: rejects, baseline";

/// Flags of every command.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// The configuration
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "FILE",
        default_value = "cxlake.toml",
        env = "CXLAKE_CONFIG"
    )]
    pub(super) config: PathBuf,
    /// How logs are written to stderr: text on a terminal, else json
    #[arg(long, global = true, help_heading = "Global options", value_name = "FORMAT", env = "CXLAKE_LOG_FORMAT")]
    pub(super) log_format: Option<LogFormat>,
    /// Logs warnings and errors only
    #[arg(short, long, global = true, help_heading = "Global options", env = "CXLAKE_QUIET", value_parser = BoolishValueParser::new())]
    pub(super) quiet: bool,
    /// Logs more; twice: everything
    #[arg(short, long, global = true, help_heading = "Global options", action = clap::ArgAction::Count, env = "CXLAKE_VERBOSE", value_parser = verbosity)]
    pub(super) verbose: u8,
    /// Progress bars: on a terminal, or never
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "WHEN",
        default_value = "auto",
        env = "CXLAKE_PROGRESS"
    )]
    pub(super) progress: ProgressChoice,
}

impl Global {
    /// More is logged where a flag says so, though the environment asks for less; else quiet beats verbose.
    fn flags_beat_variables(&mut self, given: &ArgMatches) {
        let is_flag = |name: &str| given.value_source(name) == Some(ValueSource::CommandLine);
        self.quiet &= is_flag("quiet") || !is_flag("verbose");
    }
}

/// How often it is meant, which a variable can also say as it says other switches.
fn verbosity(text: &str) -> Result<u8, String> {
    text.parse().or_else(|_| match text.to_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(1),
        "false" | "no" | "off" => Ok(0),
        _ => Err("write how often: 1 or 2".to_owned()),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressChoice {
    Auto,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a commented configuration and an example of the variables that it names
    Init(InitCommand),
    /// Extract, type, quarantine and commit windows
    Run(RunCommand),
    /// Show the windows, pages, calls, files and registry changes of a run, without running it
    Plan(PlanCommand),
    /// Load committed days into the warehouses of their reports, where they are not there yet
    Load(LoadCommand),
    /// Prove that a run can work: configuration, token, region, catalog, quota, reports, lake, warehouses
    Check(SelectionArguments),
    /// Re-read the lake against its manifests: files, hashes, row counts, columns, orphans
    Verify(VerifyCommand),
    /// Remove what interrupted or replaced runs left behind; never what readers or newest manifests name
    Vacuum(VacuumCommand),
    /// The versioned metric registry and its audit trail
    #[command(subcommand)]
    Registry(RegistryCommand),
    /// Rejected records: review them, try them again
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Write a page of runs, rejects and drift: one HTML file
    Report(ReportCommand),
    /// Print views with the names that people know, and comments
    Sql(SqlCommand),
    /// Run everything on an embedded tenant and a local lake
    Demo(DemoCommand),
    /// Print the JSON Schema of what cxlake reads and writes
    Schema {
        /// Of what; all in one object if left out
        of: Option<SchemaKind>,
    },
    /// The configuration as it is in force
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands into a folder
    Man {
        /// The folder: it must be there
        #[arg(long, value_name = "FOLDER", env = "CXLAKE_MAN_FOLDER")]
        folder: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(super) struct SqlCommand {
    /// Whose SQL; duckdb and athena read the lake, the others the loaded tables
    pub(super) engine: EngineChoice,
    #[command(flatten)]
    pub(super) selection: SelectionArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lowercase")]
pub(super) enum EngineChoice {
    DuckDb,
    BigQuery,
    Snowflake,
    Athena,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "cxlake run [OPTIONS] <--date DAY | --from DAY --to DAY | --window START/END | --shard JSON>"
)]
pub(super) struct RunCommand {
    #[command(flatten)]
    pub(super) selection: SelectionArguments,
    #[command(flatten)]
    pub(super) span: SpanArguments,
    /// Leave committed windows alone (for backfills)
    #[arg(long, env = "CXLAKE_SKIP_COMMITTED", value_parser = BoolishValueParser::new())]
    pub(super) skip_committed: bool,
    /// The part of each tenant's pace that this run keeps, where others run at the same time
    #[arg(long, value_name = "PART", env = "CXLAKE_SHARE")]
    pub(super) share: Option<Share>,
    /// What the exit code is when every window is empty: 0, or 99 with `skip`
    #[arg(long, value_name = "HOW", default_value = "ok", env = "CXLAKE_EMPTY")]
    pub(super) empty: EmptyChoice,
    /// Write the summary to a file too
    #[arg(long, value_name = "FILE", env = "CXLAKE_SUMMARY_FILE")]
    pub(super) summary_file: Option<PathBuf>,
    /// Write the run's metrics as Prometheus text
    #[arg(long, value_name = "FILE", env = "CXLAKE_METRICS_FILE")]
    pub(super) metrics_file: Option<PathBuf>,
    /// Add the run's OpenLineage events to a file; OPENLINEAGE_URL names a server
    #[arg(long, value_name = "FILE", env = "CXLAKE_LINEAGE_FILE")]
    pub(super) lineage_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum EmptyChoice {
    Ok,
    Skip,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "cxlake plan [OPTIONS] <--date DAY | --from DAY --to DAY | --window START/END | --shard JSON>"
)]
pub(super) struct PlanCommand {
    #[command(flatten)]
    pub(super) selection: SelectionArguments,
    #[command(flatten)]
    pub(super) span: SpanArguments,
    /// Print the list of shards for `run --shard`
    #[arg(long, env = "CXLAKE_JSON", value_parser = BoolishValueParser::new())]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct LoadCommand {
    #[command(flatten)]
    pub(super) selection: SelectionArguments,
    #[command(flatten)]
    pub(super) days: DayArguments,
    /// Only into this warehouse (repeatable)
    #[arg(long = "warehouse", value_name = "NAME", value_delimiter = ',', env = "CXLAKE_WAREHOUSE")]
    pub(super) warehouses: Vec<String>,
    /// Write the summary to a file too
    #[arg(long, value_name = "FILE", env = "CXLAKE_SUMMARY_FILE")]
    pub(super) summary_file: Option<PathBuf>,
    /// Write the load's metrics as Prometheus text
    #[arg(long, value_name = "FILE", env = "CXLAKE_LOAD_METRICS_FILE")]
    pub(super) metrics_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct DemoCommand {
    /// Where the demo's lake goes
    #[arg(long, value_name = "FOLDER", default_value = "cxlake-demo", env = "CXLAKE_DEMO_FOLDER")]
    pub(super) folder: PathBuf,
    /// Records a day of the embedded tenant
    #[arg(long, value_name = "RECORDS", default_value_t = 20_000, env = "CXLAKE_DEMO_RECORDS")]
    pub(super) records_per_day: u64,
}

#[derive(Clone, Debug, Default, Args)]
pub(super) struct SelectionArguments {
    /// Only this tenant (repeatable)
    #[arg(long = "tenant", value_name = "NAME", value_delimiter = ',', env = "CXLAKE_TENANT")]
    tenants: Vec<String>,
    /// Only this report (repeatable)
    #[arg(long = "report", value_name = "NAME", value_delimiter = ',', env = "CXLAKE_REPORT")]
    reports: Vec<String>,
}

/// The time to read. These flags have their `CXLAKE_…` twins too, but one flag beats all of them: so
/// they are read only where no flag is given.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct SpanArguments {
    /// One day in the tenant's time zone [env: CXLAKE_DATE]
    #[arg(long, value_name = "DAY", conflicts_with_all = ["from", "to", "window", "shard"])]
    date: Option<NaiveDate>,
    /// The first day in the tenant's time zone [env: CXLAKE_FROM]
    #[arg(long, value_name = "DAY", requires = "to", conflicts_with_all = ["window", "shard"])]
    from: Option<NaiveDate>,
    /// The first day that is not read [env: CXLAKE_TO]
    #[arg(long, value_name = "DAY", requires = "from", conflicts_with_all = ["window", "shard"])]
    to: Option<NaiveDate>,
    /// Two instants on window borders of the tenant's time zone [env: CXLAKE_WINDOW]
    #[arg(long, value_name = "START/END", conflicts_with = "shard")]
    window: Option<String>,
    /// One element of `plan --json` [env: CXLAKE_SHARD]
    #[arg(long, value_name = "JSON")]
    shard: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct VerifyCommand {
    #[command(flatten)]
    pub(super) selection: SelectionArguments,
    /// Read the objects of so many windows of each report whole, drawn anew each time; of the others
    /// look at presence, length and footer only
    #[arg(long, value_name = "WINDOWS", env = "CXLAKE_SAMPLE")]
    pub(super) sample: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct VacuumCommand {
    #[command(flatten)]
    pub(super) selection: SelectionArguments,
    /// What is younger stays: it may be a run's that is on its way
    #[arg(long, value_name = "HOURS", default_value_t = 24, env = "CXLAKE_OLDER_THAN_HOURS")]
    pub(super) older_than_hours: u32,
    /// Show what would be removed
    #[arg(long, env = "CXLAKE_DRY_RUN", value_parser = BoolishValueParser::new())]
    pub(super) dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaKind {
    /// The standard columns of the guide's report (a list, no schema)
    Columns,
    /// cxlake.toml
    Configuration,
    /// A drift event in the registry, as alerts get it
    Event,
    /// A plan or done in the lake
    Manifest,
    /// A version of a registry
    Registry,
    /// What is kept of a run in the lake
    Run,
    /// The last line of a run
    Summary,
}

impl SelectionArguments {
    /// A request for commands that read no window.
    pub(super) fn request(&self) -> RunRequest {
        let span = Span::Days { from: NaiveDate::MIN, to: NaiveDate::MIN };
        let named = |names: &[String]| names.iter().filter(|name| !name.is_empty()).cloned().collect();
        RunRequest {
            tenants: named(&self.tenants),
            reports: named(&self.reports),
            span,
            skip_committed: false,
            look_back: true,
            of_large_run: false,
        }
    }
}

impl SpanArguments {
    /// The request for this span.
    pub(super) fn request(&self, selection: &SelectionArguments, skip_committed: bool) -> Result<RunRequest, Failure> {
        let given = if self.is_empty() { Self::from_environment()? } else { self.clone() };
        given.resolve(RunRequest { skip_committed, ..selection.request() })
    }

    fn is_empty(&self) -> bool {
        let Self { date, from, to, window, shard } = self;
        date.is_none() && from.is_none() && to.is_none() && window.is_none() && shard.is_none()
    }

    fn from_environment() -> Result<Self, Failure> {
        let given = Self {
            date: day_of_environment("CXLAKE_DATE")?,
            from: day_of_environment("CXLAKE_FROM")?,
            to: day_of_environment("CXLAKE_TO")?,
            window: text_of_environment("CXLAKE_WINDOW"),
            shard: text_of_environment("CXLAKE_SHARD"),
        };
        let ways = [
            given.date.is_some(),
            given.from.is_some() || given.to.is_some(),
            given.window.is_some(),
            given.shard.is_some(),
        ];
        if ways.iter().filter(|given| **given).count() > 1 {
            return Err(Failure::configuration("find the time to read: the environment names several").hint(
                "set one of CXLAKE_DATE, CXLAKE_FROM with CXLAKE_TO, CXLAKE_WINDOW and CXLAKE_SHARD, or pass a flag",
            ));
        }
        Ok(given)
    }

    fn resolve(&self, mut request: RunRequest) -> Result<RunRequest, Failure> {
        if let Some(shard) = &self.shard {
            let shard: Shard = serde_json::from_str(shard).map_err(|error| {
                Failure::configuration(format!("read --shard: {error}"))
                    .hint("pass one element of `cxlake plan --json`")
            })?;
            is_asked_for(&shard, &request)?;
            request.tenants = vec![shard.tenant];
            request.reports = vec![shard.report];
            request.span = Span::Instants { start: shard.window.start, end: shard.window.end };
            request.look_back = false;
            request.of_large_run = shard.large_run;
        } else if let Some(window) = &self.window {
            request.span = parse_window(window)?;
        } else if let Some(date) = self.date {
            let to = date.checked_add_days(Days::new(1)).unwrap_or(date);
            request.span = Span::Days { from: date, to };
        } else if let (Some(from), Some(to)) = (self.from, self.to) {
            request.span = Span::Days { from, to };
        } else {
            return Err(Failure::configuration("find the time to read: none is given")
                .hint("pass --date, --from and --to, --window or --shard"));
        }
        Ok(request)
    }
}

/// Refuses a shard that the selection beside it leaves out: one of the two is not meant.
fn is_asked_for(shard: &Shard, selection: &RunRequest) -> Result<(), Failure> {
    let choices = [("tenant", &shard.tenant, &selection.tenants), ("report", &shard.report, &selection.reports)];
    let left_out = choices.iter().find(|(_, name, asked)| !asked.is_empty() && !asked.contains(name));
    let Some((option, name, _)) = left_out else { return Ok(()) };
    Err(Failure::configuration(format!("read --shard: it is of the {option} \"{name}\", which --{option} leaves out"))
        .hint(format!("run it without --{option} and CXLAKE_{}, or pass another shard", option.to_uppercase())))
}

fn text_of_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// The day that a variable names, if it is set.
pub(super) fn day_of_environment(name: &str) -> Result<Option<NaiveDate>, Failure> {
    let Some(text) = text_of_environment(name) else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|_| Failure::configuration(format!("read {name}: {text:?} is no day")).hint("write it as 2024-01-01"))
}

fn parse_window(text: &str) -> Result<Span, Failure> {
    let unreadable = || {
        Failure::configuration(format!("read --window {text:?}"))
            .hint("write two instants: 2024-01-01T05:00:00Z/2024-01-02T05:00:00Z")
    };
    let (start, end) = text.split_once('/').ok_or_else(unreadable)?;
    // Airflow writes a space in the place of the T.
    let instant = |text: &str| text.trim().replacen(' ', "T", 1).parse::<DateTime<Utc>>().map_err(|_| unreadable());
    Ok(Span::Instants { start: instant(start)?, end: instant(end)? })
}
