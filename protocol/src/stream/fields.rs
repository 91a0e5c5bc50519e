//! Taking fields out of a JSON object, each of a given type: what all messages are read with.
//!
//! A field that is absent or null is empty, one that is not known is never looked at, and one of another type is an error.

use serde_json::{Map, Value as Json};
use thiserror::Error;

use crate::stats::SnapshotError;

/// What cannot be read as a message.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The text is no JSON object.
    #[error("a message of the stream is a JSON object: {0}; is it of larder:stats or larder:events?")]
    Json(#[from] serde_json::Error),
    /// A field has a value of another type.
    #[error("message of the stream: {field} is no {expected}; is larderd of another version?")]
    Field {
        /// The field's name.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The field `stats`.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// An object that fields are taken out of.
pub(super) struct Fields(Map<String, Json>);

impl Fields {
    pub(super) fn parse(text: &str) -> Result<Self, StreamError> {
        Ok(Self(serde_json::from_str(text)?))
    }

    pub(super) fn of(json: Json, field: &'static str) -> Result<Self, StreamError> {
        match json {
            Json::Object(object) => Ok(Self(object)),
            _ => Err(StreamError::Field { field, expected: "object" }),
        }
    }

    fn take(&mut self, field: &str) -> Option<Json> {
        self.0.remove(field).filter(|json| !json.is_null())
    }

    /// The whole number, if it is there.
    pub(super) fn maybe_int(&mut self, field: &'static str) -> Result<Option<i64>, StreamError> {
        self.take(field).map(|json| int(&json, field)).transpose()
    }

    /// The whole number, or 0.
    pub(super) fn int(&mut self, field: &'static str) -> Result<i64, StreamError> {
        Ok(self.maybe_int(field)?.unwrap_or(0))
    }

    /// The whole number that cannot be negative, or 0.
    pub(super) fn count(&mut self, field: &'static str) -> Result<u64, StreamError> {
        let json = self.take(field);
        json.map_or(Ok(0), |json| {
            json.as_u64().ok_or(StreamError::Field { field, expected: "whole number from 0" })
        })
    }

    /// The text, or an empty one.
    pub(super) fn text(&mut self, field: &'static str) -> Result<String, StreamError> {
        match self.take(field) {
            None => Ok(String::new()),
            Some(Json::String(text)) => Ok(text),
            Some(_) => Err(StreamError::Field { field, expected: "text" }),
        }
    }

    /// The elements, or none.
    pub(super) fn list<T>(
        &mut self,
        field: &'static str,
        element: impl Fn(Json) -> Result<T, StreamError>,
    ) -> Result<Vec<T>, StreamError> {
        match self.take(field) {
            None => Ok(Vec::new()),
            Some(Json::Array(elements)) => elements.into_iter().map(element).collect(),
            Some(_) => Err(StreamError::Field { field, expected: "list" }),
        }
    }

    /// The whole numbers, or none.
    pub(super) fn ints(&mut self, field: &'static str) -> Result<Vec<i64>, StreamError> {
        self.list(field, |json| int(&json, field))
    }

    /// The object, or an empty one.
    pub(super) fn object(&mut self, field: &'static str) -> Result<Self, StreamError> {
        self.take(field).map_or_else(|| Ok(Self(Map::new())), |json| Self::of(json, field))
    }

    /// What has not been taken.
    pub(super) fn rest(self) -> Map<String, Json> {
        self.0
    }
}

fn int(json: &Json, field: &'static str) -> Result<i64, StreamError> {
    json.as_i64().ok_or(StreamError::Field { field, expected: "whole number" })
}

/// An object of these fields, in this order.
pub(super) fn object<const N: usize>(fields: [(&str, Json); N]) -> Json {
    Json::Object(fields.into_iter().map(|(name, json)| (name.to_owned(), json)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_empty_and_what_is_of_another_type_an_error() {
        let text = r#"{"a":1,"b":"x","c":[1,2],"d":{"e":-3},"f":null,"g":1.5}"#;
        let mut fields = Fields::parse(text).unwrap();
        assert_eq!((fields.int("a").unwrap(), fields.int("a").unwrap(), fields.int("f").unwrap()), (1, 0, 0));
        assert_eq!((fields.text("b").unwrap().as_str(), fields.text("none").unwrap().as_str()), ("x", ""));
        assert_eq!((fields.ints("c").unwrap(), fields.ints("none").unwrap()), (vec![1, 2], vec![]));
        let mut inner = fields.object("d").unwrap();
        assert!(inner.count("e").is_err());
        assert_eq!(fields.maybe_int("none").unwrap(), None);
        assert!(fields.int("g").is_err());
        let wrong = |read: fn(&mut Fields) -> bool| read(&mut Fields::parse(text).unwrap());
        assert!(wrong(|fields| fields.int("b").is_err()));
        assert!(wrong(|fields| fields.text("a").is_err()));
        assert!(wrong(|fields| fields.ints("a").is_err()));
        assert!(wrong(|fields| fields.object("c").is_err()));
        assert!(Fields::parse("[]").is_err() && Fields::parse("").is_err());
    }
}
