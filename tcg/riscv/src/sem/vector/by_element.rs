//! Instructions that a helper carries out element by element.

use crate::helpers;
use crate::isa::*;
use crate::sem::{Cx, fall};
use tcg_core::cpu::exit;
use tcg_core::sem::{Flow, Next, Sem};

/// Leaves the instruction to the helper.
pub(super) fn by_element<S: Sem>(s: &mut S, cx: &Cx) -> Flow<S> {
    let bits = cx.bits_value(s);
    s.call(helpers::VECTOR, &[bits])?;
    fall::<S>()
}

/// The same; `vl` may have become less.
pub(super) fn first_fault<S: Sem>(s: &mut S, cx: &Cx) -> Flow<S> {
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
    VV {
        vdivu_vv vdiv_vv vremu_vv
        vrem_vv vmulhsu_vv
        vsaddu_vv vsadd_vv vssubu_vv vssub_vv
        vsmul_vv vaaddu_vv vaadd_vv vasubu_vv vasub_vv vssrl_vv vssra_vv vnclipu_wv vnclip_wv
        vfwadd_vv vfwsub_vv vfwmul_vv vfwadd_wv vfwsub_wv vfwmacc_vv vfwnmacc_vv
        vfwmsac_vv vfwnmsac_vv
        vfredmin_vs vfredmax_vs vfwredusum_vs
        vfwredosum_vs vrgather_vv vrgatherei16_vv vwsll_vv vclmul_vv vclmulh_vv
    }
    VX {

        vdivu_vx vdiv_vx vremu_vx vrem_vx vmulhsu_vx

        vsaddu_vx vsadd_vx vssubu_vx vssub_vx vsmul_vx vaaddu_vx vaadd_vx vasubu_vx vasub_vx
        vssrl_vx vssra_vx vnclipu_wx vnclip_wx
        vfwadd_vf vfwsub_vf vfwmul_vf vfwadd_wf vfwsub_wf vfwmacc_vf vfwnmacc_vf vfwmsac_vf vfwnmsac_vf
        vslideup_vx vslidedown_vx vrgather_vx
        vwsll_vx vclmul_vx vclmulh_vx
    }
    VI {
        vsaddu_vi vsadd_vi
    }
    VU {
        vssrl_vi vssra_vi vnclipu_wi vnclip_wi vslideup_vi vslidedown_vi vrgather_vi
        vwsll_vi
    }
    V3U {
        vaeskf1_vi vaeskf2_vi vsm4k_vi vsm3c_vi
    }
    VVM {
        vmadc_vvm vmsbc_vvm vmadc_vv vmsbc_vv
        vcompress_vm vghsh_vv vsha2ms_vv vsha2ch_vv vsha2cl_vv
        vsm3me_vv
    }
    VXM {
        vmadc_vxm vmsbc_vxm vmadc_vx vmsbc_vx
    }
    VIM {
        vmadc_vim vmadc_vi
    }
    V1 {
        vfwcvt_xu_f_v vfwcvt_x_f_v vfwcvt_f_xu_v
        vfwcvt_f_x_v vfwcvt_f_f_v vfwcvt_rtz_xu_f_v vfwcvt_rtz_x_f_v vfncvt_xu_f_w vfncvt_x_f_w
        vfncvt_f_xu_w vfncvt_f_x_w vfncvt_f_f_w vfncvt_rod_f_f_w vfncvt_rtz_xu_f_w vfncvt_rtz_x_f_w
        vfrsqrt7_v vfrec7_v vfclass_v viota_m vbrev8_v vrev8_v vbrev_v
        vclz_v vctz_v vcpop_v
    }
    V2W {
        vgmul_vv vaesdm_vv vaesdf_vv vaesem_vv vaesef_vv vaesdm_vs vaesdf_vs
        vaesem_vs vaesef_vs vaesz_vs vsm4r_vv vsm4r_vs
    }
}
