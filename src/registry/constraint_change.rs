//! What changed in the rules of a metric, and whether values that were right can be wrong now.

use std::fmt;

use crate::vocabulary::{AllowedValue, Constraints};

/// The rules of a metric beside its type.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// What a value must satisfy.
    pub constraints: &'a Constraints,
    /// Whether there must be one.
    pub required: bool,
}

/// One rule that is another now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstraintChange {
    /// The rule by the catalog's name for it: `minimum`, `allowedValues`, `required`, …
    pub rule: &'static str,
    /// What it means for values.
    pub direction: Direction,
    /// From what to what.
    pub detail: String,
}

/// What a change means for values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What was right still is.
    Widened,
    /// What was right may be wrong now.
    Narrowed,
    /// Both, or nobody can tell.
    Changed,
}

impl Direction {
    /// Whether values that were right may be wrong now.
    pub fn may_reject_stored(self) -> bool {
        !matches!(self, Self::Widened)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Widened => "widened",
            Self::Narrowed => "narrowed",
            Self::Changed => "changed",
        })
    }
}

impl fmt::Display for ConstraintChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.rule, self.direction, self.detail)
    }
}

/// Every rule that is another after than before.
pub fn constraint_changes(before: Rules<'_>, after: Rules<'_>) -> Vec<ConstraintChange> {
    let (old, new) = (before.constraints, after.constraints);
    let mut changes = Vec::new();
    // More than the least is allowed, less than the greatest: so the order of one is turned around.
    changes.extend(bound("minimum", old.minimum.as_ref(), new.minimum.as_ref(), |old, new| new < old));
    changes.extend(bound("maximum", old.maximum.as_ref(), new.maximum.as_ref(), |old, new| new > old));
    changes.extend(allowed(old.allowed_values.as_deref(), new.allowed_values.as_deref()));
    changes.extend(replaced("pattern", old.pattern.as_ref(), new.pattern.as_ref()));
    changes.extend(bound("maxLength", old.max_length.as_ref(), new.max_length.as_ref(), |old, new| new > old));
    changes.extend(bound("precision", old.precision.as_ref(), new.precision.as_ref(), |old, new| new > old));
    changes.extend(replaced("schema", old.schema.as_ref(), new.schema.as_ref()));
    if before.required != after.required {
        let direction = if after.required { Direction::Narrowed } else { Direction::Widened };
        let detail = format!("from {} to {}", before.required, after.required);
        changes.push(ConstraintChange { rule: "required", direction, detail });
    }
    changes
}

fn text<T: serde::Serialize>(value: Option<&T>) -> String {
    value.and_then(|value| serde_json::to_string(value).ok()).unwrap_or_else(|| "none".to_owned())
}

fn bound<T: PartialEq + serde::Serialize>(
    rule: &'static str,
    old: Option<&T>,
    new: Option<&T>,
    is_wider: impl Fn(&T, &T) -> bool,
) -> Option<ConstraintChange> {
    let direction = match (old, new) {
        (None, None) => return None,
        (None, Some(_)) => Direction::Narrowed,
        (Some(_), None) => Direction::Widened,
        (Some(old), Some(new)) if old == new => return None,
        (Some(old), Some(new)) if is_wider(old, new) => Direction::Widened,
        (Some(_), Some(_)) => Direction::Narrowed,
    };
    Some(ConstraintChange { rule, direction, detail: format!("from {} to {}", text(old), text(new)) })
}

fn replaced<T: PartialEq + serde::Serialize>(
    rule: &'static str,
    old: Option<&T>,
    new: Option<&T>,
) -> Option<ConstraintChange> {
    let direction = match (old, new) {
        _ if old == new => return None,
        (None, _) => Direction::Narrowed,
        (_, None) => Direction::Widened,
        (Some(_), Some(_)) => Direction::Changed,
    };
    Some(ConstraintChange { rule, direction, detail: format!("from {} to {}", text(old), text(new)) })
}

