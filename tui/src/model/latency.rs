//! How long commands took in each window: earlier states of the histograms, to take differences from.

use std::collections::VecDeque;
use std::rc::Rc;

use larder_protocol::stream::Latency;

use super::zoom::Zoom;

/// States kept for each window: its beginning is met to a thirtieth of its length.
const PARTS: i64 = 30;

/// Earlier states for each window, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct LatencyWindows {
    states: [VecDeque<(i64, Rc<Latency>)>; Zoom::ALL.len()],
}

impl LatencyWindows {
    /// Notes the state of a time.
    pub fn push(&mut self, time_ms: i64, latency: &Rc<Latency>) {
        for zoom in Zoom::ALL {
            let states = &mut self.states[zoom as usize];
            if states.back().is_none_or(|(last, _)| time_ms - last >= zoom.ms() / PARTS) {
                states.push_back((time_ms, Rc::clone(latency)));
            }
            // The first one stays until the next is old enough to take its place.
            while states.get(1).is_some_and(|(second, _)| time_ms - second >= zoom.ms()) {
                states.pop_front();
            }
        }
    }

    /// Another process follows.
    pub fn clear(&mut self) {
        self.states.iter_mut().for_each(VecDeque::clear);
    }

    /// What was counted in a window until `now`, and how many milliseconds of it are known; none before the second
    /// state.
    #[must_use]
    pub fn window(&self, zoom: Zoom, time_ms: i64, now: &Latency) -> Option<(Latency, i64)> {
        let (since, then) = self.states[zoom as usize].front()?;
        (time_ms > *since).then(|| (now.since(then), time_ms - since))
    }
}

#[cfg(test)]
mod tests {
    use larder_protocol::stream::Class;

    use super::*;

    #[test]
    fn windows_are_met_to_a_thirtieth_and_states_are_bounded() {
        let (mut windows, mut latency) = (LatencyWindows::default(), Latency::default());
        for second in 0..20_000 {
            latency.class_mut(Class::Read).record(1_000);
            windows.push(second * 1_000, &Rc::new(latency.clone()));
        }
        for zoom in Zoom::ALL {
            let (window, known) = windows.window(zoom, 19_999_000, &latency).unwrap();
            assert!((zoom.ms()..=zoom.ms() + zoom.ms() / PARTS).contains(&known), "{zoom:?}: {known}");
            assert_eq!(window.class(Class::Read).count() as i64 * 1_000, known);
            assert!(windows.states[zoom as usize].len() as i64 <= PARTS + 2);
        }
        windows.clear();
        assert_eq!(windows.window(Zoom::Minute, 20_000_000, &latency), None);
    }
}
