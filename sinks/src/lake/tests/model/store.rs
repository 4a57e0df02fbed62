//! A store with conditional puts, and a source that changes once.

use std::collections::BTreeMap;

/// A record and the version of the source that it is of.
pub(super) type Row = (char, u8);

/// What a version of the source has: what passes, and what does not.
pub(super) fn snapshot(version: u8) -> (Vec<Row>, Vec<Row>) {
    match version {
        0 => (vec![('a', 0), ('b', 0)], vec![('c', 0)]),
        // Fewer rows, other values, and no rejects.
        _ => (vec![('a', 1)], Vec::new()),
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    Data(Name),
    Quarantine(Name),
    Plan(u8),
    Done(u8),
}

/// A window's own name (with parts, where a design has several files), or one of a run's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Name {
    OfWindow(u8),
    OfRun(u8, u8),
}

/// What a manifest promises. `replayed`: rejects moved to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Promise {
    pub(super) version: u8,
    pub(super) replayed: bool,
    /// The number of the pair that a replay began from.
    pub(super) began_from: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Content {
    Rows { rows: Vec<Row>, promise: Promise, sequence: Option<u8> },
    Manifest { promise: Promise, owner: u8, files: Vec<Key> },
}

impl Content {
    pub(super) fn promise(&self) -> Promise {
        match self {
            Self::Rows { promise, .. } | Self::Manifest { promise, .. } => *promise,
        }
    }

    pub(super) fn sequence(&self) -> Option<u8> {
        match self {
            Self::Rows { sequence, .. } => *sequence,
            Self::Manifest { .. } => None,
        }
    }

    pub(super) fn rows(&self) -> &[Row] {
        match self {
            Self::Rows { rows, .. } => rows,
            Self::Manifest { .. } => &[],
        }
    }
}

/// How a store makes tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Etags {
    /// Another for every put.
    Unique,
    /// The same for the same content.
    OfContent,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Etag {
    OfPut(u8),
    OfContent(Content),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stored {
    pub(super) content: Content,
    pub(super) etag: Etag,
}

/// What a run asks of the store or the source.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// The highest plan, and the highest done.
    Look,
    ReadSource,
    Get(Key),
    /// The keys of all objects of the window.
    ListObjects,
    Create(Key, Content),
    /// Puts where the tag is this one, or where there is nothing.
    PutIf(Key, Content, Option<Etag>),
    Put(Key, Content),
    Delete(Key),
}

impl Request {
    pub(super) fn changes(&self) -> bool {
        !matches!(self, Self::Look | Self::ReadSource | Self::Get(_) | Self::ListObjects)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    Ok,
    /// The condition failed.
    Refused,
    /// Nobody knows.
    Doubt,
    Looked {
        plan: Option<u8>,
        done: Option<u8>,
    },
    Source(u8),
    Got(Option<Stored>),
    Listed(Vec<Key>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Store {
    pub(super) objects: BTreeMap<Key, Stored>,
    pub(super) source: u8,
    puts: u8,
}

impl Store {
    pub(super) fn highest(&self, number: impl Fn(&Key) -> Option<u8>) -> Option<u8> {
        self.objects.keys().filter_map(number).max()
    }

    pub(super) fn newest_done(&self) -> Option<(u8, &Stored)> {
        self.objects.iter().rev().find_map(|(key, stored)| match key {
            Key::Done(number) => Some((*number, stored)),
            _ => None,
        })
    }

    pub(super) fn apply(&mut self, request: &Request, etags: Etags) -> Answer {
        match request {
            Request::Look => Answer::Looked {
                plan: self.highest(|key| if let Key::Plan(number) = key { Some(*number) } else { None }),
                done: self.highest(|key| if let Key::Done(number) = key { Some(*number) } else { None }),
            },
            Request::ReadSource => Answer::Source(self.source),
            Request::Get(key) => Answer::Got(self.objects.get(key).cloned()),
            Request::ListObjects => {
                let is_object = |key: &&Key| matches!(key, Key::Data(_) | Key::Quarantine(_));
                Answer::Listed(self.objects.keys().filter(is_object).cloned().collect())
            }
            Request::Create(key, content) => self.put_if(key, content, &None, etags),
            Request::PutIf(key, content, seen) => self.put_if(key, content, seen, etags),
            Request::Put(key, content) => self.put(key, content, etags),
            Request::Delete(key) => {
                self.objects.remove(key);
                Answer::Ok
            }
        }
    }

    fn put_if(&mut self, key: &Key, content: &Content, seen: &Option<Etag>, etags: Etags) -> Answer {
        if self.objects.get(key).map(|stored| &stored.etag) != seen.as_ref() {
            return Answer::Refused;
        }
        self.put(key, content, etags)
    }

    fn put(&mut self, key: &Key, content: &Content, etags: Etags) -> Answer {
        self.puts += 1;
        let etag = match etags {
            Etags::Unique => Etag::OfPut(self.puts),
            Etags::OfContent => Etag::OfContent(content.clone()),
        };
        self.objects.insert(key.clone(), Stored { content: content.clone(), etag });
        Answer::Ok
    }
}
