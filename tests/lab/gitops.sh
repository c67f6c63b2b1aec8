# shellcheck shell=bash
# Argo CD (application-controller, repo-server) and Flux (kustomize-controller) as plain processes on the node's
# cluster (node.sh), fed from a local Git repository. Flux's source-controller cannot be built from published modules, so
# gitops_publish hands the artifact of a commit to Flux by itself, as an ExternalArtifact.

ARGOCD_VERSION=3.2.11
FLUX_KUSTOMIZE_VERSION=1.9.5
FLUX_SOURCE_VERSION=1.9.6
KUSTOMIZE_VERSION=5.7.1   # what Argo CD's repo-server runs

GITOPS_DIR=$KILN_HOME/gitops
GITOPS_BIN=$GITOPS_DIR/bin
GITOPS_CRDS=$GITOPS_DIR/crds
GITOPS_DATA=$KILN_HOME/node/data/gitops      # repository, artifacts, Argo CD's settings: deleted with the node's data
GITOPS_REPOSITORY=$GITOPS_DATA/repo.git
GITOPS_COMPONENTS=(argocd-redis argocd-repo-server argocd-controller gitops-artifacts flux-kustomize)

# gitops_up: builds what is missing, and starts what does not run.
gitops_up() {
  is_running kube-apiserver || die "the node does not run: lab node up"
  need_packages git openssl redis-tools python3   # not redis-server: that package starts a service
  need_gitops_binaries
  timed "GitOps: starting Argo CD and Flux" start_gitops
}

# gitops_down: stops them; their objects stay in the cluster.
gitops_down() {
  stop flux-kustomize gitops-artifacts argocd-controller argocd-repo-server argocd-redis
}

# gitops_env: the exports, on one line: the repository's URL for Argo CD, and the port of its cache.
gitops_env() {
  printf 'export GITOPS_REPOSITORY=%q GITOPS_REDIS_PORT=%q\n' "file://$GITOPS_REPOSITORY" "$(port argocd-redis)"
}

# ---------------------------------------------------------------------------------------------------------------
# Binaries
# ---------------------------------------------------------------------------------------------------------------

