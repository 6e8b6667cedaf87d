//! The real program: exit statuses, the first line, the stop (contract "Command line").

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A command in a folder of its own, without the environment's settings.
fn command(dir: &TempDir, args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_rapidrtmp"));
    c.args(args).env_clear().envs(env.iter().copied()).current_dir(dir.path()).stdin(Stdio::null());
    c
}

fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    command(&dir, args, env).output().unwrap()
}

fn stderr(o: &Output) -> String {
    String::from_utf8_lossy(&o.stderr).into_owned()
}

struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    http: String,
    dir: TempDir,
}

const ANY_PORT: [(&str, &str); 2] = [("HTTP_ADDR", "127.0.0.1:0"), ("RTMP_ADDR", "127.0.0.1:0")];

fn start(args: &[&str]) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let mut child =
        command(&dir, args, &ANY_PORT).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    let addresses = first.trim_end().strip_prefix("listening http=").expect("the first line on stdout");
    let (http, rtmp) = addresses.split_once(" rtmp=").expect("both listeners");
    TcpStream::connect(rtmp).expect("RTMP is bound once the line is out");
    Server { http: http.to_owned(), child, out, dir }
}

impl Server {
    fn get(&self, path: &str) -> String {
        let mut s = TcpStream::connect(&self.http).expect("HTTP is bound once the line is out");
        write!(s, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        s.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn wait(&mut self, within: Duration) -> Option<i32> {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "the server does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only a failed test leaves it running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn version_and_help_exit_0() {
    let o = run(&["--version"], &[]);
    assert_eq!(o.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&o.stdout), format!("rapidrtmp {}\n", env!("CARGO_PKG_VERSION")));
    let o = run(&["--help"], &[]);
    assert_eq!(o.status.code(), Some(0));
    let text = String::from_utf8_lossy(&o.stdout).into_owned();
    for word in ["serve", "mint", "check-config", "healthcheck", "--config", "--role"] {
        assert!(text.contains(word), "{word}");
    }
}

#[test]
fn a_bad_configuration_exits_2_and_says_why() {
    for (args, env, says) in [
        (&["--role", "edge"][..], &[][..], "cluster"),
        (&["serve", "--role", "ingest"], &[], "cluster"),
        (&["--role", "nothing"], &[], "all-in-one"),
        (&["--config", "absent.toml"], &[], "absent.toml"),
        (&[], &[("RAPIDRTMP__HLS__WINDOWS", "3")], "did you mean RAPIDRTMP__HLS__WINDOW?"),
        (&[], &[("HLS_SEGMENT_DURATION", "100ms")], "segment"),
        (&[], &[("STATE_DIR", "./s/state"), ("STORAGE_DIR", "./s")], "inside"),
        (&["check-config"], &[("HTTP_ADDR", "nowhere")], "HTTP_ADDR"),
        (&["check-config"], &[("RUST_LOG", "node=loud")], "log.filter"),
        (&[], &[("RTMPS_ADDR", "127.0.0.1:0")], "tls.cert (TLS_CERT) is missing"),
        (
            &["check-config"],
            &[("HTTPS_ADDR", "127.0.0.1:0"), ("TLS_CERT", "absent.pem"), ("TLS_KEY", "absent.key")],
            "tls.cert: absent.pem cannot be read",
        ),
        (
            &[],
            &[("HTTPS_ADDR", "127.0.0.1:0"), ("TLS_CERT", "/dev/null"), ("TLS_KEY", "/dev/null")],
            "tls.cert: /dev/null holds no certificate",
        ),
        (&["--no-such-flag"], &[], "--no-such-flag"),
    ] {
        let o = run(args, env);
        assert_eq!(o.status.code(), Some(2), "{args:?} {env:?}: {}", stderr(&o));
        assert!(stderr(&o).contains(says), "{args:?} {env:?}: {}", stderr(&o));
        assert!(o.stdout.is_empty());
    }
}

#[test]
fn a_taken_port_exits_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let o = run(&[], &[("HTTP_ADDR", &addr), ("RTMP_ADDR", "127.0.0.1:0")]);
    assert_eq!(o.status.code(), Some(1), "{}", stderr(&o));
    assert!(stderr(&o).contains(&addr));
}

#[test]
fn check_config_reads_the_example_file() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/config.example.toml");
    let o = run(&["check-config", "--config", example], &[]);
    assert_eq!(o.status.code(), Some(0), "{}", stderr(&o));
}

#[test]
fn mint_prints_one_token_and_refuses_bad_paths() {
    let o = run(&["mint", "live/demo", "--expires", "1h"], &[]);
    assert_eq!(o.status.code(), Some(0), "{}", stderr(&o));
    let out = String::from_utf8(o.stdout).unwrap();
    assert_eq!((out.lines().count(), out.trim_end().split('.').count()), (1, 3), "one JWT");
    assert_eq!(run(&["mint", "../x"], &[]).status.code(), Some(1));
}

#[test]
fn serves_answers_its_probe_and_stops_with_0() {
    let mut server = start(&[]);
    assert!(server.get("/health").contains("\"healthy\""));
    assert!(server.get("/ready").starts_with("HTTP/1.1 200"));
    let probe = |http: &str| run(&["healthcheck"], &[("HTTP_ADDR", http)]).status.code();
    assert_eq!(probe(&server.http), Some(0));
    server.signal("TERM");
    assert_eq!(server.wait(Duration::from_secs(15)), Some(0));
    let mut rest = String::new();
    server.out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "nothing but the first line goes to stdout");
    assert_eq!(probe(&server.http), Some(1));
    let secret = std::fs::metadata(server.dir.path().join("data/state/secret")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&secret.permissions()) & 0o777, 0o600);
}

#[test]
fn serve_is_the_same_command_and_sigint_stops_it_too() {
    let mut server = start(&["serve"]);
    server.signal("INT");
    assert_eq!(server.wait(Duration::from_secs(15)), Some(0));
}

#[test]
fn a_second_signal_exits_at_once() {
    let mut server = start(&[]);
    // A request that never ends holds the drain up.
    let mut slow = TcpStream::connect(&server.http).unwrap();
    slow.write_all(b"POST /api/v1/publish HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
        .unwrap();
    assert!(server.get("/health").contains("healthy"), "the slow request was taken before");
    server.signal("TERM");
    let mut errors = BufReader::new(server.child.stderr.take().unwrap()).lines();
    assert!(errors.any(|l| l.unwrap().contains("draining")));
    assert!(server.child.try_wait().unwrap().is_none(), "it waits for the request");
    server.signal("TERM");
    assert_eq!(server.wait(Duration::from_secs(5)), Some(1));
}
