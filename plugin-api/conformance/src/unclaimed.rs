//! What is not claimed must be refused: `Unsupported`, without a look at the body and without a
//! trace. That it comes without a transfer is what counts; how fast that is depends on the machine,
//! and the time limit of each case is bound enough.

use crate::body;
use crate::case::{Outcome, Stop};
use crate::trial::{Trial, not_applicable};
use holdall_plugin_api::{
    ByteRange, Capability, CopyObject, CopyOptions, CreateUpload, Custom, Delete, Download,
    Durability, Encryption, Error, ErrorKind, List, ListUploads, ListVersions, Operation, PutPart,
    ReadOptions, Result, Update, Upload, UploadOptions,
};
use std::time::SystemTime;

/// Uses a capability that is not claimed.
pub(crate) async fn is_refused(t: &Trial, capability: Capability) -> Outcome {
    match attempt(t, capability).await? {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        Err(error) => lied(format!(
            "`{capability}` is not claimed, but its use answers {} instead of unsupported",
            error.code()
        )),
        Ok(()) => lied(format!(
            "modestly: `{capability}` is not claimed, but its use succeeds"
        )),
    }
}

fn lied(why: String) -> Outcome {
    Err(Stop::Lied(why))
}

async fn attempt(t: &Trial, capability: Capability) -> Outcome<Result<(), Error>> {
    use Capability as C;
    match capability {
        C::CreateOnly => upload(t, |options| options.create_only = true).await,
        C::IfMatchPut => upload(t, |options| options.if_match = Some("kit")).await,
        C::ContentType => {
            upload(t, |options| {
                options.content_type = Some("application/x-holdall-kit")
            })
            .await
        }
        C::UserMetadata => upload(t, |options| options.metadata.push(("kit", "1"))).await,
        C::HeaderCacheControl => {
            upload(t, |options| {
                options.headers.cache_control = Some("no-store")
            })
            .await
        }
        C::HeaderContentDisposition => {
            upload(t, |options| {
                options.headers.content_disposition = Some("inline")
            })
            .await
        }
        C::HeaderContentEncoding => {
            upload(t, |options| options.headers.content_encoding = Some("gzip")).await
        }
        C::HeaderContentLanguage => {
            upload(t, |options| options.headers.content_language = Some("en")).await
        }
        C::Durability => upload(t, |options| options.durability = Some(Durability::Full)).await,
        C::IfMatchDelete => {
            let key = object(t).await?;
            let answer = t.delete(Delete::new(&key).if_match("kit")).await;
            t.holds(&key, OBJECT).await?;
            Ok(answer.map(drop))
        }
        C::IfMatchGet => read(t, |options| options.if_match = Some("*")).await,
        C::IfNoneMatchGet => read(t, |options| options.if_none_match = Some("kit")).await,
        C::IfTime => {
            read(t, |options| {
                options.if_unmodified_since = Some(SystemTime::now())
            })
            .await
        }
        C::Versions => read(t, |options| options.version = Some("kit")).await,
        C::Suffix => {
            let key = object(t).await?;
            let last = Download::new(&key).range(ByteRange::Last(1));
            Ok(t.download(last).await.map(drop))
        }
        C::CopyCreateOnly => {
            let (from, to) = (object(t).await?, t.key("copy"));
            let answer = t.copy(CopyObject::new(&from, &to).create_only()).await;
            t.is_absent(&to).await?;
            Ok(answer.map(drop))
        }
        C::StartAfter if t.has(Operation::List) => Ok(t
            .list(List::new(t.prefix()).start_after("a"))
            .await
            .map(drop)),
        C::AnyDelimiter if t.has(Operation::List) => {
            Ok(t.list(List::new(t.prefix()).delimiter("-")).await.map(drop))
        }
        C::Usage => Ok(t.usage().await.map(drop)),
        C::Custom => Ok(t.custom(Custom::new("kit", "")).await.map(drop)),
        C::Parts => {
            let key = t.key("refused");
            let create = t.create_upload(CreateUpload::new(&key)).await;
            let part = t.put_part(PutPart::new(&key, "kit", 1, "x")).await;
            let list = t.list_uploads(ListUploads::new(t.prefix())).await;
            t.is_absent(&key).await?;
            // Any one that works has lied.
            Ok(match (create, part, list) {
                (Err(error), Err(_), Err(_)) => Err(error),
                _ => Ok(()),
            })
        }
        C::ListVersions => Ok(t
            .list_versions(ListVersions::new(t.prefix()))
            .await
            .map(drop)),
        C::CopyIfMatch if t.has(Operation::Copy) && !t.claims(C::IfMatchPut) => {
            copied(t, |options| options.if_match = Some("kit")).await
        }
        C::CopySourceVersion if t.has(Operation::Copy) && !t.claims(C::Versions) => {
            copied(t, |options| options.source_version = Some("kit")).await
        }
        C::UpdateMetadata if !t.claims(C::CopyReplaceMetadata) && t.claims(C::UserMetadata) => {
            let key = object(t).await?;
            let answer = t.update(Update::new(&key).metadata([("kit", "1")])).await;
            t.holds(&key, OBJECT).await?;
            Ok(answer.map(drop))
        }
        C::UpdateHeaders if !t.claims(C::CopyReplaceMetadata) && t.claims(C::ContentType) => {
            let key = object(t).await?;
            let answer = t.update(Update::new(&key).content_type("text/x-kit")).await;
            t.holds(&key, OBJECT).await?;
            Ok(answer.map(drop))
        }
        C::StorageClass => upload(t, |options| options.storage_class = Some("KIT")).await,
        C::Tags => upload(t, |options| options.tags.push(("kit", "1"))).await,
        C::EncryptionManaged => {
            upload(t, |options| options.encryption = Some(Encryption::Managed)).await
        }
        C::EncryptionKeyId => {
            upload(t, |options| {
                options.encryption = Some(Encryption::Key("kit"))
            })
            .await
        }
        C::UnknownLength => not_applicable("the host spools bodies of unknown length"),
        _ => not_applicable(format!(
            "no request can only be honoured with `{capability}`, which is not claimed"
        )),
    }
}

