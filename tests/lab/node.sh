# shellcheck shell=bash
# One real node: containerd, kubelet, scheduler and kube-proxy, with a control plane of its own beside the lab's. Pods,
# Services, tokens, logs, exec and rolling updates work; there is no cluster DNS and no network policy.
#
# Pods have addresses on a bridge. They cannot reach the machine's 127.0.0.1, so relays offer the API server at the node's
# address and the lab's OpenStack at one outside of the cluster's networks, where clouds are denied. Everything else stays
# on 127.0.0.1. Needs root; one node a machine.

NODE_DIR=$KILN_HOME/node
NODE_NAME=kiln-node
NODE_BRIDGE=${NODE_BRIDGE:-kiln0}
NODE_NETWORK=${NODE_NETWORK:-10.244.0}     # the pods' network, a /24; its first address is the node's
NODE_ADDRESS=$NODE_NETWORK.1
NODE_CLOUD_ADDRESS=${NODE_CLOUD_ADDRESS:-10.245.0.1}
NODE_PORT_OFFSET=1500                      # of its control plane, on top of the lab's
NODE_SYSCTLS=(net.ipv4.ip_forward vm.overcommit_memory kernel.panic kernel.panic_on_oops)
NODE_COMPONENTS=(relay-kubernetes kube-scheduler containerd kubelet kube-proxy)

# node_settings: from here on, the functions of kube.sh and lib.sh work on the node's control plane.
node_settings() {
  local log
  NODE_CLOUD_OFFSET=$LAB_PORT_OFFSET
  LAB_PORT_OFFSET=$((LAB_PORT_OFFSET + NODE_PORT_OFFSET))
  RUN_DIR=$NODE_DIR/run LOG_DIR=$NODE_DIR/log KUBE_DATA=$NODE_DIR/data KUBE_CONFIG=$NODE_DIR/kubeconfig
  NODE_DATA=$NODE_DIR/data/node
  NODE_SOCKET=$NODE_DIR/run/containerd.sock
  mkdir -p "$RUN_DIR" "$LOG_DIR" "$KUBE_DATA"
  KUBE_APISERVER_ARGUMENTS=(--advertise-address "$NODE_ADDRESS" --kubelet-preferred-address-types InternalIP)
}

# node_up: builds and installs what is missing, and starts what does not run.
node_up() {
  need_packages containerd containernetworking-plugins gcc iproute2 libc6-dev nftables openssl procps runc socat
  need_kube_binaries "${KUBE_COMPONENTS[@]}" kubectl helm kubelet kube-scheduler kube-proxy
  write_kube_secrets
  timed "node: starting" start_node
  say "node: up; export KUBECONFIG=$KUBE_CONFIG"
}

# node_env: the exports, on one line.
node_env() {
  # shellcheck disable=SC2016  # the caller's PATH, not ours
  printf 'export KUBECONFIG=%q NODE_CLOUD_ADDRESS=%q PATH=%q:"$PATH"\n' "$KUBE_CONFIG" "$NODE_CLOUD_ADDRESS" "$KUBE_BIN"
}

# node_load ARCHIVE...: imports images from Docker archives.
node_load() {
  local archive
  for archive in "$@"; do node_ctr images import "$archive" >/dev/null; done
}

# node_tag NAME OTHER: gives an image another name.
node_tag() { node_ctr images tag --force "$1" "$2" >/dev/null; }

node_ctr() { as_root ctr -a "$NODE_SOCKET" -n k8s.io "$@"; }

node_kubectl() { "$(kube_binary kubectl)" --kubeconfig "$KUBE_CONFIG" "$@"; }

# ---------------------------------------------------------------------------------------------------------------
# Start
# ---------------------------------------------------------------------------------------------------------------

