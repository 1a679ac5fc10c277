//! `token create`: who may use the server.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use holdall::config::{Config, Flags, Sources, is_backend_name, parse_duration};
use holdall_server::{Rule, Scope, Settings, Token as ServerToken};
use serde_json::json;

use crate::app::App;
use crate::exit;
use crate::failure::{Failure, Result};
use crate::values::moment;

/// Makes tokens for clients of `holdall serve`.
///
/// For example: `holdall token create ci --allow read,list --backend avatars --expires 90d --write`.
#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Creates a token, prints it once, and prints its hash for the configuration.
    Create(Create),
}

#[derive(Debug, Args)]
struct Create {
    /// Name of the token, for logs and for removing it: a-z, 0-9 and -, at most 63.
    #[arg(value_parser = name)]
    name: String,

    /// What it allows, separated by commas.
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', required = true, value_parser = scopes())]
    allow: Vec<Scope>,

    /// Restricts the token to this backend; may be repeated. Default: all backends.
    #[arg(long = "backend", value_name = "NAME", value_parser = name)]
    backends: Vec<String>,

    /// Restricts the token to keys with this prefix.
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,

    /// Validity, such as 90d. Default: no end.
    #[arg(long, value_name = "TIME", value_parser = life)]
    expires: Option<Duration>,

    /// Adds the token to the configuration file (--config, HOLDALL_CONFIG) instead of printing the lines.
    #[arg(long)]
    write: bool,
}

impl Token {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        match self.what {
            What::Create(create) => create.run(app),
        }
    }
}

impl Create {
    fn run(self, app: &App) -> Result<()> {
        let rule = Rule {
            allow: self.allow.iter().copied().collect(),
            backends: self.backends.iter().cloned().collect(),
            prefix: self.prefix.clone(),
        };
        if rule.is_admin() && !(rule.backends.is_empty() && rule.prefix.is_empty()) {
            return Err(Failure::usage(
                "the scope admin shows every backend: leave out --backend and --prefix",
            ));
        }
        let expires = match self.expires {
            None => None,
            Some(life) => Some(
                SystemTime::now()
                    .checked_add(life)
                    .ok_or_else(|| Failure::usage("--expires is too far away"))?,
            ),
        };
        let made = ServerToken::create(&self.name, rule, expires);
        let (text, token) = made.map_err(Failure::file(
            "read random bytes from",
            "the system".as_ref(),
        ))?;
        let token = token.charge(
            app.owner().map(str::to_owned),
            app.group().map(str::to_owned),
        );
        let block = block(&token);
        let file = match self.write {
            true => Some(written(app, &self.name, &block)?),
            false => None,
        };
        let record = json!({
            "name": self.name,
            "token": text,
            "hash": token.hash(),
            "allow": token.rule.allow.iter().map(|scope| scope.name()).collect::<Vec<_>>(),
            "backends": token.rule.backends,
            "prefix": token.rule.prefix,
            "expires": token.expires.map(moment),
            "owner": token.owner,
            "group": token.group,
            "config": block,
            "file": file.as_ref().map(|file| file.to_string_lossy()),
        });
        app.output.answer(&record, || text.clone())?;
        app.output
            .note("the token is shown this once, and kept nowhere");
        match &file {
            Some(file) => app.output.note(&format!(
                "added to {}; a server that runs learns it on SIGHUP",
                file.display()
            )),
            None => app
                .output
                .note(&format!("add to the configuration:\n\n{block}")),
        }
        Ok(())
    }
}

/// The lines of the configuration.
fn block(token: &ServerToken) -> String {
    // A text of TOML and one of JSON are written alike.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let list = |texts: Vec<String>| format!("[{}]", texts.join(", "));
    let rule = &token.rule;
    let mut lines = vec![
        format!("[server.tokens.{}]", token.name),
        format!("hash = {}", quoted(&token.hash())),
        format!(
            "allow = {}",
            list(
                rule.allow
                    .iter()
                    .map(|scope| quoted(scope.name()))
                    .collect()
            )
        ),
    ];
    if !rule.backends.is_empty() {
        let backends: &BTreeSet<String> = &rule.backends;
        let backends = backends.iter().map(|name| quoted(name)).collect();
        lines.push(format!("backends = {}", list(backends)));
    }
    if !rule.prefix.is_empty() {
        lines.push(format!("prefix = {}", quoted(&rule.prefix)));
    }
    if let Some(end) = token.expires {
        let end = humantime::format_rfc3339_seconds(end).to_string();
        lines.push(format!("expires = {}", quoted(&end)));
    }
    for (key, name) in [("owner", &token.owner), ("group", &token.group)] {
        lines.extend(name.iter().map(|name| format!("{key} = {}", quoted(name))));
    }
    lines.join("\n") + "\n"
}

