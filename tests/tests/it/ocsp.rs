//! `openssl ocsp` asks how it stands with certificates, and curl carries it.

use std::{fs, thread, time::Duration};

use hedgerow_scenarios::{RunningHub, TestDevice};
use serde_json::{Value, json};

/// `ask ISSUER OPTION...` asks about certificates and prints what openssl makes of the answer, signature and nonce; `fetch REQUEST ANSWER` carries one over HTTPS.
const WORDS: &str = r#"
fetch() {
  curl --silent --show-error --fail --cacert root.pem --header 'Content-Type: application/ocsp-request' \
    --data-binary "@$1" --output "$2" "https://$DEVICES/ocsp"
}
ask() { openssl ocsp -issuer "$1" "${@:2}" -url "https://$DEVICES/ocsp" -CAfile root.pem -verify_other "$1" 2>&1; }
status() { openssl asn1parse -inform DER -in "$1" | grep -o 'ENUMERATED *:.*' | head -1; }
"#;

fn script(hub: &RunningHub, script: &str) -> String {
    hub.script(&format!("{WORDS}\n{script}"))
}

/// Writes the hub's certificates as `root.pem`, `issuing0.pem` (the newest) and on, `server.pem`.
fn written(hub: &RunningHub) {
    let write = |name: &str, one: &Value| {
        fs::write(hub.folder().join(name), one["pem"].as_str().unwrap()).unwrap();
    };
    write("root.pem", &hub.own("root")[0]);
    write("server.pem", &hub.own("server")[0]);
    for (number, issuing) in hub.own("issuing").iter().enumerate() {
        write(&format!("issuing{number}.pem"), issuing);
    }
}

/// A device that is enrolled, its certificate as `NAME.pem`.
fn device(hub: &RunningHub, name: &str) -> TestDevice {
    let device = TestDevice::enrolled(hub, name);
    let pem = hedgerow_onboarding::est::to_pem(&device.certificate());
    fs::write(hub.folder().join(format!("{name}.pem")), pem).unwrap();
    device
}

#[test]
fn openssl_is_told_who_is_good_revoked_and_unknown() {
    let hub = RunningHub::start(&[]);
    written(&hub);
    let [_good, gone] = ["lamp", "gone"].map(|name| device(&hub, name));
    let said = script(&hub, "ask issuing0.pem -cert gone.pem -no_nonce");
    assert!(said.contains("Response verify OK") && said.contains("gone.pem: good"), "{said}");
    hub.post(&format!("/api/v1/devices/{}/revoke", gone.id()), &json!({"reason": "test"}));

    for options in ["", "-no_nonce", "-sha256"] {
        let all = format!(
            "ask issuing0.pem {options} -cert lamp.pem -cert gone.pem -cert server.pem \
               -serial 0x4142434445464748494a4b4c4d4e4f50 -serial 5"
        );
        let said = script(&hub, &all);
        for line in
            ["Response verify OK", "lamp.pem: good", "gone.pem: revoked", "server.pem: good"]
        {
            assert!(said.contains(line), "{options} {line}: {said}");
        }
        assert!(said.contains("Revocation Time:") && said.contains("Reason: "), "{said}");
        assert_eq!(said.matches(": unknown").count(), 2, "{said}");
        assert!(!said.contains("no nonce in response"), "{said}");
    }
    let said = script(&hub, "ask issuing0.pem -no_nonce -cert gone.pem");
    assert!(said.contains("gone.pem: revoked"), "what was kept is forgotten: {said}");
    let listed = script(
        &hub,
        "curl --silent --cacert root.pem https://$DEVICES/crl/issuing.crl >crl.der
         openssl crl -inform DER -in crl.der -noout -text
         openssl crl -inform DER -in crl.der -out crl.pem
         cat root.pem issuing0.pem >chain.pem
         openssl verify -crl_check -CAfile chain.pem -CRLfile crl.pem lamp.pem
         ! openssl verify -crl_check -CAfile chain.pem -CRLfile crl.pem gone.pem 2>&1",
    );
    assert!(listed.contains("lamp.pem: OK") && listed.contains("certificate revoked"), "{listed}");
}

