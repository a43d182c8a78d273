use serde_json::Value;

use super::{Done, hub::Hub, show};

pub(crate) fn run(hub: &Hub, json: bool) -> Done {
    let status = hub.get("/status", &[])?;
    if json {
        show::json(&status);
        return Ok(());
    }
    println!("hub {} is up", show::text(&status, "version"));
    for (label, name) in [
        ("devices", "devices"),
        ("connected", "connected"),
        ("below full standing", "below_full"),
        ("claim codes waiting", "claims_open"),
        ("devices enrol at", "devices_url"),
        ("devices publish to", "mqtts"),
        ("fingerprint", "fingerprint"),
    ] {
        println!("  {label:20} {}", show::text(&status, name));
    }
    let refusals = status.get("refusals").and_then(Value::as_object);
    for (kind, count) in refusals.into_iter().flatten() {
        println!("  refused: {kind:11} {count}");
    }
    if let Some(warning) = status.get("warning").and_then(Value::as_str) {
        println!("\nWARNING: {warning}");
    }
    Ok(())
}
