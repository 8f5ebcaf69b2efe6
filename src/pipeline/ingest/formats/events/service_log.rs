//! Service-log fields in an event that is kept: when they have expired they go out of it. What is billed, and the identities of its
//! records, stay the same.

use super::carrier::{self, Carried, Content};
use crate::support::json::tree::Tree;

/// An event as it is kept, without the fields of the service log: the id of its message, the source's URL, and when it was created
/// and started.
pub fn without_service_log(kept: &str) -> String {
    let mut carried = carrier::open(kept);
    carried.iter_mut().for_each(Carried::drop_ids);
    for one in &mut carried {
        if let Content::Json(event) = &mut one.content {
            strip_top(event);
            strip("", event);
        }
    }
    match carried.as_slice() {
        [one] => one.written(),
        several => {
            let all: Vec<String> = several.iter().map(Carried::written).collect();
            format!("[{}]", all.join(","))
        }
    }
}

/// Ids that stand at the top of an event.
fn strip_top(event: &mut Tree) {
    let Tree::Object(members) = event else { return };
    let is_of_bus = members.iter().any(|(name, _)| name == "detail-type");
    members.retain(|(name, _)| name != "RequestId" && !(is_of_bus && name == "id"));
    for (name, value) in members {
        if name == "Response"
            && let Tree::Object(members) = value
        {
            members.retain(|(name, _)| name != "RequestId");
        }
    }
}

fn strip(name: &str, value: &mut Tree) {
    match value {
        Tree::Array(items) => items.iter_mut().for_each(|item| strip(name, item)),
        Tree::Object(members) => {
            members.retain(|(member, _)| !is_of_service_log(name, member));
            for (member, value) in members.iter_mut() {
                strip(member, value);
            }
        }
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) => {}
    }
}

/// `parent`: the name of the object, or of the list, that has the member.
fn is_of_service_log(parent: &str, member: &str) -> bool {
    matches!(
        (parent, member),
        (_, "CreateTime" | "BeginProcessTime")
            | ("UrlInputInfo", "Url")
            | ("CosInputInfo", "Object")
            | ("S3InputInfo", "S3Bucket" | "S3Object")
            | ("inputDetails", "uri")
    )
}
