use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_core::Stream;
use hedgerow_control::Failure;
use hedgerow_plane::{Watched, Watcher};
use serde_json::json;

use super::{forms::Id, readings::Measured};
use crate::{
    People,
    door::SignedIn,
    problem::{Problem, Refused},
};

/// How often a comment says that the stream lives.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

struct Values(Watcher);

impl Stream for Values {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next(context).map(|live| {
            let data = json!({
                "property": live.name.as_ref(),
                "timestamp": live.at.to_string(),
                "value": Measured::from(&live.value),
            });
            Some(Ok(Event::default().event("reading").data(data.to_string())))
        })
    }
}

/// A device's readings as they come, as server-sent events.
#[utoipa::path(get, path = "/api/v1/devices/{id}/live", tag = "telemetry",
    params(("id" = String, Path, description = "The device's id")), responses(
    (status = 200, description = "Events named `reading` with property, timestamp and value in JSON",
        body = String, content_type = "text/event-stream"),
    (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn live(
    State(people): State<Arc<People>>,
    who: SignedIn,
    Id(id): Id,
) -> Result<Response, Refused> {
    let device = people.control.device(&who.ctx, id).await?;
    let watched = Watched::Device(device.key.tenant, id);
    let watcher = people.bus.watch(watched);
    let watcher = watcher.map_err(|refusal| Failure::new(refusal.fault, refusal.reason))?;
    let alive = KeepAlive::new().interval(ALIVE_EVERY);
    Ok(Sse::new(Values(watcher)).keep_alive(alive).into_response())
}
