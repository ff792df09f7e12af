//! What keeps the tree in order, as a test.

use std::fs;
use std::path::{Path, PathBuf};

/// Code lines a file may have, tests not counted.
const LONGEST_FILE: usize = 400;
/// How many entries `src` may have: it is the table of contents.
const MOST_ENTRIES: usize = 13;

pub(super) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
}

/// All Rust files below these folders, as (path from the root, text without test modules).
pub(super) fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in folders {
        files(&root().join(folder), "rs", &mut found);
    }
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = text
                .split("\n#[cfg(test)]\nmod tests {")
                .next()
                .unwrap()
                .to_owned();
            (
                path.strip_prefix(root()).unwrap().display().to_string(),
                code,
            )
        })
        .collect()
}

/// The whole text of all Rust files below these folders.
fn sources_with_tests(folders: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for folder in folders {
        files(&root().join(folder), "rs", &mut found);
    }
    let text = |path| fs::read_to_string(path).unwrap();
    found.into_iter().map(text).collect()
}

/// The lines of code, without comments.
pub(super) fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn src_is_a_table_of_contents() {
    let entries = fs::read_dir(root().join("src")).unwrap().count();
    assert!(
        entries <= MOST_ENTRIES,
        "{entries} entries in src; at most {MOST_ENTRIES}"
    );
}

#[test]
fn every_part_of_src_stands_in_the_code_map() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            map.contains(&format!("`{name}")),
            "{name} is missing in ARCHITECTURE.md"
        );
    }
}

#[test]
fn every_library_stands_on_its_page() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (page, manifest) = (read("ARCHITECTURE.md"), read("Cargo.toml"));
    let page = page.split_once("\n## Libraries\n").unwrap().1;
    let own = manifest.split_once("\n[dependencies]\n").unwrap().1;
    let own = own.split("\n[").next().unwrap();
    let names = own
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    for line in names {
        let name = line.split(['.', ' ', '=']).next().unwrap();
        assert!(page.contains(&format!("`{name}`")), "{name} is not named");
    }
}

#[test]
fn files_stay_small() {
    let all = sources(&["src", "sandbox/src", "tests"]);
    let only_tests: Vec<String> = all
        .iter()
        .flat_map(|(_, text)| text.split("#[cfg(test)]\nmod ").skip(1))
        .filter_map(|rest| Some(format!("/{}.rs", rest.split_once(';')?.0)))
        .collect();
    let long: Vec<_> = all
        .iter()
        .map(|(path, text)| (text.lines().count(), path))
        .filter(|(lines, path)| {
            let tests =
                path.starts_with("tests/it") || only_tests.iter().any(|name| path.ends_with(name));
            *lines > LONGEST_FILE && !tests
        })
        .collect();
    assert!(long.is_empty(), "split these: {long:?}");
}

#[test]
fn each_library_is_named_in_one_place_only() {
    let borders: [(&str, &[&str]); 8] = [
        ("apalis", &["src/queue/runtime.rs"]),
        ("redis::", &["src/store/redis/", "src/api/client.rs"]),
        ("reqwest", &["src/gateway/"]),
        ("rustls", &["src/gateway/"]),
        ("prometheus_client", &["src/telemetry/metrics/"]),
        ("Utc::now", &["src/clock.rs"]),
        ("rustix", &["src/clock.rs"]),
        (
            "Instant::now()",
            &[
                "src/clock.rs",
                "src/api/pushed/",
                "src/queue/",
                "src/gateway/",
                "src/store/redis/",
            ],
        ),
    ];
    for (name, homes) in borders {
        for (path, text) in sources(&["src"]) {
            // Our own module has the name of its library.
            let named = code(&text).any(|line| line.replace("store::redis::", "").contains(name));
            let at_home = homes.iter().any(|home| path.starts_with(home));
            assert!(!named || at_home, "{path} names {name}; only {homes:?} may");
        }
    }
}

/// What one command answers is bounded, or small by nature: no reply may be as long as a backlog.
#[test]
fn no_range_of_redis_is_read_without_an_end() {
    let mut ranges = 0;
    for (path, text) in sources(&["src/store/redis"]) {
        let code = code(&text).collect::<Vec<_>>().join("\n");
        for command in code.split(".cmd(\"").skip(1) {
            let (verb, rest) = command.split_once('"').unwrap();
            let asked = rest.split("self.0.link").next().unwrap();
            let asked: String = asked.split_whitespace().collect();
            let bounded = match verb {
                "ZRANGE" | "ZRANGEBYLEX" | "ZRANGEBYSCORE" | "ZREVRANGE" | "XRANGE"
                | "XREVRANGE" => {
                    ranges += 1;
                    let one = asked.contains(".arg(0).arg(0)");
                    one || ["\"LIMIT\"", "\"COUNT\""]
                        .iter()
                        .any(|it| asked.contains(it))
                }
                "HGETALL" | "HKEYS" => {
                    let small = ["endpoints", "heard", "cursors", "switches", "workers"];
                    small
                        .iter()
                        .any(|it| asked.starts_with(&format!(").arg(self.0.keys.{it}(")))
                }
                "KEYS" | "HVALS" | "SMEMBERS" | "LRANGE" => false,
                _ => true,
            };
            assert!(bounded, "{path}: {verb}{asked}");
        }
    }
    assert!(ranges > 10, "this test looks at nothing");
}

