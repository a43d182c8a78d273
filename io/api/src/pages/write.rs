//! Giving a property of a device another value, for those that its profile says how to write.
//!
//! 1. The device's live page has a row for each, with the control that its type asks for.
//! 2. The device is told. What can't be (away, its standing, a value out of range) is said on its page.
//! 3. The value that it has is the one that it says itself, and appears when it does.

use std::sync::Arc;

use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use hedgerow_base::Fault;
use hedgerow_control::ports::LastValue;
use hedgerow_model::{
    Profile, Property, Shape, Value,
    limits::{INTEGER_MAX, TEXT_BYTES_MAX},
    unit,
};
use hedgerow_registry::Device;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    device,
    visitor::{Trouble, Visitor, sentence},
    words,
};
use crate::{Bounds, People, rest::forms::Id};

/// The properties of a device that can be written, each with what it said last; nothing for those who may not.
pub(super) fn section(
    people: &People,
    visitor: &Visitor,
    device: &Device,
    last: &[LastValue],
) -> Markup {
    let Bounds { profile, overlay } = people.bounds_of(device);
    let is_open =
        |one: &&Property| profile.is_writable(&one.name) && !overlay.withheld.contains(&*one.name);
    let writable: Vec<_> = profile.properties().iter().filter(is_open).collect();
    html! {
        @if visitor.operates() && !device::is_over(device) && !writable.is_empty() {
            section {
                h2 { "Can be set" }
                ul.rows {
                    @for property in writable {
                        @let known = last.iter().find(|one| one.series == *property.name);
                        li {
                            span title=(property.description) { strong { (property.title) } " "
                                span.hint {
                                    @match known {
                                        Some(one) => { (words::value(&one.value, &property.unit)) ", " (words::moment(one.at, visitor.now())) },
                                        None => "not said yet",
                                    }
                                }
                            }
                            form.row method="post" action={ "/devices/" (device.key.id) "/write" } {
                                input type="hidden" name="property" value=(property.name);
                                (control(property, known.map(|one| &one.value)))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a value is chosen with.
fn control(property: &Property, known: Option<&Value>) -> Markup {
    let title = &property.title;
    let label = html! { @if property.unit.is_empty() { (title) } @else { (title) " in " (unit::sign(&property.unit)) } };
    let known = match known {
        Some(Value::Text(text)) => text.to_string(),
        Some(value) => value.borrow().to_string(),
        None => String::new(),
    };
    let set = html! { button aria-label={ "Set " (title) } { "Set" } };
    match &property.shape {
        Shape::Boolean => html! {
            @for (value, word) in [("true", "Yes"), ("false", "No")] {
                button name="value" value=(value) aria-label={ (title) ": " (word) } { (word) }
            }
        },
        Shape::Integer { minimum, maximum } => {
            let bound = |bound: i64| (bound.abs() < INTEGER_MAX).then_some(bound);
            html! {
                input type="number" name="value" required step="1" min=[bound(*minimum)] max=[bound(*maximum)] value=(known) aria-label=(label.into_string());
                (set)
            }
        }
        Shape::Number { minimum, maximum } => {
            let bound = |bound: f64| (bound.abs() < f64::MAX).then_some(bound);
            html! {
                input type="number" name="value" required step="any" min=[bound(*minimum)] max=[bound(*maximum)] value=(known) aria-label=(label.into_string());
                (set)
            }
        }
        Shape::Text { length_max, words } if words.is_empty() => html! {
            input name="value" maxlength=((*length_max).min(TEXT_BYTES_MAX)) value=(known) autocomplete="off" aria-label=(label.into_string());
            (set)
        },
        Shape::Text { words, .. } => html! {
            select name="value" aria-label=(label.into_string()) {
                @for word in words { option selected[**word == *known] { (word) } }
            }
            (set)
        },
    }
}

#[derive(Deserialize)]
pub(crate) struct WriteForm {
    property: String,
    value: String,
}

/// A value as it was written into a form, in JSON.
fn in_json(profile: &Profile, form: &WriteForm) -> String {
    match profile.property(&form.property).map(|property| &property.shape) {
        Some(Shape::Text { .. }) => serde_json::Value::from(form.value.as_str()).to_string(),
        Some(Shape::Boolean | Shape::Integer { .. } | Shape::Number { .. }) | None => {
            form.value.trim().to_owned()
        }
    }
}

pub(crate) async fn write(
    State(people): State<Arc<People>>,
    visitor: Visitor,
    Id(id): Id,
    Form(form): Form<WriteForm>,
) -> Result<Response, Trouble> {
    let device = people.control.device(&visitor.ctx, id).await?;
    let value = in_json(&people.bounds_of(&device).profile, &form);
    match people.control.write(&visitor.ctx, id, &form.property, value.as_bytes()).await {
        Ok(()) => Ok(Redirect::to(&format!("/devices/{id}?done=told")).into_response()),
        Err(failure) if !visitor.operates() || failure.fault == Fault::Broken => {
            Err(failure.into())
        }
        Err(failure) => {
            let said = html! { p.warning role="status" { "It was not told. " (sentence(&failure.reason)) } };
            let page = device::live(&people, &visitor, &device, said).await?;
            Ok((StatusCode::CONFLICT, page).into_response())
        }
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_model::TASMOTA_PLUG;

    use super::*;

    fn profile(property: &str) -> Profile {
        let plug = TASMOTA_PLUG.replacen(
            "\"properties\": {",
            &format!("\"properties\": {{ \"x\": {{ {property} }},"),
            1,
        );
        Profile::parse(plug.as_bytes()).unwrap()
    }

    #[test]
    fn a_text_is_quoted_and_a_number_is_not() {
        let json = |property: &str, value: &str| {
            let form = WriteForm { property: "x".into(), value: value.into() };
            in_json(&profile(property), &form)
        };
        assert_eq!(json(r#""type":"string""#, "a\"b"), r#""a\"b""#);
        assert_eq!(json(r#""type":"string""#, "7"), "\"7\"");
        assert_eq!(json(r#""type":"number""#, " 7.5 "), "7.5");
        assert_eq!(json(r#""type":"boolean""#, "true"), "true");
    }

    #[test]
    fn each_type_has_its_control_with_its_limits() {
        let shown = |property: &str, known: Option<&Value>| {
            control(profile(property).property("x").unwrap(), known).into_string()
        };
        let number = shown(
            r#""type":"number","minimum":5,"maximum":30,"unit":"Cel""#,
            Some(&Value::Number(21.5)),
        );
        for part in ["min=\"5\"", "max=\"30\"", "value=\"21.5\"", "°C"] {
            assert!(number.contains(part), "{part} in {number}");
        }
        let whole = shown(r#""type":"integer""#, None);
        assert!(whole.contains("step=\"1\"") && !whole.contains("min="), "{whole}");
        let night = Value::Text("night".into());
        let words = shown(r#""type":"string","enum":["day","night"]"#, Some(&night));
        assert!(words.contains("<option>day") && words.contains("<option selected>night"));
        let hostile = Value::Text("\"><b>".into());
        assert!(!shown(r#""type":"string","maxLength":9"#, Some(&hostile)).contains("<b>"));
        assert_eq!(shown(r#""type":"boolean""#, None).matches("<button").count(), 2);
    }
}
