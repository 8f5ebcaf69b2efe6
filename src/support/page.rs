//! Pages to send: one HTML file, which a person asked for and which is kept nowhere else.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::error::{AtPath as _, Error, Result};

/// Readable for its owner alone.
const MODE: u32 = 0o600;

/// Makes the file before anything is done, so that it is known that it can be written. An empty one is left by a run that was killed.
///
/// # Errors
/// [`Error::Usage`] for a file that has something in it, and what the system says of one that cannot be made.
pub fn reserve(path: &Path) -> Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let found = std::fs::metadata(path).at(path)?;
            if found.is_file() && found.len() == 0 {
                return std::fs::set_permissions(path, Permissions::from_mode(MODE)).at(path);
            }
            Err(Error::Usage(format!(
                "--page {} exists: name a new file",
                path.display()
            )))
        }
        Err(error) => Err(error).at(path),
    }
}

/// Writes a page into the file that was made for it.
///
/// # Errors
/// What the system says of the file.
pub fn write(path: &Path, html: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .truncate(true)
        .mode(MODE)
        .open(path)
        .at(path)?;
    file.write_all(html.as_bytes()).at(path)?;
    file.sync_all().at(path)
}

/// A whole page. The body is HTML, the title is text.
pub fn html(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <style>body{{font-family:sans-serif;max-width:46em;margin:2em auto;line-height:1.4}}td,th{{padding:.2em 1em .2em 0;\
         text-align:left}}code{{word-break:break-all}}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// Text as it stands in HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
