//! How each column of a file is encoded, as its first batch tells. That depends on the rows alone, so the same rows give the
//! same bytes.

use std::hash::Hash;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use hashbrown::HashSet;
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::schema::types::ColumnPath;

use super::writer::Codec;
use crate::failure::SinkFailure;

/// Values of a batch below which they say nothing of those to come.
const TELLING_VALUES: usize = 1000;
/// Bytes of a column that levels of compression are tried on.
const TRIED_BYTES: usize = 64 << 10;
/// How much longer a column may be for a lower level: one part in so many.
const LONGER_BY_ONE_IN: usize = 20;

/// Tells how the columns are encoded. Those whose values are nearly all different, as unique ids and free text, have no
/// dictionary: it would be given up when it is full, after every value was looked up in vain. They are also what takes most
/// of the compressing, and of random ids a higher level makes nothing shorter.
pub(super) fn encodings(
    mut properties: WriterPropertiesBuilder,
    codec: Codec,
    batch: &RecordBatch,
) -> Result<WriterPropertiesBuilder, SinkFailure> {
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let path = || ColumnPath::from(vec![field.name().clone()]);
        if !is_nearly_unique(column) {
            continue;
        }
        properties = properties.set_column_dictionary_enabled(path(), false);
        if let (Codec::Zstd(most), Some(texts)) = (codec, column.as_string_opt::<i32>()) {
            let level = Codec::Zstd(sufficient_level(texts, most)?);
            properties = properties.set_column_compression(path(), level.compression()?);
        }
    }
    Ok(properties)
}

/// The lowest level that makes texts hardly longer than the highest would.
fn sufficient_level(texts: &StringArray, most: i32) -> Result<i32, SinkFailure> {
    let plain = plain_encoding(texts);
    let length = |level: i32| {
        zstd::bulk::compress(&plain, level)
            .map(|compressed| compressed.len())
            .map_err(|error| SinkFailure::defect(format!("try a level of compression: {error}")))
    };
    let shortest = length(most)?;
    for level in 1..most {
        if length(level)? <= shortest + shortest / LONGER_BY_ONE_IN {
            return Ok(level);
        }
    }
    Ok(most)
}

/// The beginning of a column's page (Parquet's PLAIN encoding: each text after its length in four bytes).
fn plain_encoding(texts: &StringArray) -> Vec<u8> {
    let mut plain = Vec::with_capacity(TRIED_BYTES);
    for text in texts.iter().flatten() {
        let Some(room) = TRIED_BYTES.checked_sub(plain.len() + size_of::<u32>()) else { break };
        // Of a text that is longer than all that is tried, a part of that.
        let shown = &text.as_bytes()[..text.len().min(TRIED_BYTES / 16).min(room)];
        plain.extend_from_slice(&(shown.len() as u32).to_le_bytes());
        plain.extend_from_slice(shown);
    }
    plain
}

/// Whether so few values of a batch come twice that no dictionary of a row group would hold them all:
/// of 8192 values of 200,000 that are equally frequent, one in fifty does. A few values say nothing,
/// and other types than those that are counted have few.
fn is_nearly_unique(column: &ArrayRef) -> bool {
    let count = column.len() - column.null_count();
    if count < TELLING_VALUES {
        return false;
    }
    match column.data_type() {
        DataType::Utf8 => hardly_repeats(column.as_string::<i32>().iter().flatten(), count),
        DataType::Float64 => {
            hardly_repeats(column.as_primitive::<Float64Type>().iter().flatten().map(f64::to_bits), count)
        }
        DataType::Int64 => hardly_repeats(column.as_primitive::<Int64Type>().iter().flatten(), count),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            hardly_repeats(column.as_primitive::<TimestampMicrosecondType>().iter().flatten(), count)
        }
        _ => false,
    }
}

/// Whether fewer than one in fifty of so many values was there before. Most columns are found out early.
fn hardly_repeats<T: Hash + Eq>(values: impl Iterator<Item = T>, count: usize) -> bool {
    let (mut seen, mut repeated) = (HashSet::new(), 0);
    for value in values {
        repeated += usize::from(!seen.insert(value));
        if repeated * 50 >= count {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, Schema};
    use parquet::basic::Compression;
    use parquet::file::properties::WriterProperties;

    use super::*;

    /// Whether a column of texts has a dictionary, and how it is compressed, where a file is compressed by `codec`.
    fn encoding_of(texts: impl Iterator<Item = String>, codec: Codec) -> (bool, Compression) {
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, true)]));
        let batch = RecordBatch::try_new(schema, vec![Arc::new(texts.map(Some).collect::<StringArray>())]).unwrap();
        let properties = WriterProperties::builder().set_compression(codec.compression().unwrap());
        let properties = encodings(properties, codec, &batch).unwrap().build();
        let path = ColumnPath::from("id");
        (properties.dictionary_enabled(&path), properties.compression(&path))
    }

    #[test]
    fn only_values_that_are_nearly_all_different_have_no_dictionary() {
        fn check(values: impl Iterator<Item = usize>, expected: bool) {
            let (has_dictionary, _) = encoding_of(values.map(|value| value.to_string()), Codec::Snappy);
            assert_eq!(has_dictionary, expected);
        }
        check(0..8192, false);
        check((0..8192).map(|value| value % 8100), false);
        check((0..8192).map(|value| value % 7900), true);
        check(0..999, true);
    }

    #[test]
    fn a_column_has_the_lowest_level_that_hardly_makes_it_longer() {
        fn check(texts: impl Iterator<Item = String>, codec: Codec, expected: Codec) {
            let (_, compression) = encoding_of(texts, codec);
            assert_eq!(compression, expected.compression().unwrap());
        }
        let random =
            |value: u64| value.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let ids = || (0..8192).map(move |value| format!("int_{:016x}", random(value)));
        let words = ["refund", "invoice", "customer", "called", "twice", "about", "the", "order", "delivery", "und"];
        let texts = || {
            (0..8192).map(move |value| {
                let word = |place: u32| words[(random(value) >> (place * 5)) as usize % words.len()];
                (0..12).map(word).collect::<Vec<_>>().join(" ")
            })
        };
        check(ids(), Codec::Zstd(3), Codec::Zstd(1));
        check(texts(), Codec::Zstd(3), Codec::Zstd(3));
        check(std::iter::once("x".repeat(TRIED_BYTES)).chain(texts()), Codec::Zstd(3), Codec::Zstd(3));
        check(texts(), Codec::Zstd(1), Codec::Zstd(1));
        check(ids(), Codec::Snappy, Codec::Snappy);
        check((0..8192).map(|value| format!("{}", value % 10)), Codec::Zstd(3), Codec::Zstd(3));
    }
}
