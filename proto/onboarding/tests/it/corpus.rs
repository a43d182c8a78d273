//! Replays what the fuzz targets start from and what they found.

#[path = "../../../../fuzz/bodies/claim_code.rs"]
mod claim_code;
#[path = "../../../../fuzz/bodies/der.rs"]
mod der;
#[path = "../../../../fuzz/bodies/est_body.rs"]
mod est_body;
#[path = "../../../../fuzz/bodies/ocsp_request.rs"]
mod ocsp_request;
#[path = "../../../../fuzz/bodies/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn the_corpus_of_claim_code_holds() {
    replay("claim_code", claim_code::run);
}

#[test]
fn the_corpus_of_est_body_holds() {
    replay("est_body", est_body::run);
}

#[test]
fn the_corpus_of_der_holds() {
    replay("der", der::run);
}

#[test]
fn the_corpus_of_ocsp_request_holds() {
    replay("ocsp_request", ocsp_request::run);
}
