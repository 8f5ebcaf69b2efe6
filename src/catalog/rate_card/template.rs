//! The pattern of a SKU: text, with the names of dimensions in braces.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The pattern of a SKU, such as `{type}.{codec}.{resolution}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Dimension(String),
}

/// A pattern that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is nothing in it.
    #[error("the pattern of a SKU is empty; write a name such as \"AIReview\" or \"{{type}}.{{codec}}\"")]
    Empty,
    /// A brace without its partner, or nothing between two.
    #[error(
        "the pattern `{0}` has a brace without its partner or an empty pair; write the name of a dimension between `{{` and `}}`"
    )]
    Brace(String),
}

impl Template {
    /// The dimensions that it names, in its order.
    pub fn dimensions(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Dimension(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Whether it names this dimension.
    pub fn names(&self, dimension: &str) -> bool {
        self.dimensions().any(|name| name == dimension)
    }

    /// The SKU, with `value` giving the text of each dimension.
    pub fn render<'v>(&self, value: impl Fn(&str) -> &'v str) -> String {
        let mut sku = String::with_capacity(32);
        for part in &self.0 {
            match part {
                Part::Text(text) => sku.push_str(text),
                Part::Dimension(name) => sku.push_str(value(name)),
            }
        }
        sku
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(pattern: &str) -> Result<Self, TemplateError> {
        let brace = || TemplateError::Brace(pattern.to_owned());
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some(open) = rest.find(['{', '}']) {
            let (text, from_brace) = rest.split_at(open);
            let (name, after) = from_brace
                .strip_prefix('{')
                .and_then(|name| name.split_once('}'))
                .ok_or_else(brace)?;
            if name.is_empty() || name.contains('{') {
                return Err(brace());
            }
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
            parts.push(Part::Dimension(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.is_empty() {
            Err(TemplateError::Empty)
        } else {
            Ok(Self(parts))
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Dimension(name) => write!(f, "{{{name}}}"),
        })
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(pattern: String) -> Result<Self, TemplateError> {
        pattern.parse()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_prints_as_it_was_written() {
        for pattern in ["AIReview", "{type}", "{type}.{codec}.{resolution}", "Snapshot.{type}!"] {
            assert_eq!(pattern.parse::<Template>().unwrap().to_string(), pattern);
        }
    }

    #[test]
    fn a_pattern_renders_its_dimensions() {
        let template: Template = "{type}.x.{codec}".parse().unwrap();
        assert_eq!(template.render(|name| if name == "type" { "A" } else { "B" }), "A.x.B");
        assert_eq!(template.dimensions().collect::<Vec<_>>(), ["type", "codec"]);
    }

    #[test]
    fn a_lonely_brace_is_refused() {
        for pattern in ["{", "}", "{}", "a{b", "a}b", "{a{b}}", "{a}}"] {
            assert_eq!(pattern.parse::<Template>(), Err(TemplateError::Brace(pattern.into())));
        }
        assert_eq!("".parse::<Template>(), Err(TemplateError::Empty));
    }
}
