//! The API is what its document says: schemathesis asks the program for all of it. By itself, after all
//! other tests, because it keeps the machine busy.

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

#[test]
fn the_api_is_what_its_document_says() {
    if std::env::var_os("EVENTLY_TEST_SCHEMATHESIS").is_none() {
        println!("left out: .ci/with-services has schemathesis");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/schemathesis");
    let run = Command::new(script).arg(env!("CARGO_BIN_EXE_evently")).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{out}\n{err}");
    // What was covered is told whether or not it failed: operations, cases, failures.
    let summary = out.find("SUMMARY").map_or(&*out, |at| &out[at..]);
    writeln!(io::stderr(), "schemathesis: {summary}").unwrap();
}
