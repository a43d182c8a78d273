//! Small charts, drawn here: bars as SVG, so that they need no script and no style attribute.

use maud::{Markup, html};

use super::words;

/// Bars side by side with their words below and numbers above.
pub(super) fn bars(label: &str, bars: &[(String, u64)]) -> Markup {
    const STEP: usize = 64;
    const HIGH: u64 = 72;
    let most = bars.iter().map(|(_, number)| *number).max().unwrap_or(0).max(1);
    let width = STEP * bars.len();
    html! {
        svg.bars viewBox={ "0 0 " (width) " 112" } role="img" aria-label=(label) {
            line.base x1="0" y1="94" x2=(width) y2="94" {}
            @for (at, (word, number)) in bars.iter().enumerate() {
                @let high = (number * HIGH).div_ceil(most);
                @let middle = at * STEP + STEP / 2;
                rect.bar x=(at * STEP + 12) y=(94 - high) width=(STEP - 24) height=(high) rx="2" {}
                text x=(middle) y=((94 - high).saturating_sub(5).max(12)) text-anchor="middle" { (words::grouped(*number)) }
                text.under x=(middle) y="109" text-anchor="middle" { (word) }
            }
        }
    }
}

/// How much of a whole.
pub(super) fn meter(label: &str, part: u64, whole: u64) -> Markup {
    const WIDE: u64 = 200;
    let filled = (part.min(whole) * WIDE).checked_div(whole).unwrap_or(0);
    html! {
        svg.meter viewBox="0 0 200 8" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect.track width="200" height="8" rx="4" {}
            rect.bar width=(filled) height="8" rx="4" {}
        }
    }
}
