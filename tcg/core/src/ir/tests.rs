//! The text form's errors, the verifier's rules, and the files of `tests/ir`.

mod files;

use super::{Names, Region, VerifyError, verify};
use crate::guest::Guest;
use crate::testing::toy::Toy;

fn names() -> Names<'static> {
    Names { regs: Toy::regs(), helpers: Toy::helpers() }
}

fn parse(body: &str) -> Region {
    names().parse(&format!("region 0x1000 rne\n{body}")).unwrap_or_else(|e| panic!("{e}\n{body}"))
}

fn verified(body: &str) -> Result<(), VerifyError> {
    verify(&parse(body), Toy::regs(), Toy::helpers())
}

#[track_caller]
fn refused(body: &str, why: &str) {
    let error = verified(body).expect_err(body).to_string();
    assert!(error.contains(why), "{error}\n{body}");
}

#[test]
fn parse_errors_name_the_place() {
    for (text, error) in [
        ("regoin 0x1000 rne", "line 1, column 1: `region` expected"),
        (
            "region 0x1000 up",
            "line 1, column 15: `up` is no rounding mode; there are rne, rtz, rdn, rup, rmm",
        ),
        ("region 0x1000 rne\n", "line 1, column 1: a region has at least one block"),
        (
            "region 0x1000 rne\nb1:",
            "line 2, column 1: b0 expected: blocks stand in the order of their numbers",
        ),
        ("region 0x1000 rne\nb0:\n", "line 2, column 1: the region stops in the middle"),
        ("region 0x1000 rne\nb0:\n  v0 = frob.i64 v1", "line 3, column 8: `frob` is no operation"),
        ("region 0x1000 rne\nb0:\n  v0 = get.i64 y7", "line 3, column 16: `y7` is no register of the guest"),
        ("region 0x1000 rne\nb0:\n  jump b3", "line 3, column 8: there is no block b3"),
        ("region 0x1000 rne\nb0:\n  indirect v9 jump", "line 3, column 12: v9 is not defined"),
        ("region 0x1000 rne\nb0:\n  v0 = fence ls:l", "line 3, column 3: fence gives no value"),
        (
            "region 0x1000 rne\nb0:\n  fence ls:io",
            "line 3, column 12: `io` is no side of a fence; there are none, l, s, ls",
        ),
        ("region 0x1000 rne\nb0:\n  const.i64 1", "line 3, column 3: const gives a value: name it"),
        ("region 0x1000 rne\nb0:\n  goto 0x10 check it", "line 3, column 19: `it` is too much"),
        (
            "region 0x1000 rne\nb0:\n  v0 = const.i64 1\n  v1 = add.i64 v0",
            "line 4, column 8: add takes 2 operands, not 1",
        ),
        (
            "region 0x1000 rne\nb0:\n  v0 = const.i64 1\n  v0 = const.i64 1",
            "line 4, column 3: v0 is defined twice",
        ),
        (
            "region 0x1000 rne\nb0:\n  v0 = const.i64 1\n  v1 = load.i64 x4 [v0] @ 0",
            "line 4, column 17: `x4` is no access: s or u, then 1, 2, 4, 8 or 16",
        ),
        (
            "region 0x1000 rne\nb0:\n  v99999999999 = const.i64 1",
            "line 3, column 3: `v99999999999` is no value (v0 to v1048575)",
        ),
    ] {
        let found = names().parse(text).expect_err(text).to_string();
        assert_eq!(found, error, "{text}");
    }
}

#[test]
fn any_cut_of_a_text_is_refused_or_read_without_panic() {
    let text = "region 0x1000 rne\nb0:\n  v0 = get.i64 x1\n  v1 = load.i64 s4 aligned [v0] @ 0x1000 {x2: v0}\n  \
                v2 = fround.f64 rne exact v0\n  v3 = ltu.i64 v1, v0\n  branch v3, b1(v1), b1(v0)\nb1(v4: i64):\n  \
                trap 0x1000 code 2 value 0x3\n";
    for end in 0..text.len() {
        let _ = names().parse(&text[..end]);
        let _ = names().parse(&format!("{}é{}", &text[..end], &text[end..]));
    }
}

