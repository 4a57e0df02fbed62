#![doc = include_str!("ARCHITECTURE.md")]

pub mod vocabulary;

pub mod registry;
pub mod settings;
pub mod throttle;
pub mod window;

pub mod columns;
pub mod cxone;
pub mod sql;

pub mod extraction;

pub mod pipeline;

pub mod run;

pub mod report;

pub mod cli;

pub mod manual;

pub mod schemas;