start_node() {
  node_network
  start_kube
  node_configure
  start_relays
  launch kube-scheduler "$(kube_binary kube-scheduler)" --kubeconfig "$KUBE_CONFIG" --bind-address "$HOST" \
    --secure-port "$(port kube-scheduler)" --cert-dir "$KUBE_DATA/pki" --leader-elect=false
  launch containerd containerd -c "$NODE_DATA/containerd.toml"
  wait_until containerd 60 node_ctr version >/dev/null 2>&1
  node_pause_image
  launch kubelet "$(kube_binary kubelet)" --kubeconfig "$KUBE_CONFIG" --config "$NODE_DATA/kubelet.yaml" \
    --root-dir "$NODE_DATA/kubelet" --cert-dir "$NODE_DATA/pki" --hostname-override "$NODE_NAME" --node-ip "$NODE_ADDRESS"
  # kube-proxy trusts chains that it finds, even flushed ones.
  is_running kube-proxy || nft delete table ip kube-proxy 2>/dev/null || true
  launch kube-proxy "$(kube_binary kube-proxy)" --config "$NODE_DATA/proxy.yaml"
  wait_until kubelet 120 node_ready
}

node_ready() {
  node_kubectl wait --for=condition=Ready "node/$NODE_NAME" --timeout=5s >/dev/null 2>&1
}

# node_network: the bridge, and the sysctls that kubelet sets, so that `node down` can set them back.
node_network() {
  [ -s "$NODE_DIR/sysctls" ] || sysctl "${NODE_SYSCTLS[@]}" >"$NODE_DIR/sysctls"
  if ! ip link show "$NODE_BRIDGE" >/dev/null 2>&1; then
    as_root ip link add "$NODE_BRIDGE" type bridge
    as_root ip addr add "$NODE_ADDRESS/24" dev "$NODE_BRIDGE"
    as_root ip addr add "$NODE_CLOUD_ADDRESS/32" dev "$NODE_BRIDGE"
    as_root ip link set "$NODE_BRIDGE" up
  fi
  as_root sysctl -qw net.ipv4.ip_forward=1
}

# start_relays: the API server, at the port of the Service `kubernetes`, and each service of OpenStack that answers.
start_relays() {
  local name number
  number=$(port kube-apiserver)
  launch relay-kubernetes socat "TCP-LISTEN:$number,bind=$NODE_ADDRESS,fork,reuseaddr" "TCP:$HOST:$number"
  for name in keystone glance placement neutron nova cinder octavia barbican designate manila heat; do
    number=${BASE_PORTS[$name]}
    number=$((number + NODE_CLOUD_OFFSET))
    if port_answers "$number"; then
      launch "relay-$name" socat "TCP-LISTEN:$number,bind=$NODE_CLOUD_ADDRESS,fork,reuseaddr" "TCP:$HOST:$number"
    fi
  done
}

# put FILE: writes standard input to it, unless it holds just that: kube-proxy ends when its file is written.
put() {
  cat >"$1.new"
  cmp -s "$1.new" "$1" || cp "$1.new" "$1"
  rm "$1.new"
}

