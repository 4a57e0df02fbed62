//! `cxlake report`: the page of a lake's runs, written to a file.

use std::path::{Path, PathBuf};

use clap::Args;

use super::arguments::{Global, SelectionArguments};
use super::commands::{finish, read_configuration};
use super::days::DayArguments;
use super::{render, signals};
use crate::report::lake_page;
use crate::run::{self, CommittedDays};
use crate::vocabulary::Failure;

#[derive(Debug, Args)]
pub(super) struct ReportCommand {
    #[command(flatten)]
    selection: SelectionArguments,
    #[command(flatten)]
    days: DayArguments,
    /// The file, or - for stdout
    #[arg(long, short, value_name = "FILE", default_value = "cxlake-report.html", env = "CXLAKE_OUTPUT")]
    output: PathBuf,
}

pub(super) async fn report(global: &Global, command: &ReportCommand) -> u8 {
    let work = async {
        let settings = read_configuration(&global.config)?;
        let days = command.days.days()?;
        let report = run::lake_report(&settings, &command.selection.request(), days).await?;
        let page = lake_page(&title(&settings.lake.url, days), &report, &settings.masked);
        if command.output == Path::new("-") {
            render::text(&page);
        } else {
            write(&command.output, &page)?;
            render::text(&format!("{}\n", command.output.display()));
        }
        Ok(0)
    };
    finish(signals::unless_interrupted(work).await.and_then(|done| done))
}

fn title(lake: &str, days: CommittedDays) -> String {
    match (days.from, days.to) {
        (None, None) => lake.to_owned(),
        (from, to) => {
            let day = |day: Option<chrono::NaiveDate>| day.map(|day| day.to_string()).unwrap_or_default();
            format!("{lake}, {} to before {}", day(from), day(to))
        }
    }
}

fn write(file: &Path, page: &str) -> Result<(), Failure> {
    std::fs::write(file, page).map_err(|error| {
        Failure::configuration(format!("write the report {}: {error}", file.display()))
            .hint("name a file that may be written with --output, or - for stdout")
    })
}
