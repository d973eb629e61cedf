#!/bin/sh
# PID 1 of the build step of `debian-disk`: runs the installation and leaves its report on the report disk.
. /etc/init-lib.sh

coldplug
modprobe ext4
target= payload= report=
for disk in /dev/vd?; do
    if [ "$(head -c 12 "$disk" | tr -d '\0')" = MIMIC-REPORT ]; then
        report=$disk
    elif [ "$(dd if="$disk" bs=1 skip=257 count=5 2>/dev/null | tr -d '\0')" = ustar ]; then
        payload=$disk
    else
        target=$disk
    fi
done
sh -e /etc/install/install.sh "$target" "$payload" 2>&1 | tee /tmp/log
if [ -e /tmp/installed ]; then echo OK; else echo FAILED; fi >/tmp/report
tail -c 8192 /tmp/log >>/tmp/report
dd if=/tmp/report of="$report" bs=64k conv=notrunc 2>/dev/null
sync
poweroff -f
