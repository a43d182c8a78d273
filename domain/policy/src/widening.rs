//! What a new version of a profile would let devices do beyond the one in force.
//!
//! A profile is an upper bound that its maker sets; what would raise the bound waits for the owner. The
//! overlay plays no part: what an owner withholds stays withheld, and giving it back is the owner's word.

use hedgerow_model::{
    Profile, Property, Shape,
    profile::{Collection, Event},
};

/// One thing that would be wider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Widening {
    /// JSON pointer (RFC 6901) to its place in the new version.
    pub pointer: String,
    /// What would be wider there, for people.
    pub what: String,
}

/// Everything in which `new` is wider than `in_force`, in the order of the profile; nothing when it is
/// narrower or equal.
#[must_use]
pub fn widenings(in_force: &Profile, new: &Profile) -> Vec<Widening> {
    let mut found = Vec::new();
    let mut note = |pointer: String, what: String| found.push(Widening { pointer, what });
    for host in new.network_peers.iter().filter(|host| !in_force.network_peers.contains(host)) {
        note("/hedgerow:networkPeers".into(), format!("the device would talk to {host}"));
    }
    for property in new.properties() {
        let pointer = format!("/properties/{}", property.name);
        match in_force.property(&property.name) {
            None => note(pointer, "the device may not publish this property yet".into()),
            Some(before) => of_property(before, property, |what| note(pointer.clone(), what)),
        }
    }
    for event in new.events() {
        let pointer = format!("/events/{}", event.name);
        match in_force.event_index(&event.name).and_then(|at| in_force.events().get(at)) {
            None => note(pointer, "the device may not publish this event yet".into()),
            Some(before) => of_event(before, event, |what| note(pointer.clone(), what)),
        }
    }
    for action in new.actions() {
        if in_force.action_index(&action.name).is_none() {
            let pointer = format!("/actions/{}", action.name);
            note(pointer, "the device may not be asked for this action yet".into());
        }
    }
    of_topics(in_force, new, note);
    found
}

/// Foreign topics that the device would say or hear something on.
fn of_topics(in_force: &Profile, new: &Profile, mut note: impl FnMut(String, String)) {
    let (before, after) = (in_force.plan(), new.plan());
    let said = |topic: &str| before.routes().iter().any(|route| route.topic().text() == topic);
    for topic in
        after.routes().iter().map(|route| route.topic().text()).filter(|topic| !said(topic))
    {
        note(String::new(), format!("the device would publish to {topic}"));
    }
    if !before.is_empty() && before.variables() != after.variables() {
        let pointer = "/hedgerow:variables".to_owned();
        note(pointer, "the topics of devices would be made otherwise".into());
    }
    for name in new.properties().iter().map(|one| &one.name).filter(|name| new.is_writable(name)) {
        if in_force.property(name).is_some() && !in_force.is_writable(name) {
            let pointer = format!("/properties/{name}");
            note(pointer, "the device may not be told to change this property yet".into());
        }
    }
    let heard = |topic: &str| before.commands().iter().any(|one| one.topic().text() == topic);
    let filtered = |filter: &str| before.filters().iter().any(|one| one.text() == filter);
    let commands = after.commands().iter().map(|one| one.topic().text()).filter(|one| !heard(one));
    let filters = after.filters().iter().map(|one| one.text()).filter(|one| !filtered(one));
    for topic in commands.chain(filters) {
        note(String::new(), format!("the device would listen to {topic}"));
    }
}

fn of_property(before: &Property, after: &Property, mut note: impl FnMut(String)) {
    if before.shape.kind() != after.shape.kind() {
        let (was, is) = (before.shape.kind().word(), after.shape.kind().word());
        return note(format!("its type would change from {was} to {is}"));
    }
    if is_wider(&before.shape, &after.shape) {
        note("it would allow more values".into());
    }
    let is_finer = |before: Option<f64>, after: Option<f64>| match (before, after) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => after < before,
    };
    if is_finer(before.precision, after.precision) {
        note("its values would be kept more precisely".into());
    }
    if after.resolution_ms < before.resolution_ms {
        note(format!(
            "its readings would be kept every {} ms instead of every {} ms",
            after.resolution_ms, before.resolution_ms
        ));
    }
    of_collection(&before.collection, &after.collection, note);
}

fn of_event(before: &Event, after: &Event, note: impl FnMut(String)) {
    of_collection(&before.collection, &after.collection, note);
}

