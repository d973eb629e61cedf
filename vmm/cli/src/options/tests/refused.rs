//! Command lines that are refused, each with the whole sentence.

use super::error;

#[test]
fn each_fault_is_one_sentence() {
    for (line, sentence) in [
        ("-machne virt", "-machne virt: unknown option; did you mean -machine?"),
        ("--kernl x", "--kernl x: unknown option; did you mean -kernel?"),
        ("-no-use-config", "-no-use-config: unknown option; did you mean -no-user-config?"),
        ("-machine=virt", "-machine=virt: the argument of -machine is a word of its own"),
        ("-nographic=on", "-nographic=on: -nographic takes no argument"),
        ("-m", "-m: needs an argument: -m [size=]megs[,slots=n,maxmem=size]"),
        ("-M vrt", "-M vrt: there is no machine 'vrt'; did you mean virt?"),
        (
            "-M virt,aclnt=on",
            "-M virt,aclnt=on: the machine 'virt' has no property 'aclnt'; did you mean aclint?",
        ),
        ("-M virt,aclint=maybe", "-M virt,aclint=maybe: aclint=maybe: expects on or off"),
        ("-M virt,aia=aplic", "-M virt,aia=aplic: aia=aplic: not available in this version of Mimic"),
        ("-accel kvm", "-accel kvm: accelerator 'kvm': not available in this version of Mimic"),
        ("-accel tgc", "-accel tgc: there is no accelerator 'tgc'; did you mean tcg?"),
        ("-M virt,accel=kvm", "-M virt,accel=kvm: accelerator 'kvm': not available in this version of Mimic"),
        ("-smp 0", "-smp 0: cpus=0: is at least 1"),
        ("-smp 4,maxcpus=2", "-smp 4,maxcpus=2: maxcpus (2) is less than cpus (4)"),
        (
            "-smp 4,sockets=2,cores=3",
            "-smp 4,sockets=2,cores=3: sockets (2) * cores (3) * threads (0) is not maxcpus (4)",
        ),
        ("-smp 513", "-smp 513: 513 CPUs: the machine 'virt' has at most 512"),
        ("-smp 2,dies=2", "-smp 2,dies=2: the machine 'virt' has no dies"),
        ("-m lots", "-m lots: size=lots: expects a size, as 512, 512M or 1.5G"),
        ("-m 1G,slots=2", "-m 1G,slots=2: slots= needs maxmem="),
        ("-append x", "-append x: needs -kernel beside it"),
        ("-timeout soon", "-timeout soon: 'soon' is no number of seconds"),
        ("-timeout -1", "-timeout -1: '-1' is no number of seconds"),
        ("-icount align=on", "-icount align=on: needs shift=, 0 to 10 or auto"),
        ("-icount 11", "-icount 11: shift=11: is neither a number from 0 to 10 nor auto"),
        ("-icount auto,align=on", "-icount auto,align=on: shift=auto and align=on are incompatible"),
        (
            "-icount 3,align=on,sleep=off",
            "-icount 3,align=on,sleep=off: align=on and sleep=off are incompatible",
        ),
        ("-vnc :0", "-vnc :0: not available in this version of Mimic"),
        ("-display gtk", "-display gtk: display 'gtk': not available in this version of Mimic"),
        ("-d in_asn", "-d in_asn: there is no log item 'in_asn'; did you mean in_asm?"),
        ("-d trace:foo", "-d trace:foo: log item 'trace:foo': not available in this version of Mimic"),
        ("-D a%d%d.log", "-D a%d%d.log: of '%' it may hold one %d, for the process id"),
        ("-D 100%", "-D 100%: of '%' it may hold one %d, for the process id"),
        ("-dfilter 7", "-dfilter 7: '7' is no range; say START..END, START+SIZE or START-SIZE"),
        ("-dfilter 9..8", "-dfilter 9..8: '9..8' is no range; say START..END, START+SIZE or START-SIZE"),
        ("-uuid 1", "-uuid 1: expects a UUID, as 12345678-1234-1234-1234-123456789abc"),
        ("-boot cc", "-boot cc: order=cc: 'c' stands twice"),
        (
            "-rtc base=yesterday",
            "-rtc base=yesterday: base=yesterday: is neither utc, localtime nor a date as 2006-06-17T16:01:21",
        ),
        ("-net user", "-net user: old form, which is not available; say -nic user or -nic tap"),
    ] {
        assert_eq!(error(line), sentence);
    }
}

