//! `TomlTable`: a table somebody wrote, that knows its place. Readers ask for the keys they know; a key nobody knows is
//! refused with the place and what was probably meant, and so is a value of the wrong kind. Values are never quoted.

use super::{Error, Result, nearest, printable};
use std::str::FromStr;
use toml::de::{DeTable, DeValue};

/// A file as parsed, keys in the order they were written (the `toml` crate sorts them), each with its line.
pub struct Document {
    file: String,
    entries: Vec<(String, Item)>,
}

struct Item {
    line: usize,
    node: Node,
}

enum Node {
    Table(Vec<(String, Item)>),
    Array(Vec<Item>),
    Scalar(toml::Value),
}

impl Document {
    /// Parses the text; `file` is its name, for messages only.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let lines = Lines::of(file, text);
        let root = DeTable::parse(text).map_err(|error| {
            let line = lines.at(error.span().map_or(text.len(), |span| span.start));
            Error::new(format!("{file}:{line}: not TOML: {}", printable(error.message().as_bytes(), 200)))
        })?;
        Ok(Self { file: file.to_owned(), entries: entries(root.into_inner(), &lines)? })
    }

    /// The top level of the file.
    pub fn table(&self) -> TomlTable<'_> {
        TomlTable { file: &self.file, line: None, what: String::new(), entries: &self.entries }
    }
}

/// Where each line starts.
struct Lines<'a> {
    file: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(file: &'a str, text: &str) -> Self {
        Self { file, starts: std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect() }
    }

    fn at(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }
}

fn entries(table: DeTable<'_>, lines: &Lines<'_>) -> Result<Vec<(String, Item)>> {
    let mut pairs: Vec<_> = table.into_iter().collect();
    pairs.sort_by_key(|(key, _)| key.span().start);
    let pair = |(key, value): (toml::Spanned<_>, toml::Spanned<_>)| {
        let line = lines.at(key.span().start);
        let key: std::borrow::Cow<'_, str> = key.into_inner();
        Ok((key.into_owned(), Item { line, node: node(value.into_inner(), lines, line)? }))
    };
    pairs.into_iter().map(pair).collect()
}

fn node(value: DeValue<'_>, lines: &Lines<'_>, line: usize) -> Result<Node> {
    let number = || Error::new(format!("{}:{line}: a number is out of range", lines.file));
    Ok(match value {
        DeValue::Table(table) => Node::Table(entries(table, lines)?),
        DeValue::Array(array) => {
            let item = |value: toml::Spanned<DeValue<'_>>| {
                let line = lines.at(value.span().start);
                Ok(Item { line, node: node(value.into_inner(), lines, line)? })
            };
            Node::Array(array.into_iter().map(item).collect::<Result<_>>()?)
        }
        DeValue::String(text) => Node::Scalar(toml::Value::String(text.into_owned())),
        DeValue::Boolean(is) => Node::Scalar(toml::Value::Boolean(is)),
        DeValue::Datetime(time) => Node::Scalar(toml::Value::Datetime(time)),
        DeValue::Integer(integer) => {
            let value = i64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| number())?;
            Node::Scalar(toml::Value::Integer(value))
        }
        DeValue::Float(float) => Node::Scalar(toml::Value::Float(float.as_str().parse().map_err(|_| number())?)),
    })
}

impl Item {
    fn kind(&self) -> &'static str {
        match &self.node {
            Node::Table(_) => "a table",
            Node::Array(_) => "an array",
            Node::Scalar(toml::Value::String(_)) => "a string",
            Node::Scalar(toml::Value::Integer(_)) => "an integer",
            Node::Scalar(toml::Value::Float(_)) => "a float",
            Node::Scalar(toml::Value::Boolean(_)) => "true or false",
            Node::Scalar(_) => "a date or time",
        }
    }

    fn to_value(&self) -> toml::Value {
        match &self.node {
            Node::Table(entries) => {
                toml::Value::Table(entries.iter().map(|(key, item)| (key.clone(), item.to_value())).collect())
            }
            Node::Array(items) => toml::Value::Array(items.iter().map(Self::to_value).collect()),
            Node::Scalar(value) => value.clone(),
        }
    }
}

