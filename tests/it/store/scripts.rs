//! The scripts keep to their form.

use std::path::Path;

fn scripts() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/redis/scripts");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    assert!(
        found.len() >= 11,
        "the scripts moved; this test looks at nothing"
    );
    found
}

#[test]
fn every_script_tells_its_contract_and_is_short() {
    for (name, text) in scripts() {
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() <= 40, "{name} has {} lines", lines.len());
        // What is new is refused when the memory is full, and so are copies; what exists must be
        // brought to its end.
        let first = if name.contains("create") || name.contains("spread") {
            "#!lua"
        } else {
            "#!lua flags=allow-oom"
        };
        assert_eq!(lines[0], first, "{name}");
        for part in ["-- KEYS: 1 ", "-- ARGV: 1 ", "-- Returns: "] {
            assert!(
                lines.iter().any(|line| line.starts_with(part)),
                "{name} lacks {part:?}"
            );
        }
    }
}

#[test]
fn every_script_reaches_keys_only_by_name_and_at_most_four() {
    for (name, text) in scripts() {
        for key in text.split("KEYS[").skip(1) {
            let key = key.split(']').next().unwrap();
            // The intake alone writes as many answers as it takes pushes, each to a key of its own
            // that the caller names.
            let answer = name == "settle.lua" && key == "tonumber(ARGV[i + 3";
            assert!(
                answer || matches!(key, "1" | "2" | "3" | "4"),
                "{name} reaches KEYS[{key}]: a fifth key, or one that nobody can name"
            );
        }
        let calls = text.replace("redis.pcall(", "redis.call(");
        assert!(
            !text.contains("redis.call('PUBLISH'"),
            "{name}: a hint that is refused must not undo what was written"
        );
        for call in calls.split("redis.call(").skip(1) {
            let args: Vec<&str> = call.splitn(3, ',').map(str::trim).collect();
            let reached = args.get(1).copied().unwrap_or_default();
            let publishes = args[0] == "'PUBLISH'" && reached.starts_with("ARGV[");
            assert!(
                publishes || reached.starts_with("KEYS["),
                "{name}: {}",
                args.join(", ")
            );
        }
    }
}

#[test]
fn no_script_knows_a_state_a_delay_or_the_time() {
    use holdfast::payment::StateName;
    for (name, text) in scripts() {
        let code: String = text
            .lines()
            .filter(|line| !line.starts_with("--"))
            .collect::<Vec<_>>()
            .join("\n");
        assert!(
            !code.contains("'TIME'") && !code.contains("os."),
            "{name} asks the time"
        );
        for state in StateName::ALL {
            let word = format!("'{}'", state.as_str());
            assert!(!code.contains(&word), "{name} knows {word}");
        }
        let digits = code
            .split(|c: char| !c.is_ascii_digit())
            .filter(|part| part.len() > 2);
        assert_eq!(
            digits.collect::<Vec<_>>(),
            Vec::<&str>::new(),
            "{name} has a limit or a delay"
        );
    }
}

#[test]
fn no_script_writes_before_it_has_checked() {
    const READS: [&str; 7] = [
        "'GET'",
        "'HEXISTS'",
        "'HGET'",
        "'HMGET'",
        "'LINDEX'",
        "'XREVRANGE'",
        "'ZSCORE'",
    ];
    for (name, text) in scripts() {
        let (checks, writes) = text.split_once("\n\n").unwrap_or_else(|| panic!("{name}"));
        for call in checks.split("redis.call(").skip(1) {
            let verb = call.split(',').next().unwrap_or_default();
            assert!(
                READS.contains(&verb),
                "{name} calls {verb} before the blank line"
            );
        }
        for refusal in [
            "'missing'",
            "'lost'",
            "'outdated'",
            "'existing'",
            "'finished'",
        ] {
            assert!(
                !writes.contains(refusal),
                "{name} refuses after it has written"
            );
        }
    }
}
