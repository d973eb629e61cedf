# dpkg and apt without a network: a package is built, installed, removed, and installed once more from a folder.
mkdir -p pkg/DEBIAN pkg/usr/share/mimic; printf 'Package: mimic-test\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y>\nDescription: x\n' > pkg/DEBIAN/control; printf '#!/bin/sh\necho postinst $1\n' > pkg/DEBIAN/postinst; chmod 755 pkg/DEBIAN/postinst; echo x > pkg/usr/share/mimic/f
dpkg-deb -b pkg t.deb >/dev/null; mkdir -p repo; cp t.deb repo/; 
mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates /var/lib/dpkg/triggers; [ -f /var/lib/dpkg/status ] || touch /var/lib/dpkg/status
dpkg -i t.deb 2>&1 | tail -3; dpkg -s mimic-test | grep Status; cat /usr/share/mimic/f; dpkg -L mimic-test | wc -l; dpkg -r mimic-test 2>&1 | grep Removing; dpkg -P mimic-test 2>&1 | tail -1
cd repo; (echo "Package: mimic-test"; echo Version: 1; echo Architecture: all; echo "Maintainer: x <x@y>"; echo Description: x; echo Filename: ./t.deb; echo Size: $(stat -c %s t.deb); echo SHA256: $(sha256sum t.deb | cut -d' ' -f1); echo) > Packages
echo 'deb [trusted=yes] file:'$PWD' ./' > ../list; O="-o Dir::Etc::sourcelist=$(dirname $PWD)/list -o Dir::Etc::sourceparts=/dev/null -o APT::Sandbox::User=root"
mkdir -p /var/cache/apt/archives/partial /var/lib/apt/lists/partial
apt-get $O update 2>&1 | tail -1; apt-cache $O policy mimic-test 2>/dev/null | head -3; apt-get $O install -y mimic-test 2>&1 | grep -A1 "Setting up mimic-test" | tr -d "\r"; dpkg -s mimic-test | grep Status; apt-get $O purge -y mimic-test 2>&1 | grep Removing | tr -d "\r"
