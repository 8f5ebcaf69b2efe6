//! The dashboards as they lie in the repository.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A query of a dashboard: of a chart, or of a variable.
pub struct Asked {
    /// Dashboard and chart.
    pub title: String,
    pub sql: String,
    /// `table` or `time_series`; none for a variable.
    pub format: Option<String>,
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

/// The dashboards of a server, by file name.
pub fn dashboards(server: &str) -> Vec<(String, Value)> {
    let files = std::fs::read_dir(folder().join(server))
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut found: Vec<(String, Value)> = files
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Every query of a dashboard, in its order.
pub fn queries(dashboard: &Value) -> Vec<Asked> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let name = text(&dashboard["title"]);
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let of_variables = variables
        .filter(|variable| variable["type"] == "query")
        .map(|variable| Asked {
            title: format!("{name}, variable {}", text(&variable["name"])),
            sql: text(&variable["query"]),
            format: None,
        });
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let of_panels = panels.filter(|panel| panel["type"] != "row").flat_map(|panel| {
        let title = format!("{name}, {}", text(&panel["title"]));
        panel["targets"].as_array().unwrap().iter().map(move |target| Asked {
            title: title.clone(),
            sql: text(&target["rawSql"]),
            format: Some(text(&target["format"])),
        })
    });
    of_variables.chain(of_panels).collect()
}
