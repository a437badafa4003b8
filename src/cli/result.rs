//! The JSON object that a command without a rotation ends with.

use serde_json::{Map, Value, json};

use super::exit::Exit;

/// `fields` within the envelope that every result has.
pub fn object(command: &str, exit: Exit, fields: Value) -> Value {
    let mut object = Map::new();
    object.insert("schema".to_owned(), json!("whsec/v1"));
    object.insert("command".to_owned(), json!(command));
    object.insert("status".to_owned(), json!(if exit == Exit::Done { "done" } else { "failed" }));
    object.insert("exit".to_owned(), json!(exit.code()));
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    object.entry("error").or_insert(Value::Null);
    Value::Object(object)
}
