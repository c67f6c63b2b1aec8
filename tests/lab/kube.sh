# shellcheck shell=bash
# Kubernetes: etcd, kube-apiserver and kube-controller-manager as plain processes. No node: nothing runs pods.

KUBERNETES_VERSION=1.35.1
ETCD_VERSION=3.6.7
HELM_VERSION=3.20.0

KUBE_DIR=$KILN_HOME/kube
KUBE_BIN=$KUBE_DIR/bin          # what we built
KUBE_DATA=$KUBE_DIR/data        # etcd's data, keys and certificates: deleted by wipe
KUBE_CONFIG=$KUBE_DIR/kubeconfig
KUBE_COMPONENTS=(etcd kube-apiserver kube-controller-manager)   # in the order of their start
KUBE_APISERVER_ARGUMENTS=()     # what a node needs besides

# ---------------------------------------------------------------------------------------------------------------
# Binaries
# ---------------------------------------------------------------------------------------------------------------

# kube_binary NAME: the program's path: of KUBEBUILDER_ASSETS if it is there, else our own.
kube_binary() {
  if [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/$1" ]; then
    echo "$KUBEBUILDER_ASSETS/$1"
  else
    echo "$KUBE_BIN/$1"
  fi
}

# binary_version NAME: the version that we build.
binary_version() {
  case $1 in
    etcd) echo "$ETCD_VERSION" ;;
    helm) echo "$HELM_VERSION" ;;
    *) echo "$KUBERNETES_VERSION" ;;
  esac
}

# need_kube_binaries NAME...: builds those of the programs that are missing, or of another version than ours.
need_kube_binaries() {
  local name path missing=()
  for name in "$@"; do
    path=$(kube_binary "$name")
    [ "$path" != "$KUBE_BIN/$name" ] ||
      { [ -x "$path" ] && is_stamped "$path.version" "$(binary_version "$name")"; } || missing+=("$name")
  done
  if ((${#missing[@]})); then
    mkdir -p "$KUBE_BIN"
    need_go
    say "Kubernetes: building ${missing[*]} from Go modules, once (all of them: 7 to 20 minutes)"
    for name in "${missing[@]}"; do timed "building $name $(binary_version "$name")" build_binary "$name"; done
  fi
}

# build_binary NAME: builds one program.
build_binary() {
  local name=$1 log=$LOG_DIR/build-$1.log
  rm -f "$KUBE_BIN/$name.version"
  case $name in
    etcd) build_etcd >"$log" 2>&1 ;;
    helm) build_helm >"$log" 2>&1 ;;
    *) build_kubernetes "$name" >"$log" 2>&1 ;;
  esac || die_with_log "$log" "$name could not be built"
  stamp "$KUBE_BIN/$name.version" "$(binary_version "$name")"
}

# go_build OUTPUT PACKAGE LINKER_FLAGS: static, without debug information, and with two jobs: linking takes 2 GB each.
go_build() {
  CGO_ENABLED=0 GOFLAGS=-mod=mod nice go build -p 2 -trimpath -ldflags "-s -w $3" -o "$1" "$2"
}

