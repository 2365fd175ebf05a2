# The one program that runs on a host: the same bytes for every host and every command.
#
# It knows no names, modes or secrets. It says what is there, and then carries out the steps that it is sent, in
# the order that it is sent them; every decision was taken on the control machine (src/plan). Everything it reads
# is data: nothing is evaluated, nothing becomes an option.
#
# Spoken on stdin:  distribute 1 NONCE none|sudo|doas      one line
#                   wait SECONDS                           how long a lock that somebody holds is waited for; may be left out
#                   root MODE PATH                         one line a root; MODE is for a root that must be made
#                   unit NAME | container NAME | compose FILE SERVICE
#                                                          consumers of secrets, for an audit to ask when they started
#                   look | audit | backups                 -> the first frame; an audit reads everything, and tells it again
#                                                          after a push; `backups` also hashes sealed copies and earlier sets
#                   read N, `name PATH` lines, give        -> a frame with a tar of these in root N; as often as is asked for
#                   part N                                 of some roots only: one line each of those
#                   bye | push SINCE WHO | drill SINCE WHO -> the last frame, after
#                   a tar, and 86 bytes: END, its length in 16 digits, its SHA-256
#                                                          a drill unpacks it in memory, tells what came of it and removes it
# Spoken on stdout: lines that begin with the nonce, between `begin` and `end`; what stands between two such lines
#                   is the output of a tool. Anything around a frame is noise (a banner, an rc file).
#
# POSIX sh, silent under shellcheck -s sh; runs under dash, bash, busybox ash and mksh. Full-line comments are
# taken out before it is sent. A process costs a host about a millisecond, so the first frame takes three.

set -u
umask 077
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
unset ENV BASH_ENV CDPATH QUOTING_STYLE TAR_OPTIONS POSIXLY_CORRECT TMOUT
# Without a stderr the next file that is opened would take its place, and complaints would go into it.
true >&2 || exec 2>/dev/null
newline='
'
IFS=" 	$newline"
roots=''
held=''
fresh=''
phase='exec'
marks=0
scratch=''

say() {
    printf '%s %s\n' "$nonce" "$*"
    marks=$((marks + 1))
}

begin() {
    marks=0
    printf '\n%s begin 1\n' "$nonce"
}

end() {
    printf '%s end %s\n' "$nonce" "$marks"
}

# fail WHAT: says it, takes back what was staged, frees the locks and ends. Where nothing was switched, all is as it was.
fail() {
    say "fail $phase $*"
    let_go
    end
    exit 1
}

let_go() {
    # Still in the root that failed: nobody points to the set that was to come.
    [ -z "$fresh" ] || rm -rf "secrets/$fresh"
    fresh=''
    [ -z "$scratch" ] || rm -rf "$scratch"
    scratch=''
    for root in $held; do
        nth_root "$root"
        cd -P "$path" 2>/dev/null || continue
        rm -rf ".distribute/stage.$nonce" ".distribute/own.$nonce" .distribute/lock
    done
    held=''
}

# nth_root N: sets path and mode. A path holds no newline; that was checked before it was sent.
nth_root() {
    skip=$1
    rest=$roots
    while [ "$skip" -gt 0 ]; do
        rest=${rest#*"$newline"}
        skip=$((skip - 1))
    done
    rest=${rest%%"$newline"*}
    mode=${rest%% *}
    path=${rest#* }
}

# Becoming root. What is sent later must not end in a log: some sudoers files log standard input.
escalate() {
    phase=become
    command -v "$1" >/dev/null || fail "$1 is not installed"
    if [ "$1" = doas ]; then
        # shellcheck disable=SC2154 # set by the line that starts this program
        exec doas -n sh -c "$program" distribute "$nonce"
    fi
    rules=$(sudo -n -l 2>&1 </dev/null) || fail "${rules##*"$newline"}"
    set -f
    for word in $rules; do
        case ${word%,} in
        NOLOG_INPUT:*) ;;
        log_input | log_stdin | LOG_INPUT:* | *:LOG_INPUT:*)
            fail "sudo is set up to log its standard input here (${word%,}), and the secrets would be in that log"
            ;;
        esac
    done
    set +f
    exec sudo -n -- sh -c "$program" distribute "$nonce"
}

