use super::*;

#[test]
fn rv64_is_what_qemu_shows_less_what_is_not_there() {
    assert_eq!(
        Features::rv64().isa_string(),
        "rv64imafdc_zic64b_zicbom_zicbop_zicboz_ziccamoa_ziccif_zicclsm_ziccrse_zicntr_zicsr_zifencei_zihintntl_\
         zihintpause_zihpm_zmmul_za64rs_zaamo_zalrsc_zawrs_zfa_zca_zcd_zba_zbb_zbc_zbs_ssccptr_sscounterenw_sstc_\
         sstvala_sstvecd_ssu64xl_svadu_svvptc"
    );
    assert_eq!(Features::rv64().mmu_type(), "riscv,sv57");
}

#[test]
fn max_has_everything() {
    let beyond = |row: &table::Row| row.when == When::Asked || matches!(row.when, When::Vlen(256..));
    assert!(TABLE.iter().all(|row| Features::max().has(row.ext) != beyond(row)));
    assert!(Features::max().isa_string().starts_with("rv64imafdcbv_zic64b_"));
}

#[test]
fn misa_names_letters_and_modes() {
    let letters = |text: &str| text.bytes().fold(0, |bits, b| bits | 1u64 << (b - b'A'));
    assert_eq!(Features::rv64().misa_letters(), letters("IMAFDCSU"));
}

#[test]
fn switches() {
    let set = Features::parse("rv64,sv57=off,zbb=off,zicond=on").expect("names that are there");
    assert!(!set.has(Ext::Sv57) && set.has(Ext::Sv48) && !set.has(Ext::Zbb) && set.has(Ext::Zicond));
    let set = Features::parse("rv64,d=off").expect("names that are there");
    assert!(!set.has(Ext::Zcd) && set.has(Ext::Zca) && set.has(Ext::Zfa));
    let set = Features::parse("rv64,c=off,f=off").expect("names that are there");
    assert!([Ext::Zca, Ext::Zcd, Ext::D, Ext::Zfa].iter().all(|ext| !set.has(*ext)));
    let set = Features::parse("rv64,a=off,zalrsc=on").expect("names that are there");
    assert!(set.has(Ext::Zalrsc) && !set.has(Ext::Zaamo) && set.has(Ext::Za64rs));
    assert_eq!(Features::parse("rv64,zba=off,zba=on"), Ok(Features::rv64()), "the last word counts");
    assert_eq!(Features::parse("rv64,sv39=off").map(|set| set.mmu_type()), Ok("riscv,none"));
}

/// The names that QEMU 10.0.2's device trees have, less those of what is not there.
#[test]
fn profiles_are_what_they_mandate() {
    let isa = |cpu| Features::parse(cpu).expect("a model").isa_string();
    let user = "rv64imafdcb_zic64b_zicbom_zicbop_zicboz_ziccamoa_ziccif_zicclsm_ziccrse_zicntr_zicsr_zihintpause_\
                zihpm_zmmul_za64rs_zaamo_zalrsc_zfhmin_zca_zcd_zba_zbb_zbs_zkt_";
    let always = "ssccptr_sscounterenw_sstvala_sstvecd_ssu64xl";
    assert_eq!(isa("rva22u64"), format!("{user}{always}"));
    let supervisor = user.replace("zihintpause", "zifencei_zihintpause");
    assert_eq!(isa("rva22s64"), format!("{supervisor}{always}_svade_svinval_svpbmt"));
    let user = "rv64imafdcbv_zic64b_zicbom_zicbop_zicboz_ziccamoa_ziccif_zicclsm_ziccrse_zicntr_zicond_zicsr_\
                zihintntl_zihintpause_zihpm_zimop_zmmul_za64rs_zaamo_zalrsc_zawrs_zfa_zfhmin_zca_zcb_zcd_zcmop_zba_\
                zbb_zbs_zkt_zvbb_zve32f_zve32x_zve64d_zve64f_zve64x_zvfhmin_zvkb_zvkt_zvl32b_zvl64b_zvl128b_";
    assert_eq!(isa("rva23u64"), format!("{user}{always}"));
    assert_eq!(isa("rv64i,rva23u64=on"), isa("rva23u64"));
    let supervisor = user.replace("zihintntl", "zifencei_zihintntl");
    let always = "ssccptr_sscofpmf_sscounterenw_sstc_sstvala_sstvecd_ssu64xl";
    assert_eq!(isa("rva23s64"), format!("{supervisor}{always}_svade_svinval_svnapot_svpbmt"));
    let mmu = |cpu| Features::parse(cpu).expect("a model").mmu_type();
    assert_eq!((mmu("rva22u64"), mmu("rva22s64")), ("riscv,none", "riscv,sv39"));
    assert!(
        isa("rva23u64,vlen=256,zba=off").contains("_zvl256b_") && !isa("rva23u64,zba=off").contains("_zba_")
    );
}

