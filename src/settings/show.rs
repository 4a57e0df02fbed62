//! The configuration as it is in force: each value, and where it comes from. No secret is in it.

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::file::{File, SecretSource};
use super::read::unreadable;
use crate::vocabulary::Failure;

/// What stands in the place of a secret.
const HIDDEN: &str = "***";
/// Parts of names of `[lake.options]` whose values are hidden, also where they are written out.
const SECRET_OPTIONS: [&str; 6] = ["secret", "key", "token", "sas", "password", "credential"];

/// A value in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownValue {
    /// Its key with those of all tables around it, as TOML writes it.
    pub key: String,
    /// The value, as TOML writes it.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of the file.
    Line(usize),
    /// The value that holds where the file says nothing.
    Default,
    /// A secret in an environment variable, named in a line.
    Variable(String, usize),
    /// A secret in a file, named in a line.
    SecretFile(String, usize),
}

/// All values of a configuration, sorted by key. `name` is the file's name, for messages.
///
/// # Errors
/// As [`super::read_settings`], but values are not checked, and secrets not read.
pub fn shown_values(name: &str, text: &str) -> Result<Vec<ShownValue>, Failure> {
    let file: File = toml::from_str(text).map_err(|error| unreadable(name, text, &error))?;
    let written = DeTable::parse(text).map_err(|error| unreadable(name, text, &error))?;
    let all = serde_json::to_value(&file).map_err(|error| Failure::defect(format!("show {name}: {error}")))?;
    let mut shown = Vec::new();
    flatten(&all, &mut Vec::new(), &mut |path, value| {
        let origin = origin(text, written.get_ref(), path);
        let is_secret_option = path.len() == 3
            && path[..2] == ["lake", "options"]
            && SECRET_OPTIONS.iter().any(|secret| path[2].to_lowercase().contains(secret));
        let value = match value {
            _ if is_secret_option => Value::from(HIDDEN),
            Value::Array(words) if *path == ["alerts", "command"] => program_alone(words),
            Value::String(text) => Value::from(without_password(text)),
            value => value.clone(),
        };
        let key = path.iter().map(|part| toml_key(part)).collect::<Vec<_>>().join(".");
        shown.push(ShownValue { key, value: toml_value(&value), origin });
    });
    Ok(shown)
}

/// A command without its arguments: headers with tokens are among them.
fn program_alone(words: &[Value]) -> Value {
    let hidden = |(at, word): (usize, &Value)| if at == 0 { word.clone() } else { Value::from(HIDDEN) };
    words.iter().enumerate().map(hidden).collect()
}

/// A URL without the password that is in it, as of a proxy.
fn without_password(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else { return text.to_owned() };
    if url.password().is_none() || url.set_password(Some(HIDDEN)).is_err() {
        return text.to_owned();
    }
    url.to_string()
}

impl serde::Serialize for SecretSource {
    /// Never more than that there is one.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

/// As [`SecretSource`]'s, for a secret that stands in the file.
pub(super) fn hidden<S: serde::Serializer>(_: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(HIDDEN)
}

fn flatten<'a>(value: &'a Value, path: &mut Vec<&'a str>, leaf: &mut impl FnMut(&[&str], &Value)) {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (name, member) in members {
                path.push(name);
                flatten(member, path, leaf);
                path.pop();
            }
        }
        value => leaf(path, value),
    }
}

fn origin(text: &str, written: &DeTable<'_>, path: &[&str]) -> Origin {
    let Some((last, tables)) = path.split_last() else { return Origin::Default };
    let mut table = written;
    for part in tables {
        match table.get(*part).map(|value| value.get_ref()) {
            Some(DeValue::Table(inner)) => table = inner,
            _ => return Origin::Default,
        }
    }
    let Some((key, value)) = table.get_key_value(*last) else { return Origin::Default };
    let line = text.bytes().take(key.span().start).filter(|byte| *byte == b'\n').count() + 1;
    let DeValue::Table(secret) = value.get_ref() else { return Origin::Line(line) };
    let named = |source: &str| match secret.get(source).map(|value| value.get_ref()) {
        Some(DeValue::String(name)) => Some(name.to_string()),
        _ => None,
    };
    match (named("env"), named("file")) {
        (Some(variable), _) => Origin::Variable(variable, line),
        (None, Some(file)) => Origin::SecretFile(file, line),
        (None, None) => Origin::Line(line),
    }
}

fn toml_key(part: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    match !part.is_empty() && part.bytes().all(is_bare) {
        true => part.to_owned(),
        false => Value::from(part).to_string(),
    }
}

/// JSON's texts, numbers and arrays of them are TOML's too; objects are inline tables.
fn toml_value(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(toml_value).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let member = |(name, member): (&String, &Value)| format!("{} = {}", toml_key(name), toml_value(member));
            format!("{{ {} }}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[tenants.acme]\nauth_url = \"https://acme.example\"\nclient_id = { env = \"ID\" }\n\
        client_secret = { file = \"/run/secret\" }\n[tenants.acme.regions]\nna1 = \"https://na1.example\"\n\
        [lake]\nurl = \"lake\"\n[lake.options]\naws_secret_access_key = \"abc\"\nregion = \"eu-1\"\n\
        proxy_url = \"http://me:abc@proxy:3128\"\n[alerts]\nwebhook = \"https://chat.example/abc\"\n";

    #[test]
    fn each_value_has_its_origin_and_no_secret_is_shown() {
        let shown = shown_values("cxlake.toml", TEXT).unwrap();
        let of = |key: &str| {
            let found = shown.iter().find(|value| value.key == key).unwrap_or_else(|| panic!("{key}: {shown:?}"));
            (found.value.as_str(), found.origin.clone())
        };
        assert_eq!(of("tenants.acme.auth_url"), ("\"https://acme.example\"", Origin::Line(2)));
        assert_eq!(of("tenants.acme.client_id"), ("\"***\"", Origin::Variable("ID".to_owned(), 3)));
        assert_eq!(of("tenants.acme.client_secret"), ("\"***\"", Origin::SecretFile("/run/secret".to_owned(), 4)));
        assert_eq!(of("tenants.acme.limits.burst"), ("5", Origin::Default));
        assert_eq!(of("lake.options.aws_secret_access_key"), ("\"***\"", Origin::Line(10)));
        assert_eq!(of("lake.options.region"), ("\"eu-1\"", Origin::Line(11)));
        assert_eq!(of("lake.options.proxy_url").0, "\"http://me:***@proxy:3128/\"");
        assert_eq!(of("alerts.webhook"), ("\"***\"", Origin::Line(14)));
        assert_eq!(of("lake.parquet.compression"), ("\"zstd(3)\"", Origin::Default));
        assert!(shown.iter().all(|value| !value.value.contains("abc")));
    }

    #[test]
    fn arguments_of_the_alert_command_are_not_shown() {
        let webhook = "webhook = \"https://chat.example/abc\"";
        assert!(TEXT.contains(webhook));
        let text = TEXT.replace(webhook, "command = [\"curl\", \"-H\", \"Authorization: abc\"]");
        let shown = shown_values("cxlake.toml", &text).unwrap();
        let command = shown.iter().find(|value| value.key == "alerts.command").unwrap();
        assert_eq!(command.value, "[\"curl\", \"***\", \"***\"]");
    }

    #[test]
    fn what_is_shown_is_toml() {
        let shown = shown_values("cxlake.toml", TEXT).unwrap();
        let text: String = shown.iter().map(|value| format!("{} = {}\n", value.key, value.value)).collect();
        assert!(text.parse::<toml::Table>().is_ok(), "{text}");
    }
}
