//! S: what is kept beside the bytes: changes, tags, classes, encryption.

use super::uploads::infos;
use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::trial::{Trial, not_applicable};
use crate::watch::refused;
use holdall_plugin_api::{
    Capability, CopyObject, CreateUpload, Download, Encrypted, Encryption, ErrorKind, Head,
    Operation, Part, PutPart, Update, Upload,
};

const TAGS: Tag = Tag::Cap(Capability::Tags);

pub(super) const CASES: &[Case] = &[
    case!(
        "S-01",
        Tag::Cap(Capability::UpdateHeaders),
        "content type and headers change, the bytes and all else stay",
        headers
    ),
    case!(
        "S-02",
        Tag::Cap(Capability::UpdateMetadata),
        "user metadata changes as a whole, all else stays",
        metadata
    ),
    case!(
        "S-03",
        Tag::Cap(Capability::UpdateTags),
        "tags change as a whole, all else stays",
        new_tags
    ),
    case!(
        "S-04",
        Tag::Op(Operation::Update),
        "an update of a missing object is FileNotFound and makes none",
        missing
    ),
    case!(
        "S-05",
        Tag::Op(Operation::Update),
        "an update under if_match needs the object's etag",
        if_match
    ),
    case!(
        "S-06",
        Tag::Op(Operation::Update),
        "the answer is the object as it is then, and its etag is the object's",
        answer
    ),
    case!(
        "S-07",
        Tag::Op(Operation::Update),
        "a body that is being read is not disturbed",
        reader
    ),
    case!(
        "S-08",
        Tag::Op(Operation::Update),
        "an update that changes nothing is refused",
        nothing
    ),
    case!(
        "S-09",
        TAGS,
        "a head that asks for tags returns those of the upload",
        tags
    ),
    case!(
        "S-10",
        TAGS,
        "tags with every allowed character, and as many as there may be",
        every_tag
    ),
    case!(
        "S-11",
        TAGS,
        "tags that are not allowed are refused, and nothing is stored",
        bad_tags
    ),
    case!(
        "S-12",
        TAGS,
        "an upload in parts keeps its tags, and so does a copy",
        tags_go_along
    ),
    case!(
        "S-13",
        Tag::Cap(Capability::StorageClass),
        "a class of storage that the store does not know is refused, and nothing is stored",
        unknown_class
    ),
    case!(
        "S-14",
        Tag::Cap(Capability::EncryptionManaged),
        "an object that the store encrypts is read like any other, and says so",
        encrypted
    ),
];

async fn one(t: &Trial) -> Outcome<String> {
    let key = t.key("object");
    let mut upload = Upload::new(&key, "the bytes");
    let options = upload.options_mut();
    let when = |capability, value: &'static str| t.claims(capability).then_some(value);
    options.content_type = when(Capability::ContentType, "text/x-kit");
    options.headers.cache_control = when(Capability::HeaderCacheControl, "no-store");
    options.headers.content_language = when(Capability::HeaderContentLanguage, "de");
    if t.claims(Capability::UserMetadata) {
        options.metadata.push(("kit", "old"));
    }
    if t.claims(Capability::Tags) {
        options.tags.push(("kit", "old"));
    }
    t.upload(upload).await?;
    Ok(key)
}