#[test]
fn the_root_answers_for_issuing_cas_and_a_distrusted_one_for_what_it_signed() {
    let hub = RunningHub::start(&[]);
    let _old = device(&hub, "old");
    hub.post("/api/v1/authority/rotate", &json!({}));
    let _new = device(&hub, "new");
    written(&hub);
    let said = script(&hub, "ask root.pem -cert issuing0.pem -cert issuing1.pem -cert new.pem");
    assert!(said.contains("issuing0.pem: good") && said.contains("issuing1.pem: good"), "{said}");
    assert!(said.contains("new.pem: unknown"), "the root did not issue it: {said}");
    let agreed = json!({"reason": "cACompromise", "cut_off": 9});
    hub.post("/api/v1/authority/distrust", &agreed);
    let said = script(&hub, "ask root.pem -cert issuing0.pem -cert issuing1.pem");
    assert!(said.contains("issuing0.pem: good"), "{said}");
    assert!(said.contains("issuing1.pem: revoked") && said.contains("cACompromise"), "{said}");
    let said = script(&hub, "ask issuing1.pem -cert old.pem");
    assert!(said.contains("old.pem: revoked") && said.contains("cACompromise"), "{said}");
    let said = script(&hub, "ask issuing0.pem -cert new.pem");
    assert!(said.contains("new.pem: good"), "{said}");
}

#[test]
fn what_can_not_be_answered_is_refused_by_what_is_wrong_with_it() {
    let hub = RunningHub::start(&[]);
    written(&hub);
    let _lamp = device(&hub, "lamp");
    let said = script(
        &hub,
        "echo nonsense >bad; fetch bad out; status out
         openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout k -subj /CN=x \
           -out foreign.pem 2>/dev/null
         openssl ocsp -issuer foreign.pem -cert lamp.pem -reqout request.der >/dev/null
         fetch request.der out; status out
         openssl ocsp -issuer issuing0.pem $(printf -- '-serial %s ' $(seq 16)) -reqout request.der >/dev/null
         fetch request.der out; status out
         openssl ocsp -issuer issuing0.pem $(printf -- '-serial %s ' $(seq 17)) -reqout request.der >/dev/null
         fetch request.der out; status out",
    );
    let statuses: Vec<_> = said.lines().map(|line| line.rsplit(':').next().unwrap()).collect();
    assert_eq!(statuses, ["01", "06", "00", "01"], "{said}");
}

