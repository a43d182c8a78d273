//! The names that a profile is written with. The JSON Schema in `docs/guide` has the same ones; a test
//! holds that.

/// The context of TD 1.1, first in `@context`.
pub const TD_CONTEXT: &str = "https://www.w3.org/2022/wot/td/v1.1";

/// What the prefix `hedgerow:` must stand for in `@context`.
pub const NAMESPACE: &str = "urn:hedgerow:vocabulary:1#";

/// The `@type` of a Thing Model.
pub const THING_MODEL: &str = "tm:ThingModel";

/// The prefix of our own terms.
pub const PREFIX: &str = "hedgerow:";

/// Our terms on the thing.
pub const THING_TERMS: [&str; 7] = [
    "hedgerow:endOfSupport",
    "hedgerow:maker",
    "hedgerow:model",
    "hedgerow:networkPeers",
    "hedgerow:passes",
    "hedgerow:subscribes",
    "hedgerow:variables",
];

/// Our terms on a property.
pub const PROPERTY_TERMS: [&str; 6] = [
    "hedgerow:dataClass",
    "hedgerow:precision",
    "hedgerow:purpose",
    "hedgerow:rateMax",
    "hedgerow:resolution",
    "hedgerow:retentionDays",
];

/// Our terms on an event.
pub const EVENT_TERMS: [&str; 4] =
    ["hedgerow:dataClass", "hedgerow:purpose", "hedgerow:rateMax", "hedgerow:retentionDays"];

/// Our terms on an action.
pub const ACTION_TERMS: [&str; 1] = ["hedgerow:purpose"];

/// Our terms on a form.
pub const FORM_TERMS: [&str; 10] = [
    "hedgerow:body",
    "hedgerow:constant",
    "hedgerow:metric",
    "hedgerow:offset",
    "hedgerow:payload",
    "hedgerow:pointer",
    "hedgerow:scale",
    "hedgerow:time",
    "hedgerow:timeFormat",
    "hedgerow:words",
];

/// What the prefix `mqv:` must stand for in `@context` when a form has terms of it: the W3C's MQTT binding.
pub const MQTT_NAMESPACE: &str = "https://www.w3.org/2019/wot/mqtt#";

/// The prefix of the terms of the MQTT binding.
pub const MQTT_PREFIX: &str = "mqv:";

/// The terms of the MQTT binding on a form. The quality of service and the retain flag are the device's
/// and the hub's own affair, and passed over.
pub const MQTT_TERMS: [&str; 5] =
    ["mqv:controlPacket", "mqv:filter", "mqv:qos", "mqv:retain", "mqv:topic"];

/// What a variable of foreign topics may say of itself.
pub const VARIABLE_MEMBERS: [&str; 3] = ["default", "levels", "title"];

/// The words of `hedgerow:dataClass`.
pub const DATA_CLASSES: [&str; 4] = ["technical", "usage", "personal", "sensitive"];

/// The members of a property's data schema that are understood; others of TD 1.1 are passed over.
pub const PROPERTY_MEMBERS: [&str; 9] = [
    "description",
    "enum",
    "maxLength",
    "maximum",
    "minimum",
    "observable",
    "readOnly",
    "type",
    "unit",
];
