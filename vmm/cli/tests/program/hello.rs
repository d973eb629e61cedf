//! `mimic run hello`.

use crate::support::{mimic, start};

#[test]
fn it_says_what_it_sees_echoes_and_powers_off() {
    for (key, cpus) in [("q", "1"), ("\x04", "3")] {
        let mut running = start(mimic().args(["run", "hello", "-m", "192M", "--cpus", cpus]));
        running.expect("> ");
        let seen = running.seen();
        for line in
            ["board   riscv-virtio,qemu", "memory  192 MiB", "ISA     rv64imafdc", &format!("harts   {cpus}")]
        {
            assert!(seen.contains(line), "{line}: {seen}");
        }
        running.say("echo\rthis");
        running.expect("> this");
        assert!(running.seen().contains("> echo\r\n"), "{}", running.seen());
        running.say(key);
        let end = running.finish();
        assert_eq!((end.status, &*end.err), (Some(0), ""));
        assert!(end.out.contains("Good bye."), "{}", end.out);
    }
}
