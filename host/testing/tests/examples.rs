//! The examples of the page and of the sources, compiled and run. They cannot be doc tests of a workspace
//! run: doc tests are linked last, and by then the end-to-end tests have run `cargo build`, which wrote
//! `libholdall_plugin_memory.rlib` with other features. The crate is a cdylib too, so that the name of the
//! file has no hash (E0460).
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod page {
    use holdall::{Download, ErrorKind, Operation, Upload};
    use holdall_testing::{Fault, TestBackend};

    #[tokio::main(flavor = "current_thread")]
    async fn main() -> holdall::Result<()> {
        let test = TestBackend::new();
        let backend = test.backend().await?;
        backend.upload(Upload::new("a", "some text")).await?;

        // The next download fails, the one after that succeeds.
        test.inject(
            Operation::Download,
            Fault::error(ErrorKind::RateLimited).times(1),
        );
        let error = backend.download(Download::new("a")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(
            backend
                .download(Download::new("a"))
                .await?
                .body
                .collect(64)
                .await?,
            "some text"
        );
        assert_eq!(test.calls(Operation::Download), 2);
        Ok(())
    }

    #[test]
    fn runs() {
        main().unwrap();
    }
}

mod with_capabilities {
    use holdall::{Capabilities, ErrorKind, Upload};
    use holdall_testing::TestBackend;

    #[tokio::main(flavor = "current_thread")]
    async fn main() -> holdall::Result<()> {
        let test = TestBackend::with_capabilities(Capabilities::atomic_put);
        let upload = Upload::new("a", "text").create_only();
        let error = test.backend().await?.upload(upload).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        Ok(())
    }

    #[test]
    fn runs() {
        main().unwrap();
    }
}

mod registration {
    use holdall::{Host, KeyPolicy, config::Config};
    use holdall_testing::TestBackend;

    #[tokio::main(flavor = "current_thread")]
    async fn main() -> holdall::Result<()> {
        let test = TestBackend::new();
        let host = Host::builder()
            .config(Config::default())
            .build()
            .expect("builds");
        host.register("avatars", test.registration().key_policy(KeyPolicy::Opaque))?;
        assert_eq!(host.backend("avatars").await?.name(), "avatars");
        Ok(())
    }

    #[test]
    fn runs() {
        main().unwrap();
    }
}

mod inject {
    use holdall::{Delete, ErrorKind, Operation};
    use holdall_testing::{Fault, TestBackend};

    #[tokio::main(flavor = "current_thread")]
    async fn main() -> holdall::Result<()> {
        let test = TestBackend::new();
        let backend = test.backend().await?;
        let denied = Fault::error(ErrorKind::PermissionDenied).on_key("kept");
        test.inject(Operation::Delete, denied);
        backend.delete(Delete::new("other")).await?;
        assert!(backend.delete(Delete::new("kept")).await.is_err());
        Ok(())
    }

    #[test]
    fn runs() {
        main().unwrap();
    }
}

mod resume {
    use holdall::{Operation, Upload};
    use holdall_testing::{Fault, TestBackend};

    #[tokio::main(flavor = "current_thread")]
    async fn main() -> holdall::Result<()> {
        let test = TestBackend::new();
        let backend = test.backend().await?;
        test.inject(Operation::Upload, Fault::pause());
        let upload = tokio::spawn(async move { backend.upload(Upload::new("a", "text")).await });
        while test.calls(Operation::Upload) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(!upload.is_finished());
        test.resume(1);
        upload.await.expect("no panic")?;
        Ok(())
    }

    #[test]
    fn runs() {
        main().unwrap();
    }
}

mod error {
    #[test]
    fn runs() {
        use holdall::{Error, ErrorKind};
        use holdall_testing::Fault;

        let by_kind = Fault::error(ErrorKind::Unavailable);
        let whole = Fault::error(Error::new(ErrorKind::RateLimited).with_message("slow down"));
        drop((by_kind, whole));
    }
}

/// Blocks of Rust in a page, or in the doc comments of a source.
fn blocks(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| {
        let line = line.trim_start();
        line.strip_prefix("///").map_or(line, str::trim_start)
    });
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in lines {
        if let Some(language) = line.strip_prefix("```") {
            match open.take() {
                Some(block) => blocks.push(block),
                None => {
                    open = Some(language.to_owned()).filter(|name| ["", "rust"].contains(&&**name))
                }
            }
        } else if let Some(block) = &mut open {
            // A hidden line of an example is code as well.
            block.push_str(line.strip_prefix("# ").unwrap_or(line));
        }
    }
    blocks
        .into_iter()
        .map(|block| tokens(block.trim_start_matches("rust")))
        .collect()
}

/// A text without what rustfmt may change.
fn tokens(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_whitespace() && *letter != ',')
        .collect()
}

#[test]
fn every_example_is_in_this_file() {
    let compiled = tokens(include_str!("examples.rs"));
    let mut seen = 0;
    for text in [
        include_str!("../README.md"),
        include_str!("../src/lib.rs"),
        include_str!("../src/fault.rs"),
    ] {
        for block in blocks(text) {
            assert!(
                compiled.contains(&block),
                "not in tests/examples.rs: {block}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
}
