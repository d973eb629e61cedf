//! Vectors: chapters 31 (V) and 33 (Zvbb and others). What is common and touches whole registers is translated; for the rest a translation calls
//! [`crate::vector`].

use super::{Cx, fall, set_x, x};
use crate::helpers;
use crate::isa::*;

use tcg_core::cpu::exit;
use tcg_core::sem::{Flow, Next, Sem, V};
use tcg_core::ty::I64;

/// `vtype` and `vl` from here on; what follows is translated for them.
fn configure<S: Sem>(s: &mut S, rd: u8, avl: V<S, I64>, keep: bool, vtype: V<S, I64>) -> Flow<S> {
    let keep = s.k(keep.into());
    let vl = s.call(helpers::VSET, &[avl, vtype, keep])?;
    set_x(s, rd, vl);
    Ok(Next::Exit(exit::RESYNC))
}

/// The length that rs1 asks for: as long as it gets if that is x0, and the present one if rd is x0 as well.
fn requested<S: Sem>(s: &mut S, rd: u8, rs1: u8) -> (V<S, I64>, bool) {
    let avl = if rs1 == 0 { s.k(u64::MAX) } else { x(s, rs1) };
    (avl, rs1 == 0 && rd == 0)
}

/// Set type and length.
pub fn vsetvli<S: Sem>(s: &mut S, _: &Cx, a: VSet) -> Flow<S> {
    let (avl, keep) = requested(s, a.rd, a.rs1);
    let vtype = s.k(a.vtype.into());
    configure(s, a.rd, avl, keep, vtype)
}

/// Set type and length, a constant.
pub fn vsetivli<S: Sem>(s: &mut S, _: &Cx, a: VSetI) -> Flow<S> {
    let (avl, vtype) = (s.k(a.avl.into()), s.k(a.vtype.into()));
    configure(s, a.rd, avl, false, vtype)
}

/// Set type, from a register, and length.
pub fn vsetvl<S: Sem>(s: &mut S, _: &Cx, a: R) -> Flow<S> {
    let (avl, keep) = requested(s, a.rd, a.rs1);
    let vtype = x(s, a.rs2);
    configure(s, a.rd, avl, keep, vtype)
}

/// Leaves the instruction to the helper.
pub(super) fn by_element<S: Sem>(s: &mut S, cx: &Cx) -> Flow<S> {
    let bits = cx.bits_value(s);
    s.call(helpers::VECTOR, &[bits])?;
    fall::<S>()
}

/// `vl` may have become less.
fn first_fault<S: Sem>(s: &mut S, cx: &Cx) -> Flow<S> {
    by_element(s, cx)?;
    Ok(Next::Exit(exit::RESYNC))
}

macro_rules! instructions {
    ($how:ident: $($format:ident { $($name:ident)* })*) => { $($(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, _: $format) -> Flow<S> {
            $how(s, cx)
        }
    )*)* };
}

instructions! { first_fault:
    VMem8 { vl_first8 }
    VMem { vl_first }
}

