use super::*;

#[test]
fn a_name_that_cannot_be_is_refused_in_a_sentence() {
    for name in ["a-name-longer-than-an-interface-has", "a/b"] {
        match open(name) {
            Err(error @ NetError::Option { .. }) => {
                assert!(error.to_string().starts_with(&format!("ifname={name}: ")))
            }
            // Where the host has no device at all, that is said first.
            Err(error @ NetError::Tap { .. }) => assert!(error.to_string().contains("/dev/net/tun")),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_interface_that_is_no_tap_is_refused() {
    // Who may not open the device, or may not change interfaces, gets another sentence: both name the option.
    let error = Tap::new("lo").err().expect("the loopback interface is no tap");
    assert!(error.to_string().starts_with("ifname=lo: "), "{error}");
}
