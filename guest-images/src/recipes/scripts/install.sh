# Makes a bootable Debian on disk $1 from the unpacked packages in the tar archive on disk $2. Runs with `sh -e`.
target=$1
payload=$2
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C HOME=/root

echo "partition and file system"
dd if=/etc/install/mbr of="$target" bs=512 count=1 conv=notrunc 2>/dev/null
blockdev --rereadpt "$target"
# U-Boot reads this file system too, and it does not know the newest features.
/usr/sbin/mke2fs -q -F -t ext4 -O ^metadata_csum_seed,^orphan_file -L debian "${target}1"
if [ -b "${target}2" ]; then efi=${target}2; else efi=; fi
mkdir /target
mount -t ext4 -o noatime,nobarrier "${target}1" /target

echo "files"
tar -x -p -f "$payload" -C /target
for directory in proc sys dev dev/pts; do
    mkdir -p "/target/$directory"
    mount --bind "/$directory" "/target/$directory"
done
mount -t tmpfs tmpfs /target/run
if [ -n "$efi" ]; then
    chroot /target /usr/sbin/mkfs.vfat -n EFI "$efi"
    mkdir -p /target/boot/efi
    mount -t vfat "$efi" /target/boot/efi
fi

echo "maintainer scripts"
# dpkg runs preinst before it unpacks; here the files are there already.
while read -r package info; do
    script=/var/lib/dpkg/info/$info.preinst
    [ -e "/target$script" ] || continue
    DPKG_MAINTSCRIPT_PACKAGE=$package DPKG_MAINTSCRIPT_NAME=preinst DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 \
        DPKG_MAINTSCRIPT_ARCH=$(cat /etc/install/arch) DPKG_RUNNING_VERSION=1.22 DPKG_ADMINDIR=/var/lib/dpkg DPKG_ROOT= \
        chroot /target "$script" install
done </etc/install/order
# Paths in full, because busybox would run its own dpkg.
chroot /target /usr/bin/dpkg --force-unsafe-io --force-confold --configure -a

echo "settings"
chroot /target /usr/bin/systemctl enable systemd-networkd
chroot /target /usr/bin/passwd -d root
chroot /target /usr/sbin/u-boot-update
if [ -n "$efi" ]; then
    # Under the name that firmware tries on a disk it does not know.
    chroot /target /usr/sbin/grub-install --target=arm64-efi --efi-directory=/boot/efi --removable --no-nvram
    chroot /target /usr/sbin/update-grub
    umount /target/boot/efi
fi
: >/target/etc/machine-id
rm -rf /target/var/log/bootstrap.log /target/var/cache/debconf/*-old /target/var/lib/dpkg/*-old

sync
umount /target/run /target/dev/pts /target/dev /target/sys /target/proc /target
/usr/sbin/e2fsck -f -p "${target}1"
touch /tmp/installed
