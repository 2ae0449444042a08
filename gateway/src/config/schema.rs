//! The JSON Schema of the configuration (draft 2020-12), made from the types in `raw`.
//!
//! It is what `portcullis schema` prints, what editors use and what every file is checked
//! against, so the three cannot disagree.

use schemars::{JsonSchema, generate::SchemaSettings, transform::transform_subschemas};
use serde_json::{Map, Value};

use super::raw::{Included, Main};

/// The schema of the main file.
pub fn schema() -> Value {
    of::<Main>()
}

/// The schema of a file that the main file includes.
pub(super) fn included() -> Value {
    of::<Included>()
}

fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(without_null);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// A key that may be left out is left out: writing it and giving no value is a mistake.
fn without_null(schema: &mut schemars::Schema) {
    transform_subschemas(&mut without_null, schema);
    let Some(object) = schema.as_object_mut() else { return };
    object.remove("format");
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(branches)) = object.get_mut("anyOf") {
        branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(only)] = branches.as_slice() {
            let only = only.clone();
            take_over(object, only);
        }
    }
}

/// Puts the one branch that is left in the place of `anyOf`.
fn take_over(object: &mut Map<String, Value>, only: Map<String, Value>) {
    object.remove("anyOf");
    for (key, value) in only {
        object.entry(key).or_insert(value);
    }
}
