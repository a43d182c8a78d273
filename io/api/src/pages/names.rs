//! The fields by which a device is taken in: what it will be called, what kind it is, and the names in the
//! topics of that kind.
//!
//! 1. Which names there are depends on the kind. With scripts the fields follow the choice ([`part`]).
//! 2. Without, a form that was filled in for another kind comes back with the fields of this one
//!    ([`NewDevice::lacks_fields`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{extract::State, response::Response};
use hedgerow_control::{Failure, KnownProfile};
use hedgerow_model::mapping::{Mapping, Names, Variable};
use hedgerow_registry::Device;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    frame::{copyable, show},
    visitor::{Trouble, Visitor},
};
use crate::{People, rest::forms::Ask};

/// Before the name of a variable in a form, since a variable may be called as another field.
const PREFIX: &str = "set-";

/// A device that somebody takes in.
#[derive(Deserialize)]
pub(crate) struct NewDevice {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) profile: String,
    /// The profile whose names the form had fields for.
    #[serde(default)]
    shown: String,
    #[serde(flatten)]
    set: BTreeMap<String, String>,
}

impl NewDevice {
    /// The same, of this kind when none was chosen.
    pub(super) fn or(mut self, usual: &str) -> Self {
        if self.profile.is_empty() {
            usual.clone_into(&mut self.profile);
        }
        self
    }

    fn kind<'k>(&self, profiles: &'k [KnownProfile]) -> Option<&'k KnownProfile> {
        profiles.iter().find(|known| known.name == self.profile)
    }

    /// Whether its kind has names that the form did not ask for.
    pub(super) fn lacks_fields(&self, profiles: &[KnownProfile]) -> bool {
        let has_names = |known: &KnownProfile| !known.profile.plan().variables().is_empty();
        self.shown != self.profile && self.kind(profiles).is_some_and(has_names)
    }

    fn value(&self, variable: &Variable) -> &str {
        self.set.get(&format!("{PREFIX}{}", variable.name)).map_or("", |value| value.trim())
    }

    /// The names that were filled in, of those that its kind has.
    pub(super) fn names(&self, profiles: &[KnownProfile]) -> Result<Names, Failure> {
        let variables = self.kind(profiles).map(|known| known.profile.plan().variables());
        let pairs = variables.unwrap_or_default().iter().map(|one| (&*one.name, self.value(one)));
        Ok(Names::new(pairs.filter(|(_, value)| !value.is_empty()))?)
    }

    /// The fields: of any of `kinds`.
    pub(super) fn fields(&self, kinds: &[KnownProfile]) -> Markup {
        html! {
            label { span { "What will it be called?" }
                input name="name" required maxlength="80" value=(self.name) placeholder="Greenhouse" autocomplete="off"; }
            label { span { "What kind of device is it?" }
                select name="profile" required hx-get="/claim/names" hx-trigger="change" hx-target="#names" {
                    @if self.profile.is_empty() { option value="" selected disabled { "Choose one" } }
                    @for known in kinds {
                        option value=(known.name) selected[known.name == self.profile] { (known.profile.title) " (" (known.name) ")" }
                    }
                } }
            div.stack #names aria-live="polite" { (self.name_fields(kinds)) }
        }
    }

    /// What sends them, behind which is what scripts make needless: Enter is for the first.
    pub(super) fn buttons(word: &str) -> Markup {
        html! {
            div.row {
                button.primary { (word) }
                button.plainly formmethod="get" formnovalidate { "Show the fields of this kind" }
            }
        }
    }

    fn name_fields(&self, kinds: &[KnownProfile]) -> Markup {
        let variables = self.kind(kinds).map(|known| known.profile.plan().variables());
        let variables = variables.unwrap_or_default();
        html! {
            input type="hidden" name="shown" value=(self.profile);
            @if !variables.is_empty() {
                fieldset {
                    legend { "What it calls itself" }
                    p.hint { "It speaks on topics of its own. Write the names as they stand in the device's settings." }
                    @for variable in variables { (field(variable, self.value(variable))) }
                }
            }
        }
    }
}

