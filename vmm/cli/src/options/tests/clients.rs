//! What programs that drive QEMU put on its command line, as recorded from libvirt, libguestfs and others: each
//! option either means something or is refused in a sentence that says it is not available yet.

use super::{error, options, read};
use crate::options::Request;

/// Whole lines that run.
#[test]
fn lines_that_run() {
    for line in [
        // Zephyr's
        "-machine virt -nographic -net none -pidfile qemu.pid -chardev stdio,id=con,mux=on -serial chardev:con \
         -mon chardev=con,mode=readline -rtc clock=vm -kernel zephyr.elf",
        "-M virt -nographic -net none -serial pipe:/tmp/fifo -bios none -kernel zephyr.elf",
        // virtme-ng's
        "-M virt -parallel none -net none -vga none -display none -no-reboot -kernel vmlinux -m 1G -smp 4 \
         -chardev file,path=/proc/self/fd/2,id=dmesg -device virtio-serial-device -device virtconsole,chardev=dmesg \
         -chardev stdio,id=console,signal=off,mux=on -serial chardev:console -mon chardev=console -append panic=-1",
        // libguestfs's, but for the devices that are missing
        "-no-user-config -nodefaults -display none -machine accel=kvm:tcg,graphics=off -cpu max -m 1280 -no-reboot \
         -rtc driftfix=slew -kernel k -initrd i -object rng-random,filename=/dev/urandom,id=rng0 \
         -device virtio-rng-pci,rng=rng0 -drive file=s,cache=unsafe,format=raw,id=hd0,if=none \
         -drive file=r,snapshot=on,id=appliance,cache=unsafe,if=none,format=raw \
         -device virtio-blk-pci,drive=hd0 -device virtio-blk-pci,drive=appliance -device virtio-serial-pci \
         -chardev socket,path=/s,id=channel0 -device virtserialport,chardev=channel0,name=org.libguestfs.channel.0",
        // Debian's wiki
        "-machine virt -m 1G -smp 8 -cpu rv64 -device virtio-blk-device,drive=hd \
         -drive file=image.qcow2,if=none,id=hd -device virtio-net-device,netdev=net -netdev user,id=net,hostfwd=tcp::2222-:22 \
         -bios /usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.elf -kernel /usr/lib/u-boot/qemu-riscv64_smode/uboot.elf \
         -object rng-random,filename=/dev/urandom,id=rng -device virtio-rng-device,rng=rng -nographic \
         -append root=LABEL=rootfs~console=ttyS0",
    ] {
        options(line);
    }
}

/// libvirt's options, one by one, with what they need before them.
#[test]
fn libvirt_options() {
    for line in [
        "-name guest=t1,debug-threads=on",
        "-S",
        "-m size=262144k",
        "-object {\"qom-type\":\"memory-backend-ram\",\"id\":\"ram\",\"size\":268435456} -m size=262144k -M virt,memory-backend=ram,usb=off,dump-guest-core=off,acpi=off",
        "-smp 2,maxcpus=4,sockets=4,cores=1,threads=1",
        "-uuid 7a060e50-ce70-4da2-8842-a626a21cea53",
        "-no-user-config -nodefaults -no-shutdown -boot strict=on -msg timestamp=on",
        "-chardev socket,id=charmonitor,fd=30,server=on,wait=off -mon chardev=charmonitor,id=monitor,mode=control",
        "-rtc base=utc,driftfix=slew",
        "-blockdev {\"driver\":\"file\",\"filename\":\"/i\",\"node-name\":\"libvirt-1-storage\",\"auto-read-only\":true,\"discard\":\"unmap\"} \
         -blockdev {\"node-name\":\"libvirt-1-format\",\"read-only\":false,\"driver\":\"qcow2\",\"file\":\"libvirt-1-storage\",\"backing\":null} \
         -device {\"driver\":\"virtio-blk-pci\",\"bus\":\"pcie.0\",\"addr\":\"0x4\",\"drive\":\"libvirt-1-format\",\"id\":\"virtio-disk0\",\"bootindex\":1}",
        "-netdev {\"type\":\"user\",\"id\":\"hostnet0\"} -device {\"driver\":\"virtio-net-pci\",\"netdev\":\"hostnet0\",\"id\":\"net0\",\"mac\":\"52:54:00:db:58:b8\",\"bus\":\"pcie.0\",\"addr\":\"0x1\"}",
        "-chardev pty,id=charserial0 -serial chardev:charserial0",
        "-device {\"driver\":\"virtio-serial-pci\",\"id\":\"virtio-serial0\",\"bus\":\"pcie.0\",\"addr\":\"0x3\"} -chardev socket,id=c,fd=29,server=on,wait=off \
         -device {\"driver\":\"virtserialport\",\"bus\":\"virtio-serial0.0\",\"nr\":1,\"chardev\":\"c\",\"id\":\"channel0\",\"name\":\"org.qemu.guest_agent.0\"}",
        "-object {\"qom-type\":\"rng-random\",\"id\":\"objrng0\",\"filename\":\"/dev/urandom\"} -device {\"driver\":\"virtio-rng-pci\",\"rng\":\"objrng0\",\"id\":\"rng0\",\"bus\":\"pcie.0\",\"addr\":\"0x6\"}",
        "-device {\"driver\":\"pcie-root-port\",\"port\":16,\"chassis\":1,\"id\":\"pci.1\",\"bus\":\"pcie.0\",\"multifunction\":true,\"addr\":\"0x2\"}",
    ] {
        options(line);
    }
    for line in [
        "-object {\"qom-type\":\"secret\",\"id\":\"masterKey0\",\"format\":\"raw\",\"file\":\"/k\"}",
        "-accel kvm",
        "-overcommit mem-lock=off",
        "-global ICH9-LPC.disable_s3=1",
        "-device {\"driver\":\"qemu-xhci\",\"p2\":15,\"p3\":15,\"id\":\"usb\"}",
        "-device {\"driver\":\"usb-tablet\",\"id\":\"input0\",\"bus\":\"usb.0\",\"port\":\"1\"}",
        "-device {\"driver\":\"virtio-balloon-pci\",\"id\":\"balloon0\"}",
        "-device virtio-scsi-pci,id=scsi",
        "-device scsi-hd,drive=hd0",
        "-audiodev {\"id\":\"audio1\",\"driver\":\"none\"}",
        "-vnc 127.0.0.1:0,audiodev=audio1",
        "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    ] {
        assert!(error(line).ends_with("not available in this version of Mimic"), "{}", error(line));
    }
    assert!(matches!(read("-display none -help"), Ok(Request::Text(_))));
    assert!(matches!(read("-display none -machine accel=kvm:tcg -device ?"), Ok(Request::Text(_))));
}
