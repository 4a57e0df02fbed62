//! Days of committed windows, as commands that call no tenant take them.

use chrono::{Days, NaiveDate};
use clap::Args;

use super::arguments::day_of_environment;
use crate::run::CommittedDays;
use crate::vocabulary::Failure;

/// Days of the tenant's zone, as partitions name them. As with a run, one flag beats all variables.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct DayArguments {
    /// One day, as the partition dt has it [env: CXLAKE_DATE]
    #[arg(long, value_name = "DAY", conflicts_with_all = ["from", "to"])]
    date: Option<NaiveDate>,
    /// The first day [env: CXLAKE_FROM]
    #[arg(long, value_name = "DAY")]
    from: Option<NaiveDate>,
    /// The first day that is not meant [env: CXLAKE_TO]
    #[arg(long, value_name = "DAY")]
    to: Option<NaiveDate>,
}

impl DayArguments {
    pub(super) fn days(self) -> Result<CommittedDays, Failure> {
        let Self { date, from, to } = match self {
            Self { date: None, from: None, to: None } => Self {
                date: day_of_environment("CXLAKE_DATE")?,
                from: day_of_environment("CXLAKE_FROM")?,
                to: day_of_environment("CXLAKE_TO")?,
            },
            given => given,
        };
        let days = match date {
            Some(date) => CommittedDays { from: Some(date), to: date.checked_add_days(Days::new(1)) },
            None => CommittedDays { from, to },
        };
        match (days.from, days.to) {
            (Some(from), Some(to)) if to <= from => {
                Err(Failure::configuration(format!("find the windows: {from} to {to} is no span"))
                    .hint("--to is the first day that is not meant"))
            }
            _ => Ok(days),
        }
    }
}
