//! The example file, written from the table.

use std::fmt::Write as _;

use super::{KEYS, Key, PATH_KEYS};

/// The text of `deploy/config.example.toml`: every key with what it does, its variables and its default.
pub fn example() -> String {
    let mut out = String::from(HEAD);
    let mut section = "";
    for key in KEYS {
        let (s, name) = key.parts();
        if s != section {
            section = s;
            let _ = write!(out, "\n[{section}]\n");
        }
        comment(&mut out, key.doc);
        let variables: Vec<String> = std::iter::once(key.variable())
            .chain(key.variables.iter().rev().map(|v| (*v).to_owned()))
            .collect();
        let _ = writeln!(out, "# {}", variables.join(", "));
        let _ = writeln!(out, "{}\n", assignment(key, name));
    }
    out.push_str(PATHS);
    for (name, key) in of_paths() {
        let _ = writeln!(out, "\n# As {}.", key.name);
        let _ = writeln!(out, "#{}", assignment(key, name));
    }
    out
}

/// The settings of an entry of `[[paths]]`, each with the global one that it replaces.
fn of_paths() -> impl Iterator<Item = (&'static str, &'static Key)> {
    PATH_KEYS.iter().map(|p| {
        let global = KEYS.iter().find(|k| k.name == p.global).expect("settings of paths replace global ones");
        (p.name, global)
    })
}

/// The settings as a Markdown table, for the documentation.
pub fn reference() -> String {
    let mut out = String::from("| setting | variables | default | what it does |\n|---|---|---|---|\n");
    for key in KEYS {
        let variables: Vec<String> = key.variables.iter().map(|v| format!("`{v}`")).collect();
        let default = if key.default.is_empty() { "–".to_owned() } else { format!("`{}`", key.default) };
        let doc = key.doc.replace('\n', " ");
        let _ = writeln!(out, "| `{}` | {} | {default} | {doc} |", key.name, variables.join(" "));
    }
    out.push_str("| `paths.pattern` |  | – | The paths that an entry of `[[paths]]` is for. |\n");
    for (name, key) in of_paths() {
        let _ = writeln!(out, "| `paths.{name}` |  | `{0}` | As `{0}`, for these paths. |", key.name);
    }
    out
}

const HEAD: &str = "\
# Every setting of RapidRTMP, with its default. Lines that begin with `#name =` have none.
#
# Order: flag, RAPIDRTMP__SECTION__KEY, short variable, this file, default.
# Durations: 2s, 340ms, 1h30m. Addresses: host:port, or :port for all interfaces; port 0 lets the system choose.
# Use: rapidrtmp --config FILE; rapidrtmp check-config --config FILE tells what is wrong with it.
";

const PATHS: &str = "
# Settings of single paths: as many entries as needed, each begun with [[paths]]. The first entry of the file whose
# pattern matches a path is the one for it; what that entry does not give is as set above, by whichever layer.
# Entries stand in this file only: they have no variables.
#[[paths]]
# Which paths: a stream path, a stream path and `/*` for every path below it, or `*` for all. Required.
#pattern = \"live/*\"
";

fn comment(out: &mut String, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "# {line}");
    }
}

fn assignment(key: &Key, name: &str) -> String {
    if key.default.is_empty() {
        let value = if key.name == "auth.open_publish" { "[]" } else { "\"\"" };
        return format!("#{name} = {value}");
    }
    let bare = key.default.parse::<i64>().is_ok() || matches!(key.default, "true" | "false");
    if bare { format!("{name} = {}", key.default) } else { format!("{name} = \"{}\"", key.default) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    const FILE: &str = "../../deploy/config.example.toml";

    #[test]
    fn the_example_file_is_the_table() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
        if std::env::var_os("UPDATE_GENERATED").is_some()
            && std::fs::read_to_string(&path).ok() != Some(example())
        {
            std::fs::write(&path, example()).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text == example(), "{FILE} is stale: run the tests with UPDATE_GENERATED=1");
    }

    #[test]
    fn the_example_file_reads_and_documents_every_key() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        load(&Sources { file: Some((path.clone(), text.clone())), ..Sources::default() }).unwrap();
        let everything: String =
            text.lines().map(|l| format!("{}\n", l.strip_prefix('#').unwrap_or(l))).collect();
        for key in KEYS {
            let (_, name) = key.parts();
            assert!(everything.lines().any(|l| l.starts_with(&format!("{name} = "))), "{}", key.name);
            assert!(text.contains(key.doc.lines().next().unwrap()), "{}", key.name);
        }
        assert!(PATH_KEYS.iter().all(|k| text.contains(&format!("# As {}.\n#{} = ", k.global, k.name))));
        // With every comment sign before an assignment gone it must still read.
        let all: String = text
            .lines()
            .map(|l| match l.strip_prefix('#') {
                Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
                    format!("{rest}\n")
                }
                _ => format!("{l}\n"),
            })
            .collect();
        let config = load(&Sources { file: Some((path, all)), ..Sources::default() }).unwrap();
        assert_eq!(config.paths.len(), 1);
    }

    #[test]
    fn the_reference_lists_every_key() {
        let text = reference();
        assert!(KEYS.iter().all(|k| text.contains(&format!("`{}`", k.name))));
        assert!(PATH_KEYS.iter().all(|k| text.contains(&format!("`paths.{}`", k.name))));
    }
}
