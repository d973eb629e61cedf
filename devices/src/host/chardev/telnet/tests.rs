use super::*;

fn decode(decoder: &mut Decoder, bytes: &[u8]) -> (Vec<u8>, usize) {
    let mut bytes = bytes.to_vec();
    let Decoded { len, breaks } = decoder.decode(&mut bytes);
    bytes.truncate(len);
    (bytes, breaks)
}

#[test]
fn commands_are_taken_out_wherever_the_input_is_cut() {
    let input = [
        b'a', 255, 253, 3, b'b', 255, 250, 31, 0, 80, 255, 255, 255, 240, 255, 255, 255, 243, 255, 241, b'c',
    ];
    for cut in 0..input.len() {
        let mut decoder = Decoder::default();
        let (mut data, mut breaks) = decode(&mut decoder, &input[..cut]);
        let (more, more_breaks) = decode(&mut decoder, &input[cut..]);
        data.extend(more);
        breaks += more_breaks;
        assert_eq!((data.as_slice(), breaks), (&[b'a', b'b', 255, b'c'][..], 1), "cut at {cut}");
    }
}

#[test]
fn a_carriage_return_loses_its_nul_unless_binary() {
    let mut decoder = Decoder::default();
    assert_eq!(decode(&mut decoder, b"x\r\0y\r\rz\0").0, b"x\ry\r\rz\0");
    assert_eq!(decode(&mut decoder, &[255, 251, 0, b'\r', 0]).0, b"\r\0");
    assert_eq!(decode(&mut decoder, &[255, 252, 0, b'\r', 0]).0, b"\r");
}

#[test]
fn any_bytes_decode() {
    let mut seed = 1u32;
    let mut decoder = Decoder::default();
    for _ in 0..10_000 {
        let mut bytes = [0; 7];
        for byte in &mut bytes {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = if seed >> 31 == 0 { (seed >> 16) as u8 } else { 240 | (seed >> 16) as u8 };
        }
        assert!(decoder.decode(&mut bytes).len <= 7);
    }
}
