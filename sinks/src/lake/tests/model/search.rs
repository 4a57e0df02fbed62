//! Every order of steps.

use std::collections::{BTreeMap, HashSet};

use super::designs::{Design, Ending, Program, Script};
use super::store::{Answer, Etags, Key, Request, Row, Store, snapshot};

/// How often what goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Faults {
    pub(super) crashes: u8,
    /// Answers that are lost or wrong.
    pub(super) doubts: u8,
}

/// What a search has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) states: usize,
    pub(super) wrong: BTreeMap<&'static str, usize>,
    pub(super) examples: BTreeMap<&'static str, String>,
}

impl Found {
    pub(super) fn add(&mut self, other: Self) {
        self.states += other.states;
        for (name, count) in other.wrong {
            *self.wrong.entry(name).or_default() += count;
        }
        self.examples.extend(other.examples);
    }

    fn note(&mut self, name: &'static str, state: &State) {
        *self.wrong.entry(name).or_default() += 1;
        self.examples.entry(name).or_insert_with(|| format!("{state:#?}"));
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    store: Store,
    programs: Vec<Life>,
    faults: Faults,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Life {
    Runs(Vec<Answer>),
    Ended(Ending),
    Crashed,
}

/// A program that runs alone after all others.
const LAST: u8 = 9;

pub(super) fn search(design: Design, programs: &[Program], etags: Etags, faults: Faults) -> Found {
    let mut store = Store::default();
    if programs.contains(&Program::Replay) {
        // Rejects are only replayed where there are some.
        let ending = alone(design, Program::Run, &mut store, etags);
        assert_eq!(ending, Ending::Committed(0));
    }
    let start = State { store, programs: programs.iter().map(|_| Life::Runs(Vec::new())).collect(), faults };
    let mut found = Found::default();
    let mut seen = HashSet::from([start.clone()]);
    let mut open = vec![start];
    while let Some(state) = open.pop() {
        found.states += 1;
        visible(&state, &mut found);
        let next = successors(design, programs, etags, &state);
        if state.programs.iter().all(|life| !matches!(life, Life::Runs(_))) {
            at_rest(design, programs, etags, &state, &mut found);
        }
        for state in next {
            if !seen.contains(&state) {
                seen.insert(state.clone());
                open.push(state);
            }
        }
    }
    found
}

fn successors(design: Design, programs: &[Program], etags: Etags, state: &State) -> Vec<State> {
    let mut next = Vec::new();
    if state.store.source == 0 {
        let mut changed = state.clone();
        changed.store.source = 1;
        next.push(changed);
    }
    for (at, program) in programs.iter().enumerate() {
        let Life::Runs(answers) = &state.programs[at] else { continue };
        let with = |store: &Store, life: Life, faults: Faults| {
            let mut programs = state.programs.clone();
            programs[at] = life;
            State { store: store.clone(), programs, faults }
        };
        let request = match design.step(*program, &mut Script { program: at as u8, answers: answers.iter() }) {
            Ok(ending) => {
                next.push(with(&state.store, Life::Ended(ending), state.faults));
                continue;
            }
            Err(request) => request,
        };
        let answered = |answer: Answer| Life::Runs(answers.iter().cloned().chain([answer]).collect());
        let mut applied = state.store.clone();
        let answer = applied.apply(&request, etags);
        next.push(with(&applied, answered(answer), state.faults));
        if state.faults.doubts > 0 && request.changes() {
            let faults = Faults { doubts: state.faults.doubts - 1, ..state.faults };
            for store in [&applied, &state.store] {
                next.push(with(store, answered(Answer::Doubt), faults));
                // A client's own second try finds its first; a store answers 409 for nothing.
                if !matches!(request, Request::Delete(_) | Request::Put(..)) {
                    next.push(with(store, answered(Answer::Refused), faults));
                }
            }
        }
        if state.faults.crashes > 0 {
            let faults = Faults { crashes: state.faults.crashes - 1, ..state.faults };
            next.push(with(&state.store, Life::Crashed, faults));
        }
    }
    next
}

/// Runs a program to its end with nobody beside it.
fn alone(design: Design, program: Program, store: &mut Store, etags: Etags) -> Ending {
    let mut answers = Vec::new();
    for _ in 0..200 {
        match design.step(program, &mut Script { program: LAST, answers: answers.iter() }) {
            Ok(ending) => return ending,
            Err(request) => answers.push(store.apply(&request, etags)),
        }
    }
    Ending::Failed
}

fn rows_of(store: &Store, is_meant: impl Fn(&Key) -> bool) -> Vec<Row> {
    let meant = store.objects.iter().filter(|(key, _)| is_meant(key));
    let mut rows: Vec<Row> = meant.flat_map(|(_, stored)| stored.content.rows().to_vec()).collect();
    rows.sort_unstable();
    rows
}

fn data(store: &Store) -> Vec<Row> {
    rows_of(store, |key| matches!(key, Key::Data(_)))
}

fn quarantine(store: &Store) -> Vec<Row> {
    rows_of(store, |key| matches!(key, Key::Quarantine(_)))
}

/// What a reader that globs may see at any moment: one version's rows, and never nothing after some.
fn visible(state: &State, found: &mut Found) {
    let rows = data(&state.store);
    let has_data = state.store.objects.keys().any(|key| matches!(key, Key::Data(_)));
    let is_whole = |version: u8| {
        let (accepted, rejected) = snapshot(version);
        rows == accepted || rows == [accepted, rejected].concat()
    };
    if has_data && !is_whole(0) && !is_whole(1) {
        found.note("a reader sees a mix", state);
    }
    if !has_data && state.store.newest_done().is_some() {
        found.note("a reader sees nothing", state);
    }
}

/// What must hold once every program has ended or crashed, at once and after a clean run.
fn at_rest(design: Design, programs: &[Program], etags: Etags, state: &State, found: &mut Found) {
    let ended = |life: &Life| match life {
        Life::Ended(Ending::Committed(version)) => Some(*version),
        _ => None,
    };
    let newest_read = state.programs.iter().filter_map(ended).max();
    let runs = programs.iter().zip(&state.programs).filter(|(program, _)| **program == Program::Run);
    let nobody_failed = state.programs.iter().all(|life| ended(life).is_some());
    if nobody_failed {
        one_version(state, &state.store, newest_read, found, ["wrong without any fault", "stale without any fault"]);
    } else if let Some(newest) = runs.filter_map(|(_, life)| ended(life)).max()
        && data(&state.store).iter().any(|(_, version)| *version < newest)
    {
        found.note("a run's rows were replaced by older ones", state);
    }
    // A run ends whatever there is; a replay what replays left.
    let only_replays = programs.iter().all(|program| *program == Program::Replay);
    for last in [Program::Run, Program::Replay].into_iter().filter(|last| *last == Program::Run || only_replays) {
        let mut store = state.store.clone();
        let ending = alone(design, last, &mut store, etags);
        if !matches!(ending, Ending::Committed(_)) {
            found.note("a clean run does not end well", state);
        }
        let newest = if last == Program::Run { Some(store.source) } else { newest_read };
        one_version(state, &store, newest, found, ["wrong after a clean run", "stale after a clean run"]);
    }
}

/// Each record is once in one of both, for a reader that globs and one that follows the manifests.
fn one_version(state: &State, store: &Store, at_least: Option<u8>, found: &mut Found, names: [&'static str; 2]) {
    let mut seen = [data(store), quarantine(store)].concat();
    seen.sort_unstable();
    let is = |version: u8| {
        let (accepted, rejected) = snapshot(version);
        let mut rows = [accepted, rejected].concat();
        rows.sort_unstable();
        seen == rows
    };
    let promised = store.newest_done().is_some_and(|(_, done)| {
        let version = done.content.promise().version;
        let objects = store.objects.values().filter(|stored| stored.content.sequence().is_some());
        is(version) && objects.clone().all(|stored| stored.content.promise() == done.content.promise())
    });
    if !(is(0) || is(1)) || !promised {
        found.note(names[0], state);
    } else if at_least.is_some_and(|least| !is(least) && least == 1) {
        found.note(names[1], state);
    }
}