# A process is known by boot, pid and start time. /proc/self, not $$: /proc may be that of another pid namespace.
know_yourself() {
    boot=none
    pid=0
    start=0
    if [ -r /proc/sys/kernel/random/boot_id ]; then read -r boot </proc/sys/kernel/random/boot_id; fi
    if [ -r /proc/self/stat ] && read -r line </proc/self/stat; then
        pid=${line%% *}
        start_time "$line"
        start=$started
    fi
}

# Field 22 of /proc/PID/stat: what follows the last parenthesis begins with field 3, the state. A zombie has ended.
start_time() {
    # shellcheck disable=SC2086
    set -- ${1##*) }
    started=${20:-0}
    case ${1:-} in Z | X) started=ended ;; esac
}

# is_dead RECORD: is the holder of a lock dead beyond doubt? Age proves nothing, and neither does a record that is not ours.
is_dead() {
    after=${1#* }
    their_pid=${after%% *}
    after=${after#* }
    their_start=${after%% *}
    case $their_pid$their_start in '' | *[!0-9]*) return 1 ;; esac
    [ "${1%% *}" != none ] && [ "$boot" != none ] || return 1
    [ "${1%% *}" = "$boot" ] || return 0
    [ -r /proc/self/stat ] || return 1
    read -r line 2>/dev/null <"/proc/$their_pid/stat" || return 0
    start_time "$line"
    [ "$started" != "$their_start" ]
}

# Sets record to what a lock file says; fails if there is none. A record is complete before it gets its name, so an
# empty one is what a power cut left, and its holder died with the machine. A pipe in its place would hold us.
read_record() {
    record=''
    [ -f "$1" ] || return 1
    read -r record 2>/dev/null <"$1"
    [ -n "$record" ] || [ ! -f "$1" ] || record='cut 0 0 - a run that lost its power'
    [ -n "$record" ]
}

lock() {
    phase=stage
    own=.distribute/own.$nonce
    printf '%s %s %s %s\n' "$boot" "$pid" "$start" "$who" >"$own" || {
        rm -f "$own"
        fail "cannot write in $path/.distribute"
    }
    phase=lock
    tries=0
    until ln "$own" .distribute/lock 2>/dev/null; do
        tries=$((tries + 1))
        if read_record .distribute/lock; then
            if follow; then break; fi
            is_dead "$record" || tries=9
            why="held ${record#* * * }"
        else
            why="cannot make a lock in $path/.distribute"
        fi
        if [ "$tries" -gt 3 ]; then
            rm -f "$own"
            fail "$why"
        fi
    done
    held="$1 $held"
}

# Takes the lock of a dead holder, whose record this is. Of all that see it dead one goes on: whoever links the file that
# is named after the dead. Was that one killed before it could go on, then it is followed in the same way.
follow() {
    dead=$record
    claims=''
    while is_dead "$record"; do
        claim=.distribute/heir.$their_pid.$their_start
        claims="$claims $claim"
        if ln "$own" "$claim" 2>/dev/null; then
            # Nobody else replaces this record now, unless it was done before we came.
            if read_record .distribute/lock && [ "$record" = "$dead" ] && mv -fT "$own" .distribute/lock; then
                # shellcheck disable=SC2086
                rm -f $claims
                return 0
            fi
            rm -f "$claim"
            return 1
        fi
        read_record "$claim" || return 1
    done
    return 1
}

# Sets live to the name of the set that ..data leads to, or to nothing. The working directory is the root.
find_live() {
    live=''
    [ ! -L secrets ] || return 0
    if cd -P secrets/..data 2>/dev/null; then
        live=${PWD##*/}
        [ "$PWD" = "$path/secrets/$live" ] || live=''
        cd -P "$path" || exit 1
    fi
}

# look N: what is there, without a write and without a lock.
look() {
    nth_root "$1"
    say "root $1"
    set -- /
    rest=${path#/}
    at=''
    while [ -n "$rest" ]; do
        at=$at/${rest%%/*}
        set -- "$@" "$at"
        case $rest in
        */*) rest=${rest#*/} ;;
        *) rest='' ;;
        esac
    done
    live=''
    here=no
    if ! cd -P "$path" 2>/dev/null; then
        [ ! -d "$path" ] || say closed
    elif [ "$PWD" != "$path" ]; then
        say "elsewhere $PWD"
    else
        here=yes
        while [ "$waits" -gt 0 ] && read_record .distribute/lock && ! is_dead "$record"; do
            waits=$((waits - 1))
            sleep 1
        done
        [ -w . ] || say readonly
        find_live
        [ -z "$live" ] || say "live $live"
        if [ -d secrets ] && [ ! -L secrets ] && ! [ -x secrets ]; then say closed; fi
        if read_record .distribute/lock; then
            if is_dead "$record"; then say "stale ${record#* * * }"; else say "lock ${record#* * * }"; fi
        fi
    fi
    if [ "$deep" = yes ] && [ "$here" = yes ]; then
        read_all "$@"
    else
        read_ours "$@"
    fi
    if [ "$here" = yes ]; then read_notes; fi
}

# What we know to be there, with as few processes as may be: by name, no deeper than we put it.
read_ours() {
    if [ "$here" = yes ]; then
        # What is not there, and a pattern that nothing matches, stat leaves out.
        for name in secrets vault-password backups .distribute ${live:+"secrets/$live"}; do
            set -- "$@" "$name"
            [ -L "$name" ] || set -- "$@" "$name"/* "$name"/.[!.]* "$name"/..?*
        done
        [ -z "$live" ] || set -- "$@" "secrets/$live"/*/* "secrets/$live"/*/.[!.]*
        if [ "$deep" = backups ]; then
            for set in secrets/..[0-9]*; do
                [ "$set" = "secrets/$live" ] || [ -L "$set" ] || set -- "$@" "$set"/* "$set"/*/*
            done
        fi
    fi
    say stat
    stat -c "$columns" "$@" 2>/dev/null
    [ "$here" = no ] || hash_ours
}

hash_ours() {
    say hash
    set -- vault-password backups/key.age ${live:+"secrets/$live"/* "secrets/$live"/.[!.]* "secrets/$live"/*/*}
    if [ "$deep" = backups ]; then
        # What stands in the place of a link is what is read there.
        set -- "$@" backups/*.age secrets/*
        for set in secrets/..[0-9]*; do
            [ "$set" = "secrets/$live" ] || [ -L "$set" ] || set -- "$@" "$set"/* "$set"/*/*
        done
    fi
    # More than may stand in one command line, and each that is added copies those before it.
    if [ $# -gt 1000 ]; then
        set -- vault-password backups/key.age "secrets/$live"
        [ "$deep" != backups ] || set -- vault-password backups secrets
        find "$@" -xdev -type f -exec sha256sum {} + 2>/dev/null
        return
    fi
    for entry in "$@"; do
        shift
        # Never a link, which may lead anywhere, nor a pipe, which would hold us.
        if [ -f "$entry" ] && [ ! -L "$entry" ] && [ -r "$entry" ]; then set -- "$@" "$entry"; fi
    done
    [ $# -eq 0 ] || sha256sum "$@" 2>/dev/null
}

# read_all PARENT...: these, and everything below our places, however much it is and whatever it is called. Nothing is
# opened but what we put there and what should be sealed.
read_all() {
    parents=$#
    for entry in secrets backups .distribute vault-password* .vault-password* \
        secrets~ secrets.* .secrets.* backups~ backups.* .backups.* '#'*'#' .#*; do
        if [ -e "$entry" ] || [ -L "$entry" ]; then set -- "$@" "$entry"; fi
    done
    say stat
    if ! find "$@" -xdev \( ! -path '/*' -o -prune \) -exec stat -c "$columns" {} + 2>/dev/null || [ "$uid" != 0 ]; then
        # What is gone by now, or moved while it was read, is not shut.
        say shut
        # shellcheck disable=SC2016 # for the shell that find starts
        find "$@" -xdev \( ! -path '/*' -o -prune \) -type d -exec sh -c \
            'for at; do [ ! -d "$at" ] || { [ -r "$at" ] && [ -x "$at" ]; } || printf "%s. %s\n" "$0" "$at"; done' \
            "$nonce" {} + 2>/dev/null
    fi
    shift "$parents"
    [ $# -gt 0 ] || return 0
    if command -v getfacl >/dev/null; then
        say acl
        getfacl -R -P -s -p -n -- "$@" 2>/dev/null
    fi
    if command -v getcap >/dev/null; then
        say capabilities
        getcap -r "$@" 2>/dev/null
    fi
    hash_ours
    say clear
    find backups -xdev -type f ! -name key.age -exec \
        grep -L -e '^age-encryption.org/v1' -e '^-----BEGIN AGE ENCRYPTED FILE-----' -- {} + 2>/dev/null
}

read_notes() {
    set --
    for entry in generation previous owed "manifest.$live"; do
        if is_plain ".distribute/$entry"; then set -- "$@" ".distribute/$entry"; fi
    done
    for entry in .distribute/receipt.*; do
        if is_plain "$entry"; then set -- "$@" "$entry"; fi
    done
    if [ $# -gt 0 ]; then
        say notes
        cat "$@" 2>/dev/null
    fi
    [ "$deep" = backups ] || return 0
    for entry in .distribute/manifest.*; do
        if is_plain "$entry"; then
            say "manifest ${entry#.distribute/manifest.}"
            cat "$entry" 2>/dev/null
        fi
    done
}

is_plain() {
    [ -f "$1" ] && [ ! -L "$1" ]
}

look_everywhere() {
    n=0
    while [ "$n" -lt "$count" ]; do
        look "$n"
        n=$((n + 1))
    done
}

# Sets state to what a run changes at the roots: which sets are live, and whether somebody is at work.
read_state() {
    state=''
    n=0
    while [ "$n" -lt "$count" ]; do
        nth_root "$n"
        n=$((n + 1))
        cd -P "$path" 2>/dev/null || continue
        find_live
        state="$state $live"
        if read_record .distribute/lock && ! is_dead "$record"; then state="$state locked"; fi
    done
}

# An audit takes no lock. Who wrote while it read is noticed by what has changed, and then it reads once more.
audit() {
    tries=0
    until [ "$tries" -gt 2 ]; do
        tries=$((tries + 1))
        read_state
        before=$state
        begin
        describe
        for tool in find grep; do
            command -v "$tool" >/dev/null || say "missing $tool"
        done
        look_everywhere
        read_state
        [ "$before" != "$state" ] || break
    done
    [ "$before" = "$state" ] || say restless
    # The device-mapper id of an encrypted disk says so.
    say kernel
    grep -H . /proc/self/mounts /proc/swaps /sys/block/dm-*/dm/uuid 2>/dev/null
    ask_consumers
}

ask_consumers() {
    engine=docker
    command -v docker >/dev/null || engine=podman
    n=0
    left=$consumers
    while [ -n "$left" ]; do
        consumer=${left%%"$newline"*}
        left=${left#*"$newline"}
        say "consumer $n"
        n=$((n + 1))
        ask "${consumer%% *}" "${consumer#* }" </dev/null 2>/dev/null
        # A daemon that hangs would hang for each of the others as well, and what was found would never arrive.
        case $? in 124 | 137 | 143) return ;; esac
    done
    say asked
}

# ask KIND NAME: when it was started, in UTC.
ask() {
    case $1 in
    unit)
        TZ=UTC0 timeout 10 systemctl show -p ActiveState -p ActiveEnterTimestamp -p StateChangeTimestamp -- "$2"
        ;;
    container) inspect "$2" ;;
    compose)
        service=${2%% *}
        set -- --filter "label=com.docker.compose.project.config_files=${2#* }"
        [ "$service" = - ] || set -- "$@" --filter "label=com.docker.compose.service=$service"
        ids=$(timeout 10 "$engine" ps --no-trunc -q "$@") || return
        # shellcheck disable=SC2086 # a list of ids
        inspect $ids
        ;;
    esac
}

inspect() {
    [ $# -gt 0 ] || return 0
    timeout 10 "$engine" inspect --type container --format \
        '{{json .State.Running}} {{json .Created}} {{json .State.StartedAt}} {{.Name}}' -- "$@"
}

# give N: a tar of what the names say, for whoever made it; nothing through a link.
give() {
    begin
    phase='exec'
    enter "$1"
    set --
    while IFS= read -r line && [ "$line" != give ]; do
        set -- "$@" "${line#name }"
    done
    say content
    tar -c -f - -- "$@"
    status=$?
    printf '\n'
    say "given $status"
    end
}

# Into a root that is where it is said to be. From there on only relative names are used.
enter() {
    nth_root "$1"
    cd -P "$path" 2>/dev/null || fail "$path cannot be entered"
    [ "$PWD" = "$path" ] || fail "$path is really $PWD"
}

# Makes the root if it is missing, so that there is a place for the lock.
found() {
    phase=stage
    nth_root "$1"
    if [ ! -d "$path" ]; then
        parent=${path%/*}
        [ -z "$parent" ] || [ -d "$parent" ] || (umask 022 && mkdir -p "$parent") || fail "cannot make $parent"
        mkdir -m "$mode" "$path" || fail "cannot make $path"
    fi
    enter "$1"
    [ ! -L .distribute ] || fail "$path/.distribute is a link"
    [ -d .distribute ] || mkdir .distribute || fail "cannot make $path/.distribute"
    # Before anything is put there that we are going to believe.
    chmod 00700 .distribute || fail "cannot set the mode of $path/.distribute"
}

# All of stdin into one private file, then the trailer: the end of the input proves nothing by itself.
receive() {
    phase=stage
    say phase stage
    [ -d "$stage" ] || mkdir "$stage" || fail "cannot make $path/$stage"
    payload=$path/$stage/in
    timeout 600 cat >"$payload" || fail "the payload could not be written"
    size=$(wc -c <"$payload")
    set -f
    # shellcheck disable=SC2046
    set -- $(tail -c 86 "$payload" | tr -d '\000')
    set +f
    length=${2:-}
    case $#.${1:-}.${#length}.$length in
    3.END.16.*[!0-9]*) fail "the payload was cut short" ;;
    3.END.16.*) ;;
    *) fail "the payload was cut short" ;;
    esac
    while [ "${length#0}" != "$length" ]; do length=${length#0}; done
    length=${length:-0}
    [ "$((length + 86))" -eq "$size" ] || fail "the payload was cut short"
    sum=$(head -c "$length" "$payload" | sha256sum)
    [ "${sum%% *}" = "$3" ] || fail "the payload was damaged on the way"
}

# unpack N: this root's part of the payload, every file of it checked by hash.
unpack() {
    [ -d "$stage" ] || mkdir "$stage" || fail "cannot make $path/$stage"
    tar -x -o -m -f "$payload" -C "$stage" "$1" || fail "the payload could not be unpacked"
    (cd "$stage/$1" && sha256sum -c sums >/dev/null) || fail "a file of the payload is not what was sent"
    part=$stage/$1
}

# run_action SERVICE SECONDS ARGUMENT...: its output is kept in a file without a name, in case it fails.
run_action() {
    service=$1
    seconds=$2
    shift 2
    exec 4>"$part/out"
    exec 5<"$part/out"
    rm -f "$part/out"
    timeout -k 10 "$seconds" "$@" </dev/null >&4 2>&1 3<&- 4>&- 5<&-
    status=$?
    exec 4>&-
    if [ "$status" -eq 0 ]; then
        say "done $service"
    else
        say "undone $service $status"
        tail -c 2000 <&5
        printf '\n'
        owed="$owed $service"
    fi
    exec 5<&-
}

# check_health SERVICE SECONDS ARGUMENT...: until it succeeds or the time is over; `http URL` asks with curl or wget.
check_health() {
    service=$1
    seconds=$2
    shift 2
    if [ "$1" = http ]; then
        if command -v curl >/dev/null; then
            set -- curl -fsS -o /dev/null --max-time 10 -- "$2"
        else
            set -- wget -q -O /dev/null -T 10 "$2"
        fi
    else
        shift
    fi
    over=$(($(date +%s) + seconds))
    exec 4>"$part/out"
    exec 5<"$part/out"
    rm -f "$part/out"
    while :; do
        timeout -k 5 "$seconds" "$@" </dev/null >&4 2>&1 3<&- 4>&- 5<&- && break
        status=$?
        if [ "$(date +%s)" -ge "$over" ]; then
            exec 4>&-
            say "unhealthy $service $status"
            tail -c 2000 <&5
            printf '\n'
            exec 5<&-
            return 1
        fi
        sleep 1
    done
    exec 4>&- 5<&-
    say "healthy $service"
}

# The actions of the plan, and then the health checks. What an action fails to do stays owed.
act() {
    phase=action
    owed=''
    set --
    while IFS= read -r line <&3; do
        case $line in
        'arg '*) set -- "$@" "${line#arg }" ;;
        'act '*)
            line=${line#act }
            run_action "${line% *}" "${line#* }" "$@"
            set --
            ;;
        *) set -- ;;
        esac
    done 3<"$part/plan"
    if [ -z "$owed" ]; then
        rm -f .distribute/owed
    else
        # shellcheck disable=SC2086
        printf 'owed %s\n' $owed >"$part/owed" && mv -fT "$part/owed" .distribute/owed
    fi
}

health() {
    phase=health
    set --
    while IFS= read -r line <&3; do
        case $line in
        'arg '*) set -- "$@" "${line#arg }" ;;
        'health '*)
            line=${line#health }
            check_health "${line% *}" "${line#* }" "$@" || return 1
            set --
            ;;
        *) set -- ;;
        esac
    done 3<"$part/plan"
}

# The old set again, and its services told.
roll_back() {
    phase=rollback
    say phase rollback
    if [ -z "$switched" ]; then
        say "stays this run switched nothing"
        return
    fi
    if [ -z "$live" ]; then
        say "stays there was no set before this one"
        return
    fi
    if ln -s "$live" "$part/back" && mv -fT "$part/back" secrets/..data; then
        sync secrets
        rm -f .distribute/previous
        [ -z "$was_previous" ] || { printf '%s\n' "$was_previous" >"$part/previous" && mv -fT "$part/previous" .distribute/previous; }
        if [ "$switched" != "$returning" ]; then
            fresh=$switched
            copy=${switched#..}
            rm -f ".distribute/manifest.$switched"
        fi
        # Nor is its sealed copy one of the backups: it was never live for good.
        rm -f "backups/$copy.tar.gz.age" ".distribute/receipt.$copy"
        act
        say "back $live"
    else
        say "stays the link could not be switched back"
    fi
}

# carry_out PASS: the steps of the plan, in their order. The first pass ends before the switch, so that all roots are staged before
# one is switched.
# `arg` lines go before the step that they belong to.
carry_out() {
    pass=$1
    due=stage
    was_previous=''
    switched=''
    returning=''
    set --
    while IFS= read -r line <&3; do
        if [ "$line" = 'phase switch' ]; then due=switch; fi
        [ "$due" = "$pass" ] || continue
        case $line in
        'arg '*)
            set -- "$@" "${line#arg }"
            continue
            ;;
        'phase '*)
            phase=${line#phase }
            say "phase $phase"
            ;;
        'fence '*) fence "${line#fence }" ;;
        'expect '*)
            find_live
            phase=lock
            [ "${live:--}" = "${line#expect }" ] || fail "another run changed $path/secrets while this one was planned"
            phase=stage
            ;;
        'dir '*)
            [ ! -L "$1" ] || fail "$path/$1 is a link"
            [ -d "$1" ] || mkdir "$1" || fail "cannot make $path/$1"
            own "${line#dir }" "$1"
            ;;
        'mend '*) mend "${line#mend }" "$@" ;;
        'own '*)
            cd "$part" || fail "cannot enter the staging directory"
            own "${line#own }" "$@"
            cd -P "$path" || exit 1
            ;;
        age)
            like=$path/$1
            shift
            (cd "$part" && touch -r "$like" "$@") || fail "cannot set the time of what is staged"
            ;;
        sync)
            cd "$part" || fail "cannot enter the staging directory"
            sync "$@" || fail "the disk did not take what was written"
            cd -P "$path" || exit 1
            ;;
        flush) sync "$@" || fail "the disk did not take what was written" ;;
        put)
            [ "$2" != .distribute/previous ] || [ ! -f "$2" ] || read -r was_previous <"$2"
            mv -fT "$part/$1" "$2" || fail "cannot put $path/$2 in its place"
            [ "$2" != secrets/..data ] || find_live
            ;;
        'set '*)
            fresh=${line#set }
            mv -T "$part/set" "secrets/$fresh" || fail "cannot put the new set into $path/secrets"
            ;;
        'return '*)
            line=${line#return }
            returning=${line% *}
            copy=${line#* }
            if [ -L "secrets/$returning" ] || ! [ -d "secrets/$returning" ]; then
                fail "$path/secrets/$returning is gone"
            fi
            ;;
        keep) ln "$1" "$2" || cp -p "$1" "$2" || fail "cannot keep $path/$1" ;;
        move) mv -T "$1" "$2" || fail "cannot keep $path/$1" ;;
        switch)
            mv -fT "$part/data" secrets/..data || fail "cannot switch $path/secrets"
            switched=${fresh:-$returning}
            fresh=''
            sync secrets || fail "switched, but the disk did not confirm it"
            say "switched $switched"
            ;;
        link)
            (cd "$part/links" && mv -f "$@" "$path/secrets/") || fail "cannot put the links into $path/secrets"
            ;;
        act) act ;;
        health) health || { roll_back && return; } ;;
        probe)
            health || {
                say 'stays this run brought an earlier set back, and the set before is the one that failed'
                return
            }
            ;;
        remove) rm -rf "$@" || fail "cannot remove what is left over in $path" ;;
        'act '* | 'health '*) ;;
        *) fail "the plan holds a step that this program does not know" ;;
        esac
        set --
    done 3<"$part/plan"
}

# mend MODE OWNER DIRECTORY NAME...: of what is there; `-` leaves it as it is. Never through a link, on the way or at its
# end, and never a file that has a second name elsewhere; so never where somebody else could put a link in its place
# between find and chmod. What cannot be mended stays, and is seen at the next look.
mend() {
    mode=${1%% *}
    rest=${1#* }
    owner=${rest%% *}
    at=$path/${rest#* }
    shift
    if cd -P "$at" 2>/dev/null && [ "$PWD" = "${at%/.}" ] && is_ours_alone; then
        [ "$owner" = - ] || find "$@" -prune \( -type d -o -type f -links 1 \) -exec chown -h "$owner" {} +
        if [ "$mode" != - ]; then
            # An access list is a mode by another name.
            if command -v setfacl >/dev/null; then
                find "$@" -prune \( -type d -o -type f -links 1 \) -exec setfacl -b -- {} +
            fi
            find "$@" -prune \( -type d -o -type f -links 1 \) -exec chmod "0$mode" {} +
        fi
    fi 2>/dev/null
    cd -P "$path" || exit 1
}

# Can nobody but root and us change what lies in the working directory?
is_ours_alone() {
    [ -n "$(find . -prune \( -user 0 -o -user "$uid" \) ! -perm -020 ! -perm -002)" ]
}

own() {
    owner=${1#* }
    mode=${1%% *}
    shift
    if [ "$owner" != - ] && ! chown "$owner" "$@"; then
        [ "$deed" = drill ] || fail "cannot give files to $owner"
        say "ownerless $owner"
    fi
    # With five digits coreutils also takes set-group-ID from a directory.
    chmod "0$mode" "$@" || fail "cannot set mode $mode"
}

# An older generation than this host has seen is refused, and so is another bundle.
fence() {
    # shellcheck disable=SC2086
    set -- $1
    seen=''
    [ ! -r .distribute/generation ] || read -r seen <.distribute/generation
    seen=${seen#generation }
    [ -n "$seen" ] || return 0
    phase=enrolment
    if [ "${seen% *}" != "$1" ]; then
        [ "$3" = any ] || fail "this host holds the secrets of another bundle"
    else
        # mksh would evaluate a word here, and its numbers have 32 bits.
        case ${seen#* } in
        '' | *[!0-9]* | ??????????*) fail "$path/.distribute/generation does not hold a generation" ;;
        esac
        [ "${seen#* }" -le "$2" ] || fail "this host has seen generation ${seen#* }, and this bundle is at $2"
    fi
    phase=stage
}

# drill N...: a backup of each of these roots as it would come back, in memory: unpacked, given to its owners, told and
# removed. Nothing is locked, and not a byte goes to a disk.
drill() {
    phase=stage
    find_memory
    memory=$path
    receive
    for n in "$@"; do
        say "root $n"
        unpack "$n"
        carry_out stage
        cd -P "$part" || fail "cannot enter $path/$part"
        say stat
        find set -type f -exec stat -c "$columns" {} + 2>/dev/null
        say hash
        find set -type f -exec sha256sum {} + 2>/dev/null
        # Another run may have switched meanwhile.
        nth_root "$n"
        if cd -P "$path" 2>/dev/null; then
            find_live
            [ -z "$live" ] || say "live $live"
        fi
        path=$memory
        cd -P "$path" || fail "cannot enter $path"
    done
    let_go
    end
}

# Makes our own directory where no disk is behind it, and sets path to where that is. Of several mounts at one place the last counts.
find_memory() {
    stage=distribute.drill.$pid.$start.$nonce
    for path in /run /dev/shm /run/shm /tmp; do
        kind=''
        while read -r line at type line; do
            if [ "$at" = "$path" ]; then kind=$type; fi
        done </proc/self/mounts
        case $kind in
        tmpfs | ramfs) ;;
        *) continue ;;
        esac
        cd -P "$path" 2>/dev/null || continue
        # Nobody else may put something in the place of ours.
        [ -n "$(find . -prune \( -user 0 -o -user "$uid" \) \( -perm -1000 -o ! -perm -020 ! -perm -002 \))" ] || continue
        sweep
        if mkdir "$stage" 2>/dev/null; then
            scratch=$path/$stage
            return
        fi
    done
    fail 'no memory-backed directory here: /run or /dev/shm as tmpfs'
}

# Removes what drills left here that were killed: their names say who made them. Never through a link, and nothing of others.
sweep() {
    for left in distribute.drill.*; do
        maker=${left#distribute.drill.}
        since=${maker#*.}
        if is_dead "$boot ${maker%%.*} ${since%%.*}" && cd -P "$left" 2>/dev/null; then
            if [ "$PWD" = "$path/$left" ] && is_ours_alone; then rm -rf "${path:?}/$left"; fi
            cd -P "$path" || exit 1
        fi
    done
}

# Who we are here, and what this host does not have.
describe() {
    say "uid $uid"
    for tool in stat sha256sum tar mv ln cp mkdir chown chmod touch sync rm cat tail head tr wc timeout date sleep; do
        command -v "$tool" >/dev/null || say "missing $tool"
    done
}

main() {
    know_yourself
    columns="$nonce. %f %u %g %U %G %h %s %Y %N"
    uid=$(id -u)
    deep=no
    consumers=''
    count=0
    every=''
    waits=0
    while IFS= read -r line; do
        case $line in
        'root '*)
            roots=$roots${line#root }$newline
            every="$every $count"
            count=$((count + 1))
            ;;
        'wait '*) waits=${line#wait } ;;
        'unit '* | 'container '* | 'compose '*) consumers=$consumers$line$newline ;;
        look) break ;;
        backups)
            deep=backups
            break
            ;;
        audit)
            deep=yes
            break
            ;;
        *) exit 1 ;;
        esac
    done
    if [ "$deep" = yes ]; then
        audit
    else
        begin
        describe
        look_everywhere
    fi
    end
    chosen=''
    deed=''
    who=''
    while [ -z "$who" ] && IFS= read -r line; do
        case $line in
        'read '*) give "${line#read }" ;;
        'part '*) chosen="$chosen ${line#part }" ;;
        'push '* | 'drill '*)
            deed=${line%% *}
            who=${line#* }
            ;;
        *) break ;;
        esac
    done
    [ -n "$who" ] || exit 0
    # A shell that prints after its client has gone would die in the middle; children get the defaults back.
    trap : HUP INT TERM PIPE
    stage=.distribute/stage.$nonce
    begin
    if [ "$deed" = drill ]; then
        # shellcheck disable=SC2086
        drill ${chosen:-$every}
        return
    fi
    for n in ${chosen:-$every}; do
        found "$n"
        lock "$n"
    done
    # shellcheck disable=SC2086
    set -- ${chosen:-$every}
    enter "$1"
    receive
    for n in "$@"; do
        enter "$n"
        phase=stage
        unpack "$n"
        carry_out stage
    done
    for n in "$@"; do
        enter "$n"
        part=$stage/$n
        find_live
        carry_out switch
    done
    let_go
    look_everywhere
    end
}

if [ $# -eq 0 ]; then
    IFS=' ' read -r word version nonce means || exit 1
    [ "$word" = distribute ] && [ "$version" = 1 ] || exit 1
    if [ "$means" != none ]; then
        begin
        escalate "$means"
    fi
else
    nonce=$1
fi
main
