//! A parquet table in the layout of Hugging Face.

use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::layouts::Item;

/// A struct `{bytes, path}` of the name given, and a column `text`. Bytes are null where the item has none.
pub(super) fn parquet(column: &str, items: &[Item], path: impl Fn(&Item) -> Option<String>) -> Vec<u8> {
    let schema = format!(
        "message row {{ optional group {column} {{ optional binary bytes; optional binary path (UTF8); }} \
         optional binary text (UTF8); }}"
    );
    let schema = Arc::new(parse_message_type(&schema).expect("the schema is plain"));
    let mut bytes = Vec::new();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).expect("memory takes it");
    let mut rows = writer.next_row_group().expect("memory takes it");
    let columns: [(Vec<Option<Vec<u8>>>, i16); 3] = [
        (items.iter().map(|item| item.media.clone()).collect(), 2),
        (items.iter().map(|item| path(item).map(String::into_bytes)).collect(), 2),
        (items.iter().map(|item| Some(item.words.clone())).collect(), 1),
    ];
    for (cells, deepest) in columns {
        let mut column = rows.next_column().expect("memory takes it").expect("there are three");
        let levels: Vec<i16> =
            cells.iter().map(|cell| if cell.is_some() { deepest } else { deepest - 1 }).collect();
        let values: Vec<ByteArray> = cells.into_iter().flatten().map(ByteArray::from).collect();
        column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).expect("memory takes it");
        column.close().expect("memory takes it");
    }
    rows.close().expect("memory takes it");
    writer.close().expect("memory takes it");
    bytes
}
