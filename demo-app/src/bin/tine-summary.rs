//! `tine-summary REPORT.json`: the figures of a viewer's `--report`, for people.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::{env, fs};

use serde_json::Value;

fn main() -> ExitCode {
    let Some(path) = env::args_os().nth(1) else {
        eprintln!("usage: tine-summary REPORT.json");
        return ExitCode::from(2);
    };
    let report = fs::read(&path).map_err(|error| error.to_string());
    match report.and_then(|json| serde_json::from_slice(&json).map_err(|error| error.to_string())) {
        Ok(report) => {
            print!("{}", summary(&report));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tine-summary: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn summary(report: &Value) -> String {
    let figure = |name: &str, digits: usize, unit: f64| match report[name].as_f64() {
        Some(figure) => format!("{:.digits$}", figure / unit),
        None => "?".into(), // not measured
    };
    let count = |name: &str| figure(name, 0, 1.0);
    let mebibytes = |name: &str| figure(name, 1, 1024.0);
    let mut lines = vec![
        format!(
            "pictures    {}: {} shown, {} not",
            count("pictures"),
            count("thumbnails_ok"),
            count("thumbnails_failed")
        ),
        format!(
            "time        {} s to the first thumbnail, {} s in all",
            figure("seconds_to_first_thumbnail", 2, 1.0),
            figure("seconds_total", 2, 1.0)
        ),
        format!(
            "main loop   busy for {} ms at the longest, 99 % of all turns below {} ms",
            figure("main_loop_stall_ms_max", 1, 1.0),
            figure("main_loop_stall_ms_p99", 1, 1.0)
        ),
        format!(
            "workers     {} started, {} crashed",
            count("workers_started"),
            count("workers_crashed")
        ),
        format!(
            "memory      app at most {} MiB; private: template {} MiB, a worker at most {} MiB",
            mebibytes("app_peak_rss_kib"),
            mebibytes("template_private_kib"),
            mebibytes("worker_private_kib_max")
        ),
    ];
    for failure in report["failures"].as_array().into_iter().flatten() {
        let text = |name: &str| failure[name].as_str().unwrap_or("?");
        lines.push(format!("not shown   {}: {}", text("path"), text("reason")));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_failures_are_told() {
        let report = serde_json::json!({
            "pictures": 3, "thumbnails_ok": 2, "thumbnails_failed": 1,
            "failures": [{"path": "/a/b.jpg", "reason": "truncated JPEG"}],
            "seconds_to_first_thumbnail": 0.25, "seconds_total": 1.5,
            "main_loop_stall_ms_p99": 2.0, "main_loop_stall_ms_max": 7.5,
            "workers_started": 2, "workers_crashed": 0, "app_peak_rss_kib": 102_400,
            "template_private_kib": 1024, "worker_private_kib_max": 2048,
        });
        let expected = "\
pictures    3: 2 shown, 1 not
time        0.25 s to the first thumbnail, 1.50 s in all
main loop   busy for 7.5 ms at the longest, 99 % of all turns below 2.0 ms
workers     2 started, 0 crashed
memory      app at most 100.0 MiB; private: template 1.0 MiB, a worker at most 2.0 MiB
not shown   /a/b.jpg: truncated JPEG
";
        assert_eq!(summary(&report), expected);
    }

    #[test]
    fn what_is_not_there_is_not_made_up() {
        assert!(summary(&serde_json::json!({})).contains("? s to the first thumbnail"));
    }
}
