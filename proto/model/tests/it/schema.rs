//! The JSON Schema in the guide and the parser say the same names, and the guide's examples pass.

use hedgerow_model::{
    Profile,
    profile::vocabulary::{
        ACTION_TERMS, DATA_CLASSES, EVENT_TERMS, FORM_TERMS, MQTT_TERMS, PROPERTY_MEMBERS,
        PROPERTY_TERMS, THING_TERMS, VARIABLE_MEMBERS,
    },
};

const SCHEMA: &str = include_str!("../../../../docs/guide/profile.schema.json");
const GUIDE: &str = include_str!("../../../../docs/guide/profile.md");

/// The part of the schema under `"$defs"` with this name, up to the next definition.
fn definition(name: &str) -> &'static str {
    let start = SCHEMA.find(&format!("\n    \"{name}\": {{")).expect(name);
    let rest = &SCHEMA[start + 1..];
    let end = rest.find("\n    }").unwrap();
    &rest[..end]
}

/// The names of ours that appear as members in `text`.
fn terms(text: &str) -> Vec<&str> {
    let mut all: Vec<_> = text
        .split('"')
        .filter(|part| part.starts_with("hedgerow:") && !part.contains(' '))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn the_schema_knows_the_terms_of_the_parser_and_no_others() {
    assert_eq!(terms(definition("thing")), THING_TERMS);
    assert_eq!(terms(definition("property")), PROPERTY_TERMS);
    assert_eq!(terms(definition("event")), EVENT_TERMS);
    assert_eq!(terms(definition("action")), ACTION_TERMS);
    assert_eq!(terms(definition("form")), FORM_TERMS);
}

#[test]
fn the_schema_knows_the_members_and_words_of_the_parser() {
    for member in PROPERTY_MEMBERS {
        assert!(definition("property").contains(&format!("\"{member}\":")), "{member}");
    }
    for member in VARIABLE_MEMBERS {
        assert!(definition("variable").contains(&format!("\"{member}\":")), "{member}");
    }
    for term in MQTT_TERMS {
        let name = term.trim_start_matches("mqv:");
        assert!(definition("form").contains(&format!("{name}$")), "{term}");
    }
    let words = DATA_CLASSES.map(|word| format!("\"{word}\"")).join(", ");
    assert!(SCHEMA.contains(&format!("\"enum\": [{words}]")));
}

#[test]
fn the_guide_explains_every_term() {
    let ours = THING_TERMS.iter().chain(&PROPERTY_TERMS).chain(&EVENT_TERMS).chain(&ACTION_TERMS);
    for term in ours.chain(&FORM_TERMS).chain(&MQTT_TERMS) {
        assert!(GUIDE.contains(&format!("`{term}`")), "{term}");
    }
}

#[test]
fn the_examples_of_the_guide_are_profiles() {
    let examples: Vec<_> = GUIDE.split("```json\n").skip(1).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let document = example.split("```").next().unwrap();
        Profile::parse(document.as_bytes()).unwrap();
    }
}