# build_kubernetes NAME: k8s.io/kubernetes is a module that nobody is meant to require: its own go.mod replaces its
# parts (k8s.io/api ...) by folders that are published apart, as v0.35.1 for Kubernetes 1.35.1. So a module of ours
# requires it and replaces each part by the published one.
build_kubernetes() {
  local name=$1 part parts_version=0.${KUBERNETES_VERSION#1.} version=k8s.io/component-base/version recipe
  local programs=(kubectl kube-apiserver kube-controller-manager kubelet kube-scheduler kube-proxy)
  local parts=(api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider
    cluster-bootstrap code-generator component-base component-helpers controller-manager cri-api cri-client
    csi-translation-lib dynamic-resource-allocation endpointslice externaljwt kms kube-aggregator
    kube-controller-manager kube-proxy kube-scheduler kubectl kubelet metrics mount-utils pod-security-admission
    sample-apiserver sample-cli-plugin sample-controller)
  mkdir -p "$KUBE_DIR/build-kube" && cd "$KUBE_DIR/build-kube" || return
  recipe="$KUBERNETES_VERSION ${programs[*]}"
  if ! is_stamped version "$recipe"; then
    {
      echo "module kiln/lab/kube"
      echo "go $GO_WANTED"
      echo "godebug default=go${GO_WANTED%.*}"
      echo "require k8s.io/kubernetes v$KUBERNETES_VERSION"
      for part in "${programs[@]}"; do echo "tool k8s.io/kubernetes/cmd/$part"; done
      for part in "${parts[@]}"; do echo "replace k8s.io/$part => k8s.io/$part v$parts_version"; done
    } >go.mod
    GOFLAGS=-mod=mod go mod tidy -e || return   # -e: tests of foreign modules need what is not published
    stamp version "$recipe"
  fi
  go_build "$KUBE_BIN/$name" "k8s.io/kubernetes/cmd/$name" \
    "-X $version.gitVersion=v$KUBERNETES_VERSION -X $version.gitMajor=1 -X $version.gitMinor=${KUBERNETES_VERSION#1.}"
}

# build_etcd: its main package lies in the module of the server.
build_etcd() {
  local module=go.etcd.io/etcd/server/v3
  mkdir -p "$KUBE_DIR/build-etcd" && cd "$KUBE_DIR/build-etcd" || return
  printf 'module kiln/lab/etcd\ngo %s\nrequire %s v%s\ntool %s\n' "$GO_WANTED" $module "$ETCD_VERSION" $module >go.mod
  GOFLAGS=-mod=mod go mod tidy -e && go_build "$KUBE_BIN/etcd" $module ""
}

# build_helm: an ordinary program.
build_helm() {
  cd / && CGO_ENABLED=0 GOFLAGS='' GOBIN=$KUBE_BIN nice go install -p 2 -trimpath -ldflags "-s -w" \
    "helm.sh/helm/v3/cmd/helm@v$HELM_VERSION"
}

# ---------------------------------------------------------------------------------------------------------------
# Processes
# ---------------------------------------------------------------------------------------------------------------

# start_etcd: without fsync, since the data are worth nothing and the disk may be slow.
start_etcd() {
  local url peer_url
  url=http://$HOST:$(port etcd) peer_url=http://$HOST:$(port etcd-peer)
  need_free_port etcd
  launch etcd "$(kube_binary etcd)" --data-dir "$KUBE_DATA/etcd" --unsafe-no-fsync \
    --listen-client-urls "$url" --advertise-client-urls "$url" \
    --listen-peer-urls "$peer_url" --initial-advertise-peer-urls "$peer_url" --initial-cluster "default=$peer_url"
}

# start_kube_apiserver: with RBAC; the cluster's admin has a static token, ServiceAccounts theirs by the token API.
start_kube_apiserver() {
  need_free_port kube-apiserver
  launch kube-apiserver "$(kube_binary kube-apiserver)" --etcd-servers "http://$HOST:$(port etcd)" \
    --bind-address "$HOST" --secure-port "$(port kube-apiserver)" --cert-dir "$KUBE_DATA/pki" \
    --authorization-mode RBAC --token-auth-file "$KUBE_DATA/tokens.csv" --allow-privileged=true \
    --service-cluster-ip-range 10.96.0.0/16 --service-account-issuer https://kubernetes.default.svc \
    --service-account-key-file "$KUBE_DATA/pki/service-account.key" \
    --service-account-signing-key-file "$KUBE_DATA/pki/service-account.key" "${KUBE_APISERVER_ARGUMENTS[@]}"
}

# start_kube_controller_manager: garbage collection, namespace deletion, the default ServiceAccounts.
start_kube_controller_manager() {
  need_free_port kube-controller-manager
  launch kube-controller-manager "$(kube_binary kube-controller-manager)" --kubeconfig "$KUBE_CONFIG" \
    --bind-address "$HOST" --secure-port "$(port kube-controller-manager)" --cert-dir "$KUBE_DATA/pki" \
    --service-account-private-key-file "$KUBE_DATA/pki/service-account.key" \
    --root-ca-file "$KUBE_DATA/pki/apiserver.crt" --use-service-account-credentials=false --leader-elect=false
}

# write_kube_secrets: the key that signs ServiceAccounts' tokens, and the admin's token.
write_kube_secrets() {
  mkdir -p "$KUBE_DATA/pki"
  (
    umask 077
    [ -s "$KUBE_DATA/pki/service-account.key" ] ||
      openssl genrsa -out "$KUBE_DATA/pki/service-account.key" 2048 2>/dev/null
    [ -s "$KUBE_DATA/tokens.csv" ] ||
      echo "$(openssl rand -hex 16),admin,admin,system:masters" >"$KUBE_DATA/tokens.csv"
  )
}

# write_kubeconfig: for the cluster's admin. kube-apiserver writes its own authority into the file of its certificate.
write_kubeconfig() {
  (
    umask 077
    cat >"$KUBE_CONFIG" <<END
apiVersion: v1
kind: Config
current-context: lab
contexts:
  - name: lab
    context: {cluster: lab, user: admin}
clusters:
  - name: lab
    cluster:
      server: https://$HOST:$(port kube-apiserver)
      certificate-authority-data: $(base64 -w 0 "$KUBE_DATA/pki/apiserver.crt")
users:
  - name: admin
    user: {token: $(cut -d, -f1 "$KUBE_DATA/tokens.csv")}
END
  )
}

# apiserver_ready: true if the server says so itself.
apiserver_ready() {
  [ "$(curl -s -m 2 --cacert "$KUBE_DATA/pki/apiserver.crt" \
    -H "Authorization: Bearer $(cut -d, -f1 "$KUBE_DATA/tokens.csv")" \
    "https://$HOST:$(port kube-apiserver)/readyz")" = ok ]
}

# wait_kube NAME: waits until the component does its work.
wait_kube() {
  case $1 in
    etcd) wait_until etcd 60 curl -sf -o /dev/null -m 2 "http://$HOST:$(port etcd)/health" ;;
    kube-apiserver) wait_until kube-apiserver 120 apiserver_ready ;;
    kube-controller-manager)
      wait_until kube-controller-manager 60 port_answers "$(port kube-controller-manager)"
      ;;
  esac
}

