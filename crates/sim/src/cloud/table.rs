//! Tables of things with an id, in the order in which they came to be.

use indexmap::IndexMap;
use indexmap::map::{Values, ValuesMut};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Something with an id.
pub(super) trait Record {
    fn id(&self) -> &str;
}

impl Record for Value {
    fn id(&self) -> &str {
        self["id"].as_str().unwrap_or_default()
    }
}

/// A table, found by id and read in order.
#[derive(Clone, Debug)]
pub(super) struct Table<T>(IndexMap<String, T>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(IndexMap::new())
    }
}

/// As a list.
impl<T: Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.values())
    }
}

impl<T: Record> Table<T> {
    pub fn get(&self, id: &str) -> Option<&T> {
        self.0.get(id)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.0.get_mut(id)
    }

    pub fn add(&mut self, item: T) {
        self.0.insert(item.id().to_owned(), item);
    }

    pub fn remove(&mut self, id: &str) -> Option<T> {
        self.0.shift_remove(id)
    }

    pub fn iter(&self) -> Values<'_, String, T> {
        self.0.values()
    }

    /// The newest first, as Nova and Cinder list.
    pub fn newest(&self) -> std::iter::Rev<Values<'_, String, T>> {
        self.0.values().rev()
    }

    pub fn iter_mut(&mut self) -> ValuesMut<'_, String, T> {
        self.0.values_mut()
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.0.retain(|_, item| keep(item));
    }
}

impl Table<Value> {
    /// By id, else by name.
    pub fn find(&self, id_or_name: &str) -> Option<&Value> {
        self.get(id_or_name)
            .or_else(|| self.0.values().find(|item| item["name"] == id_or_name))
    }
}