fn allowed(old: Option<&[AllowedValue]>, new: Option<&[AllowedValue]>) -> Option<ConstraintChange> {
    let rule = "allowedValues";
    let (Some(before), Some(after)) = (old, new) else {
        return replaced(rule, old.map(<[_]>::to_vec).as_ref(), new.map(<[_]>::to_vec).as_ref());
    };
    let lacking = |from: &[AllowedValue], other: &[AllowedValue]| -> Vec<AllowedValue> {
        from.iter().filter(|value| !other.contains(value)).cloned().collect()
    };
    let (added, removed) = (lacking(after, before), lacking(before, after));
    let (direction, detail) = match (added.is_empty(), removed.is_empty()) {
        (true, true) => return None,
        (false, true) => (Direction::Widened, format!("by {}", text(Some(&added)))),
        (true, false) => (Direction::Narrowed, format!("by {}", text(Some(&removed)))),
        (false, false) => {
            (Direction::Changed, format!("with {} and without {}", text(Some(&added)), text(Some(&removed))))
        }
    };
    Some(ConstraintChange { rule, direction, detail })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::ExactNumber;

    fn changes(before: &(Constraints, bool), after: &(Constraints, bool)) -> Vec<String> {
        let before = Rules { constraints: &before.0, required: before.1 };
        let after = Rules { constraints: &after.0, required: after.1 };
        constraint_changes(before, after).iter().map(ToString::to_string).collect()
    }

    /// `change` makes the rules before and after; what is said of the change, and of its reverse.
    fn check(change: impl Fn(&mut Constraints, &mut bool, bool), there: &str, back: &str) {
        let made = |after: bool| {
            let (mut constraints, mut required) = (Constraints::default(), false);
            change(&mut constraints, &mut required, after);
            (constraints, required)
        };
        assert_eq!(changes(&made(false), &made(true)), [there]);
        assert_eq!(changes(&made(true), &made(false)), [back]);
    }

    #[test]
    fn a_change_is_named_by_what_it_means_for_values() {
        let number = |text: &str| ExactNumber::parse(text);
        let texts = |texts: &[&str]| Some(texts.iter().map(|text| AllowedValue::Text((*text).to_owned())).collect());
        check(
            |rules, _, after| rules.maximum = number(if after { "2" } else { "1" }),
            "maximum widened from 1 to 2",
            "maximum narrowed from 2 to 1",
        );
        check(
            |rules, _, after| rules.minimum = number("0.5").filter(|_| after),
            "minimum narrowed from none to 0.5",
            "minimum widened from 0.5 to none",
        );
        check(
            |rules, _, after| rules.allowed_values = if after { texts(&["a", "b"]) } else { texts(&["a"]) },
            "allowedValues widened by [\"b\"]",
            "allowedValues narrowed by [\"b\"]",
        );
        check(
            |rules, _, after| rules.allowed_values = if after { texts(&["a"]) } else { texts(&["b"]) },
            "allowedValues changed with [\"a\"] and without [\"b\"]",
            "allowedValues changed with [\"b\"] and without [\"a\"]",
        );
        check(
            |rules, _, after| rules.pattern = Some(if after { "^a" } else { "^b" }.to_owned()),
            "pattern changed from \"^b\" to \"^a\"",
            "pattern changed from \"^a\" to \"^b\"",
        );
        check(
            |_, required, after| *required = after,
            "required narrowed from false to true",
            "required widened from true to false",
        );
    }

    #[test]
    fn one_value_in_two_spellings_is_no_change() {
        let rules = |text: &str| Constraints { maximum: ExactNumber::parse(text), ..Constraints::default() };
        let (one, same) = (rules("1"), rules("1.0"));
        let of = |constraints| Rules { constraints, required: false };
        assert_eq!(constraint_changes(of(&one), of(&same)), []);
    }
}
