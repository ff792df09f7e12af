//! What the pages and the log say can be done as it stands there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory, Parser};
use holdfast::cli::{Cli, Failure};

use super::tidy::{code, root, sources};

const PAGES: [&str; 11] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/redis-intake.md",
    "docs/events.md",
    "docs/producers.md",
    "docs/operations.md",
    "docs/runbook.md",
    "docs/decisions.md",
    "docs/reliability/page.md",
    "deploy/redis/README.md",
];

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap()
}

/// The words of a line of a shell, as far as it is about one command: up to a pipe, a redirection, a
/// semicolon or a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut begun = false;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => (quote, begun) = (Some(letter), true),
            (None, '|' | '<' | '>' | ';' | '&') => break,
            (None, '#') if !begun => break,
            (None, ' ') => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => {
                word.push(letter);
                begun = true;
            }
        }
    }
    // What stands before a redirection is the number of a stream.
    let a_stream = line.contains(&format!(" {word}>"));
    if begun && !a_stream {
        words.push(word);
    }
    words
}

/// Whether it can be typed, or does nothing but name verbs.
fn is_right(typed: &str) -> Result<(), String> {
    let words = words(typed);
    let mut verb = Cli::command();
    let names_verbs = words[1..].iter().all(|word| {
        let deeper = verb.find_subcommand(word).cloned();
        deeper.map(|found| verb = found).is_some()
    });
    if names_verbs {
        return Ok(());
    }
    let parsed = Cli::try_parse_from(&words).map(|_| ());
    parsed.map_err(|error| format!("`{typed}`: {error}"))
}

#[track_caller]
fn all_are_right(typed: &[String], least: usize) {
    assert!(typed.len() >= least, "too few were found: {typed:?}");
    let wrong: Vec<String> = typed.iter().filter_map(|it| is_right(it).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What stands in backticks and begins with the program's name.
fn mentioned(text: &str) -> Vec<String> {
    let parts = text.split('`').skip(1).step_by(2);
    let begins = parts.filter(|part| part.starts_with("holdfast "));
    begins
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn every_command_that_a_message_names_can_be_typed() {
    let mut typed = Vec::new();
    for (_, text) in sources(&["src"]) {
        let text = code(&text).collect::<Vec<_>>().join("\n");
        // A string goes on behind the backslash at the end of a line.
        let mut parts = text.split("\\\n");
        let mut joined = parts.next().unwrap().to_owned();
        parts.for_each(|part| joined.push_str(part.trim_start()));
        let joined = joined.replace("\\\"", "\"");
        let joined = joined.replace("{name}", "shop").replace("{id}", "pay_1");
        typed.extend(mentioned(&joined));
    }
    all_are_right(&typed, 15);
}

/// What the help of a verb shows as examples.
fn examples(of: &Command) -> Vec<String> {
    let told = of.get_after_help().map(ToString::to_string);
    let told = told.unwrap_or_default().replace("\\\n", " ");
    let lines = told.lines().map(|line| {
        let line = line.trim_start();
        line.strip_prefix("Example: ").unwrap_or(line)
    });
    let shown = lines.filter(|line| line.starts_with("holdfast "));
    shown.map(ToOwned::to_owned).collect()
}

/// All verbs, each with the words that lead to it.
fn verbs(of: &Command, before: &str, found: &mut Vec<(String, Command)>) {
    let path = format!("{before}{}", of.get_name());
    for verb in of.get_subcommands() {
        verbs(verb, &format!("{path} "), found);
    }
    found.push((path, of.clone()));
}

fn all_verbs() -> Vec<(String, Command)> {
    let mut found = Vec::new();
    verbs(&Cli::command(), "", &mut found);
    found
}

#[test]
fn every_example_of_the_help_can_be_typed() {
    let typed: Vec<String> = all_verbs()
        .iter()
        .flat_map(|(_, verb)| examples(verb))
        .collect();
    all_are_right(&typed, 30);
}

#[test]
fn every_verb_shows_an_example_of_itself() {
    let leaves = all_verbs()
        .into_iter()
        .filter(|(_, verb)| !verb.has_subcommands());
    let mut count = 0;
    for (path, verb) in leaves {
        count += 1;
        let shown = examples(&verb);
        let of_itself = shown.iter().any(|line| line.starts_with(&path));
        assert!(
            of_itself,
            "the help of `{path}` shows no example of it: {shown:?}"
        );
        let about = verb.get_about().map(ToString::to_string);
        assert!(
            about.is_some_and(|about| about.len() > 8),
            "`{path}` says not what it does"
        );
        for arg in verb.get_arguments().filter(|arg| !arg.is_hide_set()) {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                !help.is_empty(),
                "`{path}` says nothing of {}",
                arg.get_id()
            );
        }
    }
    assert!(count >= 30, "only {count} verbs were found");
}

#[test]
fn every_command_that_a_page_shows_can_be_typed() {
    let mut typed = Vec::new();
    for page in PAGES {
        let text = read(page);
        let mut prose = String::new();
        for (at, part) in text.split("```").enumerate() {
            if at % 2 == 0 {
                prose.push_str(part);
                continue;
            }
            let Some(shell) = part.strip_prefix("sh\n") else {
                continue;
            };
            for line in shell.replace("\\\n", " ").lines() {
                // Behind another command, or variables for this one.
                let commands = line.split("; ").filter_map(|command| {
                    let (before, typed) = command.split_once("holdfast ")?;
                    let alone = before.split_whitespace().all(|word| word.contains('='));
                    alone.then(|| format!("holdfast {typed}"))
                });
                typed.extend(commands);
            }
        }
        typed.extend(mentioned(&prose));
    }
    all_are_right(&typed, 40);
}

/// The first column of a table, where it is one word of code.
fn listed(page: &str) -> BTreeSet<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split_once("` |"));
    names.map(|(name, _)| name.to_owned()).collect()
}

