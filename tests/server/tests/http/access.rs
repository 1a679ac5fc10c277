//! Who may do what.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use holdall_server::{Rule, Scope, Settings, Token};
use holdall_server_tests::{Answer, Served};

/// A token with this rule, and the settings that know it.
fn with_token(settings: Settings, name: &str, rule: Rule) -> (Settings, String) {
    let (text, token) = Token::create(name, rule, None).unwrap();
    (settings.token(token), format!("Bearer {text}"))
}

async fn send(server: &Served, token: &str, method: &str, target: &str, body: &str) -> Answer {
    let headers = [("authorization", token)];
    server.send(method, target, &headers, body.to_owned()).await
}

fn code(answer: &Answer) -> (u16, String) {
    let code = answer.json()["code"].as_str().unwrap_or("").to_owned();
    (answer.code(), code)
}

/// What can be asked, and the scope that it takes.
const REQUESTS: [(&str, &str, &str, Scope); 10] = [
    ("GET", "/v1/memory/a", "", Scope::Read),
    ("HEAD", "/v1/memory/a", "", Scope::Read),
    ("PUT", "/v1/memory/a", "x", Scope::Write),
    ("PUT", "/v1/memory/c?copy_from=a", "", Scope::Write),
    ("DELETE", "/v1/memory/gone", "", Scope::Delete),
    ("GET", "/v1/memory?list", "", Scope::List),
    ("POST", "/v1/memory/a?sign", "", Scope::Sign),
    ("GET", "/v1/status", "", Scope::Admin),
    ("GET", "/metrics", "", Scope::Admin),
    ("GET", "/v1/memory/a?download=b", "", Scope::Read),
];

#[tokio::test]
async fn each_scope_opens_what_it_says_and_nothing_else() {
    let (mut settings, everything) = with_token(Settings::default(), "all", Rule::everything());
    let mut tokens = Vec::new();
    for scope in Scope::ALL {
        // A copy reads its source, and a URL may not do more than who signs it.
        let rule = match scope {
            Scope::Write | Scope::Sign => Rule::of([scope, Scope::Read]),
            scope => Rule::of([scope]),
        };
        let (more, token) = with_token(settings, scope.name(), rule.clone());
        (settings, _) = (more, ());
        tokens.push((rule, token));
    }
    let server = Served::with(settings).await;
    assert_eq!(
        send(&server, &everything, "PUT", "/v1/memory/a", "x")
            .await
            .code(),
        200
    );
    for (method, target, body, scope) in REQUESTS {
        for (rule, token) in &tokens {
            let answer = send(&server, token, method, target, body).await;
            if rule.allow.contains(&scope) {
                assert!(
                    answer.code() < 300,
                    "{method} {target} {rule:?}: {answer:?}"
                );
            } else {
                assert_eq!(answer.code(), 403, "{method} {target} {rule:?}: {answer:?}");
            }
        }
        let anonymous = server.send(method, target, &[], body.to_owned()).await;
        assert_eq!(anonymous.code(), 401, "{method} {target}");
        assert_eq!(
            anonymous.header("www-authenticate"),
            "Bearer realm=\"holdall\""
        );
    }
}

#[tokio::test]
async fn what_is_no_token_of_ours_is_refused_alike() {
    let soon = SystemTime::now() + Duration::from_millis(300);
    let (brief, token) = Token::create("brief", Rule::everything(), Some(soon)).unwrap();
    let settings = Settings::default().token(token);
    let (settings, good) = with_token(settings, "ci", Rule::everything());
    let server = Served::with(settings).await;
    assert_eq!(
        send(&server, &good, "PUT", "/v1/memory/a", "x")
            .await
            .code(),
        200
    );
    let lower = good.replacen("Bearer", "bearer", 1);
    assert_eq!(
        send(&server, &lower, "GET", "/v1/memory/a", "")
            .await
            .code(),
        200
    );

    tokio::time::sleep(Duration::from_millis(400)).await;
    let altered = format!(
        "{}{}",
        &good[..good.len() - 1],
        if good.ends_with('A') { 'B' } else { 'A' }
    );
    let of_another = good.replacen("hd_ci_", "hd_brief_", 1);
    let unknown = good.replacen("hd_ci_", "hd_unknown_", 1);
    let expired = format!("Bearer {brief}");
    let other_scheme = good.replacen("Bearer", "Basic", 1);
    let mut bodies = BTreeSet::new();
    for bad in [
        &altered,
        &of_another,
        &unknown,
        &expired,
        &other_scheme,
        "Bearer",
        "Bearer ",
        "x",
    ] {
        for target in ["/v1/memory/a", "/v1/memory/missing", "/v1/nowhere/a"] {
            let answer = send(&server, bad, "GET", target, "").await;
            assert_eq!(
                code(&answer),
                (401, "unauthorized".to_owned()),
                "{bad} {target}"
            );
            let mut body = answer.json();
            body.as_object_mut().unwrap().remove("request_id");
            bodies.insert(body.to_string());
        }
    }
    assert_eq!(
        bodies.len(),
        1,
        "nothing can be told from a refusal: {bodies:#?}"
    );
}

