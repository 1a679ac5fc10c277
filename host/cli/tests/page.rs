//! The configurations that README.md shows are accepted as they stand.

use holdall::config::{Config, Sources};

const PAGE: &str = include_str!("../README.md");

#[test]
fn configurations_of_the_page_are_valid() {
    let blocks: Vec<_> = PAGE
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(!blocks.is_empty());
    let mut backends = 0;
    for block in blocks {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("holdall.toml");
        std::fs::write(&file, block).unwrap();
        let mut sources = Sources::default();
        sources.default_file = Some(file);
        let (config, problems) = Config::read(&sources);
        assert!(problems.is_empty(), "{problems}\n{block}");
        backends += config.backends.len();
    }
    assert!(backends > 0, "no block of the page names a backend");
}
