//! Tables of things with an id, in the order in which they came to be.

use serde::Serialize;
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

/// A table. It is read as a whole far more often than it grows, and never long.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Table<T>(Vec<T>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Record> Table<T> {
    pub fn get(&self, id: &str) -> Option<&T> {
        self.0.iter().find(|item| item.id() == id)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.0.iter_mut().find(|item| item.id() == id)
    }

    pub fn add(&mut self, item: T) {
        self.0.push(item);
    }

    pub fn remove(&mut self, id: &str) -> Option<T> {
        let at = self.0.iter().position(|item| item.id() == id)?;
        Some(self.0.remove(at))
    }

    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// The newest first, as Nova and Cinder list.
    pub fn newest(&self) -> std::iter::Rev<std::slice::Iter<'_, T>> {
        self.0.iter().rev()
    }

    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.0.iter_mut()
    }

    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        self.0.retain(keep);
    }
}

impl Table<Value> {
    /// By id, else by name.
    pub fn find(&self, id_or_name: &str) -> Option<&Value> {
        self.get(id_or_name)
            .or_else(|| self.0.iter().find(|item| item["name"] == id_or_name))
    }
}
