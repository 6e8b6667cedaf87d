//! What each command does.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use node::{
    Node, NodeError, Threads,
    config::{Config, ConfigError, ListenAddr, Sources},
};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Settings;

/// Contract "Command line": 2 is for configuration.
const CONFIGURATION: u8 = 2;
/// A container probe that takes longer has failed anyway.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Reads all layers of settings.
pub(crate) fn configure(settings: &Settings) -> anyhow::Result<Config> {
    let file = match &settings.config {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| ConfigError::File { file: path.display().to_string(), reason: e.to_string() })?;
            Some((path.clone(), text))
        }
    };
    // A variable that is no UTF-8 cannot be one of ours.
    let env = std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)));
    let flags = settings.role.iter().map(|role| ("node.role", role.clone()));
    Ok(node::config::load(&Sources { file, env: env.collect(), flags: flags.collect() })?)
}

/// Serves until SIGTERM or SIGINT; a second one exits at once.
pub(crate) fn serve(config: &Config) -> anyhow::Result<()> {
    node::init_logs(&config.log)?;
    let threads = Threads::start(config).context("cannot start the threads")?;
    let web = threads.web();
    threads.run(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let node = Node::bind(config, web).await?;
        say(&node.listening())?;
        let stop = async move {
            either(&mut terminate, &mut interrupt).await;
            tokio::spawn(async move {
                either(&mut terminate, &mut interrupt).await;
                tracing::warn!("second signal: exiting at once");
                std::process::exit(1);
            });
        };
        Ok(node.run(stop).await?)
    })
}

async fn either(a: &mut tokio::signal::unix::Signal, b: &mut tokio::signal::unix::Signal) {
    tokio::select! {
        _ = a.recv() => {}
        _ = b.recv() => {}
    }
}

/// Prints a publish token, signed with the key of this configuration.
pub(crate) fn mint(config: &Config, path: &str, expires: Option<Duration>) -> anyhow::Result<()> {
    say(&node::mint(config, path, expires)?)
}

/// The configuration was read before; what it names is looked at now.
pub(crate) fn check_config(config: &Config) -> anyhow::Result<()> {
    node::check_logs(&config.log)?;
    node::check_tls(config)?;
    say("the configuration is good")
}

/// Asks `/health` of the server that this configuration describes.
pub(crate) fn healthcheck(config: &Config) -> anyhow::Result<()> {
    let addr = reachable(&config.http_addr())?;
    let mut stream = TcpStream::connect_timeout(&addr, PROBE_TIMEOUT).with_context(|| format!("{addr}"))?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    stream.set_write_timeout(Some(PROBE_TIMEOUT))?;
    write!(stream, "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut head = [0u8; 12];
    stream.read_exact(&mut head).with_context(|| format!("{addr} does not answer"))?;
    if &head[..] != b"HTTP/1.1 200" {
        bail!("{addr} answers {:?}", String::from_utf8_lossy(&head));
    }
    Ok(())
}

/// Where a listener can be reached from the machine itself.
fn reachable(listen: &ListenAddr) -> anyhow::Result<SocketAddr> {
    if listen.port() == 0 {
        bail!("http.addr has port 0: only the server knows which port it got");
    }
    let addr = match listen {
        ListenAddr::Any(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, *port)),
        ListenAddr::Host(host, port) => {
            use std::net::ToSocketAddrs;
            (host.as_str(), *port).to_socket_addrs()?.next().context("http.addr does not resolve")?
        }
    };
    Ok(match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from((Ipv4Addr::LOCALHOST, addr.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from((Ipv6Addr::LOCALHOST, addr.port())),
        _ => addr,
    })
}

/// A line on stdout, out at once: scripts wait for it.
fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Says what went wrong and gives the exit status.
pub(crate) fn report(e: &anyhow::Error) -> ExitCode {
    // If stderr is gone there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "rapidrtmp: {e:#}");
    let node = e.downcast_ref::<NodeError>();
    let configuration = e.is::<ConfigError>() || node.is_some_and(NodeError::is_configuration);
    if configuration { ExitCode::from(CONFIGURATION) } else { ExitCode::FAILURE }
}
