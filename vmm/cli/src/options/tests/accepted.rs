//! Command lines and what they mean.

use std::net::Ipv4Addr;

use super::options;
use crate::options::block::Cache;
use crate::options::log::LogItem;
use crate::options::machine::{Accel, Smp, TcgThreads};
use crate::options::*;
use engine::{Actions, HangAction, PanicAction, WatchdogAction};

#[test]
fn nothing_said_is_the_default_machine() {
    let o = options("");
    assert_eq!(o.machine.kind.name, "virt");
    assert_eq!((o.smp, o.memory_size()), (Smp::default(), 128 << 20));
    assert_eq!((o.firmware, o.accel), (Firmware::Default, Accel::default()));
    // As on QEMU's virt machine there is no network unless it is asked for.
    assert!(o.devices.is_empty() && o.netdevs.is_empty() && o.drives.is_empty());
    assert_eq!(o.serials, [SerialTarget::Chardev("serial0".into())]);
    assert_eq!(o.monitors, [Monitor::readline("serial0")]);
}

type Wiring = (Vec<SerialTarget>, Vec<String>, Vec<(String, CharBackend, bool)>);

/// Serial ports, monitors, and the back ends behind them.
fn wiring(line: &str) -> Wiring {
    let o = options(line);
    let monitors = o.monitors.into_iter().map(|monitor| monitor.chardev).collect();
    (o.serials, monitors, o.chardevs.into_iter().map(|c| (c.id, c.backend, c.mux)).collect())
}

#[test]
fn serial_port_and_monitor() {
    let serial0 = || SerialTarget::Chardev("serial0".into());
    let stdio = |id: &str, mux: bool| (id.to_string(), CharBackend::Stdio { signal: !mux }, mux);
    let vc = |id: &str| (id.to_string(), CharBackend::Vc, false);
    let monitor = || "compat_monitor0".to_string();
    for (line, expected) in [
        ("-nographic", (vec![serial0()], vec!["serial0".into()], vec![stdio("serial0", true)])),
        ("-M virt,graphics=off", (vec![serial0()], vec!["serial0".into()], vec![stdio("serial0", true)])),
        ("-nographic -monitor none", (vec![serial0()], vec![], vec![stdio("serial0", false)])),
        (
            "-nographic -serial none",
            (vec![SerialTarget::None], vec![monitor()], vec![stdio("compat_monitor0", false)]),
        ),
        ("-nographic -nodefaults", (vec![], vec![], vec![])),
        ("-serial mon:stdio", (vec![serial0()], vec!["serial0".into()], vec![stdio("serial0", true)])),
        (
            "-serial stdio",
            (vec![serial0()], vec![monitor()], vec![stdio("serial0", false), vc("compat_monitor0")]),
        ),
        ("-display none", (vec![serial0()], vec![monitor()], vec![vc("serial0"), vc("compat_monitor0")])),
        (
            "-monitor stdio",
            (vec![serial0()], vec![monitor()], vec![stdio("compat_monitor0", false), vc("serial0")]),
        ),
        (
            "-chardev stdio,id=con,mux=on,signal=off -serial chardev:con -mon chardev=con,mode=readline",
            (vec![SerialTarget::Chardev("con".into())], vec!["con".into()], vec![stdio("con", true)]),
        ),
    ] {
        assert_eq!(wiring(line), expected, "{line}");
    }
}

#[test]
fn character_devices() {
    let tcp = |host: &str, port: &str| SocketAddress::Tcp {
        host: host.into(),
        port: port.into(),
        last_port: None,
        ipv4: None,
        ipv6: None,
        nodelay: false,
    };
    let unix = |path: &str| SocketAddress::Unix { path: path.into(), abstract_name: false };
    let socket = |address, role| CharBackend::Socket { address, role, telnet: false };
    let file = |path: &str| CharBackend::File { path: path.into(), append: false, input: None };
    for (line, backend) in [
        ("-serial null", CharBackend::Null),
        ("-serial pty", CharBackend::Pty { link: None }),
        ("-serial file:a,b", file("a,b")),
        ("-serial pipe:/tmp/f", CharBackend::Pipe { path: "/tmp/f".into() }),
        ("-serial unix:/s,server=on,wait=off", socket(unix("/s"), SocketRole::Server { wait: false })),
        ("-serial unix:/s,server,nowait", socket(unix("/s"), SocketRole::Server { wait: false })),
        ("-serial tcp::4444,server", socket(tcp("", "4444"), SocketRole::Server { wait: true })),
        ("-serial tcp:[::1]:44", socket(tcp("::1", "44"), SocketRole::Client { reconnect_ms: 0 })),
        (
            "-chardev socket,id=c,host=h,port=1,reconnect=2 -serial chardev:c",
            socket(tcp("h", "1"), SocketRole::Client { reconnect_ms: 2000 }),
        ),
        ("-chardev file,id=c,path=/proc/self/fd/2 -serial chardev:c", file("/proc/self/fd/2")),
        ("-chardev file,id=c,path=a,,b -serial chardev:c", file("a,b")),
        (
            "-chardev socket,id=c,fd=30,server=on,wait=off -serial chardev:c",
            socket(SocketAddress::Fd(30), SocketRole::Server { wait: false }),
        ),
    ] {
        assert_eq!(options(line).chardevs[0].backend, backend, "{line}");
    }
    let logged = &options("-chardev null,id=c,logfile=l,logappend=on,mux=on").chardevs[0];
    assert_eq!((logged.log.as_deref(), logged.log_append, logged.mux), (Some("l"), true, true));
}

