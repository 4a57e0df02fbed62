//! One Parquet file on its way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{BloomFilterPosition, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use tempfile::NamedTempFile;

use super::encodings::encodings;
use super::hashing_file::HashingWriter;
use super::mapping::map;
use super::waiting_pages::WaitingPages;
use crate::failure::SinkFailure;

/// What the files say of their writer. No version in it: a newer cxlake that writes the same pages
/// writes the same bytes.
const CREATED_BY: &str = "cxlake";
/// One absent id in a hundred is looked up in vain: the filter costs about 10 bits a row.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// The most of a row group, encoded: it waits in memory and in a temporary file until it is whole.
const ROW_GROUP_BYTES: usize = 128 << 20;

/// How Parquet files are written.
#[derive(Clone, Debug, PartialEq)]
pub struct ParquetOptions {
    /// The compression of pages.
    pub codec: Codec,
    /// The most rows of a row group.
    pub row_group_rows: usize,
    /// Columns with a bloom filter.
    pub bloom_columns: Vec<String>,
}

/// The compression of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Zstandard of at most this level, 1 to 22: a column that a lower one makes hardly longer has that.
    Zstd(i32),
    /// Snappy.
    Snappy,
    /// None.
    Uncompressed,
}

impl Codec {
    pub(super) fn compression(self) -> Result<Compression, SinkFailure> {
        Ok(match self {
            Self::Zstd(level) => Compression::ZSTD(
                ZstdLevel::try_new(level)
                    .map_err(|error| SinkFailure::configuration(error.to_string(), "use zstd(1) to zstd(22)"))?,
            ),
            Self::Snappy => Compression::SNAPPY,
            Self::Uncompressed => Compression::UNCOMPRESSED,
        })
    }
}

/// A Parquet file that is being written, in a temporary file.
#[derive(Debug)]
pub struct ParquetWriter {
    folder: PathBuf,
    schema: SchemaRef,
    properties: WriterPropertiesBuilder,
    codec: Codec,
    /// The first batch decides how columns are encoded, so it begins the file.
    begun: Option<FileWriter>,
    rows: u64,
}

type FileWriter = ArrowWriter<HashingWriter<NamedTempFile>>;

/// A whole Parquet file, nowhere visible yet. It is gone when this is dropped.
#[derive(Debug)]
pub struct StagedFile {
    /// Where it is.
    pub file: NamedTempFile,
    /// Its rows.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// The hash of its content, in hex.
    pub sha256: String,
}

impl StagedFile {
    /// Its content, as memory that the file backs.
    ///
    /// # Errors
    /// Where the system maps no file.
    pub(crate) fn content(&self) -> Result<Bytes, SinkFailure> {
        map(self).map_err(|error| SinkFailure::disk("map a temporary file", &error))
    }
}

