//! Enhancements of a video, which are billed beside its transcoding: each is one record more.

use super::member::{Node, is_blank, wrong_type};
use crate::pipeline::ingest::record::refusal::{Refusal, code};
use crate::support::json::tree::Tree;

/// An enhancement: its name as records have it, in `CallBackExtInfo`, and in `EnhanceConfig.VideoEnhance`.
const ENHANCEMENTS: [(&str, &str, &str); 11] = [
    ("SuperResolution", "video_super_resolution", "SuperResolution"),
    ("Sdr2hdr", "hdr", "Hdr"),
    ("InsertFrame", "wd_fps", "FrameRate"),
    ("ComprehensiveEnhancement", "repair", "ImageQualityEnhance"),
    ("NoiseReduction", "denoise", "Denoise"),
    ("ColorEnhancement", "color_enhance", "ColorEnhance"),
    ("RemoveScratches", "scratch", "ScratchRepair"),
    ("Deburr", "artifact", "ArtifactRepair"),
    ("DetailEnhancement", "sharp", "SharpEnhance"),
    ("LightEnhancement", "low_light", "LowLightEnhance"),
    ("FaceEnhancement", "face_enhance", "FaceEnhance"),
];

/// The enhancements of a transcoding, each once, by what it was asked for and by what it reported.
pub(super) fn enhancements(input: &Node<'_>, output: &Node<'_>, definition: u64) -> Result<Vec<&'static str>, Refusal> {
    let mut found = [false; ENHANCEMENTS.len()];
    reported(output, &mut found)?;
    asked(input.object_at(&["OverrideParameter", "EnhanceConfig"])?, &mut found)?;
    // A template has its own; then the raw parameters mean nothing.
    if definition == 0 {
        asked(input.object_at(&["RawParameter", "EnhanceConfig"])?, &mut found)?;
    }
    let names = ENHANCEMENTS.iter().zip(found).filter(|(_, is_there)| *is_there);
    Ok(names.map(|((name, _, _), _)| *name).collect())
}

/// `CallBackExtInfo` is a text whose form is not published: a JSON object with a key for each enhancement. Other texts and keys mean
/// nothing here.
fn reported(output: &Node<'_>, found: &mut [bool]) -> Result<(), Refusal> {
    let Some(text) = output.text("CallBackExtInfo")? else {
        return Ok(());
    };
    let Ok(tree) = Tree::read(text) else { return Ok(()) };
    let Some(object) = Node::root(&tree) else { return Ok(()) };
    for ((_, key, _), found) in ENHANCEMENTS.iter().zip(found) {
        *found |= match object.value(key)? {
            None | Some(Tree::Bool(false)) => false,
            Some(Tree::Object(members)) => !is_switched_off(members),
            Some(_) => true,
        };
    }
    Ok(())
}

fn asked(config: Option<Node<'_>>, found: &mut [bool]) -> Result<(), Refusal> {
    let Some(config) = config else { return Ok(()) };
    for name in config.names() {
        let Some(Tree::Object(_)) = config.value(name)? else {
            continue;
        };
        let Some(group) = config.object(name)? else { continue };
        for key in group.names() {
            let is_known = name == "VideoEnhance" && ENHANCEMENTS.iter().any(|(_, _, known)| *known == key);
            let members = match group.value(key)? {
                Some(Tree::Object(members)) => members,
                Some(value) if is_known && !is_blank(value) => {
                    return Err(wrong_type(&group.path_of(key), value, "an object with a `Switch`"));
                }
                // What is no object is no switch, such as the kind of a scene.
                _ => continue,
            };
            if is_switched_off(members) {
                continue;
            }
            match ENHANCEMENTS
                .iter()
                .position(|(_, _, known)| *known == key && name == "VideoEnhance")
            {
                Some(index) => found[index] = true,
                None => return Err(unknown(&group, key)),
            }
        }
    }
    Ok(())
}

/// Whether an enhancement is off; one without a switch is on.
fn is_switched_off(members: &[(String, Tree)]) -> bool {
    let mut switches = members
        .iter()
        .filter(|(name, value)| name == "Switch" && !is_blank(value));
    switches.any(|(_, value)| matches!(value, Tree::Text(text) if text.eq_ignore_ascii_case("OFF")))
}

fn unknown(group: &Node<'_>, key: &str) -> Refusal {
    let sentence = format!(
        "`{}` is switched on, an enhancement that is not known here: it would not be billed; known are {}",
        group.path_of(key),
        ENHANCEMENTS.map(|(_, _, name)| name).join(", ")
    );
    Refusal::new(code::UNKNOWN_ENHANCEMENT, sentence)
}
