use super::*;

fn named(count: usize, name: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(name).collect()
}

fn artists(count: usize) -> Vec<String> {
    named(count, |i| format!("Lawrence Alma-Tadema {i}"))
}

fn lone(columns: Vec<String>, own: (usize, usize)) -> Table {
    Table {
        columns,
        rows: vec![String::new()],
        own,
        lone: true,
    }
}

/// Width and height of each sheet.
fn extents(layout: &Layout) -> Vec<(usize, usize)> {
    let of = |sheet: &Vec<Block>| {
        let blocks = sheet
            .iter()
            .map(|(xs, ys)| layout.sizes.extent((xs.len(), ys.len())));
        let (width, height) = blocks.fold((0, 0), |(width, height), (w, h)| {
            if layout.stacked {
                (width.max(w), height + h + SPACE)
            } else {
                (width + w + SPACE, height.max(h))
            }
        });
        (width + 2 * MARGIN, height + 2 * MARGIN + TITLE)
    };
    layout.sheets.iter().map(of).collect()
}

/// Every cell is on one sheet, no sheet is too large, no label is cut.
fn check(table: &Table) -> Layout {
    let layout = Layout::of(table);
    let mut seen = vec![0; table.columns.len() * table.rows.len()];
    for (xs, ys) in layout.sheets.iter().flatten() {
        for y in ys.clone() {
            xs.clone()
                .for_each(|x| seen[y * table.columns.len() + x] += 1);
        }
    }
    assert!(seen.iter().all(|&times| times == 1), "{layout:?}");
    for (width, height) in extents(&layout) {
        assert!(width <= LONGEST + SPACE && height <= LONGEST + SPACE);
    }
    for text in &table.columns {
        let lines = broken(text, layout.sizes.column, layout.sizes.lines);
        assert_eq!(lines.join(" "), *text);
    }
    layout
}

#[test]
fn a_lone_axis_fills_few_square_sheets() {
    for own in [(512, 512), (32, 32), (1024, 1024)] {
        let layout = check(&lone(artists(1590), own));
        assert!(
            layout.sizes.tile.0 >= GOOD,
            "{own:?}: {:?}",
            layout.sizes.tile
        );
        assert!(layout.sheets.len() <= 4, "{own:?}: {}", layout.sheets.len());
        for (width, height) in extents(&layout) {
            let ratio = width as f64 / height as f64;
            assert!((0.7..1.5).contains(&ratio), "{own:?}: {width} × {height}");
        }
    }
    let layout = check(&lone(named(100, |i| i.to_string()), (32, 32)));
    assert_eq!((layout.sheets.len(), layout.sizes.tile), (1, (256, 256)));
    assert_eq!(layout.sheets[0][0], (0..10, 0..1));
    check(&lone(artists(7), (512, 768)));
    check(&lone(artists(300), (64, 16)));
}

#[test]
fn a_table_is_cut_only_where_it_must_be() {
    let table = |columns, rows, own| {
        check(&Table {
            columns: named(columns, |i| i.to_string()),
            rows: artists(rows),
            own,
            lone: false,
        })
    };
    let whole = table(4, 6, (512, 512));
    assert_eq!(whole.sheets, [[(0..4, 0..6)]]);
    assert!(whole.sizes.tile.0 >= 256, "{:?}", whole.sizes.tile);
    let many = table(60, 60, (512, 512));
    assert_eq!(many.sheets, [[(0..60, 0..60)]]);
    // Four seeds of each artist: blocks side by side.
    let tall = table(4, 1590, (512, 512));
    assert!(
        tall.sheets.len() <= 14 && !tall.stacked,
        "{}",
        tall.sheets.len()
    );
    assert!(tall.sizes.tile.0 >= GOOD);
    let wide = table(1590, 4, (512, 512));
    assert!(
        wide.sheets.len() <= 14 && wide.stacked,
        "{}",
        wide.sheets.len()
    );
    let both = table(200, 300, (512, 512));
    assert!(both.sheets.iter().all(|sheet| sheet.len() == 1));
}

#[test]
fn wide_words_are_broken_at_hyphens() {
    let lines = |width| broken("Jean-Auguste-Dominique Ingres", width, MOST_LINES);
    assert_eq!(lines(WORD), ["Jean-Auguste-", "Dominique Ingres"]);
    assert_eq!(lines(2 * WORD), ["Jean-Auguste-Dominique Ingres"]);
    let name = broken("Karl Schmidt-Rottluff", WORD, MOST_LINES);
    assert_eq!(name, ["Karl", "Schmidt-Rottluff"]);
}