/// Adds the block at the end of the configuration file, in one step, if the whole is right with it.
fn written(app: &App, name: &str, block: &str) -> Result<std::path::PathBuf> {
    let (config, problems) = app.config();
    problems.into_result().map_err(holdall::Error::from)?;
    let Some(file) = config.file.clone() else {
        return Err(Failure::usage(
            "--write needs a configuration file: name one by --config or HOLDALL_CONFIG",
        ));
    };
    let settings = Settings::of(&config).map_err(holdall::Error::from)?;
    if settings.tokens.contains_key(name) {
        return Err(Failure::refused(
            exit::PRECONDITION,
            "exists",
            format!("there is a token {name:?} in {}", file.display()),
            "choose another name, or remove its lines first",
        ));
    }
    let file = fs::canonicalize(&file).map_err(Failure::file("find", &file))?;
    let mut text = fs::read_to_string(&file).map_err(Failure::file("read", &file))?;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push('\n');
    text.push_str(block);
    replace(&file, &text)?;
    Ok(file)
}

/// Beside the file first, so that a reader sees the old text or the new one, with the same rights.
fn replace(file: &Path, text: &str) -> Result<()> {
    let beside = file.with_extension("toml.new");
    let write = || {
        fs::copy(file, &beside)?;
        fs::write(&beside, text)
    };
    let outcome = write().map_err(Failure::file("write", &beside));
    let outcome = outcome
        .and_then(|()| judged(&beside))
        .and_then(|()| fs::rename(&beside, file).map_err(Failure::file("replace", file)));
    if outcome.is_err() {
        // Whatever came in between, nothing of it stays.
        let _ = fs::remove_file(&beside);
    }
    outcome
}

/// A table that is written in one line, `server = { .. }`, takes no more of them.
fn judged(file: &Path) -> Result<()> {
    let mut sources = Sources::default();
    let mut flags = Flags::default();
    flags.config_file = Some(file.to_owned());
    sources.flags = flags;
    sources.environment = holdall::config::Environment::of_process();
    let config = Config::load(&sources).map_err(holdall::Error::from)?;
    Settings::of(&config).map_err(holdall::Error::from)?;
    Ok(())
}

fn name(text: &str) -> Result<String, String> {
    match is_backend_name(text) {
        true => Ok(text.to_owned()),
        false => Err("expected a-z, 0-9 and -, a letter or digit first, at most 63".to_owned()),
    }
}

/// Known to the help and to completions.
fn scopes() -> impl TypedValueParser<Value = Scope> {
    let told = Scope::ALL.map(|scope| {
        let help = match scope {
            Scope::Read => "Reads objects and their facts",
            Scope::Write => "Stores objects, also as the target of a copy",
            Scope::Delete => "Deletes objects",
            Scope::List => "Lists keys",
            Scope::Sign => "Makes signed URLs, for what its holder may do himself",
            Scope::Admin => "Sees status and metrics, and why a backend is not ready",
        };
        PossibleValue::new(scope.name()).help(help)
    });
    PossibleValuesParser::new(told).try_map(|text| {
        let found = Scope::ALL.into_iter().find(|scope| scope.name() == text);
        found.ok_or("no scope")
    })
}

/// As everywhere, and days.
fn life(text: &str) -> Result<Duration, String> {
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u32>().ok());
    days.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60))
        .or_else(|| parse_duration(text))
        .filter(|life| !life.is_zero())
        .ok_or_else(|| format!("expected a time such as 12h or 90d, found {text:?}"))
}