# recover_kube: after a machine went down with a running lab, etcd's data, written without fsync, may be torn.
recover_kube() {
  is_cut_off etcd || return 0
  start_etcd
  (wait_kube etcd) 2>/dev/null && return
  stop etcd
  say "Kubernetes: etcd's data did not survive the restart of the machine: starting with an empty cluster"
  rm -rf "$KUBE_DATA/etcd"
}

# kube_up: builds what is missing, and starts what does not run.
kube_up() {
  local name
  mkdir -p "$KUBE_DIR" "$KUBE_DATA"
  need_kube_binaries "${KUBE_COMPONENTS[@]}" kubectl helm
  for name in kubectl helm; do ln -sfn "$(kube_binary "$name")" "$LINK_DIR/$name"; done
  write_kube_secrets
  timed "Kubernetes: starting" start_kube
}

# start_kube: etcd first, since the API server ends if it finds none; the controllers need the API server's certificate.
start_kube() {
  recover_kube
  start_etcd
  wait_kube etcd
  start_kube_apiserver
  wait_kube kube-apiserver
  write_kubeconfig
  start_kube_controller_manager
  wait_kube kube-controller-manager
}

# kube_down: stops what kube_up started, in the reverse order.
kube_down() {
  stop kube-controller-manager
  stop kube-apiserver
  stop etcd
}

# kube_wipe: deletes the cluster, not the programs.
kube_wipe() { rm -rf "$KUBE_DATA" "$KUBE_CONFIG"; }