async fn copied(
    t: &Trial,
    option: impl FnOnce(&mut CopyOptions<'static>),
) -> Outcome<Result<(), Error>> {
    let (from, to) = (object(t).await?, t.key("copy"));
    let mut options = CopyOptions::default();
    option(&mut options);
    let copy = CopyObject::new(&from, &to).with_options(Some(options));
    let answer = t.copy(copy).await;
    t.is_absent(&to).await?;
    Ok(answer.map(drop))
}

const OBJECT: &[u8] = b"an object of the kit";

async fn object(t: &Trial) -> Outcome<String> {
    let key = t.key("object");
    t.put(&key, OBJECT).await?;
    Ok(key)
}

async fn upload(
    t: &Trial,
    option: impl FnOnce(&mut UploadOptions<'static>),
) -> Outcome<Result<(), Error>> {
    let key = t.key("refused");
    let (body, pulls) = body::counted("x");
    let mut options = UploadOptions::default();
    option(&mut options);
    let upload = Upload::new(&key, body)
        .length(1)
        .with_options(Some(options));
    let answer = t.upload(upload).await;
    if answer.is_err() {
        if pulls.count() > 0 {
            lied("the body was read before the refusal".to_owned())?;
        }
        t.is_absent(&key).await?;
    }
    Ok(answer.map(drop))
}

async fn read(
    t: &Trial,
    option: impl FnOnce(&mut ReadOptions<'static>),
) -> Outcome<Result<(), Error>> {
    let key = object(t).await?;
    let mut options = ReadOptions::default();
    option(&mut options);
    let answer = t
        .download(Download::new(&key).with_options(Some(options)))
        .await;
    Ok(answer.map(drop))
}
