use std::{future::Future, net::SocketAddr};

use axum::{
    Extension, Router,
    extract::Request,
    http::{StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use hedgerow_base::TenantId;
use hedgerow_listen::server::{Door, Handshakes, channel_binding, lapsed, now, peer};
use hedgerow_policy::{LapsedDevice, Peer};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{pin, select, time::timeout};

use crate::limits::{HEAD_BYTES_MAX, HEAD_TIME_MAX, STOP_TIME_MAX, STREAMS_MAX};

/// What a connection has proven, for its handlers.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The device whose certificate it showed.
    pub peer: Option<Peer>,
    /// The same when the certificate has expired; then there is no peer.
    pub lapsed: Option<LapsedDevice>,
    /// Base64 of its TLS exporter.
    pub binding: String,
    /// From where.
    pub from: SocketAddr,
}

fn http() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
    http
}

/// Serves `router` over TLS until `stop` is ready, then lets open requests end.
pub async fn serve_tls(
    door: Door,
    handshakes: Handshakes,
    router: Router,
    tenant: TenantId,
    stop: impl Future<Output = ()>,
) {
    let open = GracefulShutdown::new();
    pin!(stop);
    loop {
        let arrival = select! {
            arrival = door.next() => arrival,
            () = &mut stop => break,
        };
        let (handshakes, router, watcher) = (handshakes.clone(), router.clone(), open.watcher());
        tokio::spawn(async move {
            let from = arrival.from;
            let tls = match handshakes.shake(arrival.stream).await {
                Ok(tls) => tls,
                Err(error) => {
                    tracing::debug!(%error, "a handshake failed");
                    return;
                }
            };
            let connection = tls.get_ref().1;
            let Some(binding) = channel_binding(connection) else { return };
            let at = now();
            let (peer, lapsed) = (peer(connection, tenant, at), lapsed(connection, tenant, at));
            let caller = Caller { peer, lapsed, binding, from };
            let service = TowerToHyperService::new(router.layer(Extension(caller)));
            let http = http();
            let serving = http.serve_connection_with_upgrades(TokioIo::new(tls), service);
            if let Err(error) = watcher.watch(serving.into_owned()).await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(arrival.place);
        });
    }
    let _ = timeout(STOP_TIME_MAX, open.shutdown()).await;
}

/// Serves `router` over HTTP on loopback until `stop` is ready. Whoever is not on this machine, or
/// comes by a name that is not this machine's (DNS rebinding), is sent away.
pub async fn serve_local(door: Door, router: Router, stop: impl Future<Output = ()>) {
    let open = GracefulShutdown::new();
    let router = router.layer(from_fn(refuse_other_hosts));
    pin!(stop);
    loop {
        let arrival = select! {
            arrival = door.next() => arrival,
            () = &mut stop => break,
        };
        if !arrival.from.ip().is_loopback() {
            continue;
        }
        let (router, watcher) = (router.clone(), open.watcher());
        tokio::spawn(async move {
            let service = TowerToHyperService::new(router);
            let http = http();
            let serving =
                http.serve_connection_with_upgrades(TokioIo::new(arrival.stream), service);
            if let Err(error) = watcher.watch(serving.into_owned()).await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(arrival.place);
        });
    }
    let _ = timeout(STOP_TIME_MAX, open.shutdown()).await;
}

async fn refuse_other_hosts(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let name = host.or(authority).unwrap_or_default();
    let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
    if matches!(name, "localhost" | "127.0.0.1" | "[::1]") {
        return next.run(request).await;
    }
    let text = "this door is for this machine only: use http://localhost\n";
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}
