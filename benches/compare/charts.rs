//! The charts, as SVG.

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::contenders::{
    CP, CP_NEVER, CP_NEVER_SYNC, CP_SYNC, FAST, FAST_DURABLE, GUEST_FAST, GUEST_FAST_DURABLE,
    GUEST_SPLICE, GUEST_STD, QEMU_IMG, RSYNC, SPARSE, STD, XCP,
};
use crate::peers::keeps_holes;
use crate::results::{Results, Row, dir};
use crate::scaling;
use crate::whole_files::{EXTENTS, IMAGE, WARM};

/// The files and their titles.
pub const FILES: [(&str, &str); 5] = [
    ("peers.svg", "Time against the peers"),
    ("apparent-size.svg", "Time against the apparent size"),
    ("data.svg", "Time against the data"),
    ("extents.svg", "Time against the extents"),
    ("copies-at-once.svg", "Time against copies at once"),
];

const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
const FAINT: RGBColor = RGBColor(0xd0, 0xd7, 0xde);
const OURS: RGBColor = RGBColor(0x1f, 0x6f, 0xeb);
const PEER: RGBColor = RGBColor(0x8c, 0x95, 0x9f);
const FONT: &str = "sans-serif";

pub fn draw(results: &Results) -> Result<()> {
    // The errors of plotters borrow from the drawing.
    let owned = |error: Box<dyn std::error::Error>| anyhow!("{error}");
    peers(results).map_err(owned)?;
    for ((work, title, axis), (file, _)) in scaling::WORKS.into_iter().zip(&FILES[1..]) {
        if results.group(work, "ext4").next().is_some() {
            lines(results, work, file, title, axis).map_err(owned)?;
        }
    }
    Ok(())
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Draws the times of some pieces of work as bars, grouped by the piece.
fn peers(results: &Results) -> Drawn {
    let panels: [(&str, &str, &str, &[&str]); 6] = [
        (
            "8 GiB image, XFS",
            IMAGE,
            "xfs",
            &[FAST, SPARSE, CP, XCP, STD, QEMU_IMG, CP_NEVER],
        ),
        (
            // Without those that take seconds, beside which the others would be too short to see.
            "8 GiB image, ext4, by those that keep the holes",
            IMAGE,
            "ext4",
            &[FAST, CP, CP_NEVER, XCP, QEMU_IMG],
        ),
        (
            "8 GiB image, ext4, durable",
            IMAGE,
            "ext4",
            &[FAST_DURABLE, GUEST_FAST_DURABLE, CP_SYNC, CP_NEVER_SYNC],
        ),
        (
            "8 GiB image, ext4, by a guest",
            IMAGE,
            "ext4",
            &[GUEST_FAST, GUEST_SPLICE, GUEST_STD],
        ),
        (
            "50,000 extents, ext4",
            EXTENTS,
            "ext4",
            &[FAST, CP, CP_NEVER, XCP, STD, QEMU_IMG, RSYNC],
        ),
        (
            "2 GiB preallocated, 64 MiB written, ext4",
            WARM,
            "ext4",
            &[FAST, CP, XCP, STD, QEMU_IMG],
        ),
    ];
    let (width, row, head) = (960, 22, 34);
    let bars: usize = panels.iter().map(|panel| panel.3.len()).sum();
    let height = bars as i32 * row + panels.len() as i32 * head + 30;
    let file = dir().join(FILES[0].0);
    let root = SVGBackend::new(&file, (width as u32, height as u32)).into_drawing_area();
    root.fill(&WHITE)?;

    let (left, right) = (260, 290);
    let title = (FONT, 18).into_font().style(FontStyle::Bold).color(&INK);
    let label = |horizontal| {
        let anchor = Pos::new(horizontal, VPos::Center);
        TextStyle::from((FONT, 15).into_font())
            .color(&INK)
            .pos(anchor)
    };
    let mut y = 10;
    for (name, work, on, contenders) in panels {
        root.draw(&Text::new(name, (12, y + 8), title.clone()))?;
        y += head;
        let rows: Vec<&Row> = contenders
            .iter()
            .filter_map(|contender| results.row(work, on, contender))
            .collect();
        let longest = rows.iter().map(|row| row.median()).fold(0.0, f64::max);
        let ours = rows.first().map_or(1.0, |row| row.median());
        for (i, row_of) in rows.into_iter().enumerate() {
            let (contender, seconds) = (row_of.contender.as_str(), row_of.median());
            let end = left + ((width - left - right) as f64 * seconds / longest).max(1.0) as i32;
            let middle = y + row / 2;
            let is_ours = contender.contains("fast") || contender.contains("sparse_copy");
            let color = if is_ours { OURS } else { PEER };
            root.draw(&Text::new(
                contender,
                (left - 8, middle),
                label(HPos::Right),
            ))?;
            root.draw(&Rectangle::new(
                [(left, y + 3), (end, y + row - 3)],
                color.filled(),
            ))?;
            let times = if i == 0 {
                String::new()
            } else {
                format!(" ({:.1} x)", seconds / ours)
            };
            let holes = match keeps_holes(results, row_of) {
                true => "",
                false => ", fills the holes",
            };
            let text = format!("{:.1} ms{times}{holes}", seconds * 1e3);
            root.draw(&Text::new(text, (end + 6, middle), label(HPos::Left)))?;
            y += row;
        }
    }
    root.present()?;
    Ok(())
}

/// Draws the medians of fast_copy and cp at the points of a piece of work.
fn lines(results: &Results, work: &str, file: &str, title: &str, axis: &str) -> Drawn {
    let points = scaling::points_of(results, work);
    let of = |row: &Row, point: u64| (point as f64, row.median() * 1e3);
    let ours: Vec<_> = points.iter().map(|(at, ours, _)| of(ours, *at)).collect();
    let cp: Vec<_> = points.iter().map(|(at, _, cp)| of(cp, *at)).collect();
    let both = [(FAST, ours, OURS), (scaling::CP, cp, PEER)];
    let points = || both.iter().flat_map(|(_, points, _)| points);
    let most_x = points().map(|point| point.0).fold(1.0, f64::max);
    let most_y = points().map(|point| point.1).fold(1.0, f64::max);

    let path = dir().join(file);
    let root = SVGBackend::new(&path, (620, 340)).into_drawing_area();
    root.fill(&WHITE)?;
    let caption = (FONT, 15).into_font().color(&INK);
    let mut chart = ChartBuilder::on(&root)
        .caption(format!("Time against {title}, ext4, no-sync"), caption)
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..most_x * 1.05, 0.0..most_y * 1.1)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(FAINT)
        .axis_style(INK)
        .x_desc(axis)
        .y_desc("ms")
        .label_style((FONT, 12).into_font().color(&INK))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    for (name, points, color) in &both {
        chart
            .draw_series(LineSeries::new(points.clone(), color.stroke_width(2)).point_size(3))?
            .label(*name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 2), (x + 16, y + 2)], color.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE)
        .border_style(FAINT)
        .label_font((FONT, 12).into_font().color(&INK))
        .draw()?;
    root.present()?;
    Ok(())
}