#[tokio::test]
async fn missing_and_forbidden_keys_cannot_be_told_apart() {
    let rule = Rule {
        backends: BTreeSet::from(["memory".to_owned()]),
        prefix: "mine/".to_owned(),
        ..Rule::of([
            Scope::Read,
            Scope::Write,
            Scope::Delete,
            Scope::List,
            Scope::Sign,
        ])
    };
    let (settings, all) = with_token(Settings::default(), "all", Rule::everything());
    let (settings, mine) = with_token(settings, "mine", rule);
    let server = Served::with(settings).await;
    for target in [
        "/v1/memory/mine/a",
        "/v1/memory/theirs/a",
        "/v1/local/mine/a",
    ] {
        assert_eq!(send(&server, &all, "PUT", target, "x").await.code(), 200);
    }
    assert_eq!(
        send(&server, &mine, "GET", "/v1/memory/mine/a", "")
            .await
            .code(),
        200
    );
    assert_eq!(
        send(&server, &mine, "GET", "/v1/memory?list&prefix=mine/", "")
            .await
            .code(),
        200
    );
    let mut bodies = BTreeSet::new();
    for (method, target, body) in [
        ("GET", "/v1/memory/theirs/a", ""),
        ("GET", "/v1/memory/theirs/missing", ""),
        ("GET", "/v1/memory/mine", ""),
        ("GET", "/v1/local/mine/a", ""),
        ("GET", "/v1/nowhere/mine/a", ""),
        ("GET", "/v1/memory?list", ""),
        ("GET", "/v1/memory?list&prefix=mine", ""),
        ("GET", "/v1/memory?list&prefix=theirs/", ""),
        ("GET", "/v1/nowhere?list&prefix=mine/", ""),
        ("PUT", "/v1/memory/theirs/b", "x"),
        ("PUT", "/v1/memory/mine/b?copy_from=theirs/a", ""),
        ("DELETE", "/v1/memory/theirs/a", ""),
        ("POST", "/v1/memory/theirs/a?sign", ""),
    ] {
        let answer = send(&server, &mine, method, target, body).await;
        assert_eq!(
            code(&answer),
            (403, "forbidden".to_owned()),
            "{method} {target}"
        );
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("request_id");
        bodies.insert(body.to_string());
    }
    assert_eq!(bodies.len(), 1, "{bodies:#?}");

    // In a batch each key is judged by itself.
    let keys = r#"{"keys": ["mine/a", "theirs/a"]}"#;
    let answer = send(&server, &mine, "POST", "/v1/memory?delete", keys).await;
    let results = answer.json()["results"].clone();
    assert_eq!(
        (&results[0]["status"], &results[1]["status"]),
        (&204.into(), &403.into())
    );
    assert_eq!(
        send(&server, &all, "GET", "/v1/memory/theirs/a", "")
            .await
            .code(),
        200
    );
}

#[tokio::test]
async fn no_client_signs_more_than_it_may_do() {
    let rule = Rule::of([Scope::Sign, Scope::Read]);
    let (settings, token) = with_token(Settings::default(), "reader", rule);
    let server = Served::with(settings).await;
    let target = "/v1/memory/a?sign";
    assert_eq!(send(&server, &token, "POST", target, "").await.code(), 200);
    for method in ["PUT", "DELETE"] {
        let body = format!(r#"{{"method": "{method}"}}"#);
        assert_eq!(
            send(&server, &token, "POST", target, &body).await.code(),
            403,
            "{method}"
        );
    }
}

#[tokio::test]
async fn the_anonymous_may_do_what_is_configured() {
    let mut settings = Settings::default();
    settings.anonymous = Rule {
        backends: BTreeSet::from(["memory".to_owned()]),
        ..Rule::of([Scope::Read])
    };
    let (settings, all) = with_token(settings, "all", Rule::everything());
    let server = Served::with(settings).await;
    assert_eq!(
        send(&server, &all, "PUT", "/v1/memory/a", "x").await.code(),
        200
    );
    assert_eq!(server.get("/v1/memory/a").await.code(), 200);
    assert_eq!(server.get("/v1/local/a").await.code(), 401);
    assert_eq!(
        server.send("PUT", "/v1/memory/a", &[], "y").await.code(),
        401
    );
    // Who says who they are is taken at their word, not as anybody.
    assert_eq!(
        send(&server, "Bearer hd_x_y", "GET", "/v1/memory/a", "")
            .await
            .code(),
        401
    );
}

#[tokio::test]
async fn new_settings_hold_for_the_next_request() {
    let (settings, old) = with_token(Settings::default(), "old", Rule::everything());
    let server = Served::with(settings).await;
    assert_eq!(
        send(&server, &old, "PUT", "/v1/memory/a", "x").await.code(),
        200
    );
    let (settings, new) = with_token(Settings::default(), "new", Rule::everything());
    assert_eq!(
        send(&server, &new, "GET", "/v1/memory/a", "").await.code(),
        401
    );
    server.control.apply(settings).unwrap();
    assert_eq!(
        send(&server, &new, "GET", "/v1/memory/a", "").await.code(),
        200
    );
    assert_eq!(
        send(&server, &old, "GET", "/v1/memory/a", "").await.code(),
        401
    );
}

#[tokio::test]
async fn an_alias_opens_what_the_own_name_opens_and_no_more() {
    let only = |name: &str| Rule {
        backends: BTreeSet::from([name.to_owned()]),
        ..Rule::of([Scope::Read, Scope::Write])
    };
    let (settings, mine) = with_token(Settings::default(), "mine", only("memory"));
    let (settings, other) = with_token(settings, "other", only("local"));
    let (settings, alias) = with_token(settings, "alias", only("pictures"));
    let server = Served::with(settings).await;
    let registration = holdall::Registration::new("memory").alias("pictures");
    server.host.register("memory", registration).unwrap();
    let put = send(&server, &mine, "PUT", "/v1/pictures/a", "x").await;
    assert_eq!(put.code(), 200, "{put:?}");
    let get = send(&server, &mine, "GET", "/v1/memory/a", "").await;
    assert_eq!((get.code(), get.text()), (200, "x"));
    for token in [&other, &alias] {
        let get = send(&server, token, "GET", "/v1/pictures/a", "").await;
        assert_eq!(code(&get), (403, "forbidden".to_owned()));
    }
}
