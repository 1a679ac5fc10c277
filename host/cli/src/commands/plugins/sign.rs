//! `plugins sign` and `plugins verify`.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use holdall::fault::Fault;
use holdall::trust::{Trust, signature_file};
use minisign::{PublicKey, SecretKey, SecretKeyBox};
use serde_json::json;

use super::{refusal, standing_line};
use crate::app::App;
use crate::exit;
use crate::failure::{Failure, Result};

/// Signs a plugin file, as `minisign -S` does: writes FILE.minisig.
#[derive(Debug, Args)]
pub(super) struct Sign {
    /// The plugin file.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Secret key, as `minisign -G` writes it.
    #[arg(long, value_name = "KEYFILE")]
    key: PathBuf,

    /// File with the password of the key. Default: it is asked for.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// Last day on which the signature is accepted.
    #[arg(long, value_name = "YYYY-MM-DD")]
    expires: Option<String>,
}

impl Sign {
    pub(super) fn run(self, app: &App) -> Result<()> {
        let refused = |message: String| {
            let help = "`minisign -G` makes a pair of keys";
            Failure::refused(exit::BAD_INPUT, "signing_key", message, help)
        };
        if let Some(day) = &self.expires
            && humantime::parse_rfc3339(&format!("{day}T00:00:00Z")).is_err()
        {
            return Err(Failure::usage("--expires takes a day, such as 2027-01-31"));
        }
        let key = self.secret_key(refused)?;
        let file = File::open(&self.file).map_err(Failure::file("read", &self.file))?;
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let mut comment = format!(
            "timestamp:{}\tfile:{name}\thashed",
            now.unwrap_or_default().as_secs()
        );
        if let Some(day) = &self.expires {
            comment.push_str(&format!("\texpires={day}"));
        }
        let public = PublicKey::from_secret_key(&key);
        let signed = public.and_then(|public| {
            // Verified: a damaged key makes signatures that no one accepts.
            minisign::sign(Some(&public), &key, file, Some(&comment), None)
        });
        let signature = signed.map_err(|why| refused(why.to_string()))?;
        let to = signature_file(&self.file);
        std::fs::write(&to, signature.into_string()).map_err(Failure::file("write", &to))?;
        let record = json!({ "signature": to.display().to_string(), "comment": comment });
        app.output.confirm(&record, || to.display().to_string())
    }

    fn secret_key(&self, refused: impl Fn(String) -> Failure) -> Result<SecretKey> {
        let read =
            |path: &PathBuf| std::fs::read_to_string(path).map_err(Failure::file("read", path));
        let text = read(&self.key)?;
        let no_key = |why: String| refused(format!("{}: {why}", self.key.display()));
        // Not by `SecretKeyBox`: keys without a password that minisign 0.11 makes have no checksum.
        let line = text.lines().nth(1).unwrap_or_default();
        let bytes = STANDARD.decode(line.trim());
        let bytes = bytes.map_err(|why| no_key(why.to_string()))?;
        let key = SecretKey::from_bytes(&bytes).map_err(|why| no_key(why.to_string()))?;
        if !key.is_encrypted() {
            return Ok(key);
        }
        let password = match &self.password_file {
            Some(file) => Some(read(file)?.trim_end_matches(['\r', '\n']).to_owned()),
            None if io::IsTerminal::is_terminal(&io::stdin()) => None,
            None => {
                let message = "the key has a password, and standard input is no terminal";
                let help = "name a file that holds it: --password-file FILE";
                return Err(Failure::refused(exit::USAGE, "signing_key", message, help));
            }
        };
        let encrypted = SecretKeyBox::from_string(&text);
        let key = encrypted.and_then(|encrypted| encrypted.into_secret_key(password));
        key.map_err(|why| no_key(why.to_string()))
    }
}

/// Judges a plugin file as a load would, without running it: owner and mode, digest, signature, and
/// whether it would load here.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The plugin file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Verify {
    pub(super) fn run(self, app: &App) -> Result<()> {
        let (config, problems) = app.config();
        problems.into_result().map_err(holdall::Error::from)?;
        let path = self.file.display().to_string();
        match Trust::new(&config).judge(&self.file, None) {
            Ok(standing) => {
                let record = json!({ "path": path, "standing": standing });
                let line = || format!("{path}: {}", standing_line(&standing));
                app.output.answer(&record, line)
            }
            Err(faults) => {
                let record = json!({ "path": path, "faults": faults });
                let shown = || format!("{path}: refused{}", refusal(&faults));
                app.output.answer(&record, shown)?;
                Err(Failure::refused(
                    exit::SETUP,
                    "plugin_load",
                    format!("{path} would not load here: {}", Fault::codes(&faults)),
                    faults
                        .first()
                        .map(|fault| fault.fix.clone())
                        .unwrap_or_default(),
                ))
            }
        }
    }
}
