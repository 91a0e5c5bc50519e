//! A command's usage as COMMAND DOCS describes it: a tree of arguments, from which `redis-cli` and others make hints.
//!
//! Reads the notation of [`Spec::usage`](super::Spec): `[...]` may be left out, `<...>` and `|` are alternatives, words in
//! upper case stand for themselves, and `[word ...]` after the same word says that there may be more of it.

use larder_protocol::Reply;

/// Words that stand for whole numbers.
const INTEGERS: [&str; 18] = [
    "cursor",
    "count",
    "db",
    "decrement",
    "end",
    "id",
    "increment",
    "index",
    "milliseconds",
    "ms",
    "numkeys",
    "numreplicas",
    "offset",
    "protover",
    "s",
    "seconds",
    "start",
    "timeout",
];

/// Words that stand for keys.
const KEYS: [&str; 4] = ["destination", "key", "newkey", "source"];

/// One argument, or several that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Argument {
    /// What stands in front of it, or is all of it.
    token: Option<String>,
    /// Its name; empty where it is only a token or a group.
    name: String,
    optional: bool,
    multiple: bool,
    /// Each of them one way to write it; with one way, a group.
    ways: Vec<Vec<Argument>>,
}

/// The arguments in `usage`, in Redis's form.
pub(super) fn arguments(usage: &str) -> Reply {
    let spaced = ["[", "]", "<", ">", "|"]
        .iter()
        .fold(usage.to_owned(), |text, sign| text.replace(sign, &format!(" {sign} ")));
    let ways = ways(&mut spaced.split_whitespace());
    let all = if ways.len() == 1 { ways.concat() } else { vec![Argument { ways, ..Argument::default() }] };
    Reply::array(all.iter().map(reply))
}

/// Alternatives up to the end of the brackets.
fn ways<'a>(words: &mut impl Iterator<Item = &'a str>) -> Vec<Vec<Argument>> {
    let mut ways = vec![Vec::new()];
    while let Some(word) = words.next() {
        let way: &mut Vec<Argument> = ways.last_mut().expect("there is a first");
        match word {
            "|" => ways.push(Vec::new()),
            "]" | ">" => break,
            "[" | "<" => {
                let group =
                    Argument { optional: word == "[", ways: self::ways(words), ..Argument::default() };
                add_group(way, group);
            }
            "..." => {
                // Ends a group, which says so by this.
                way.push(Argument { multiple: true, ..Argument::default() });
            }
            _ if word.chars().any(char::is_lowercase) => match way.last_mut() {
                // The operand of a token.
                Some(Argument { token: Some(_), name, ways, .. }) if name.is_empty() && ways.is_empty() => {
                    word.clone_into(name);
                }
                // Its second one.
                Some(Argument { token: Some(_), name, ways, optional: false, .. }) if ways.len() < 2 => {
                    let first = Argument { name: std::mem::take(name), ..Argument::default() };
                    let more = Argument { name: word.to_owned(), ..Argument::default() };
                    match ways.first_mut() {
                        None => ways.push(vec![first, more]),
                        Some(operands) => operands.push(more),
                    }
                }
                _ => way.push(Argument { name: word.to_owned(), ..Argument::default() }),
            },
            token => way.push(Argument { token: Some(token.to_owned()), ..Argument::default() }),
        }
    }
    ways
}

/// Adds a group, or has what it repeats repeated.
fn add_group(way: &mut Vec<Argument>, mut group: Argument) {
    let ends = |argument: &Argument| *argument == Argument { multiple: true, ..Argument::default() };
    if let [repeated] = &mut group.ways[..]
        && repeated.last().is_some_and(ends)
    {
        repeated.pop();
        let same = way.len().checked_sub(repeated.len()).filter(|from| way[*from..] == repeated[..]);
        match (same, &mut way[..]) {
            (Some(_), [.., only]) if repeated.len() == 1 => only.multiple = true,
            (Some(from), _) => {
                let pair = way.split_off(from);
                way.push(Argument { multiple: true, ways: vec![pair], ..Argument::default() });
            }
            // Only the operand of a token is repeated, not the token.
            (None, [.., last]) if last.token.is_some() && [&last.name] == repeated_names(repeated)[..] => {
                let name = std::mem::take(&mut last.name);
                let token = Argument { token: last.token.take(), ..Argument::default() };
                last.ways = vec![vec![token, Argument { name, multiple: true, ..Argument::default() }]];
            }
            (None, _) => way.push(Argument { multiple: true, ..group }),
        }
        return;
    }
    // `[word]` is that word, left out or not.
    match &mut group.ways[..] {
        [only] if only.len() == 1 && group.optional => {
            way.push(Argument { optional: true, ..only.remove(0) });
        }
        _ => way.push(group),
    }
}

