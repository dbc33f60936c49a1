//! What the tables say without any object: labels, names, what can be changed.

use super::field::{Class, Edit, Field, Shape, Source};

impl Field {
    /// The field of the API that it shows or that its setter is named after.
    pub fn api_name(&self) -> String {
        match self.source {
            Source::Own("") | Source::Call(_) | Source::Rule(_) => self.name.replace('-', "_"),
            Source::Own(api) | Source::Via(_, _, api, _) => api.to_owned(),
        }
    }

    /// Whether members or entries can be added.
    pub fn is_addable(&self) -> bool {
        !matches!(self.edit, Edit::None | Edit::Property | Edit::Collected)
    }

    /// Whether `param-set` can do something with it.
    pub fn is_settable(&self) -> bool {
        match self.shape {
            Shape::Plain => self.set.is_some(),
            Shape::Set => self.set.is_some(),
            Shape::Map => !matches!(self.edit, Edit::None),
        }
    }

    /// Whether `param-clear` is offered for it.
    pub fn is_clearable(&self) -> bool {
        self.shape != Shape::Plain || self.set.is_some()
    }

    /// The label: name, mark and, if so, that it is deprecated.
    pub fn label(&self) -> String {
        let kind = match self.shape {
            Shape::Plain => ' ',
            Shape::Set => 'S',
            Shape::Map => 'M',
        };
        let writable = match self.shape {
            Shape::Plain => self.set.is_some(),
            Shape::Set => self.is_addable(),
            Shape::Map => self.is_addable(),
        };
        let access = if writable { "RW" } else { "RO" };
        let tail = if self.deprecated { " [DEPRECATED]" } else { "" };
        format!("{} ({kind}{access}){tail}", self.name)
    }
}

impl Class {
    /// The field with this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The fields that a list shows for `params=`, in record order, without hidden ones.
    pub fn shown(&self, params: Option<&str>) -> Vec<&'static Field> {
        let asked: Option<Vec<&str>> = params.map(|names| names.split(',').collect());
        self.fields
            .iter()
            .filter(|field| !field.hidden)
            .filter(|field| match &asked {
                Some(names) if names.as_slice() == ["all"] => true,
                Some(names) => names.contains(&field.name),
                None => self.defaults.is_empty() || self.defaults.contains(&field.name),
            })
            .collect()
    }
}
