use super::*;

#[test]
fn the_first_name_server_is_found() {
    let text = "# comment\nsearch example.org\nnameserver\nnameserver 192.0.2.53 \nnameserver 192.0.2.54\n";
    assert_eq!(first_nameserver(text), Some("192.0.2.53:53".parse().expect("it is an address")));
    assert_eq!(first_nameserver("nameserver ::1"), Some("[::1]:53".parse().expect("it is an address")));
    assert_eq!(first_nameserver("options edns0"), None);
}

#[test]
fn a_question_is_measured_or_malformed() {
    assert_eq!(question_len(b"\x01a\x01b\0\0\x01\0\x01rest"), Some(9));
    assert_eq!(question_len(b"\0\0\x01\0\x01"), Some(5));
    for bad in [&b""[..], b"\x05ab", b"\xc0\x0c\0\x01\0\x01", b"\x01a\0\0\x01"] {
        assert_eq!(question_len(bad), None);
    }
}
