//! From the file's text to [`Settings`].

use toml::de::{DeTable, DeValue};

use super::file::{File, LakeOption, SecretSource};
use super::{NeededSecret, Settings, check};
use crate::vocabulary::{ExactNumber, Failure, Secret, nearest_name};

/// What the configuration may refer to outside of itself.
pub struct Surroundings<'a> {
    /// An environment variable by name.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// A small text file by path.
    pub text_file: &'a dyn Fn(&str) -> std::io::Result<String>,
}

/// Reads and checks a configuration. `name` is the file's name, for messages.
///
/// # Errors
/// [`crate::vocabulary::FailureKind::Configuration`] with the line, and the nearest known name
/// where a key is unknown.
pub fn read_settings(name: &str, text: &str, surroundings: &Surroundings<'_>) -> Result<Settings, Failure> {
    let file: File = toml::from_str(text).map_err(|error| unreadable(name, text, &error))?;
    exact_numbers(name, text)?;
    let mut settings = check::settings(file, surroundings).map_err(|failure| located(name, text, failure))?;
    for secret in settings.needed_secrets() {
        if let Err(failure) = secret {
            *failure = located(name, text, failure.clone());
        }
    }
    Ok(settings)
}

/// The failure of a check with the line of the key that it begins with ("read PLACE…"), or of the
/// nearest table around it.
pub fn located(name: &str, text: &str, failure: Failure) -> Failure {
    let Some(message) = failure.message.strip_prefix("read ") else { return failure };
    let place = message.split([':', ' ']).next().unwrap_or_default();
    match line_of(text, place) {
        Some(line) => Failure { message: format!("read {name}: line {line}: {message}"), ..failure },
        None => failure,
    }
}

/// Refuses numbers that float64, by which TOML is read, has not: a bound would be another than what is written.
fn exact_numbers(name: &str, text: &str) -> Result<(), Failure> {
    let document = DeTable::parse(text).ok();
    let Some((literal, start)) = document.and_then(|document| document.get_ref().values().find_map(inexact_number))
    else {
        return Ok(());
    };
    let line = line_at(text, start);
    Err(Failure::configuration(format!("read {name}: line {line}: {literal} has more digits than a float64 keeps"))
        .hint("write fewer digits, or a whole number"))
}

/// The first number of a value that float64 has not, and where it stands.
fn inexact_number(value: &toml::Spanned<DeValue<'_>>) -> Option<(String, usize)> {
    match value.get_ref() {
        DeValue::Float(float) => {
            let literal = float.as_str().trim_start_matches('+');
            // Infinity and the like are no numbers, and not for this to refuse.
            let number = ExactNumber::parse(literal)?;
            number.to_float(literal).is_err().then(|| (literal.to_owned(), value.span().start))
        }
        DeValue::Array(values) => values.iter().find_map(inexact_number),
        DeValue::Table(table) => table.values().find_map(inexact_number),
        _ => None,
    }
}

fn line_of(text: &str, place: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut table = Some(document.get_ref());
    let mut found = None;
    for name in place.split('.') {
        let Some((key, value)) = table.and_then(|table| table.get_key_value(name)) else { break };
        found = Some(key.span().start);
        table = value.get_ref().as_table();
    }
    found.map(|start| line_at(text, start))
}

fn line_at(text: &str, position: usize) -> usize {
    text.bytes().take(position).filter(|byte| *byte == b'\n').count() + 1
}

impl Surroundings<'_> {
    /// The text of a secret. `place` is its key in the file, for messages.
    ///
    /// # Errors
    /// Where no source is named; within, where the source has no secret.
    pub(super) fn secret(&self, place: &str, source: &SecretSource) -> Result<NeededSecret, Failure> {
        match (&source.env, &source.file) {
            (Some(variable), None) => Ok(self.of_variable(place, variable)),
            (None, Some(path)) => Ok(self.of_file(place, path)),
            _ => Err(Failure::configuration(format!("read {place}: it must name one source"))
                .hint("write { env = \"NAME\" } or { file = \"PATH\" }")),
        }
    }

    fn of_variable(&self, place: &str, variable: &str) -> NeededSecret {
        let text = (self.variable)(variable).filter(|text| !text.is_empty());
        text.map(Secret::new).ok_or_else(|| {
            Failure::configuration(format!("read {place}: the environment variable {variable} is not set"))
                .hint(format!("set {variable}, or name another source: {{ env = \"NAME\" }} or {{ file = \"PATH\" }}"))
        })
    }

    fn of_file(&self, place: &str, path: &str) -> NeededSecret {
        match (self.text_file)(path) {
            Ok(text) if text.trim_end().is_empty() => {
                Err(Failure::configuration(format!("read {place}: the file {path} is empty"))
                    .hint("write the secret into it, and nothing else"))
            }
            Ok(text) => Ok(Secret::new(text.trim_end().to_owned())),
            Err(error) => Err(Failure::configuration(format!("read {place} from the file {path}: {error}"))
                .hint("name a file that this user may read")),
        }
    }

    pub(super) fn lake_option(&self, key: &str, option: &LakeOption) -> Result<Secret, Failure> {
        match option {
            LakeOption::Text(text) => Ok(Secret::new(text.clone())),
            LakeOption::Boolean(boolean) => Ok(Secret::new(boolean.to_string())),
            LakeOption::Integer(integer) => Ok(Secret::new(integer.to_string())),
            LakeOption::Secret(source) => self.secret(&format!("lake.options.{key}"), source)?,
        }
    }
}

/// What a value of the wrong type is said to be, without the value: it can be a secret that stands where none must.
fn without_value(message: &str) -> Option<String> {
    let found = message.strip_prefix("invalid type: ")?;
    let (kind, value) = found.split_once(['"', '`'])?;
    // Of a string's quotes all but the last can be within it.
    let after = if kind == "string " { value.rsplit_once('"') } else { value.split_once('`') };
    let kind = match kind.trim_end() {
        "integer" => "an integer",
        "floating point" => "a float",
        "boolean" => "a boolean",
        _ => "a string",
    };
    Some(format!("invalid type: {kind}{}", after.map_or("", |(_, after)| after).replace('`', "\"")))
}

pub(super) fn unreadable(name: &str, text: &str, error: &toml::de::Error) -> Failure {
    let place = error.span().map_or_else(String::new, |span| format!(" line {}:", line_at(text, span.start)));
    let message = without_value(error.message()).unwrap_or_else(|| error.message().replace('`', "\""));
    let mut quoted = error.message().split('`').skip(1).step_by(2);
    if !error.message().starts_with("unknown field") {
        return Failure::configuration(format!("read {name}:{place} {message}"))
            .hint("`cxlake schema configuration` prints what may stand where");
    }
    // How the reader of TOML calls a date that stands where a table must.
    let unknown = quoted.next().map(|unknown| if unknown.starts_with("$__toml") { "a date" } else { unknown });
    let unknown = unknown.unwrap_or_default();
    let known: Vec<&str> = quoted.collect();
    let failure = Failure::configuration(format!("read {name}:{place} unknown key \"{unknown}\""));
    match nearest_name(unknown, known.iter().copied()) {
        Some(nearest) => failure.hint(format!("did you mean \"{nearest}\"?")),
        None => failure.hint(format!("known keys here: {}", known.join(", "))),
    }
}
