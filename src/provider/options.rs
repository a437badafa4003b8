//! Rules for what a target may switch on: a header, or a parameter of every address.

use super::rules::{self, Checked, require};
use super::spec::Spec;

/// Each is set in one place: `taken` are the headers that something else sets.
pub(super) fn check(spec: &Spec, taken: &mut Vec<String>) -> Checked {
    let mut asked = Vec::new();
    require(spec.options.len() <= 16, "options", "has too many entries", "keep the ones that operators need")?;
    for (name, option) in &spec.options {
        let key = format!("options.{name}");
        rules::id_name(&key, name)?;
        rules::words(&key, &option.about)?;
        require(
            option.header.is_some() != option.query.is_some(),
            &key,
            "has no header and no query, or both",
            "say where it is sent: `header = \"…\"` or `query = \"…\"`",
        )?;
        if let Some(query) = &option.query {
            let list = spec.inspect.as_ref().and_then(|inspect| inspect.list.as_ref());
            let is_of_list = list.is_some_and(|list| [&list.page, &list.size].contains(&query));
            require(
                rules::is_token(query) && !is_of_list && !asked.contains(query),
                &key,
                "is no name of a parameter, or one that something else sets",
                "write it like `query = \"teamId\"`",
            )?;
            asked.push(query.clone());
        }
        let Some(header) = &option.header else { continue };
        rules::header_name(&key, header)?;
        let twice = taken.iter().any(|other| other.eq_ignore_ascii_case(header));
        require(!twice, &key, "sets a header that something else sets", "set each header in one place")?;
        taken.push(header.clone());
    }
    Ok(())
}
