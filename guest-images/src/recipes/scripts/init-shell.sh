#!/bin/sh
# PID 1 of the image `debian`: brings the machine up and gives a root shell on the console.
. /etc/init-lib.sh

coldplug
hostname debian
ip link set lo up
for nic in /sys/class/net/e*; do
    [ -e "$nic" ] || continue
    nic=${nic##*/}
    ip link set "$nic" up
    udhcpc -i "$nic" -n -q -f -t 3 -T 1 >/dev/null 2>&1 || echo "network: no DHCP answer on $nic"
done

# A blank first disk becomes scratch space; a disk with something on it is mounted if that is a file system.
if [ -b /dev/vda ]; then
    if [ "$(head -c 65536 /dev/vda | tr -d '\0' | head -c 1 | wc -c)" -eq 0 ]; then
        mke2fs -F -m 0 -L scratch /dev/vda >/dev/null 2>&1
    fi
    modprobe -q ext4
    mount /dev/vda /mnt 2>/dev/null
fi
exec /usr/bin/busybox init