fn repeated_names(repeated: &[Argument]) -> Vec<&String> {
    repeated.iter().map(|argument| &argument.name).collect()
}

fn reply(argument: &Argument) -> Reply {
    let Argument { token, name, optional, multiple, ways } = argument;
    let kind = match (&ways[..], token, &name[..]) {
        ([], Some(_), "") => "pure-token",
        ([], _, name) if KEYS.contains(&name) => "key",
        ([], _, name) if INTEGERS.contains(&name) => "integer",
        ([], _, "pattern") => "pattern",
        ([], ..) => "string",
        ([_], ..) => "block",
        _ => "oneof",
    };
    let shown = match (token, &name[..]) {
        (Some(token), "") => token.to_ascii_lowercase(),
        (None, "") => kind.to_owned(),
        (_, name) => name.to_owned(),
    };
    let mut fields = vec![("name", Reply::bulk(shown.clone())), ("type", Reply::bulk(kind))];
    if ways.is_empty() {
        fields.push(("display_text", Reply::bulk(shown)));
    }
    if let Some(token) = token {
        fields.push(("token", Reply::bulk(token.clone())));
    }
    let flags = [(*optional, "optional"), (*multiple, "multiple")];
    let flags: Vec<_> =
        flags.into_iter().filter_map(|(is, flag)| is.then_some(Reply::Status(flag))).collect();
    if !flags.is_empty() {
        fields.push(("flags", Reply::Set(flags)));
    }
    let within: Vec<_> = match &ways[..] {
        [] => Vec::new(),
        [only] => only.iter().map(reply).collect(),
        // A way of several words is a block.
        several => several
            .iter()
            .map(|way| match &way[..] {
                [only] => reply(only),
                _ => reply(&Argument { ways: vec![way.clone()], ..Argument::default() }),
            })
            .collect(),
    };
    if !within.is_empty() {
        fields.push(("arguments", Reply::Array(within)));
    }
    Reply::map(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::REGISTRY;

    /// The hint that a client makes of the arguments, as Redis's own documentation writes it.
    fn hint(arguments: &Reply) -> String {
        let Reply::Array(arguments) = arguments else { panic!("a list") };
        arguments.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn one(argument: &Reply) -> String {
        let Reply::Map(fields) = argument else { panic!("a map: {argument:?}") };
        let field =
            |name: &str| fields.iter().find(|(key, _)| *key == Reply::bulk(name.to_owned())).map(|(_, v)| v);
        let text = |name: &str| match field(name) {
            Some(Reply::Bulk(bytes)) => String::from_utf8(bytes.to_vec()).unwrap(),
            other => panic!("{name}: {other:?}"),
        };
        let within = || {
            let Some(Reply::Array(within)) = field("arguments") else { panic!("{fields:?}") };
            within.iter().map(one).collect::<Vec<_>>()
        };
        let plain = match &text("type")[..] {
            "pure-token" => String::new(),
            "block" => within().join(" "),
            "oneof" => within().join("|"),
            _ => text("display_text"),
        };
        let mut whole = match field("token") {
            Some(_) => format!("{} {plain}", text("token")).trim_end().to_owned(),
            None => plain,
        };
        let flags = match field("flags") {
            Some(Reply::Set(flags)) => flags.clone(),
            _ => Vec::new(),
        };
        if flags.contains(&Reply::Status("multiple")) {
            whole = format!("{whole} [{whole} ...]");
        }
        if flags.contains(&Reply::Status("optional")) { format!("[{whole}]") } else { whole }
    }

    #[test]
    fn hints_say_what_the_usage_says() {
        for (usage, expected) in [
            ("key", "key"),
            ("key [key ...]", "key [key ...]"),
            ("name value [name value ...]", "name value [name value ...]"),
            (
                "key value [EX s | PX ms | KEEPTTL] [NX | XX] [GET]",
                "key value [EX s|PX ms|KEEPTTL] [NX|XX] [GET]",
            ),
            (
                "[protover [AUTH username password] [SETNAME clientname]]",
                "[protover [AUTH username password] [SETNAME clientname]]",
            ),
            (
                "script numkeys [key [key ...]] [arg [arg ...]]",
                "script numkeys [key [key ...]] [arg [arg ...]]",
            ),
            ("GET pattern [pattern ...] | RESETSTAT", "GET pattern [pattern ...]|RESETSTAT"),
            ("ID | LIST [TYPE type | ID id [id ...]]", "ID|LIST [TYPE type|ID id [id ...]]"),
            ("", ""),
        ] {
            assert_eq!(hint(&arguments(usage)), expected, "{usage}");
        }
    }

    #[test]
    fn every_command_has_a_hint() {
        for spec in REGISTRY {
            let hint = hint(&arguments(spec.usage));
            assert_eq!(hint.is_empty(), spec.usage.is_empty(), "{}", spec.name);
        }
    }
}
