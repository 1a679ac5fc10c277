//! What browsers are given to protect their users.

use holdall_server_tests::{Served, open};

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_others_run_in_a_sandbox() {
    let mut settings = open();
    settings.unsandboxed.insert("local".to_owned());
    let server = Served::with(settings).await;
    for (content_type, sandboxed) in [
        ("text/html; charset=utf-8", true),
        ("TEXT/HTML", true),
        ("image/svg+xml", true),
        ("application/xhtml+xml", true),
        ("text/xml", true),
        ("image/png", false),
        ("text/plain", false),
    ] {
        for backend in ["memory", "local"] {
            let path = format!("/v1/{backend}/page");
            let headers = [("content-type", content_type)];
            let put = server
                .send("PUT", &path, &headers, "<script>alert(1)</script>")
                .await;
            assert_eq!(put.code(), 200, "{put:?}");
            for method in ["GET", "HEAD"] {
                let answer = server.send(method, &path, &[], "").await;
                let policy = if sandboxed && backend == "memory" {
                    "sandbox"
                } else {
                    ""
                };
                assert_eq!(
                    answer.header("content-security-policy"),
                    policy,
                    "{backend} {content_type}"
                );
            }
        }
    }
}
