//! What a run does, step by step, by the protocol and by designs that fail.

use super::store::{Answer, Content, Etag, Key, Name, Promise, Request, Row, Stored, snapshot};

/// How often a create, and a publication, is tried.
const TRIES: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Design {
    pub(super) publishing: Publishing,
    /// Objects are put where what was seen still is.
    pub(super) conditional: bool,
    /// What has no rows is deleted.
    pub(super) deletes_empty: bool,
    pub(super) sequence_in_footer: bool,
    /// The plan's number is chosen before the source is read.
    pub(super) numbered_before_reading: bool,
    /// What a store answers is believed.
    pub(super) errors_are_evidence: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publishing {
    /// One object a window and kind, under the window's name.
    OneObject,
    /// New names for every run.
    NewNames,
    /// Several objects under names of the window, and what is too much is deleted.
    OverwrittenNames,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Program {
    Run,
    Replay,
}

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ending {
    /// With what a version of the source had.
    Committed(u8),
    Superseded,
    Failed,
}

/// The answers that a program has had. It asks again from the start: what it would ask next is all
/// that a search needs to know of it.
pub(super) struct Script<'a> {
    pub(super) program: u8,
    pub(super) answers: std::slice::Iter<'a, Answer>,
}

type Step<T> = Result<T, Request>;

impl Script<'_> {
    fn ask(&mut self, request: Request) -> Step<Answer> {
        self.answers.next().cloned().ok_or(request)
    }

    fn look(&mut self) -> Step<(u8, Option<u8>, bool)> {
        let Answer::Looked { plan, done } = self.ask(Request::Look)? else { unreachable!() };
        Ok((plan.max(done).map_or(1, |highest| highest + 1), done, done.is_some() && plan <= done))
    }

    fn get(&mut self, key: Key) -> Step<Option<Stored>> {
        match self.ask(Request::Get(key))? {
            Answer::Got(stored) => Ok(stored),
            _ => unreachable!(),
        }
    }
}

impl Design {
    /// Which programs meet.
    pub(super) fn meetings(self) -> Vec<[Program; 2]> {
        match self.publishing {
            Publishing::OneObject => {
                vec![[Program::Run, Program::Run], [Program::Run, Program::Replay], [Program::Replay, Program::Replay]]
            }
            _ => vec![[Program::Run, Program::Run]],
        }
    }

    pub(super) fn step(self, program: Program, script: &mut Script<'_>) -> Step<Ending> {
        match program {
            Program::Run => self.run(script),
            Program::Replay => self.replay(script),
        }
    }

    fn run(self, script: &mut Script<'_>) -> Step<Ending> {
        let (sequence, ..) = script.look()?;
        let Answer::Source(version) = script.ask(Request::ReadSource)? else { unreachable!() };
        let (sequence_now, done, is_settled) = script.look()?;
        let promise = Promise { version, replayed: false, began_from: None };
        if let Some(done) = done.filter(|_| is_settled) {
            let known = script.get(Key::Done(done))?.map(|stored| stored.content.promise());
            if known.is_some_and(|known| (known.version, known.replayed) == (version, false)) {
                return Ok(Ending::Committed(version));
            }
        }
        if self.numbered_before_reading && sequence != sequence_now {
            return Ok(Ending::Superseded);
        }
        self.commit(script, sequence_now, promise)
    }

    fn replay(self, script: &mut Script<'_>) -> Step<Ending> {
        let (sequence, done, is_settled) = script.look()?;
        if done.is_none() {
            return Ok(Ending::Failed);
        }
        let (basis, open) = if is_settled {
            (done, None)
        } else {
            let open = script.get(Key::Plan(sequence - 1))?.map(|plan| plan.content);
            match open {
                Some(open) if open.promise().began_from.is_some() => (open.promise().began_from, Some(open)),
                _ => return Ok(Ending::Superseded),
            }
        };
        let quarantine = script.get(Key::Quarantine(Name::OfWindow(0)))?;
        let data = script.get(Key::Data(Name::OfWindow(0)))?;
        let (Some(quarantine), Some(data)) = (quarantine, data) else { return Ok(Ending::Superseded) };
        if let Some(open) = open {
            let is_whole = quarantine.content.sequence() == Some(sequence - 1);
            if !is_whole && !is_pair(&data.content, &quarantine.content, basis) {
                return Ok(Ending::Superseded);
            }
            return self.complete(script, sequence - 1, &open);
        }
        if !is_pair(&data.content, &quarantine.content, basis) {
            return Ok(Ending::Superseded);
        }
        if quarantine.content.rows().is_empty() {
            return Ok(Ending::Committed(quarantine.content.promise().version));
        }
        let promise = Promise { replayed: true, began_from: basis, ..quarantine.content.promise() };
        self.commit(script, sequence, promise)
    }

    fn commit(self, script: &mut Script<'_>, sequence: u8, promise: Promise) -> Step<Ending> {
        let objects = self.objects(script.program, sequence, promise);
        let files: Vec<Key> = objects.into_iter().map(|(key, _)| key).collect();
        let plan = Content::Manifest { promise, owner: script.program, files };
        match self.create(script, Key::Plan(sequence), &plan)? {
            Created::Mine => self.complete(script, sequence, &plan),
            Created::Others => Ok(Ending::Superseded),
            Created::Unknown => Ok(Ending::Failed),
        }
    }

