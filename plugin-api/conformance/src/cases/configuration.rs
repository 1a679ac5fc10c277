//! B: a configuration is judged whole, and what is secret in it stays so.

use super::remote;
use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::subject::Broken;
use crate::trial::{Trial, not_applicable};
use crate::watch::{Watched, refused};
use holdall_plugin_api::{
    Error, ErrorKind, Head, List, Method, Operation, Result, SignUrl, Signing, Upload,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

pub(super) const CASES: &[Case] = &[
    case!(
        "B-01",
        Tag::Core,
        "the published schema is one, and its examples keep it",
        schema
    ),
    case!(
        "B-02",
        Tag::Core,
        "of an empty configuration every required field is named",
        empty
    ),
    case!("B-03", Tag::Core, "an unknown field is named", unknown),
    case!(
        "B-04",
        Tag::Core,
        "values of the wrong type, out of range or malformed are named by their path, all at once",
        wrong
    ),
    case!(
        "B-05",
        Tag::Need("http"),
        "opening ends in time, also without an answer",
        remote::opens_without_an_answer
    )
    .within(120),
    case!(
        "B-06",
        Tag::Need("secret fields"),
        "no error, answer or description shows what stands in a secret field",
        canaries
    )
    .within(120),
    case!(
        "B-07",
        Tag::Need("refused credentials"),
        "refused credentials are the backend's fault, never an absence",
        credentials
    )
    .within(120),
    case!(
        "B-08",
        Tag::Need("a missing container"),
        "a missing bucket or root is neither a missing key nor an empty store",
        container
    ),
    case!(
        "B-09",
        Tag::Op(Operation::Health),
        "health is good when the store is up, and bad in time when it is not",
        health
    )
    .within(240),
];

fn published(t: &Trial) -> Outcome<Value> {
    match t.stage().schema() {
        Some(schema) => Ok(schema),
        None => not_applicable("the stage does not show the schema"),
    }
}

async fn schema(t: &Trial) -> Outcome {
    let schema = published(t)?;
    if let Err(why) = jsonschema::meta::validate(&schema) {
        return Err(Stop::Failed(format!("the schema is none: {why}")));
    }
    let validator = match jsonschema::validator_for(&schema) {
        Ok(validator) => validator,
        Err(why) => return Err(Stop::Failed(format!("the schema does not work: {why}"))),
    };
    for example in schema["examples"].as_array().into_iter().flatten() {
        if let Err(why) = validator.validate(example) {
            return Err(Stop::Failed(format!("an example breaks it: {why}")));
        }
    }
    if let Some(config) = t.stage().configuration(t.new_store())
        && let Err(why) = validator.validate(&config)
    {
        return Err(Stop::Failed(format!(
            "it refuses a configuration that works: {why}"
        )));
    }
    for (name, field) in fields(&schema) {
        ensure!(
            field["description"].is_string(),
            "the field `{name}` is not described"
        );
    }
    Ok(())
}

/// The fields of the schema's object, references resolved.
fn fields(schema: &Value) -> Vec<(String, Value)> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let fields = properties.map(|(name, field)| {
        let mut whole = field.as_object().cloned().unwrap_or_default();
        let target = field["$ref"]
            .as_str()
            .and_then(|to| schema.pointer(to.strip_prefix('#')?));
        for (key, value) in target.and_then(Value::as_object).into_iter().flatten() {
            whole.entry(key.clone()).or_insert_with(|| value.clone());
        }
        (name.clone(), Value::Object(whole))
    });
    fields.collect()
}

/// Opens with a configuration of the kit's own, or ends the case.
async fn opened(t: &Trial, config: Value) -> Outcome<Result<Watched>> {
    let Some(opening) = t.stage().open_with(config) else {
        return not_applicable("the stage opens no configuration of the kit's own");
    };
    Ok(opening.await.map(|subject| t.watch(subject)))
}

fn working(t: &Trial) -> Outcome<Map<String, Value>> {
    match t.stage().configuration(t.new_store()) {
        Some(Value::Object(config)) => Ok(config),
        _ => not_applicable("the stage does not show a configuration that works"),
    }
}

/// Whether the error names the field, as one of its facts.
fn names(error: &Error, field: &str) -> bool {
    error.facts().any(|(path, text)| {
        path.split('.').any(|part| part == field) || text.contains(&format!("\"{field}\""))
    })
}

