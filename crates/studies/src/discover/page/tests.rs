use super::super::sheet::{sheet, sliders};
use super::super::synthetic::{Shape, findings, recipe};
use super::page;
use alice_runs::picture::encode_png;

/// `ALICE_LOOK=FOLDER` also writes them, for a person to look at.
#[test]
fn every_shape_of_findings_has_a_page_and_a_sheet() {
    let folder = std::env::var_os("ALICE_LOOK").map(std::path::PathBuf::from);
    let shapes = [
        ("default", Shape::default()),
        (
            "bare",
            Shape {
                instrument: false,
                model: "/models/with/a/very/long/path/and-a-very-long-name/".repeat(3) + "unet",
                size: 256,
                walks: 3,
                ..Shape::default()
            },
        ),
        (
            "one",
            Shape {
                rank: 1,
                walks: 1,
                sliders: 0,
                samples: 1,
                frames: 1,
                ..Shape::default()
            },
        ),
        (
            "many",
            Shape {
                walks: 50,
                frames: 8,
                size: 64,
                ..Shape::default()
            },
        ),
    ];
    for (name, shape) in shapes {
        let findings = findings(&shape);
        let html = page(&findings, &recipe()).unwrap();
        let sheet = sheet(&findings).unwrap();
        assert!(html.contains("</html>"), "{name}");
        assert!((1..=1600).contains(&sheet.width()), "{name}");
        let has_sliders = !findings.sliders.is_empty();
        let drawn = sliders(&findings).unwrap();
        assert_eq!(drawn.is_some(), has_sliders, "{name}");
        if let Some(folder) = &folder {
            let page = folder.join(format!("{name}.html"));
            alice_runs::atomic::write(page, html.as_bytes()).unwrap();
            let path = folder.join(format!("{name}.png"));
            let bytes = encode_png(&path, &sheet, &alice_runs::Metadata::new()).unwrap();
            alice_runs::atomic::write(&path, &bytes).unwrap();
        }
    }
}

fn small() -> Shape {
    Shape {
        rank: 4,
        walks: 2,
        sliders: 1,
        samples: 2,
        frames: 1,
        ..Shape::default()
    }
}

#[test]
fn a_page_asks_for_nothing_outside_of_itself() {
    let html = page(&findings(&small()), &recipe()).unwrap();
    for reference in ["http://", "https://", "src=\"/", "url(", "@import", "<link"] {
        assert!(!html.contains(reference), "{reference}");
    }
    assert_eq!(
        html.matches("src=\"data:image/png;base64,").count(),
        2 + 3 * 3
    );
    // Every picture is described; the player's is described by the script.
    assert_eq!(
        html.matches("<img").count(),
        html.matches(" alt=\"").count()
    );
}

#[test]
fn what_comes_from_files_is_escaped() {
    let mut findings = findings(&small());
    let evil = "<script>alert('x')</script>\"&".to_owned();
    findings.report.model.name = evil.clone();
    findings.report.samples[0].caption = evil.clone();
    for walk in &mut findings.report.walks {
        walk.strongest = Some(evil.clone());
        walk.responses[0].factor = evil.clone();
    }
    findings.report.instrument[0].factor = evil.clone();
    findings.report.instrument[0].measure = evil.clone();
    let mut recipe = recipe();
    recipe.verb = evil.clone();
    recipe.arguments = serde_json::json!({ "prompt": evil });
    let html = page(&findings, &recipe).unwrap();
    assert_eq!(html.matches("<script>").count(), 1);
    assert!(html.contains("&lt;script&gt;"));
}

#[test]
fn numbers_that_are_not_are_shown_as_such() {
    let mut findings = findings(&small());
    let report = &mut findings.report;
    report.singular_values = vec![f64::NAN, f64::INFINITY, 0.0, -1.0];
    report.residual = f64::NAN;
    report.converged = false;
    for walk in &mut report.walks {
        walk.singular_value = f64::NAN;
        walk.purity = Some(f64::NAN);
        walk.pixel_change = f64::INFINITY;
        for response in &mut walk.responses {
            response.change = f64::NAN;
            response.spearman = f64::NAN;
            response.values.fill(f64::NAN);
        }
    }
    findings.walks[0].values.fill(f32::NAN);
    let html = page(&findings, &recipe()).unwrap();
    assert!(
        !html.contains("NaN") && !html.contains("inf<"),
        "a raw NaN is shown"
    );
    assert!(html.contains("do not trust the last directions"));
    sheet(&findings).unwrap();
}

#[test]
fn nothing_drawn_still_makes_a_page() {
    let shape = Shape {
        walks: 0,
        samples: 0,
        instrument: false,
        ..Shape::default()
    };
    let mut findings = findings(&shape);
    let html = page(&findings, &recipe()).unwrap();
    assert!(!html.contains("id=\"walks\"") && html.contains("id=\"spectrum\""));
    assert!(sheet(&findings).is_err());
    findings.report.singular_values.clear();
    page(&findings, &recipe()).unwrap();
}

#[test]
fn sheets_fit_a_screen() {
    for (size, frames) in [(32, 4), (64, 20), (256, 4), (32, 0)] {
        let shape = Shape {
            size,
            frames,
            walks: 2,
            samples: 1,
            ..Shape::default()
        };
        let sheet = sheet(&findings(&shape)).unwrap();
        assert!((640..=1600).contains(&sheet.width()), "{size}, {frames}");
    }
}
