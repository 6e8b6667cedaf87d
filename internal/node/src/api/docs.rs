//! The OpenAPI document, generated from the handlers.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{publish, status, streams};

/// Describes every route of the API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "RapidRTMP",
        description = "Publish tokens, streams and the state of a node. Every error is `{\"error\": \"…\"}`.",
    ),
    paths(
        status::ping, status::health, status::ready, status::dependencies, status::metrics,
        publish::publish, publish::revoke,
        streams::list, streams::get, streams::stop,
    ),
    modifiers(&Admin),
    tags(
        (name = "tokens", description = "Publish tokens (admin)"),
        (name = "streams", description = "Streams; stopping one needs admin"),
        (name = "status", description = "How the node is"),
    ),
)]
struct Generated;

struct Admin;

impl Modify for Admin {
    fn modify(&self, document: &mut Document) {
        let mut scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        scheme.description =
            Some("ADMIN_TOKEN. Without one configured: calls from the machine itself only.".into());
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("admin", SecurityScheme::Http(scheme));
    }
}

/// The text of `api/openapi.json`.
pub fn openapi() -> String {
    let mut text =
        Generated::openapi().to_pretty_json().expect("the document holds only texts, lists and maps");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_the_generated_one() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../api/openapi.json");
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(&path, openapi()).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap();
        assert!(committed == openapi(), "api/openapi.json is stale: run the tests with UPDATE_GENERATED=1");
    }

    #[test]
    fn every_object_name_in_the_list_is_one() {
        let text = include_str!("../../../../api/objects.md");
        let names: Vec<&str> =
            text.lines().filter_map(|l| l.strip_prefix("| `")?.split('`').next()).collect();
        assert!(names.len() >= 7, "{names:?}");
        for name in names {
            let example = name.replace("{epoch}", "1795000000123").replace("{k}", "2");
            let example = ["{v}", "{msn}", "{seq}", "{n}"].iter().fold(example, |e, p| e.replace(p, "7"));
            let parsed = media::ObjectName::parse(&example).unwrap_or_else(|| panic!("{name} is no object"));
            assert_eq!(parsed.to_string(), example);
        }
    }
}