#[test]
fn the_payments_core_is_pure() {
    let impure = [
        "async ",
        ".await",
        "tokio",
        "std::fs",
        "std::net",
        "std::env",
        "std::time",
        "tracing",
    ];
    for (path, text) in sources(&["src/payment"]) {
        for word in impure {
            assert!(
                !code(&text).any(|line| line.contains(word)),
                "{path} names {word}"
            );
        }
    }
}

#[test]
fn names_say_what_they_are_names_of() {
    for (path, text) in sources(&["src", "sandbox/src", "tests"]) {
        let mut names = vec![path.as_str()];
        for line in code(&text) {
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            if words.any(|word| ["fn", "mod", "struct", "enum", "trait"].contains(&word)) {
                names.extend(words.next());
            }
        }
        for name in names {
            for word in ["util", "helper", "manager"] {
                let found = name.to_lowercase().contains(word);
                assert!(!found, "{path}: {name}: say what is in it");
            }
        }
        assert!(!path.contains("common"), "{path}: say what is in it");
    }
}

#[test]
fn no_test_is_ignored() {
    let word = concat!("#[", "ignore");
    for (path, text) in sources(&["src", "sandbox", "tests"]) {
        assert!(!text.contains(word), "{path} ignores a test");
    }
}

#[test]
fn every_invariant_names_tests_that_are_there() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let code: String = sources_with_tests(&["src", "tests"]).concat();
    let numbered = |line: &&str| {
        let rest = line.strip_prefix("| R").unwrap_or_default();
        rest.starts_with(|c: char| c.is_ascii_digit())
    };
    let rows: Vec<&str> = page.lines().filter(numbered).collect();
    assert_eq!(rows.len(), 17);
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for name in tests.split('`').skip(1).step_by(2) {
            // A long name may be cut off.
            let begin = name.trim_end_matches('…');
            let there = code.contains(&format!("fn {begin}")) || root().join(begin).exists();
            assert!(there, "{name} is named in ARCHITECTURE.md and is no test");
        }
    }
}

/// The Rust code of a page or of a module's documentation.
fn example(text: &str, line_start: &str, fence: &str) -> Vec<String> {
    let lines = text.lines().map(|line| {
        let line = line.strip_prefix(line_start).unwrap_or(line);
        line.strip_prefix(' ')
            .filter(|_| !line_start.is_empty())
            .unwrap_or(line)
    });
    lines
        .skip_while(|line| *line != fence)
        .skip(1)
        .take_while(|line| *line != "```")
        .filter(|line| !line.starts_with("# ") && !line.trim().is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn the_readme_shows_the_example_that_is_compiled() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let shown = example(&read("README.md"), "", "```rust");
    assert!(shown.len() > 3, "the README shows no Rust");
    let compiled = example(&read("src/api/client.rs"), "//!", "```no_run");
    assert_eq!(shown, compiled);
}

#[test]
fn no_page_speaks_of_a_file_that_is_not_there() {
    let mut pages = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ]
    .map(|page| root().join(page))
    .to_vec();
    files(&root().join("docs"), "md", &mut pages);
    files(&root().join("deploy"), "md", &mut pages);
    for path in pages {
        let (page, folder) = (path.display(), path.parent().unwrap());
        let text = fs::read_to_string(&path).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap();
            let here = file.is_empty() || link.starts_with("http") || folder.join(file).exists();
            assert!(here, "{page} links to {link}");
        }
    }
}

/// Cargo refuses to build anything while a member of the workspace is missing.
#[test]
fn the_image_is_built_from_all_members_of_the_workspace() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let manifest = read("Cargo.toml");
    let members = manifest.split_once("members = [").unwrap().1;
    let members = members.split_once(']').unwrap().0;
    let (image, context) = (read("Dockerfile"), read(".dockerignore"));
    for member in members.split('"').skip(1).step_by(2).filter(|m| *m != ".") {
        let copied = image.contains(&format!("COPY {member} {member}\n"));
        let sent = context.contains(&format!("!{member}\n"));
        assert!(copied && sent, "{member} is not in the image's context");
    }
}

/// Whether Redis keeps what is written is known to each connection of itself, and only as of when it was
/// looked last. Who connects past the worker's parts has one that nobody looks at, and that no metric has.
#[test]
fn a_connection_that_is_asked_whether_redis_keeps_things_is_looked_after() {
    for (path, text) in sources(&["src/cli"]) {
        let of_a_worker = ["worker.rs", "serving.rs", "housekeeping.rs"];
        let of_a_worker = of_a_worker.iter().any(|it| path == format!("src/cli/{it}"));
        let connects = text.contains("RedisStore::connect");
        assert!(!of_a_worker || !connects, "{path} connects by itself");
    }
    let parts = fs::read_to_string(root().join("src/cli/parts.rs")).unwrap();
    let (_, connecting) = parts.split_once("RedisStore::connect").unwrap();
    let (connecting, others) = connecting.split_once("\n    }\n").unwrap();
    assert!(!others.contains("RedisStore::connect"), "one place alone");
    for done in [".measured(link, ", "self.spawn(", ".watch(until)"] {
        assert!(
            connecting.contains(done),
            "{done} is not done: {connecting}"
        );
    }
}
