//! Keywords of JSON Schema that the fast path does not know: the `jsonschema` crate checks them for
//! their column, so that none is ever ignored.

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use super::rules::Broken;
use super::violation::{Rule, shown};
use crate::vocabulary::{ColumnType, nearest_name};

/// What draft-07 knows of a value that is no object and no array, and how schemas are combined.
#[rustfmt::skip]
const KEYWORDS: [&str; 24] = [
    "$comment", "allOf", "anyOf", "const", "default", "description", "else", "enum", "examples",
    "exclusiveMaximum", "exclusiveMinimum", "format", "if", "maxLength", "maximum", "minLength", "minimum",
    "multipleOf", "not", "oneOf", "pattern", "then", "title", "type",
];

/// The further keywords of one column.
#[derive(Debug)]
pub(super) struct FurtherRules {
    schema: Value,
    validator: Validator,
}

impl FurtherRules {
    /// Compiles them.
    ///
    /// # Errors
    /// The reason, where a keyword is not known, or cannot be checked exactly and in linear time.
    pub(super) fn compile(column_type: ColumnType, schema: &Map<String, Value>) -> Result<Self, String> {
        if matches!(column_type, ColumnType::Decimal { .. }) {
            // The validator compares numbers as float64, which decimals are there to avoid.
            return Err("a decimal is compared exactly by minimum, maximum and precision only".to_owned());
        }
        known_keywords(schema)?;
        let schema = Value::Object(schema.clone());
        let validator = jsonschema::draft7::options()
            .with_pattern_options(PatternOptions::regex())
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .build(&schema)
            .map_err(|error| error.to_string())?;
        Ok(Self { schema, validator })
    }

    /// Adds what a value breaks, given as it was sent. Only for values of the column's type that can be kept, and no integers, which may
    /// be written so that they are read as float64 (`9007199254740993.0`): of the others float64 keeps every number.
    pub(super) fn check_raw(&self, raw: &str, broken: &mut Vec<Broken>) {
        match serde_json::from_str::<Value>(raw) {
            Ok(value) => self.check(&value, broken),
            Err(_) => broken.push((Rule::Encoding, "Unicode text".to_owned())),
        }
    }

    /// Adds what a value breaks, each rule once.
    pub(super) fn check(&self, value: &Value, broken: &mut Vec<Broken>) {
        for error in self.validator.iter_errors(value) {
            let rule = rule_of(error.kind().keyword());
            if !broken.iter().any(|(known, _)| *known == rule) {
                broken.push((rule, shown(self.schema.to_string().as_bytes())));
            }
        }
    }
}

fn known_keywords(schema: &Map<String, Value>) -> Result<(), String> {
    for (keyword, value) in schema {
        if !KEYWORDS.contains(&keyword.as_str()) {
            let nearest = nearest_name(keyword, KEYWORDS).map(|near| format!(": did you mean {near:?}?"));
            return Err(format!("the keyword {keyword:?} is not known{}", nearest.unwrap_or_default()));
        }
        // Annotations and values are no schemas.
        let inner: Vec<&Map<String, Value>> = match (keyword.as_str(), value) {
            ("const" | "default" | "enum" | "examples", _) => Vec::new(),
            (_, Value::Object(inner)) => vec![inner],
            (_, Value::Array(inner)) => inner.iter().filter_map(Value::as_object).collect(),
            _ => Vec::new(),
        };
        inner.into_iter().try_for_each(known_keywords)?;
    }
    Ok(())
}

/// The rule of the closed set that a keyword is nearest to.
fn rule_of(keyword: &str) -> Rule {
    match keyword {
        "minLength" | "maxLength" => Rule::Length,
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => Rule::Range,
        "multipleOf" => Rule::Precision,
        "const" | "enum" => Rule::Enum,
        "format" | "pattern" => Rule::Pattern,
        _ => Rule::Type,
    }
}
