#!/bin/sh
# Installs larderd and larder-top as they were built, with units, manual pages and completions, and starts the socket.
#
#   systemd/install.sh                      for the machine, below /usr/local; as root
#   systemd/install.sh --user               for yourself, below ~/.local; larder runs while you are logged in
#   systemd/install.sh --uninstall [--user] takes it away again; data and settings stay
#
#   --prefix DIR     another place than /usr/local or ~/.local
#   --binaries DIR   where the programs are, instead of target/release
#   --no-start       only puts the files there
#   DESTDIR=DIR      puts everything below DIR, for packages; nothing is started or asked of systemd then
#
# Doing it again does no harm: it replaces what it installed, restarts a daemon that runs, and touches neither data nor settings.

set -eu
umask 022

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
destdir=${DESTDIR-}
action=install
scope=system
start=yes
prefix=
binaries=$here/../target/release

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
        --uninstall) action=uninstall ;;
        --user) scope=user ;;
        --no-start) start=no ;;
        --prefix) [ $# -gt 1 ] || fail "--prefix needs a directory"; prefix=$2; shift ;;
        --binaries) [ $# -gt 1 ] || fail "--binaries needs a directory"; binaries=$2; shift ;;
        -h | --help) sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail "unknown argument $1; --help lists them" ;;
    esac
    shift
done

if [ "$scope" = user ]; then
    prefix=${prefix:-$HOME/.local}
    source_units=$here/user
    units=$prefix/share/systemd/user
    settings=${XDG_CONFIG_HOME:-$HOME/.config}/larder
    data=${XDG_STATE_HOME:-$HOME/.local/state}/larder
    unit_names="larderd.service larderd.socket"
    manager="systemctl --user"
    booted() { [ -z "$destdir" ] && systemctl --user show-environment > /dev/null 2>&1; }
else
    prefix=${prefix:-/usr/local}
    source_units=$here
    units=$prefix/lib/systemd/system
    settings=/etc/larder
    data=/var/lib/larder
    unit_names="larderd.service larderd.socket larderd@.service larderd@.socket"
    manager=systemctl
    booted() { [ -z "$destdir" ] && [ -d /run/systemd/system ]; }
    if [ -z "$destdir" ] && [ "$(id -u)" -ne 0 ]; then
        fail "run it as root, or with --user to install for yourself"
    fi
fi
case $prefix in
    /*) ;;
    *) fail "--prefix $prefix is not an absolute path, which units need" ;;
esac

man=$destdir$prefix/share/man
bash=$destdir$prefix/share/bash-completion/completions
zsh=$destdir$prefix/share/zsh/site-functions
fish=$destdir$prefix/share/fish/vendor_completions.d
doc=$destdir$prefix/share/doc/larder

# Each file that is installed, but for programs and units: for uninstall as well.
others() {
    for page in "$here"/generated/*.[18]; do
        echo "$man/man${page##*.}/${page##*/}"
    done
    for program in larderd larder-top; do
        echo "$bash/$program"
        echo "$zsh/_$program"
        echo "$fish/$program.fish"
    done
    for example in "$here"/examples/*.conf "$here/larder.toml.example"; do
        echo "$doc/examples/${example##*/}"
    done
    if [ "$scope" = system ]; then
        echo "$destdir$prefix/lib/sysusers.d/larder.conf"
        echo "$destdir$prefix/lib/tmpfiles.d/larder.conf"
    fi
}

put() {
    install -D -m 0644 "$1" "$2"
}

install_files() {
    for program in larderd larder-top; do
        [ -x "$binaries/$program" ] || fail "there is no $binaries/$program; build it with: cargo build --release"
    done
    for program in larderd larder-top; do
        # A program that runs cannot be written to; a new file can take its name.
        install -D -m 0755 "$binaries/$program" "$destdir$prefix/bin/.$program.new"
        mv -f "$destdir$prefix/bin/.$program.new" "$destdir$prefix/bin/$program"
        put "$here/generated/$program.bash" "$bash/$program"
        put "$here/generated/_$program" "$zsh/_$program"
        put "$here/generated/$program.fish" "$fish/$program.fish"
    done
    for unit in $unit_names; do
        install -d -m 0755 "$destdir$units"
        sed "s|/usr/bin/larderd|$prefix/bin/larderd|g" "$source_units/$unit" > "$destdir$units/$unit"
        chmod 0644 "$destdir$units/$unit"
    done
    for page in "$here"/generated/*.[18]; do
        put "$page" "$man/man${page##*.}/${page##*/}"
    done
    for example in "$here"/examples/*.conf "$here/larder.toml.example"; do
        install -d -m 0755 "$doc/examples"
        sed "s|/usr/bin/larderd|$prefix/bin/larderd|g" "$example" > "$doc/examples/${example##*/}"
        chmod 0644 "$doc/examples/${example##*/}"
    done
    if [ "$scope" = system ]; then
        put "$here/sysusers.d/larder.conf" "$destdir$prefix/lib/sysusers.d/larder.conf"
        put "$here/tmpfiles.d/larder.conf" "$destdir$prefix/lib/tmpfiles.d/larder.conf"
        install -d -m 0755 "$destdir$settings"
    fi
}

if [ "$action" = uninstall ]; then
    if booted; then
        for unit in larderd.socket larderd.service; do
            $manager disable --now --quiet "$unit" 2> /dev/null || true
        done
        # Instances of the template, as far as any were made.
        for unit in $($manager list-units --all --plain --no-legend 'larderd@*' | cut -d ' ' -f 1); do
            $manager disable --now --quiet "$unit" 2> /dev/null || true
        done
    fi
    rm -f "$destdir$prefix/bin/larderd" "$destdir$prefix/bin/larder-top"
    for unit in $unit_names; do
        rm -f "$destdir$units/$unit"
    done
    others | while IFS= read -r file; do rm -f "$file"; done
    [ ! -d "$doc" ] || rmdir --ignore-fail-on-non-empty "$doc/examples" "$doc" 2> /dev/null || true
    if booted; then
        $manager daemon-reload
        $manager reset-failed 'larderd*' 2> /dev/null || true
    fi
    echo "larder is uninstalled. What it kept is still there: data in $data, settings in $settings; remove them if you like."
    exit 0
fi

install_files
if ! booted; then
    echo "larder is installed below $destdir$prefix; nothing was started."
    exit 0
fi
if [ "$scope" = system ]; then
    systemd-sysusers "$prefix/lib/sysusers.d/larder.conf"
    systemd-tmpfiles --create "$prefix/lib/tmpfiles.d/larder.conf"
fi
$manager daemon-reload
if [ "$start" = no ]; then
    echo "larder is installed below $prefix; start it with: $manager enable --now larderd.socket"
    exit 0
fi
$manager enable --now --quiet larderd.socket
$manager try-restart larderd.service
socket=$($manager show --property=Listen --value larderd.socket | cut -d ' ' -f 1)
echo "larder is installed and listens on $socket; the first connection starts it."
# Not echo, which in some shells would make line breaks of it.
printf '%s\n' "try:  printf 'SET hello world\\nGET hello\\nQUIT\\n' | nc -U $socket"
if [ "$scope" = system ]; then
    echo "let others connect:  usermod --append --groups larder USER"
fi
echo "check it:  $prefix/bin/larderd doctor"
