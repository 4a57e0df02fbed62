//! Bars as inline SVG, by the crate `plotters`. Colours are those of the page's style sheet, so that they follow
//! light and dark.

use plotters::prelude::*;

/// Width and height of a chart; the page scales it.
const SIZE: (u32, u32) = (720, 200);

/// One bar: its label and its parts, from the ground up.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) parts: [u64; 2],
}

/// Bars of two parts stacked, as an SVG element; empty where there are none.
pub(super) fn bars(bars: &[Bar]) -> String {
    let mut svg = String::new();
    // A chart that cannot be drawn is left out: its numbers stand in the table below it.
    if !bars.is_empty() && draw(&mut svg, bars).is_err() {
        svg.clear();
    }
    svg
}

fn draw(svg: &mut String, bars: &[Bar]) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let highest = bars.iter().map(|bar| bar.parts.iter().sum::<u64>()).max().unwrap_or_default().max(1);
    let count = i32::try_from(bars.len())?;
    let mut chart = ChartBuilder::on(&root)
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(64)
        .build_cartesian_2d((0..count - 1).into_segmented(), 0..highest + highest / 20 + 1)?;
    let label = |at: &SegmentValue<i32>| match at {
        SegmentValue::CenterOf(at) => {
            usize::try_from(*at).ok().and_then(|at| bars.get(at)).map(|bar| bar.label.clone()).unwrap_or_default()
        }
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(bars.len().min(12))
        .y_labels(5)
        .x_label_formatter(&label)
        .label_style(("sans-serif", 12))
        .draw()?;
    for (part, colour) in [(0, RGBColor(59, 130, 246)), (1, RGBColor(217, 70, 70))] {
        chart.draw_series(bars.iter().zip(0i32..).filter(|(bar, _)| bar.parts[part] > 0).map(|(bar, at)| {
            let ground: u64 = bar.parts[..part].iter().sum();
            let corners = [(SegmentValue::Exact(at), ground), (SegmentValue::Exact(at + 1), ground + bar.parts[part])];
            let mut rectangle = Rectangle::new(corners, colour.filled());
            rectangle.set_margin(0, 0, 2, 2);
            rectangle
        }))?;
    }
    root.present()?;
    Ok(())
}