instructions! { by_element:
    VStr8 {
        vls_8 vss_8
    }
    VStr {
        vls_w vss_w
    }
    VIdx8 {
        vlux_8 vlox_8 vsux_8 vsox_8
    }
    VIdx {
        vlux_w vlox_w vsux_w vsox_w
    }
    VMask {
        vlm_v vsm_v
    }
    VWhole8 {
        vl_whole8 vs_whole
    }
    VWhole {
        vl_whole
    }
    VV {
        vnsrl_wv vnsra_wv vmseq_vv vmsne_vv vmsltu_vv vmslt_vv vmsleu_vv vmsle_vv vdivu_vv vdiv_vv vremu_vv
        vrem_vv vmulhsu_vv vwaddu_vv vwadd_vv vwsubu_vv vwsub_vv vwaddu_wv vwadd_wv vwsubu_wv vwsub_wv
        vwmulu_vv vwmulsu_vv vwmul_vv vwmaccu_vv vwmacc_vv vwmaccsu_vv vsaddu_vv vsadd_vv vssubu_vv vssub_vv
        vsmul_vv vaaddu_vv vaadd_vv vasubu_vv vasub_vv vssrl_vv vssra_vv vnclipu_wv vnclip_wv vmfeq_vv
        vmfle_vv vmflt_vv vmfne_vv vfwadd_vv vfwsub_vv vfwmul_vv vfwadd_wv vfwsub_wv vfwmacc_vv vfwnmacc_vv
        vfwmsac_vv vfwnmsac_vv vredsum_vs vredand_vs vredor_vs vredxor_vs vredminu_vs vredmin_vs vredmaxu_vs
        vredmax_vs vwredsumu_vs vwredsum_vs vfredusum_vs vfredosum_vs vfredmin_vs vfredmax_vs vfwredusum_vs
        vfwredosum_vs vrgather_vv vrgatherei16_vv vandn_vv vrol_vv vror_vv vwsll_vv vclmul_vv vclmulh_vv
    }
    VX {
        vnsrl_wx vnsra_wx vmseq_vx vmsne_vx vmsltu_vx vmslt_vx vmsleu_vx vmsle_vx vmsgtu_vx vmsgt_vx
        vdivu_vx vdiv_vx vremu_vx vrem_vx vmulhsu_vx vwaddu_vx vwadd_vx vwsubu_vx vwsub_vx vwaddu_wx
        vwadd_wx vwsubu_wx vwsub_wx vwmulu_vx vwmulsu_vx vwmul_vx vwmaccu_vx vwmacc_vx vwmaccus_vx
        vwmaccsu_vx vsaddu_vx vsadd_vx vssubu_vx vssub_vx vsmul_vx vaaddu_vx vaadd_vx vasubu_vx vasub_vx
        vssrl_vx vssra_vx vnclipu_wx vnclip_wx vmfeq_vf vmfle_vf vmflt_vf vmfne_vf vmfgt_vf vmfge_vf
        vfwadd_vf vfwsub_vf vfwmul_vf vfwadd_wf vfwsub_wf vfwmacc_vf vfwnmacc_vf vfwmsac_vf vfwnmsac_vf
        vslideup_vx vslidedown_vx vslide1up_vx vslide1down_vx vfslide1up_vf vfslide1down_vf vrgather_vx
        vandn_vx vrol_vx vror_vx vwsll_vx vclmul_vx vclmulh_vx
    }
    VI {
        vmseq_vi vmsne_vi vmsleu_vi vmsle_vi vmsgtu_vi vmsgt_vi vsaddu_vi vsadd_vi
    }
    VU {
        vnsrl_wi vnsra_wi vssrl_vi vssra_vi vnclipu_wi vnclip_wi vslideup_vi vslidedown_vi vrgather_vi
        vwsll_vi
    }
    VRor {
        vror_vi
    }
    V3U {
        vaeskf1_vi vaeskf2_vi vsm4k_vi vsm3c_vi
    }
    VVM {
        vadc_vvm vmadc_vvm vsbc_vvm vmsbc_vvm vmadc_vv vmsbc_vv vmerge_vvm vmandn_mm vmand_mm vmor_mm
        vmxor_mm vmorn_mm vmnand_mm vmnor_mm vmxnor_mm vcompress_vm vghsh_vv vsha2ms_vv vsha2ch_vv vsha2cl_vv
        vsm3me_vv
    }
    VXM {
        vadc_vxm vmadc_vxm vsbc_vxm vmsbc_vxm vmadc_vx vmsbc_vx vmerge_vxm vfmerge_vfm
    }
    VIM {
        vadc_vim vmadc_vim vmadc_vi vmerge_vim
    }
    V2X {
        vmv_s_x vfmv_s_f
    }
    V1 {
        vzext_vf8 vsext_vf8 vzext_vf4 vsext_vf4 vzext_vf2 vsext_vf2 vfwcvt_xu_f_v vfwcvt_x_f_v vfwcvt_f_xu_v
        vfwcvt_f_x_v vfwcvt_f_f_v vfwcvt_rtz_xu_f_v vfwcvt_rtz_x_f_v vfncvt_xu_f_w vfncvt_x_f_w
        vfncvt_f_xu_w vfncvt_f_x_w vfncvt_f_f_w vfncvt_rod_f_f_w vfncvt_rtz_xu_f_w vfncvt_rtz_x_f_w
        vfrsqrt7_v vfrec7_v vfclass_v vmsbf_m vmsof_m vmsif_m viota_m vbrev8_v vrev8_v vbrev_v
        vclz_v vctz_v vcpop_v
    }
    VToX {
        vcpop_m vfirst_m
    }
    V0 {
        vid_v
    }
    V2ToX {
        vmv_x_s vfmv_f_s
    }
    V2W {
        vmv1r_v vmv2r_v vmv4r_v vmv8r_v vgmul_vv vaesdm_vv vaesdf_vv vaesem_vv vaesef_vv vaesdm_vs vaesdf_vs
        vaesem_vs vaesef_vs vaesz_vs vsm4r_vv vsm4r_vs
    }
}
