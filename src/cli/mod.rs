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

use std::process::ExitCode;
use std::sync::{Arc, LazyLock};

use clap::FromArgMatches as _;

use arguments::{Arguments, Command};

use crate::vocabulary::Progress;

/// What this process is known by: in its log, its summary, and what it leaves in the lake.
static RUN_ID: LazyLock<uuid::Uuid> = LazyLock::new(uuid::Uuid::now_v7);

/// Runs the command line; the exit code is the contract's.
pub fn main() -> ExitCode {
    let given = examples::without_empty_variables(examples::command()).get_matches();
    let mut arguments = Arguments::from_arg_matches(&given).unwrap_or_else(|error| error.exit());
    arguments.global.flags_beat_variables(&given);
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
            render::failure(&crate::vocabulary::Failure::unavailable(format!("start the runtime: {error}")));
            return ExitCode::from(5);
        }
    };
    let global = &arguments.global;
    let code = match arguments.command {
        Command::Init(command) => configuration::init(global, &command),
        Command::Run(command) => runtime.block_on(commands::run(global, &command, progress)),
        Command::Load(command) => runtime.block_on(commands::load(global, &command)),
        Command::Plan(command) => runtime.block_on(commands::plan(global, &command)),
        Command::Check(command) => runtime.block_on(commands::check(global, &command)),
        Command::Verify(command) => runtime.block_on(commands::verify(global, &command)),
        Command::Vacuum(command) => runtime.block_on(commands::vacuum(global, &command)),
        Command::Registry(command) => runtime.block_on(registry::registry(global, &command)),
        Command::Quarantine(command) => runtime.block_on(quarantine::quarantine(global, &command)),
        Command::Demo(command) => runtime.block_on(demo::demo(&command, progress)),
        Command::Report(command) => runtime.block_on(report::report(global, &command)),
        Command::Sql(command) => runtime.block_on(commands::sql(global, &command)),
        Command::Config(command) => configuration::config(global, &command),
        Command::Schema { of } => commands::schema(of),
        Command::Completions { shell } => commands::completions(shell),
        Command::Man { folder } => commands::manual(folder.as_deref()),
    };
    // A request in flight must not hold up the end of an interrupted run.
    runtime.shutdown_background();
    ExitCode::from(code)
}