#[test]
fn machine_and_accelerator() {
    let o = options("-M virt,aclint=on -machine acpi=off,dumpdtb=a,,b -accel tcg,thread=single,tb-size=64");
    assert!(o.machine.aclint);
    assert_eq!((o.machine.acpi, o.machine.dumpdtb.as_deref()), (Some(false), Some("a,b")));
    assert_eq!((o.accel.threads, o.accel.code_cache), (TcgThreads::Single, Some(64 << 20)));
    assert!(options("-accel tcg,one-insn-per-tb=on").accel.one_insn_per_block);
    // The first accelerator that there is.
    options("-accel kvm -accel tcg");
    options("-machine accel=kvm:tcg");
    let o = options("-machine kernel=k,append=a~b,initrd=i,dtb=d,firmware=none");
    assert_eq!((o.kernel.as_deref(), o.append.as_deref()), (Some("k"), Some("a b")));
    assert_eq!((o.initrd.as_deref(), o.dtb.as_deref(), o.firmware), (Some("i"), Some("d"), Firmware::None));
}

#[test]
fn cpu_model() {
    let cpu = options("-cpu rv64,zba=off,sv57=off,+f,-d,zbb").cpu.expect("it was given");
    let props: Vec<(&str, &str)> = cpu.props.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(cpu.name, "rv64");
    assert_eq!(props, [("zba", "off"), ("sv57", "off"), ("f", "on"), ("d", "off"), ("zbb", "on")]);
}

#[test]
fn processors() {
    let smp = |line: &str| {
        let s = options(line).smp;
        (s.cpus, s.max_cpus, s.sockets, s.cores, s.threads)
    };
    for (line, expected) in [
        ("-smp 4", (4, 4, 1, 4, 1)),
        ("-smp cpus=2,maxcpus=4", (2, 4, 1, 4, 1)),
        ("-smp 4,sockets=2", (4, 4, 2, 2, 1)),
        ("-smp 8,cores=2,threads=2", (8, 8, 2, 2, 2)),
        ("-smp sockets=2,cores=3", (6, 6, 2, 3, 1)),
        ("-smp 2,maxcpus=4,sockets=4,cores=1,threads=1", (2, 4, 4, 1, 1)),
        ("-smp 1,cpus=2", (2, 2, 1, 2, 1)),
        ("-smp 2,dies=1", (2, 2, 1, 2, 1)),
    ] {
        assert_eq!(smp(line), expected, "{line}");
    }
}

#[test]
fn memory() {
    for (line, bytes) in [
        ("-m 512", 512 << 20),
        ("-m 512M", 512 << 20),
        ("-m 1.5G", 3 << 29),
        ("-m size=262144k", 256 << 20),
        ("-m 0", 128 << 20),
        ("-m 1000001B", 1_007_616),
        ("-object memory-backend-memfd,id=m,size=64M -M memory-backend=m", 64 << 20),
    ] {
        assert_eq!(options(line).memory_size(), bytes, "{line}");
    }
}

