use super::*;

fn at(ns: u64, insns: u64) -> Now {
    Now { ns, insns }
}

#[test]
fn instructions_are_estimated_until_somebody_looks_and_never_go_back() {
    let mut counters = Counters::new(true);
    assert_eq!(counters.value(2, at(500, 3)), 500);
    assert!(!counters.counting());
    counters.change(at(500, 3), |c| c.look(2));
    assert!(counters.counting());
    assert_eq!(counters.value(2, at(900, 3)), 500);
    assert_eq!(counters.value(2, at(901, 10)), 507);
    assert_eq!(counters.value(0, at(901, 10)), 901, "cycles go on as time");
}

#[test]
fn inhibited_counters_stand_still() {
    let mut counters = Counters::new(true);
    counters.change(at(0, 0), |c| c.set(2, 100));
    counters.change(at(10, 5), |c| c.set_inhibit(0xffff_ffff));
    assert_eq!(counters.inhibit(), 0xffff_fffd, "time cannot be stopped");
    assert_eq!(counters.value(2, at(50, 50)), 105);
    counters.change(at(60, 60), |c| c.set_inhibit(0));
    assert_eq!(counters.value(2, at(61, 70)), 115);
}

#[test]
fn an_overflow_is_noted_once_and_told_before_it_is_due() {
    let mut counters = Counters::new(true);
    counters.change(at(1000, 0), |c| {
        c.set_event(3, CYCLES);
        c.set(3, 200u64.wrapping_neg());
    });
    assert_eq!(counters.next_overflow(), Some(1200));
    assert!(!counters.change(at(1199, 0), |_| ()));
    assert_eq!(counters.overflowed(), 0);
    assert!(counters.change(at(1200, 0), |_| ()));
    assert_eq!(counters.overflowed(), 1 << 3);
    assert_eq!(counters.value(3, at(1205, 0)), 5);
    assert_eq!(counters.next_overflow(), None);
    assert!(!counters.change(at(u64::MAX, 0), |_| ()), "OF is still set");
}

#[test]
fn a_counter_of_instructions_is_looked_at_in_time() {
    let mut counters = Counters::new(true);
    counters.change(at(0, 0), |c| {
        c.set_event(4, INSTRUCTIONS);
        c.set(4, 4_000_000u64.wrapping_neg());
    });
    let due = counters.next_overflow().expect("it is armed");
    assert!((SHORTEST_WAIT..=1_000_000).contains(&due), "{due}");
    assert!(counters.change(at(10, 4_000_000), |_| ()));
}

#[test]
fn filters_choose_privileges() {
    let mut counters = Counters::new(true);
    counters.change(at(0, 0), |c| c.set_event(3, INSTRUCTIONS | filter(Priv::M) | filter(Priv::S)));
    counters.change(at(0, 10), |c| c.privilege = Priv::U);
    counters.change(at(0, 17), |c| c.privilege = Priv::S);
    assert_eq!(counters.value(3, at(0, 100)), 7);
}

#[test]
fn without_sscofpmf_nothing_overflows() {
    let mut counters = Counters::new(false);
    counters.change(at(0, 0), |c| {
        c.set_event(3, CYCLES | OF | FILTERS);
        c.set(3, u64::MAX);
    });
    assert_eq!(counters.event(3), CYCLES);
    assert_eq!(counters.next_overflow(), None);
    assert!(!counters.change(at(5, 0), |_| ()));
    assert_eq!(counters.overflowed(), 0);
}
