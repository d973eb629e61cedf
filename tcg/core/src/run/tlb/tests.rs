use super::*;

#[test]
fn the_slot_used_longest_ago_is_taken_over() {
    let mut slots = Slots::new(3);
    let [a, b, c, d] = [1, 2, 3, 4].map(|key| (key, 0));
    let places = [a, b, c].map(|key| slots.find(key));
    assert!(places.iter().all(|(_, new)| *new));
    // `a` is used again and again, as the context of a kernel is.
    assert_eq!(slots.find(a), (places[0].0, false));
    assert_eq!(slots.find(d), (places[1].0, true), "`b` is what was used longest ago");
    assert_eq!(slots.find(a), (places[0].0, false));
    assert_eq!(slots.find(c), (places[2].0, false));
    assert_eq!(slots.find(b), (places[1].0, true), "`d` is");
    assert_eq!(slots.active(), places[1].0);
}
