//! Variables of the environment that look like settings and are none: a mistyped name would be passed
//! over without a word.

use clap::Command;

/// Each of `names` that begins as ours do and is not among those that `command` or one of its commands
/// goes by, as a sentence.
pub(super) fn told(command: &Command, names: impl Iterator<Item = String>) -> Vec<String> {
    let mut known = vec![];
    collect(command, &mut known);
    let mut unknown: Vec<_> = names
        .filter(|name| name.starts_with("EVENTLY_") && !is_of_others(name) && !known.contains(name))
        .map(|name| {
            format!("{name} is in the environment, and no setting: see evently help settings")
        })
        .collect();
    unknown.sort_unstable();
    unknown
}

/// Those of this process.
pub(super) fn here(command: &Command) -> Vec<String> {
    told(command, std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
}

fn collect(command: &Command, known: &mut Vec<String>) {
    let names = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
    known.extend(names.map(str::to_owned));
    command.get_subcommands().for_each(|command| collect(command, known));
}

/// What Kubernetes tells every container of services whose names begin like the product's, and what
/// only the product's own tests go by.
fn is_of_others(name: &str) -> bool {
    let of_a_service = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT_"];
    of_a_service.iter().any(|part| name.contains(part))
        || name.ends_with("_PORT")
        || name.starts_with("EVENTLY_TEST_")
        || name == "EVENTLY_BLESS"
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn only_what_could_be_meant_for_us_and_is_no_setting_is_told() {
        let part = Command::new("part").arg(Arg::new("b").long("b").env("EVENTLY_B"));
        let whole = Command::new("whole").arg(Arg::new("a").long("a").env("EVENTLY_A"));
        let names = [
            "EVENTLY_LISTN",
            "EVENTLY_A",
            "EVENTLY_B",
            "PATH",
            "EVENTLY_TEST_X",
            "EVENTLY_SERVICE_HOST",
            "EVENTLY_QUERY_PORT_8080_TCP_ADDR",
            "EVENTLY_PORT",
        ];
        let told = told(&whole.subcommand(part), names.into_iter().map(str::to_owned));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("EVENTLY_LISTN "), "{told:?}");
    }
}