fn section<'a>(page: &'a str, title: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n{title}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

#[test]
fn every_event_of_the_log_stands_in_the_table_of_alerts_and_no_other() {
    let mut logged = BTreeSet::new();
    for (_, text) in sources(&["src"]) {
        let text = code(&text).collect::<Vec<_>>().join("\n");
        let fields = text.split("event = \"").skip(1);
        logged.extend(fields.map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    let page = read("docs/runbook.md");
    assert_eq!(logged, listed(section(&page, "## Alerts")));
}

#[test]
fn the_table_of_exit_codes_is_that_of_the_help_and_of_the_program() {
    let help = Cli::command().get_after_help().unwrap().to_string();
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    let codes = codes.lines().map_while(|line| line.strip_prefix("  "));
    let told: BTreeMap<&str, &str> = codes.map(|code| code.split_once(' ').unwrap()).collect();
    let page = read("docs/runbook.md");
    let rows = section(&page, "## Exit codes").lines();
    let written: BTreeMap<&str, &str> = rows
        .filter_map(|row| row.strip_prefix("| ")?.split_once(" | "))
        .filter(|(code, _)| code.parse::<u8>().is_ok())
        .map(|(code, rest)| (code, rest.split(" | ").next().unwrap()))
        .collect();
    assert_eq!(written, told);
    let why = String::new;
    let failures = [
        Failure::Other(why()),
        Failure::Wrong(why()),
        Failure::Refused(why()),
        Failure::Store(why()),
        Failure::EndedFailed(why()),
        Failure::EndedParked(why()),
        Failure::BooksBroken(why()),
        Failure::NotAllCompared(why()),
        Failure::RunStopped(why()),
    ];
    let ends: BTreeSet<String> = failures
        .iter()
        .map(|failure| failure.exit_code().to_string())
        .chain(["0".to_owned()])
        .collect();
    assert_eq!(ends, told.keys().map(ToString::to_string).collect());
}

#[test]
fn every_reason_to_park_stands_in_the_runbook_and_no_other() {
    let source = fs::read_to_string(Path::new(&root()).join("src/payment/state.rs")).unwrap();
    let (_, body) = source.split_once("pub enum ParkReason {").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let variants = body.lines().filter_map(|line| {
        let name = line.strip_prefix("    ")?.trim_end_matches([',', '{', ' ']);
        name.starts_with(char::is_uppercase).then_some(name)
    });
    let snake = |name: &str| -> String {
        let lower = |(at, letter): (usize, char)| match letter {
            'A'..='Z' if at > 0 => format!("_{}", letter.to_ascii_lowercase()),
            letter => letter.to_ascii_lowercase().to_string(),
        };
        name.chars().enumerate().map(lower).collect()
    };
    let reasons: BTreeSet<String> = variants.map(snake).collect();
    assert!(reasons.len() >= 10, "{reasons:?}");
    let page = read("docs/runbook.md");
    assert_eq!(reasons, listed(section(&page, "## Parked payments")));
}

#[test]
fn the_shell_is_read_as_shells_read_it() {
    let typed = "holdfast rerun pay_1 --reason \"a; b\" 2> worker.log &";
    assert_eq!(
        words(typed),
        ["holdfast", "rerun", "pay_1", "--reason", "a; b"]
    );
    assert_eq!(words("holdfast stats   # all"), ["holdfast", "stats"]);
    is_right("holdfast endpoints enable").unwrap();
    is_right("holdfast endpoints enable shop").unwrap_err();
    is_right("holdfast endpoints enable shop --reason \"…\"").unwrap();
}
