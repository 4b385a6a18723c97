#!/bin/bash
# Two independent, real OpenStack control planes, site-a and site-b, on 127.0.0.1, and a protector on each.
#
#   lab.sh up|down|status DIR          the clouds, their database server, broker, caches and simulated arrays
#   lab.sh protector up|down DIR       protector-api and protector-engine on both sites
#   lab.sh site up|down DIR a|b        everything of one site: its cloud, its array, its protector
#   lab.sh engine kill|start DIR a|b   one site's protector-engine: ended by SIGKILL, started again
#   lab.sh broker kill|start DIR       RabbitMQ: the same
#
# Everything but the Debian packages lives under DIR. A process is ended only by the pid and start time that
# this script wrote down when it started it. `up` may be repeated: it starts what is not running.
set -u
HERE=$(cd "$(dirname "$0")" && pwd)
REPO=$(dirname "$HERE")
BIN=${LAB_BIN:-$REPO/target/release}
usage() { sed -n '2,8s/^# \{0,3\}//p' "$0"; exit 2; }
CMD=${1:-}
case $CMD in protector | site | engine | broker) CMD=$CMD-${2:-}; shift ;; esac
[ $# -ge 2 ] || usage
mkdir -p "$2"; DIR=$(cd "$2" && pwd)
VENV=$DIR/venv RUN=$DIR/run LOG=$DIR/log
DB_PORT=13306 RABBIT_PORT=15671 EPMD_PORT=14369 RABBIT_DIST=15670 ARRAY_CONTROL_PORT=17070
SITES="a b"
mkdir -p "$RUN" "$LOG"

port() {                       # port SITE SERVICE
    local base=10000; [ "$1" = b ] && base=20000
    case $2 in
        keystone) echo $((base + 5000)) ;; glance) echo $((base + 9292)) ;; placement) echo $((base + 8778)) ;;
        nova) echo $((base + 8774)) ;; neutron) echo $((base + 9696)) ;; cinder) echo $((base + 8776)) ;;
        barbican) echo $((base + 9311)) ;; memcached) echo $((base + 1211)) ;; array) echo $((base + 8443)) ;; protector) echo $((base + 8788)) ;;
    esac
}
array_token() { echo "$1$1$1$1$1$1$1$1-0000-4000-8000-00000000000$1"; }
say() { printf '%(%H:%M:%S)T %s\n' -1 "$*"; }
die() { say "FAILED: $*"; exit 1; }

