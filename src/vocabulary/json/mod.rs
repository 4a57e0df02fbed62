//! JSON at the level of its text (RFC 8259): where values begin and end, what strings mean. Nothing
//! here turns a number into a float, so that the exact text stays in reach of the rules.

mod object;
mod plain_run;
mod pretty;
mod scan;
mod string_index;
mod text;

pub use object::{Field, Value, Walk, array_elements, object_fields};
pub use plain_run::plain_run;
pub use pretty::{Shown, pretty};
pub use scan::{StringEnds, SyntaxError, key_count, number_end, skip_whitespace, value_end, value_end_by};
pub use string_index::StringIndex;
pub use text::{LoneSurrogate, append_decoded, append_string, decode_string, pointer_token};
