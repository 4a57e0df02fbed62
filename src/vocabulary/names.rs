//! Names: of columns, tenants and reports, and of what somebody probably meant.

/// How unlike a name may be and still be offered as what was meant.
const NEAREST_NAME_SIMILARITY: f64 = 0.7;

/// A name in the case of columns: `interactionId` → `interaction_id`, `agentID` → `agent_id`.
/// Characters other than ASCII letters and digits become `_`.
pub fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, character) in characters.iter().enumerate() {
        if !character.is_ascii_alphanumeric() {
            snake.push('_');
            continue;
        }
        let previous = at.checked_sub(1).map(|before| characters[before]);
        let next_is_lower = characters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        let starts_word = character.is_ascii_uppercase()
            && previous.is_some_and(|previous| {
                previous.is_ascii_lowercase()
                    || previous.is_ascii_digit()
                    || (previous.is_ascii_uppercase() && next_is_lower)
            });
        if starts_word {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    if snake.starts_with(|first: char| first.is_ascii_digit()) {
        snake.insert(0, '_');
    }
    snake
}

/// Whether a name is safe as one folder of a lake: `[A-Za-z0-9._-]`, not starting with a dot.
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// The known name that is most like `name`, if any is like it at all.
pub fn nearest_name<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= NEAREST_NAME_SIMILARITY)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_in_snake_case() {
        for (name, expected) in [
            ("interactionId", "interaction_id"),
            ("agentID", "agent_id"),
            ("duration", "duration"),
            ("HTTPStatus", "http_status"),
            ("wrapUpTime", "wrap_up_time"),
            ("media type", "media_type"),
            ("24hTotal", "_24h_total"),
            ("x2Y", "x2_y"),
        ] {
            assert_eq!(snake_case(name), expected, "{name}");
        }
    }

    #[test]
    fn the_nearest_name_is_offered_and_nothing_far_off() {
        let known = ["group_by", "metrics", "custom_metrics"];
        assert_eq!(nearest_name("custom_metric", known), Some("custom_metrics"));
        assert_eq!(nearest_name("groupby", known), Some("group_by"));
        assert_eq!(nearest_name("zzz", known), None);
    }

    #[test]
    fn names_of_folders_are_plain() {
        assert!(is_plain_name("acme-1.eu_west"));
        for name in ["", ".hidden", "a/b", "a b", "ä", "..", "a%"] {
            assert!(!is_plain_name(name), "{name}");
        }
    }
}
