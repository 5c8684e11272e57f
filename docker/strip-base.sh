#!/bin/sh
# Reduce the base image to a run time: no package manager, no pip, no perl, no setuid files. Create the process's account.
# dpkg's list of packages stays correct and in place, so that scanners find the remaining packages.
set -eu
groupadd --gid 10001 receipts
useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin receipts

# Print those of the given packages that are installed.
present() {
    dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p'
}
purge() {
    dpkg --purge --force-depends --force-remove-essential $(present "$@")
}
purge adduser apt debian-archive-keyring e2fsprogs gpgv libapt-pkg6.0 libext2fs2 libgnutls30 libss2 login logsave mount \
    openssl passwd python3-distutils python3-lib2to3 python3-pip python3-pip-whl python3-pkg-resources \
    python3-setuptools python3-setuptools-whl python3-venv python3-wheel python3.11-venv sysvinit-utils
purge debconf perl-base # last, because the scripts of other packages need perl

# Remove files of the official base that belong to no package, and caches.
library=$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
rm -rf "$library"/ensurepip "$library"/idlelib "$library"/lib2to3 "$library"/tkinter "$library"/turtledemo \
    "$library"/test "$library"/config-* /usr/local/lib/python3*/site-packages/* /usr/local/bin/pip* \
    /usr/local/include /usr/lib/python3/dist-packages/* \
    /usr/share/zoneinfo/right /usr/share/zoneinfo/posix /usr/lib/*-linux-gnu/gconv \
    /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale /usr/share/python-wheels \
    /var/cache/* /var/log/* /var/lib/apt /root/.cache /tmp/*
find / -xdev -perm /6000 -type f -exec chmod a-s {} +
python -m compileall -q --invalidation-mode unchecked-hash -x 'pydoc_data|distutils' "$library"
