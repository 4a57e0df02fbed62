//! `cxlake quarantine …`: rejects reviewed, exported, and tried again.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::{BoolishValueParser, PossibleValuesParser};
use clap::{Args, Subcommand};

use super::arguments::{Global, SelectionArguments};
use super::commands::{ended, environment, finish, read_configuration, show_summary};
use super::days::DayArguments;
use super::{render, signals};
use crate::columns::Rule;
use crate::report::laid_out;
use crate::run::{self, CommittedDays, QuarantineRequest, Reject, ReplayRequest, RunRecord};
use crate::vocabulary::{Failure, NoProgress};

#[derive(Debug, Subcommand)]
pub(super) enum QuarantineCommand {
    /// Count rejects by date, rule and metric
    List {
        #[command(flatten)]
        rejects: RejectArguments,
        /// Print JSON, a line each
        #[arg(long, env = "CXLAKE_JSON", value_parser = BoolishValueParser::new())]
        json: bool,
    },
    /// Show rejects as they were sent, their violations marked
    Show {
        #[command(flatten)]
        rejects: RejectArguments,
        /// How many
        #[arg(long, value_name = "RECORDS", default_value_t = 10, env = "CXLAKE_LIMIT")]
        limit: usize,
    },
    /// Print rejects with their exact text as lines of JSON; nothing is masked
    Export {
        #[command(flatten)]
        rejects: RejectArguments,
    },
    /// Try rejects again under the registry's rules of today, into the windows they came from
    Replay(ReplayCommand),
}

#[derive(Debug, Args)]
pub(super) struct RejectArguments {
    #[command(flatten)]
    selection: SelectionArguments,
    #[command(flatten)]
    days: DayArguments,
    /// Only rejects whose first violation is of this rule
    #[arg(long, value_name = "RULE", env = "CXLAKE_RULE", value_parser = PossibleValuesParser::new(Rule::ALL.map(Rule::name)))]
    rule: Option<String>,
    /// Only rejects with a violation of this metric, by name or id, or at this JSON Pointer
    #[arg(long, value_name = "METRIC", env = "CXLAKE_METRIC")]
    metric: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ReplayCommand {
    #[command(flatten)]
    selection: SelectionArguments,
    #[command(flatten)]
    days: DayArguments,
    /// The registry version whose rules are tried; the newest if left out
    #[arg(long, value_name = "VERSION", env = "CXLAKE_REGISTRY")]
    registry: Option<u32>,
    /// Try, and write nothing
    #[arg(long, env = "CXLAKE_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,
    /// Write the summary to a file too
    #[arg(long, value_name = "FILE", env = "CXLAKE_SUMMARY_FILE")]
    summary_file: Option<PathBuf>,
}

impl RejectArguments {
    fn request(&self) -> Result<QuarantineRequest, Failure> {
        Ok(QuarantineRequest {
            selection: self.selection.request(),
            days: self.days.days()?,
            rule: self.rule.clone(),
            metric: self.metric.clone(),
        })
    }
}

pub(super) async fn quarantine(global: &Global, command: &QuarantineCommand) -> u8 {
    let work = async {
        match command {
            QuarantineCommand::List { rejects, json } => list(&global.config, rejects, *json).await,
            QuarantineCommand::Show { rejects, limit } => show(&global.config, rejects, *limit).await,
            QuarantineCommand::Export { rejects } => export(&global.config, rejects).await,
            // It shows its summary also where it is interrupted.
            QuarantineCommand::Replay(_) => Ok(()),
        }
        .map(|()| 0)
    };
    if let QuarantineCommand::Replay(command) = command {
        return replay(global, command).await;
    }
    finish(signals::unless_interrupted(work).await.and_then(|done| done))
}

async fn list(config: &Path, rejects: &RejectArguments, json: bool) -> Result<(), Failure> {
    let counts = run::count_rejects(&read_configuration(config)?, &rejects.request()?).await?;
    for count in &counts {
        if json {
            render::json_line(count);
            continue;
        }
        let metric = count.metric.as_ref().map(|name| format!(" ({name:?})")).unwrap_or_default();
        render::text(&format!(
            "{}  {} {}  {}  {:?}{metric}  {}\n",
            count.date, count.tenant, count.report, count.rule, count.path, count.records
        ));
    }
    if !json {
        let records: u64 = counts.iter().map(|count| count.records).sum();
        render::text(&format!("{records} rejects\n"));
    }
    Ok(())
}

async fn show(config: &Path, rejects: &RejectArguments, limit: usize) -> Result<(), Failure> {
    let settings = read_configuration(config)?;
    let mut shown = 0;
    let mut take = |reject: Reject| {
        if shown == limit {
            return ControlFlow::Break(());
        }
        shown += 1;
        render::text(&laid_out(&reject, &settings.masked));
        unless_over()
    };
    run::read_rejects(&settings, &rejects.request()?, &mut take).await
}

async fn export(config: &Path, rejects: &RejectArguments) -> Result<(), Failure> {
    let mut take = |reject: Reject| {
        render::json_line(&reject);
        unless_over()
    };
    run::read_rejects(&read_configuration(config)?, &rejects.request()?, &mut take).await
}

/// More rejects, unless nobody reads them.
fn unless_over() -> ControlFlow<()> {
    if render::is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

async fn replay(global: &Global, command: &ReplayCommand) -> u8 {
    let environment = environment(Arc::new(NoProgress));
    let record = RunRecord::new(&environment.run_id);
    let work = async {
        let settings = read_configuration(&global.config)?;
        let days = command.days.days()?;
        if days == CommittedDays::default() {
            return Err(Failure::configuration("find the windows to replay: no day is given")
                .hint("pass --date, or --from and --to"));
        }
        let request = ReplayRequest {
            selection: command.selection.request(),
            days,
            registry: command.registry,
            dry_run: command.dry_run,
        };
        run::replay(&settings, &request, &environment, &record).await;
        Ok(())
    };
    show_summary(&ended(work, &environment, &record).await, command.summary_file.as_deref())
}
