//! An option, declared once as a constant: group, name, type, default, help.
//!
//! The type parameter is what [`Config::get`](super::Config::get) answers. Without a default an option is
//! `Opt<Option<T>>`; a default or [`required`](Opt::required) makes it `Opt<T>`, so "unset" can't be forgotten.

use std::marker::PhantomData;

use secrecy::SecretString;

use super::value::{Kind, Value};

/// The part of an option that has no type parameter, so that all of them fit in one registry.
#[derive(Debug, Clone, Copy)]
pub struct Declaration {
    /// A group that ends with `*` stands for every section that begins so, such as `site:*`.
    pub group: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    pub default: Option<&'static str>,
    pub required: bool,
    pub help: &'static str,
    pub secret: bool,
    /// Older places of the same option: (group, name).
    pub deprecated: &'static [(&'static str, &'static str)],
    pub choices: &'static [&'static str],
    pub min: Option<i64>,
    pub max: Option<i64>,
}

impl Declaration {
    pub(super) fn shown(&self, group: &str) -> String {
        format!("[{group}] {}", self.name)
    }
}

#[derive(Debug)]
pub struct Opt<T> {
    pub(super) declaration: Declaration,
    answers: PhantomData<fn() -> T>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident: $kind:ident => $type:ty,)*) => {$(
        impl Opt<Option<$type>> {
            $(#[$doc])*
            pub const fn $name(group: &'static str, name: &'static str) -> Self {
                Self::of(group, name, Kind::$kind)
            }
        }
    )*};
}

constructors! {
    string: Str => String,
    /// A host name or an address, without a port.
    host: Host => String,
    boolean: Bool => bool,
    integer: Int => i64,
    float: Float => f64,
    port: Port => u16,
    /// Checked to be a URL and kept as it was written.
    uri: Uri => String,
    /// Values separated by commas.
    list: List => Vec<String>,
    /// An option that may be repeated.
    multi: Multi => Vec<String>,
    /// `key:value` pairs separated by commas.
    dict: Dict => Vec<(String, String)>,
    /// A string whose value is never shown.
    secret: Secret => SecretString,
}

impl<T> Opt<T> {
    const fn of(group: &'static str, name: &'static str, kind: Kind) -> Self {
        let secret = matches!(kind, Kind::Secret);
        let declaration = Declaration {
            group,
            name,
            kind,
            default: None,
            required: false,
            help: "",
            secret,
            deprecated: &[],
            choices: &[],
            min: None,
            max: None,
        };
        Opt {
            declaration,
            answers: PhantomData,
        }
    }

    pub const fn help(mut self, help: &'static str) -> Self {
        self.declaration.help = help;
        self
    }

    pub const fn deprecated(mut self, names: &'static [(&'static str, &'static str)]) -> Self {
        self.declaration.deprecated = names;
        self
    }

    pub const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.declaration.choices = choices;
        self
    }

    pub const fn min(mut self, min: i64) -> Self {
        self.declaration.min = Some(min);
        self
    }

    pub const fn max(mut self, max: i64) -> Self {
        self.declaration.max = Some(max);
        self
    }

    /// Keeps the value out of every message, whatever its type.
    pub const fn hidden(mut self) -> Self {
        self.declaration.secret = true;
        self
    }

    pub const fn declaration(&self) -> &Declaration {
        &self.declaration
    }
}

impl<T> Opt<Option<T>> {
    /// The default is written as it would stand in a file, `$` references included.
    pub const fn default(self, text: &'static str) -> Opt<T> {
        let mut declaration = self.declaration;
        declaration.default = Some(text);
        Opt {
            declaration,
            answers: PhantomData,
        }
    }

    /// Loading fails without a value. In a group with `*`: for each section that is there.
    pub const fn required(self) -> Opt<T> {
        let mut declaration = self.declaration;
        declaration.required = true;
        Opt {
            declaration,
            answers: PhantomData,
        }
    }
}

/// Types that an option can answer.
pub trait Answer: Sized {
    fn answer(value: Option<&Value>) -> Option<Self>;
}

impl<T: Answer> Answer for Option<T> {
    fn answer(value: Option<&Value>) -> Option<Self> {
        match value {
            None => Some(None),
            some => T::answer(some).map(Some),
        }
    }
}

macro_rules! answers {
    ($($type:ty: $variant:ident,)*) => {$(
        impl Answer for $type {
            fn answer(value: Option<&Value>) -> Option<Self> {
                match value {
                    Some(Value::$variant(value)) => Some(value.clone()),
                    _ => None,
                }
            }
        }
    )*};
}

answers! {
    String: Str,
    bool: Bool,
    i64: Int,
    f64: Float,
    u16: Port,
    Vec<String>: List,
    Vec<(String, String)>: Dict,
    SecretString: Secret,
}
