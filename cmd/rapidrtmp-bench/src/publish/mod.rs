//! stub
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {}
pub(crate) async fn run(_o: Options) -> anyhow::Result<bool> { Ok(true) }
