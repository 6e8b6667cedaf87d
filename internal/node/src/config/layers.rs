//! Laying the layers over each other.

use std::path::PathBuf;

use media::PathPattern;

use super::{
    Config, ConfigError, KEYS, Key, PATH_KEYS, PathSettings, Raw, keys::PREFIX, paths::MAX_PATHS, validate,
};

/// The file's list of settings of single paths, and what each entry must have.
const PATHS: &str = "paths";
const PATTERN: &str = "pattern";

/// Where settings come from. Nothing here is read from the process, so tests can hand in their own.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file's name (for messages) and text.
    pub file: Option<(PathBuf, String)>,
    /// The environment.
    pub env: Vec<(String, String)>,
    /// Flags: key of the table, value.
    pub flags: Vec<(&'static str, String)>,
}

/// Reads every layer and checks the whole.
///
/// # Errors
/// The first thing that is wrong.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    for key in KEYS {
        apply(&mut config, key, &Raw::Text(key.default.into()), key.name, "defaults")?;
    }
    if let Some((name, text)) = &sources.file {
        apply_file(&mut config, &name.display().to_string(), text)?;
    }
    apply_env(&mut config, &sources.env)?;
    for (name, value) in &sources.flags {
        let key = find(name).expect("flags are named after keys of the table");
        apply(&mut config, key, &Raw::Text(value.clone()), key.parts().1, "the command line")?;
    }
    validate::check(&config)?;
    Ok(config)
}

fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|k| k.name == name)
}

fn apply(config: &mut Config, key: &Key, raw: &Raw, shown: &str, layer: &str) -> Result<(), ConfigError> {
    (key.set)(config, raw).map_err(|reason| ConfigError::Value {
        key: shown.into(),
        layer: layer.into(),
        reason,
    })
}

fn apply_file(config: &mut Config, file: &str, text: &str) -> Result<(), ConfigError> {
    let table: toml::Table = toml::from_str(text)
        .map_err(|e| ConfigError::File { file: file.into(), reason: no_toml(text, &e) })?;
    for (section, value) in table {
        match value {
            value if section == PATHS => config.paths = read_paths(value, file)?,
            toml::Value::Table(keys) => {
                for (name, value) in keys {
                    let full = format!("{section}.{name}");
                    let key = find(&full)
                        .ok_or_else(|| unknown(&full, file, KEYS.iter().map(|k| k.name.into())))?;
                    let raw = raw(&value).map_err(|reason| bad(&full, file, reason))?;
                    apply(config, key, &raw, &full, file)?;
                }
            }
            _ => {
                let known = KEYS.iter().map(|k| k.name.into()).chain([PATHS.into()]);
                return Err(unknown(&section, file, known));
            }
        }
    }
    Ok(())
}

/// Where a file is no TOML, and why. `toml` itself would show the line, which may hold a secret.
fn no_toml(text: &str, e: &toml::de::Error) -> String {
    let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let (line, column) = (before.lines().count().max(1), before.rsplit('\n').next().unwrap_or_default());
    let line = line + usize::from(before.ends_with('\n'));
    format!("line {line}, column {}: {}", column.chars().count() + 1, e.message())
}

/// The entries of `[[paths]]`. Messages name an entry by its pattern, or by its number if it has none.
fn read_paths(value: toml::Value, file: &str) -> Result<Vec<PathSettings>, ConfigError> {
    let not_tables = || bad(PATHS, file, "takes tables: begin each with [[paths]]".into());
    let toml::Value::Array(entries) = value else { return Err(not_tables()) };
    if entries.len() > MAX_PATHS {
        return Err(bad(PATHS, file, format!("takes at most {MAX_PATHS} tables")));
    }
    let mut paths = Vec::with_capacity(entries.len());
    for (i, entry) in entries.into_iter().enumerate() {
        let toml::Value::Table(entry) = entry else { return Err(not_tables()) };
        let name = match entry.get(PATTERN) {
            Some(toml::Value::String(pattern)) => pattern.clone(),
            _ => format!("number {}", i + 1),
        };
        paths.push(read_path(&entry, &format!("[[{PATHS}]] {name} of {file}"))?);
    }
    Ok(paths)
}

fn read_path(entry: &toml::Table, layer: &str) -> Result<PathSettings, ConfigError> {
    let full = |name: &str| format!("{PATHS}.{name}");
    let names = || PATH_KEYS.iter().map(|k| k.name).chain([PATTERN]);
    if let Some(stranger) = entry.keys().find(|k| !names().any(|n| n == *k)) {
        return Err(unknown(&full(stranger), layer, names().map(full)));
    }
    let read = |name: &str| entry.get(name).map(raw).transpose().map_err(|e| bad(&full(name), layer, e));
    let pattern = read(PATTERN)?.ok_or_else(|| bad(&full(PATTERN), layer, "is missing".into()))?;
    let pattern = pattern
        .text()
        .and_then(|p| PathPattern::parse(&p).map_err(|e| format!("takes a path pattern: {e}")))
        .map_err(|e| bad(&full(PATTERN), layer, e))?;
    let mut path = PathSettings::new(pattern);
    for key in PATH_KEYS {
        if let Some(value) = read(key.name)? {
            (key.set)(&mut path, &value).map_err(|e| bad(&full(key.name), layer, e))?;
        }
    }
    Ok(path)
}