impl ParquetWriter {
    /// A file that will be in `folder`.
    ///
    /// # Errors
    /// Where the options ask for what is not there.
    pub fn create(folder: &Path, schema: SchemaRef, options: &ParquetOptions) -> Result<Self, SinkFailure> {
        let properties = properties(&schema, options)?;
        Ok(Self { folder: folder.to_owned(), schema, properties, codec: options.codec, begun: None, rows: 0 })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkFailure> {
        // Rows alone decide what the file is like, not how they are cut into batches.
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let writer = match self.begun.take() {
            Some(writer) => writer,
            None => self.begin(encodings(self.properties.clone(), self.codec, batch)?)?,
        };
        let writer = self.begun.insert(writer);
        writer.write(batch).map_err(|error| refused("write a temporary Parquet file", &error))?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Ends the file with these key-values in its footer, in their order.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn finish(mut self, key_values: &[(String, String)]) -> Result<StagedFile, SinkFailure> {
        let mut writer = match self.begun.take() {
            Some(writer) => writer,
            None => self.begin(self.properties.clone())?,
        };
        for (key, value) in key_values {
            writer.append_key_value_metadata(KeyValue::new(key.clone(), value.clone()));
        }
        let inner = writer.into_inner().map_err(|error| refused("end a temporary Parquet file", &error))?;
        let (file, sha256, bytes) = inner.finish();
        Ok(StagedFile { file, rows: self.rows, bytes, sha256 })
    }

    fn begin(&self, properties: WriterPropertiesBuilder) -> Result<FileWriter, SinkFailure> {
        let file = NamedTempFile::with_suffix_in(".parquet", &self.folder)
            .map_err(|error| SinkFailure::disk("create a temporary file", &error))?;
        let options = ArrowWriterOptions::new()
            .with_properties(properties.build())
            .with_page_store_factory(Arc::new(WaitingPages::in_folder(&self.folder)));
        ArrowWriter::try_new_with_options(HashingWriter::new(file), Arc::clone(&self.schema), options)
            .map_err(|error| SinkFailure::defect(format!("begin a Parquet file: {error}")))
    }
}

fn refused(doing: &str, error: &parquet::errors::ParquetError) -> SinkFailure {
    SinkFailure::unavailable(
        format!("{doing}: {error}"),
        "check that the disk of the temporary folder has room; TMPDIR names another",
    )
}

fn properties(schema: &SchemaRef, options: &ParquetOptions) -> Result<WriterPropertiesBuilder, SinkFailure> {
    let builder = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(options.codec.compression()?)
        .set_max_row_group_row_count(Some(options.row_group_rows))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_bloom_filter_position(BloomFilterPosition::AfterRowGroup)
        .set_dictionary_enabled(true);
    Ok(options.bloom_columns.iter().fold(builder, |builder, name| bloom_filter(builder, schema, name, options)))
}

/// A bloom filter for a column that the file has and whose type can have one.
fn bloom_filter(
    builder: WriterPropertiesBuilder,
    schema: &SchemaRef,
    name: &str,
    options: &ParquetOptions,
) -> WriterPropertiesBuilder {
    match schema.field_with_name(name) {
        Ok(field) if *field.data_type() != DataType::Boolean => {
            let column = ColumnPath::from(name);
            builder
                .set_column_bloom_filter_enabled(column.clone(), true)
                .set_column_bloom_filter_fpp(column.clone(), BLOOM_FALSE_POSITIVES)
                .set_column_bloom_filter_max_ndv(column, options.row_group_rows as u64)
        }
        _ => builder,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray as _, StringArray};
    use arrow::datatypes::{Field, Schema};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::parquet::{read_footer, sha256_of_file};

    fn written(rows: &[&str], sequence: &str) -> StagedFile {
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, true)]));
        let options = ParquetOptions { codec: Codec::Zstd(3), row_group_rows: 2, bloom_columns: vec!["id".to_owned()] };
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ParquetWriter::create(folder.path(), Arc::clone(&schema), &options).unwrap();
        let batch = RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(rows.to_vec()))]).unwrap();
        writer.write(&batch).unwrap();
        let staged = writer.finish(&[("cxlake.sequence".to_owned(), sequence.to_owned())]).unwrap();
        // Leave the folder to the file's own clean-up.
        let _kept = folder.keep();
        staged
    }

    #[test]
    fn the_same_rows_and_keys_give_the_same_bytes_and_another_sequence_others() {
        assert_eq!(written(&["a", "b", "c"], "1").sha256, written(&["a", "b", "c"], "1").sha256);
        assert_ne!(written(&["a", "b", "c"], "1").sha256, written(&["a", "b", "c"], "2").sha256);
    }

    #[test]
    fn what_is_said_of_a_file_is_true() {
        let staged = written(&["a", "b", "c"], "7");
        let bytes = std::fs::read(staged.file.path()).unwrap();
        assert_eq!(staged.bytes, bytes.len() as u64);
        assert_eq!(staged.sha256, sha256_of_file(staged.file.path()).unwrap());
        let footer = read_footer(&bytes).unwrap();
        assert_eq!(footer.rows, 3);
        assert_eq!(footer.key_values["cxlake.sequence"], "7");
    }

    #[test]
    fn a_row_group_waits_in_a_file_where_it_is_large_and_is_whole_then() {
        const ROWS: usize = 200_000;
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, true)]));
        let options = ParquetOptions { codec: Codec::Uncompressed, row_group_rows: ROWS, bloom_columns: Vec::new() };
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ParquetWriter::create(folder.path(), Arc::clone(&schema), &options).unwrap();
        let ids: StringArray = (0..ROWS).map(|row| Some(format!("{row:0100}"))).collect();
        for start in (0..ROWS - 1000).step_by(1000) {
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(ids.slice(start, 1000))]).unwrap();
            writer.write(&batch).unwrap();
        }
        let begun = writer.begun.as_ref().unwrap();
        assert!(begun.in_progress_size() > 16 << 20 && begun.memory_size() < 12 << 20, "{begun:?}");
        let rest = ids.slice(ROWS - 1000, 1000);
        writer.write(&RecordBatch::try_new(schema, vec![Arc::new(rest)]).unwrap()).unwrap();
        let staged = writer.finish(&[]).unwrap();
        let file = std::fs::File::open(staged.file.path()).unwrap();
        let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let read: Vec<RecordBatch> = batches.map(Result::unwrap).collect();
        let read = read.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter());
        assert!(read.eq(ids.iter()));
    }

    #[test]
    fn a_file_of_no_rows_is_a_file() {
        let staged = written(&[], "1");
        assert_eq!(read_footer(&std::fs::read(staged.file.path()).unwrap()).unwrap().rows, 0);
    }
}
