//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    check::Check, completions::Completions, config::Config, cp::Cp, exists::Exists, get::Get,
    head::Head, inspect::Inspect, ls::Ls, man::Man, new::New, plugins::Plugins, put::Put,
    quota::Quota, rm::Rm, serve::Serve, sign::Sign, token::Token,
};

const EXIT_CODES: &str = "\
Addresses are BACKEND:KEY, split at the first colon; without a BACKEND the default backend is used.

Plugins are searched in --plugin-dir, else in HOLDALL_PLUGIN_DIR, else in plugin_dirs of the configuration, else in \
`plugins` and `../lib/holdall/plugins` beside this executable. Naming such a folder is an act of trust: the \
plugins in it run with the rights of this command. For the same reason a configuration is read only when \
--config or HOLDALL_CONFIG names it. Without one, the backend `local` under ./data is used.

Exit codes: 0 done; 1 other; 2 usage; 3 not found (also `exists`); 4 precondition or conflict; 5 bad input; \
6 quota or too large; 7 unavailable or timeout; 8 plugin or configuration; 130 interrupted.";

/// Stores, reads and lists files in any storage that a plugin serves.
#[derive(Debug, Parser)]
#[command(name = "holdall", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Configuration file. Default: the one that HOLDALL_CONFIG names.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Plugin directory; may be repeated.
    #[arg(long = "plugin-dir", global = true, value_name = "DIR")]
    pub(crate) plugin_dirs: Vec<PathBuf>,

    /// Directory of what is remembered of plugins. Default: STATE_DIRECTORY, else `holdall` in
    /// XDG_STATE_HOME or ~/.local/state.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// Owner to whom uploads are charged. Default: `default`.
    #[arg(long, global = true, value_name = "NAME", value_parser = crate::values::account)]
    pub(crate) owner: Option<String>,

    /// Group to which uploads are charged.
    #[arg(long, global = true, value_name = "NAME", value_parser = crate::values::account)]
    pub(crate) group: Option<String>,

    /// Prints answers and errors as JSON, one object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Prints errors only.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Logs to standard error; -vv and -vvv log more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Hides the progress bar. It is shown only when standard error is a terminal.
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Put(Put),
    Get(Get),
    Head(Head),
    Ls(Ls),
    Rm(Rm),
    Exists(Exists),
    Cp(Cp),
    Sign(Sign),
    Serve(Serve),
    Token(Token),
    Quota(Quota),
    Plugins(Plugins),
    Inspect(Inspect),
    New(New),
    Check(Check),
    Config(Config),
    Completions(Completions),
    Man(Man),
}

/// Number of concurrent transfers.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Jobs {
    /// With -r: number of concurrent transfers.
    #[arg(short, long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
}

impl Jobs {
    pub(crate) fn count(self) -> usize {
        self.jobs.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn texts_of_help() {
        fn write(page: &mut String, mut command: clap::Command) {
            let help = command.render_long_help().to_string();
            let lines: Vec<_> = help.lines().map(str::trim_end).collect();
            *page += &format!("# {}\n{}\n\n", command.get_name(), lines.join("\n"));
            for below in command
                .get_subcommands()
                .filter(|one| one.get_name() != "help")
            {
                write(page, below.clone());
            }
        }
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut page = String::new();
        write(&mut page, command);
        insta::assert_snapshot!("help", page);
    }

    #[test]
    fn global_options_stand_anywhere() {
        let cli = Cli::try_parse_from([
            "holdall",
            "exists",
            "local:a",
            "--json",
            "--plugin-dir",
            "x",
        ])
        .unwrap();
        assert!(cli.global.json);
        assert_eq!(cli.global.plugin_dirs, [PathBuf::from("x")]);
    }
}
