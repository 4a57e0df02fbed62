//! Floor 7: the command line. It reads arguments, shows results, and holds no business rules.

mod arguments;
mod commands;
mod configuration;
mod days;
mod demo;
mod examples;
mod lineage;
mod logging;
mod progress;
mod quarantine;
mod registry;
mod render;
mod report;
mod signals;
mod telemetry;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::{Arc, LazyLock};

use clap::FromArgMatches as _;
use futures::FutureExt as _;

use arguments::{Arguments, Command, Global};

use crate::vocabulary::{Failure, Progress};

/// What this process is known by: in its log, its summary, and what it leaves in the lake.
static RUN_ID: LazyLock<uuid::Uuid> = LazyLock::new(uuid::Uuid::now_v7);

/// Runs the command line; the exit code is the contract's.
pub fn main() -> ExitCode {
    let given = examples::without_empty_variables(examples::command()).get_matches();
    let mut arguments = Arguments::from_arg_matches(&given).unwrap_or_else(|error| error.exit());
    arguments.flags_beat_variables(&given);
    let progress = progress::choose(&arguments.global);
    let tells_itself = matches!(arguments.command, Command::Demo(_));
    let problems = match arguments.command {
        Command::Run(_) | Command::Load(_) => telemetry::start(*RUN_ID, &|name| std::env::var(name).ok()),
        _ => Vec::new(),
    };
    logging::start(&arguments.global, progress.as_ref(), tells_itself, &RUN_ID.to_string());
    for problem in problems {
        tracing::warn!("{problem}");
    }
    let progress = progress.map(|bars| bars as Arc<dyn Progress>);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            render::failure(&Failure::unavailable(format!("start the runtime: {error}")));
            return ExitCode::from(5);
        }
    };
    let work = AssertUnwindSafe(command(&arguments.global, arguments.command, progress));
    let code = runtime.block_on(work.catch_unwind()).unwrap_or_else(|_| commands::finish(Err(commands::panicked())));
    // A request in flight must not hold up the end of an interrupted run.
    runtime.shutdown_background();
    ExitCode::from(whole_output(code))
}

/// Runs a command; its exit code.
async fn command(global: &Global, command: Command, progress: Option<Arc<dyn Progress>>) -> u8 {
    match command {
        Command::Init(command) => configuration::init(global, &command),
        Command::Run(command) => commands::run(global, &command, progress).await,
        Command::Load(command) => commands::load(global, &command).await,
        Command::Plan(command) => commands::plan(global, &command).await,
        Command::Check(command) => commands::check(global, &command).await,
        Command::Verify(command) => commands::verify(global, &command).await,
        Command::Vacuum(command) => commands::vacuum(global, &command).await,
        Command::Registry(command) => registry::registry(global, &command).await,
        Command::Quarantine(command) => quarantine::quarantine(global, &command).await,
        Command::Demo(command) => demo::demo(&command, progress).await,
        Command::Report(command) => report::report(global, &command).await,
        Command::Sql(command) => commands::sql(global, &command).await,
        Command::Config(command) => configuration::config(global, &command),
        Command::Schema { of } => commands::schema(of),
        Command::Completions { shell } => commands::completions(shell),
        Command::Man { folder } => commands::manual(folder.as_deref()),
    }
}

/// The exit code of a command, unless what it had to show could not be written.
fn whole_output(code: u8) -> u8 {
    match render::unwritten() {
        Some(failure) if code == 0 => commands::finish(Err(failure)),
        _ => code,
    }
}
