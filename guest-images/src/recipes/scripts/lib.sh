# What every /init of these images begins with.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
/usr/bin/busybox --install -s /usr/bin 2>/dev/null
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run

# Loads the driver of every device there is. A bus driver makes new devices, hence twice.
coldplug() {
    for round in 1 2; do
        find /sys/devices -name modalias -exec cat {} + 2>/dev/null | sort -u | xargs modprobe -a -b -q 2>/dev/null
    done
}
