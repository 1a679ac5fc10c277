use super::*;
use holdall_conformance::wire::{Endpoint, Reply};
use object_store::memory::InMemory;

#[test]
fn a_completion_names_its_parts() {
    let part = |number, sha256: Option<&str>| Named {
        number,
        etag: "\"e\"".to_owned(),
        sha256: sha256.map(str::to_owned),
        crc64nvme: None,
    };
    let parts = vec![part(1, None), part(7, Some("YQ=="))];
    assert_eq!(
        quick_xml::se::to_string(&Completion { parts }).unwrap(),
        "<CompleteMultipartUpload>\
         <Part><PartNumber>1</PartNumber><ETag>\"e\"</ETag></Part>\
         <Part><PartNumber>7</PartNumber><ETag>\"e\"</ETag><ChecksumSHA256>YQ==</ChecksumSHA256></Part>\
         </CompleteMultipartUpload>"
    );
}

#[test]
fn only_the_result_of_a_completion_is_a_success() {
    let answer = |text: &'static str| completed(&http::Response::new(text.into()));
    let good = "<CompleteMultipartUploadResult><ETag>&quot;e-2&quot;</ETag></CompleteMultipartUploadResult>";
    assert_eq!(answer(good).unwrap().e_tag.as_deref(), Some("\"e-2\""));
    for other in ["", "<Other><ETag>e</ETag></Other>"] {
        let refused = answer(other).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{other}");
    }
}

#[test]
fn the_etag_of_a_digested_part() {
    let described = "<PartMetadata><e_tag>&quot;e&quot;</e_tag><checksum_sha256>YQ==</checksum_sha256></PartMetadata>";
    assert_eq!(etag_of(described.to_owned()), "\"e\"");
    assert_eq!(etag_of("\"e\"".to_owned()), "\"e\"");
}

#[test]
fn what_a_store_says_of_a_completion() {
    let said = |code: &str| {
        let reply = holdall_plugin_api::ProviderReply::new().code(Some(code.to_owned()));
        let error = of_completion(Error::new(ErrorKind::Other).with_provider(reply), false);
        (error.kind(), error.code().to_owned())
    };
    assert_eq!(
        said("NoSuchUpload"),
        (ErrorKind::FileNotFound, "upload_not_found".to_owned())
    );
    assert_eq!(said("EntityTooSmall").0, ErrorKind::InvalidArgument);
}

/// A store with one upload of one part, which loses its first answer to a completion or an abort.
async fn forgetful() -> (Endpoint, OpenedStore, Multipart) {
    let mut asked = 0;
    let endpoint = Endpoint::start(move |request| {
        asked += u32::from(request.method != Method::GET);
        match (request.method.as_str(), asked) {
            ("GET", _) => Reply::new(200).body(
                "<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber><LastModified>2026-11-26T08:00:00Z</LastModified><ETag>&quot;e&quot;</ETag><Size>7</Size></Part></ListPartsResult>",
            ),
            (_, 1) => Reply::lost(),
            _ => Reply::new(404).body("<Error><Code>NoSuchUpload</Code></Error>"),
        }
    })
    .await;
    let requests = crate::requests::tests::of(&endpoint.url());
    let store = OpenedStore::new(InMemory::new());
    let multipart = Multipart::new(Arc::new(InMemory::new()), requests);
    (endpoint, store, multipart)
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_is_not_repeated_blindly() {
    let (endpoint, store, multipart) = forgetful().await;
    let parts = [Part::new(1, "\"e\"", 7)];
    let plain = CompleteUpload::new("k", "id", &parts);
    let error = multipart.complete(&store, &plain).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.message().contains("look at the object"), "{error}");

    let (again, store, multipart) = forgetful().await;
    let conditional = multipart.complete(&store, &plain.create_only()).await;
    assert_eq!(conditional.unwrap_err().kind(), ErrorKind::Unavailable);
    let posts = |endpoint: &Endpoint| {
        let seen = endpoint.seen().into_iter();
        seen.filter(|seen| seen.method == Method::POST).count()
    };
    assert_eq!((posts(&endpoint), posts(&again)), (2, 1));
    assert_eq!(again.seen()[1].header("if-none-match"), "*");
}

#[tokio::test]
async fn an_abort_whose_answer_was_lost_is_done() {
    let (_endpoint, store, multipart) = forgetful().await;
    let abort = AbortUpload::new("k", "id");
    multipart.abort(&store, &abort).await.unwrap();
    let error = multipart.abort(&store, &abort).await.unwrap_err();
    assert_eq!(error.code(), "upload_not_found");
}

#[tokio::test]
async fn parts_that_are_not_there_are_named_before_the_store_is_asked() {
    let (endpoint, store, multipart) = forgetful().await;
    for (number, etag) in [(1, "\"other\""), (2, "\"e\"")] {
        let parts = [Part::new(number, etag, 7)];
        let complete = CompleteUpload::new("k", "id", &parts);
        let error = multipart.complete(&store, &complete).await.unwrap_err();
        assert_eq!(error.code(), "invalid_part");
        assert_eq!(error.fact("part"), Some(&*number.to_string()));
    }
    assert!(
        endpoint
            .seen()
            .iter()
            .all(|seen| seen.method == Method::GET)
    );
}

#[tokio::test]
async fn pages_of_parts_that_do_not_move_on_end() {
    let mut pages = 0;
    let endpoint = Endpoint::start(move |_| {
        pages += 1;
        // Ends after all, so that the test fails instead of waiting.
        let truncated = pages < 20;
        Reply::new(200).body(format!(
            "<ListPartsResult><IsTruncated>{truncated}</IsTruncated><NextPartNumberMarker>1</NextPartNumberMarker><Part><PartNumber>1</PartNumber><LastModified>2026-11-26T08:00:00Z</LastModified><ETag>&quot;e&quot;</ETag><Size>7</Size></Part></ListPartsResult>"
        ))
    })
    .await;
    let store = OpenedStore::new(InMemory::new());
    let requests = crate::requests::tests::of(&endpoint.url());
    let multipart = Multipart::new(Arc::new(InMemory::new()), requests);
    let parts = [Part::new(1, "\"e\"", 7)];
    let complete = CompleteUpload::new("k", "id", &parts);
    let error = multipart.complete(&store, &complete).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(endpoint.seen().len(), 2);
}