async fn empty(t: &Trial) -> Outcome {
    let schema = published(t)?;
    let required = schema["required"].as_array().into_iter().flatten();
    let required: Vec<&str> = required.filter_map(Value::as_str).collect();
    let answer = opened(t, json!({})).await?;
    if required.is_empty() {
        // Whether nothing is enough may depend on what the schema cannot say.
        return match answer {
            Err(error) if error.kind() != ErrorKind::ConfigInvalid => Err(error.into()),
            _ => Ok(()),
        };
    }
    let error = refused(
        answer.map(drop),
        ErrorKind::ConfigInvalid,
        "an empty configuration",
    )?;
    for field in required {
        ensure!(
            names(&error, field),
            "`{field}` is required, and not named: {error:?}"
        );
    }
    Ok(())
}

async fn unknown(t: &Trial) -> Outcome {
    let schema = published(t)?;
    ensure!(
        schema["additionalProperties"] != Value::Bool(true),
        "the schema takes any field, and with it every slip"
    );
    if schema["additionalProperties"].is_object() || schema["patternProperties"].is_object() {
        return not_applicable("fields of any name belong to its configuration");
    }
    let mut config = working(t)?;
    config.insert("holdall-kit".to_owned(), json!(1));
    let answer = opened(t, config.into()).await?.map(drop);
    let error = refused(answer, ErrorKind::ConfigInvalid, "an unknown field")?;
    ensure!(
        names(&error, "holdall-kit"),
        "the unknown field is not named: {error:?}"
    );
    Ok(())
}