fn apply_env(config: &mut Config, env: &[(String, String)]) -> Result<(), ConfigError> {
    const LAYER: &str = "the environment";
    let get = |name: &str| env.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.clone());
    for (name, _) in env.iter().filter(|(n, _)| n.starts_with(PREFIX)) {
        if !KEYS.iter().any(|k| k.variable() == *name) {
            return Err(unknown(name, LAYER, KEYS.iter().map(Key::variable)));
        }
    }
    for key in KEYS {
        let full = key.variable();
        let names = std::iter::once(full.as_str()).chain(key.variables.iter().copied());
        if let Some((name, value)) = names.into_iter().find_map(|n| get(n).map(|v| (n, v))) {
            apply(config, key, &Raw::Text(value), name, LAYER)?;
        }
    }
    Ok(())
}

fn raw(value: &toml::Value) -> Result<Raw, String> {
    let text = |v: &toml::Value| match v {
        toml::Value::String(s) => Some(s.clone()),
        toml::Value::Integer(i) => Some(i.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        _ => None,
    };
    match value {
        toml::Value::Array(items) => items
            .iter()
            .map(|v| text(v).ok_or_else(|| "takes a list of texts".to_owned()))
            .collect::<Result<_, _>>()
            .map(Raw::List),
        other => text(other).map(Raw::Text).ok_or_else(|| "takes a text, a number or true/false".into()),
    }
}

fn bad(key: &str, layer: &str, reason: String) -> ConfigError {
    ConfigError::Value { key: key.into(), layer: layer.into(), reason }
}

fn unknown(given: &str, layer: &str, known: impl Iterator<Item = String>) -> ConfigError {
    let nearest = known.min_by_key(|k| distance(given, k)).unwrap_or_default();
    ConfigError::Unknown { given: given.into(), layer: layer.into(), nearest }
}

/// Levenshtein distance, case ignored. Names of settings are short, so the square is small; input is cut at 256.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<u8> = a.bytes().take(256).map(|c| c.to_ascii_lowercase()).collect();
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, cb) in b.bytes().map(|c| c.to_ascii_lowercase()).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for j in 0..a.len() {
            let change = diagonal + usize::from(a[j] != cb);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Sources {
        Sources { env: pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(), ..Sources::default() }
    }

    fn file(text: &str) -> Sources {
        Sources { file: Some(("t.toml".into(), text.into())), ..Sources::default() }
    }

    #[test]
    fn the_stronger_layer_wins() {
        let mut s = file("[hls]\nsegment_target = \"3s\"\nwindow = 12\npart_target = \"300ms\"\n");
        s.env = env(&[("HLS_SEGMENT_DURATION", "4s"), ("HLS_MAX_SEGMENTS", "14")]).env;
        s.env.push(("RAPIDRTMP__HLS__SEGMENT_TARGET".into(), "5s".into()));
        let c = load(&s).unwrap();
        assert_eq!(c.hls.segment_target, Duration::from_secs(5), "full variable over old variable");
        assert_eq!(c.hls.window, 14, "old variable over file");
        assert_eq!(c.hls.part_target, Duration::from_millis(300), "file over default");
        assert_eq!(c.hls.segment_max, Duration::from_secs(10), "default");
        s.env.push(("RAPIDRTMP__NODE__ROLE".into(), "edge".into()));
        s.flags.push(("node.role", "all-in-one".into()));
        assert!(load(&s).is_ok(), "flag over variable");
    }

    #[test]
    fn unknown_names_are_errors_that_name_the_nearest() {
        let e = load(&file("[hls]\nsegment_taget = \"2s\"\n")).unwrap_err().to_string();
        assert_eq!(e, "unknown setting hls.segment_taget in t.toml: did you mean hls.segment_target?");
        let e = load(&env(&[("RAPIDRTMP__HTP__ADDR", ":1")])).unwrap_err().to_string();
        assert!(e.contains("did you mean RAPIDRTMP__HTTP__ADDR?"), "{e}");
        assert!(load(&file("addr = \":1\"")).is_err());
        assert!(load(&file("[nowhere]\nx = 1")).is_err());
        assert!(load(&file("[hls")).is_err());
    }

    #[test]
    fn every_old_variable_is_read() {
        for (name, value, probe) in [
            ("HTTP_ADDR", "127.0.0.1:1", (|c| c.http_addr().to_string()) as fn(&Config) -> String),
            ("RTMP_ADDR", "127.0.0.1:2", |c| c.rtmp.addr.to_string()),
            ("RTMP_INGEST_ADDR", "rtmp://in.example", |c| c.rtmp.ingest_addr.clone().unwrap_or_default()),
            ("STORAGE_TYPE", "local", |c| format!("{:?}", c.storage.kind).to_lowercase()),
            ("STORAGE_DIR", "/x/y", |c| c.storage.dir.display().to_string()),
            ("GCS_PROJECT_ID", "p", |c| c.storage.gcs_project_id.clone().unwrap_or_default()),
            ("GCS_BUCKET_NAME", "b", |c| c.storage.gcs_bucket.clone().unwrap_or_default()),
            ("GCS_BASE_DIR", "base", |c| c.storage.prefix.clone()),
            ("STORAGE_PREFIX", "pre", |c| c.storage.prefix.clone()),
            ("HLS_SEGMENT_DURATION", "4s", |c| format!("{:?}", c.hls.segment_target)),
            ("HLS_MAX_SEGMENTS", "20", |c| c.hls.window.to_string()),
            ("DEFAULT_TOKEN_EXPIRATION", "90s", |c| format!("{:?}", c.auth.default_token_expiration)),
            ("MAX_TOKEN_EXPIRATION", "7200s", |c| format!("{:?}", c.auth.max_token_expiration)),
            ("MAX_CONCURRENT_STREAMS", "7", |c| c.streams.max_concurrent.to_string()),
            ("MAX_VIEWERS_PER_STREAM", "8", |c| c.streams.max_viewers.to_string()),
            ("HTTPS_ADDR", ":3", |c| c.https.addr.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("RTMPS_ADDR", ":4", |c| c.rtmps.addr.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("TLS_CERT", "/x/c", |c| c.tls.cert.as_ref().unwrap().display().to_string()),
            ("TLS_KEY", "/x/k", |c| c.tls.key.as_ref().unwrap().display().to_string()),
            ("STATE_DIR", "/x/s", |c| c.node.state_dir.display().to_string()),
            ("NODE_ID", "n1", |c| c.node.id.clone().unwrap_or_default()),
            ("ADMIN_TOKEN", "t0", |c| c.auth.admin_token.as_ref().unwrap().expose().into()),
            ("AUTH_SECRET", "t1", |c| c.signing_secret().unwrap().into()),
            ("CLUSTER_SECRET", "t2", |c| c.signing_secret().unwrap().into()),
            ("RAPIDRTMP__AUTH__OPEN_PUBLISH", "live/*, x", |c| c.auth.open_publish.join(", ")),
        ] {
            let mut set = vec![(name, value)];
            if name.contains("TLS") || name.ends_with("S_ADDR") {
                // One of them alone is refused.
                let others = [("HTTPS_ADDR", ":1"), ("TLS_CERT", "c"), ("TLS_KEY", "k")];
                set.extend(others.iter().filter(|o| o.0 != name));
            }
            let c = load(&env(&set)).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(probe(&c), value, "{name}");
        }
    }

    #[test]
    fn bad_values_say_where_and_what() {
        let e = load(&env(&[("HLS_SEGMENT_DURATION", "two")])).unwrap_err().to_string();
        assert_eq!(e, "HLS_SEGMENT_DURATION in the environment takes a duration such as 2s, 340ms or 1h30m");
        let e = load(&file("[rtmp]\naddr = \"nine\"\n")).unwrap_err().to_string();
        assert!(e.starts_with("rtmp.addr in t.toml takes an address"), "{e}");
    }

    // limits-and-faults 22.
    #[test]
    fn a_file_that_is_no_toml_shows_where_but_no_secret() {
        let e = load(&file("[auth]\nsecret = \"5ecret\n")).unwrap_err().to_string();
        assert_eq!(e, "t.toml: line 2, column 17: invalid basic string, expected `\"`");
        let e = load(&file("[hls]\n\n=")).unwrap_err().to_string();
        assert!(e.starts_with("t.toml: line 3, column 1: "), "{e}");
        let e = load(&file("a = 5ecret")).unwrap_err().to_string();
        assert!(e.starts_with("t.toml: line 1, column ") && !e.contains("5ecret"), "{e}");
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let c = load(&env(&[("ADMIN_TOKEN", ""), ("HLS_MAX_SEGMENTS", "")])).unwrap();
        assert!(c.auth.admin_token.is_none());
        assert_eq!(c.http_addr().to_string(), "127.0.0.1:8080");
        let c = load(&env(&[("ADMIN_TOKEN", "x")])).unwrap();
        assert_eq!(c.http_addr().to_string(), ":8080");
    }

    #[test]
    fn names_in_the_table_are_unique() {
        let mut names: Vec<String> = KEYS
            .iter()
            .flat_map(|k| k.variables.iter().map(|v| (*v).to_owned()).chain([k.variable()]))
            .collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
