#!/usr/bin/env bash
# Runs the tests that are marked `ceph` against a Ceph object gateway of its own: one monitor, one OSD in memory, one
# radosgw, on loopback and free ports, in a temporary directory. As root it installs what is missing from the
# distribution; otherwise it says what to install. Everything that it starts ends with it, by pid.
set -euo pipefail
cd "$(dirname "$0")/../.."
python="${1:-.venv/bin/python}"

if ! command -v radosgw >/dev/null || ! command -v ceph-mon >/dev/null || ! command -v ceph-osd >/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "Ceph is missing. Install it first; on Debian: apt-get install radosgw ceph-mon ceph-osd" >&2
        exit 2
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends radosgw ceph-mon ceph-osd >/dev/null
fi

place="$(mktemp -d -t wr-ceph-XXXXXX)"
pids=()
end() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$place"
}
trap end EXIT

read -r mon1 mon2 gateway < <("$python" - <<'PORTS'
import socket
lines = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(line.getsockname()[1] for line in lines))
PORTS
)
fsid="$(cat /proc/sys/kernel/random/uuid)"
osd="$(cat /proc/sys/kernel/random/uuid)"
cat >"$place/ceph.conf" <<CONF
[global]
fsid = $fsid
mon_host = [v2:127.0.0.1:$mon1,v1:127.0.0.1:$mon2]
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
keyring = $place/keyring
run_dir = $place
admin_socket = $place/\$name.\$pid.asok
log_file = $place/\$name.log
mon_data = $place/mon
osd_data = $place/osd
rgw_data = $place/rgw
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0
rgw_frontends = beast endpoint=127.0.0.1:$gateway
CONF
mkdir "$place/mon" "$place/osd" "$place/rgw"
export CEPH_CONF="$place/ceph.conf"

# The gateway wants a key, also where nobody asks for one.
key() { ceph-authtool "$place/keyring" --gen-key "$@" >/dev/null; }
ceph-authtool --create-keyring "$place/keyring" >/dev/null
key -n mon. --cap mon 'allow *'
key -n client.admin --cap mon 'allow *' --cap osd 'allow *'
key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon1,v1:127.0.0.1:$mon2]" "$place/monmap" >/dev/null
ceph-mon --mkfs -i a --monmap "$place/monmap" --keyring "$place/keyring"
ceph-mon -f -i a >"$place/mon.out" 2>&1 & pids+=($!)
timeout 60 ceph osd new "$osd" >/dev/null
ceph-osd -i 0 --mkfs --osd-uuid "$osd" >/dev/null 2>&1
ceph-osd -f -i 0 >"$place/osd.out" 2>&1 & pids+=($!)
radosgw -f -n client.admin >"$place/rgw.out" 2>&1 & pids+=($!)
for _ in $(seq 60); do
    (exec 3<>"/dev/tcp/127.0.0.1/$gateway") 2>/dev/null && break
    sleep 1
done
timeout 60 radosgw-admin user create --uid=test --display-name=test --access-key=test --secret-key=test-secret >/dev/null

WARROOM_CEPH="http://127.0.0.1:$gateway" "$python" -m pytest -q -m ceph tests/remotes