/// Values that a field must not have, each with what is wrong.
fn bad_values(field: &Value) -> Vec<(&'static str, Value)> {
    let types: Vec<&str> = match &field["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let mut bad = Vec::new();
    if !types.is_empty() && !types.contains(&"array") {
        bad.push(("of another type", json!([true])));
    }
    if let Some(least) = field["minimum"].as_i64() {
        bad.push(("too small", json!(least - 1)));
    }
    if let Some(most) = field["maximum"]
        .as_i64()
        .and_then(|most| most.checked_add(1))
    {
        bad.push(("too large", json!(most)));
    }
    if field["minLength"].as_u64().is_some_and(|least| least > 0) {
        bad.push(("too short", json!("")));
    }
    if field["format"] == "uri" {
        bad.push(("a malformed URL", json!("http//not a url")));
    }
    let choices = ["oneOf", "anyOf"]
        .iter()
        .filter_map(|key| field[*key].as_array());
    let constants = choices.flatten().all(|choice| choice["const"].is_string());
    if field["enum"].is_array() || (constants && field["oneOf"].is_array()) {
        bad.push(("no such choice", json!("holdall-kit")));
    }
    bad
}

async fn wrong(t: &Trial) -> Outcome {
    let schema = published(t)?;
    let working = working(t)?;
    let mut all = working.clone();
    let mut asked = 0;
    for (name, field) in fields(&schema) {
        for (what, value) in bad_values(&field) {
            let mut config = working.clone();
            config.insert(name.clone(), value.clone());
            all.insert(name.clone(), value);
            let answer = opened(t, config.into()).await?.map(drop);
            let what = format!("`{name}`, {what}");
            let error = refused(answer, ErrorKind::ConfigInvalid, &what)?;
            ensure!(names(&error, &name), "{what}: not named in {error:?}");
            asked += 1;
        }
    }
    if asked == 0 {
        return not_applicable("the schema bounds no field");
    }
    let answer = opened(t, all.clone().into()).await?.map(drop);
    let error = refused(
        answer,
        ErrorKind::ConfigInvalid,
        "every field wrong at once",
    )?;
    for name in all
        .keys()
        .filter(|name| all[*name] != working.get(*name).cloned().unwrap_or_default())
    {
        ensure!(
            names(&error, name),
            "of several wrong fields `{name}` is not named: {error:?}"
        );
    }
    Ok(())
}

fn is_secret(field: &Value) -> bool {
    field["x-secret"] == true || field["writeOnly"] == true
}

async fn canaries(t: &Trial) -> Outcome {
    let schema = published(t)?;
    let mut config = working(t)?;
    let mut canaries = Vec::new();
    for (name, _) in fields(&schema).iter().filter(|(_, field)| is_secret(field)) {
        // Letters and digits alone: what takes base64 or a plain token takes this.
        let canary = format!(
            "Canary{}00112233445566778899aabbccddeeff",
            name.replace(['-', '_'], "")
        );
        // Only where the working configuration has one: fields may exclude each other.
        if config.contains_key(name) {
            config.insert(name.clone(), json!(canary));
            canaries.push((name.clone(), canary));
        }
    }
    if canaries.is_empty() {
        return not_applicable("no secret field is in use");
    }
    let search = |what: &str, text: &str| -> Outcome {
        for (name, canary) in &canaries {
            ensure!(!text.contains(canary.as_str()), "{what} shows `{name}`");
        }
        Ok(())
    };
    let shown = |error: &Error| format!("{error} {error:?}");
    let opened = opened(t, config.clone().into()).await?;
    let subject = match opened {
        Ok(subject) => subject,
        Err(error) => return search("the error of opening", &shown(&error)),
    };
    let key = t.key("object");
    let mut errors = Vec::new();
    errors.extend(subject.upload(Upload::new(&key, "x")).await.err());
    errors.extend(subject.read(&key).await.err());
    errors.extend(subject.exists(&key).await.err());
    errors.extend(subject.head(Head::new(&key)).await.err());
    errors.extend(subject.list(List::new("")).await.err());
    match subject.health().await {
        Ok(health) => search("health", &format!("{health:?}"))?,
        Err(error) => errors.push(error),
    }
    let sign = SignUrl::new(Method::Get, &key, Duration::from_secs(60));
    match subject.signed_url(sign).await {
        Ok(Signing::Url(url)) => search("a signed URL", &format!("{} {:?}", url.url, url.headers))?,
        Ok(_) => {}
        Err(error) => errors.push(error),
    }
    for error in &errors {
        search("an error", &shown(error))?;
    }
    search("its facts", &format!("{:?}", subject.info()))
}

/// Fails where an instance with which something is wrong gives an answer, or an error of another
/// kind.
async fn all_fail(t: &Trial, how: Broken, kinds: &[ErrorKind]) -> Outcome {
    let Some(opening) = t.stage().broken(how) else {
        return not_applicable("the stage has no such store");
    };
    let judge = |what: &str, answer: Result<String>| -> Outcome {
        match answer {
            Err(error) if kinds.contains(&error.kind()) => Ok(()),
            Err(error) => Err(Stop::Failed(format!(
                "{what}: expected one of {kinds:?}, found {error} [{}]",
                error.code()
            ))),
            Ok(answer) => Err(Stop::Failed(format!("{what} answers {answer}"))),
        }
    };
    let subject = match opening.await {
        Ok(subject) => t.watch(subject),
        // To find it out when opening is as good.
        Err(error) => return judge("opening", Err(error)),
    };
    let key = t.key("object");
    judge(
        "exists",
        subject.exists(&key).await.map(|there| there.to_string()),
    )?;
    judge(
        "a download",
        subject
            .read(&key)
            .await
            .map(|(_, bytes)| format!("{bytes:?}")),
    )?;
    judge(
        "an upload",
        subject
            .upload(Upload::new(&key, "x"))
            .await
            .map(|stored| format!("{stored:?}")),
    )?;
    if subject.has(Operation::Head) {
        judge(
            "head",
            subject
                .head(Head::new(&key))
                .await
                .map(|info| format!("{info:?}")),
        )?;
    }
    if subject.has(Operation::List) {
        judge(
            "a listing",
            subject
                .list(List::new(""))
                .await
                .map(|page| format!("{page:?}")),
        )?;
    }
    if subject.has(Operation::Health) {
        let healthy = subject.health().await.is_ok_and(|health| health.healthy);
        ensure!(!healthy, "it is healthy");
    }
    Ok(())
}

async fn credentials(t: &Trial) -> Outcome {
    let kinds = [ErrorKind::PermissionDenied, ErrorKind::Unauthenticated];
    both(
        all_fail(t, Broken::Credentials, &kinds).await,
        remote::refused_credentials(t).await,
    )
}

async fn container(t: &Trial) -> Outcome {
    all_fail(t, Broken::Container, &[ErrorKind::ContainerMissing]).await
}

async fn health(t: &Trial) -> Outcome {
    let health = t.health().await?;
    ensure!(
        health.healthy,
        "the store is up, and health says {:?}",
        health.message
    );
    match remote::ill_health(t).await {
        // That much could be asked.
        Err(Stop::NotApplicable(_)) => Ok(()),
        other => other,
    }
}

/// What two ways of asking found: not applicable only where neither could be gone.
pub(super) fn both(one: Outcome, other: Outcome) -> Outcome {
    match (one, other) {
        (Err(Stop::NotApplicable(_)), other) => other,
        (one, Err(Stop::NotApplicable(_))) => one,
        (one, other) => one.and(other),
    }
}
