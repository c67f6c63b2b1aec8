#!/bin/bash
# Builds the peers that are programs of Go, once, from published modules and unpatched, checksums verified:
#
#   build.sh tofu    OpenTofu and the OpenStack provider (about 4 minutes on two cores)
#   build.sh orc     the manager of openstack-resource-controller and its CRDs (2 minutes)
#
# Programs go to KILN_HOME/peers. With the lab's settings: KILN_HOME, and a Go that `lab up` has found or fetched.
set -euo pipefail

LAB=$(cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../../lab" && pwd)
# shellcheck source=../../lab/lib.sh
. "$LAB/lib.sh"
# shellcheck source=../../lab/packages.sh
. "$LAB/packages.sh"
# Where lab up puts a Go that it had to fetch.
# shellcheck disable=SC2034  # read by need_go
KUBE_DIR=$KILN_HOME/kube

PEERS_DIR=$KILN_HOME/peers
TOFU=github.com/opentofu/opentofu TOFU_VERSION=v1.12.6
# The newest of this provider whose module the checksum database vouches for and that builds as a dependency.
PROVIDER=github.com/terraform-provider-openstack/terraform-provider-openstack PROVIDER_VERSION=v1.54.1
ORC=github.com/k-orc/openstack-resource-controller/v2 ORC_VERSION=v2.4.0

# build NAME MODULE VERSION PACKAGE [LINKER_FLAGS]: a module of ours requires the published one and repeats its replace
# lines, which count in the main module alone.
build() {
  local name=$1 module=$2 version=$3 package=$4 flags=${5:-} mod
  if [ -x "$PEERS_DIR/$name" ] && is_stamped "$PEERS_DIR/$name.version" "$version"; then return; fi
  mkdir -p "$PEERS_DIR/build-$name" && cd "$PEERS_DIR/build-$name"
  go mod download "$module@$version"
  mod=$(go env GOMODCACHE)/cache/download/$module/@v/$version.mod
  {
    echo "module kiln/benchmarks/$name"
    grep -E '^go ' "$mod"
    echo "require $module $version"
    echo "tool $package"
    sed -nE '/^replace \(/,/^\)/p; /^replace [^(]/p' "$mod"
  } >go.mod
  GOFLAGS=-mod=mod go mod tidy -e   # -e: tests of foreign modules need what is not published
  CGO_ENABLED=0 GOFLAGS=-mod=mod nice go build -p 2 -trimpath -ldflags "-s -w $flags" -o "$PEERS_DIR/$name" "$package"
  stamp "$PEERS_DIR/$name.version" "$version"
}

# built NAME...: the same, with a word before and after, and the log's end where it fails.
built() {
  timed "peers: building $1 $3, once" build_logged "$@"
}

build_logged() {
  (build "$@") >"$LOG_DIR/build-peer-$1.log" 2>&1 || die_with_log "$LOG_DIR/build-peer-$1.log" "$1 could not be built"
}

mkdir -p "$PEERS_DIR" "$LOG_DIR"
need_go
for peer in "$@"; do
  case $peer in
    tofu)
      built tofu $TOFU $TOFU_VERSION $TOFU/cmd/tofu "-X $TOFU/version.dev=no"
      built terraform-provider-openstack $PROVIDER $PROVIDER_VERSION $PROVIDER
      ;;
    orc)
      built orc $ORC $ORC_VERSION $ORC/cmd/manager
      if ! [ -d "$PEERS_DIR/orc-crds" ]; then
        cp -r "$(cd "$PEERS_DIR/build-orc" && go list -mod=mod -m -f '{{.Dir}}' $ORC)/config/crd/bases" "$PEERS_DIR/orc-crds.new"
        chmod -R u+w "$PEERS_DIR/orc-crds.new" && mv "$PEERS_DIR/orc-crds.new" "$PEERS_DIR/orc-crds"
      fi
      ;;
    *) die "no peer '$peer' is to be built: tofu, orc" ;;
  esac
done