async fn tags_of(t: &Trial, key: &str) -> Outcome<Vec<(String, String)>> {
    let head = t.head(Head::new(key).with_tags()).await?;
    let mut tags = head.tags().map(<[_]>::to_vec).ok_or_else(|| {
        Stop::Failed("a head that asks for tags tells none, and `tags` is claimed".into())
    })?;
    tags.sort();
    Ok(tags)
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

async fn headers(t: &Trial) -> Outcome {
    let key = one(t).await?;
    let mut update = Update::new(&key).content_type("application/x-kit-2");
    if t.claims(Capability::HeaderCacheControl) {
        update = update.cache_control(None);
    }
    t.update(update).await?;
    t.holds(&key, b"the bytes").await?;
    for (what, info) in infos(t, &key).await? {
        ensure!(
            info.content_type.as_deref() == Some("application/x-kit-2"),
            "{what}: content type {:?}",
            info.content_type
        );
        ensure!(
            info.cache_control.is_none(),
            "{what}: Cache-Control is still {:?}",
            info.cache_control
        );
        ensure!(
            !t.claims(Capability::HeaderContentLanguage)
                || info.content_language.as_deref() == Some("de"),
            "{what}: Content-Language {:?}",
            info.content_language
        );
        ensure!(
            !t.claims(Capability::UserMetadata) || info.metadata == owned(&[("kit", "old")]),
            "{what}: metadata {:?}",
            info.metadata
        );
    }
    if t.claims(Capability::Tags) {
        let tags = tags_of(t, &key).await?;
        ensure!(tags == owned(&[("kit", "old")]), "tags {tags:?}");
    }
    Ok(())
}

async fn metadata(t: &Trial) -> Outcome {
    let key = one(t).await?;
    t.update(Update::new(&key).metadata([("other", "caf\u{e9}")]))
        .await?;
    t.holds(&key, b"the bytes").await?;
    for (what, info) in infos(t, &key).await? {
        ensure!(
            info.metadata == owned(&[("other", "caf\u{e9}")]),
            "{what}: metadata {:?}",
            info.metadata
        );
        ensure!(
            !t.claims(Capability::ContentType)
                || info.content_type.as_deref() == Some("text/x-kit"),
            "{what}: content type {:?}",
            info.content_type
        );
    }
    t.update(Update::new(&key).metadata([])).await?;
    let (info, _) = t.read(&key).await?;
    ensure!(info.metadata.is_empty(), "metadata {:?}", info.metadata);
    Ok(())
}

async fn new_tags(t: &Trial) -> Outcome {
    let key = one(t).await?;
    t.update(Update::new(&key).tags([("a", "1"), ("b", "")]))
        .await?;
    let tags = tags_of(t, &key).await?;
    ensure!(tags == owned(&[("a", "1"), ("b", "")]), "tags {tags:?}");
    t.holds(&key, b"the bytes").await?;
    let (info, _) = t.read(&key).await?;
    ensure!(
        !t.claims(Capability::UserMetadata) || info.metadata == owned(&[("kit", "old")]),
        "metadata {:?}",
        info.metadata
    );
    t.update(Update::new(&key).tags([])).await?;
    let tags = tags_of(t, &key).await?;
    ensure!(tags.is_empty(), "tags {tags:?}");
    Ok(())
}

/// A change that the backend can make itself.
fn change<'a>(t: &Trial, key: &'a str) -> Outcome<Update<'a>> {
    let update = Update::new(key);
    if t.claims(Capability::UpdateMetadata) {
        return Ok(update.metadata([("kit", "new")]));
    }
    if t.claims(Capability::UpdateHeaders) {
        return Ok(update.content_type("application/x-kit-2"));
    }
    if t.claims(Capability::UpdateTags) {
        return Ok(update.tags([("kit", "new")]));
    }
    not_applicable("no kind of change is claimed")
}

async fn missing(t: &Trial) -> Outcome {
    let key = t.key("missing");
    let answer = t.update(change(t, &key)?).await;
    refused(answer, ErrorKind::FileNotFound, "a missing object")?;
    t.is_absent(&key).await
}

async fn if_match(t: &Trial) -> Outcome {
    if !t.claims(Capability::IfMatchPut) {
        return not_applicable("`if_match_put` is not claimed");
    }
    let key = one(t).await?;
    let before = t.head(Head::new(&key)).await?;
    let lost = change(t, &key)?.if_match("\"kit-other\"");
    refused(
        t.update(lost).await,
        ErrorKind::PreconditionFailed,
        "another etag",
    )?;
    let after = t.head(Head::new(&key)).await?;
    ensure!(
        before == after,
        "a refused update changed {before:?} to {after:?}"
    );
    let etag = before.etag.unwrap_or_default();
    t.update(change(t, &key)?.if_match(&etag)).await?;
    Ok(())
}

async fn answer(t: &Trial) -> Outcome {
    let key = one(t).await?;
    let info = t.update(change(t, &key)?).await?;
    let head = t.head(Head::new(&key)).await?;
    ensure!(
        (info.size, &info.etag, &info.content_type, &info.metadata)
            == (head.size, &head.etag, &head.content_type, &head.metadata),
        "the update answered {info:?}, the head {head:?}"
    );
    Ok(())
}

