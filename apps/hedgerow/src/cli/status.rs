use serde_json::Value;

use super::{
    Done,
    hub::Hub,
    show::{self, out},
};

pub(crate) fn run(hub: &Hub, json: bool) -> Done {
    let status = hub.get("/status", &[])?;
    if json {
        show::json(&status);
        return Ok(());
    }
    out!("hub {} is up", show::text(&status, "version"));
    for (label, name) in [
        ("devices", "devices"),
        ("connected", "connected"),
        ("below full standing", "below_full"),
        ("claim codes waiting", "claims_open"),
        ("devices enrol at", "devices_url"),
        ("devices publish to", "mqtts"),
        ("fingerprint", "fingerprint"),
    ] {
        out!("  {label:20} {}", show::text(&status, name));
    }
    let refusals = status.get("refusals").and_then(Value::as_object);
    for (kind, count) in refusals.into_iter().flatten() {
        out!("  refused: {kind:11} {count}");
    }
    if let Some(warning) = status.get("warning").and_then(Value::as_str) {
        out!("\nWARNING: {warning}");
    }
    Ok(())
}