# --- processes -------------------------------------------------------------------------------------------------
start_time() { local s; s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1; s=${s##*) }; set -- $s; echo "${20}"; }
alive() { local p t; read -r p t 2>/dev/null <"$RUN/$1.pid" || return 1; [ "$(start_time "$p")" = "$t" ]; }
start() {                      # start NAME COMMAND...
    local name=$1; shift
    alive "$name" && return 0
    setsid "$@" >>"$LOG/$name.log" 2>&1 </dev/null &
    local pid=$!
    echo "$pid $(start_time $pid)" >"$RUN/$name.pid"
    echo "$name" >>"$RUN/order"
}
session_lives() { ps -o stat= -s "$1" 2>/dev/null | grep -qv '^Z'; }
stop() {
    local name=$1 pid t i
    if alive "$name"; then
        read -r pid t <"$RUN/$name.pid"
        kill -TERM -- "-$pid" 2>/dev/null
        for i in $(seq 80); do session_lives "$pid" || break; sleep 0.1; done
        session_lives "$pid" && kill -KILL -- "-$pid"
    fi
    rm -f "$RUN/$name.pid"
}
kill_hard() {                  # without a word of warning, and its children with it
    local pid t i
    alive "$1" || die "$1 does not run"
    read -r pid t <"$RUN/$1.pid"
    kill -KILL -- "-$pid" || die "$1 can't be killed"
    for i in $(seq 100); do session_lives "$pid" || break; sleep 0.05; done
    rm -f "$RUN/$1.pid"
}
started() { [ -e "$RUN/order" ] && awk '!seen[$0]++' "$RUN/order"; }
wait_port() {                  # wait_port NAME PORT SECONDS
    local i
    for i in $(seq $(($3 * 5))); do
        (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null && return 0
        alive "$1" || die "$1 ended, see $LOG/$1.log"
        sleep 0.2
    done
    die "$1 does not answer on port $2, see $LOG/$1.log"
}

# --- what must be there ----------------------------------------------------------------------------------------
# Debian's Python comes in parts: uwsgi is compiled against its headers, uv is installed into a virtual environment.
python_is_whole() {
    [ -e "$VENV/.lab-ok" ] || python3 -c 'import ensurepip, os, sys, sysconfig
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' 2>/dev/null
}
install() {
    if ! [ -x /usr/sbin/mariadbd ] || ! [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || ! [ -x /usr/bin/memcached ] ||
        ! command -v gcc >/dev/null || ! command -v openssl >/dev/null || ! [ -x /sbin/iscsiadm ] || ! python_is_whole; then
        # open-iscsi as on every hypervisor: without its manual scans os-brick wants a lock by the volume's
        # service_uuid, which Cinder leaves empty on a managed volume until cinder-volume restarts.
        say "Debian packages: mariadb-server rabbitmq-server memcached open-iscsi"
        # The packages' own services must not start: the lab starts its own, with its own data.
        local guard=/usr/sbin/policy-rc.d made=
        [ -e $guard ] || { printf '#!/bin/sh\nexit 101\n' >$guard; chmod 755 $guard; made=yes; }
        { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
            mariadb-server rabbitmq-server memcached open-iscsi openssl gcc libc6-dev procps python3 python3-venv python3-dev; } >"$LOG/apt.log" 2>&1
        local rc=$?
        [ -n "$made" ] && rm -f $guard
        [ $rc = 0 ] || die "apt, see $LOG/apt.log"
    fi
    local uv
    uv=$(command -v uv) || { [ -x "$DIR/uv/bin/uv" ] || { python3 -m venv "$DIR/uv" && "$DIR/uv/bin/pip" install -q uv; }; uv=$DIR/uv/bin/uv; }
    if ! cmp -s "$HERE/requirements-lock.txt" "$VENV/.lab-ok"; then
        say "Python packages: OpenStack 2025.1"
        { [ -e "$VENV/bin/python" ] || "$uv" venv -q --python 3.11 "$VENV"
          "$uv" pip install --python "$VENV/bin/python" -r "$HERE/requirements-lock.txt"; } >"$LOG/pip.log" 2>&1 || die "pip, see $LOG/pip.log"
        cp "$HERE/requirements-lock.txt" "$VENV/.lab-ok"
    fi
    # The client of this tree, in place.
    [ -e "$VENV/bin/openstack" ] && ! ls "$VENV"/lib/python3*/site-packages/*protectorclient*.dist-info >/dev/null 2>&1 && {
        "$uv" pip install --python "$VENV/bin/python" -e "$REPO/clients/python-protectorclient" >>"$LOG/pip.log" 2>&1 || die "pip, see $LOG/pip.log"
    }
    return 0
}

render() {
    local l r
    for l in $SITES; do
        r=b; [ $l = b ] && r=a
        python3 "$HERE/render.py" "$HERE/templates" "$DIR/site-$l/etc" L=$l R=$r SITE=site-$l SITE_US=site_$l SITE_DIR="$DIR/site-$l" \
            REGION=site-$l VENV="$VENV" DB_PORT=$DB_PORT RABBIT_PORT=$RABBIT_PORT MEMCACHED_PORT=$(port $l memcached) DEBUG="${LAB_DEBUG:-false}" \
            KEYSTONE_PORT=$(port $l keystone) GLANCE_PORT=$(port $l glance) PLACEMENT_PORT=$(port $l placement) NOVA_PORT=$(port $l nova) \
            BARBICAN_PORT=$(port $l barbican) NEUTRON_PORT=$(port $l neutron) CINDER_PORT=$(port $l cinder) CINDER_DRIVER="${LAB_CINDER_DRIVER:-lab_cinder.LabPureISCSIDriver}" \
            FA_PORT=$(port $l array) FA_PEER_PORT=$(port $r array) FA_TOKEN=$(array_token $l) FA_PEER_TOKEN=$(array_token $r) || die render
        mkdir -p "$DIR/site-$l"/{lock,nova,cinder/coord,neutron,keystone,glance/{images,staging,tasks}}
        cat >"$DIR/openrc-$l" <<R
export OS_AUTH_URL=http://127.0.0.1:$(port $l keystone)/v3 OS_IDENTITY_API_VERSION=3 OS_REGION_NAME=site-$l
export OS_USERNAME=admin OS_PASSWORD=lab OS_PROJECT_NAME=admin OS_USER_DOMAIN_NAME=Default OS_PROJECT_DOMAIN_NAME=Default
R
    done
}

# --- shared infrastructure -------------------------------------------------------------------------------------
sql() { mariadb --no-defaults -u root -S "$DIR/mysql.sock" "$@"; }
database_server() {
    # A server that starts removes temporary tables of others from a folder that it shares with them.
    local -x TMPDIR=$DIR/mysql-tmp
    mkdir -p "$TMPDIR"
    [ -d "$DIR/mysql/mysql" ] || { say "MariaDB: a new data folder"
        mariadb-install-db --no-defaults --user=root --datadir="$DIR/mysql" --auth-root-authentication-method=normal \
            --skip-test-db >"$LOG/mariadb-install.log" 2>&1 || die "mariadb-install-db, see $LOG/mariadb-install.log"; }
    # A lab may lose its data when the machine dies; without this the migrations take minutes longer.
    start mariadb /usr/sbin/mariadbd --no-defaults --user=root --datadir="$DIR/mysql" --socket="$DIR/mysql.sock" \
        --pid-file="$DIR/mysql.pid" --bind-address=127.0.0.1 --port=$DB_PORT --max-connections=1000 --skip-name-resolve \
        --character-set-server=utf8mb4 --innodb-flush-log-at-trx-commit=0 --innodb-flush-method=nosync --skip-innodb-doublewrite \
        --innodb-buffer-pool-size=256M --performance-schema=off --skip-log-bin
}
broker() {
    local home=$DIR/rabbitmq
    if ! [ -e "$home/definitions.json" ]; then
        mkdir -p "$home"
        python3 "$HERE/rabbit_definitions.py" site-a site-b >"$home/definitions.json" || die "rabbit_definitions.py"
        printf 'listeners.tcp.1 = 127.0.0.1:%s\nload_definitions = %s\nvm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 50MB\nlog.console = true\nlog.file = false\n' \
            $RABBIT_PORT "$home/definitions.json" >"$home/rabbitmq.conf"
        printf '[].' >"$home/enabled_plugins"
    fi
    # Started by hand, or the broker would leave an epmd of its own behind, on all addresses.
    start epmd env ERL_EPMD_ADDRESS=127.0.0.1 epmd -port $EPMD_PORT
    wait_port epmd $EPMD_PORT 10
    start rabbitmq env HOME="$home" ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$EPMD_PORT RABBITMQ_NODENAME=lab@localhost \
        RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT=$RABBIT_PORT RABBITMQ_DIST_PORT=$RABBIT_DIST \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none" \
        RABBITMQ_MNESIA_BASE="$home/mnesia" RABBITMQ_LOG_BASE="$home/log" RABBITMQ_CONFIG_FILE="$home/rabbitmq.conf" \
        RABBITMQ_ENABLED_PLUGINS_FILE="$home/enabled_plugins" RABBITMQ_CONF_ENV_FILE=/dev/null /usr/lib/rabbitmq/bin/rabbitmq-server
}
arrays() {
    local command=("$BIN/protector-dev" arrays)
    [ -n "${LAB_ARRAYS:-}" ] && command=("$LAB_ARRAYS")
    [ -x "${command[0]}" ] || die "${command[0]} is not built: cargo build --release --bins"
    mkdir -p "$DIR/arrays"
    start arrays "${command[@]}" --array "fa-a=127.0.0.1:$(port a array)" --array "fa-b=127.0.0.1:$(port b array)" \
        --token "fa-a=$(array_token a)" --token "fa-b=$(array_token b)" --state-dir "$DIR/arrays" --tls-dir "$DIR/arrays/tls" \
        --control "127.0.0.1:$ARRAY_CONTROL_PORT"
    wait_port arrays $ARRAY_CONTROL_PORT 20
}
# What was done once is marked by a file; a number in its name tells that there is more to do since.
databases() {                  # made and migrated, three at a time
    [ -e "$DIR/.databases-2-ok" ] && return 0
    say "databases: create and migrate"
    local l d
    for l in $SITES; do for d in keystone glance placement nova_api nova_cell0 nova neutron cinder barbican; do
        echo "CREATE DATABASE IF NOT EXISTS site_${l}_$d CHARACTER SET utf8mb4;"; done; done | sql || die "create databases"
    echo "CREATE USER IF NOT EXISTS lab@'127.0.0.1' IDENTIFIED BY 'lab'; GRANT ALL ON *.* TO lab@'127.0.0.1';" | sql || die "grant"
    local E B=$VENV/bin
    for l in $SITES; do
        E=$DIR/site-$l/etc
        [ -e "$DIR/site-$l/keystone/fernet-keys/0" ] || {
            "$B/keystone-manage" --config-file "$E/keystone.conf" fernet_setup --keystone-user root --keystone-group root
            "$B/keystone-manage" --config-file "$E/keystone.conf" credential_setup --keystone-user root --keystone-group root
        } >>"$LOG/db-$l.log" 2>&1
    done
    for l in $SITES; do
        E=$DIR/site-$l/etc
        cat <<J
neutron-$l $B/neutron-db-manage --config-file $E/neutron.conf upgrade heads
nova-$l $B/nova-manage --config-file $E/nova.conf api_db sync && $B/nova-manage --config-file $E/nova.conf cell_v2 map_cell0 --database_connection "mysql+pymysql://lab:lab@127.0.0.1:$DB_PORT/site_${l}_nova_cell0?charset=utf8mb4" && $B/nova-manage --config-file $E/nova.conf db sync && { $B/nova-manage --config-file $E/nova.conf cell_v2 list_cells | grep -q ' cell1 ' || $B/nova-manage --config-file $E/nova.conf cell_v2 create_cell --name cell1; }
cinder-$l $B/cinder-manage --config-file $E/cinder.conf db sync
keystone-$l $B/keystone-manage --config-file $E/keystone.conf db_sync
glance-$l $B/glance-manage --config-file $E/glance-api.conf db_sync
placement-$l $B/placement-manage --config-file $E/placement.conf db sync
barbican-$l HOME=$E $B/barbican-db-manage upgrade
J
    done | LOG=$LOG xargs -d '\n' -P 3 -I{} bash -c 'job="{}"; name=${job%% *}; since=$SECONDS
        eval "${job#* }" >"$LOG/db-$name.log" 2>&1; rc=$?; echo "  database $name: rc=$rc, $((SECONDS - since)) s"; exit $rc' ||
        die "migrations, see $LOG/db-*.log"
    touch "$DIR/.databases-2-ok"
}

# --- the clouds ------------------------------------------------------------------------------------------------
keystones() {
    local l B=$VENV/bin P=http://127.0.0.1
    for l in $SITES; do start keystone-$l "$B/uwsgi" --ini "$DIR/site-$l/etc/uwsgi-keystone.ini" --home "$VENV"; done
    wait_port rabbitmq $RABBIT_PORT 90
    for l in $SITES; do
        wait_port keystone-$l $(port $l keystone) 90
        [ -e "$DIR/site-$l/.keystone-2-ok" ] && continue
        { "$B/keystone-manage" --config-file "$DIR/site-$l/etc/keystone.conf" bootstrap --bootstrap-password lab \
            --bootstrap-region-id site-$l --bootstrap-public-url $P:$(port $l keystone)/v3 --bootstrap-internal-url $P:$(port $l keystone)/v3 \
            --bootstrap-admin-url $P:$(port $l keystone)/v3 &&
            "$B/python" "$HERE/bootstrap.py" $P:$(port $l keystone)/v3 site-$l glance=$P:$(port $l glance) nova=$P:$(port $l nova)/v2.1 \
                placement=$P:$(port $l placement) neutron=$P:$(port $l neutron) barbican=$P:$(port $l barbican) "cinder=$P:$(port $l cinder)/v3" \
                "cinderv3=$P:$(port $l cinder)/v3/%(project_id)s" "protector=$P:$(port $l protector)/v1/%(tenant_id)s"
        } >>"$LOG/bootstrap-$l.log" 2>&1 && touch "$DIR/site-$l/.keystone-2-ok" || die "bootstrap, see $LOG/bootstrap-$l.log"
    done
}
clouds() {
    local l s E B=$VENV/bin
    for l in $SITES; do
        E=$DIR/site-$l/etc
        start placement-$l "$B/uwsgi" --ini "$E/uwsgi-placement.ini" --home "$VENV"
        start barbican-$l "$B/uwsgi" --ini "$E/uwsgi-barbican.ini" --home "$VENV"
        start neutron-$l "$B/neutron-server" --config-file "$E/neutron.conf"
        start nova-conductor-$l "$B/nova-conductor" --config-file "$E/nova.conf"
        start nova-api-$l "$B/nova-api-os-compute" --config-file "$E/nova.conf"
        start cinder-volume-$l "$B/cinder-volume" --config-file "$E/cinder.conf"
        start cinder-scheduler-$l "$B/cinder-scheduler" --config-file "$E/cinder.conf"
        start cinder-api-$l "$B/cinder-api" --config-file "$E/cinder.conf"
        start glance-$l "$B/glance-api" --config-file "$E/glance-api.conf"
        start nova-scheduler-$l "$B/nova-scheduler" --config-file "$E/nova.conf"
        start nova-compute-$l "$B/python" "$HERE/nova_compute.py" --config-file "$E/nova.conf"
    done
    for l in $SITES; do
        for s in placement barbican glance neutron; do wait_port $s-$l $(port $l $s) 180; done
        wait_port nova-api-$l $(port $l nova) 180
        wait_port cinder-api-$l $(port $l cinder) 180
    done
}
up() {
    local since=$SECONDS l
    # Nothing of the caller's own cloud may leak in.
    unset "${!OS_@}"; export no_proxy=127.0.0.1 PYTHONPATH=$HERE/drivers
    install; say "installed ($((SECONDS - since)) s)"
    render; database_server; broker; arrays
    for l in $SITES; do start memcached-$l memcached -u root -l 127.0.0.1 -p $(port $l memcached) -U 0 -m 32 -t 1; done
    wait_port mariadb $DB_PORT 60
    databases; say "databases ready ($((SECONDS - since)) s)"
    keystones; say "Keystone ready on both sites ($((SECONDS - since)) s)"
    clouds; say "all APIs answer ($((SECONDS - since)) s)"
    "$VENV/bin/python" "$HERE/ready.py" "$DIR" $SITES || die "not every service reported up"
    printf '{"lab": "up", "seconds": %d, "processes": %d}\n' $((SECONDS - since)) "$(started | wc -l)"
}

# --- protector on both sites -----------------------------------------------------------------------------------
engine() { start protector-engine-$1 "$BIN/protector-engine" --config-file "$DIR/site-$1/protector/protector.conf"; }
protector_up() {
    local l E r
    for l in $SITES; do
        for b in protector-api protector-engine protector-manage; do [ -x "$BIN/$b" ] || die "$BIN/$b is not built: cargo build --release --bins"; done
        E=$DIR/site-$l/protector; mkdir -p "$E"
        python3 "$HERE/render.py" "$HERE/protector" "$E" SITE=site-$l STATE="$E" PORT=$(port $l protector) \
            SITE_US=site_$l DB_PORT=$DB_PORT KEYSTONE_PORT=$(port $l keystone) RABBIT_PORT=$RABBIT_PORT ARRAY_CERTIFICATES="$(array_certificates)" || die render
        echo "CREATE DATABASE IF NOT EXISTS site_${l}_protector CHARACTER SET utf8mb4;" | sql || die "create site_${l}_protector"
        for job in "db sync" "cinder group-type"; do
            "$BIN/protector-manage" --config-file "$E/protector.conf" $job >>"$LOG/protector-manage-$l.log" 2>&1 || die "$job, see $LOG/protector-manage-$l.log"
        done
        start protector-api-$l "$BIN/protector-api" --config-file "$E/protector.conf"
        engine $l
    done
    for l in $SITES; do wait_port protector-api-$l $(port $l protector) 30; done
    say "protector is up on both sites"
}
# Both arrays sign their own certificates; protector is given both. It may be reading the file of before right now.
array_certificates() {
    local file=$DIR/arrays/ca.pem
    cat "$DIR"/arrays/tls/*.crt >"$file.new" && mv "$file.new" "$file" && echo "$file"
}
protector_down() { local l; for l in $SITES; do stop protector-engine-$l; stop protector-api-$l; done; }

# --- one site, gone and back -----------------------------------------------------------------------------------
power() {                      # power SITE true|false: of its array, which is no process of its own
    python3 -c 'import sys, urllib.request
urllib.request.urlopen(urllib.request.Request(sys.argv[1], method="PATCH", data=sys.argv[2].encode(),
    headers={"content-type": "application/json"}), timeout=20)' \
        "http://127.0.0.1:$ARRAY_CONTROL_PORT/control/arrays/fa-$1" "{\"powered\": $2}" || die "the power of fa-$1"
}
site_down() {
    local n
    # A site that dies says goodbye to nobody: all at once, its array with it.
    power "$1" false
    for n in $(started); do case $n in *-"$1") stop "$n" & ;; esac; done; wait
    say "site-$1 is down"
}
site_up() { power "$1" true; up >/dev/null && protector_up; }

case $CMD in
up) up ;;
site-up) site_up "${3:?which site}" ;;
site-down) site_down "${3:?which site}" ;;
protector-up) protector_up ;;
protector-down) protector_down ;;
engine-kill) kill_hard "protector-engine-${3:?which site}" ;;
engine-start) engine "${3:?which site}" ;;
broker-kill) kill_hard rabbitmq ;;
broker-start) broker; wait_port rabbitmq $RABBIT_PORT 90 ;;
down)
    [ -e "$RUN/order" ] || { echo '{"lab": "down", "stopped": 0}'; exit 0; }
    count=$(started | wc -l)
    # Services first and together, what they lean on afterwards.
    for n in $(started | tac); do case $n in mariadb | rabbitmq | epmd | memcached* | arrays) ;; *) stop "$n" & ;; esac; done; wait
    for n in $(started | tac); do stop "$n"; done
    rm -f "$RUN/order"
    printf '{"lab": "down", "stopped": %d}\n' "$count"
    ;;
status)
    up=0 down=0
    for n in $(started); do
        if alive "$n"; then read -r p _ <"$RUN/$n.pid"; printf '%-20s up   pid %s\n' "$n" "$p"; up=$((up + 1)); else printf '%-20s DOWN\n' "$n"; down=$((down + 1)); fi
    done
    printf '{"lab": "status", "up": %d, "down": %d}\n' $up $down
    [ $down = 0 ] && [ $up -gt 0 ]
    ;;
*) usage ;;
esac
