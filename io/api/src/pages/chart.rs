//! Small charts, drawn here: bars as SVG, so that they need no script and no style attribute.

use hedgerow_base::Timestamp;
use hedgerow_plane::{Minute, limits::PULSE_MINUTES_MAX};
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
                text.below x=(middle) y="109" text-anchor="middle" { (word) }
            }
        }
    }
}

/// The last hour, a place for each minute; what nobody knows stays empty.
pub(super) struct Hour {
    minutes: [Option<Minute>; PULSE_MINUTES_MAX],
}

impl Hour {
    pub(super) fn new(known: &[Minute], now: Timestamp) -> Self {
        let mut minutes = [None; PULSE_MINUTES_MAX];
        for minute in known {
            let ago = usize::try_from(now.since_ms(minute.ended).max(0) / 60_000);
            let place = ago.ok().and_then(|ago| (PULSE_MINUTES_MAX - 1).checked_sub(ago));
            if let Some(place) = place.and_then(|place| minutes.get_mut(place)) {
                *place = Some(*minute);
            }
        }
        Self { minutes }
    }

    /// The number of the last minute that is over.
    pub(super) fn newest(&self, of: fn(&Minute) -> u64) -> Markup {
        html! {
            p.value {
                @match self.minutes.iter().rev().find_map(Option::as_ref) {
                    Some(minute) => { (words::grouped(of(minute))) span.unit { " in the last minute" } },
                    None => span.hint { "Not known yet" },
                }
            }
        }
    }

    /// A bar a minute, and in words what the bars show.
    pub(super) fn chart(&self, title: &str, of: fn(&Minute) -> u64) -> Markup {
        let known: Vec<_> = self.minutes.iter().flatten().map(of).collect();
        let (least, most) = (known.iter().min(), known.iter().max().copied().unwrap_or(0));
        let label = match least {
            Some(least) => format!(
                "{title}, the last hour: between {} and {}",
                words::grouped(*least),
                words::grouped(most)
            ),
            None => format!("{title}: no minute is over yet"),
        };
        let (bars, gaps) = self.drawn(of, most);
        html! {
            svg.hour viewBox="0 0 300 60" preserveAspectRatio="none" role="img" aria-label=(label) {
                path.known d=(bars) {}
                path.unknown d=(gaps) {}
            }
            p.under { span { "1 hour ago" } span { @if !known.is_empty() { "at most " (words::grouped(most)) } } span { "now" } }
        }
    }

    /// Bars where a minute is known, marks where none is: two paths, since a page has several charts.
    fn drawn(&self, of: fn(&Minute) -> u64, most: u64) -> (String, String) {
        const STEP: usize = 5;
        const HIGH: u64 = 58;
        let (mut bars, mut gaps) = (String::new(), String::new());
        for (at, minute) in self.minutes.iter().enumerate() {
            let left = at * STEP;
            match minute.as_ref().map(of) {
                Some(number) => {
                    let high = 2 + (number * HIGH).div_ceil(most.max(1));
                    bars.push_str(&format!("M{left} 60v-{high}h4v{high}"));
                }
                None => gaps.push_str(&format!("M{left} 60v-2h4v2")),
            }
        }
        (bars, gaps)
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_plane::Flow;

    use super::*;

    #[test]
    fn a_minute_stands_where_it_was_and_what_is_not_known_stays_empty() {
        let now = Timestamp::from_secs(1_000_000);
        let minute = |ago_s: i64| Minute {
            ended: now.plus_ms(-ago_s * 1000),
            connected: 1,
            readings: 2,
            refusals: 0,
            flow: Flow::default(),
        };
        let hour = Hour::new(&[minute(3601), minute(3599), minute(130), minute(10)], now);
        let places: Vec<_> =
            (0..PULSE_MINUTES_MAX).filter(|at| hour.minutes[*at].is_some()).collect();
        assert_eq!(places, [0, 57, 59]);
        let drawn = hour.chart("Readings", |minute| minute.readings).into_string();
        assert!(drawn.contains("between 2 and 2"), "{drawn}");
        let (bars, gaps) = hour.drawn(|minute| minute.readings, 4);
        assert_eq!(bars, "M0 60v-31h4v31M285 60v-31h4v31M295 60v-31h4v31");
        assert_eq!(gaps.matches('M').count(), PULSE_MINUTES_MAX - 3);
    }

    #[test]
    fn before_the_first_minute_nothing_is_claimed() {
        let hour = Hour::new(&[], Timestamp::from_secs(1));
        assert!(hour.newest(|minute| minute.readings).into_string().contains("Not known yet"));
        assert!(
            hour.chart("Readings", |minute| minute.readings)
                .into_string()
                .contains("no minute is over yet")
        );
    }
}