# need_gitops_binaries: builds the programs, and copies their CRDs, unless they are there in our versions.
need_gitops_binaries() {
  local argo=github.com/argoproj/argo-cd/v3 flux=github.com/fluxcd
  mkdir -p "$GITOPS_BIN" "$GITOPS_CRDS"
  if ! is_stamped "$GITOPS_BIN/argocd.version" "$ARGOCD_VERSION"; then
    need_go
    timed "building Argo CD $ARGOCD_VERSION, once (5 to 15 minutes)" logged build-argocd "Argo CD could not be built" \
      build_as_upstream argocd $argo "$ARGOCD_VERSION" $argo/cmd
    install -m 644 "$(module_dir $argo "$ARGOCD_VERSION")"/manifests/crds/*-crd.yaml "$GITOPS_CRDS"
    stamp "$GITOPS_BIN/argocd.version" "$ARGOCD_VERSION"
  fi
  if ! is_stamped "$GITOPS_BIN/kustomize-controller.version" "$FLUX_KUSTOMIZE_VERSION"; then
    need_go
    timed "building Flux's kustomize-controller $FLUX_KUSTOMIZE_VERSION, once (2 to 5 minutes)" \
      logged build-flux "kustomize-controller could not be built" \
      build_as_upstream kustomize-controller $flux/kustomize-controller "$FLUX_KUSTOMIZE_VERSION" $flux/kustomize-controller
    install -m 644 "$(module_dir $flux/kustomize-controller "$FLUX_KUSTOMIZE_VERSION")"/config/crd/bases/*.yaml \
      "$(module_dir $flux/source-controller "$FLUX_SOURCE_VERSION")"/config/crd/bases/*.yaml "$GITOPS_CRDS"
    stamp "$GITOPS_BIN/kustomize-controller.version" "$FLUX_KUSTOMIZE_VERSION"
  fi
  if ! is_stamped "$GITOPS_BIN/kustomize.version" "$KUSTOMIZE_VERSION"; then
    need_go
    timed "building kustomize $KUSTOMIZE_VERSION, once" logged build-kustomize "kustomize could not be built" build_kustomize
    stamp "$GITOPS_BIN/kustomize.version" "$KUSTOMIZE_VERSION"
  fi
}

# build_kustomize: an ordinary program.
build_kustomize() {
  cd / && CGO_ENABLED=0 GOFLAGS='' GOBIN=$GITOPS_BIN nice go install -p 2 -trimpath -ldflags "-s -w" \
    "sigs.k8s.io/kustomize/kustomize/v5@v$KUSTOMIZE_VERSION"
}

# module_dir MODULE VERSION: where the Go module's source is; fetches it if need be.
module_dir() {
  (cd / && GOFLAGS='' go mod download -json "$1@v$2") | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p'
}

# build_as_upstream NAME MODULE VERSION PACKAGE: a program of a module whose go.mod replaces modules. Replacements count
# in the main module only, so a module of ours requires it and repeats them, those by folders excepted.
build_as_upstream() {
  local name=$1 module=$2 version=$3 package=$4 source
  source=$(module_dir "$module" "$version")
  [ -d "$source" ] || { echo "no module $module v$version"; return 1; }
  mkdir -p "$GITOPS_DIR/build-$name" && cd "$GITOPS_DIR/build-$name" || return
  install -m 644 "$source/go.sum" go.sum
  {
    echo "module kiln/lab/$name"
    grep '^go ' "$source/go.mod"
    echo "require $module v$version"
    echo "tool $package"
    awk '/^replace \(/ {block = 1; next} block && /^\)/ {block = 0}
      block || /^replace / {sub(/^replace /, ""); if ($0 ~ /=> [^.]/) print "replace " $0}' "$source/go.mod"
  } >go.mod
  go_build "$GITOPS_BIN/$name" "$package" ""
}

# ---------------------------------------------------------------------------------------------------------------
# Processes
# ---------------------------------------------------------------------------------------------------------------

# gitops_kubectl ARGUMENT...: as the cluster's admin.
gitops_kubectl() { "$(kube_binary kubectl)" --kubeconfig "$KUBE_CONFIG" "$@"; }

# start_gitops: the CRDs and namespaces, then the processes in order.
start_gitops() {
  local name deadline=$((SECONDS + 90))
  mkdir -p "$GITOPS_DATA"/{http,tmp,argo/tls,argo/ssh,argo/gpg,argo/plugins}
  touch "$GITOPS_DATA/argo/ssh/ssh_known_hosts"
  [ -d "$GITOPS_REPOSITORY" ] || git init -q --bare -b main "$GITOPS_REPOSITORY"
  [ -s "$GITOPS_DATA/key" ] || (umask 077 && openssl rand -hex 32 >"$GITOPS_DATA/key")
  gitops_kubectl apply --server-side --force-conflicts -f "$GITOPS_CRDS" >/dev/null
  for name in applications.argoproj.io appprojects.argoproj.io kustomizations.kustomize.toolkit.fluxcd.io \
    externalartifacts.source.toolkit.fluxcd.io; do
    # kubectl does not wait for a CRD that has no conditions yet, but fails.
    until gitops_kubectl wait --for=condition=Established --timeout=60s "crd/$name" >/dev/null 2>&1; do
      ((SECONDS < deadline)) || die "the API server does not serve $name"
      sleep 0.5
    done
  done
  gitops_settings | gitops_kubectl apply --server-side --force-conflicts -f - >/dev/null
  for name in "${GITOPS_COMPONENTS[@]}"; do
    need_free_port "$name"
    "start_${name//-/_}"
    wait_until "$name" 90 port_answers "$(port "$name")"
  done
}

# gitops_settings: the namespaces and what Argo CD must find. argocd-cm has no health checks: tests put them there.
gitops_settings() {
  cat <<END
{apiVersion: v1, kind: Namespace, metadata: {name: argocd}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: flux-system}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: argocd-cm, namespace: argocd, labels: {app.kubernetes.io/part-of: argocd}}}
---
apiVersion: v1
kind: Secret
metadata: {name: argocd-secret, namespace: argocd, labels: {app.kubernetes.io/part-of: argocd}}
stringData: {server.secretkey: "$(<"$GITOPS_DATA/key")"}
---
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: default, namespace: argocd}
spec:
  sourceRepos: ["*"]
  destinations: [{server: "*", namespace: "*"}]
  clusterResourceWhitelist: [{group: "*", kind: "*"}]
END
}

# argocd_environment: what Argo CD finds in its pods otherwise.
argocd_environment() {
  printf '%s\n' "KUBECONFIG=$KUBE_CONFIG" "PATH=$GITOPS_BIN:$KUBE_BIN:$PATH" "TMPDIR=$GITOPS_DATA/tmp" ARGOCD_FAKE_IN_CLUSTER=true \
    "ARGOCD_TLS_DATA_PATH=$GITOPS_DATA/argo/tls" "ARGOCD_SSH_DATA_PATH=$GITOPS_DATA/argo/ssh" ARGOCD_GPG_ENABLED=false \
    "ARGOCD_GNUPGHOME=$GITOPS_DATA/argo/gpg" "ARGOCD_PLUGINSOCKFILEPATH=$GITOPS_DATA/argo/plugins"
}

# start_argocd_redis: Debian's redis-check-rdb is redis-server under another name.
start_argocd_redis() {
  # shellcheck disable=SC2016  # the inner shell's arguments
  launch argocd-redis bash -c 'exec -a redis-server redis-check-rdb "$@"' bash --bind "$HOST" \
    --port "$(port argocd-redis)" --save '' --appendonly no --dir "$GITOPS_DATA"
}

start_argocd_repo_server() {
  local variables
  mapfile -t variables < <(argocd_environment)
  launch argocd-repo-server env "${variables[@]}" ARGOCD_BINARY_NAME=argocd-repo-server "$GITOPS_BIN/argocd" \
    --redis "$HOST:$(port argocd-redis)" --address "$HOST" --port "$(port argocd-repo-server)" \
    --metrics-address "$HOST" --metrics-port "$(port argocd-repo-metrics)" --logformat text
}

# start_argocd_controller: its metrics port has no option for the address; it listens on all.
start_argocd_controller() {
  local variables
  mapfile -t variables < <(argocd_environment)
  launch argocd-controller env "${variables[@]}" ARGOCD_BINARY_NAME=argocd-application-controller "$GITOPS_BIN/argocd" \
    --namespace argocd --redis "$HOST:$(port argocd-redis)" --repo-server "$HOST:$(port argocd-repo-server)" \
    --metrics-port "$(port argocd-controller)" --persist-resource-health --app-resync 30 --app-resync-jitter 0 \
    --logformat text
}

start_gitops_artifacts() {
  launch gitops-artifacts python3 -m http.server --bind "$HOST" --directory "$GITOPS_DATA/http" "$(port gitops-artifacts)"
}

start_flux_kustomize() {
  launch flux-kustomize env "KUBECONFIG=$KUBE_CONFIG" "TMPDIR=$GITOPS_DATA/tmp" RUNTIME_NAMESPACE=flux-system \
    "$GITOPS_BIN/kustomize-controller" --metrics-addr "$HOST:$(port flux-metrics)" \
    --health-addr "$HOST:$(port flux-kustomize)" --feature-gates ExternalArtifact=true --requeue-dependency 5s
}

# ---------------------------------------------------------------------------------------------------------------
# The repository
# ---------------------------------------------------------------------------------------------------------------

# gitops_publish DIR: commits the folder as the branch main, hands the commit to Flux, and asks both to look.
# Prints the commit.
gitops_publish() {
  local folder revision file digest now status
  folder=$(cd "$1" && pwd)
  export GIT_DIR=$GITOPS_REPOSITORY GIT_INDEX_FILE=$GITOPS_DATA/index GIT_AUTHOR_NAME=lab GIT_AUTHOR_EMAIL=lab@localhost
  export GIT_COMMITTER_NAME=lab GIT_COMMITTER_EMAIL=lab@localhost
  rm -f "$GIT_INDEX_FILE"
  git -C "$folder" --work-tree="$folder" add -A -f .
  revision=$(git rev-parse -q --verify main || true)
  revision=$(git commit-tree ${revision:+-p "$revision"} -m publish "$(git write-tree)")
  git update-ref refs/heads/main "$revision"
  file=$revision.tar.gz
  git archive "$revision" | gzip -n >"$GITOPS_DATA/http/$file"
  digest=$(sha256sum "$GITOPS_DATA/http/$file" | cut -d' ' -f1)
  unset GIT_DIR GIT_INDEX_FILE
  now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  gitops_kubectl apply --server-side -f - >/dev/null <<END
apiVersion: source.toolkit.fluxcd.io/v1
kind: ExternalArtifact
metadata: {name: repo, namespace: flux-system}
spec: {sourceRef: {apiVersion: v1, kind: ConfigMap, name: repo}}
END
  status=$(
    cat <<END
{"status": {
  "artifact": {"url": "http://$HOST:$(port gitops-artifacts)/$file", "path": "$file", "revision": "main@sha1:$revision",
    "digest": "sha256:$digest", "lastUpdateTime": "$now", "size": $(stat -c %s "$GITOPS_DATA/http/$file")},
  "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored", "lastTransitionTime": "$now"}]}}
END
  )
  gitops_kubectl -n flux-system patch externalartifact repo --subresource=status --type=merge -p "$status" >/dev/null
  gitops_kubectl -n argocd annotate applications --all argocd.argoproj.io/refresh=normal --overwrite >/dev/null
  gitops_kubectl -n flux-system annotate kustomizations --all "reconcile.fluxcd.io/requestedAt=$(date +%s%N)" \
    --overwrite >/dev/null
  echo "$revision"
}