fn of_collection(before: &Collection, after: &Collection, mut note: impl FnMut(String)) {
    if before.data_class != after.data_class {
        let (was, is) = (before.data_class.word(), after.data_class.word());
        note(format!("it would count as {is} instead of {was}"));
    }
    if before.purpose != after.purpose {
        note(format!(
            "its purpose would be \"{}\" instead of \"{}\"",
            after.purpose, before.purpose
        ));
    }
    if after.retention_days > before.retention_days {
        let (was, is) = (before.retention_days, after.retention_days);
        note(format!("it would be kept for {is} days instead of {was}"));
    }
    let is_more_often = match (before.rate_max, after.rate_max) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => after > before,
    };
    if is_more_often {
        note("it would be expected more often".into());
    }
}

fn is_wider(before: &Shape, after: &Shape) -> bool {
    match (before, after) {
        (Shape::Integer { minimum: low, maximum: high }, Shape::Integer { minimum, maximum }) => {
            minimum < low || maximum > high
        }
        (Shape::Number { minimum: low, maximum: high }, Shape::Number { minimum, maximum }) => {
            minimum < low || maximum > high
        }
        (Shape::Text { length_max: longest, words: known }, Shape::Text { length_max, words }) => {
            let fits = |word: &str, longest: usize| word.chars().nth(longest).is_none();
            let was_allowed = |word: &str| {
                fits(word, *longest)
                    && (known.is_empty() || known.iter().any(|known| **known == *word))
            };
            match words.is_empty() {
                true => !known.is_empty() || length_max > longest,
                false => words.iter().any(|word| fits(word, *length_max) && !was_allowed(word)),
            }
        }
        (Shape::Boolean, Shape::Boolean) => false,
        (
            Shape::Boolean | Shape::Integer { .. } | Shape::Number { .. } | Shape::Text { .. },
            Shape::Boolean | Shape::Integer { .. } | Shape::Number { .. } | Shape::Text { .. },
        ) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = r#"{"p":{"type":"number","minimum":0,"maximum":10,"hedgerow:precision":0.1,
        "hedgerow:rateMax":6,"hedgerow:retentionDays":30,"hedgerow:purpose":"climate"}}"#;

    fn model(more: &str) -> Profile {
        let document = format!(
            r#"{{"@context":["https://www.w3.org/2022/wot/td/v1.1",{{"hedgerow":"urn:hedgerow:vocabulary:1#"}}],
                "@type":"tm:ThingModel","title":"t","hedgerow:maker":"m","hedgerow:model":"x",{more}}}"#
        );
        Profile::parse(document.as_bytes()).unwrap()
    }

    fn between(before: &str, after: &str) -> Vec<String> {
        let wrap = |properties: &str| model(&format!("\"properties\":{properties}"));
        let found = widenings(&wrap(before), &wrap(after));
        found.iter().map(|one| format!("{} {}", one.pointer, one.what)).collect()
    }

    /// [`BEFORE`] with a part of it replaced.
    fn changed(from: &str, to: &str) -> Vec<String> {
        assert!(BEFORE.contains(from), "{from}");
        between(BEFORE, &BEFORE.replace(from, to))
    }

    #[test]
    fn an_equal_or_narrower_version_widens_nothing() {
        assert_eq!(between(BEFORE, BEFORE), [""; 0]);
        assert_eq!(between(BEFORE, "{}"), [""; 0]);
        for (from, to) in [
            ("\"minimum\":0", "\"minimum\":1"),
            ("\"maximum\":10", "\"maximum\":9.5"),
            (":0.1", ":0.5"),
            ("rateMax\":6", "rateMax\":5"),
            ("retentionDays\":30", "retentionDays\":29"),
            ("\"type\"", "\"title\":\"P\",\"hedgerow:resolution\":2000,\"type\""),
        ] {
            assert_eq!(changed(from, to), [""; 0], "{from} {to}");
        }
    }

    #[test]
    fn every_way_to_widen_a_property_is_found() {
        for (from, to) in [
            ("\"minimum\":0", "\"minimum\":-1"),
            ("\"maximum\":10", "\"maximum\":10.5"),
            ("\"maximum\":10,", ""),
            (
                "\"type\":\"number\",\"minimum\":0,\"maximum\":10,\"hedgerow:precision\":0.1",
                "\"type\":\"string\"",
            ),
            (":0.1", ":0.01"),
            ("\"hedgerow:precision\":0.1,", ""),
            ("rateMax\":6", "rateMax\":7"),
            ("\"hedgerow:rateMax\":6,", ""),
            ("retentionDays\":30", "retentionDays\":31"),
            ("climate", "advertising"),
            ("\"type\"", "\"hedgerow:dataClass\":\"technical\",\"type\""),
            ("\"type\"", "\"hedgerow:resolution\":999,\"type\""),
        ] {
            let found = changed(from, to);
            assert_eq!(found.len(), 1, "{from} {to}: {found:?}");
            assert!(found[0].starts_with("/properties/p "), "{found:?}");
        }
    }

    #[test]
    fn words_and_lengths_of_text_widen() {
        let text = |rest: &str| format!(r#"{{"p":{{"type":"string"{rest}}}}}"#);
        let is_wider = |from: &str, to: &str| !between(&text(from), &text(to)).is_empty();
        let (ab, a) = (r#","enum":["a","b"]"#, r#","enum":["a"]"#);
        assert!(
            is_wider(a, ab)
                && is_wider(ab, "")
                && is_wider(r#","maxLength":5"#, r#","maxLength":6"#)
        );
        assert!(is_wider(r#","maxLength":5"#, ""));
        assert!(
            !is_wider(ab, a)
                && !is_wider("", ab)
                && !is_wider(r#","maxLength":6"#, r#","maxLength":5"#)
        );
    }

    #[test]
    fn new_foreign_topics_and_other_variables_widen() {
        let before = hedgerow_model::TASMOTA_PLUG;
        let parse = |document: &str| Profile::parse(document.as_bytes()).unwrap();
        let changed = |from: &str, to: &str| -> Vec<String> {
            assert!(before.contains(from), "{from}");
            let after = parse(&before.replace(from, to));
            widenings(&parse(before), &after).into_iter().map(|one| one.what).collect()
        };
        assert_eq!(
            changed("tele/{topic}/LWT", "x/{topic}"),
            ["the device would publish to x/{topic}"]
        );
        assert_eq!(changed("INFO1", "INFO9"), ["the device would publish to tele/{topic}/INFO9"]);
        assert_eq!(
            changed("cmnd/{topic}/STATUS", "cmnd/{topic}/Upgrade"),
            ["the device would listen to cmnd/{topic}/Upgrade"]
        );
        assert_eq!(
            changed("cmnd/{topic}/#", "{topic}/#"),
            ["the device would listen to {topic}/#"]
        );
        let title = "\"title\": \"Topic, as";
        let levels = changed(title, &format!("\"levels\": 2, {title}"));
        assert_eq!(levels, ["the topics of devices would be made otherwise"]);
        assert_eq!(changed("/ENERGY/Power", "/ENERGY/Other"), [""; 0]);
    }

    #[test]
    fn a_property_that_can_be_written_now_widens() {
        let form = |op: &str| {
            let form = format!(r#"{{"op":"{op}","mqv:topic":"set/{{v}}"}}"#);
            let (forms, asks) = match op {
                "writeproperty" => (form, String::new()),
                _ => (String::new(), form),
            };
            let members = format!(
                r#""hedgerow:variables":{{"v":{{}}}},"properties":{{"p":{{"type":"number","forms":[{forms}]}}}},
                   "actions":{{"a":{{"forms":[{asks}]}}}}"#
            );
            let context = r#"{"hedgerow":"urn:hedgerow:vocabulary:1#","mqv":"https://www.w3.org/2019/wot/mqtt#"}"#;
            let document = format!(
                r#"{{"@context":["https://www.w3.org/2022/wot/td/v1.1",{context}],"@type":"tm:ThingModel","title":"t",
                    "hedgerow:maker":"m","hedgerow:model":"x",{members}}}"#
            );
            Profile::parse(document.as_bytes()).unwrap()
        };
        let (asked, written) = (form("invokeaction"), form("writeproperty"));
        let found = widenings(&asked, &written);
        let found: Vec<_> = found.iter().map(|one| (&*one.pointer, &*one.what)).collect();
        let what = "the device may not be told to change this property yet";
        assert_eq!(found, [("/properties/p", what)], "on a topic that it listened to already");
        assert_eq!(widenings(&written, &asked), []);
    }

    #[test]
    fn new_names_and_new_peers_widen() {
        let before = model(r#""properties":{},"hedgerow:networkPeers":["a.example"]"#);
        let after = model(
            r#""properties":{"p":{"type":"boolean"}},"events":{"e":{}},"actions":{"go":{}},
               "hedgerow:networkPeers":["a.example","b.example"]"#,
        );
        let found = widenings(&before, &after);
        let places: Vec<_> = found.iter().map(|one| one.pointer.as_str()).collect();
        assert_eq!(places, ["/hedgerow:networkPeers", "/properties/p", "/events/e", "/actions/go"]);
        assert!(found[0].what.contains("b.example"));
        assert_eq!(widenings(&after, &before), []);
    }
}