#[test]
fn a_word_is_kept_for_all_and_one_for_a_single_asker_is_signed_so_often_and_no_more() {
    let hub = RunningHub::start(&[]);
    written(&hub);
    let _lamp = device(&hub, "lamp");
    // RFC 5019: a request in the address, whose answer may be kept on the way.
    let said = script(
        &hub,
        "openssl ocsp -issuer issuing0.pem -cert lamp.pem -no_nonce -reqout request.der >/dev/null
         name=$(base64 -w0 request.der)
         escaped=$(sed 's|+|%2B|g; s|/|%2F|g; s|=|%3D|g' <<<\"$name\")
         for way in \"$name\" \"$escaped\"; do
           curl --silent --fail --cacert root.pem -D - -o \"answer.der\" \"https://$DEVICES/ocsp/$way\"
           openssl ocsp -issuer issuing0.pem -cert lamp.pem -no_nonce -respin answer.der -CAfile root.pem \
             -verify_other issuing0.pem 2>&1
           sha256sum answer.der
         done",
    );
    assert_eq!(said.matches("lamp.pem: good").count(), 2, "{said}");
    assert!(said.contains("max-age=") && said.contains("must-revalidate"), "{said}");
    assert!(said.contains("content-type: application/ocsp-response"), "{said}");
    let sums: Vec<_> = said.lines().filter(|line| line.ends_with("answer.der")).collect();
    assert!(sums.len() == 2 && sums[0] == sums[1], "the same bytes: {sums:?}");

    let said = script(
        &hub,
        "openssl ocsp -issuer issuing0.pem -cert lamp.pem -reqout nonce.der >/dev/null
         openssl ocsp -issuer issuing0.pem -cert lamp.pem -no_nonce -reqout plain.der >/dev/null
         many() {
           for n in $(seq 600); do printf 'url = \"https://%s/ocsp\"\noutput = \"many/%s\"\n' $DEVICES $1$n; done >urls
           curl --silent --cacert root.pem --data-binary @$1.der --config urls
           find many -name \"$1*\" | wc -l
           find many -name \"$1*\" -size -6c -exec cat {} + | xxd -p | fold -w 10 | sort | uniq -c
         }
         mkdir many; many nonce; many plain",
    );
    let lines: Vec<_> = said.lines().map(str::trim).collect();
    let [600, later, 600] = [lines[0], lines[1].split(' ').next().unwrap(), lines[2]]
        .map(|count| count.parse::<usize>().unwrap())
    else {
        panic!("{said}")
    };
    assert!(lines.len() == 3 && (1..=400).contains(&later), "what is kept costs nothing: {said}");
    assert!(lines[1].ends_with("30030a0103"), "tryLater: {said}");
}

#[test]
fn a_delta_adds_to_the_list_that_a_client_has() {
    let hub = RunningHub::start(&[]);
    written(&hub);
    let [_lamp, gone, early] = ["lamp", "gone", "early"].map(|name| device(&hub, name));
    hub.post(&format!("/api/v1/devices/{}/revoke", early.id()), &json!({"reason": "test"}));
    let words = "
        cat root.pem issuing0.pem >chain.pem
        list() { curl --silent --fail --cacert root.pem \"https://$DEVICES/crl/$1\" | openssl crl -inform DER -out \"$2\"; }
        check() { openssl verify -crl_check -CAfile chain.pem \"$@\" 2>&1 || true; }
        number() { openssl crl -in $1 -noout -text | grep -A1 \"$2\" | tail -1 | tr -d ' '; }";
    let run = |what: &str| script(&hub, &format!("{words}\n{what}"));
    run("list issuing.crl base.pem; list issuing.delta.crl first.pem");
    let said = run(
        "number base.pem 'X509v3 CRL Number'; number first.pem 'X509v3 CRL Number'
                    number first.pem 'Delta CRL Indicator'; openssl crl -in first.pem -noout -text",
    );
    let numbers: Vec<_> = said.lines().take(3).collect();
    assert!(numbers.iter().all(|number| *number == numbers[0]), "the base of itself: {numbers:?}");
    assert!(said.contains("No Revoked Certificates"), "{said}");

    // Of the next second: openssl takes a newer delta for a list, unless it is told of extended ones.
    thread::sleep(Duration::from_millis(1_100));
    hub.post(&format!("/api/v1/devices/{}/revoke", gone.id()), &json!({"reason": "test"}));
    // Where the list says that its delta is; by the hub's own name, whatever the machine calls itself.
    run("url=$(openssl crl -in base.pem -noout -text | grep -o 'https://.*delta.crl')
         curl --silent --fail --cacert root.pem --connect-to \"::127.0.0.1:\" \"$url\" | openssl crl -inform DER -out delta.pem
         cat base.pem delta.pem >both.pem; list issuing.crl whole.pem");
    let said = run("openssl crl -in delta.pem -noout -text -CAfile chain.pem");
    assert!(said.contains("verify OK") && said.contains("Delta CRL Indicator: critical"), "{said}");
    assert_eq!(said.matches("Serial Number").count(), 1, "only what came since: {said}");
    let same = run("number delta.pem 'Delta CRL Indicator'; number base.pem 'X509v3 CRL Number'
                    number delta.pem 'X509v3 CRL Number'; number whole.pem 'X509v3 CRL Number'");
    let [of, base, delta, whole] = same.lines().collect::<Vec<_>>()[..] else { panic!("{same}") };
    assert!(of == base && delta == whole && delta != base, "{same}");

    let said = run("check -CRLfile base.pem gone.pem");
    assert!(said.contains("gone.pem: OK"), "the old list alone does not know: {said}");
    for lists in ["-use_deltas -extended_crl -CRLfile both.pem", "-CRLfile whole.pem"] {
        for (name, is) in [
            ("gone", "certificate revoked"),
            ("early", "certificate revoked"),
            ("lamp", "lamp.pem: OK"),
        ] {
            let said = run(&format!("check {lists} {name}.pem"));
            assert!(said.contains(is), "{lists} {name}: {said}");
        }
    }
    let said = run("list root.crl root.list; list root.delta.crl root.delta
                    openssl crl -in root.list -noout -text | grep -o 'root.delta.crl'
                    curl --silent --cacert root.pem https://$DEVICES/crl/other.delta.crl");
    assert!(said.contains("root.delta.crl") && said.contains("list"), "{said}");
}