/// A table, its place, and what messages call it. A key that is not there reads as `None`.
#[derive(Clone)]
pub struct TomlTable<'a> {
    file: &'a str,
    line: Option<usize>,
    what: String,
    entries: &'a [(String, Item)],
}

impl<'a> TomlTable<'a> {
    /// The file it stands in, as messages name it.
    pub fn file(&self) -> &'a str {
        self.file
    }

    /// Says what the table is, for messages: `host "db1"`.
    pub fn called(mut self, what: impl Into<String>) -> Self {
        self.what = what.into();
        self
    }

    /// `file:line`, where the table starts.
    pub fn place(&self) -> String {
        place(self.file, self.line)
    }

    /// `file:line`, where the key is.
    pub fn place_of(&self, key: &str) -> String {
        place(self.file, self.item(key).map(|item| item.line).or(self.line))
    }

    /// An error of this table, with its place in front.
    pub fn wrong(&self, error: Error) -> Error {
        self.tell(self.place(), error)
    }

    /// An error of the value of this key.
    pub fn wrong_at(&self, key: &str, error: Error) -> Error {
        self.tell(self.place_of(key), error)
    }

    fn tell(&self, place: String, error: Error) -> Error {
        if self.what.is_empty() { error.at(place) } else { error.at(&self.what).at(place) }
    }

    /// Refuses every key that is not one of these.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        let Some((key, _)) = self.entries.iter().find(|(key, _)| !known.contains(&key.as_str())) else { return Ok(()) };
        let error = Error::new(format!("unknown key \"{}\"", printable(key.as_bytes(), 80)));
        let hint = match nearest(key, known.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("known here: {}", known.join(", ")),
        };
        Err(self.wrong_at(key, error.hint(hint)))
    }

    /// The keys, in the order written.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    /// Was this key written?
    pub fn has(&self, key: &str) -> bool {
        self.item(key).is_some()
    }

    /// Is the value of this key a table?
    pub fn is_table(&self, key: &str) -> bool {
        self.item(key).is_some_and(|item| matches!(item.node, Node::Table(_)))
    }

    /// The value as it is.
    pub fn value(&self, key: &str) -> Option<toml::Value> {
        self.item(key).map(Item::to_value)
    }

    /// The string under this key; a value of another kind is refused.
    pub fn string(&self, key: &str) -> Result<Option<&'a str>> {
        self.get(key, "a string", |item| match &item.node {
            Node::Scalar(toml::Value::String(text)) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The integer under this key; a value of another kind is refused.
    pub fn integer(&self, key: &str) -> Result<Option<i64>> {
        self.get(key, "an integer", |item| match &item.node {
            Node::Scalar(toml::Value::Integer(value)) => Some(*value),
            _ => None,
        })
    }

    /// The array of strings under this key; a value of another kind is refused.
    pub fn strings(&self, key: &str) -> Result<Option<Vec<&'a str>>> {
        self.get(key, "an array of strings", |item| match &item.node {
            Node::Array(items) => items
                .iter()
                .map(|item| match &item.node {
                    Node::Scalar(toml::Value::String(text)) => Some(text.as_str()),
                    _ => None,
                })
                .collect(),
            _ => None,
        })
    }

    /// The table under this key; a value of another kind is refused.
    pub fn table(&self, key: &str) -> Result<Option<TomlTable<'a>>> {
        self.get(key, "a table", |item| self.inner(key, item))
    }

    /// Every key with its table, in the order written; a value of another kind is refused.
    pub fn named_tables(&self) -> Result<Vec<(&'a str, TomlTable<'a>)>> {
        let table = |(key, item): &'a (String, Item)| match self.inner(key, item) {
            Some(table) => Ok((key.as_str(), table)),
            None => Err(self.mismatch(key, item, "a table")),
        };
        self.entries.iter().map(table).collect()
    }

    /// An array of tables: `[[key]]`.
    pub fn tables(&self, key: &str) -> Result<Vec<TomlTable<'a>>> {
        let expected = format!("an array of tables, written [[{key}]]");
        let tables = self.get(key, &expected, |item| match &item.node {
            Node::Array(items) => items.iter().map(|item| self.inner(key, item)).collect(),
            _ => None,
        })?;
        Ok(tables.unwrap_or_default())
    }

    /// A string that is read as a `T`.
    pub fn parsed<T: FromStr<Err = Error>>(&self, key: &str) -> Result<Option<T>> {
        self.read(key, str::parse)
    }

    /// A string that this function reads.
    pub fn read<T>(&self, key: &str, read: impl FnOnce(&'a str) -> Result<T>) -> Result<Option<T>> {
        let Some(text) = self.string(key)? else { return Ok(None) };
        read(text).map(Some).map_err(|error| self.wrong_at(key, error.at(key)))
    }

    /// The value of a key that has to be there.
    pub fn required<T>(&self, key: &str, value: Result<Option<T>>) -> Result<T> {
        value?.ok_or_else(|| self.wrong(Error::new(format!("\"{key}\" is missing"))))
    }

    fn item(&self, key: &str) -> Option<&'a Item> {
        self.entries.iter().find(|(own, _)| own == key).map(|(_, item)| item)
    }

    fn inner(&self, key: &str, item: &'a Item) -> Option<TomlTable<'a>> {
        let Node::Table(entries) = &item.node else { return None };
        let what = if self.what.is_empty() { key.to_owned() } else { format!("{}: {key}", self.what) };
        Some(TomlTable { file: self.file, line: Some(item.line), what, entries })
    }

    fn get<T>(&self, key: &str, expected: &str, read: impl Fn(&'a Item) -> Option<T>) -> Result<Option<T>> {
        let Some(item) = self.item(key) else { return Ok(None) };
        read(item).map(Some).ok_or_else(|| self.mismatch(key, item, expected))
    }

    fn mismatch(&self, key: &str, item: &Item, expected: &str) -> Error {
        let why = format!("\"{}\" must be {expected}, not {}", printable(key.as_bytes(), 80), item.kind());
        self.tell(place(self.file, Some(item.line)), Error::new(why))
    }
}

fn place(file: &str, line: Option<usize>) -> String {
    match line {
        Some(line) => format!("{file}:{line}"),
        None => file.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
zebra = 'first'
[hosts]
z1 = { port = 1, list = ['a', 'b'] }
a1.adress = 'x'
[[play]]
name = 'one'
[[play]]
name = 'two'
";

    fn document() -> Document {
        Document::parse("inventory/hosts.toml", TEXT).unwrap()
    }

    #[test]
    fn keys_come_as_written() {
        let document = document();
        let top = document.table();
        assert_eq!(top.keys().collect::<Vec<_>>(), ["zebra", "hosts", "play"]);
        let hosts = top.table("hosts").unwrap().unwrap();
        assert_eq!(hosts.keys().collect::<Vec<_>>(), ["z1", "a1"]);
        let z1 = hosts.table("z1").unwrap().unwrap();
        assert_eq!(z1.integer("port").unwrap(), Some(1));
        assert_eq!(z1.strings("list").unwrap(), Some(vec!["a", "b"]));
        let names: Vec<_> = top.tables("play").unwrap().iter().map(|t| t.string("name").unwrap().unwrap()).collect();
        assert_eq!(names, ["one", "two"]);
    }

    #[test]
    fn an_unknown_key_is_refused_with_place_and_suggestion() {
        let document = document();
        let hosts = document.table().table("hosts").unwrap().unwrap();
        let a1 = hosts.table("a1").unwrap().unwrap().called("host \"a1\"");
        let error = a1.only(&["port", "address"]).unwrap_err();
        assert_eq!(error.to_string(), "inventory/hosts.toml:4: host \"a1\": unknown key \"adress\"");
        assert_eq!(error.hints(), ["did you mean \"address\"?"]);
        assert_eq!(a1.only(&["port"]).unwrap_err().hints(), ["known here: port"]);
    }

    #[test]
    fn a_wrong_type_says_both() {
        let document = document();
        let error = document.table().integer("zebra").unwrap_err();
        assert_eq!(error.to_string(), "inventory/hosts.toml:1: \"zebra\" must be an integer, not a string");
        assert!(document.table().table("zebra").is_err());
        assert!(document.table().strings("zebra").is_err());
        assert!(document.table().tables("hosts").is_err());
    }
}