#[test]
fn drives() {
    let o = options(
        "-drive file=a.img,format=raw -drive if=none,id=d,file=b,,c,readonly=on,cache=unsafe,discard=unmap -snapshot",
    );
    let [first, second] = &o.drives[..] else { panic!("two drives") };
    assert_eq!(
        (&*first.id, first.interface, first.format),
        ("virtio0", DriveInterface::Virtio, Some(ImageFormat::Raw))
    );
    assert_eq!((&*second.file, second.format, second.snapshot), ("b,c", None, true));
    assert_eq!(second.options.read_only, Some(true));
    assert_eq!(second.options.cache, Cache { writeback: true, direct: false, no_flush: true });
    assert!(second.options.discard);
    // The first is a device as well.
    let [device] = &o.devices[..] else { panic!("one device") };
    assert_eq!((device.kind.name, device.props.text("drive")), ("virtio-blk-pci", Some("virtio0")));

    let o = options("-cdrom b c -pflash code -pflash vars");
    let ids: Vec<(&str, u32)> = o.drives.iter().map(|d| (&*d.id, d.unit)).collect();
    assert_eq!(ids, [("virtio-cd2", 2), ("virtio0", 0), ("pflash0", 0), ("pflash1", 1)]);
    assert!(o.drives[0].cdrom && o.drives[0].options.read_only == Some(true));
    assert_eq!(options("-drive file=a -drive file=b").drives[1].unit, 1);
    assert!(!options("-snapshot -drive file=a,snapshot=off").drives[0].snapshot);
}

#[test]
fn block_nodes() {
    let dotted = "-blockdev qcow2,node-name=top,file.driver=file,file.filename=a,backing=base,discard=unmap";
    let json = "-blockdev {\"driver\":\"qcow2\",\"node-name\":\"top\",\"discard\":\"unmap\",\"file\":{\"driver\":\"file\",\"filename\":\"a\"},\"backing\":\"base\"}";
    let base = "-blockdev driver=file,node-name=base,filename=b,read-only=on";
    let read = |line: &str| {
        let node = options(&format!("{base} {line}")).block_nodes[1].clone();
        (node.driver, node.options)
    };
    for line in [dotted, json] {
        let (driver, node_options) = read(line);
        let BlockDriver::Qcow2 { file: NodeRef::Inline(file), backing } = driver else {
            panic!("{driver:?}")
        };
        assert_eq!(file.driver, BlockDriver::File { filename: "a".into(), locking: None });
        assert_eq!(backing, Backing::Node(NodeRef::Name("base".into())));
        assert!(node_options.discard);
    }

    let none = "-blockdev {\"driver\":\"qcow2\",\"node-name\":\"t\",\"file\":\"base\",\"backing\":null}";
    let o = options(&format!("{base} {none} -device virtio-blk-device,drive=t"));
    let BlockDriver::Qcow2 { backing, .. } = &o.block_nodes[1].driver else { panic!("qcow2") };
    assert_eq!(*backing, Backing::None);
}

#[test]
fn network() {
    let o = options(
        "-netdev user,id=n,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=udp::53-10.0.2.20:53 -device virtio-net-device,netdev=n,mac=52:54:00:12:34:57",
    );
    let NetBackend::User(user) = &o.netdevs[0].backend else { panic!("user") };
    assert_eq!((user.network, user.prefix), (Ipv4Addr::new(10, 0, 2, 0), 24));
    assert_eq!(user.gateway, Ipv4Addr::new(10, 0, 2, 2));
    assert_eq!(user.dns, Ipv4Addr::new(10, 0, 2, 3));
    assert_eq!(user.dhcp_start, Ipv4Addr::new(10, 0, 2, 15));
    assert_eq!(
        user.forwards,
        [
            HostForward {
                protocol: Protocol::Tcp,
                host: Ipv4Addr::LOCALHOST,
                host_port: 2222,
                guest: None,
                guest_port: 22
            },
            HostForward {
                protocol: Protocol::Udp,
                host: Ipv4Addr::UNSPECIFIED,
                host_port: 53,
                guest: Some(Ipv4Addr::new(10, 0, 2, 20)),
                guest_port: 53
            },
        ]
    );
    assert_eq!(o.devices[0].props.mac("mac"), Some([0x52, 0x54, 0, 0x12, 0x34, 0x57]));

    let o = options(
        "-nic user,mac=52:54:00:00:00:01,hostfwd=tcp::1-:2 -nic tap,ifname=t0,script=no,model=virtio-net-device",
    );
    assert_eq!(
        (o.netdevs.len(), o.devices[0].kind.name, o.devices[1].kind.name),
        (2, "virtio-net-pci", "virtio-net-device")
    );
    let NetBackend::Tap(tap) = &o.netdevs[1].backend else { panic!("tap") };
    assert_eq!(
        (tap.ifname.as_deref(), &tap.script, tap.downscript.as_deref()),
        (Some("t0"), &None, Some("/etc/qemu-ifdown"))
    );
    assert!(options("-nic none").devices.is_empty() && options("-net none").devices.is_empty());

    let o = options(
        "-netdev {\"type\":\"user\",\"id\":\"h\",\"hostfwd\":[{\"str\":\"tcp::1-:2\"}],\"restrict\":true}",
    );
    let NetBackend::User(user) = &o.netdevs[0].backend else { panic!("user") };
    assert!(user.restrict && user.forwards.len() == 1);
}

