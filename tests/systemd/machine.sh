#!/bin/bash
# Boots systemd as the first process of namespaces of its own, over a copy of this machine's file system that is thrown away.
#
#   machine.sh boot DIR NAME    DIR: an empty directory; NAME: of the control group; ends with the machine
#   machine.sh clean NAME       removes the control groups that it leaves behind
#
# Without the overlay systemd would tidy the real /tmp, and units that set up hardware or the kernel would do that to this
# machine: they are masked.

set -eu

case $1 in
    boot)
        exec unshare --fork --pid --mount --uts --ipc --kill-child --mount-proc --propagation private \
            bash "$0" inside "$2" "$3"
        ;;
    clean)
        exec unshare --mount --propagation private bash "$0" clean-inside "$2"
        ;;
    clean-inside)
        mount -t cgroup2 cgroup2 /mnt
        [ ! -d "/mnt/$2" ] || find "/mnt/$2" -depth -type d -exec rmdir {} +
        exit 0
        ;;
    inside) ;;
    *) exit 64 ;;
esac

dir=$2
name=$3
root=$dir/root
mount -t tmpfs -o mode=0755 larder-machine "$dir"
mkdir "$dir/upper" "$dir/work" "$root" "$dir/groups"

# A group of its own, which becomes the root of what the machine sees.
mount -t cgroup2 cgroup2 "$dir/groups"
mkdir "$dir/groups/$name"
echo $$ > "$dir/groups/$name/cgroup.procs"

mount -t overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" overlay "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"

: > "$root/etc/fstab"
# What a larder of this machine keeps is not there.
rm -rf "$root/var/lib/larder" "$root/etc/larder"
# Made to keep packages from starting services, in images for containers.
rm -f "$root/usr/sbin/policy-rc.d"
for unit in systemd-sysctl.service systemd-modules-load.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount \
    systemd-remount-fs.service systemd-udevd.service systemd-udev-trigger.service systemd-udevd-control.socket \
    systemd-udevd-kernel.socket systemd-journald-audit.socket systemd-hwdb-update.service systemd-timesyncd.service \
    systemd-resolved.service systemd-networkd.service systemd-random-seed.service systemd-update-utmp.service \
    systemd-pcrphase.service systemd-pcrphase-sysinit.service sys-kernel-config.mount sys-kernel-debug.mount \
    sys-kernel-tracing.mount dev-hugepages.mount getty.target; do
    ln -sfn /dev/null "$root/etc/systemd/system/$unit"
done

exec unshare --cgroup bash -c '
    mount -t tmpfs -o mode=0755 tmpfs "$1/sys/fs/cgroup"
    mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
    cd "$1"
    exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        chroot "$1" /lib/systemd/systemd --system --unit=basic.target --show-status=no
' - "$root"