    fn complete(self, script: &mut Script<'_>, sequence: u8, plan: &Content) -> Step<Ending> {
        let Content::Manifest { promise, files, .. } = plan else { unreachable!() };
        let objects = self.objects(script.program, sequence, *promise);
        for (key, content) in objects {
            let published = match self.publishing {
                Publishing::OneObject => self.publish(script, key, &content, sequence)?,
                Publishing::NewNames | Publishing::OverwrittenNames => put(script, key, &content)?,
            };
            if let Some(ending) = published {
                return Ok(ending);
            }
        }
        if self.publishing == Publishing::OverwrittenNames {
            let Answer::Listed(listed) = script.ask(Request::ListObjects)? else { unreachable!() };
            for key in listed.into_iter().filter(|key| !files.contains(key)) {
                script.ask(Request::Delete(key))?;
            }
        }
        match self.create(script, Key::Done(sequence), plan)? {
            // A number is of one plan only: whoever wrote its done completed this one.
            Created::Mine | Created::Others => Ok(Ending::Committed(promise.version)),
            Created::Unknown => Ok(Ending::Failed),
        }
    }

    /// A replay's data first, for what it moves is nowhere else.
    fn objects(self, program: u8, sequence: u8, promise: Promise) -> Vec<(Key, Content)> {
        let (mut accepted, mut rejected) = snapshot(promise.version);
        if promise.replayed {
            accepted.append(&mut rejected);
        }
        let sequence = self.sequence_in_footer.then_some(sequence);
        let content = |rows: &[Row]| Content::Rows { rows: rows.to_vec(), promise, sequence };
        let name = |part: usize| match self.publishing {
            Publishing::NewNames => Name::OfRun(program, part as u8),
            _ => Name::OfWindow(part as u8),
        };
        let mut objects = vec![(Key::Quarantine(name(0)), content(&rejected))];
        match self.publishing {
            Publishing::OverwrittenNames => {
                objects.extend(accepted.iter().enumerate().map(|(at, row)| (Key::Data(name(at)), content(&[*row]))));
            }
            _ => objects.push((Key::Data(name(0)), content(&accepted))),
        }
        if promise.replayed {
            objects.reverse();
        }
        objects
    }

    fn create(self, script: &mut Script<'_>, key: Key, content: &Content) -> Step<Created> {
        for _ in 0..TRIES {
            match script.ask(Request::Create(key.clone(), content.clone()))? {
                Answer::Ok => return Ok(Created::Mine),
                Answer::Refused if self.errors_are_evidence => return Ok(Created::Others),
                Answer::Doubt if self.errors_are_evidence => return Ok(Created::Mine),
                _ => {}
            }
            if let Some(found) = script.get(key.clone())? {
                return Ok(if found.content == *content { Created::Mine } else { Created::Others });
            }
        }
        Ok(Created::Unknown)
    }

    /// `None` where the object is there, and is this program's.
    fn publish(self, script: &mut Script<'_>, key: Key, content: &Content, sequence: u8) -> Step<Option<Ending>> {
        if self.deletes_empty && content.rows().is_empty() {
            script.ask(Request::Delete(key))?;
            return Ok(None);
        }
        let mut seen: Option<Option<Stored>> = None;
        for _ in 0..TRIES {
            let found = script.get(key.clone())?;
            match &found {
                Some(found) if found.content == *content => return Ok(None),
                Some(found) if found.content.sequence().is_some_and(|there| there >= sequence) => {
                    return Ok(Some(Ending::Superseded));
                }
                _ => {}
            }
            // Without a sequence nothing tells older from newer: only what was seen first is replaced.
            let expected = if self.sequence_in_footer { &found } else { seen.get_or_insert(found.clone()) };
            let etag: Option<Etag> = expected.as_ref().map(|stored| stored.etag.clone());
            let request = match self.conditional {
                true => Request::PutIf(key.clone(), content.clone(), etag),
                false => Request::Put(key.clone(), content.clone()),
            };
            match script.ask(request)? {
                Answer::Ok => return Ok(None),
                Answer::Doubt if self.errors_are_evidence => return Ok(None),
                _ => {}
            }
        }
        Ok(Some(Ending::Failed))
    }
}

/// Whose manifest is there.
enum Created {
    Mine,
    Others,
    Unknown,
}

/// Whether the objects are a basis and what a replay has published of it.
fn is_pair(data: &Content, quarantine: &Content, basis: Option<u8>) -> bool {
    quarantine.sequence() == basis && (data.sequence() == basis || data.promise().began_from == basis)
}

/// Puts until the store says that it is there.
fn put(script: &mut Script<'_>, key: Key, content: &Content) -> Step<Option<Ending>> {
    for _ in 0..TRIES {
        if script.ask(Request::Put(key.clone(), content.clone()))? == Answer::Ok {
            return Ok(None);
        }
    }
    Ok(Some(Ending::Failed))
}