#[test]
fn rules_of_instructions() {
    let end = "  goto 0x1000\n";
    for (body, why) in [
        ("  v0 = const.i64 1\n  v1 = sextw.i64 v0\n", "v1 (sextw): v0 is i64, not what it takes"),
        ("  v0 = const.f64 1\n  v1 = add.f64 v0, v0\n", "v1 (add): cannot have type f64"),
        ("  v0 = const.i64 1\n  v1 = ftof.f64 rne v0\n", "v0 is i64, not what it takes"),
        ("  v0 = const.f64 1\n  v1 = ftof.f64 rne v0\n", "v0 is f64, not what it takes"),
        ("  v0 = const.i64 1\n  v1 = const.i32 1\n  v2 = add.i64 v0, v1\n", "v1 is i32"),
        ("  v0 = const.i64 1\n  v1 = bitcast.i32 v0\n", "v0 is i64"),
        ("  v0 = const.i32 1\n  v1 = zext.i32 v0\n", "v0 is i32"),
        ("  v0 = const.bool 2\n", "the immediate 0x2 is out of range"),
        ("  v0 = const.i32 0x100000000\n", "the immediate 0x100000000 is out of range"),
        ("  v0 = const.i32 1\n  v1 = sext.i32 7 v0\n", "the immediate 0x7 is out of range"),
        ("  v0 = get.i32 x1\n", "x1 is i64, not i32"),
        ("  v0 = const.bool 1\n  set.bool x1, v0\n", "v1 (set): cannot have type bool"),
        ("  v0 = const.i64 1\n  v1 = load.i32 u8 [v0] @ 0x1000\n", "is out of range"),
        ("  v0 = const.i64 1\n  v1 = load.f64 u4 [v0] @ 0x1000\n", "is out of range"),
        ("  v0 = const.i64 1\n  store.i64 s4 [v0], v0 @ 0x1000\n", "is out of range"),
        ("  v0 = const.i32 1\n  v1 = load.i32 u4 [v0] @ 0x1000\n", "v0 is i32"),
        (
            "  v0 = const.i64 1\n  v1 = load.i32 u4 [v0] @ 0x1000 {s0: v0}\n",
            "in the snapshot, s0 is f32, not i64",
        ),
        ("  v0 = const.i64 1\n  v1 = load.i32 u4 [v0] @ 0x1000 {x0: v0, x0: v0}\n", "twice in the snapshot"),
        (
            "  v0 = const.i64 1\n  v1 = load.i64 u4 [v0] @ 0x1000 {x0: v1}\n",
            "uses v1, which may not have run",
        ),
        ("  v1 = add.i64 v0, v0\n  v0 = const.i64 1\n", "uses v0, which may not have run"),
    ] {
        refused(&format!("b0:\n{body}{end}"), why);
    }
}

#[test]
fn rules_of_control_flow() {
    refused("b0(v0: i64):\n  goto 0x1000\n", "entry block without parameters");
    refused("b0:\n  v0 = const.i64 1\n  branch v0, b1, b1\nb1:\n  goto 0\n", "v0 is i64, not bool");
    refused("b0:\n  v0 = const.i32 1\n  indirect v0 jump\n", "v0 is i32, not i64");
    refused("b0:\n  v0 = const.i64 1\n  jump b1(v0)\nb1:\n  goto 0\n", "b1 has 0 parameters");
    refused("b0:\n  v0 = const.i64 1\n  jump b1(v0)\nb1(v1: i32):\n  goto 0\n", "v0 is i64, v1 is i32");
    let sides =
        "b0:\n  v0 = const.bool 1\n  branch v0, b1, b2\nb1:\n  v1 = const.i64 1\n  jump b3\nb2:\n  jump b3\n";
    refused(&format!("{sides}b3:\n  indirect v1 jump\n"), "uses v1, which may not have run");
    assert_eq!(verified(&format!("{sides}b3:\n  goto 0x1000\n")), Ok(()));
    // Defined before it is used whichever way is taken, but in a block of a higher number.
    refused(
        "b0:\n  jump b2\nb1:\n  indirect v0 jump\nb2:\n  v0 = const.i64 1\n  jump b1\n",
        "may not have run",
    );
    let looped = "b0:\n  v0 = const.i64 4\n  jump b1(v0)\nb1(v1: i64):\n  v2 = ne.i64 v1, v0\n  branch v2, b1(v1), b2\n";
    assert_eq!(verified(&format!("{looped}b2:\n  indirect v1 jump\n")), Ok(()));
}

#[test]
fn rules_that_no_text_breaks() {
    let good = parse("b0:\n  v0 = const.i64 1\n  v1 = load.i64 u8 [v0] @ 0x1000\n  goto 0x1000\n");
    let broken = |change: fn(&mut Region)| {
        let mut region = good.clone();
        change(&mut region);
        verify(&region, Toy::regs(), Toy::helpers()).expect_err("broken on purpose").what
    };
    assert_eq!(broken(|r| r.snaps.clear()), "has no snapshot");
    assert_eq!(
        broken(|r| r.insts[0].op = super::Op::Param),
        "parameters, and nothing else, stand in the parameter list"
    );
    assert_eq!(broken(|r| r.blocks[0].insts.push(super::Value(0))), "stands in two places");
    assert_eq!(broken(|r| r.blocks[0].insts.push(super::Value(7))), "no such instruction");
    assert_eq!(
        broken(|r| r.insts[1].args[0] = super::Value::NONE),
        format!("uses v{}, which stands nowhere", u32::MAX)
    );
    assert_eq!(
        broken(|r| r.blocks[0].term = super::Term::Jump(super::Edge::to(super::BlockId(1)))),
        "no such block"
    );
    assert_eq!(broken(|r| r.insts[1].imm |= 1 << 40), "the immediate 0x10000000003 is out of range");
}
