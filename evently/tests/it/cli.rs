//! The command line.

use crate::server::evently;

/// What the program said and how it ended: status, standard output, standard error.
async fn run(args: &[&str]) -> (i32, String, String) {
    let output = evently().args(args).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn help_and_version_are_results() {
    for args in [["--help"], ["-h"]] {
        let (status, out, err) = run(&args).await;
        assert_eq!((status, err.as_str()), (0, ""));
        assert!(out.contains("Usage: evently") && out.contains("Examples:"), "{out}");
    }
    let (status, out, _) = run(&["--version"]).await;
    assert_eq!((status, out), (0, format!("evently {}\n", env!("CARGO_PKG_VERSION"))));
}
