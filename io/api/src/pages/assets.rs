//! Stylesheet and scripts, in the binary. A file's URL carries a hash of its content, so that a browser
//! may keep it for ever.

use std::{io::Write, sync::LazyLock};

use axum::{
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

macro_rules! file {
    ($name:literal, $kind:literal, $path:literal) => {
        ($name, $kind, include_bytes!(concat!("../../assets/", $path)).as_slice())
    };
}

type File = (&'static str, &'static str, &'static [u8]);

const FILES: [File; 10] = [
    file!("style.css", "text/css; charset=utf-8", "style.css"),
    file!("theme.js", "text/javascript; charset=utf-8", "theme.js"),
    file!("hedgerow.js", "text/javascript; charset=utf-8", "hedgerow.js"),
    file!("passkey.js", "text/javascript; charset=utf-8", "passkey.js"),
    file!("chart.js", "text/javascript; charset=utf-8", "chart.js"),
    file!("topics.js", "text/javascript; charset=utf-8", "topics.js"),
    file!("icon.svg", "image/svg+xml", "icon.svg"),
    file!("htmx.js", "text/javascript; charset=utf-8", "vendor/htmx-4.0.1.min.js"),
    file!("uplot.js", "text/javascript; charset=utf-8", "vendor/uPlot-1.6.32.iife.min.js"),
    file!("uplot.css", "text/css; charset=utf-8", "vendor/uPlot-1.6.32.min.css"),
];

struct Asset {
    file: File,
    url: String,
    packed: Option<Vec<u8>>,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let asset = |file: File| {
        let digest = Sha256::digest(file.2);
        let hash: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Asset { file, url: format!("/assets/{hash}/{}", file.0), packed: pack(file.2) }
    };
    FILES.into_iter().map(asset).collect()
});

fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

/// Where a browser gets the file `name`.
pub(crate) fn url(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.file.0 == name).map_or("", |asset| asset.url.as_str())
}

/// A file. Its content never changes under its URL.
pub(crate) async fn serve(
    Path((hash, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let wanted = format!("/assets/{hash}/{name}");
    let Some(asset) = ASSETS.iter().find(|asset| asset.url == wanted) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let about = [
        (header::CONTENT_TYPE, asset.file.1),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "accept-encoding"),
    ];
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let takes_gzip = accepted.is_some_and(|said| said.split(',').any(|one| one.trim() == "gzip"));
    match asset.packed.as_deref().filter(|_| takes_gzip) {
        Some(packed) => (about, [(header::CONTENT_ENCODING, "gzip")], packed).into_response(),
        None => (about, asset.file.2).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_paint_of_the_heaviest_page_fits_in_its_budget() {
        let packed: usize =
            ASSETS.iter().filter_map(|asset| asset.packed.as_ref()).map(Vec::len).sum();
        // What is left of 100 KB is for the page itself.
        assert!(packed < 60_000, "{packed}");
        let (_, _, style) = FILES[0];
        assert!(style.len() < 20_000, "{}", style.len());
    }

    #[test]
    fn every_file_has_a_url_of_its_own() {
        for (name, ..) in FILES {
            assert!(url(name).ends_with(name), "{name}");
        }
        assert_eq!(url("none"), "");
    }
}
