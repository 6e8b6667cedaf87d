//! Embeds hls.js when `make assets` has put it at the workspace root, plain and compressed; builds without it, too.

use std::{env, fs, io::Write, path::Path};

use flate2::{Compression, write::GzEncoder};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    for name in ["hls.min.js", "hls.LICENSE"] {
        let source = root.join("assets").join(name);
        println!("cargo:rerun-if-changed={}", source.display());
        // An empty file stands for one that is not there.
        let bytes = fs::read(&source).unwrap_or_default();
        fs::write(Path::new(&out).join(name), &bytes).expect("OUT_DIR is writable");
        if name.ends_with(".js") {
            let mut gz = GzEncoder::new(Vec::new(), Compression::best());
            gz.write_all(&bytes).expect("writing to a Vec cannot fail");
            let packed = gz.finish().expect("writing to a Vec cannot fail");
            fs::write(Path::new(&out).join(format!("{name}.gz")), packed).expect("OUT_DIR is writable");
        }
    }
}