#[test]
fn widths_of_vectors() {
    let set = |cpu| Features::parse(cpu).expect("names and numbers that are there");
    assert_eq!(
        (set("max").vlen(), set("max,vlen=512").vlen(), set("max,vlen=1024").vlenb()),
        (128, 512, 128)
    );
    assert!(set("rv64,vlen=512,v=on").isa_string().contains("_zvl32b_zvl64b_zvl128b_zvl256b_zvl512b_"));
    assert!(!set("max").has(Ext::Zvl256b) && !set("rv64,vlen=256").has(Ext::Zvl256b));
    assert_eq!((set("max").elen(), set("max,elen=32").elen(), set("rv64,zve32x=on").elen()), (64, 32, 32));
}

#[test]
fn sets_have_numbers() {
    let sets = [Features::max(), Features::rv64(), Features::parse("max,vlen=256").expect("a model")];
    assert!(sets.iter().all(|set| Features::numbered(set.number()) == set));
    assert!(sets[0].number() != sets[1].number() && sets[0].number() != sets[2].number());
}

#[test]
fn what_is_not_there_can_be_switched_off() {
    let off = Features::parse("max,h=off,vext_spec=v1.0,rvv_ta_all_1s=off,rvv_ma_all_1s=false,zacas=off");
    assert_eq!(off, Ok(Features::max()));
}

#[test]
fn mistakes_are_named() {
    let message = |cpu: &str| Features::parse(cpu).expect_err("a mistake").to_string();
    assert_eq!(message("rv46"), "unable to find CPU model 'rv46'; did you mean 'rv64'?");
    assert_eq!(message("rv64,zbx=on"), "CPU model 'rv64' has no property 'zbx'; did you mean 'zba'?");
    assert_eq!(message("rv64,zicbum"), "CPU model 'rv64' has no property 'zicbum'; did you mean 'zicbom'?");
    assert_eq!(message("max,h=on"), "CPU property 'h' can only be 'off'");
    assert_eq!(message("max,vext_spec=v2.0"), "CPU property 'vext_spec' can only be 'v1.0'");
    assert_eq!(message("rv64,zba=maybe"), "CPU property 'zba' is 'on' or 'off', not 'maybe'");
    assert_eq!(message("rv64,zfa=on,f=off"), "CPU property 'zfa' needs 'f', which is switched off");
    let limits = "is a power of two from 128 to 1024, not";
    for vlen in ["64", "2048", "192", "-1", "wide"] {
        assert_eq!(message(&format!("max,vlen={vlen}")), format!("CPU property 'vlen' {limits} '{vlen}'"));
    }
    assert_eq!(message("max,elen=128"), "CPU property 'elen' is a power of two from 8 to 64, not '128'");
    assert_eq!(message("max,ziccif=off"), "CPU model 'max' has no property 'ziccif'; did you mean 'zic64b'?");
}

#[test]
fn help_lists_models_and_switches() {
    let help = Features::help();
    let words: Vec<&str> = help.split_whitespace().collect();
    assert!(
        ["rv64", "*zba", "zicond", "v"].iter().all(|word| words.contains(word)) && !help.contains("ziccif")
    );
}