fn field(variable: &Variable, value: &str) -> Markup {
    let Variable { name, default, .. } = variable;
    let usual = default.as_deref().unwrap_or("its id here");
    html! {
        label { span { (title(variable)) " " code.hint { (name) } }
            input name={ (PREFIX) (name) } value=(value) maxlength="128" placeholder={ "Empty: " (usual) } autocomplete="off" autocapitalize="none" spellcheck="false"; }
    }
}

/// A variable in people's words.
fn title(variable: &Variable) -> &str {
    if variable.title.is_empty() { &variable.name } else { &variable.title }
}

/// The fields of a kind, for a page that is open.
pub(crate) async fn part(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Ask(form): Ask<NewDevice>,
) -> Result<Response, Trouble> {
    let profiles = people.control.profiles(&visitor.ctx).await?;
    Ok(show(form.name_fields(&profiles)))
}

/// The names of a device as rows of a list of facts: each with the value that its topics have.
pub(super) fn rows(people: &People, device: &Device) -> Markup {
    let profile = people.bounds_of(device).profile;
    let id = device.key.id.to_string();
    html! {
        @for variable in profile.plan().variables() {
            @let value = device.names.value(&variable.name).or(variable.default.as_deref()).unwrap_or(&id);
            dt { (title(variable)) } dd { (copyable(value, title(variable))) }
        }
    }
}

/// The foreign topics of a device; nothing when it has none.
pub(super) fn topics(people: &People, device: &Device) -> Markup {
    let profile = people.bounds_of(device).profile;
    let mapping = Mapping::compile(profile.plan(), &device.names, &device.key.id.to_string()).ok();
    let Some(mapping) = mapping.filter(|_| !profile.plan().is_empty()) else { return html! {} };
    let told: BTreeSet<_> = mapping.commands().map(|(topic, _)| topic).collect();
    html! {
        section {
            h2 { "Its own topics" }
            p.hint { "Its profile says what these carry. No other device has them." }
            dl.facts.lists {
                dt { "It publishes" } dd { ul.plain { @for (topic, _) in mapping.topics() { li { code { (topic) } } } } }
                @if !told.is_empty() {
                    dt { "It listens to" } dd { ul.plain { @for topic in told { li { code { (topic) } } } } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str) -> NewDevice {
        serde_json::from_value(form.split('&').filter_map(|one| one.split_once('=')).collect())
            .unwrap()
    }

    fn built_in() -> Vec<KnownProfile> {
        KnownProfile::built_in().collect()
    }

    #[test]
    fn a_form_for_another_kind_comes_back() {
        let lacks = |form: &str| read(form).lacks_fields(&built_in());
        assert!(lacks("name=x&profile=tasmota-plug&shown=linux-host"));
        assert!(lacks("name=x&profile=tasmota-plug"));
        assert!(!lacks("name=x&profile=tasmota-plug&shown=tasmota-plug"));
        assert!(!lacks("name=x&profile=linux-host&shown=tasmota-plug"), "it has no names");
        assert!(!lacks("name=x&profile=none&shown=linux-host"), "the control plane says so");
    }

    #[test]
    fn only_names_of_the_kind_that_are_filled_in_are_taken() {
        let names = |form: &str| read(form).names(&built_in()).map(|names| names.to_string());
        let sensor = "name=Porch&profile=zigbee2mqtt-sensor&set-name= porch &set-base=&set-topic=x";
        assert_eq!(names(sensor).unwrap(), "name=porch");
        assert_eq!(names("name=x&profile=linux-host&set-topic=x").unwrap(), "");
        assert!(names("name=x&profile=tasmota-plug&set-topic=a/%23/#").is_err());
    }

    #[test]
    fn each_name_has_a_field_with_what_was_written() {
        let form = read("name=x&profile=esphome-sensor-switch&set-prefix=<b>/1");
        let fields = form.name_fields(&built_in()).into_string();
        for name in ["set-prefix", "set-sensor", "set-switch"] {
            assert!(fields.contains(&format!("name=\"{name}\"")), "{name} in {fields}");
        }
        assert!(fields.contains("&lt;b&gt;/1") && !fields.contains("<b>"), "{fields}");
        assert!(
            !read("profile=linux-host").name_fields(&built_in()).into_string().contains("set-")
        );
    }
}