async fn reader(t: &Trial) -> Outcome {
    let key = t.key("object");
    let bytes = crate::data::bytes(3_000_000, 5);
    t.put(&key, bytes.clone()).await?;
    let read = t.download(Download::new(&key)).await?;
    t.update(change(t, &key)?).await?;
    match read.body.collect(bytes.len()).await {
        Ok(found) => ensure!(found == bytes, "other bytes"),
        // A store behind a network may end it.
        Err(error) => ensure!(error.kind() != ErrorKind::PluginFault, "{error}"),
    }
    t.holds(&key, &bytes).await
}

async fn nothing(t: &Trial) -> Outcome {
    let key = one(t).await?;
    let answer = t.update(Update::new(&key)).await;
    refused(answer, ErrorKind::InvalidArgument, "no change").map(drop)
}

async fn tags(t: &Trial) -> Outcome {
    let key = t.key("object");
    t.upload(Upload::new(&key, "x").tag("team", "photos").tag("a", "1"))
        .await?;
    let found = tags_of(t, &key).await?;
    ensure!(
        found == owned(&[("a", "1"), ("team", "photos")]),
        "tags {found:?}"
    );
    // Without them.
    t.put(&key, "y").await?;
    let found = tags_of(t, &key).await?;
    ensure!(found.is_empty(), "tags of the object before: {found:?}");
    Ok(())
}

async fn every_tag(t: &Trial) -> Outcome {
    let key = t.key("object");
    let names: Vec<String> = (0..9).map(|number| format!("name-{number}")).collect();
    let value = "+-./:=_ aZ09".repeat(4);
    let mut upload = Upload::new(&key, "x").tag("a b.c/d:e=f_g+h-i", &value);
    for name in &names {
        upload = upload.tag(name, "");
    }
    t.upload(upload).await?;
    let found = tags_of(t, &key).await?;
    ensure!(
        found.len() == 10 && found.contains(&("a b.c/d:e=f_g+h-i".to_owned(), value.clone())),
        "tags {found:?}"
    );
    Ok(())
}

async fn bad_tags(t: &Trial) -> Outcome {
    let key = t.key("object");
    let long = "x".repeat(257);
    let many: Vec<String> = (0..11).map(|number| format!("t{number}")).collect();
    for pairs in [
        vec![("", "x")],
        vec![("a", "1"), ("a", "2")],
        vec![("caf\u{e9}", "x")],
        vec![("a", "x\ny")],
        vec![("a", &long[..])],
        vec![(&long[..129], "x")],
        many.iter().map(|name| (&name[..], "x")).collect(),
    ] {
        let mut upload = Upload::new(&key, "x");
        upload.options_mut().tags = pairs;
        let answer = t.upload(upload).await;
        refused(answer, ErrorKind::InvalidArgument, "a tag")?;
    }
    t.is_absent(&key).await
}

async fn tags_go_along(t: &Trial) -> Outcome {
    let expected = owned(&[("kit", "1")]);
    let key = t.key("object");
    if t.claims(Capability::Parts) {
        let mut create = CreateUpload::new(&key);
        create.options_mut().tags.push(("kit", "1"));
        let id = t.create_upload(create).await?;
        let part: Part = t.put_part(PutPart::new(&key, &id, 1, "x")).await?;
        let complete = holdall_plugin_api::CompleteUpload::new(&key, &id, [&part]);
        t.complete_upload(complete).await?;
    } else {
        t.upload(Upload::new(&key, "x").tag("kit", "1")).await?;
    }
    let found = tags_of(t, &key).await?;
    ensure!(found == expected, "tags {found:?}");
    if t.claims(Capability::ServerCopy) {
        let to = t.key("copy");
        t.copy(CopyObject::new(&key, &to)).await?;
        let found = tags_of(t, &to).await?;
        ensure!(found == expected, "tags of the copy {found:?}");
    }
    Ok(())
}

async fn unknown_class(t: &Trial) -> Outcome {
    let key = t.key("object");
    let upload = Upload::new(&key, "x").storage_class("KIT-THERE-IS-NO-SUCH-CLASS");
    let answer = t.upload(upload).await;
    refused(answer, ErrorKind::InvalidArgument, "an unknown class")?;
    t.is_absent(&key).await
}

async fn encrypted(t: &Trial) -> Outcome {
    let key = t.key("object");
    t.upload(Upload::new(&key, "secret").encryption(Encryption::Managed))
        .await?;
    t.holds(&key, b"secret").await?;
    let head = t.head(Head::new(&key)).await?;
    ensure!(
        head.encryption() == Some(&Encrypted::Managed),
        "the head says {:?}",
        head.encryption()
    );
    Ok(())
}