#[test]
fn disks() {
    for (line, sentence) in [
        ("-drive if=none", "-drive if=none: names no image file; say file=FILE"),
        (
            "-drive file=a,format=qcow3",
            "-drive file=a,format=qcow3: there is no image format 'qcow3'; did you mean qcow2?",
        ),
        (
            "-drive file=a,format=vmdk",
            "-drive file=a,format=vmdk: image format 'vmdk': not available in this version of Mimic",
        ),
        ("-drive file=a,if=ide", "-drive file=a,if=ide: if=ide: the machine 'virt' has no such interface"),
        (
            "-drive file=a,if=virito",
            "-drive file=a,if=virito: if=virito: no such interface; did you mean virtio?",
        ),
        (
            "-drive file=a,cache=non",
            "-drive file=a,cache=non: cache=non: expects one of none, writeback, writethrough, directsync, unsafe; did you mean none?",
        ),
        (
            "-drive file=a,index=1 -drive file=b,index=1",
            "-drive file=b,index=1: unit 1 is the drive of -drive file=a,index=1",
        ),
        (
            "-drive if=pflash,unit=2,file=a",
            "-drive if=pflash,unit=2,file=a: unit 2: the machine 'virt' has 2 flash chips",
        ),
        (
            "-drive if=none,id=a,file=a -drive if=none,id=a,file=b",
            "-drive if=none,id=a,file=b: there is another drive or block node 'a' already",
        ),
        (
            "-drive if=none,id=a,file=a,node-name=n -drive if=none,id=b,file=b,node-name=n",
            "-drive if=none,id=b,file=b,node-name=n: there is another drive or block node 'n' already",
        ),
        (
            "-drive if=none,id=a,file=a,node-name=n -blockdev file,node-name=n,filename=b",
            "-blockdev file,node-name=n,filename=b: there is another drive or block node 'n' already",
        ),
        (
            "-drive if=none,id=a,file=a,node-name=a",
            "-drive if=none,id=a,file=a,node-name=a: there is another drive or block node 'a' already",
        ),
        ("-daemonize -serial mon:stdio", "-serial mon:stdio: cannot use stdio with -daemonize"),
        ("-device virtio-blk-pci", "-device virtio-blk-pci: has no drive; say drive=ID"),
        (
            "-drive if=none,id=disk0,file=a -device virtio-blk-pci,drive=disk1",
            "-device virtio-blk-pci,drive=disk1: there is no drive or block node 'disk1'; did you mean disk0?",
        ),
        (
            "-drive id=a,file=a -device virtio-blk-pci,drive=a",
            "-device virtio-blk-pci,drive=a: the drive 'a' is in use already; say if=none where it is described",
        ),
        (
            "-blockdev raw,file=x,node-name=y",
            "-blockdev raw,file=x,node-name=y: there is no block node 'x' before this one",
        ),
        ("-blockdev file,filename=x", "-blockdev file,filename=x: names no node; say node-name=NAME"),
        (
            "-blockdev qcow2,node-name=x",
            "-blockdev qcow2,node-name=x: names no node to stand on; say file=NODE",
        ),
        (
            "-blockdev nbd,node-name=x",
            "-blockdev nbd,node-name=x: block driver 'nbd': not available in this version of Mimic",
        ),
        ("-M pflash0=x", "-M pflash0=x: pflash0=x: no such block node"),
    ] {
        assert_eq!(error(line), sentence, "{line}");
    }
}