#[test]
fn consoles_find_their_bus() {
    let o = options(
        "-device virtio-serial-pci,id=s -chardev null,id=a -chardev null,id=b \
         -device virtconsole,chardev=a -device virtserialport,bus=s.0,nr=2,chardev=b,name=org.example",
    );
    assert_eq!(o.devices[2].props.text("name"), Some("org.example"));
    assert_eq!(o.devices[2].props.number("nr"), Some(2));
    options("-device virtio-serial-pci -device virtconsole,bus=virtio-serial-bus.0");
}

#[test]
fn debuggers_and_control() {
    let o = options(
        "-s -qmp unix:/s,server=on,wait=off -qmp-pretty null -chardev null,id=c -mon c,mode=control -nographic",
    );
    let mode = |pretty| MonitorMode::Control { pretty };
    let monitors: Vec<_> = o.monitors.iter().map(|m| (&*m.chardev, m.mode)).collect();
    assert_eq!(
        monitors,
        [("compat_monitor0", mode(false)), ("compat_monitor1", mode(true)), ("c", mode(false))]
    );
    let gdb = o.chardevs.iter().find(|c| Some(&c.id) == o.gdb.as_ref()).expect("it is there");
    let CharBackend::Socket { address: SocketAddress::Tcp { port, .. }, role, .. } = &gdb.backend else {
        panic!("{gdb:?}")
    };
    assert_eq!((&**port, *role), ("1234", SocketRole::Server { wait: false }));
    assert_eq!(options("-s -gdb none").gdb, None);
    let o = options("-timeout 1.5,clock=vm -exit-codes hang=7,panic=0 -action hang=exit-failure");
    let timeout = o.timeout.expect("given");
    assert_eq!((timeout.after.as_millis(), timeout.machine_time), (1500, true));
    assert_eq!((o.exit_codes.hang, o.exit_codes.panic, o.exit_codes.timeout), (Some(7), Some(0), None));
    assert_eq!(o.actions.hang, HangAction::ExitFailure);
    let o = options("-semihosting-config enable=on,target=native,userspace=on,arg=prog,arg=a");
    let semihosting = o.semihosting.expect("it is on");
    assert_eq!((semihosting.user, semihosting.args.join(" ")), (true, "prog a".to_string()));
    assert!(options("-semihosting").semihosting.is_some() && options("").semihosting.is_none());
}

#[test]
fn small_options() {
    let o = options(
        "-name guest=t,debug-threads=on -uuid 7a060e50-ce70-4da2-8842-a626a21cea53 -boot strict=on -seed 0x10",
    );
    assert_eq!((o.name.guest.as_deref(), o.name.debug_threads, o.boot.strict), (Some("t"), true, true));
    assert_eq!((o.uuid.map(|u| u[0]), o.seed), (Some(0x7a), Some(16)));
    let o = options(
        "-no-reboot -action panic=exit-failure -no-shutdown -msg timestamp=on -S -pidfile p -k de -L dir",
    );
    let panic = PanicAction::ExitFailure;
    let actions = Actions { reboot_ends: true, shutdown_pauses: true, panic, ..Actions::default() };
    assert_eq!(o.actions, actions);
    let watchdog = |line: &str| options(line).actions.watchdog;
    assert_eq!(watchdog("-watchdog-action inject-nmi"), WatchdogAction::InjectNmi);
    assert_eq!(watchdog("-watchdog-action pause -action watchdog=poweroff"), WatchdogAction::Poweroff);
    let codes = options("-exit-codes triple-fault=102,watchdog=104,internal=71").exit_codes;
    assert_eq!((codes.watchdog, codes.internal, codes.reset), (Some(104), Some(71), None));
    assert!(o.timestamps && o.paused && o.data_dirs == ["dir"]);
    let base = |line: &str| options(line).rtc.base;
    assert_eq!(base("-rtc base=utc,driftfix=slew"), RtcBase::Utc);
    assert_eq!(base("-rtc base=2006-06-17T16:01:21"), RtcBase::Date(1_150_560_081));
    assert_eq!(base("-rtc base=2000-03-01"), RtcBase::Date(951_868_800));
    assert_eq!(options("-rtc clock=vm").rtc.clock, RtcClock::Vm);
    let log = options("-d in_asm,int -D f -dfilter 0x1000..0x1fff,0x80000000+0x10,0x20-0x10").log;
    assert_eq!(log.items, [LogItem::InAsm, LogItem::Int]);
    assert_eq!(log.ranges, [0x1000..=0x1fff, 0x8000_0000..=0x8000_000f, 0x11..=0x20]);
}
