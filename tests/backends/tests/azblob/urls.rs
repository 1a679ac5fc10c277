//! Signed URLs in the hands of `curl`.

use crate::container::Container;
use holdall_backends::urls::Signed;
use holdall_backends::{Holdall, curl};

pub(crate) fn used_by_curl(container: &Container) {
    let holdall = Holdall::new("azblob", &container.below("signed/"));
    Signed {
        sign: &|method, expires| holdall.signed("b:folder/an object", method, expires),
        altered: &[
            ("an%20object", "another"),
            ("&sp=r", "&sp=rw"),
            ("&se=20", "&se=21"),
            ("&sig=", "&sig=A"),
        ],
        put: &["-H", "x-ms-blob-type: BlockBlob"],
        stored: "201",
        expired: "403",
    }
    .used_by_curl();

    let named = ["--method", "GET", "--download-name", "caf\u{e9}.txt"];
    let named = holdall.sign("b:folder/an object", &named);
    let (status, head) = curl(&["-D", "-", "-o", "/dev/null"], &named);
    assert_eq!(status, "200");
    let head = head.to_lowercase();
    let attachment = "content-disposition: attachment; filename=";
    assert!(head.contains(attachment), "{head}");
}