#[test]
fn devices_and_back_ends() {
    for (line, sentence) in [
        (
            "-device virtio-blk-devic,drive=x",
            "-device virtio-blk-devic,drive=x: there is no device 'virtio-blk-devic'; did you mean virtio-blk-device?",
        ),
        (
            "-chardev null,id=a -chardev null,id=b -mon a,id=m -mon b,id=m",
            "-mon b,id=m: there is another monitor 'm' already",
        ),
        (
            "-device virtio-gpu-pci",
            "-device virtio-gpu-pci: device 'virtio-gpu-pci': not available in this version of Mimic",
        ),
        (
            "-device virtio-rng-pci,rgn=x",
            "-device virtio-rng-pci,rgn=x: the device 'virtio-rng-pci' has no property 'rgn'; did you mean rng?",
        ),
        (
            "-device virtio-rng-pci,packed=on",
            "-device virtio-rng-pci,packed=on: packed=on: not available in this version of Mimic",
        ),
        (
            "-device virtio-net-pci,mac=1",
            "-device virtio-net-pci,mac=1: mac=1: expects a MAC address, as 52:54:00:12:34:56",
        ),
        (
            "-netdev user,id=n0 -device virtio-net-pci,netdev=n1",
            "-device virtio-net-pci,netdev=n1: there is no network back end 'n1'; did you mean n0?",
        ),
        ("-netdev user", "-netdev user: has no id; say id=NAME"),
        ("-netdev usr,id=n", "-netdev usr,id=n: there is no network back end 'usr'; did you mean user?"),
        (
            "-netdev vde,id=n",
            "-netdev vde,id=n: network back end 'vde': not available in this version of Mimic",
        ),
        (
            "-netdev user,id=n,hostfwd=tcp::22",
            "-netdev user,id=n,hostfwd=tcp::22: hostfwd=tcp::22: has no '-'; a rule is [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
        ),
        (
            "-netdev user,id=n,dhcpstart=10.0.3.1",
            "-netdev user,id=n,dhcpstart=10.0.3.1: dhcpstart=10.0.3.1: is no address in 10.0.2.0/24",
        ),
        (
            "-device virtconsole",
            "-device virtconsole: needs a virtio serial device before it, as -device virtio-serial-pci",
        ),
        ("-chardev null", "-chardev null: has no id; say id=NAME"),
        (
            "-chardev sockt,id=a",
            "-chardev sockt,id=a: there is no character device 'sockt'; did you mean socket?",
        ),
        (
            "-chardev socket,id=a,port=1,wait=off",
            "-chardev socket,id=a,port=1,wait=off: wait= is for a server; say server=on beside it",
        ),
        ("-serial stdoi", "-serial stdoi: there is no character device 'stdoi'; did you mean stdio?"),
        ("-serial chardev:a", "-serial chardev:a: there is no character device 'a'"),
        (
            "-serial stdio -monitor stdio",
            "-monitor stdio: the terminal (stdio) is taken by -serial stdio; a mux, as mon:stdio, shares it",
        ),
        (
            "-chardev null,id=a -serial chardev:a -mon a",
            "the monitor: the character device 'a' is in use already; mux=on shares it",
        ),
        (
            "-object rng-randm,id=a",
            "-object rng-randm,id=a: there is no object type 'rng-randm'; did you mean rng-random?",
        ),
        (
            "-object secret,id=a",
            "-object secret,id=a: object 'secret': not available in this version of Mimic",
        ),
        ("-device virtio-rng-pci,rng=a", "-device virtio-rng-pci,rng=a: there is no rng object 'a'"),
        (
            "-device virtio-rng-pci,addr=4,id=a -device virtio-rng-pci,addr=4.0",
            "-device virtio-rng-pci,addr=4.0: PCI: slot 4 function 0 not available for virtio-rng-pci, in use by \
             virtio-rng-pci,id=a",
        ),
    ] {
        assert_eq!(error(line), sentence, "{line}");
    }
    let nine = "-device virtio-rng-device ".repeat(9);
    assert_eq!(
        error(&nine),
        "-device virtio-rng-device: all 8 virtio-mmio slots are taken; the -pci form has more room"
    );
}
