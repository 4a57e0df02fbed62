//! `cxlake init` and `cxlake config …`: the configuration written for the first time, and as it is in force.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand};

use super::arguments::Global;
use super::commands::{finish, read_configuration_text};
use super::render;
use crate::settings::{Origin, shown_values};
use crate::vocabulary::Failure;

/// The configuration that `init` writes; lines that begin with `#:` are options.
const CONFIGURATION: &str = include_str!("templates/cxlake.toml");
/// The variables that it names.
const ENVIRONMENT: &str = include_str!("templates/env.example");

#[derive(Debug, Args)]
pub(super) struct InitCommand {
    /// Write over a configuration that is there
    #[arg(long, env = "CXLAKE_FORCE", value_parser = BoolishValueParser::new())]
    force: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print what is in force, a line a value; secrets as ***
    Show {
        /// Say of each value where it comes from
        #[arg(long, env = "CXLAKE_ORIGIN", value_parser = BoolishValueParser::new())]
        origin: bool,
    },
}

pub(super) fn init(global: &Global, command: &InitCommand) -> u8 {
    finish(write_templates(&global.config, command.force).map(|example_written| {
        let configuration = global.config.display();
        let example = if example_written { "" } else { " (it was there already, and is as it was)" };
        render::text(&format!(
            "Wrote {configuration} and .env.example beside it{example}. Next:\n  1. In {configuration}, name your tenant, its \
             region and your lake.\n  2. Set CXONE_CLIENT_ID and CXONE_CLIENT_SECRET, as .env.example shows.\n  3. \
             cxlake check\n  4. cxlake run --date 2024-01-01\nWithout a tenant at hand: cxlake demo\n"
        ));
        0
    }))
}

/// Writes the configuration, and the example of variables where there is none: one that is there may
/// be of something else. Whether the example was written.
fn write_templates(configuration: &Path, force: bool) -> Result<bool, Failure> {
    if !force && configuration.exists() {
        return Err(Failure::configuration(format!("write {}: it is there already", configuration.display()))
            .hint("name another with --config, or write over it with --force"));
    }
    let text: String = CONFIGURATION.lines().map(|line| format!("{}\n", line.replacen("#: ", "# ", 1))).collect();
    write(configuration, &text, force)?;
    let example = configuration.with_file_name(".env.example");
    if example.exists() {
        return Ok(false);
    }
    write(&example, ENVIRONMENT, false)?;
    Ok(true)
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(!force).create(force).truncate(force);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        Failure::configuration(format!("write {}: {error}", path.display()))
            .hint("name a folder that is there and may be written to: --config FOLDER/cxlake.toml")
    })
}

pub(super) fn config(global: &Global, command: &ConfigCommand) -> u8 {
    let ConfigCommand::Show { origin } = command;
    finish(show(&global.config, *origin).map(|text| {
        render::text(&text);
        0
    }))
}

fn show(path: &Path, with_origin: bool) -> Result<String, Failure> {
    let name = path.display().to_string();
    let values = shown_values(&name, &read_configuration_text(path)?)?;
    let mut text = String::new();
    for value in values {
        let line = format!("{} = {}", value.key, value.value);
        let origin = match value.origin {
            Origin::Line(line) => format!("{name}:{line}"),
            Origin::Default => "default".to_owned(),
            Origin::Variable(variable, line) => format!("environment {variable}, {name}:{line}"),
            Origin::SecretFile(file, line) => format!("file {file}, {name}:{line}"),
        };
        text.push_str(&if with_origin { format!("{line}  # {origin}\n") } else { format!("{line}\n") });
    }
    if with_origin {
        let mut variables: Vec<String> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
        variables.retain(|name| name.starts_with("CXLAKE_"));
        variables.sort();
        text.extend(variables.iter().map(|name| format!("# the environment sets {name}: a flag of that name\n")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Surroundings, read_settings};

    fn check(text: &str) {
        let surroundings = Surroundings {
            variable: &|_| Some("a".to_owned()),
            text_file: &|_| Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        };
        read_settings("cxlake.toml", text, &surroundings).unwrap_or_else(|failure| panic!("{failure}\n{text}"));
    }

    #[test]
    fn what_init_writes_is_a_configuration_also_with_every_option_taken() {
        check(CONFIGURATION);
        check(&CONFIGURATION.replace("#: ", "").replace("url = \"lake\"", "url = \"gs://lake/cxone\""));
    }

    #[test]
    fn options_show_what_is_in_force() {
        let values = |text: &str| shown_values("cxlake.toml", text).unwrap();
        let shown = values(&CONFIGURATION.replace("#: ", ""));
        for value in values(CONFIGURATION).iter().filter(|value| value.origin == Origin::Default) {
            let example = ["load", "retired_metric", "quiet_hours", "mask", "command"];
            let is_example = example.iter().any(|name| value.key.ends_with(name));
            let same = shown.iter().any(|other| other.key == value.key && other.value == value.value);
            assert!(same || is_example, "{value:?}");
        }
    }
}
