#!/bin/sh
# PID 1 of the initramfs that boots an installed disk: loads the drivers, mounts root= and hands over to init=.
. /etc/init-lib.sh

coldplug
modprobe -q ext4
root=/dev/vda1
mode=rw
init=/sbin/init
for word in $(cat /proc/cmdline); do
    case "$word" in
        root=LABEL=* | root=UUID=*) root=$(findfs "${word#root=}") ;;
        root=*) root=${word#root=} ;;
        ro | rw) mode=$word ;;
        init=*) init=${word#init=} ;;
    esac
done
mkdir -p /sysroot
if mount -t ext4 -o "$mode" "$root" /sysroot; then
    umount /tmp /dev/shm
    for directory in dev/pts dev proc sys run; do
        case "$directory" in
            dev/pts) umount /dev/pts ;;
            *) mount --move "/$directory" "/sysroot/$directory" ;;
        esac
    done
    exec switch_root /sysroot "$init"
fi
echo "cannot mount the root file system $root; 'exit' powers off"
/usr/bin/cttyhack /bin/sh
poweroff -f
