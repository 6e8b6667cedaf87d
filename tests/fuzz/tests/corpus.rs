//! Every target over what is kept for it: seeds made by hand, and what fuzzing found.

use std::{fs, path::PathBuf};

use fuzz::TARGETS;

/// Of all files together.
const MAX_BYTES: usize = 1 << 20;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|f| f.expect("a file of the corpus").path()).collect();
    files.sort();
    files.into_iter().map(|f| (f.clone(), fs::read(f).expect("a file of the corpus"))).collect()
}

fn run(name: &str) {
    let target = TARGETS.iter().find(|t| t.0 == name).expect("a target").1;
    let inputs = corpus(name);
    assert!(inputs.len() >= 8, "{name} has {} inputs", inputs.len());
    for (file, bytes) in inputs {
        if std::panic::catch_unwind(|| target(&bytes)).is_err() {
            panic!("{} breaks a promise", file.display());
        }
    }
    target(&[]);
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        #[test]
        fn every_target_is_here_and_the_corpus_is_small() {
            let names: Vec<&str> = TARGETS.iter().map(|t| t.0).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
            let bytes: usize = names.iter().flat_map(|n| corpus(n)).map(|f| f.1.len()).sum();
            assert!(bytes <= MAX_BYTES, "{bytes} bytes; cargo fuzz cmin makes it smaller");
        }
    };
}

targets!(amf0 chunks codecs config fmp4 names query session tags tokens);