# node_configure: the files of containerd, CNI, kubelet and kube-proxy.
node_configure() {
  local plugins
  plugins=$(dirname "$(dpkg -L containernetworking-plugins | grep '/host-local$')")
  mkdir -p "$NODE_DATA/cni" "$NODE_DATA/pki"
  put "$NODE_DATA/containerd.toml" <<END
version = 2
root = "$NODE_DATA/containerd"
state = "$NODE_DIR/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "$NODE_SOCKET"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "$plugins"
conf_dir = "$NODE_DATA/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "$NODE_DIR/run/runc"
END
  put "$NODE_DATA/cni/kiln.conflist" <<END
{"cniVersion": "0.4.0", "name": "kiln", "plugins": [{"type": "bridge", "bridge": "$NODE_BRIDGE", "isGateway": true,
  "hairpinMode": true, "ipam": {"type": "host-local", "dataDir": "$NODE_DIR/run/ipam",
  "ranges": [[{"subnet": "$NODE_NETWORK.0/24", "rangeStart": "$NODE_NETWORK.10"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
  put "$NODE_DATA/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
containerRuntimeEndpoint: "unix://$NODE_SOCKET"
address: $NODE_ADDRESS
healthzPort: 0
# Only the machine and its pods reach the bridge.
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
podLogsDir: $NODE_DIR/log/pods
volumePluginDir: $NODE_DATA/volume-plugins
resolvConf: ""
makeIPTablesUtilChains: false
oomScoreAdj: 0
failSwapOn: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
END
  put "$NODE_DATA/proxy.yaml" <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: $KUBE_CONFIG}
hostnameOverride: $NODE_NAME
bindAddress: $NODE_ADDRESS
clusterCIDR: $NODE_NETWORK.0/24
nodePortAddresses: [$NODE_NETWORK.0/24]
healthzBindAddress: $NODE_ADDRESS:10256
metricsBindAddress: $NODE_ADDRESS:10249
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
END
}

# node_pause_image: the program that holds a pod's namespaces, as an image of one file.
node_pause_image() {
  local folder=$NODE_DATA/pause layer
  ! node_ctr images ls -q | grep -q '^localhost/pause:1$' || return 0
  mkdir -p "$folder/root"
  printf 'int pause(void);int main(){for(;;)pause();}' | gcc -static -Os -x c -o "$folder/root/pause" -
  tar -C "$folder/root" --numeric-owner -cf "$folder/layer.tar" .
  layer=$(sha256sum <"$folder/layer.tar" | cut -d' ' -f1)
  cat >"$folder/config.json" <<END
{"architecture": "$(dpkg --print-architecture)", "os": "linux", "config": {"Entrypoint": ["/pause"]},
  "rootfs": {"type": "layers", "diff_ids": ["sha256:$layer"]}}
END
  echo '[{"Config": "config.json", "RepoTags": ["localhost/pause:1"], "Layers": ["layer.tar"]}]' >"$folder/manifest.json"
  tar -C "$folder" -cf "$folder/image.tar" config.json manifest.json layer.tar
  node_load "$folder/image.tar"
}

# ---------------------------------------------------------------------------------------------------------------
# Stop
# ---------------------------------------------------------------------------------------------------------------

# node_down: ends pods, node and control plane, and what works on its cluster, and sets the machine back.
node_down() {
  local pid path name
  gitops_down
  # Without the scheduler, what the controllers create again stays pending while the kubelet ends the pods.
  stop kube-scheduler
  if is_running kubelet && is_running kube-apiserver; then
    timeout 90 "$(kube_binary kubectl)" --kubeconfig "$KUBE_CONFIG" delete pods -A --all --grace-period=2 >/dev/null || true
  fi
  stop kubelet kube-proxy
  if is_running containerd; then
    for name in $(node_ctr tasks ls -q 2>/dev/null); do node_ctr tasks rm -f "$name" >/dev/null 2>&1 || true; done
  fi
  stop containerd
  for pid in $(pgrep -f -- "containerd-shim.* -address $NODE_SOCKET" || true); do kill -KILL "$pid" || true; done
  for path in "$RUN_DIR"/relay-*.pid; do
    if [ -e "$path" ]; then stop "$(basename "$path" .pid)"; fi
  done
  awk -v prefix="$NODE_DIR/" 'index($2, prefix) == 1 {print $2}' /proc/mounts | sort -r | while read -r path; do
    as_root umount -l "$path"
  done
  for name in ip ip6; do as_root nft delete table $name kube-proxy 2>/dev/null || true; done
  as_root ip link del "$NODE_BRIDGE" 2>/dev/null || true
  awk '$3 ~ /^cgroup/ {print $2 "/kubepods"}' /proc/mounts | while read -r path; do
    [ ! -d "$path" ] || find "$path" -depth -type d -exec rmdir {} + || true
  done
  if [ -s "$NODE_DIR/sysctls" ]; then
    as_root sysctl -qp "$NODE_DIR/sysctls"
    rm "$NODE_DIR/sysctls"
  fi
  kube_down
}

# node_wipe: also deletes the cluster's data, images and logs; programs stay.
node_wipe() {
  node_down
  as_root rm -rf "$NODE_DIR"
}
